// hot: bench/micro/fib
/**
 * Prefixes and their values by exact match: what the tables hold, whereas the trie beside it only answers lookups. Open
 * addressing over typed columns; 1 M IPv4 prefixes take 24 MB, where a Map of strings takes ten times as much.
 */
export class PrefixTable {
  size = 0;
  /** Words of a prefix that are stored: 1 for IPv4, 4 for IPv6. */
  private readonly width: number;
  private mask: number;
  private words: Int32Array;
  /** Prefix length + 1; 0 marks a free place. */
  private lengths: Uint8Array;
  private values: Int32Array;

  constructor(width: 1 | 4) {
    this.width = width;
    this.mask = 63;
    this.words = new Int32Array(64 * width);
    this.lengths = new Uint8Array(64);
    this.values = new Int32Array(64);
  }

  /** The value, or 0. Bits past the length must be clear. */
  get(w0: number, w1: number, w2: number, w3: number, length: number): number {
    const i = this.find(w0, w1, w2, w3, length);
    return this.lengths[i] === 0 ? 0 : (this.values[i] as number);
  }

  /** Sets a value > 0. */
  set(w0: number, w1: number, w2: number, w3: number, length: number, value: number): void {
    let i = this.find(w0, w1, w2, w3, length);
    if (this.lengths[i] === 0) {
      if ((this.size + 1) * 4 > (this.mask + 1) * 3) {
        this.grow();
        i = this.find(w0, w1, w2, w3, length);
      }
      this.size++;
      this.lengths[i] = length + 1;
      const at = i * this.width;
      this.words[at] = w0;
      if (this.width === 4) {
        this.words[at + 1] = w1;
        this.words[at + 2] = w2;
        this.words[at + 3] = w3;
      }
    }
    this.values[i] = value;
  }

  /** Removes an entry, if it is there. */
  delete(w0: number, w1: number, w2: number, w3: number, length: number): void {
    let i = this.find(w0, w1, w2, w3, length);
    if (this.lengths[i] === 0) return;
    this.size--;
    // Entries behind the hole move into it unless that would put them before their home.
    for (let j = (i + 1) & this.mask; this.lengths[j] !== 0; j = (j + 1) & this.mask) {
      const home = this.home(j);
      if (((j - home) & this.mask) < ((j - i) & this.mask)) continue;
      this.move(j, i);
      i = j;
    }
    this.lengths[i] = 0;
  }

  /** Calls `each` for every entry, in no order. */
  forEach(each: (w0: number, w1: number, w2: number, w3: number, length: number, value: number) => void): void {
    for (let i = 0; i <= this.mask; i++) {
      const length = this.lengths[i] as number;
      if (length === 0) continue;
      const at = i * this.width;
      const wide = this.width === 4;
      const w = this.words;
      each(
        w[at] as number,
        wide ? (w[at + 1] as number) : 0,
        wide ? (w[at + 2] as number) : 0,
        wide ? (w[at + 3] as number) : 0,
        length - 1,
        this.values[i] as number,
      );
    }
  }

  /** Octets of the columns. */
  get octets(): number {
    return this.words.byteLength + this.lengths.byteLength + this.values.byteLength;
  }

  private find(w0: number, w1: number, w2: number, w3: number, length: number): number {
    let i = hash(w0, w1, w2, w3, length) & this.mask;
    for (; this.lengths[i] !== 0; i = (i + 1) & this.mask) {
      const at = i * this.width;
      if (this.lengths[i] !== length + 1 || this.words[at] !== w0) continue;
      if (this.width === 1 || (this.words[at + 1] === w1 && this.words[at + 2] === w2 && this.words[at + 3] === w3)) break;
    }
    return i;
  }

  private home(i: number): number {
    const at = i * this.width;
    const w = this.words;
    const length = (this.lengths[i] as number) - 1;
    if (this.width === 1) return hash(w[at] as number, 0, 0, 0, length) & this.mask;
    return hash(w[at] as number, w[at + 1] as number, w[at + 2] as number, w[at + 3] as number, length) & this.mask;
  }

  private move(from: number, to: number): void {
    this.words.copyWithin(to * this.width, from * this.width, (from + 1) * this.width);
    this.lengths[to] = this.lengths[from] as number;
    this.values[to] = this.values[from] as number;
  }

  private grow(): void {
    const { words, lengths, values, width } = this;
    const places = (this.mask + 1) * 2;
    this.mask = places - 1;
    this.words = new Int32Array(places * width);
    this.lengths = new Uint8Array(places);
    this.values = new Int32Array(places);
    for (let i = 0; i < lengths.length; i++) {
      if (lengths[i] === 0) continue;
      const at = i * width;
      const wide = width === 4;
      const j = this.find(
        words[at] as number,
        wide ? (words[at + 1] as number) : 0,
        wide ? (words[at + 2] as number) : 0,
        wide ? (words[at + 3] as number) : 0,
        (lengths[i] as number) - 1,
      );
      for (let k = 0; k < width; k++) this.words[j * width + k] = words[at + k] as number;
      this.lengths[j] = lengths[i] as number;
      this.values[j] = values[i] as number;
    }
  }
}

/** Routes come from configuration and routing daemons, not from strangers: no secret. */
function hash(w0: number, w1: number, w2: number, w3: number, length: number): number {
  let h = Math.imul(w0 ^ length, 0x9e3779b1);
  h = Math.imul(h ^ (h >>> 15) ^ w1, 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13) ^ w2, 0xc2b2ae35);
  h = Math.imul(h ^ (h >>> 16) ^ w3, 0x27d4eb2f);
  return h ^ (h >>> 15);
}
