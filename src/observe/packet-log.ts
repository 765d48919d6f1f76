// hot: bench/packet
import type { Packet } from '../base/packet.js';
import { copyOctets, Page } from '../base/page.js';
import type { Micros } from '../base/time.js';

/** Which way a logged frame went. Values are pcapng's direction flags; Dropped never reached a device. */
export const Way = { Dropped: 0, Rx: 1, Tx: 2 } as const;

/** Entries first made; the log doubles as it fills, so that a stack with little traffic keeps little. */
const FIRST = 16;
const META = 6;

/** One entry, for readers. Its octets are lent. */
export interface LoggedPacket {
  readonly time: Micros;
  readonly index: number;
  readonly way: number;
  /** Octets it had, and the first of them as far as they were kept. */
  readonly length: number;
  readonly bytes: Uint8Array;
  /** A Drop number, or 0. */
  readonly reason: number;
}

/**
 * The last frames of a stack, cut at `snapLength`, with what became of them. Slots of equal size in one growing array; full,
 * the oldest goes. 40 ns a frame.
 */
export class PacketLog {
  readonly max: number;
  readonly snapLength: number;
  /** Entries overwritten since the beginning. */
  lost = 0;
  private capacity = 0;
  private first = 0;
  private count = 0;
  private page = new Page(new Uint8Array(0));
  private times = new Float64Array(0);
  /** index, way, kept, length, reason, frame's place in its page. */
  private meta = new Int32Array(0);
  /** Descriptors of received frames, to know one again when it is dropped; compared, never read. */
  private readonly packets: (Packet | null)[] = [];

  constructor(max: number, snapLength: number) {
    this.max = max;
    this.snapLength = snapLength;
  }

  get size(): number {
    return this.count;
  }

  /** Logs a frame from `head` on. `room` octets of zeros stand for a link header it does not have yet. */
  add(time: Micros, index: number, way: number, packet: Packet, head: number, room = 0, reason = 0): void {
    if (this.count === this.capacity && !this.grow()) {
      this.first = this.first + 1 === this.capacity ? 0 : this.first + 1;
      this.count--;
      this.lost++;
    }
    let at = this.first + this.count++;
    if (at >= this.capacity) at -= this.capacity;
    const kept = this.copy(packet, head, at * this.snapLength, room);
    this.times[at] = time;
    this.packets[at] = way === Way.Rx ? packet : null;
    const m = at * META;
    const { meta } = this;
    meta[m] = index;
    meta[m + 1] = way;
    meta[m + 2] = kept;
    meta[m + 3] = packet.tail - head + packet.pieceOctets + room;
    meta[m + 4] = reason;
    meta[m + 5] = head;
  }

  /** Notes why a frame died that was logged when it came in; false when it is not among the last 64. */
  note(packet: Packet, reason: number): boolean {
    for (let back = 1; back <= 64 && back <= this.count; back++) {
      let at = this.first + this.count - back;
      if (at >= this.capacity) at -= this.capacity;
      if (this.packets[at] !== packet || this.meta[at * META + 5] !== frameStart(packet)) continue;
      this.meta[at * META + 4] = reason;
      this.packets[at] = null;
      return true;
    }
    return false;
  }

  /** From the oldest to the newest. */
  *[Symbol.iterator](): Generator<LoggedPacket> {
    for (let i = 0; i < this.count; i++) {
      const at = (this.first + i) % this.capacity;
      const m = at * META;
      const [index, way, kept, length, reason] = this.meta.subarray(m, m + META) as unknown as [number, number, number, number, number];
      const start = at * this.snapLength;
      yield { time: this.times[at] as number, index, way, length, bytes: this.page.bytes.subarray(start, start + kept), reason };
    }
  }

  private copy(packet: Packet, head: number, to: number, room: number): number {
    const kept = Math.max(0, Math.min(this.snapLength - room, packet.tail - head));
    if (room > 0) this.page.bytes.fill(0, to, to + room);
    copyOctets(this.page, to + room, packet.slot.page, head, kept);
    return kept + room;
  }

  private grow(): boolean {
    if (this.capacity >= this.max) return false;
    const capacity = Math.min(this.max, Math.max(FIRST, 2 * this.capacity));
    // Full and never wrapped while it grows: entry 0 is the oldest.
    const page = new Page(new Uint8Array(capacity * this.snapLength));
    page.bytes.set(this.page.bytes);
    const times = new Float64Array(capacity);
    times.set(this.times);
    const meta = new Int32Array(capacity * META);
    meta.set(this.meta);
    this.page = page;
    this.times = times;
    this.meta = meta;
    this.capacity = capacity;
    return true;
  }
}

/** Where a packet's frame begins, whatever layer it is in; the layers below the link have not seen it yet. */
export const frameStart = (packet: Packet): number => (packet.link >= 0 ? packet.link : packet.head);
