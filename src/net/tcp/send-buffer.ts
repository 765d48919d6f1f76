// hot: bench/packet
import { assert } from '../../base/assert.js';
import { CHUNK, type Packet, SMALL_SLOT } from '../../base/packet.js';
import { type Seq, seqLt } from '../../base/sequence.js';
import type { Slot } from '../../base/slab.js';
import type { Context } from '../context.js';
import { SEGMENT_MAX } from './constants.js';

/** Small slots a buffer begins with before it takes chunks: an idle or chatty connection costs 2 KB, not 64. */
const SMALL_CHUNKS = 2;

/**
 * Octets that the ranges of one packet hold wherever in the chain they begin: chunks of 64 KB carry the longest segment there is, of smaller
 * ones two besides what stands before and behind.
 */
export const gatherMax = (ctx: Context): number => (ctx.chunks.slotSize === CHUNK ? SEGMENT_MAX : 2 * ctx.chunks.slotSize);

/** A slot of the chain: octets of the stream from `from` on lie at `start` in its page. */
class SendChunk {
  slot: Slot | null = null;
  from: Seq = 0;
  start = 0;
  length = 0;
}

/**
 * Octets written by the application and not yet acknowledged, addressed by sequence number. A chain of slots, each written
 * once from front to back: packets in flight point into them and hold them, so an acknowledged slot is reused only when
 * the last frame that shows it is gone (ARCHITECTURE, Copies).
 */
export class SendBuffer {
  /** First octet kept. */
  una: Seq;
  /** One past the last octet written. */
  end: Seq;
  private readonly chunks: SendChunk[] = [];
  private spare: SendChunk | null = null;

  /** An empty buffer whose next octet has sequence number `seq`. */
  constructor(seq: Seq) {
    this.una = this.end = seq;
  }

  get octets(): number {
    return (this.end - this.una) | 0;
  }

  /** True size of the slots held. */
  get charged(): number {
    let n = 0;
    for (const chunk of this.chunks) n += (chunk.slot as Slot).slab.slotSize;
    return n;
  }

  /** Appends data[offset, offset + length), as much as memory allows. Returns the octets taken. */
  write(ctx: Context, data: Uint8Array, offset: number, length: number): number {
    let done = 0;
    while (done < length) {
      const chunk = this.room(ctx, length - done);
      if (chunk === null) break;
      const slot = chunk.slot as Slot;
      const at = chunk.start + chunk.length;
      const n = Math.min(length - done, slot.end - at);
      copyIn(data, offset + done, n, slot.page.bytes, at);
      chunk.length += n;
      done += n;
      this.end = (this.end + n) | 0;
    }
    return done;
  }

  /** Hangs the octets [from, from + length) onto `packet` as pieces; returns how many: fewer when PIECES_MAX is reached. */
  gather(packet: Packet, from: Seq, length: number): number {
    const { chunks } = this;
    let i = 0;
    while (i < chunks.length && ((from - (chunks[i] as SendChunk).from) | 0) >= (chunks[i] as SendChunk).length) i++;
    let done = 0;
    while (done < length) {
      const chunk = chunks[i++];
      assert(chunk !== undefined, 'what is sent has been written');
      const skip = (from + done - chunk.from) | 0;
      const n = Math.min(length - done, chunk.length - skip);
      if (!packet.gather(chunk.slot as Slot, chunk.start + skip, n)) break;
      done += n;
    }
    return done;
  }

  /** All before `to` is acknowledged: slots wholly below it are given up. */
  release(to: Seq): void {
    if (!seqLt(this.una, to)) return;
    this.una = to;
    const { chunks } = this;
    while (chunks.length > 0) {
      const chunk = chunks[0] as SendChunk;
      if (((to - chunk.from) | 0) < chunk.length) return;
      // The last one has room left, but an empty buffer holds nothing.
      if (chunks.length === 1 && to !== this.end) return;
      chunks.shift();
      (chunk.slot as Slot).release();
      chunk.slot = null;
      this.spare = chunk;
    }
  }

  /** Gives everything up. */
  clear(): void {
    for (const chunk of this.chunks) (chunk.slot as Slot).release();
    this.chunks.length = 0;
    this.una = this.end;
  }

  private room(ctx: Context, wanted: number): SendChunk | null {
    const { chunks } = this;
    const last = chunks[chunks.length - 1];
    if (last !== undefined && last.start + last.length < (last.slot as Slot).end) return last;
    const slot = takeSlot(ctx, chunks.length < SMALL_CHUNKS && wanted <= SMALL_SLOT);
    if (slot === null) return null;
    const chunk = this.spare ?? new SendChunk();
    this.spare = null;
    chunk.slot = slot;
    chunk.from = this.end;
    chunk.start = slot.start;
    chunk.length = 0;
    chunks.push(chunk);
    return chunk;
  }
}

/**
 * A slot for a socket buffer: a small one where that will do and a quarter of them is still free (headers and ACKs need
 * them more), else a chunk. Null when memory has run out.
 */
export function takeSlot(ctx: Context, small: boolean): Slot | null {
  if (small && ctx.slab.available > ctx.slab.slotsMax >> 2) return ctx.slab.take();
  return ctx.chunks.take();
}

/** Copies into a page; short runs octet by octet, since `subarray` allocates. */
function copyIn(from: Uint8Array, at: number, length: number, to: Uint8Array, toAt: number): void {
  if (length > 64) {
    to.set(length === from.length ? from : from.subarray(at, at + length), toAt);
    return;
  }
  for (let i = 0; i < length; i++) to[toAt + i] = from[at + i] as number;
}
