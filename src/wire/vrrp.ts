/**
 * VRRP version 3 (RFC 9568 §5.2).
 *
 * ```
 *  0               1      2          3           4                    6          8
 *  | version, type | vrid | priority | addresses | 0 (4) interval(12) | checksum | addresses (4 or 16 each) |
 * ```
 */
import type { Address } from '../base/address.js';
import { finish, fold, sum } from '../base/checksum.js';
import { Drop } from '../base/drops.js';
import { putAddress } from './ipv6.js';
import { Protocol } from './protocol.js';
import { pseudoSum } from './transport-checksum.js';

/** Octets before the addresses. */
export const HEADER_LEN = 8;
/** Hop limit of all messages, that none comes through a router: RFC 9568 §5.1.1.3. */
export const HOP_LIMIT = 255;
/** Priority of the router whose own addresses the virtual ones are, and of one that gives up: §5.2.4. */
export const Priority = { Owner: 255, Default: 100, Resigns: 0 } as const;
/** Advertisement intervals are in hundredths of a second, of 12 bits: §5.2.7. */
export const INTERVAL_MAX = 4_095;

const VERSION_TYPE = 0x31;
const CHECKSUM = 6;

/**
 * 0 or a drop reason: version and type, all addresses there, checksum. Over IPv4 the checksum may cover a pseudo header or not: RFC 9568 §5.2.8 has
 * none, and implementers of RFC 5798 have read it either way.
 */
export function check(view: DataView, at: number, end: number, source: Address, destination: Address): number {
  if (end - at < HEADER_LEN) return Drop.VrrpTruncated;
  if (view.getUint8(at) !== VERSION_TYPE) return Drop.VrrpBadVersion;
  const length = HEADER_LEN + count(view, at) * (source.isV4 ? 4 : 16);
  if (count(view, at) === 0 || end - at < length) return Drop.VrrpTruncated;
  const total = sum(view, at, length);
  if (source.isV4 && fold(total) === 0xffff) return 0;
  return fold(total + pseudoSum(source, destination, Protocol.Vrrp, length)) === 0xffff ? 0 : Drop.VrrpBadChecksum;
}

export const vrid = (view: DataView, at: number): number => view.getUint8(at + 1);
export const priority = (view: DataView, at: number): number => view.getUint8(at + 2);
/** Addresses in the message. */
export const count = (view: DataView, at: number): number => view.getUint8(at + 3);
/** Hundredths of a second. */
export const interval = (view: DataView, at: number): number => view.getUint16(at + 4) & INTERVAL_MAX;

/** Writes a message and gives its end. `ends`: those of the pseudo header, null for none. */
export function put(
  view: DataView,
  at: number,
  id: number,
  prio: number,
  every: number,
  addresses: readonly Address[],
  ends: { readonly source: Address; readonly destination: Address } | null,
): number {
  view.setUint16(at, (VERSION_TYPE << 8) | id);
  view.setUint16(at + 2, (prio << 8) | addresses.length);
  view.setUint16(at + 4, every);
  view.setUint16(at + CHECKSUM, 0);
  let o = at + HEADER_LEN;
  for (const a of addresses) {
    if (a.isV4) view.setInt32(o, a.w3);
    else putAddress(view, o, a);
    o += a.isV4 ? 4 : 16;
  }
  const pseudo = ends === null ? 0 : pseudoSum(ends.source, ends.destination, Protocol.Vrrp, o - at);
  view.setUint16(at + CHECKSUM, finish(sum(view, at, o - at, pseudo)));
  return o;
}

/** One line for people. */
export function format(view: DataView, at: number, end: number): string {
  if (end - at < HEADER_LEN) return 'vrrp truncated';
  return `vrrp ${vrid(view, at)} priority ${priority(view, at)} interval ${interval(view, at) / 100} s, ${count(view, at)} addresses`;
}
