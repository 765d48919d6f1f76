/**
 * AH (RFC 4302 §2).
 *
 * ```
 *  0      1        2   4     8          12
 *  | next | length | 0 | SPI | sequence | ICV …      length counts words, less 2
 * ```
 */
import { Drop } from '../base/drops.js';

/** Octets before the ICV. */
export const HEADER_LEN = 12;

/** 0 or a drop reason: the whole header with its ICV is there, and the SPI is not 0. */
export function check(view: DataView, at: number, end: number): number {
  if (end - at < HEADER_LEN) return Drop.AhTruncated;
  const octets = headerLength(view, at);
  return octets < HEADER_LEN || octets > end - at || view.getInt32(at + 4) === 0 ? Drop.AhTruncated : 0;
}

export const nextHeader = (view: DataView, at: number): number => view.getUint8(at);
/** Octets of the header, ICV and its padding included. */
export const headerLength = (view: DataView, at: number): number => (view.getUint8(at + 1) + 2) << 2;
/** In [1, 2^32). */
export const spi = (view: DataView, at: number): number => view.getUint32(at + 4);
/** Low 32 bits of the sequence number, in [0, 2^32). */
export const sequence = (view: DataView, at: number): number => view.getUint32(at + 8);

/** Writes all before the ICV. `octets` is the header's length, a multiple of 4, and of 8 over IPv6 (RFC 4302 §2.2). */
export function put(view: DataView, at: number, next: number, octets: number, index: number, seq: number): void {
  view.setUint8(at, next);
  view.setUint8(at + 1, (octets >> 2) - 2);
  view.setUint16(at + 2, 0);
  view.setInt32(at + 4, index);
  view.setInt32(at + 8, seq);
}

/** One line for people. */
export function format(view: DataView, at: number, end: number): string {
  if (end - at < HEADER_LEN) return 'ah truncated';
  return `ah spi 0x${spi(view, at).toString(16).padStart(8, '0')} sequence ${sequence(view, at)} next ${nextHeader(view, at)}`;
}
