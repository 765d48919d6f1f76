// hot: bench/micro/fib
import { assert } from '../../base/assert.js';

/** Entries: value in the low 24 bits, how much of the prefix lies in this level above; negative: the complement of a node's place. */
const VALUE = 0xffffff;
/** Addresses looked up at once. */
export const LOOKUPS_MAX = 64;
const STRIDE = 8;
const SLOTS = 1 << STRIDE;
/** Of the array that compacting makes, to what it holds. */
const SLACK = 1.25;
/** Places of a node's parts, in words. */
const RANKS = 8;
const ABOVE = 10;
const ENTRIES = 11;
/** Nodes take multiples of half a cache line. */
const UNIT = 8;
/** Words that one change takes at most: a node made and one moved in each of 15 levels. */
const CHANGE_MAX = 15 * (2 * UNIT + ENTRIES + SLOTS + UNIT);

/**
 * Longest prefix match in typed arrays: a table over the first bits, then nodes of 256 slots (8 bits) whose runs of equal entries are
 * compressed by a bitmap and popcount, as poptrie does (Asai, Ohara, SIGCOMM 2015). A level costs a lookup one or two cache lines, side by
 * side: bitmap, ranks and entries of a node lie together. Unlike poptrie's, a node holds only the prefixes that end in it, and the lookup
 * remembers the last one seen: so a change of a route touches one node, however many longer ones lie below.
 *
 * ```
 *   top[first 16 or 24 bits] ─ value            (nothing longer below)
 *                            └ ~node ─ entry ─ ~node ─ … 8 bits each
 *
 *   node  | 0 … 7: bit set where a run begins | 8, 9: runs before each of those words, an octet each | 10: entry above | 11 …: an entry for each run |
 * ```
 * The entry above is the one the slot had before a node was hung there: of the prefix that ends in the level above.
 */
export class PrefixTrie {
  private readonly topBits: number;
  private readonly top: Int32Array;
  private data = new Int32Array(2 * CHANGE_MAX);
  private used = UNIT;
  /** Free nodes by their length in units, as stacks of their places. */
  private free: number[][] = [];
  private readonly slots = new Int32Array(SLOTS);
  /** Of a `lookupAll`: the last value passed by each. */
  private readonly best = new Int32Array(LOOKUPS_MAX);
  /** Places of the pointers along a prefix, from the top down: negative for the complement of a place in `top`. */
  private readonly path = new Int32Array(16);
  /** The slots it goes by. */
  private readonly steps = new Uint8Array(16);

  /** `topBits` 16 (256 KB) or 24 (64 MB). */
  constructor(topBits: 16 | 24) {
    this.topBits = topBits;
    this.top = new Int32Array(1 << topBits);
  }

  /** The value of the longest prefix of an address, 0 when none matches. IPv4 addresses are given in w0. */
  lookup(w0: number, w1: number, w2: number, w3: number): number {
    let entry = this.top[w0 >>> (32 - this.topBits)] as number;
    if (entry >= 0) return entry & VALUE;
    const { data } = this;
    let best = 0;
    for (let offset = this.topBits; ; offset += STRIDE) {
      const node = ~entry;
      const above = (data[node + ABOVE] as number) & VALUE;
      if (above !== 0) best = above;
      const word = offset < 32 ? w0 : offset < 64 ? w1 : offset < 96 ? w2 : w3;
      entry = data[place(data, node, (word >>> (24 - (offset & 24))) & 255)] as number;
      if (entry < 0) continue;
      const value = entry & VALUE;
      return value === 0 ? best : value;
    }
  }

  /**
   * Looks `count` addresses up, of four words each, into `values`. Level by level, so that the processor waits for the memory of many of them
   * at once and not of one after the other: 3 times as fast as one by one where the table is larger than the caches.
   */
  lookupAll(words: Int32Array, count: number, values: Int32Array): void {
    const { top, data, topBits, best } = this;
    let open = 0;
    for (let i = 0; i < count; i++) {
      const entry = top[(words[4 * i] as number) >>> (32 - topBits)] as number;
      values[i] = entry;
      best[i] = 0;
      open += entry >>> 31;
    }
    for (let offset = topBits; open > 0; offset += STRIDE) {
      const word = offset >>> 5;
      const shift = 24 - (offset & 24);
      open = 0;
      for (let i = 0; i < count; i++) {
        const node = ~(values[i] as number);
        if (node < 0) continue;
        const above = (data[node + ABOVE] as number) & VALUE;
        if (above !== 0) best[i] = above;
        const entry = data[place(data, node, ((words[4 * i + word] as number) >>> shift) & 255)] as number;
        values[i] = entry;
        open += entry >>> 31;
      }
    }
    for (let i = 0; i < count; i++) values[i] = (values[i] as number) & VALUE || (best[i] as number);
  }

