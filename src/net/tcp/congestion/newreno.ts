import type { Micros } from '../../../base/time.js';
import type { Flight } from '../flight.js';
import type { Tcb } from '../tcb.js';
import type { Congestion, Delivery } from './controller.js';
import { HyStart } from './hystart.js';

/** Slow start and congestion avoidance by octets counted (RFC 5681, 3465), with HyStart++ at the beginning. */
export class NewReno implements Congestion {
  readonly name: string = 'reno';
  readonly ownsWindow = false;
  /** Only in the first slow start (RFC 9406 §4.3): afterwards ssthresh is known. */
  protected hystart: HyStart | null;
  /** Octets acknowledged towards the next segment of growth. */
  private counted = 0;

  constructor(tcb: Tcb, hystart: number) {
    this.hystart = hystart === 0 ? null : new HyStart(tcb.snd.nxt, hystart === 1);
  }

  acked(tcb: Tcb, delivery: Delivery, now: Micros): void {
    const { snd } = tcb;
    // What SACKs had reported before was in the window then: it does not open it a second time (Linux; RFC 5681 §3.1 knows no SACK).
    let acked = delivery.delivered;
    if (snd.cwnd < snd.ssthresh) {
      acked = this.slowStart(tcb, acked, delivery.rtt);
      if (acked === 0) return;
    }
    this.avoid(tcb, acked, now);
  }

  loss(tcb: Tcb, _now: Micros): number {
    this.hystart = null;
    this.counted = 0;
    return Math.max(tcb.snd.cwnd >> 1, 2 * tcb.snd.mss);
  }

  timeout(_tcb: Tcb): void {
    this.hystart = null;
    this.counted = 0;
  }

  undone(_tcb: Tcb): void {}

  sampled(_tcb: Tcb, _delivery: Delivery, _now: Micros): void {}

  restarted(_tcb: Tcb, _flight: Flight, _now: Micros): void {}

  /** Opens the window by what is acknowledged, up to ssthresh; returns the octets left over for congestion avoidance. */
  protected slowStart(tcb: Tcb, acked: number, rtt: number): number {
    const { snd } = tcb;
    const growth = this.hystart === null ? acked : this.hystart.growth(tcb, acked, rtt);
    if (growth < 0) {
      snd.ssthresh = snd.cwnd;
      this.hystart = null;
      return acked;
    }
    const room = snd.ssthresh - snd.cwnd;
    snd.cwnd = Math.round(snd.cwnd + Math.min(growth, room));
    return Math.max(0, growth - room);
  }

  /** One segment per window acknowledged. RFC 5681 §3.1. */
  protected avoid(tcb: Tcb, acked: number, _now: Micros): void {
    const { snd } = tcb;
    this.counted += acked;
    if (this.counted < snd.cwnd) return;
    const windows = Math.floor(this.counted / snd.cwnd);
    this.counted -= windows * snd.cwnd;
    snd.cwnd += windows * snd.mss;
  }
}
