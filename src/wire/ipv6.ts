// hot: bench/micro/wire
/**
 * IPv6 (RFC 8200 §3, §4).
 *
 * ```
 *  0   4       12                    4                6      7       8            24             40
 *  |ver| class |     flow label      | payload length | next | hops  |   source   | destination  | extension headers, payload
 *
 *  extension header:  | next | length in 8 octets, the first not counted | options or data …
 *  fragment header:   | next | 0 | offset(13) 0 0 M | identification(32) |
 *  option:            | action(2) change(1) type(5) | length | data … ; Pad1 is one octet 0
 * ```
 */
import { Address, formatAddress } from '../base/address.js';
import { Drop } from '../base/drops.js';
import { Protocol, protocolName } from './protocol.js';

/** Octets of the fixed header. */
export const HEADER_LEN = 40;
/** Octets of a fragment header. */
export const FRAGMENT_LEN = 8;
/** Least link MTU (RFC 8200 §5). */
export const MTU_MIN = 1280;
/** Extension headers followed in one packet; more is an attack on whoever follows them (RFC 8504 §5.3 allows a limit). */
export const EXTENSIONS_MAX = 8;
/** Options looked at in one header, padding not counted; RFC 8504 §5.3 suggests 8 non-padding options. */
export const OPTIONS_MAX = 8;

/** Offsets of fields that errors point at. */
export const PAYLOAD_LENGTH = 4;
export const NEXT_HEADER = 6;
const HOP_LIMIT = 7;
const SOURCE = 8;
const DESTINATION = 24;

/** 0 or a drop reason: version and payload length. What lies past the payload length is padding. Jumbograms (RFC 2675) are not spoken. */
export function check(view: DataView, at: number, end: number): number {
  if (end - at < HEADER_LEN) return Drop.IpTruncated;
  if (view.getUint8(at) >>> 4 !== 6) return Drop.IpBadVersion;
  return view.getUint16(at + PAYLOAD_LENGTH) > end - at - HEADER_LEN ? Drop.IpBadLength : 0;
}

export const version = (view: DataView, at: number): number => view.getUint8(at) >>> 4;
/** DSCP and ECN. */
export const trafficClass = (view: DataView, at: number): number => (view.getUint16(at) >>> 4) & 0xff;
export const flowLabel = (view: DataView, at: number): number => view.getInt32(at) & 0xfffff;
/** Octets behind the fixed header. */
export const payloadLength = (view: DataView, at: number): number => view.getUint16(at + PAYLOAD_LENGTH);
export const nextHeader = (view: DataView, at: number): number => view.getUint8(at + NEXT_HEADER);
export const hopLimit = (view: DataView, at: number): number => view.getUint8(at + HOP_LIMIT);
export const source = (view: DataView, at: number, into: Address): void => address(view, at + SOURCE, into);
export const destination = (view: DataView, at: number, into: Address): void => address(view, at + DESTINATION, into);

/** Reads an address of 16 octets. */
export const address = (view: DataView, at: number, into: Address): void =>
  into.set(view.getInt32(at), view.getInt32(at + 4), view.getInt32(at + 8), view.getInt32(at + 12));

/** Offset of a fragment header's data in the datagram, in octets: [0, 65528]. `at` is the fragment header. */
export const fragmentOffset = (view: DataView, at: number): number => view.getUint16(at + 2) & 0xfff8;
export const moreFragments = (view: DataView, at: number): boolean => (view.getUint16(at + 2) & 1) === 1;
/** As int32. */
export const fragmentId = (view: DataView, at: number): number => view.getInt32(at + 4);
export const fragmentNext = (view: DataView, at: number): number => view.getUint8(at);

/** Routing header types (IANA ipv6-parameters). Type 0 is deprecated and refused like an unknown one (RFC 5095 §3). */
export const Routing = { Source: 0, Mobile: 2, Rpl: 3, Segment: 4 } as const;

/** Option types of hop-by-hop and destination options (IANA ipv6-parameters). */
export const Option = { Pad1: 0, PadN: 1, RouterAlert: 0x05, TunnelLimit: 0x04, Jumbo: 0xc2 } as const;

/** What the sender asks of a node that does not know an option: the two high bits of its type (RFC 8200 §4.2). */
export const Action = { Skip: 0, Discard: 1, Report: 2, ReportUnlessGroup: 3 } as const;

/** Parameter problem codes that the walk asks for (RFC 4443 §3.4, RFC 7112 §5). */
export const Problem = { None: -1, Field: 0, NextHeader: 1, Option: 2, FirstFragment: 3 } as const;

/** Where a walk over the extension headers has come to. Owned and reused by the caller. */
export class Chain {
  /** What the walk stopped at: an upper protocol, a fragment header, AH, ESP or no next header. */
  protocol = 0;
  /** Its first octet. */
  offset = 0;
  /** The octet that named it: where a parameter problem about an unknown protocol points. */
  nextField = 0;
  /** Routing header's first octet, −1 without one, and its type. */
  routing = -1;
  routingType = -1;
  /** First octet of the hop-by-hop header, or −1. Only this one counts for routers. */
  hopByHop = -1;
  /** A router alert option's value (RFC 2711 §2.1), or −1. */
  routerAlert = -1;
  /** A skim came by a fragment header. */
  fragmented = false;
  /** Extension headers passed. */
  headers = 0;
  /** Of a refusal: the parameter problem to report, Problem.None for silence, and the octet it points at. */
  problem: number = Problem.None;
  pointer = 0;
  /** Report only when the destination is no group (Action.ReportUnlessGroup); all others are reported to groups too (RFC 4443 §2.4e). */
  unlessGroup = false;
}

