// hot: bench/packet
import { type Address, formatAddress, mixAddress } from '../../base/address.js';
import { assert } from '../../base/assert.js';
import { Drop } from '../../base/drops.js';
import type { Packet } from '../../base/packet.js';
import { type Micros, millis, seconds } from '../../base/time.js';
import type { Context } from '../context.js';
import { Counter } from '../counters.js';
import type { Interface } from '../interface.js';
import type { InterfaceTunables } from '../interface-sysctl.js';
import { NEIGHBOR_PENDING_MAX, Neighbor, type NeighborOwner, NeighborState, neighborStateNames, type Solicitor } from './neighbor.js';

const legal: readonly (readonly number[])[] = [
  [1, 2, 5, 6], // Incomplete
  [1, 2, 3, 4, 6], // Reachable
  [1, 2, 3, 4, 5, 6], // Stale
  [1, 2, 4, 6], // Delay
  [1, 2, 4, 5, 6], // Probe
  [0, 1, 2, 6], // Failed
  [1, 2, 6], // Permanent
];

/** The neighbours of one interface, both families, bounded. */
export class NeighborTable {
  private readonly ctx: Context;
  private readonly iface: Interface;
  private readonly arp: Solicitor;
  private readonly nd: Solicitor | null;
  private buckets: (Neighbor | null)[] = new Array<Neighbor | null>(64).fill(null);
  size = 0;
  /** Entries being resolved. */
  private unresolved = 0;
  /** What routers tell of IPv6 neighbours, in milliseconds (RFC 4861 §6.3.4); 0: the tunables. */
  reachableMs6 = 0;
  retransMs6 = 0;
  private readonly owner: NeighborOwner;

  constructor(ctx: Context, iface: Interface, arp: Solicitor, nd: Solicitor | null, owner: NeighborOwner) {
    this.ctx = ctx;
    this.iface = iface;
    this.arp = arp;
    this.nd = nd;
    this.owner = owner;
  }

  /** The entry, or null. */
  find(address: Address): Neighbor | null {
    let n = this.buckets[this.bucket(address)] as Neighbor | null;
    while (n !== null && !n.address.equals(address)) n = n.next;
    return n;
  }

  /** The entry, made Incomplete-without-probes if new; null when the table is full of entries in use. */
  obtain(address: Address): Neighbor | null {
    const found = this.find(address);
    if (found !== null) return found;
    if (this.size >= this.ctx.sysctl.v['anystack.neighbors_max'] && !this.evict()) return null;
    const made = new Neighbor(this, address);
    made.usedAt = this.ctx.now;
    if (this.size >= 2 * this.buckets.length) this.grow();
    const b = this.bucket(address);
    made.next = this.buckets[b] as Neighbor | null;
    this.buckets[b] = made;
    this.size++;
    this.unresolved++;
    this.ctx.counters.count(Counter.NeighLookups);
    return made;
  }

  /**
   * A packet for `n` while its state is not Reachable: sends, starts doubting, queues it or fails it. Owns the packet.
   * RFC 4861 §7.3.3.
   */
  send(packet: Packet, n: Neighbor): void {
    n.usedAt = this.ctx.now;
    if (n.usable) {
      if (n.state === NeighborState.Stale) {
        this.enter(n, NeighborState.Delay);
        this.ctx.wheel.arm(n.timer, this.ctx.now + seconds(this.tunables(n).delay_first_probe_time));
      }
      this.owner.resolved(this.iface, packet, n);
      return;
    }
    if (n.state === NeighborState.Failed) {
      this.enter(n, NeighborState.Incomplete);
      n.probes = 0;
    }
    const { observer } = this.ctx;
    if (observer.verdict !== null) observer.verdict(packet, 'neighbour', `${formatAddress(n.address)} is asked for: the packet waits`);
    this.hold(packet, n);
    if (n.probes === 0) this.probe(n);
  }

  private hold(given: Packet, n: Neighbor): void {
    const packet = this.ctx.keep(given, Drop.NoBuffer);
    if (packet === null) return;
    if (n.pending === NEIGHBOR_PENDING_MAX) {
      const oldest = n.pendingHead as Packet;
      n.pendingHead = oldest.next;
      n.pending--;
      this.ctx.drop(oldest, Drop.NeighborQueueFull);
    }
    packet.next = null;
    if (n.pendingHead === null) n.pendingHead = packet;
    else (n.pendingTail as Packet).next = packet;
    n.pendingTail = packet;
    n.pending++;
  }

  private solicitor(n: Neighbor): Solicitor {
    if (n.address.isV4) return this.arp;
    assert(this.nd !== null, 'an IPv6 neighbour exists only where ND does');
    return this.nd;
  }

