// hot: bench/packet
/**
 * Frames waiting for a stack, each in a slot of the queue's own slabs: the receiving half of every device that is not
 * read from by the addon. Bounded in frames and octets; slabs and ring grow as they are used.
 */
import { BIG_SLOT, Checksum, Gso, HEADROOM, type Packet, type PacketPool, SMALL_SLOT } from '../base/packet.js';
import { copyOctets, type Page } from '../base/page.js';
import { Slab, type Slot } from '../base/slab.js';

/** Bounds; what comes past one is lost, the newest first. */
export interface FrameQueueLimits {
  /** Frames waiting. Default 1,000, Linux's txqueuelen. */
  readonly queueFrames?: number | undefined;
  /** Octets waiting. Default 4 MB. */
  readonly queueOctets?: number | undefined;
  /** Small and big slots, those the stack still holds included. Default 4,096 (8 MB) and 256 (17 MB). */
  readonly smallSlots?: number | undefined;
  readonly bigSlots?: number | undefined;
}

const SMALL_PER_PAGE = 16;
/** Words of `meta` per frame: start, length, checksum, csumStart from start, csumOffset, gsoType, gsoSize. */
const META = 8;
/** What a queue without frames has of them; shared, since it holds nothing. */
const NOTHING = new Int32Array(0);

/** First in, first out. Puts copy; receive gives the copies away. */
export class FrameQueue {
  private readonly framesMax: number;
  private readonly octetsMax: number;
  private readonly small: Slab;
  private readonly big: Slab;
  /** Where a frame begins in its slot: the network header behind it lies on an 8-octet boundary. */
  private readonly offset: number;
  private slots: (Slot | null)[] = [];
  private meta = NOTHING;
  private first = 0;
  /** Frames and octets waiting. */
  frames = 0;
  octets = 0;

  constructor(medium: 'ethernet' | 'ip', limits: FrameQueueLimits) {
    this.framesMax = limits.queueFrames ?? 1_000;
    this.octetsMax = limits.queueOctets ?? 4_194_304;
    this.small = new Slab(SMALL_SLOT, SMALL_PER_PAGE, limits.smallSlots ?? 4_096);
    this.big = new Slab(BIG_SLOT, 1, limits.bigSlots ?? 256);
    this.offset = medium === 'ethernet' ? HEADROOM - 14 : HEADROOM;
  }

  /** Copies a packet with its pieces, offload fields included. False when it is lost. */
  putPacket(packet: Packet): boolean {
    const { length } = packet;
    const slot = this.reserve(length);
    if (slot === null) return false;
    const start = slot.start + this.offset;
    gather(packet, slot.page, start);
    const m = this.append(slot, start, length);
    const { meta } = this;
    meta[m + 2] = packet.checksum;
    meta[m + 3] = packet.csumStart - packet.head;
    meta[m + 4] = packet.csumOffset;
    meta[m + 5] = packet.gsoType;
    meta[m + 6] = packet.gsoSize;
    return true;
  }

  /** Copies a plain frame out of foreign memory. False when it is lost. */
  putBytes(frame: Uint8Array): boolean {
    const slot = this.reserve(frame.length);
    if (slot === null) return false;
    const start = slot.start + this.offset;
    slot.page.bytes.set(frame, start);
    this.append(slot, start, frame.length);
    return true;
  }

  /** Takes frames out as packets of `pool`; fewer than `max` when the queue is empty or the pool is. */
  receive(pool: PacketPool, into: Packet[], max: number): number {
    const { meta } = this;
    let n = 0;
    while (n < max && this.frames > 0) {
      const packet = pool.take(this.slots[this.first] as Slot);
      // The frame waits for a poll with a free descriptor; until then the bounds decide who is lost.
      if (packet === null) return n;
      const m = this.first * META;
      packet.head = meta[m] as number;
      packet.tail = packet.head + (meta[m + 1] as number);
      packet.checksum = meta[m + 2] as number;
      packet.csumStart = packet.head + (meta[m + 3] as number);
      packet.csumOffset = meta[m + 4] as number;
      packet.gsoType = meta[m + 5] as number;
      packet.gsoSize = meta[m + 6] as number;
      this.shift();
      into[n++] = packet;
    }
    return n;
  }

  clear(): void {
    while (this.frames > 0) this.shift().release();
  }

  private reserve(length: number): Slot | null {
    if (this.frames >= this.framesMax || this.octets + length > this.octetsMax) return null;
    const end = this.offset + length;
    return end <= SMALL_SLOT ? this.small.take() : end <= BIG_SLOT ? this.big.take() : null;
  }

  private append(slot: Slot, start: number, length: number): number {
    if (this.frames === this.slots.length) this.grow();
    let at = this.first + this.frames;
    if (at >= this.slots.length) at -= this.slots.length;
    this.slots[at] = slot;
    at *= META;
    const { meta } = this;
    meta[at] = start;
    meta[at + 1] = length;
    meta[at + 2] = Checksum.Unverified;
    meta[at + 5] = Gso.None;
    meta[at + 6] = 0;
    this.frames++;
    this.octets += length;
    return at;
  }

  private shift(): Slot {
    const slot = this.slots[this.first] as Slot;
    this.slots[this.first] = null;
    this.octets -= this.meta[this.first * META + 1] as number;
    this.first = this.first + 1 === this.slots.length ? 0 : this.first + 1;
    this.frames--;
    return slot;
  }

  private grow(): void {
    const old = this.slots.length;
    const size = Math.max(16, 2 * old);
    const slots: (Slot | null)[] = new Array<Slot | null>(size).fill(null);
    const meta = new Int32Array(size * META);
    for (let i = 0; i < this.frames; i++) {
      const from = (this.first + i) % old;
      slots[i] = this.slots[from] as Slot;
      meta.set(this.meta.subarray(from * META, (from + 1) * META), i * META);
    }
    this.slots = slots;
    this.meta = meta;
    this.first = 0;
  }
}

/** All octets of a packet, pieces included, to `at`: copyPacket without a view for each small range. */
export function gather(packet: Packet, to: Page, at: number): void {
  const inSlot = packet.tail - packet.head;
  copyOctets(to, at, packet.slot.page, packet.head, inSlot);
  at += inSlot;
  for (let i = 0; i < packet.pieces; i++) {
    const length = packet.pieceLength[i] as number;
    copyOctets(to, at, (packet.pieceSlot[i] as Slot).page, packet.pieceStart[i] as number, length);
    at += length;
  }
}
