// hot: bench/packet
import { assert } from '../../base/assert.js';
import { type Packet, SMALL_SLOT } from '../../base/packet.js';
import { copyOctets, type Page } from '../../base/page.js';
import { type Seq, seqGte, seqLt } from '../../base/sequence.js';
import type { Slot } from '../../base/slab.js';
import type { Context } from '../context.js';
import { RANGES_MAX } from './constants.js';
import { Ranges } from './ranges.js';
import { takeSlot } from './send-buffer.js';

/** A stretch of the stream, [from, from + size), at `slot.start`; without a slot until an octet of it arrives. */
class ReceiveChunk {
  slot: Slot | null = null;
  from: Seq = 0;
  size = 0;
}

/**
 * Octets received and not yet read, addressed by sequence number: each is written once, at its final place, in whatever
 * order it comes. Slots are taken when an octet of their stretch arrives, and given up when the last has been read.
 */
export class ReceiveBuffer {
  /** Next octet the application reads. */
  head: Seq;
  /** First octet missing: RCV.NXT as long as no FIN has come. */
  nxt: Seq;
  /** What lies beyond `nxt`; null until something did. */
  ranges: Ranges | null = null;
  /** True size of the slots held. */
  charged = 0;
  private readonly chunks: ReceiveChunk[] = [];
  private spare: ReceiveChunk | null = null;

  constructor(seq: Seq) {
    this.head = this.nxt = seq;
  }

  /** Octets that can be read. */
  get available(): number {
    return (this.nxt - this.head) | 0;
  }

  /** True when octets wait behind a gap. */
  get gap(): boolean {
    return this.ranges !== null && this.ranges.count > 0;
  }

  /**
   * Stores the octets [skip, skip + length) of the packet's payload, which begins at packet.head, as [seq, seq + length). `seq`
   * is at or beyond nxt. False when memory has run out or there are too many gaps; then nothing has changed that anybody sees.
   */
  insert(ctx: Context, seq: Seq, packet: Packet, skip: number, length: number): boolean {
    if (!this.put(ctx, seq, packet, skip, length)) return false;
    const end = (seq + length) | 0;
    if (seq === this.nxt) {
      this.nxt = this.ranges === null ? end : this.ranges.absorb(end);
      return true;
    }
    this.ranges ??= new Ranges(RANGES_MAX);
    return this.ranges.add(seq, end);
  }

  /** Copies up to `length` octets into `into` at `offset`, and forgets them. Returns how many. */
  read(into: Uint8Array, offset: number, length: number): number {
    const total = Math.min(length, this.available);
    let done = 0;
    while (done < total) {
      const chunk = this.chunks[0] as ReceiveChunk;
      const slot = chunk.slot as Slot;
      const skip = (this.head - chunk.from) | 0;
      const n = Math.min(total - done, chunk.size - skip);
      copyOut(slot.page, slot.start + skip, n, into, offset + done);
      done += n;
      this.consume(n);
    }
    return total;
  }

  /** The octets that can be read without crossing a slot, lent until the next call; null when there are none. */
  peek(): Uint8Array | null {
    if (this.head === this.nxt) return null;
    const chunk = this.chunks[0] as ReceiveChunk;
    const slot = chunk.slot as Slot;
    const skip = (this.head - chunk.from) | 0;
    const n = Math.min(this.available, chunk.size - skip);
    return slot.page.bytes.subarray(slot.start + skip, slot.start + skip + n);
  }

  /** Forgets `n` octets, at most `available`, none of them past the first slot. */
  consume(n: number): void {
    this.head = (this.head + n) | 0;
    const chunk = this.chunks[0] as ReceiveChunk;
    if (((this.head - chunk.from) | 0) === chunk.size) this.drop();
    // All is read: the next octets may begin in a slot just used, still in the processor's cache.
    else if (this.head === this.nxt && !this.gap) this.clear();
  }

