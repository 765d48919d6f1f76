// hot: bench/packet
import type { Packet } from '../../base/packet.js';
import { type Micros, millis } from '../../base/time.js';

/** Standing delay a queue may have. RFC 8289 §4.3: 5 ms. */
export const TARGET: Micros = millis(5);
/** How long it may be above: the order of a round trip. RFC 8289 §4.3: 100 ms. */
export const INTERVAL: Micros = millis(100);

/** What CoDel does with a packet that it thinks too late: true when it was marked and goes on, false when it was dropped. */
export type TooLate = (packet: Packet) => boolean;

/** One flow's queue under CoDel (RFC 8289 §5), with its place in FQ-CoDel's lists. `packet.time` is when it came. */
export class CodelQueue {
  octets = 0;
  packets = 0;
  /** Octets it may still send in this round. RFC 8290 §4.1. */
  deficit = 0;
  /** In one of the lists. */
  listed = false;
  next: CodelQueue | null = null;
  private head: Packet | null = null;
  private tail: Packet | null = null;
  /** When the delay will have been above the target for an interval; 0: it is not. */
  private firstAbove: Micros = 0;
  private dropNext: Micros = 0;
  private count = 0;
  private lastCount = 0;
  private dropping = false;

  push(packet: Packet): void {
    packet.next = null;
    if (this.head === null) this.head = packet;
    else (this.tail as Packet).next = packet;
    this.tail = packet;
    this.octets += packet.length;
    this.packets++;
  }

  /** The oldest packet, without asking whether it is late. */
  shift(): Packet | null {
    const packet = this.head;
    if (packet === null) return null;
    this.head = packet.next;
    packet.next = null;
    this.octets -= packet.length;
    this.packets--;
    return packet;
  }

  /** The next packet to send: the control law drops or marks more often the longer the delay stays above the target. */
  take(now: Micros, quantum: number, late: TooLate): Packet | null {
    let packet = this.shift();
    let bad = this.above(packet, now, quantum);
    if (this.dropping) {
      if (!bad) this.dropping = false;
      while (packet !== null && this.dropping && now >= this.dropNext) {
        this.count++;
        this.dropNext = lawAfter(this.dropNext, this.count);
        if (late(packet)) return packet;
        packet = this.shift();
        bad = this.above(packet, now, quantum);
        if (!bad) this.dropping = false;
      }
      return packet;
    }
    if (!bad || packet === null) return packet;
    this.dropping = true;
    // Where dropping has just ended, it goes on at the rate that had controlled the queue.
    const recent = this.count - this.lastCount;
    this.count = recent > 1 && now - this.dropNext < 16 * INTERVAL ? recent : 1;
    this.lastCount = this.count;
    this.dropNext = lawAfter(now, this.count);
    if (late(packet)) return packet;
    packet = this.shift();
    this.above(packet, now, quantum);
    return packet;
  }

  /** Has the delay been above the target for an interval? */
  private above(packet: Packet | null, now: Micros, quantum: number): boolean {
    if (packet === null || now - packet.time < TARGET || this.octets <= quantum) {
      this.firstAbove = 0;
      return false;
    }
    if (this.firstAbove === 0) {
      this.firstAbove = now + INTERVAL;
      return false;
    }
    return now >= this.firstAbove;
  }
}

const lawAfter = (at: Micros, count: number): Micros => at + INTERVAL / Math.sqrt(count);
