// hot: bench/micro/checksum
/** What the checksums of TCP, UDP and ICMPv6 have in common: the pseudo header and the proof. */
import type { Address } from '../base/address.js';
import { fold, sum } from '../base/checksum.js';

/**
 * Unfolded sum of the pseudo header (RFC 9293 §3.1, RFC 8200 §8.1). `length` is that of transport header and payload. One
 * formula serves both families: the word 0x0000ffff of a mapped address is zero in ones' complement.
 */
export function pseudoSum(source: Address, destination: Address, protocol: number, length: number): number {
  return (
    (source.w0 >>> 0) +
    (source.w1 >>> 0) +
    (source.w2 >>> 0) +
    (source.w3 >>> 0) +
    (destination.w0 >>> 0) +
    (destination.w1 >>> 0) +
    (destination.w2 >>> 0) +
    (destination.w3 >>> 0) +
    protocol +
    length
  );
}

/** True when [at, end), checksum field included, and its pseudo header sum up to ones. */
export function verify(view: DataView, at: number, end: number, source: Address, destination: Address, protocol: number): boolean {
  return fold(sum(view, at, end - at, pseudoSum(source, destination, protocol, end - at))) === 0xffff;
}
