// hot: bench/micro/wire
/**
 * IPv4 (RFC 791 §3.1, RFC 2474, RFC 3168, RFC 6864).
 *
 * ```
 *  0       1       2               4               6                8     9       10         12       16            20
 *  |ver|ihl| dscp|ecn| total length | identification |0|df|mf| offset | ttl | proto | checksum | source | destination | options, padding
 * ```
 */
import { type Address, formatAddress, v4 } from '../base/address.js';
import { finish, fold, sum } from '../base/checksum.js';
import { Drop } from '../base/drops.js';
import { protocolName } from './protocol.js';

/** Octets of the header without options. */
export const HEADER_LEN = 20;
/** Octets of the longest header: ihl counts words in four bits. */
export const HEADER_MAX = 60;
/** Octets a host must be able to receive in one datagram (RFC 1122 §3.3.2). */
export const MTU_MIN = 68;

const LENGTH = 2;
const ID = 4;
const FRAGMENT = 6;
const TTL = 8;
const PROTOCOL = 9;
const CHECKSUM = 10;
const SOURCE = 12;
const DESTINATION = 16;

/** Bits of the word that holds the fragment offset. RFC 791 §3.1. */
export const Flag = { DontFragment: 0x4000, MoreFragments: 0x2000 } as const;

/** 0 or a drop reason: version, header length, total length, checksum, options. What lies past the total length is padding. */
export function check(view: DataView, at: number, end: number): number {
  if (end - at < HEADER_LEN) return Drop.IpTruncated;
  const first = view.getUint8(at);
  if (first >>> 4 !== 4) return Drop.IpBadVersion;
  const header = (first & 15) << 2;
  if (header < HEADER_LEN || header > end - at) return Drop.IpBadHeaderLength;
  const total = view.getUint16(at + LENGTH);
  if (total < header || total > end - at) return Drop.IpBadLength;
  if (fold(sum(view, at, header)) !== 0xffff) return Drop.IpBadChecksum;
  return header > HEADER_LEN && badOption(view, at) >= 0 ? Drop.IpBadOptions : 0;
}

export const version = (view: DataView, at: number): number => view.getUint8(at) >>> 4;
/** Octets of the header, options included: [20, 60]. */
export const headerLength = (view: DataView, at: number): number => (view.getUint8(at) & 15) << 2;
/** DSCP and ECN, the former type of service. */
export const trafficClass = (view: DataView, at: number): number => view.getUint8(at + 1);
/** Octets of header and payload. */
export const totalLength = (view: DataView, at: number): number => view.getUint16(at + LENGTH);
export const identification = (view: DataView, at: number): number => view.getUint16(at + ID);
/** Flags and fragment offset as they stand. */
export const fragmentWord = (view: DataView, at: number): number => view.getUint16(at + FRAGMENT);
export const dontFragment = (view: DataView, at: number): boolean => (view.getUint16(at + FRAGMENT) & Flag.DontFragment) !== 0;
export const moreFragments = (view: DataView, at: number): boolean => (view.getUint16(at + FRAGMENT) & Flag.MoreFragments) !== 0;
/** Octets of the datagram before this fragment: [0, 65528]. */
export const fragmentOffset = (view: DataView, at: number): number => (view.getUint16(at + FRAGMENT) & 0x1fff) << 3;
/** It is a part of a datagram only. */
export const isFragment = (view: DataView, at: number): boolean => (view.getUint16(at + FRAGMENT) & 0x3fff) !== 0;
export const ttl = (view: DataView, at: number): number => view.getUint8(at + TTL);
export const protocol = (view: DataView, at: number): number => view.getUint8(at + PROTOCOL);
export const checksum = (view: DataView, at: number): number => view.getUint16(at + CHECKSUM);
/** As int32, the last word of an Address. */
export const sourceWord = (view: DataView, at: number): number => view.getInt32(at + SOURCE);
export const destinationWord = (view: DataView, at: number): number => view.getInt32(at + DESTINATION);
export const source = (view: DataView, at: number, into: Address): void => into.setV4(view.getInt32(at + SOURCE));
export const destination = (view: DataView, at: number, into: Address): void => into.setV4(view.getInt32(at + DESTINATION));

/** Option types with their copied bit (RFC 791 §3.1, RFC 2113 §2.1). */
export const Option = {
  End: 0,
  Nop: 1,
  RecordRoute: 7,
  Timestamp: 68,
  Security: 130,
  LooseSourceRoute: 131,
  StrictSourceRoute: 137,
  RouterAlert: 148,
} as const;
/** What a walk over the options saw. Bits. */
export const Seen = { RecordRoute: 1, Timestamp: 2, SourceRoute: 4, RouterAlert: 8, Other: 16 } as const;

/**
 * Place of the first broken option, counted from the header's first octet as ICMP's parameter problem wants it; −1 when
 * all are sound. Two source routes are one too many (RFC 1122 §3.2.1.8).
 */
