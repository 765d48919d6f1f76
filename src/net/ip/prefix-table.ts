// hot: bench/micro/fib
const VALUE = 0xffffff;

/**
 * Prefixes and their values by exact match: what the tables hold, whereas the trie beside it only answers lookups. Open
 * addressing over rows that lie together, so that a look costs one cache line; 1 M IPv4 prefixes take 16 MB, where a Map of strings takes
 * ten times as much.
 *
 * ```
 *   row  | 1 or 4 words of the prefix | prefix length + 1 (8 bits; 0: free) and value (24 bits) |
 * ```
 */
export class PrefixTable {
  size = 0;
  /** Words of a prefix that are stored: 1 for IPv4, 4 for IPv6. */
  private readonly width: 1 | 4;
  /** Words of a row. */
  private readonly row: number;
  private mask = 63;
  private rows: Int32Array;

  constructor(width: 1 | 4) {
    this.width = width;
    this.row = width + 1;
    this.rows = new Int32Array(64 * this.row);
  }

  /** The value, or 0. Bits past the length must be clear. */
  get(w0: number, w1: number, w2: number, w3: number, length: number): number {
    return (this.rows[this.find(w0, w1, w2, w3, length) + this.width] as number) & VALUE;
  }

  /** Sets a value in (0, 2^24). */
  set(w0: number, w1: number, w2: number, w3: number, length: number, value: number): void {
    let at = this.find(w0, w1, w2, w3, length);
    if (this.rows[at + this.width] === 0) {
      if ((this.size + 1) * 4 > (this.mask + 1) * 3) {
        this.grow();
        at = this.find(w0, w1, w2, w3, length);
      }
      this.size++;
    }
    this.write(at, w0, w1, w2, w3, length, value);
  }

  /** Removes an entry, if it is there. */
  delete(w0: number, w1: number, w2: number, w3: number, length: number): void {
    const { rows, row, width, mask } = this;
    const at = this.find(w0, w1, w2, w3, length);
    if (rows[at + width] === 0) return;
    this.size--;
    let i = at / row;
    // Entries behind the hole move into it unless that would put them before their home.
    for (let j = (i + 1) & mask; rows[j * row + width] !== 0; j = (j + 1) & mask) {
      if (((j - this.home(j)) & mask) < ((j - i) & mask)) continue;
      rows.copyWithin(i * row, j * row, (j + 1) * row);
      i = j;
    }
    rows[i * row + width] = 0;
  }

  /** Calls `each` for every entry, in no order. */
  forEach(each: (w0: number, w1: number, w2: number, w3: number, length: number, value: number) => void): void {
    const { rows, row, width } = this;
    for (let at = 0; at < rows.length; at += row) {
      const last = rows[at + width] as number;
      if (last === 0) continue;
      const wide = width === 4;
      const w1 = wide ? (rows[at + 1] as number) : 0;
      const w2 = wide ? (rows[at + 2] as number) : 0;
      const w3 = wide ? (rows[at + 3] as number) : 0;
      each(rows[at] as number, w1, w2, w3, (last >>> 24) - 1, last & VALUE);
    }
  }

  /** Octets of the rows. */
  get octets(): number {
    return this.rows.byteLength;
  }

  /** Where the row of a prefix begins, or the free one it would have. */
  private find(w0: number, w1: number, w2: number, w3: number, length: number): number {
    const { rows, row, width, mask } = this;
    for (let i = hash(w0, w1, w2, w3, length) & mask; ; i = (i + 1) & mask) {
      const at = i * row;
      const last = rows[at + width] as number;
      if (last === 0) return at;
      if (last >>> 24 !== length + 1 || rows[at] !== w0) continue;
      if (width === 1 || (rows[at + 1] === w1 && rows[at + 2] === w2 && rows[at + 3] === w3)) return at;
    }
  }

  private home(i: number): number {
    const { rows, row, width, mask } = this;
    const at = i * row;
    const length = ((rows[at + width] as number) >>> 24) - 1;
    if (width === 1) return hash(rows[at] as number, 0, 0, 0, length) & mask;
    return hash(rows[at] as number, rows[at + 1] as number, rows[at + 2] as number, rows[at + 3] as number, length) & mask;
  }

  private grow(): void {
    const old = new PrefixTable(this.width);
    old.rows = this.rows;
    this.mask = (this.mask + 1) * 2 - 1;
    this.rows = new Int32Array((this.mask + 1) * this.row);
    old.forEach((w0, w1, w2, w3, length, value) => this.write(this.find(w0, w1, w2, w3, length), w0, w1, w2, w3, length, value));
  }

  private write(at: number, w0: number, w1: number, w2: number, w3: number, length: number, value: number): void {
    const { rows, width } = this;
    rows[at] = w0;
    if (width === 4) {
      rows[at + 1] = w1;
      rows[at + 2] = w2;
      rows[at + 3] = w3;
    }
    rows[at + width] = ((length + 1) << 24) | value;
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
