import { type Address, samePrefix } from '../../base/address.js';
import type { Packet } from '../../base/packet.js';
import { TokenBucket } from '../../base/token-bucket.js';
import { Protocol } from '../../wire/protocol.js';
import { Fib } from '../ip/fib.js';
import { TrackState } from './connection.js';

/** Where a base chain hangs, in netfilter's words. */
export type HookName = 'prerouting' | 'input' | 'forward' | 'output' | 'postrouting';

/** A prefix as a condition. */
export interface AddressRange {
  readonly address: Address;
  /** In the family's own bits. */
  readonly length: number;
}

/** A set of prefixes: membership costs one lookup however many there are. */
export class AddressSet {
  /** Grows with each change. */
  changes = 0;
  private readonly v4 = new Fib(4);
  private readonly v6 = new Fib(6);

  add(range: AddressRange): void {
    this.put(range, 1);
  }

  remove(range: AddressRange): void {
    this.put(range, 0);
  }

  has(a: Address): boolean {
    return (a.isV4 ? this.v4.lookup(a.w3, 0, 0, 0) : this.v6.lookup(a.w0, a.w1, a.w2, a.w3)) !== 0;
  }

  get size(): number {
    return this.v4.size + this.v6.size;
  }

  private put({ address: a, length }: AddressRange, value: number): void {
    this.changes++;
    const bits = (word: number, n: number): number => (n <= 0 ? 0 : n >= 32 ? word : word & (-1 << (32 - n)));
    if (a.isV4) this.v4.set(bits(a.w3, length), 0, 0, 0, length, value);
    else this.v6.set(bits(a.w0, length), bits(a.w1, length - 32), bits(a.w2, length - 64), bits(a.w3, length - 96), length, value);
  }
}

/** Conditions; all that are given must hold. */
export interface Match {
  readonly family?: 4 | 6;
  readonly inIndex?: number;
  readonly outIndex?: number;
  readonly source?: AddressRange | AddressSet;
  readonly destination?: AddressRange | AddressSet;
  readonly protocol?: number;
  readonly sourcePort?: readonly [number, number];
  readonly destinationPort?: readonly [number, number];
  /** ICMP or ICMPv6 type. */
  readonly icmpType?: number;
  /** TCP flags that must be as `value` says, of those in `mask`. */
  readonly tcpFlags?: { readonly mask: number; readonly value: number };
  /** TrackState values. */
  readonly state?: readonly number[];
  readonly mark?: { readonly value: number; readonly mask: number };
  readonly dscp?: number;
  /** Holds while no more than this come. */
  readonly limit?: { readonly perSecond: number; readonly burst: number };
}

/** What happens to what matches. */
export type Verdict =
  | { readonly kind: 'accept' | 'drop' | 'return' | 'masquerade' }
  | { readonly kind: 'reject'; readonly with?: 'port-unreachable' | 'admin-prohibited' | 'tcp-reset' }
  | { readonly kind: 'jump'; readonly chain: string }
  | { readonly kind: 'mark'; readonly mark: number }
  | { readonly kind: 'mss'; readonly mss: number | 'path' }
  | { readonly kind: 'snat' | 'dnat'; readonly address: Address; readonly ports?: readonly [number, number] }
  /** Stateless: the host part stays, the prefix becomes this one (NETMAP; RFC 6296 for IPv6 keeps checksums neutral). */
  | { readonly kind: 'netmap'; readonly side: 'source' | 'destination'; readonly to: AddressRange }
  | { readonly kind: 'log'; readonly prefix: string }
  | { readonly kind: 'notrack' };

/** One rule with its counters. */
export class FilterRule {
  readonly match: Match;
  readonly verdict: Verdict;
  /** For people. */
  readonly comment: string;
  packets = 0;
  octets = 0;
  /** Says the same of all packets of an established flow, those that open or end a TCP connection aside, and does nothing to them. */
  readonly fixed: boolean;
  private readonly bucket: TokenBucket | null;

  constructor(match: Match, verdict: Verdict, comment = '') {
    this.match = match;
    this.verdict = verdict;
    this.comment = comment;
    this.fixed = isFixed(match, verdict);
    this.bucket = match.limit === undefined ? null : new TokenBucket(0, match.limit.burst);
  }

  /** Does the packet meet all conditions? Counts it if so. */
  matches(packet: Packet, inIndex: number, outIndex: number, now: number): boolean {
    const m = this.match;
    if (m.family !== undefined && m.family !== packet.family) return false;
    if (m.inIndex !== undefined && m.inIndex !== inIndex) return false;
    if (m.outIndex !== undefined && m.outIndex !== outIndex) return false;
    if (m.protocol !== undefined && m.protocol !== packet.protocol) return false;
    if (m.state !== undefined && !m.state.includes(packet.trackState & ~TrackState.Reply)) return false;
    if (m.mark !== undefined && ((packet.mark ^ m.mark.value) & m.mark.mask) !== 0) return false;
    if (m.dscp !== undefined && packet.trafficClass >>> 2 !== m.dscp) return false;
    if (m.source !== undefined && !holds(m.source, packet.source)) return false;
    if (m.destination !== undefined && !holds(m.destination, packet.destination)) return false;
    if (!this.transport(packet)) return false;
    if (this.bucket !== null && m.limit !== undefined && !this.bucket.take(now, m.limit.perSecond, m.limit.burst)) return false;
    this.packets++;
    this.octets += packet.length;
    return true;
  }

  private transport(packet: Packet): boolean {
    const m = this.match;
    const { view, transport, tail } = packet;
    if (m.sourcePort !== undefined || m.destinationPort !== undefined) {
      if (tail - transport < 4) return false;
      if (m.sourcePort !== undefined && !between(view.getUint16(transport), m.sourcePort)) return false;
      if (m.destinationPort !== undefined && !between(view.getUint16(transport + 2), m.destinationPort)) return false;
    }
    if (m.icmpType !== undefined && (tail <= transport || !isIcmp(packet.protocol) || view.getUint8(transport) !== m.icmpType)) return false;
    if (m.tcpFlags === undefined) return true;
    return packet.protocol === Protocol.Tcp && tail - transport >= 14 && (view.getUint8(transport + 13) & m.tcpFlags.mask) === m.tcpFlags.value;
  }
}

/** TCP flags that open or end a connection. */
const ENDS = 7;

function isFixed({ limit, dscp, icmpType, tcpFlags }: Match, { kind }: Verdict): boolean {
  if (tcpFlags !== undefined && (tcpFlags.value & tcpFlags.mask & ENDS) !== 0) return true; // never matches the others
  if (limit !== undefined || dscp !== undefined || icmpType !== undefined || tcpFlags !== undefined) return false;
  return kind !== 'mark' && kind !== 'mss' && kind !== 'netmap' && kind !== 'log' && kind !== 'notrack';
}

const between = (n: number, [low, high]: readonly [number, number]): boolean => n >= low && n <= high;
const isIcmp = (protocol: number): boolean => protocol === Protocol.Icmp || protocol === Protocol.Icmpv6;

function holds(range: AddressRange | AddressSet, a: Address): boolean {
  if (range instanceof AddressSet) return range.has(a);
  const v4 = range.address.isV4;
  return v4 === a.isV4 && samePrefix(a, range.address, range.length + (v4 ? 96 : 0));
}
