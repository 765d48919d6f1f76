import type { AssertionError } from '../base/assert.js';
import { Drop } from '../base/drops.js';
import { BIG_SLOT, CHUNK, copyDescriptor, copyPacket, HEADROOM, type Packet, PacketPool, SMALL_SLOT } from '../base/packet.js';
import { copyOctets } from '../base/page.js';
import { Prng } from '../base/prng.js';
import { Slab, type Slot } from '../base/slab.js';
import type { Micros } from '../base/time.js';
import { TimerWheel } from '../base/timer-wheel.js';
import type { Hypercalls } from '../hyper/hypercalls.js';
import { Counters } from './counters.js';
import { Observer } from './observer.js';
import type { Sysctl } from './sysctl.js';

/** Transport headers we write begin here in their slot: headroom, and the longer of the two IP headers. */
const TRANSPORT_AT = HEADROOM + 40;

/** Something with an `onReady` that is told in the notify phase. */
export interface Notified {
  /** True while it waits in the queue. */
  notified: boolean;
  notify(): void;
}

/** What all components of one stack share: time, memory, chance, counters, and how a packet dies. */
export class Context {
  /** Names the stack in errors and files. */
  readonly name: string;
  readonly hyper: Hypercalls;
  readonly sysctl: Sysctl;
  /** Time of the running phase; a phase has one. */
  now: Micros;
  readonly wheel: TimerWheel;
  readonly pool: PacketPool;
  /** Slots of 2 KB for the packets we write. */
  readonly slab: Slab;
  /** Slots for datagrams longer than a frame: reassembled, looped back, or to be fragmented. */
  readonly big: Slab;
  /** Chunks of socket buffers, 64 KB each unless there is little memory; their small first ones are in `slab`. */
  readonly chunks: Slab;
  readonly counters = new Counters();
  readonly observer = new Observer();
  /** Jitter. Seeded from hyper.random, so the simulator decides it. */
  readonly prng: Prng;
  /** 128 secret bits for SipHash: ISNs, cookies, ports, tables. */
  readonly secret = new Int32Array(4);
  /** True inside poll, which runs all phases anyway; outside, whoever changes something asks hyper.soon for a poll. */
  polling = false;
  /** Why the stack has ended, as errno: ECANCELED when it was closed, EIO when it failed. 0 while it runs. */
  ended = 0;
  /** The assertion it failed by. */
  failure: AssertionError | null = null;
  /** True while applications are being told: the time has just been read. */
  private telling = false;
  private ready: Notified[] = [];
  private delivering: Notified[] = [];

  constructor(name: string, hyper: Hypercalls, sysctl: Sysctl) {
    this.name = name;
    this.hyper = hyper;
    this.sysctl = sysctl;
    this.now = hyper.monotonic();
    this.wheel = new TimerWheel(this.now);
    this.pool = new PacketPool(sysctl.v['anystack.packets_max']);
    this.slab = new Slab(SMALL_SLOT, 8, sysctl.v['anystack.slots_max']);
    this.big = new Slab(BIG_SLOT, 1, sysctl.v['anystack.big_slots_max']);
    this.chunks = chunkSlab(sysctl.v['anystack.socket_memory']);
    const seed = new Uint8Array(20);
    hyper.random(seed);
    const words = new DataView(seed.buffer);
    for (let i = 0; i < 4; i++) this.secret[i] = words.getInt32(4 * i);
    this.prng = new Prng(words.getInt32(16));
  }

  /** A call from an application that may arm timers: outside a poll the time is read again. */
  touch(): void {
    if (!this.polling && !this.telling) this.now = this.hyper.monotonic();
  }

  /** There is something for egress: asks for a poll, unless one is running, whose egress is still to come. */
  soon(): void {
    if (!this.polling && !this.telling) this.hyper.soon();
  }

  /** Ends a packet that failed, counting why. */
  drop(packet: Packet, reason: number): void {
    (this.counters.drops[reason] as number)++;
    if (this.observer.drop !== null) this.observer.drop(packet, reason);
    packet.release();
  }

  /** Counts a drop of something that is no packet any more, or never became one. */
  countDrop(reason: number): void {
    (this.counters.drops[reason] as number)++;
  }

  /**
   * An empty packet for a transport header: head and tail where it begins, room for IP and link before it. Null (and
   * NoBuffer is for the caller to count) when memory has run out.
   */
  packet(): Packet | null {
    const packet = this.pool.from(this.slab);
    if (packet !== null) packet.head = packet.tail = packet.slot.start + TRANSPORT_AT;
    return packet;
  }

