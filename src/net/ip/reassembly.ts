import { Address } from '../../base/address.js';
import { Drop } from '../../base/drops.js';
import { BIG_SLOT, Checksum, copyDescriptor, HEADROOM, type Packet, PacketFlag } from '../../base/packet.js';
import { copyOctets } from '../../base/page.js';
import { halfSipHash } from '../../base/siphash.js';
import type { Micros } from '../../base/time.js';
import { Timer } from '../../base/timer-wheel.js';
import type { Context } from '../context.js';
import { Counter } from '../counters.js';
import { TimerKind } from '../timer-kind.js';

/** What a family's fragments say, in one shape. */
export interface FragmentFormat {
  /** Octets of the header that its length field does not count. */
  readonly uncounted: number;
  readonly identification: (packet: Packet) => number;
  /** Octets of the datagram's fragmentable part before this fragment's. */
  readonly offset: (packet: Packet) => number;
  readonly more: (packet: Packet) => boolean;
  /** Where the fragment's part of the datagram begins. */
  readonly data: (packet: Packet) => number;
  /** Rewrites the header of the whole in `packet`, whose data are complete from `transport` on: length, fragment fields, checksum. `first` is the first fragment. */
  readonly restore: (packet: Packet, first: Packet) => void;
  readonly lifetime: () => Micros;
  /** The first fragment of a datagram that was never finished: time exceeded is due. Does not own it. */
  readonly expired: (first: Packet) => void;
}

class Datagram {
  readonly key: number;
  readonly source = new Address();
  readonly destination = new Address();
  readonly identification: number;
  readonly protocol: number;
  readonly vrf: number;
  readonly spi: number;
  readonly timer: Timer;
  /** Fragments in order of offset, without overlap. */
  readonly fragments: Packet[] = [];
  /** Octets of the fragmentable part, −1 until the last fragment has come. */
  total = -1;
  received = 0;
  /** True size of what is held. */
  charged = 0;
  /** An overlap was seen: what still comes dies too, until the timer ends it. RFC 5722 §4. */
  poisoned = false;

  constructor(key: number, packet: Packet, identification: number, vrf: number, owner: Reassembly) {
    this.key = key;
    this.source.copy(packet.source);
    this.destination.copy(packet.destination);
    this.identification = identification;
    this.protocol = packet.protocol;
    this.vrf = vrf;
    this.spi = packet.spi;
    this.timer = new Timer(TimerKind.Reassembly, { owner, datagram: this });
  }
}

/**
 * Puts datagrams together (RFC 791 §3.2, 815, 8200 §4.5) with overlaps refused (RFC 5722, and for IPv4 by the same
 * reasoning), memory and counts bounded, the oldest datagram going first.
 */
export class Reassembly {
  private readonly ctx: Context;
  private readonly format: FragmentFormat;
  private readonly vrfOf: (index: number) => number;
  /** By hash, then by comparison; in order of arrival, so the first is the oldest. */
  private readonly datagrams = new Map<number, Datagram>();
  private readonly words = new Int32Array(11);
  private memory = 0;

  constructor(ctx: Context, format: FragmentFormat, vrfOf: (index: number) => number) {
    this.ctx = ctx;
    this.format = format;
    this.vrfOf = vrfOf;
  }

  /** Takes a fragment over; answers the whole datagram, head at its IP header, or null. */
  input(given: Packet): Packet | null {
    const { format, ctx } = this;
    if (ctx.observer.verdict !== null) ctx.observer.verdict(given, 'reassembly', 'a fragment: it waits for the others');
    ctx.counters.count(given.family === 6 ? Counter.Ip6ReasmReqds : Counter.IpReasmReqds);
    const data = format.data(given);
    const length = given.tail - data;
    const offset = format.offset(given);
    const more = format.more(given);
    if (length <= 0 || (more && length % 8 !== 0)) return this.refuse(given, Drop.FragmentMalformed);
    if (this.longer(given, offset + length)) return this.refuse(given, Drop.FragmentTooLong);
    const packet = ctx.keep(given, Drop.FragmentMemory);
    if (packet === null) return null;
    const datagram = this.find(packet);
    if (datagram.poisoned) return this.refuse(packet, Drop.FragmentOverlap);
    const place = this.place(datagram, offset, length, more);
    if (place < 0) {
      if (place === DUPLICATE) return this.refuse(packet, Drop.FragmentDuplicate);
      this.poison(datagram, packet);
      return null;
    }
    if (datagram.fragments.length >= ctx.sysctl.v['anystack.fragments_max']) {
      this.end(datagram, Drop.FragmentTooMany);
      return this.refuse(packet, Drop.FragmentTooMany);
    }
    datagram.fragments.splice(place, 0, packet);
    datagram.received += length;
    datagram.charged += packet.slot.slab.slotSize;
    this.memory += packet.slot.slab.slotSize;
    if (!more) datagram.total = offset + length;
    if (datagram.received === datagram.total) return this.whole(datagram);
    while (this.memory > ctx.sysctl.v['net.ipv4.ipfrag_high_thresh']) this.end(this.datagrams.values().next().value as Datagram, Drop.FragmentMemory);
    return null;
  }

