// hot: bench/micro/checksum
/**
 * The Internet checksum (RFC 1071). Sums are kept unfolded as doubles so that ranges can be added before one fold.
 * A range may start at any octet, but only the last range of a sum may have an odd length, unless the caller puts what
 * follows through `swap`.
 */

/**
 * Adds the octets [at, at + length) to `start`. Read as little-endian words, which spares a swap per word (15 %), and
 * swapped once at the end: RFC 1071 §2(B). Words against octet pairs: 124 ns to 906 for 1,460 octets.
 */
export function sum(view: DataView, at: number, length: number, start = 0): number {
  let total = 0;
  const end = at + length;
  const blocks = at + (length & ~31);
  while (at < blocks) {
    total +=
      view.getUint32(at, true) +
      view.getUint32(at + 4, true) +
      view.getUint32(at + 8, true) +
      view.getUint32(at + 12, true) +
      view.getUint32(at + 16, true) +
      view.getUint32(at + 20, true) +
      view.getUint32(at + 24, true) +
      view.getUint32(at + 28, true);
    at += 32;
  }
  while (at + 4 <= end) {
    total += view.getUint32(at, true);
    at += 4;
  }
  if (at + 2 <= end) {
    total += view.getUint16(at, true);
    at += 2;
  }
  if (at < end) total += view.getUint8(at);
  return start + swap(fold(total));
}

/** Folds an unfolded sum to 16 bits (not complemented). `total` in [0, 2^53). The remainder operator would cost 35 ns against 8. */
export function fold(total: number): number {
  const low = total >>> 0;
  const high = (total / 0x1_0000_0000) >>> 0;
  let x = (low & 0xffff) + (low >>> 16) + (high & 0xffff) + (high >>> 16);
  x = (x & 0xffff) + (x >>> 16);
  return (x & 0xffff) + (x >>> 16);
}

/** The checksum field of what was summed: the complement of the fold. */
export const finish = (total: number): number => ~fold(total) & 0xffff;

/** A folded sum of a range that began at an odd place of the whole. RFC 1071 §2(B). */
export const swap = (folded: number): number => ((folded & 0xff) << 8) | (folded >>> 8);

/**
 * RFC 1624 eqn. 3: the checksum after a 16-bit field went from `old` to `now`: HC' = ~(~HC + ~m + m').
 */
export function update16(checksum: number, old: number, now: number): number {
  let s = (~checksum & 0xffff) + (~old & 0xffff) + now;
  s = (s & 0xffff) + (s >>> 16);
  s = (s & 0xffff) + (s >>> 16);
  return ~s & 0xffff;
}

/** RFC 1624 for a 32-bit field, e.g. an address rewritten by NAT. */
export function update32(checksum: number, old: number, now: number): number {
  return update16(update16(checksum, old >>> 16, now >>> 16), old & 0xffff, now & 0xffff);
}