  private probe(n: Neighbor): void {
    n.probes++;
    this.ctx.counters.count(Counter.NeighSolicitsSent);
    this.ctx.wheel.arm(n.timer, this.ctx.now + this.retransmitAfter(n));
    this.solicitor(n).solicit(this.iface, n, n.state === NeighborState.Probe, n.pendingHead);
  }

  /** The entry's timer: RFC 4861 §7.3.3 and appendix C. */
  expire(n: Neighbor): void {
    switch (n.state) {
      case NeighborState.Incomplete:
        if (n.probes < this.tunables(n).mcast_solicit) this.probe(n);
        else this.failed(n);
        return;
      case NeighborState.Reachable:
        this.stale(n);
        return;
      case NeighborState.Delay:
        this.enter(n, NeighborState.Probe);
        n.probes = 0;
        this.probe(n);
        return;
      case NeighborState.Probe:
        if (n.probes < this.tunables(n).ucast_solicit) this.probe(n);
        else this.failed(n);
        return;
      case NeighborState.Stale:
        this.age(n);
        return;
      default:
        return;
    }
  }

  /** RFC 1122 §2.3.2.1: what nobody has used for long is forgotten. */
  private age(n: Neighbor): void {
    const until = n.usedAt + seconds(this.tunables(n).gc_stale_time);
    if (until > this.ctx.now) this.ctx.wheel.arm(n.timer, until);
    else this.unlink(n);
  }

  /** Asks for a failed neighbour once, without a packet: whether it is back. */
  ask(address: Address): void {
    const n = this.find(address);
    if (n === null || n.state === NeighborState.Failed) {
      const asked = n ?? this.obtain(address);
      if (asked !== null) this.solicitor(asked).solicit(this.iface, asked, false, null);
    }
  }

  private failed(n: Neighbor): void {
    this.enter(n, NeighborState.Failed);
    this.ctx.counters.count(Counter.NeighFailures);
    this.release(n, (packet) => this.solicitor(n).unreachable(this.iface, n, packet));
  }

  private release(n: Neighbor, each: (packet: Packet) => void): void {
    let packet = n.pendingHead;
    n.pendingHead = n.pendingTail = null;
    n.pending = 0;
    while (packet !== null) {
      const next: Packet | null = packet.next;
      packet.next = null;
      each(packet);
      packet = next;
    }
  }

  /** A link address was learned. `solicited`: an answer to our question, which alone proves reachability. `override`: it may replace another one. */
  learn(n: Neighbor, macHigh: number, macLow: number, solicited: boolean, override: boolean): void {
    if (n.state === NeighborState.Permanent) return;
    const known = n.usable;
    const differs = !known || n.macHigh !== macHigh || n.macLow !== macLow;
    if (known && differs && !override) {
      // RFC 4861 §7.2.5: somebody else claims it; doubt, do not believe.
      if (n.state === NeighborState.Reachable) this.stale(n);
      return;
    }
    n.macHigh = macHigh;
    n.macLow = macLow;
    if (solicited) this.reachable(n);
    else if (differs) this.stale(n);
    if (n.pendingHead !== null) this.release(n, (packet) => this.send(packet, n));
  }

  /**
   * An advertisement of `n` (RFC 4861 §7.2.5), `linked` when it carried a link address. True when a router turned out to be one no longer.
   * One that is not being resolved and not known says nothing: Failed entries stay.
   */
  advertised(n: Neighbor, linked: boolean, macHigh: number, macLow: number, isRouter: boolean, solicited: boolean, override: boolean): boolean {
    if (n.state === NeighborState.Permanent || n.state === NeighborState.Failed) return false;
    if (!n.usable && !linked) return false;
    const same = n.usable && (!linked || (n.macHigh === macHigh && n.macLow === macLow));
    const believed = same || override || !n.usable;
    this.learn(n, linked ? macHigh : n.macHigh, linked ? macLow : n.macLow, solicited, believed);
    if (!believed) return false;
    const left = n.isRouter && !isRouter;
    n.isRouter = isRouter;
    return left;
  }

  /** Reachability is confirmed by traffic above (RFC 4861 §7.3.1). */
  confirm(n: Neighbor): void {
    if (!n.usable || n.state === NeighborState.Permanent) return;
    // Once in a while is enough: arming per segment would cost more than the segment.
    if (n.state === NeighborState.Reachable && n.timer.at - this.ctx.now > this.reachableFor(n) / 4) return;
    this.reachable(n);
  }

  /** Timeouts above cast doubt: probe at once. */
  suspect(n: Neighbor): void {
    if (n.state !== NeighborState.Reachable && n.state !== NeighborState.Stale && n.state !== NeighborState.Delay) return;
    this.enter(n, NeighborState.Probe);
    n.probes = 0;
    this.probe(n);
  }

  private stale(n: Neighbor): void {
    this.enter(n, NeighborState.Stale);
    n.usedAt = this.ctx.now;
    this.ctx.wheel.arm(n.timer, this.ctx.now + seconds(this.tunables(n).gc_stale_time));
  }

