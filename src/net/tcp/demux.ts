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
/** Words of a place: tag, ports, the last word of the remote and of the local address. Four places share a cache line. */
const PLACE = 4;

/**
 * Flows to what they lead to: open addressing, the key itself in the table. Among 100,000 connections a segment's is as a rule in no cache,
 * and what a lookup costs is the lines it reads: one for the key and one for the answer, where to compare the flow's own fields would be five.
 * The hash is HalfSipHash-1-3 with the stack's secret: a stranger cannot choose ports that collide.
 *
 * A tag is 0 in a free place; odd where the place says all there is to say: of IPv4 without a zone it is 2·vrf + 1. Else it is of the
 * hash, even, and the flow itself is looked at too.
 */
export class Demux {
  count = 0;
  private readonly key: Int32Array;
  private readonly words = new Int32Array(6);
  private places = new Int32Array(PLACE * FIRST_SIZE);
  private flows: (Flowing | null)[] = new Array<Flowing | null>(FIRST_SIZE).fill(null);
  private mask = FIRST_SIZE - 1;

  /** `key`: two secret words, at least. */
  constructor(key: Int32Array) {
    this.key = key;
  }

  /** What the flow leads to, or null. */
  find(local: Address, remote: Address, localPort: number, remotePort: number, vrf: number, zone: number): Flowing | null {
    const { places, mask } = this;
    const hash = this.hashOf(local, remote, localPort, remotePort);
    const tag = tagOf(remote, vrf, zone, hash);
    const ports = (localPort << 16) | remotePort;
    for (let i = hash & mask; ; i = (i + 1) & mask) {
      const at = PLACE * i;
      const there = places[at] as number;
      if (there === 0) return null;
      if (there !== tag || places[at + 1] !== ports || places[at + 2] !== remote.w3 || places[at + 3] !== local.w3) continue;
      const flow = this.flows[i] as Flowing;
      if ((tag & 1) === 1 || (flow.vrf === vrf && flow.zone === zone && flow.remote.equals(remote) && flow.local.equals(local))) return flow;
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
    const { places, flows, mask } = this;
    let i = flow.hash & mask;
    while (flows[i] !== flow) i = (i + 1) & mask;
    flow.hash = 0;
    this.count--;
    // What follows in the same run moves up, unless it would come before its own place: no tombstones.
    for (let j = (i + 1) & mask; ; j = (j + 1) & mask) {
      const next = flows[j] as Flowing | null;
      if (next === null) break;
      if (((j - (next.hash & mask)) & mask) >= ((j - i) & mask)) {
        places.copyWithin(PLACE * i, PLACE * j, PLACE * (j + 1));
        flows[i] = next;
        i = j;
      }
    }
    places[PLACE * i] = 0;
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
    const { places, mask } = this;
    let i = flow.hash & mask;
    while (places[PLACE * i] !== 0) i = (i + 1) & mask;
    const at = PLACE * i;
    places[at] = tagOf(flow.remote, flow.vrf, flow.zone, flow.hash);
    places[at + 1] = (flow.localPort << 16) | flow.remotePort;
    places[at + 2] = flow.remote.w3;
    places[at + 3] = flow.local.w3;
    this.flows[i] = flow;
  }

  private resize(size: number): void {
    const old = this.flows;
    this.places = new Int32Array(PLACE * size);
    this.flows = new Array<Flowing | null>(size).fill(null);
    this.mask = size - 1;
    for (const flow of old) if (flow !== null) this.place(flow);
  }

  /** HalfSipHash-1-3 of the words that tell flows apart; never 0, which says that a flow is in no table. */
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

/** See Demux. VRFs past 2^30 and whatever has a zone are looked up by the flow itself. */
function tagOf(remote: Address, vrf: number, zone: number, hash: number): number {
  return zone === 0 && remote.isV4 && vrf < 0x4000_0000 ? 2 * vrf + 1 : hash & ~1 || 2;
}