  /** Sets the value of a prefix, > 0; 0 takes it away, and then `covering` is the value and length of the next shorter prefix that is set. */
  set(w0: number, w1: number, w2: number, w3: number, length: number, value: number, covering: Covering): void {
    assert(value >= 0 && value <= VALUE, 'a value has 24 bits');
    if (length <= this.topBits) {
      this.setTop(w0, length, value, covering);
      return;
    }
    if (this.data.length - this.used < CHANGE_MAX) this.compact();
    const { path } = this;
    let level = 0;
    let offset = this.topBits;
    path[0] = ~(w0 >>> (32 - this.topBits));
    if (this.at(path[0]) >= 0) this.hang(path[0]);
    for (; length > offset + STRIDE; offset += STRIDE) {
      this.steps[level] = octet(w0, w1, w2, w3, offset);
      path[level + 1] = this.descend(path[level] as number, this.steps[level] as number);
      level++;
    }
    this.setSlots(path[level] as number, octet(w0, w1, w2, w3, offset), length - offset, value, value === 0 ? covering(offset) : 0);
    if (value === 0) this.prune(level);
  }

  /** Octets of all arrays. */
  get octets(): number {
    return this.top.byteLength + this.data.byteLength;
  }

  /** What stands at a place. */
  private at(place: number): number {
    return (place < 0 ? this.top[~place] : this.data[place]) as number;
  }

  private put(place: number, entry: number): void {
    if (place < 0) this.top[~place] = entry;
    else this.data[place] = entry;
  }

  private setTop(w0: number, length: number, value: number, covering: Covering): void {
    const shift = this.topBits - length;
    const first = (w0 >>> (32 - this.topBits)) & ~((1 << shift) - 1);
    const below = value === 0 ? covering(0) : ((length + 1) << 24) | value;
    for (let i = first, end = first + 2 ** shift; i < end; i++) this.cover(~i, length + 1, below, value === 0);
  }

  /** Gives a place, or the node that hangs there, the entry of a prefix of this depth, unless a longer one has it; `removed`: if this one has it. */
  private cover(place: number, depth: number, entry: number, removed: boolean): void {
    const there = this.at(place);
    const where = there < 0 ? ~there + ABOVE : place;
    const has = this.at(where) >>> 24;
    if (removed ? has === depth : has <= depth) this.put(where, entry);
  }

  /** Hangs an empty node at a place; the entry there is above it from now on. */
  private hang(place: number): void {
    const node = this.take(units(1));
    const { data } = this;
    data[node] = 1; // one run, of no value
    data[node + RANKS] = 0x01010100;
    data[node + RANKS + 1] = 0x01010101;
    data[node + ABOVE] = this.at(place);
    data[node + ENTRIES] = 0;
    this.put(place, ~node);
  }

  /** The place of the pointer to the node below `slot` of the node at a place, made if there is none. */
  private descend(from: number, slot: number): number {
    const there = place(this.data, ~this.at(from), slot);
    if ((this.data[there] as number) < 0) return there;
    const own = this.split(from, slot, slot + 1);
    this.hang(own);
    return own;
  }

  /** Writes a prefix that ends `depth` bits into the node at a place to its slots. */
  private setSlots(from: number, slot: number, depth: number, value: number, below: number): void {
    const node = ~this.at(from);
    const count = 1 << (STRIDE - depth);
    const first = slot & ~(count - 1);
    const entry = value === 0 ? below : (depth << 24) | value;
    const { slots } = this;
    const at = place(this.data, node, first);
    const has = this.data[at] as number;
    if (has >= 0 && place(this.data, node, first + count - 1) === at) {
      if (value !== 0 ? has >>> 24 <= depth : has >>> 24 === depth) this.data[this.split(from, first, first + count)] = entry;
      if (value !== 0) return;
      this.join(from, first + count);
      this.join(from, first);
      return;
    }
    this.unpack(node);
    for (let i = first; i < first + count; i++) {
      const has = slots[i] as number;
      if (has < 0) this.cover(place(this.data, node, i), depth, entry, value === 0);
      else if (value === 0 ? has >>> 24 === depth : has >>> 24 <= depth) slots[i] = entry;
    }
    this.pack(from);
  }

