/**
 * What scripts send and receive has no content of its own, so we give each octet of a stream one: a function of its
 * place. Data that arrive at the wrong place, twice or not at all are seen by it.
 */

/** The octet at a place of a stream, counted from 0 behind the SYN. */
export const octetAt = (place: number): number => (Math.imul(place, 0x9e3779b1) >>> 24) ^ (place & 0xff);

/** Octets [place, place + length) of a stream. */
export function streamOctets(place: number, length: number): Uint8Array {
  const octets = new Uint8Array(length);
  for (let i = 0; i < length; i++) octets[i] = octetAt(place + i);
  return octets;
}

/** The first of octets[from, from + length) that is not the stream's, counted from `from`; −1 when all are. */
export function firstForeign(octets: Uint8Array, from: number, length: number, place: number): number {
  for (let i = 0; i < length; i++) if (octets[from + i] !== octetAt(place + i)) return i;
  return -1;
}
