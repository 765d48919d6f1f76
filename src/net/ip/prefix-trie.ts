// hot: bench/micro/fib
import { assert } from '../../base/assert.js';

/** Octets of a table are integers: value in the low 24 bits, how much of the prefix lies in this level above. */
const VALUE = 0xffffff;
/** Words of a node: children's bitmap (2), bitmap of value runs (2), first child, first value, and for roots the top entry above. */
const NODE = 7;
const STRIDE = 6;

/**
 * Longest prefix match in typed arrays: a table over the first bits, then nodes of 64 slots (6 bits) whose children and
 * runs of equal values are compressed by popcount, as poptrie does (Asai, Ohara, SIGCOMM 2015). Unlike poptrie's, a node
 * holds only the prefixes that end in it, and the lookup remembers the last one seen: so a change of a route touches
 * one node, however many longer ones lie below.
 *
 * ```
 *   top[first 16 or 24 bits] ─ value            (nothing longer below)
 *                            └ ~root ─ node ─ child ─ … 6 bits each
 * ```
 */
export class PrefixTrie {
  private readonly topBits: number;
  /** Values, or the complement of an index into `roots`' nodes. */
  private readonly top: Int32Array;
  private nodes: Int32Array = new Int32Array(NODE * 64);
  private values: Int32Array = new Int32Array(256);
  private nodesUsed = 1;
  private valuesUsed = 1;
  /** Free blocks by size, as stacks of their places. */
  private readonly freeNodes: number[][] = Array.from({ length: 65 }, () => []);
  private readonly freeValues: number[][] = Array.from({ length: 65 }, () => []);
  private readonly slots = new Int32Array(64);

  /** `topBits` 16 (256 KB) or 24 (64 MB). */
  constructor(topBits: 16 | 24) {
    this.topBits = topBits;
    this.top = new Int32Array(1 << topBits);
  }

  /** The value of the longest prefix of an address, 0 when none matches. IPv4 addresses are given in w0. */
  lookup(w0: number, w1: number, w2: number, w3: number): number {
    const entry = this.top[w0 >>> (32 - this.topBits)] as number;
    if (entry >= 0) return entry & VALUE;
    let node = ~entry * NODE;
    let best = (this.nodes[node + 6] as number) & VALUE;
    const { nodes, values } = this;
    for (let offset = this.topBits; ; offset += STRIDE) {
      const slot = sixBits(w0, w1, w2, w3, offset);
      const low = slot < 32;
      const bit = 1 << (slot & 31);
      const upTo = bit | (bit - 1);
      const runs = low
        ? popcount((nodes[node + 2] as number) & upTo)
        : popcount(nodes[node + 2] as number) + popcount((nodes[node + 3] as number) & upTo);
      const value = (values[(nodes[node + 5] as number) + runs - 1] as number) & VALUE;
      if (value !== 0) best = value;
      const children = nodes[node + (low ? 0 : 1)] as number;
      if ((children & bit) === 0) return best;
      const before = popcount(children & (bit - 1)) + (low ? 0 : popcount(nodes[node] as number));
      node = ((nodes[node + 4] as number) + before) * NODE;
    }
  }

  /** Sets the value of a prefix, > 0; 0 takes it away, and then `covering` is the value and length of the next shorter prefix that is set. */
  set(w0: number, w1: number, w2: number, w3: number, length: number, value: number, covering: Covering): void {
    assert(value >= 0 && value <= VALUE, 'a value has 24 bits');
    if (length <= this.topBits) {
      this.setTop(w0, length, value, covering);
      return;
    }
    const topAt = w0 >>> (32 - this.topBits);
    let node = this.root(topAt);
    let offset = this.topBits;
    for (; length > offset + STRIDE; offset += STRIDE) {
      node = this.descend(node, sixBits(w0, w1, w2, w3, offset));
      // The blocks may have moved; only this node's index counts from here on.
    }
    this.setSlots(node, sixBits(w0, w1, w2, w3, offset), length - offset, value, covering(offset));
    if (value === 0) this.prune(w0, w1, w2, w3, topAt);
  }

  /** Octets of all arrays. */
  get octets(): number {
    return this.top.byteLength + this.nodes.byteLength + this.values.byteLength;
  }

