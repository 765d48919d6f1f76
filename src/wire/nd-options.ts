/**
 * Options of neighbour discovery (RFC 4861 §4.6, RFC 4191 §2.3, RFC 8106 §5, RFC 8781 §4, RFC 3971 §5.3.2).
 *
 * ```
 *  | type | length in 8 octets | …
 *
 *  1, 2   link-layer address (6)                                             8
 *  3      prefix length | L A flags | valid | preferred | 0 | prefix         32
 *  4      0 | header and data of the redirected packet                       8 + n
 *  5      0 | MTU                                                            8
 *  14     nonce                                                              8n
 *  24     prefix length | preference | lifetime | prefix (0, 8 or 16)        8, 16, 24
 *  25     0 | lifetime | resolvers (16 each)                                 8 + 16n
 *  31     0 | lifetime | domains as DNS labels, padding                      8n
 *  38     scaled lifetime, prefix length code | prefix (12)                  16
 * ```
 */
import type { Address } from '../base/address.js';
import { address, putAddress } from './ipv6.js';

/** Option types (IANA icmpv6-parameters). */
export const Kind = {
  SourceLink: 1,
  TargetLink: 2,
  Prefix: 3,
  Redirected: 4,
  Mtu: 5,
  Nonce: 14,
  Route: 24,
  Rdnss: 25,
  Dnssl: 31,
  Pref64: 38,
} as const;

/** Flags of a prefix option (RFC 4861 §4.6.2). */
export const PrefixFlag = { OnLink: 0x80, Autonomous: 0x40 } as const;
/** A lifetime that does not end. */
export const FOREVER = 0xffff_ffff;

/** Octets of the options we write. */
export const LINK_LEN = 8;
export const PREFIX_LEN = 32;
export const MTU_LEN = 8;
export const NONCE_LEN = 8;
export const PREF64_LEN = 16;

/** All of [at, end) is options, none of length 0 (RFC 4861 §6.1.1). At most 8,191 rounds: each takes 8 octets of a packet. */
export function soundOptions(view: DataView, at: number, end: number): boolean {
  while (at < end) {
    if (end - at < 8) return false;
    const length = view.getUint8(at + 1) << 3;
    if (length === 0 || length > end - at) return false;
    at += length;
  }
  return true;
}

/** Octets of the option. */
export const length = (view: DataView, at: number): number => view.getUint8(at + 1) << 3;
/** The option behind this one; `end` behind the last. */
export const next = (view: DataView, at: number): number => at + (view.getUint8(at + 1) << 3);

/**
 * Type of the option, or 0 when its length does not fit the type: such a one is skipped like an unknown one (RFC 4861 §4.6,
 * RFC 8106 §5.3.1, RFC 8781 §5.1), so that the getters of a type cannot fail.
 */
export function kind(view: DataView, at: number): number {
  const found = view.getUint8(at);
  return fits(view, at, found, view.getUint8(at + 1)) ? found : 0;
}

function fits(view: DataView, at: number, type: number, units: number): boolean {
  switch (type) {
    case Kind.SourceLink:
    case Kind.TargetLink:
    case Kind.Mtu:
      return units === 1;
    case Kind.Prefix:
      return units === 4 && view.getUint8(at + 2) <= 128;
    case Kind.Route: {
      const bits = view.getUint8(at + 2);
      return units <= 3 && bits <= 128 && bits <= (units - 1) << 6;
    }
    case Kind.Rdnss:
      return units >= 3 && units % 2 === 1;
    case Kind.Dnssl:
      return units >= 2;
    case Kind.Pref64:
      return units === 2 && (view.getUint8(at + 3) & 7) <= 5;
    default:
      return true;
  }
}

/** First option of the type with a fitting length in [at, end), or −1. Only after `nd.check`. */
export function find(view: DataView, at: number, end: number, wanted: number): number {
  for (let o = at; o < end; o = next(view, o)) if (kind(view, o) === wanted) return o;
  return -1;
}

/** Of SourceLink and TargetLink: an Ethernet address (RFC 2464 §6). */
export const linkHigh = (view: DataView, at: number): number => view.getUint16(at + 2);
export const linkLow = (view: DataView, at: number): number => view.getInt32(at + 4);
export const mtu = (view: DataView, at: number): number => view.getUint32(at + 4);

/** Of Prefix, and of Route: bits that count, [0, 128]. */
export const prefixLength = (view: DataView, at: number): number => view.getUint8(at + 2);
/** Bits of PrefixFlag. */
export const prefixFlags = (view: DataView, at: number): number => view.getUint8(at + 3);
/** Seconds, FOREVER among them. */
export const prefixValid = (view: DataView, at: number): number => view.getUint32(at + 4);
export const prefixPreferred = (view: DataView, at: number): number => view.getUint32(at + 8);
export const prefix = (view: DataView, at: number, into: Address): void => address(view, at + 16, into);

/** Flags octet of a route option, for `nd.preference`. */
export const routeFlags = (view: DataView, at: number): number => view.getUint8(at + 3);
/** Seconds. Of Route, Rdnss and Dnssl. */
export const lifetime = (view: DataView, at: number): number => view.getUint32(at + 4);
/** The option holds as many octets of the prefix as its length says; the others are 0. */
export function routePrefix(view: DataView, at: number, into: Address): void {
  const units = view.getUint8(at + 1);
  const first = units > 1;
  const second = units > 2;
  into.set(
    first ? view.getInt32(at + 8) : 0,
    first ? view.getInt32(at + 12) : 0,
    second ? view.getInt32(at + 16) : 0,
    second ? view.getInt32(at + 20) : 0,
  );
}