  /**
   * Makes a received packet fit to be held past its poll: moved to a small slot of ours when its slot is a big one or its
   * device's slab runs low, so that who does not read starves nobody. Null when there is no memory: it was dropped.
   */
  keep(packet: Packet, reason: number): Packet | null {
    const { slab } = packet.slot;
    if (slab === this.slab || (slab.slotSize <= SMALL_SLOT && slab.available * 4 > slab.slotsMax)) return packet;
    const length = packet.tail - packet.link;
    if (packet.link < 0 || HEADROOM + length > SMALL_SLOT) return packet;
    const copy = this.pool.from(this.slab);
    if (copy === null) {
      this.drop(packet, reason);
      return null;
    }
    moveTo(copy, packet, copy.slot.start + HEADROOM - packet.link, packet.link, length);
    return copy;
  }

  /** Makes a packet's octets ours alone before they are written to: copied when a capture or a raw socket shares them. Null when there is no memory: it was dropped. */
  unshare(packet: Packet): Packet | null {
    if (packet.slot.refs === 1) return packet;
    const start = packet.link < 0 ? packet.head : packet.link;
    const length = packet.tail - start;
    const copy = this.pool.from(HEADROOM + length > SMALL_SLOT ? this.big : this.slab);
    if (copy === null) {
      this.drop(packet, Drop.NoBuffer);
      return null;
    }
    moveTo(copy, packet, copy.slot.start + HEADROOM - start, start, length);
    return copy;
  }

  /**
   * Room for `octets` of headers before head, in a slot that is the packet's alone; with `flat` also what lay in pieces. Copied where it
   * is not so already. Null when there is no memory: it was dropped.
   */
  roomy(packet: Packet, octets: number, flat: boolean): Packet | null {
    const { slot, head } = packet;
    if (slot.refs === 1 && head - octets >= slot.start && !(flat && packet.pieces > 0)) return packet;
    const front = (HEADROOM + octets + 7) & ~7;
    const copy = this.pool.from(front + packet.length > SMALL_SLOT ? this.big : this.slab);
    if (copy === null) {
      this.drop(packet, Drop.NoBuffer);
      return null;
    }
    copyDescriptor(copy, packet);
    const shift = copy.slot.start + front - head;
    copy.head += shift;
    copy.tail = copyPacket(packet, copy.bytes, copy.head);
    copy.link = packet.link < head ? -1 : packet.link + shift;
    copy.network = packet.network < head ? -1 : packet.network + shift;
    copy.transport = packet.transport < head ? -1 : packet.transport + shift;
    copy.csumStart += shift;
    packet.release();
    return copy;
  }

  /** Queues `target.notify()` for the notify phase; once, however often asked. Outside a poll it also asks for one. */
  notify(target: Notified): void {
    if (target.notified) return;
    target.notified = true;
    this.ready.push(target);
    this.soon();
  }

  /**
   * The notify phase: application code runs here and nowhere else. What it throws reaches the host; those still
   * waiting are told in the next poll.
   */
  deliver(): void {
    if (this.ready.length === 0) return;
    this.telling = true;
    const batch = this.ready;
    this.ready = this.delivering;
    this.delivering = batch;
    let i = 0;
    try {
      while (i < batch.length) {
        const target = batch[i++] as Notified;
        target.notified = false;
        target.notify();
      }
    } finally {
      for (; i < batch.length; i++) this.ready.push(batch[i] as Notified);
      batch.length = 0;
      this.telling = false;
      if (this.ready.length > 0) this.hyper.soon();
    }
  }

  /** True when listeners wait to be told. */
  get undelivered(): boolean {
    return this.ready.length > 0;
  }
}

/** Copies `length` octets from `start` on, and all that describes them, `shift` octets on in the slot of `copy`; ends `packet`. */
function moveTo(copy: Packet, packet: Packet, shift: number, start: number, length: number): void {
  copyOctets(copy.slot.page, start + shift, packet.slot.page, start, length);
  copyDescriptor(copy, packet);
  copy.head += shift;
  copy.tail += shift;
  if (copy.link >= 0) copy.link += shift;
  if (copy.network >= 0) copy.network += shift;
  if (copy.transport >= 0) copy.transport += shift;
  copy.csumStart += shift;
  for (let i = 0; i < packet.pieces; i++) copy.gather(packet.pieceSlot[i] as Slot, packet.pieceStart[i] as number, packet.pieceLength[i] as number);
  packet.release();
}

/** At least this many chunks: a connection with data takes one or two in each direction. */
const CHUNKS_MIN = 512;
const CHUNK_MIN = 8_192;

/** Chunks of 64 KB, or smaller ones where few would fit: a hundred connections with a little data each should not want for memory. */
function chunkSlab(octets: number): Slab {
  let size = CHUNK;
  while (size > CHUNK_MIN && octets / size < CHUNKS_MIN) size >>= 1;
  return new Slab(size, 1, Math.ceil(octets / size));
}