  private setTop(w0: number, length: number, value: number, covering: Covering): void {
    const shift = this.topBits - length;
    const first = (w0 >>> (32 - this.topBits)) & ~((1 << shift) - 1);
    const tag = (length + 1) << 24;
    const below = value === 0 ? covering(0) : 0;
    for (let i = first, end = first + 2 ** shift; i < end; i++) {
      const entry = this.top[i] as number;
      const present = entry < 0 ? (this.nodes[~entry * NODE + 6] as number) : entry;
      const depth = present >>> 24;
      if (value !== 0 ? depth > length + 1 : depth !== length + 1) continue;
      const now = value !== 0 ? tag | value : below;
      if (entry < 0) this.nodes[~entry * NODE + 6] = now;
      else this.top[i] = now;
    }
  }

  /** The node below a top entry, made if there is none. */
  private root(topAt: number): number {
    const entry = this.top[topAt] as number;
    if (entry < 0) return ~entry;
    const node = this.takeNodes(1);
    this.emptyNode(node);
    this.nodes[node * NODE + 6] = entry;
    this.top[topAt] = ~node;
    return node;
  }

  /** The child of `node` at `slot`, made if there is none. */
  private descend(node: number, slot: number): number {
    const at = node * NODE;
    const word = slot >>> 5;
    const bit = 1 << (slot & 31);
    const bits = this.nodes[at + word] as number;
    const before = popcount(bits & (bit - 1)) + (word === 0 ? 0 : popcount(this.nodes[at] as number));
    const count = popcount(this.nodes[at] as number) + popcount(this.nodes[at + 1] as number);
    const base = this.nodes[at + 4] as number;
    if (bits & bit) return base + before;
    const moved = this.takeNodes(count + 1);
    const { nodes } = this;
    nodes.copyWithin(moved * NODE, base * NODE, (base + before) * NODE);
    nodes.copyWithin((moved + before + 1) * NODE, (base + before) * NODE, (base + count) * NODE);
    if (count > 0) (this.freeNodes[count] as number[]).push(base);
    nodes[at + word] = bits | bit;
    nodes[at + 4] = moved;
    this.emptyNode(moved + before);
    return moved + before;
  }

  private emptyNode(node: number): void {
    const at = node * NODE;
    this.nodes.fill(0, at, at + NODE);
    this.nodes[at + 2] = 1; // one run, of no value
    this.nodes[at + 5] = this.takeValues(1);
    this.values[this.nodes[at + 5] as number] = 0;
  }

  /** Writes a prefix that ends `depth` bits into this node to its slots. */
  private setSlots(node: number, slot: number, depth: number, value: number, below: number): void {
    const at = node * NODE;
    this.unpack(at);
    const count = 1 << (STRIDE - depth);
    const first = slot & ~(count - 1);
    const tag = depth << 24;
    for (let i = first; i < first + count; i++) {
      const has = (this.slots[i] as number) >>> 24;
      if (value !== 0 ? has <= depth : has === depth) this.slots[i] = value !== 0 ? tag | value : below;
    }
    this.pack(at);
  }

  private unpack(at: number): void {
    let value = (this.nodes[at + 5] as number) - 1;
    for (let i = 0; i < 64; i++) {
      if ((this.nodes[at + 2 + (i >>> 5)] as number) & (1 << (i & 31))) value++;
      this.slots[i] = this.values[value] as number;
    }
  }

  private pack(at: number): void {
    const old = popcount(this.nodes[at + 2] as number) + popcount(this.nodes[at + 3] as number);
    let low = 0;
    let high = 0;
    let runs = 0;
    const { slots } = this;
    for (let i = 0; i < 64; i++) {
      if (i > 0 && slots[i] === slots[i - 1]) continue;
      if (i < 32) low |= 1 << i;
      else high |= 1 << (i & 31);
      slots[runs++] = slots[i] as number; // runs <= i: nothing unread is written
    }
    let base = this.nodes[at + 5] as number;
    if (runs !== old) {
      (this.freeValues[old] as number[]).push(base);
      base = this.takeValues(runs);
    }
    for (let i = 0; i < runs; i++) this.values[base + i] = slots[i] as number;
    this.nodes[at + 2] = low;
    this.nodes[at + 3] = high;
    this.nodes[at + 5] = base;
  }