  expire(timer: Timer): void {
    const { datagram } = timer.owner as { datagram: Datagram };
    const first = datagram.fragments[0];
    if (first !== undefined && this.format.offset(first) === 0) this.format.expired(first);
    this.end(datagram, Drop.FragmentTimeout);
  }

  /** Datagrams being put together. */
  get size(): number {
    return this.datagrams.size;
  }

  purge(): void {
    for (const datagram of [...this.datagrams.values()]) this.end(datagram, Drop.FragmentTimeout);
  }

  private refuse(packet: Packet, reason: number): null {
    this.ctx.drop(packet, reason);
    return null;
  }

  private find(packet: Packet): Datagram {
    const id = this.format.identification(packet);
    const vrf = this.vrfOf(packet.inIndex);
    const { source: s, destination: d } = packet;
    // Secret, since a stranger chooses addresses and identification; a collision replaces the older datagram.
    const w = this.words;
    w.set([s.w0, s.w1, s.w2, s.w3, d.w0, d.w1, d.w2, d.w3, id, (vrf << 8) | packet.protocol, packet.spi]);
    const key = halfSipHash(this.ctx.secret, w, w.length);
    const found = this.datagrams.get(key);
    if (found !== undefined) {
      const same =
        found.identification === id &&
        found.vrf === vrf &&
        found.spi === packet.spi && // a clear fragment never completes what an SA has begun (RFC 4301 §7)
        found.protocol === packet.protocol &&
        found.source.equals(s) &&
        found.destination.equals(d);
      if (same) return found;
      this.end(found, Drop.FragmentMemory);
    }
    const made = new Datagram(key, packet, id, vrf, this);
    this.datagrams.set(key, made);
    this.ctx.wheel.arm(made.timer, this.ctx.now + this.format.lifetime());
    return made;
  }

  /** The index where [offset, offset + length) belongs, OVERLAP, or DUPLICATE when exactly this range is held. */
  private place(datagram: Datagram, offset: number, length: number, more: boolean): number {
    const { fragments } = datagram;
    const end = offset + length;
    if (datagram.total >= 0 && (end > datagram.total || (!more && end !== datagram.total))) return OVERLAP;
    let i = fragments.length;
    while (i > 0 && this.format.offset(fragments[i - 1] as Packet) >= offset) i--;
    const after = fragments[i];
    if (after !== undefined) {
      const start = this.format.offset(after);
      if (start === offset && this.lengthOf(after) === length && this.format.more(after) === more) return DUPLICATE;
      if (end > start || !more) return OVERLAP;
    }
    const before = fragments[i - 1];
    if (before !== undefined && this.format.offset(before) + this.lengthOf(before) > offset) return OVERLAP;
    return i;
  }

  private lengthOf(packet: Packet): number {
    return packet.tail - this.format.data(packet);
  }

  private poison(datagram: Datagram, packet: Packet): void {
    for (const held of datagram.fragments) this.ctx.drop(held, Drop.FragmentOverlap);
    this.ctx.drop(packet, Drop.FragmentOverlap);
    datagram.fragments.length = 0;
    this.memory -= datagram.charged;
    datagram.charged = 0;
    datagram.poisoned = true;
  }

  private whole(datagram: Datagram): Packet | null {
    const { fragments } = datagram;
    const first = fragments[0] as Packet;
    const header = first.transport - first.network;
    // The first one's headers are the whole's: each fragment may have fitted with its own.
    if (this.longer(first, datagram.total)) {
      this.end(datagram, Drop.FragmentTooLong);
      return null;
    }
    const packet = header + datagram.total + HEADROOM > BIG_SLOT ? null : this.ctx.pool.from(this.ctx.big);
    if (packet === null) {
      this.end(datagram, Drop.NoBuffer);
      return null;
    }
    copyDescriptor(packet, first);
    const start = packet.slot.start + HEADROOM;
    copyOctets(packet.slot.page, start, first.slot.page, first.network, header);
    packet.head = packet.link = packet.network = start;
    packet.transport = start + header;
    let at = packet.transport;
    for (const fragment of fragments) {
      const length = this.lengthOf(fragment);
      copyOctets(packet.slot.page, at, fragment.slot.page, this.format.data(fragment), length);
      at += length;
    }
    packet.tail = at;
    packet.flags |= PacketFlag.Reassembled;
    packet.checksum = Checksum.Unverified;
    packet.next = null;
    this.format.restore(packet, first);
    for (const fragment of fragments) fragment.release();
    this.ctx.counters.count(packet.family === 6 ? Counter.Ip6ReasmOKs : Counter.IpReasmOKs);
    fragments.length = 0;
    this.forget(datagram);
    return packet;
  }

  /** Is a datagram with this fragment's headers and `octets` behind them more than a length field can say? */
  private longer(fragment: Packet, octets: number): boolean {
    return fragment.transport - fragment.network - this.format.uncounted + octets > 65_535;
  }

  private end(datagram: Datagram, reason: number): void {
    for (const held of datagram.fragments) this.ctx.drop(held, reason);
    datagram.fragments.length = 0;
    this.forget(datagram);
  }

  private forget(datagram: Datagram): void {
    this.memory -= datagram.charged;
    datagram.charged = 0;
    this.ctx.wheel.cancel(datagram.timer);
    this.datagrams.delete(datagram.key);
  }
}

const OVERLAP = -1;
const DUPLICATE = -2;