/** Resolvers in an Rdnss option, [1, 127], and the one at `index`. */
export const resolvers = (view: DataView, at: number): number => (view.getUint8(at + 1) - 1) >> 1;
export const resolver = (view: DataView, at: number, index: number, into: Address): void => address(view, at + 8 + 16 * index, into);

/** Where the domains of a Dnssl option begin; they end with the option. In DNS labels, uncompressed, zero-padded (RFC 8106 §5.2). */
export const domains = (at: number): number => at + 8;

/** Seconds a NAT64 prefix is valid, a multiple of 8 (RFC 8781 §4). */
export const pref64Lifetime = (view: DataView, at: number): number => view.getUint16(at + 2) & 0xfff8;
/** Bits of the prefix: 96, 64, 56, 48, 40 or 32 (RFC 8781 §4). */
export function pref64Length(view: DataView, at: number): number {
  const code = view.getUint16(at + 2) & 7;
  return code === 0 ? 96 : 72 - 8 * code;
}
/** The option holds 96 bits; the rest is 0. */
export const pref64Prefix = (view: DataView, at: number, into: Address): void =>
  into.set(view.getInt32(at + 4), view.getInt32(at + 8), view.getInt32(at + 12), 0);

/** First octet of a nonce; it ends with the option. 6 octets in what we write (RFC 3971 §5.3.2, RFC 7527 §4.1). */
export const nonce = (at: number): number => at + 2;
/** First octet of what a redirect quotes; it ends with the option. */
export const redirected = (at: number): number => at + 8;

/** Writes a link-layer address option; all `put` return the octet behind. */
export function putLink(view: DataView, at: number, type: number, high: number, low: number): number {
  view.setUint16(at, (type << 8) | 1);
  view.setUint16(at + 2, high);
  view.setInt32(at + 4, low);
  return at + LINK_LEN;
}

/** Writes a prefix option; lifetimes in seconds. */
export function putPrefix(view: DataView, at: number, bits: number, flags: number, valid: number, preferred: number, value: Address): number {
  view.setInt32(at, (Kind.Prefix << 24) | (4 << 16) | (bits << 8) | flags);
  view.setUint32(at + 4, valid);
  view.setUint32(at + 8, preferred);
  view.setInt32(at + 12, 0);
  putAddress(view, at + 16, value);
  return at + PREFIX_LEN;
}

/** Writes an MTU option. */
export function putMtu(view: DataView, at: number, octets: number): number {
  view.setInt32(at, (Kind.Mtu << 24) | (1 << 16));
  view.setUint32(at + 4, octets);
  return at + MTU_LEN;
}

/** Writes a nonce option of 48 bits. */
export function putNonce(view: DataView, at: number, high: number, low: number): number {
  return putLink(view, at, Kind.Nonce, high, low);
}

/** Writes a route option: as short as the prefix allows. `flags` holds the preference bits; lifetime in seconds. */
export function putRoute(view: DataView, at: number, bits: number, flags: number, seconds: number, value: Address): number {
  const units = bits === 0 ? 1 : bits <= 64 ? 2 : 3;
  view.setInt32(at, (Kind.Route << 24) | (units << 16) | (bits << 8) | flags);
  view.setUint32(at + 4, seconds);
  if (units > 1) {
    view.setInt32(at + 8, value.w0);
    view.setInt32(at + 12, value.w1);
  }
  if (units > 2) {
    view.setInt32(at + 16, value.w2);
    view.setInt32(at + 20, value.w3);
  }
  return at + 8 * units;
}

/** Writes an Rdnss option of 1 to 127 resolvers. */
export function putRdnss(view: DataView, at: number, seconds: number, servers: readonly Address[]): number {
  view.setInt32(at, (Kind.Rdnss << 24) | ((1 + 2 * servers.length) << 16));
  view.setUint32(at + 4, seconds);
  for (let i = 0; i < servers.length; i++) putAddress(view, at + 8 + 16 * i, servers[i] as Address);
  return at + 8 + 16 * servers.length;
}

/** Writes a Dnssl option around `labels`: domains as DNS labels, at most 2,032 octets. */
export function putDnssl(view: DataView, at: number, seconds: number, labels: Uint8Array): number {
  const units = 1 + ((labels.length + 7) >> 3);
  view.setInt32(at, (Kind.Dnssl << 24) | (units << 16));
  view.setUint32(at + 4, seconds);
  for (let i = 0; i < (units - 1) << 3; i++) view.setUint8(at + 8 + i, labels[i] ?? 0);
  return at + 8 * units;
}

/** Writes a NAT64 prefix option. `bits` is 96, 64, 56, 48, 40 or 32; the lifetime is rounded up to a multiple of 8 s, at most 65,528. */
export function putPref64(view: DataView, at: number, bits: number, seconds: number, value: Address): number {
  const scaled = Math.min(Math.ceil(seconds / 8), 8191);
  view.setUint16(at, (Kind.Pref64 << 8) | 2);
  view.setUint16(at + 2, (scaled << 3) | (bits === 96 ? 0 : (72 - bits) >> 3));
  view.setInt32(at + 4, value.w0);
  view.setInt32(at + 8, value.w1);
  view.setInt32(at + 12, value.w2);
  return at + PREF64_LEN;
}