/**
 * Follows the extension headers of the packet at `at`, whose fixed header has been checked, up to the first header that is
 * none, or a fragment header. 0 or a drop reason; the problem to report stands in `chain` then. `end` is the end of the payload.
 */
export function walk(view: DataView, at: number, end: number, chain: Chain): number {
  const drop = walkHopByHop(view, at, end, chain);
  return drop !== 0 ? drop : follow(view, end, chain);
}

function start(view: DataView, at: number, chain: Chain): void {
  chain.routing = chain.routingType = chain.hopByHop = chain.routerAlert = -1;
  chain.headers = 0;
  chain.problem = Problem.None;
  chain.unlessGroup = chain.fragmented = false;
  chain.offset = at + HEADER_LEN;
  chain.nextField = at + NEXT_HEADER;
  chain.protocol = view.getUint8(at + NEXT_HEADER);
}

/** Only the hop-by-hop header: all of the chain that a router on the way judges (RFC 8200 §4). 0 or a drop reason, as `walk`. */
export function walkHopByHop(view: DataView, at: number, end: number, chain: Chain): number {
  start(view, at, chain);
  if (chain.protocol !== Protocol.HopByHop) return 0;
  chain.hopByHop = chain.offset;
  return passHeader(view, end, chain);
}

/**
 * Where the transport header is, as far as the octets tell, judging nothing: for filters on the way and for what errors quote.
 * Passes first fragments' headers; stops at later fragments with protocol Fragment, and where a header is cut short.
 */
export function skim(view: DataView, at: number, end: number, chain: Chain): void {
  start(view, at, chain);
  while (++chain.headers <= EXTENSIONS_MAX + 1 && end - chain.offset >= 8) {
    const { protocol, offset } = chain;
    if (protocol === Protocol.Fragment) {
      chain.fragmented = true;
      if (fragmentOffset(view, offset) !== 0) return;
      chain.offset += FRAGMENT_LEN;
    } else if (protocol === Protocol.HopByHop || protocol === Protocol.DestinationOptions || protocol === Protocol.Routing) {
      const behind = offset + ((view.getUint8(offset + 1) + 1) << 3);
      if (behind > end) return;
      chain.offset = behind;
    } else return;
    chain.nextField = offset;
    chain.protocol = view.getUint8(offset);
  }
}

/** Goes on behind the fragment header at which `walk` stopped: for first fragments, which must hold all headers (RFC 7112 §5). `at` is the fixed header. */
export function walkFragment(view: DataView, at: number, end: number, chain: Chain): number {
  chain.nextField = chain.offset;
  chain.protocol = view.getUint8(chain.offset);
  chain.offset += FRAGMENT_LEN;
  const drop = follow(view, end, chain);
  return drop === Drop.IpTruncated ? refuse(chain, drop, Problem.FirstFragment, at) : drop;
}

function follow(view: DataView, end: number, chain: Chain): number {
  for (;;) {
    switch (chain.protocol) {
      case Protocol.HopByHop: // Not right behind the fixed header: RFC 8200 §4.
        return refuse(chain, Drop.IpBadExtension, Problem.NextHeader, chain.nextField);
      case Protocol.Fragment:
        if (end - chain.offset < FRAGMENT_LEN) return Drop.IpTruncated;
        return 0;
      case Protocol.DestinationOptions:
      case Protocol.Routing: {
        const drop = passHeader(view, end, chain);
        if (drop !== 0) return drop;
        break;
      }
      default:
        return 0;
    }
  }
}

/** Steps over one options or routing header. */
function passHeader(view: DataView, end: number, chain: Chain): number {
  if (++chain.headers > EXTENSIONS_MAX) return Drop.IpExtensionsTooMany;
  const at = chain.offset;
  if (end - at < 8) return Drop.IpTruncated;
  const behind = at + ((view.getUint8(at + 1) + 1) << 3);
  if (behind > end) return Drop.IpTruncated;
  const drop = chain.protocol === Protocol.Routing ? passRouting(view, at, chain) : passOptions(view, at + 2, behind, chain);
  if (drop !== 0) return drop;
  chain.protocol = view.getUint8(at);
  chain.nextField = at;
  chain.offset = behind;
  return 0;
}

/** We are no waypoint: a routing header is passed with no segments left and refused otherwise (RFC 8200 §4.4). */
function passRouting(view: DataView, at: number, chain: Chain): number {
  chain.routing = at;
  chain.routingType = view.getUint8(at + 2);
  return view.getUint8(at + 3) === 0 ? 0 : refuse(chain, Drop.IpRoutingHeader, Problem.Field, at + 2);
}

