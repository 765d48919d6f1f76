// hot: bench/packet
import type { Address } from '../../base/address.js';
import { halfSipHash } from '../../base/siphash.js';

/**
 * What a flow leads to: a connection, a half-open one, or one in TIME-WAIT. The key is both ends, and where they live:
 * the VRF, and for link-local peers the interface. Many machines with one address are a normal case.
 */
export abstract class Flowing {
  readonly local: Address;
  readonly remote: Address;
  localPort = 0;
  remotePort = 0;
  vrf = 0;
  /** Interface of a link-local peer, else 0. */
  zone = 0;
  /** Set by the table while it holds this; 0 otherwise. */
  hash = 0;

  constructor(local: Address, remote: Address) {
    this.local = local;
    this.remote = remote;
  }
}

const FIRST_SIZE = 16;

/**
 * Flows to what they lead to: open addressing over an array of hashes, so that a miss costs one read and a hit two.
 * The hash is HalfSipHash-1-3 with the stack's secret: a stranger cannot choose ports that collide.
 */
export class Demux {
  count = 0;
  private readonly key: Int32Array;
  private readonly words = new Int32Array(6);
  private hashes = new Int32Array(FIRST_SIZE);
  private flows: (Flowing | null)[] = new Array<Flowing | null>(FIRST_SIZE).fill(null);
  private mask = FIRST_SIZE - 1;

  /** `key`: two secret words, at least. */
  constructor(key: Int32Array) {
    this.key = key;
  }

  /** What the flow leads to, or null. */
  find(local: Address, remote: Address, localPort: number, remotePort: number, vrf: number, zone: number): Flowing | null {
    const hash = this.hashOf(local, remote, localPort, remotePort);
    for (let i = hash & this.mask; ; i = (i + 1) & this.mask) {
      const h = this.hashes[i] as number;
      if (h === 0) return null;
      if (h !== hash) continue;
      const f = this.flows[i] as Flowing;
      if (f.remotePort !== remotePort || f.localPort !== localPort || f.vrf !== vrf || f.zone !== zone) continue;
      if (f.remote.equals(remote) && f.local.equals(local)) return f;
    }
  }

  /** Enters a flow that is not in the table. */
  add(flow: Flowing): void {
    if (2 * this.count > this.mask) this.resize(2 * (this.mask + 1));
    flow.hash = this.hashOf(flow.local, flow.remote, flow.localPort, flow.remotePort);
    this.place(flow);
    this.count++;
  }

  /** Takes a flow out. Idempotent. */
  remove(flow: Flowing): void {
    if (flow.hash === 0) return;
    const { hashes, flows, mask } = this;
    let i = flow.hash & mask;
    while (flows[i] !== flow) i = (i + 1) & mask;
    flow.hash = 0;
    this.count--;
    // What follows in the same run moves up, unless it would come before its own place: no tombstones.
    for (let j = (i + 1) & mask; ; j = (j + 1) & mask) {
      const h = hashes[j] as number;
      if (h === 0) break;
      if (((j - (h & mask)) & mask) >= ((j - i) & mask)) {
        hashes[i] = h;
        flows[i] = flows[j] as Flowing;
        i = j;
      }
    }
    hashes[i] = 0;
    flows[i] = null;
    if (mask >= 4 * FIRST_SIZE && 8 * this.count < mask) this.resize((mask + 1) >> 1);
  }

  /** Puts `next` where `flow` stood; both have the same key. */
  replace(flow: Flowing, next: Flowing): void {
    let i = flow.hash & this.mask;
    while (this.flows[i] !== flow) i = (i + 1) & this.mask;
    next.hash = flow.hash;
    flow.hash = 0;
    this.flows[i] = next;
  }

  /** All flows, in no order. The table may be changed while the copy is used. */
  all(): Flowing[] {
    return this.flows.filter((f): f is Flowing => f !== null);
  }

  private place(flow: Flowing): void {
    let i = flow.hash & this.mask;
    while (this.hashes[i] !== 0) i = (i + 1) & this.mask;
    this.hashes[i] = flow.hash;
    this.flows[i] = flow;
  }

  private resize(size: number): void {
    const old = this.flows;
    this.hashes = new Int32Array(size);
    this.flows = new Array<Flowing | null>(size).fill(null);
    this.mask = size - 1;
    for (const flow of old) if (flow !== null) this.place(flow);
  }

  /** HalfSipHash-1-3 of the words that tell flows apart; never 0, which marks a free place. */
  private hashOf(local: Address, remote: Address, localPort: number, remotePort: number): number {
    const { words } = this;
    words[0] = (localPort << 16) | remotePort;
    words[1] = remote.w3;
    words[2] = local.w3;
    if (remote.w0 === 0 && remote.w1 === 0) return halfSipHash(this.key, words, 3) || 1;
    words[3] = remote.w2;
    words[4] = remote.w1;
    words[5] = remote.w0;
    return halfSipHash(this.key, words, 6) || 1;
  }
}