  /** Gives everything up, unread octets and those behind gaps too. */
  clear(): void {
    while (this.chunks.length > 0) this.drop();
    this.ranges = null;
    this.head = this.nxt;
  }

  private drop(): void {
    const chunk = this.chunks.shift() as ReceiveChunk;
    if (chunk.slot !== null) {
      this.charged -= chunk.slot.slab.slotSize;
      chunk.slot.release();
      chunk.slot = null;
    }
    this.spare = chunk;
  }

  private put(ctx: Context, seq: Seq, packet: Packet, skip: number, length: number): boolean {
    let done = 0;
    const size = ctx.chunks.slotSize;
    let i = this.find(seq, length, size);
    while (done < length) {
      const chunk = this.chunks[i] ?? this.append(length - done, size);
      const at = (seq + done - chunk.from) | 0;
      if (at >= chunk.size) {
        i++;
        continue;
      }
      const slot = chunk.slot ?? this.fill(ctx, chunk);
      if (slot === null) return false;
      const n = Math.min(length - done, chunk.size - at);
      copyPayload(packet, skip + done, n, slot.page, slot.start + at);
      done += n;
      i++;
    }
    return true;
  }

  /** Index of the chunk that `seq` lies in, or of the one to be appended. Most octets are for the last one. */
  private find(seq: Seq, length: number, size: number): number {
    if (this.chunks.length === 0) this.append(length, size);
    let i = this.chunks.length - 1;
    while (i > 0 && seqLt(seq, (this.chunks[i] as ReceiveChunk).from)) i--;
    return i;
  }

  /** The stretch behind the last: a small one when the buffer is empty and what comes fits. */
  private append(length: number, size: number): ReceiveChunk {
    const chunk = this.spare ?? new ReceiveChunk();
    this.spare = null;
    const last = this.chunks[this.chunks.length - 1];
    chunk.from = last === undefined ? this.nxt : (last.from + last.size) | 0;
    chunk.size = last === undefined && length <= SMALL_SLOT ? SMALL_SLOT : size;
    this.chunks.push(chunk);
    return chunk;
  }

  private fill(ctx: Context, chunk: ReceiveChunk): Slot | null {
    const slot = takeSlot(ctx, chunk.size === SMALL_SLOT);
    if (slot === null) return null;
    chunk.slot = slot;
    this.charged += slot.slab.slotSize;
    return slot;
  }

  /** For tests: what the fields say of each other holds. */
  check(): void {
    let from = this.chunks[0]?.from;
    for (const chunk of this.chunks) {
      assert(chunk.from === from, 'stretches follow each other');
      from = (chunk.from + chunk.size) | 0;
    }
    assert(seqGte(this.nxt, this.head), 'nothing is read that has not come');
  }
}

/** Copies [skip, skip + length) of the payload that begins at packet.head and goes on in its pieces (packets to ourselves have them). */
function copyPayload(packet: Packet, skip: number, length: number, to: Page, at: number): void {
  const inSlot = packet.tail - packet.head;
  if (skip < inSlot) {
    const n = Math.min(length, inSlot - skip);
    copyOctets(to, at, packet.slot.page, packet.head + skip, n);
    if (n === length) return;
    at += n;
    skip += n;
    length -= n;
  }
  skip -= inSlot;
  for (let i = 0; length > 0; i++) {
    const size = packet.pieceLength[i] as number;
    if (skip < size) {
      const n = Math.min(length, size - skip);
      copyOctets(to, at, (packet.pieceSlot[i] as Slot).page, (packet.pieceStart[i] as number) + skip, n);
      at += n;
      skip += n;
      length -= n;
    }
    skip -= size;
  }
}

function copyOut(from: Page, at: number, length: number, to: Uint8Array, toAt: number): void {
  if (length > 64) {
    to.set(from.bytes.subarray(at, at + length), toAt);
    return;
  }
  for (let i = 0; i < length; i++) to[toAt + i] = from.bytes[at + i] as number;
}