  private reachable(n: Neighbor): void {
    n.probes = 0;
    n.usedAt = this.ctx.now;
    this.enter(n, NeighborState.Reachable);
    this.ctx.wheel.arm(n.timer, this.ctx.now + this.reachableFor(n) * (0.5 + this.ctx.prng.float())); // RFC 4861 §10 MIN_/MAX_RANDOM_FACTOR
  }

  private tunables(n: Neighbor): InterfaceTunables['neigh4' | 'neigh6'] {
    return n.address.isV4 ? this.iface.neigh4 : this.iface.neigh6;
  }

  private reachableFor(n: Neighbor): Micros {
    return millis((n.address.isV4 ? 0 : this.reachableMs6) || this.tunables(n).base_reachable_time_ms);
  }

  private retransmitAfter(n: Neighbor): Micros {
    return millis((n.address.isV4 ? 0 : this.retransMs6) || this.tunables(n).retrans_time_ms);
  }

  /** An entry by hand. */
  setPermanent(address: Address, macHigh: number, macLow: number): boolean {
    const n = this.obtain(address);
    if (n === null) return false;
    this.ctx.wheel.cancel(n.timer);
    n.macHigh = macHigh;
    n.macLow = macLow;
    this.enter(n, NeighborState.Permanent);
    if (n.pendingHead !== null) this.release(n, (packet) => this.send(packet, n));
    return true;
  }

  /** Forgets an entry; what waited for it dies. False when there is none. */
  remove(address: Address): boolean {
    const n = this.find(address);
    if (n === null) return false;
    this.unlink(n);
    return true;
  }

  /** Forgets all but what was set by hand: the link changed. */
  flush(all = false): void {
    for (const n of [...this.entries()]) if (all || n.state !== NeighborState.Permanent) this.unlink(n);
  }

  *entries(): Generator<Neighbor> {
    for (const head of this.buckets) for (let n = head; n !== null; n = n.next) yield n;
  }

  private unlink(n: Neighbor): void {
    const b = this.bucket(n.address);
    if (this.buckets[b] === n) this.buckets[b] = n.next;
    else {
      let p = this.buckets[b] as Neighbor;
      while (p.next !== n) p = p.next as Neighbor;
      p.next = n.next;
    }
    n.next = null;
    this.size--;
    if (n.state === NeighborState.Incomplete) this.unresolved--;
    this.ctx.wheel.cancel(n.timer);
    n.state = NeighborState.Failed;
    this.owner.forgotten();
    this.release(n, (packet) => this.ctx.drop(packet, Drop.NeighborFailed));
  }

  /**
   * Forgets the entry longest unused that is not being resolved and not set by hand. Once half of the table waits for answers a scan is
   * going on, and its own entries make room: it must not displace those in use, nor keep new ones out (RFC 6583 §7.1).
   */
  private evict(): boolean {
    const scanned = this.unresolved * 2 >= this.ctx.sysctl.v['anystack.neighbors_max'];
    let victim: Neighbor | null = null;
    for (const n of this.entries()) {
      if (n.state === NeighborState.Permanent || n.state === NeighborState.Reachable || (n.state === NeighborState.Incomplete) !== scanned) continue;
      if (victim === null || n.state === NeighborState.Failed || n.usedAt < victim.usedAt) victim = n;
      if (n.state === NeighborState.Failed) break;
    }
    if (victim === null) return false;
    this.unlink(victim);
    return true;
  }

  private enter(n: Neighbor, state: number): void {
    if (n.state === state) return;
    assert(
      (legal[n.state] as readonly number[]).includes(state),
      `neighbour: no edge from ${neighborStateNames[n.state]} to ${neighborStateNames[state]}`,
    );
    const { observer } = this.ctx;
    if (observer.state !== null)
      observer.state(`neighbour ${formatAddress(n.address)}`, neighborStateNames[n.state] as string, neighborStateNames[state] as string);
    const before = n.state;
    const { usable } = n;
    if (n.state === NeighborState.Incomplete) this.unresolved--;
    if (state === NeighborState.Incomplete) this.unresolved++;
    n.state = state;
    const told = n.usable ? before === NeighborState.Failed || (!usable && n.isRouter) : usable || state === NeighborState.Failed;
    if (told) this.owner.reachability(n);
  }

  private bucket(address: Address): number {
    return (mixAddress(this.ctx.secret[0] as number, address) >>> 8) & (this.buckets.length - 1);
  }

  private grow(): void {
    const all = [...this.entries()];
    this.buckets = new Array<Neighbor | null>(this.buckets.length * 4).fill(null);
    for (const n of all) {
      const b = this.bucket(n.address);
      n.next = this.buckets[b] as Neighbor | null;
      this.buckets[b] = n;
    }
  }
}
