// hot: bench/micro/fib
import { PrefixTable } from './prefix-table.js';
import { PrefixTrie } from './prefix-trie.js';

/** Prefixes up to which a table is looked up without a trie, whose first level alone takes 256 KB: a host has a handful. */
const LINEAR_MAX = 16;

/**
 * One family's longest prefix match for one table: the exact prefixes, and over them what answers lookups fastest for
 * their number. Values are integers in (0, 2^24); 0 is "none". IPv4 addresses are given in w0.
 */
export class Fib {
  private readonly bits: 32 | 128;
  private readonly topBits: 16 | 24;
  private readonly prefixes: PrefixTable;
  private trie: PrefixTrie | null = null;
  /** While there is no trie: 6 words each (prefix, length, value), longest first. */
  private readonly linear = new Int32Array(LINEAR_MAX * 6);

  /** `topBits` 24 makes IPv4 lookups one memory access for 64 MB (DIR-24-8's idea); 16 takes about 13 MB for a full table. */
  constructor(family: 4 | 6, topBits: 16 | 24 = 16) {
    this.bits = family === 4 ? 32 : 128;
    this.topBits = topBits;
    this.prefixes = new PrefixTable(family === 4 ? 1 : 4);
  }

  get size(): number {
    return this.prefixes.size;
  }

  /** Octets of prefixes and lookup structure. */
  get octets(): { prefixes: number; lookup: number } {
    return { prefixes: this.prefixes.octets, lookup: this.trie?.octets ?? this.linear.byteLength };
  }

  /** The value of exactly this prefix, or 0. Bits past the length must be clear, here and in set. */
  get(w0: number, w1: number, w2: number, w3: number, length: number): number {
    return this.prefixes.get(w0, w1, w2, w3, length);
  }

  /** Sets a prefix's value; 0 removes it. */
  set(w0: number, w1: number, w2: number, w3: number, length: number, value: number): void {
    if (value === 0) this.prefixes.delete(w0, w1, w2, w3, length);
    else this.prefixes.set(w0, w1, w2, w3, length, value);
    if (this.trie !== null) this.setTrie(w0, w1, w2, w3, length, value);
    else if (this.prefixes.size <= LINEAR_MAX) this.sort();
    else this.plant();
  }

  forEach(each: (w0: number, w1: number, w2: number, w3: number, length: number, value: number) => void): void {
    this.prefixes.forEach(each);
  }

  /** The value of the longest matching prefix, or 0. */
  lookup(w0: number, w1: number, w2: number, w3: number): number {
    if (this.trie !== null) return this.trie.lookup(w0, w1, w2, w3);
    const p = this.linear;
    for (let i = 0, end = this.prefixes.size * 6; i < end; i += 6) {
      const length = p[i + 4] as number;
      if (differs(w0 ^ (p[i] as number), length) || (length > 32 && this.differsBelow(w1, w2, w3, i, length))) continue;
      return p[i + 5] as number;
    }
    return 0;
  }

  /** `count` addresses of four words each at once, at most LOOKUPS_MAX: see PrefixTrie. */
  lookupAll(words: Int32Array, count: number, values: Int32Array): void {
    if (this.trie !== null) {
      this.trie.lookupAll(words, count, values);
      return;
    }
    for (let i = 0; i < 4 * count; i += 4)
      values[i >>> 2] = this.lookup(words[i] as number, words[i + 1] as number, words[i + 2] as number, words[i + 3] as number);
  }

  /** The value of the longest matching prefix shorter than `below` and not than `least`, or 0: for routes whose interface is down. */
  shorter(w0: number, w1: number, w2: number, w3: number, below: number, least = 0): { value: number; length: number } {
    for (let length = below - 1; length >= least; length--) {
      const value = this.prefixes.get(mask(w0, length), mask(w1, length - 32), mask(w2, length - 64), mask(w3, length - 96), length);
      if (value !== 0) return { value, length };
    }
    return { value: 0, length: -1 };
  }

  private differsBelow(w1: number, w2: number, w3: number, i: number, length: number): boolean {
    const p = this.linear;
    return (
      differs(w1 ^ (p[i + 1] as number), length - 32) ||
      differs(w2 ^ (p[i + 2] as number), length - 64) ||
      differs(w3 ^ (p[i + 3] as number), length - 96)
    );
  }

  private sort(): void {
    const all: number[][] = [];
    this.prefixes.forEach((...entry) => all.push(entry));
    all.sort((a, b) => (b[4] as number) - (a[4] as number));
    this.linear.set(all.flat());
  }

  private plant(): void {
    this.trie = new PrefixTrie(this.bits === 32 ? this.topBits : 16);
    // Shorter first or last makes no difference to the result; in table order is cheapest.
    this.prefixes.forEach((w0, w1, w2, w3, length, value) => this.setTrie(w0, w1, w2, w3, length, value));
  }

  private setTrie(w0: number, w1: number, w2: number, w3: number, length: number, value: number): void {
    (this.trie as PrefixTrie).set(w0, w1, w2, w3, length, value, (offset) => (value === 0 ? this.covering(w0, w1, w2, w3, length, offset) : 0));
  }

  /** See Covering: shorter prefixes that end in the same level of the trie. */
  private covering(w0: number, w1: number, w2: number, w3: number, length: number, offset: number): number {
    const { value, length: found } = this.shorter(w0, w1, w2, w3, length, offset === 0 ? 0 : offset + 1);
    if (value === 0) return 0;
    return ((offset === 0 ? found + 1 : found - offset) << 24) | value;
  }
}

/** Do the first `bits` (at most 32 of them) of a difference hold a one? */
const differs = (x: number, bits: number): boolean => bits > 0 && x !== 0 && (bits >= 32 || x >>> (32 - bits) !== 0);

const mask = (word: number, bits: number): number => (bits <= 0 ? 0 : bits >= 32 ? word : word & (-1 << (32 - bits)));
