import type { Prng } from '#src/base/prng.js';

/** Octets of a text of hexadecimal digits; blanks and line breaks are for the reader. */
export function octets(hex: string): Uint8Array {
  const digits = hex.replace(/\s+/g, '');
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

/** A view of exactly these octets: a read past the end throws. */
export function viewOf(bytes: Uint8Array): DataView {
  const own = bytes.slice();
  return new DataView(own.buffer);
}

/** The view of a text of hexadecimal digits. */
export const view = (hex: string): DataView => viewOf(octets(hex));

/** Text of [from, to). */
export function hex(of: DataView, from = 0, to = of.byteLength): string {
  let text = '';
  for (let i = from; i < to; i++) text += of.getUint8(i).toString(16).padStart(2, '0');
  return text;
}

/** A copy with a few octets changed, sometimes cut off. */
export function mutated(seed: Uint8Array, prng: Prng): Uint8Array {
  const bytes = seed.slice(0, prng.below(8) === 0 ? prng.below(seed.length) : seed.length);
  for (let i = prng.below(5); i >= 0 && bytes.length > 0; i--) {
    // Pointers of compressed names are what a random octet seldom is.
    bytes[prng.below(bytes.length)] = prng.below(4) === 0 ? 0xc0 | prng.below(64) : prng.below(256);
  }
  return bytes;
}
