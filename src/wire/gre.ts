/**
 * GRE (RFC 2784 §2, RFC 2890 §2).
 *
 * ```
 *  0 1 2 3 4 … 12 13-15   2      4
 *  |C|0|K|S| 0   | ver | type | checksum, 0 | key | sequence | payload      the last three only with C, K, S
 * ```
 */
import { finish, fold, sum } from '../base/checksum.js';
import { Drop } from '../base/drops.js';

/** Octets of the header without optional fields. */
export const HEADER_LEN = 4;
/** Bits of the first word. */
export const Flag = { Checksum: 0x8000, Key: 0x2000, Sequence: 0x1000 } as const;
/** Bits 1, 4 and 5: a receiver that does not speak RFC 1701 refuses them (RFC 2784 §2.3). */
const REFUSED = 0x4c00;

/** 0 or a drop reason. The checksum covers [at, end). */
export function check(view: DataView, at: number, end: number): number {
  if (end - at < HEADER_LEN) return Drop.GreTruncated;
  const word = view.getUint16(at);
  if ((word & 7) !== 0 || (word & REFUSED) !== 0) return Drop.GreBadFlags;
  if (end - at < headerLength(view, at)) return Drop.GreTruncated;
  return (word & Flag.Checksum) !== 0 && fold(sum(view, at, end - at)) !== 0xffff ? Drop.GreBadChecksum : 0;
}

/** Bits of Flag. */
export const flags = (view: DataView, at: number): number => view.getUint16(at) & 0xb000;
/** EtherType of the payload; 0x6558 is a bridged Ethernet frame. */
export const type = (view: DataView, at: number): number => view.getUint16(at + 2);
/** Octets of the header with the fields its flags announce. */
export const headerLength = (view: DataView, at: number): number => lengthOf(view.getUint16(at));
/** Octets of a header with these flags. */
export const lengthOf = (word: number): number =>
  HEADER_LEN + ((word & Flag.Checksum) >>> 13) + ((word & Flag.Key) >>> 11) + ((word & Flag.Sequence) >>> 10);
/** Key in [0, 2^32), or −1 without one. */
export const key = (view: DataView, at: number): number =>
  (view.getUint16(at) & Flag.Key) === 0 ? -1 : view.getUint32(at + HEADER_LEN + ((view.getUint16(at) & Flag.Checksum) >>> 13));
/** Sequence number in [0, 2^32), or −1 without one. */
export const sequence = (view: DataView, at: number): number =>
  (view.getUint16(at) & Flag.Sequence) === 0 ? -1 : view.getUint32(at + headerLength(view, at) - 4);

/** Writes the header with `word`'s fields, the checksum zero; `finishPacket` follows when there is one. Returns the octet behind. */
export function put(view: DataView, at: number, word: number, etherType: number, keyValue: number, seq: number): number {
  view.setUint16(at, word);
  view.setUint16(at + 2, etherType);
  let o = at + HEADER_LEN;
  if ((word & Flag.Checksum) !== 0) {
    view.setInt32(o, 0);
    o += 4;
  }
  if ((word & Flag.Key) !== 0) {
    view.setInt32(o, keyValue);
    o += 4;
  }
  if ((word & Flag.Sequence) !== 0) {
    view.setInt32(o, seq);
    o += 4;
  }
  return o;
}

/** Computes the checksum of header and payload in [at, end). Only with Flag.Checksum. */
export function finishPacket(view: DataView, at: number, end: number): void {
  view.setUint16(at + HEADER_LEN, 0);
  view.setUint16(at + HEADER_LEN, finish(sum(view, at, end - at)));
}

/** One line for people. */
export function format(view: DataView, at: number, end: number): string {
  if (end - at < HEADER_LEN || end - at < headerLength(view, at)) return 'gre truncated';
  const named = key(view, at) < 0 ? '' : ` key ${key(view, at)}`;
  return `gre type 0x${type(view, at).toString(16).padStart(4, '0')}${named}`;
}