export function badOption(view: DataView, at: number): number {
  const end = at + headerLength(view, at);
  let routes = 0;
  for (let o = at + HEADER_LEN; o < end; ) {
    const kind = view.getUint8(o);
    if (kind === Option.End) return -1;
    if (kind === Option.Nop) {
      o++;
      continue;
    }
    if (o + 2 > end) return o - at;
    const length = view.getUint8(o + 1);
    if (length < 2 || length > end - o || !soundOption(view, o, kind, length)) return o - at;
    if ((kind === Option.LooseSourceRoute || kind === Option.StrictSourceRoute) && ++routes > 1) return o - at;
    o += length;
  }
  return -1;
}

/** The pointers stay on entry boundaries, at most one past the last (RFC 791 §3.1). */
function soundOption(view: DataView, o: number, kind: number, length: number): boolean {
  switch (kind) {
    case Option.RecordRoute:
    case Option.LooseSourceRoute:
    case Option.StrictSourceRoute: {
      if (length < 3 || (length - 3) % 4 !== 0) return false;
      return view.getUint8(o + 2) >= 4 && view.getUint8(o + 2) % 4 === 0;
    }
    case Option.Timestamp:
      return length >= 4 && view.getUint8(o + 2) >= 5;
    case Option.RouterAlert:
      return length === 4;
    default:
      return true;
  }
}

/** Bits of Seen. Only after check. */
export function seenOptions(view: DataView, at: number): number {
  let seen = 0;
  for (let o = firstOption(view, at); o >= 0; o = nextOption(view, at, o)) {
    switch (view.getUint8(o)) {
      case Option.RecordRoute:
        seen |= Seen.RecordRoute;
        break;
      case Option.Timestamp:
        seen |= Seen.Timestamp;
        break;
      case Option.LooseSourceRoute:
      case Option.StrictSourceRoute:
        seen |= Seen.SourceRoute;
        break;
      case Option.RouterAlert:
        seen |= Seen.RouterAlert;
        break;
      default:
        seen |= Seen.Other;
    }
  }
  return seen;
}

/** Place of the first option that is not padding, or −1. Only after check. */
export const firstOption = (view: DataView, at: number): number => skipPadding(view, at + HEADER_LEN, at + headerLength(view, at));
/** Place of the option behind the one at `option`, or −1. */
export const nextOption = (view: DataView, at: number, option: number): number =>
  skipPadding(view, option + view.getUint8(option + 1), at + headerLength(view, at));

function skipPadding(view: DataView, from: number, end: number): number {
  for (let o = from; o < end; o++) {
    const kind = view.getUint8(o);
    if (kind === Option.End) return -1;
    if (kind !== Option.Nop) return o;
  }
  return -1;
}

/** Writes a header without options, checksum finished. `length` is the total length, `word` the flags and the offset in units of 8. */
export function put(
  view: DataView,
  at: number,
  tos: number,
  length: number,
  id: number,
  word: number,
  hops: number,
  proto: number,
  from: number,
  to: number,
): void {
  view.setUint16(at, 0x4500 | tos);
  view.setUint16(at + LENGTH, length);
  view.setUint16(at + ID, id);
  view.setUint16(at + FRAGMENT, word);
  view.setUint16(at + TTL, (hops << 8) | proto);
  view.setInt32(at + SOURCE, from);
  view.setInt32(at + DESTINATION, to);
  const total = 0x4500 + tos + length + id + word + (hops << 8) + proto + (from >>> 0) + (to >>> 0);
  view.setUint16(at + CHECKSUM, finish(total));
}

export const setTotalLength = (view: DataView, at: number, length: number): void => view.setUint16(at + LENGTH, length);
export const setIdentification = (view: DataView, at: number, id: number): void => view.setUint16(at + ID, id);
export const setFragmentWord = (view: DataView, at: number, word: number): void => view.setUint16(at + FRAGMENT, word);
export const setChecksum = (view: DataView, at: number, value: number): void => view.setUint16(at + CHECKSUM, value);

/** Computes the header checksum anew, options included. */
export function finishHeader(view: DataView, at: number): void {
  view.setUint16(at + CHECKSUM, 0);
  view.setUint16(at + CHECKSUM, finish(sum(view, at, headerLength(view, at))));
}

/** One hop less, the checksum updated with it: RFC 1624 eqn. 3 is one addition here, and never leaves 0xffff. The TTL was at least 1. */
export function decrementTtl(view: DataView, at: number): void {
  view.setUint8(at + TTL, view.getUint8(at + TTL) - 1);
  const now = view.getUint16(at + CHECKSUM) + 0x100;
  // Without a choice among the arguments: V8 then forgets what `view` is and calls its builtin, 10 ns against 1.
  view.setUint16(at + CHECKSUM, now + ((now + 1) >>> 16));
}

/** One line for people. */
export function format(view: DataView, at: number, end: number): string {
  if (end - at < HEADER_LEN) return 'ipv4 truncated';
  const fragment = isFragment(view, at)
    ? ` id ${identification(view, at)} offset ${fragmentOffset(view, at)}${moreFragments(view, at) ? '+' : ''}`
    : '';
  const addresses = `${formatAddress(v4(sourceWord(view, at)))} > ${formatAddress(v4(destinationWord(view, at)))}`;
  return `${addresses} ${protocolName(protocol(view, at))} length ${totalLength(view, at)} ttl ${ttl(view, at)}${fragment}`;
}
