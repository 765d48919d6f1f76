import assert from 'node:assert/strict';
import * as wire from '#src/wire/tcp.js';

/** Bits of the letters S F R P U E W and A or '.'. */
export function flagBits(text: string): number {
  let bits = 0;
  for (const letter of text) {
    const bit = { S: 2, F: 1, R: 4, P: 8, A: 16, '.': 16, U: 32, E: 64, W: 128 }[letter];
    assert.ok(bit !== undefined, `flag ${letter}`);
    bits |= bit;
  }
  return bits;
}

/** The other way round, 'A' for ACK. */
export const letters = (bits: number): string => wire.formatFlags(bits).replace('.', 'A').replace('none', '');
/** The letters in one order. */
export const normal = (flags: string): string => [...flags].sort().join('');