function passOptions(view: DataView, from: number, end: number, chain: Chain): number {
  let options = 0;
  for (let o = from; o < end; ) {
    const kind = view.getUint8(o);
    if (kind === Option.Pad1) {
      o++;
      continue;
    }
    if (o + 2 > end) return refuse(chain, Drop.IpBadExtension, Problem.Field, o);
    const length = view.getUint8(o + 1);
    if (length > end - o - 2) return refuse(chain, Drop.IpBadExtension, Problem.Field, o + 1);
    if (kind !== Option.PadN && ++options > OPTIONS_MAX) return Drop.IpExtensionsTooMany;
    if (kind === Option.RouterAlert && length === 2) {
      if (chain.protocol === Protocol.HopByHop) chain.routerAlert = view.getUint16(o + 2);
    } else if (kind !== Option.PadN && kind >>> 6 !== Action.Skip) {
      if (kind >>> 6 === Action.Discard) return Drop.IpUnknownOption;
      chain.unlessGroup = kind >>> 6 === Action.ReportUnlessGroup;
      return refuse(chain, Drop.IpUnknownOption, Problem.Option, o);
    }
    o += 2 + length;
  }
  return 0;
}

function refuse(chain: Chain, drop: number, problem: number, pointer: number): number {
  chain.problem = problem;
  chain.pointer = pointer;
  return drop;
}

/** Writes the fixed header. */
export function put(
  view: DataView,
  at: number,
  tos: number,
  flow: number,
  length: number,
  next: number,
  hops: number,
  from: Address,
  to: Address,
): void {
  view.setInt32(at, 0x60000000 | (tos << 20) | flow);
  view.setUint16(at + PAYLOAD_LENGTH, length);
  view.setUint16(at + NEXT_HEADER, (next << 8) | hops);
  putAddress(view, at + SOURCE, from);
  putAddress(view, at + DESTINATION, to);
}

/** Writes an address of 16 octets. */
export function putAddress(view: DataView, at: number, value: Address): void {
  view.setInt32(at, value.w0);
  view.setInt32(at + 4, value.w1);
  view.setInt32(at + 8, value.w2);
  view.setInt32(at + 12, value.w3);
}

/** Writes a fragment header. `offset` is in octets, a multiple of 8. */
export function putFragment(view: DataView, at: number, next: number, offset: number, more: boolean, id: number): void {
  view.setUint16(at, next << 8);
  view.setUint16(at + 2, offset | (more ? 1 : 0));
  view.setInt32(at + 4, id);
}

/** Writes a hop-by-hop header of 8 octets with a router alert (RFC 2711), as MLD needs it. */
export function putRouterAlert(view: DataView, at: number, next: number, value: number): void {
  view.setUint16(at, next << 8);
  view.setUint16(at + 2, (Option.RouterAlert << 8) | 2);
  view.setUint16(at + 4, value);
  view.setUint16(at + 6, Option.PadN << 8);
}

/** Writes a destination options header of 8 octets with a tunnel encapsulation limit (RFC 2473 §4.1.1). */
export function putTunnelLimit(view: DataView, at: number, next: number, limit: number): void {
  view.setUint16(at, next << 8);
  view.setUint16(at + 2, (Option.TunnelLimit << 8) | 1);
  view.setUint8(at + 4, limit);
  view.setUint16(at + 5, (Option.PadN << 8) | 1);
  view.setUint8(at + 7, 0);
}

/** Where the tunnel encapsulation limit stands that the packet at `at` brings along, in the options right behind its header; −1 without one. RFC 2473 §4.1.1. */
export function tunnelLimit(view: DataView, at: number, end: number): number {
  if (end - at < HEADER_LEN + 8 || nextHeader(view, at) !== Protocol.DestinationOptions) return -1;
  const behind = at + HEADER_LEN + ((view.getUint8(at + HEADER_LEN + 1) + 1) << 3);
  if (behind > end) return -1;
  for (let o = at + HEADER_LEN + 2; o + 2 < behind; ) {
    if (view.getUint8(o) === Option.TunnelLimit) return view.getUint8(o + 1) === 1 ? o + 2 : -1;
    o += view.getUint8(o) === Option.Pad1 ? 1 : 2 + view.getUint8(o + 1);
  }
  return -1;
}

export const setPayloadLength = (view: DataView, at: number, length: number): void => view.setUint16(at + PAYLOAD_LENGTH, length);
export const setNextHeader = (view: DataView, at: number, next: number): void => view.setUint8(at + NEXT_HEADER, next);
export const setHopLimit = (view: DataView, at: number, hops: number): void => view.setUint8(at + HOP_LIMIT, hops);

/** One line for people. */
export function format(view: DataView, at: number, end: number): string {
  if (end - at < HEADER_LEN) return 'ipv6 truncated';
  const from = new Address();
  const to = new Address();
  source(view, at, from);
  destination(view, at, to);
  const text = `${formatAddress(from)} > ${formatAddress(to)}`;
  return `${text} ${protocolName(nextHeader(view, at))} payload ${payloadLength(view, at)} hops ${hopLimit(view, at)}`;
}
