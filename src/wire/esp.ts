/**
 * ESP (RFC 4303 §2). The lengths of IV and ICV are the SA's.
 *
 * ```
 *  0     4          8
 *  | SPI | sequence | IV … | payload … | padding 1, 2, 3 … | pad length | next header | ICV …
 * ```
 */
import { Drop } from '../base/drops.js';

/** Octets before the IV. */
export const HEADER_LEN = 8;
/** Octets of pad length and next header. */
export const TRAILER_LEN = 2;

/** 0 or a drop reason: SPI and sequence are there, and the SPI is not 0, which never goes onto the wire (RFC 4303 §2.1). */
export function check(view: DataView, at: number, end: number): number {
  return end - at < HEADER_LEN + TRAILER_LEN || view.getInt32(at) === 0 ? Drop.EspTruncated : 0;
}

/** For an opened payload [at, end) that ends in the trailer: 0, or a drop reason when padding runs past it or is not 1, 2, 3 … (RFC 4303 §2.4). */
export function checkTrailer(view: DataView, at: number, end: number): number {
  if (end - at < TRAILER_LEN) return Drop.EspBadPadding;
  const pad = padLength(view, end);
  if (pad > end - at - TRAILER_LEN) return Drop.EspBadPadding;
  const first = end - TRAILER_LEN - pad;
  for (let i = 0; i < pad; i++) if (view.getUint8(first + i) !== i + 1) return Drop.EspBadPadding;
  return 0;
}

/** In [1, 2^32). */
export const spi = (view: DataView, at: number): number => view.getUint32(at);
/** Low 32 bits of the sequence number, in [0, 2^32). */
export const sequence = (view: DataView, at: number): number => view.getUint32(at + 4);
/** `end` is one past the trailer. */
export const padLength = (view: DataView, end: number): number => view.getUint8(end - 2);
export const nextHeader = (view: DataView, end: number): number => view.getUint8(end - 1);

/** Writes SPI and the low half of the sequence number. */
export function put(view: DataView, at: number, index: number, seq: number): void {
  view.setInt32(at, index);
  view.setInt32(at + 4, seq);
}

/** Writes `pad` octets of padding and the trailer; returns the octet behind. */
export function putTrailer(view: DataView, at: number, pad: number, next: number): number {
  for (let i = 0; i < pad; i++) view.setUint8(at + i, i + 1);
  view.setUint8(at + pad, pad);
  view.setUint8(at + pad + 1, next);
  return at + pad + TRAILER_LEN;
}

/** One line for people. */
export function format(view: DataView, at: number, end: number): string {
  if (end - at < HEADER_LEN) return 'esp truncated';
  return `esp spi 0x${spi(view, at).toString(16).padStart(8, '0')} sequence ${sequence(view, at)}`;
}
