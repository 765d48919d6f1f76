// hot: bench/packet
import { mixAddress } from '../../base/address.js';
import { Drop } from '../../base/drops.js';
import type { Packet } from '../../base/packet.js';
import { type Micros, millis } from '../../base/time.js';
import { Timer } from '../../base/timer-wheel.js';
import { Protocol } from '../../wire/protocol.js';
import type { Context } from '../context.js';
import { setClass } from '../ipsec/ecn.js';
import { TimerKind } from '../timer-kind.js';
import { CodelQueue } from './codel.js';

/** Flows told apart. RFC 8290 §5.2.2: 1,024. */
const FLOWS = 1_024;
/** Packets that wait at most, of all flows together; past that the longest flow loses its oldest. */
export const SHAPER_PACKETS_MAX = 1_024;
/** Octets a flow may send in one turn. RFC 8290 §5.2.3: one frame. */
const QUANTUM = 1_514;
/** Least time the bucket is filled for: timers fire in steps of a millisecond. */
const BURST: Micros = millis(10);

/** How fast an interface may send. */
export interface Rate {
  /** Bits a second. */
  readonly bits: number;
  /** Octets sent at once after a pause. Default: what 10 ms bring, and 2 frames at least. */
  readonly burst?: number;
}

/**
 * A token bucket in front of a device, and FQ-CoDel (RFC 8290) behind it: flows share a slow uplink evenly, sparse ones pass first, and no queue
 * stands. It holds packets longer than a flush, so what lies in send buffers or in a device's slab is copied first; big frames are cut.
 */
export class Shaper {
  readonly rate: Rate;
  /** Packets waiting. */
  waiting = 0;
  marked = 0;
  private readonly ctx: Context;
  private readonly send: (packet: Packet) => void;
  private readonly flows: (CodelQueue | null)[] = new Array<CodelQueue | null>(FLOWS).fill(null);
  private readonly fresh = new Round();
  private readonly old = new Round();
  private readonly timer: Timer;
  private readonly burst: number;
  private tokens: number;
  private at: Micros;

  /** `send` puts a frame into the device's queue. */
  constructor(ctx: Context, rate: Rate, send: (packet: Packet) => void) {
    this.ctx = ctx;
    this.rate = rate;
    this.send = send;
    this.burst = rate.burst ?? Math.max(2 * QUANTUM, (rate.bits * BURST) / 8_000_000);
    this.tokens = this.burst;
    this.at = ctx.now;
    this.timer = new Timer(TimerKind.Shaper, this);
  }

  /** A complete plain frame, head at its first octet. Owns it. */
  enqueue(given: Packet): void {
    const { ctx } = this;
    // Alone in its slot too: a mark is written into it.
    const flat = given.pieces > 0 || given.slot.refs > 1 ? ctx.roomy(given, 0, true) : ctx.keep(given, Drop.NoBuffer);
    if (flat === null) return;
    flat.time = ctx.now;
    const queue = this.queueOf(flat);
    queue.push(flat);
    this.waiting++;
    if (!queue.listed) {
      queue.deficit = QUANTUM;
      this.fresh.add(queue);
    }
    if (this.waiting > SHAPER_PACKETS_MAX) this.shed();
    this.run();
  }

  /** Sends what the bucket allows, and comes back when it allows more. */
  private run(): void {
    const { ctx, burst } = this;
    this.tokens = Math.min(burst, this.tokens + ((ctx.now - this.at) * this.rate.bits) / 8_000_000);
    this.at = ctx.now;
    while (this.tokens > 0) {
      const packet = this.dequeue();
      if (packet === null) return;
      this.tokens -= packet.length;
      this.send(packet);
    }
    if (this.waiting > 0 && !this.timer.armed) ctx.wheel.arm(this.timer, ctx.now + ((1 - this.tokens) * 8_000_000) / this.rate.bits);
  }

  /** For the timer wheel. */
  expire(_timer: Timer): void {
    this.run();
  }

  /** RFC 8290 §4.2. */
  private dequeue(): Packet | null {
    for (;;) {
      const round = this.fresh.first === null ? this.old : this.fresh;
      const queue = round.first;
      if (queue === null) return null;
      if (queue.deficit <= 0) {
        queue.deficit += QUANTUM;
        round.remove();
        this.old.add(queue);
        continue;
      }
      const packet = queue.take(this.ctx.now, QUANTUM, this.late);
      if (packet === null) {
        round.remove();
        // A flow that was new goes to the end of the old ones once: else it could be new again and again.
        if (round === this.fresh && this.old.first !== null) this.old.add(queue);
        continue;
      }
      this.waiting--;
      queue.deficit -= packet.length;
      return packet;
    }
  }

  /** Marks where both ends know ECN (RFC 8290 §4.3), else drops. */
  private readonly late = (packet: Packet): boolean => {
    const { view, network, family } = packet;
    const ecn = network < 0 || family === 0 ? 0 : packet.trafficClass & 3;
    if (ecn === 1 || ecn === 2) {
      setClass(view, network, family, packet.trafficClass | 3);
      packet.trafficClass |= 3;
      this.marked++;
      return true;
    }
    this.waiting--;
    this.ctx.drop(packet, Drop.ShaperLate);
    return false;
  };

  /** RFC 8290 §4.1: the flow with most octets loses its oldest packet. */
  private shed(): void {
    let fattest: CodelQueue | null = null;
    for (const queue of this.flows) if (queue !== null && (fattest === null || queue.octets > fattest.octets)) fattest = queue;
    const packet = fattest?.shift() ?? null;
    if (packet === null) return;
    this.waiting--;
    this.ctx.drop(packet, Drop.ShaperFull);
  }

  private queueOf(packet: Packet): CodelQueue {
    const { flows } = this;
    const place = this.hash(packet) & (FLOWS - 1);
    const there = flows[place] as CodelQueue | null;
    if (there !== null) return there;
    const made = new CodelQueue();
    flows[place] = made;
    return made;
  }

  private hash(packet: Packet): number {
    const { view, transport, tail, protocol } = packet;
    let h = mixAddress(mixAddress((this.ctx.secret[1] as number) ^ protocol, packet.source), packet.destination);
    const ports = (protocol === Protocol.Tcp || protocol === Protocol.Udp) && transport >= 0 && tail - transport >= 4;
    if (ports) h = Math.imul(h ^ view.getInt32(transport), 0x85ebca6b);
    return h ^ (h >>> 16);
  }

  /** Ends: what waits is dropped. */
  close(): void {
    this.ctx.wheel.cancel(this.timer);
    for (const queue of this.flows) {
      for (let packet = queue?.shift() ?? null; packet !== null; packet = queue?.shift() ?? null) this.ctx.drop(packet, Drop.DeviceDown);
    }
    this.waiting = 0;
  }
}

/** Flows in the order of their turns. */
class Round {
  first: CodelQueue | null = null;
  private last: CodelQueue | null = null;

  add(queue: CodelQueue): void {
    queue.next = null;
    queue.listed = true;
    if (this.first === null) this.first = queue;
    else (this.last as CodelQueue).next = queue;
    this.last = queue;
  }

  /** Takes the first out. */
  remove(): void {
    const queue = this.first as CodelQueue;
    this.first = queue.next;
    queue.next = null;
    queue.listed = false;
  }
}
