// hot: bench/micro/ipsec
import { assert } from '../../base/assert.js';

/** Linux allows the same; past it the bitmap of one SA has 32 KB. */
export const REPLAY_WINDOW_MAX = 262_144;

const TWO32 = 0x1_0000_0000;

/**
 * The anti-replay window of one inbound SA (RFC 4303 §3.4.3, appendix A), as RFC 6479 builds it: a ring of words with one
 * to spare, so that the window slides by clearing whole words and no bit is ever shifted. Sequence numbers are doubles:
 * of the 64 bits of an extended one 53 are used, which at a million packets a second last 285 years.
 */
export class Replay {
  /** Sequence numbers right of which none has been seen: the highest authenticated one, 0 at first. */
  top = 0;
  /** 0: no replay protection. */
  readonly size: number;
  private readonly words: Int32Array;
  private readonly mask: number;

  /** `size` in sequence numbers: 0, or [32, REPLAY_WINDOW_MAX]. It is rounded up to a multiple of 32. */
  constructor(size: number) {
    assert(size === 0 || (size >= 32 && size <= REPLAY_WINDOW_MAX), 'a window has 0 or 32 to 262,144 numbers');
    let words = 2;
    while ((words - 1) * 32 < size) words *= 2;
    this.size = (size + 31) & ~31;
    this.words = new Int32Array(size === 0 ? 0 : words);
    this.mask = words - 1;
  }

  /** The high half that goes with `low` [0, 2^32), by the side of the window it lies on; −1 when it lies before the first. RFC 4303 §A2.2. */
  high(low: number): number {
    const topHigh = Math.floor(this.top / TWO32);
    const topLow = this.top % TWO32;
    const bottom = topLow - this.size + 1;
    if (bottom >= 0) return low >= bottom ? topHigh : topHigh + 1;
    return low >= bottom + TWO32 ? topHigh - 1 : topHigh;
  }

  /** May a packet with this number be new? Before its ICV is checked: nothing moves. */
  check(sequence: number): boolean {
    if (this.size === 0) return true;
    if (sequence <= 0) return false;
    if (sequence > this.top) return true;
    if (this.top - sequence >= this.size) return false;
    return ((this.words[(sequence / 32) & this.mask] as number) & (1 << (sequence & 31))) === 0;
  }

  /** Marks the number of an authenticated packet and slides the window. False when it was seen meanwhile, or fell out. */
  accept(sequence: number): boolean {
    if (this.size === 0) return true;
    if (!this.check(sequence)) return false;
    const { words, mask } = this;
    const index = Math.floor(sequence / 32);
    if (sequence > this.top) {
      const current = Math.floor(this.top / 32);
      const clear = Math.min(index - current, words.length);
      for (let i = 1; i <= clear; i++) words[(current + i) & mask] = 0;
      this.top = sequence;
    }
    words[index & mask] = (words[index & mask] as number) | (1 << (sequence & 31));
    return true;
  }
}