  /** Takes away the nodes along an address that hold nothing any more, from the deepest up. */
  private prune(w0: number, w1: number, w2: number, w3: number, topAt: number): void {
    for (;;) {
      let parent = -1;
      let slot = 0;
      let node = ~(this.top[topAt] as number);
      for (let offset = this.topBits; ; offset += STRIDE) {
        const at = node * NODE;
        const s = sixBits(w0, w1, w2, w3, offset);
        const bits = this.nodes[at + (s >>> 5)] as number;
        const bit = 1 << (s & 31);
        if ((bits & bit) === 0) break;
        parent = node;
        slot = s;
        node = (this.nodes[at + 4] as number) + popcount(bits & (bit - 1)) + (s < 32 ? 0 : popcount(this.nodes[at] as number));
      }
      if (!this.isEmpty(node)) return;
      (this.freeValues[1] as number[]).push(this.nodes[node * NODE + 5] as number);
      if (parent < 0) {
        this.top[topAt] = this.nodes[node * NODE + 6] as number;
        (this.freeNodes[1] as number[]).push(node);
        return;
      }
      this.unlink(parent, slot);
    }
  }

  private isEmpty(node: number): boolean {
    const at = node * NODE;
    return (
      this.nodes[at] === 0 &&
      this.nodes[at + 1] === 0 &&
      this.nodes[at + 2] === 1 &&
      this.nodes[at + 3] === 0 &&
      this.values[this.nodes[at + 5] as number] === 0
    );
  }

  private unlink(parent: number, slot: number): void {
    const at = parent * NODE;
    const word = slot >>> 5;
    const bit = 1 << (slot & 31);
    const bits = this.nodes[at + word] as number;
    const before = popcount(bits & (bit - 1)) + (word === 0 ? 0 : popcount(this.nodes[at] as number));
    const count = popcount(this.nodes[at] as number) + popcount(this.nodes[at + 1] as number);
    const base = this.nodes[at + 4] as number;
    const moved = count > 1 ? this.takeNodes(count - 1) : 0;
    const { nodes } = this;
    nodes.copyWithin(moved * NODE, base * NODE, (base + before) * NODE);
    nodes.copyWithin((moved + before) * NODE, (base + before + 1) * NODE, (base + count) * NODE);
    (this.freeNodes[count] as number[]).push(base);
    nodes[at + word] = bits & ~bit;
    nodes[at + 4] = moved;
  }

  private takeNodes(count: number): number {
    const free = (this.freeNodes[count] as number[]).pop();
    if (free !== undefined) return free;
    const at = this.nodesUsed;
    this.nodesUsed += count;
    if (this.nodesUsed * NODE > this.nodes.length) this.nodes = grown(this.nodes, this.nodesUsed * NODE);
    return at;
  }

  private takeValues(count: number): number {
    const free = (this.freeValues[count] as number[]).pop();
    if (free !== undefined) return free;
    const at = this.valuesUsed;
    this.valuesUsed += count;
    if (this.valuesUsed > this.values.length) this.values = grown(this.values, this.valuesUsed);
    return at;
  }
}

/**
 * Tells what covers a prefix that is taken away: the entry (depth in the level's own counting, shifted by 24, and value) of
 * the longest shorter prefix that still ends in the level that begins at bit `offset`; 0 when there is none. Offset 0 is the top.
 */
export type Covering = (offset: number) => number;

function grown(array: Int32Array, need: number): Int32Array {
  const bigger = new Int32Array(Math.max(need, Math.ceil(array.length * 1.5)));
  bigger.set(array);
  return bigger;
}

/** Six bits from bit `offset` on, counted from the most significant; past the end they are zero. */
function sixBits(w0: number, w1: number, w2: number, w3: number, offset: number): number {
  const word = offset >>> 5;
  const shift = offset & 31;
  const a = word === 0 ? w0 : word === 1 ? w1 : word === 2 ? w2 : w3;
  if (shift <= 26) return (a >>> (26 - shift)) & 63;
  const b = word === 0 ? w1 : word === 1 ? w2 : word === 2 ? w3 : 0;
  return ((a << (shift - 26)) | (b >>> (58 - shift))) & 63;
}

function popcount(x: number): number {
  x -= (x >>> 1) & 0x55555555;
  x = (x & 0x33333333) + ((x >>> 2) & 0x33333333);
  x = (x + (x >>> 4)) & 0x0f0f0f0f;
  return Math.imul(x, 0x01010101) >>> 24;
}
