/**
 * Neighbour discovery (RFC 4861 §4), over ICMPv6 messages that passed `icmpv6.check`.
 *
 * ```
 *  0      1      2          4              8        24            40
 *  |  133 | code | checksum | 0            | options …                       router solicitation
 *  |  134 | code | checksum | hops|flags|lifetime | reachable | retrans | options at 16
 *  |  135 | code | checksum | 0            | target | options …              neighbour solicitation
 *  |  136 | code | checksum | flags        | target | options …              neighbour advertisement
 *  |  137 | code | checksum | 0            | target | destination | options … redirect
 * ```
 * The options are in nd-options.
 */
import { Address, formatAddress } from '../base/address.js';
import { Drop } from '../base/drops.js';
import { Type } from './icmpv6.js';
import { address, putAddress } from './ipv6.js';
import { soundOptions } from './nd-options.js';

/** Octets before the options. */
export const SOLICITATION_LEN = 24;
export const ADVERTISEMENT_LEN = 24;
export const ROUTER_SOLICITATION_LEN = 8;
export const ROUTER_ADVERTISEMENT_LEN = 16;
export const REDIRECT_LEN = 40;

/** All messages are sent with this hop limit, so that none comes through a router (RFC 4861 §6.1, §7.1). */
export const HOP_LIMIT = 255;

const TARGET = 8;
const DESTINATION = 24;

/** Flags of a neighbour advertisement (RFC 4861 §4.4), of its octet 4. */
export const NaFlag = { Router: 0x80, Solicited: 0x40, Override: 0x20 } as const;
/** Flags of a router advertisement (RFC 4861 §4.2, RFC 4191 §2.2), of its octet 5. */
export const RaFlag = { Managed: 0x80, Other: 0x40, HomeAgent: 0x20, Preference: 0x18 } as const;

/**
 * 0 or a drop reason: what RFC 4861 §6.1, §7.1 and §8.1 ask of the message itself: code 0, length, no option of length 0, a
 * target that is no group. Hop limit, checksum and addresses of the packet are the caller's to check.
 */
export function check(view: DataView, at: number, end: number): number {
  const fixed = end - at < 8 ? 0 : fixedLength(view.getUint8(at));
  if (fixed === 0 || end - at < fixed) return Drop.NdTruncated;
  if (view.getUint8(at + 1) !== 0 || !soundOptions(view, at + fixed, end)) return Drop.NdMalformed;
  return fixed >= SOLICITATION_LEN && view.getUint8(at + TARGET) === 0xff ? Drop.NdMalformed : 0;
}

/** Octets of a message before its options, 0 for types that are none of these. */
function fixedLength(kind: number): number {
  switch (kind) {
    case Type.RouterSolicitation:
      return ROUTER_SOLICITATION_LEN;
    case Type.RouterAdvertisement:
      return ROUTER_ADVERTISEMENT_LEN;
    case Type.NeighborSolicitation:
    case Type.NeighborAdvertisement:
      return SOLICITATION_LEN;
    case Type.Redirect:
      return REDIRECT_LEN;
    default:
      return 0;
  }
}

/** Where the options begin. */
export const options = (view: DataView, at: number): number => at + fixedLength(view.getUint8(at));

/** Of solicitation, advertisement and redirect. */
export const target = (view: DataView, at: number, into: Address): void => address(view, at + TARGET, into);
/** Of a redirect: what is reached through the target. */
export const destination = (view: DataView, at: number, into: Address): void => address(view, at + DESTINATION, into);
/** Bits of NaFlag. */
export const naFlags = (view: DataView, at: number): number => view.getUint8(at + 4);

/** Hop limit for hosts to use; 0 says nothing. */
export const raHopLimit = (view: DataView, at: number): number => view.getUint8(at + 4);
/** Bits of RaFlag. */
export const raFlags = (view: DataView, at: number): number => view.getUint8(at + 5);
/** Default router preference: 1 high, 0 medium, −1 low; the reserved value counts as medium (RFC 4191 §2.2). */
export const raPreference = (view: DataView, at: number): number => preference(view.getUint8(at + 5));
/** Seconds it serves as default router, [0, 65535]; 0: it does not. */
export const raLifetime = (view: DataView, at: number): number => view.getUint16(at + 6);
/** Milliseconds; 0 says nothing. */
export const raReachable = (view: DataView, at: number): number => view.getUint32(at + 8);
/** Milliseconds between solicitations; 0 says nothing. */
export const raRetrans = (view: DataView, at: number): number => view.getUint32(at + 12);

/** Decodes the two preference bits of a flags octet: 01 high, 00 and 10 medium, 11 low. */
export function preference(octet: number): number {
  const bits = (octet >>> 3) & 3;
  return bits === 1 ? 1 : bits === 3 ? -1 : 0;
}

/** Encodes a preference of −1, 0 or 1 into the bits of a flags octet. */
export const preferenceBits = (value: number): number => (value & 3) << 3;

/** Writes a neighbour solicitation with a zero checksum; returns the octet behind, where options go. */
export function putSolicitation(view: DataView, at: number, wanted: Address): number {
  putHead(view, at, Type.NeighborSolicitation, 0);
  putAddress(view, at + TARGET, wanted);
  return at + SOLICITATION_LEN;
}

/** Writes a neighbour advertisement; `bits` of NaFlag. */
export function putAdvertisement(view: DataView, at: number, bits: number, about: Address): number {
  putHead(view, at, Type.NeighborAdvertisement, bits << 24);
  putAddress(view, at + TARGET, about);
  return at + ADVERTISEMENT_LEN;
}

/** Writes a router solicitation. */
export function putRouterSolicitation(view: DataView, at: number): number {
  putHead(view, at, Type.RouterSolicitation, 0);
  return at + ROUTER_SOLICITATION_LEN;
}

/** Writes a router advertisement; `bits` of RaFlag with the preference in them, lifetime in seconds, the others in milliseconds. */
export function putRouterAdvertisement(
  view: DataView,
  at: number,
  hops: number,
  bits: number,
  lifetime: number,
  reachableMs: number,
  retransMs: number,
): number {
  putHead(view, at, Type.RouterAdvertisement, (hops << 24) | (bits << 16) | lifetime);
  view.setUint32(at + 8, reachableMs);
  view.setUint32(at + 12, retransMs);
  return at + ROUTER_ADVERTISEMENT_LEN;
}

/** Writes a redirect. */
export function putRedirect(view: DataView, at: number, better: Address, about: Address): number {
  putHead(view, at, Type.Redirect, 0);
  putAddress(view, at + TARGET, better);
  putAddress(view, at + DESTINATION, about);
  return at + REDIRECT_LEN;
}

function putHead(view: DataView, at: number, kind: number, word: number): void {
  view.setInt32(at, kind << 24);
  view.setInt32(at + 4, word);
}

/** One line for people. */
export function format(view: DataView, at: number, end: number): string {
  if (check(view, at, end) !== 0) return 'nd malformed';
  const kind = view.getUint8(at);
  if (kind === Type.RouterSolicitation) return 'nd router solicitation';
  if (kind === Type.RouterAdvertisement) return `nd router advertisement lifetime ${raLifetime(view, at)}`;
  const about = new Address();
  target(view, at, about);
  if (kind === Type.NeighborSolicitation) return `nd who has ${formatAddress(about)}`;
  return `nd ${kind === Type.Redirect ? 'redirect to' : 'advertisement of'} ${formatAddress(about)}`;
}