  /** Makes slots [first, end) of one run a run of their own; the place of its entry. Equal runs may lie side by side until something is removed. */
  private split(from: number, first: number, end: number): number {
    let node = ~this.at(from);
    let at = place(this.data, node, first);
    const left = begins(this.data, node, first) ? 0 : 1;
    const right = end === SLOTS || begins(this.data, node, end) ? 0 : 1;
    const added = left + right;
    if (added === 0) return at;
    const runs = count(this.data, node);
    at -= node;
    node = this.fit(from, runs, runs + added);
    at += node;
    const { data } = this;
    const entry = data[at] as number;
    for (let i = node + ENTRIES + runs - 1; i > at; i--) data[i + added] = data[i] as number;
    for (let i = 1; i <= added; i++) data[at + i] = entry;
    if (left === 1) this.begin(node, first);
    if (right === 1) this.begin(node, end);
    return at + left;
  }

  /** The runs that meet at a slot become one when their entries are equal. */
  private join(from: number, slot: number): void {
    const { data } = this;
    const node = ~this.at(from);
    if (slot === 0 || slot === SLOTS || !begins(data, node, slot)) return;
    const at = place(data, node, slot);
    if (data[at] !== data[at - 1]) return;
    const runs = count(data, node);
    for (let i = at; i < node + ENTRIES + runs - 1; i++) data[i] = data[i + 1] as number;
    data[node + (slot >>> 5)] = (data[node + (slot >>> 5)] as number) & ~(1 << (slot & 31));
    this.rank(node, slot, -1);
    this.fit(from, runs, runs - 1);
  }

  /** A run begins at a slot from now on. */
  private begin(node: number, slot: number): void {
    this.data[node + (slot >>> 5)] = (this.data[node + (slot >>> 5)] as number) | (1 << (slot & 31));
    this.rank(node, slot, 1);
  }

  /** One run more or less before the words behind that of `slot`. */
  private rank(node: number, slot: number, by: 1 | -1): void {
    const { data } = this;
    for (let w = (slot >>> 5) + 1; w < 8; w++) data[node + RANKS + (w >>> 2)] = (data[node + RANKS + (w >>> 2)] as number) + (by << ((w & 3) << 3));
  }

  /** Moves the node at a place where `runs` runs fit, of its `had`, unless they fit where it is. The node. */
  private fit(from: number, had: number, runs: number): number {
    const node = ~this.at(from);
    if (units(had) === units(runs)) return node;
    const moved = this.take(units(runs));
    const { data } = this;
    for (let i = 0, end = ENTRIES + Math.min(had, runs); i < end; i++) data[moved + i] = data[node + i] as number;
    this.give(node, units(had));
    this.put(from, ~moved);
    return moved;
  }

  private unpack(node: number): void {
    const { data, slots } = this;
    let run = node + ENTRIES - 1;
    for (let w = 0; w < 8; w++) {
      const bits = data[node + w] as number;
      for (let i = 0; i < 32; i++) {
        run += (bits >>> i) & 1;
        slots[32 * w + i] = data[run] as number;
      }
    }
  }

  /** Puts the slots into the node at a place, which moves when it needs more units, or fewer. */
  private pack(from: number): void {
    const { slots } = this;
    let runs = 1;
    for (let i = 1; i < SLOTS; i++) if (slots[i] !== slots[i - 1]) runs++;
    const { data } = this;
    const node = this.fit(from, count(data, ~this.at(from)), runs);
    let run = node + ENTRIES - 1;
    let ranks = 0;
    for (let w = 0; w < 8; w++) {
      if ((w & 3) === 0) ranks = 0;
      ranks |= (run - node - ENTRIES + 1) << ((w & 3) << 3);
      let bits = 0;
      for (let i = 32 * w; i < 32 * w + 32; i++) {
        if (i > 0 && slots[i] === slots[i - 1]) continue;
        bits |= 1 << (i & 31);
        data[++run] = slots[i] as number;
      }
      data[node + w] = bits;
      if ((w & 3) === 3) data[node + RANKS + (w >>> 2)] = ranks;
    }
  }

  /** Takes away the nodes along `path` that hold nothing any more, from `level` up. */
  private prune(level: number): void {
    for (let l = level; l >= 0; l--) {
      const from = this.path[l] as number;
      const node = ~this.at(from);
      if (count(this.data, node) !== 1 || this.data[node + ENTRIES] !== 0) return;
      this.put(from, this.data[node + ABOVE] as number);
      this.give(node, units(1));
      if (l === 0) return;
      const above = this.path[l - 1] as number;
      const slot = this.steps[l - 1] as number;
      this.join(above, slot + 1);
      this.join(above, slot);
    }
  }

  /** A node of so many units; `compact` has seen to the room. Its bitmap and ranks are clear. */
  private take(size: number): number {
    const free = this.free[size]?.pop();
    if (free !== undefined) {
      this.data.fill(0, free, free + ENTRIES);
      return free;
    }
    const at = this.used;
    this.used += size * UNIT;
    return at;
  }

  /** Copies the nodes into a bigger array, those below one another side by side, and leaves behind what growing nodes have left free. */
  private compact(): void {
    const { data: old, top } = this;
    let live = 0;
    for (let size = 0; size < this.free.length; size++) live -= (this.free[size]?.length ?? 0) * size * UNIT;
    live += this.used;
    this.data = new Int32Array(Math.ceil(live * SLACK) + 2 * CHANGE_MAX);
    this.used = UNIT;
    this.free = [];
    for (let i = 0; i < top.length; i++) if ((top[i] as number) < 0) top[i] = ~this.copy(old, ~(top[i] as number));
  }

  private copy(old: Int32Array, node: number): number {
    const runs = count(old, node);
    const to = this.take(units(runs));
    const { data } = this;
    for (let i = 0; i < ENTRIES + runs; i++) data[to + i] = old[node + i] as number;
    for (let i = to + ENTRIES, end = i + runs; i < end; i++) if ((data[i] as number) < 0) data[i] = ~this.copy(old, ~(data[i] as number));
    return to;
  }

  private give(node: number, size: number): void {
    let stack = this.free[size];
    if (stack === undefined) {
      stack = [];
      this.free[size] = stack;
    }
    stack.push(node);
  }
}

/**
 * Tells what covers a prefix that is taken away: the entry (depth in the level's own counting, shifted by 24, and value) of
 * the longest shorter prefix that still ends in the level that begins at bit `offset`; 0 when there is none. Offset 0 is the top.
 */
export type Covering = (offset: number) => number;

/** Where the entry of a slot stands. */
function place(data: Int32Array, node: number, slot: number): number {
  const word = slot >>> 5;
  const rank = ((data[node + RANKS + (word >>> 2)] as number) >>> ((word & 3) << 3)) & 255;
  return node + ENTRIES - 1 + rank + popcount((data[node + word] as number) & ((2 << (slot & 31)) - 1));
}

/** Does a run begin at a slot? */
const begins = (data: Int32Array, node: number, slot: number): boolean => ((data[node + (slot >>> 5)] as number) & (1 << (slot & 31))) !== 0;

/** Runs of a node. */
const count = (data: Int32Array, node: number): number => place(data, node, SLOTS - 1) - node - ENTRIES + 1;

/** Units of a node with so many runs. */
const units = (runs: number): number => Math.ceil((ENTRIES + runs) / UNIT);

/** The eight bits from bit `offset` on, counted from the most significant. */
function octet(w0: number, w1: number, w2: number, w3: number, offset: number): number {
  const word = offset < 32 ? w0 : offset < 64 ? w1 : offset < 96 ? w2 : w3;
  return (word >>> (24 - (offset & 24))) & 255;
}

function popcount(x: number): number {
  x -= (x >>> 1) & 0x55555555;
  x = (x & 0x33333333) + ((x >>> 2) & 0x33333333);
  x = (x + (x >>> 4)) & 0x0f0f0f0f;
  return Math.imul(x, 0x01010101) >>> 24;
}
