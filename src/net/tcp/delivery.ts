// hot: bench/packet
import { type Seq, seqGt, seqGte, seqLt } from '../../base/sequence.js';
import type { Delivery } from './congestion/controller.js';
import type { Flight, Sent } from './flight.js';
import { SentFlag } from './flight.js';
import type { Segment } from './segment.js';
import type { Tcb } from './tcb.js';

/** What the ACK in hand tells, gathered while it is taken in. One per stack, reused. */
export class AckSample implements Delivery {
  acked = 0;
  delivered = 0;
  rtt = -1;
  lost = 0;
  rate = -1;
  appLimited = false;
  priorDelivered = 0;
  priorLost = 0;
  txInFlight = 0;
  /** Octets newly reported by SACK. */
  sacked = 0;
  /** Round trip of the oldest octet acknowledged: what RTO is made of. −1 without. */
  oldestRtt = -1;
  /** Something never retransmitted was delivered that had been sent before recovery began: F-RTO's proof. */
  originalDelivered = false;
  /** Something retransmitted was acknowledged. */
  retransmissionAcked = false;
  /** The ACK carried a D-SACK. */
  duplicate = false;
  /** The window field changed. */
  windowChanged = false;
  /** RACK.fack before this ACK: its own blocks come in no order. */
  priorFack: Seq = 0;
  /** It showed that segments had overtaken each other. */
  reordered = false;
  // Rate sample of the segment sent last among the delivered.
  private sampleDelivered = 0;
  private sampleDeliveredAt = 0;
  private sampleFirstSentAt = 0;
  private sampleSentAt = 0;
  private sampled = false;

  begin(flight: Flight | null): void {
    this.priorFack = flight === null ? 0 : flight.fack;
    this.acked = this.delivered = this.lost = this.sacked = 0;
    this.rtt = this.oldestRtt = this.rate = -1;
    this.appLimited = false;
    this.priorDelivered = 0;
    this.originalDelivered = this.retransmissionAcked = this.duplicate = this.windowChanged = this.reordered = false;
    this.sampled = false;
  }

  /** A record, or its first `octets`, has been delivered: by ACK or by SACK, for the first time. */
  take(tcb: Tcb, flight: Flight, sent: Sent, octets: number, now32: number, seg: Segment): void {
    this.delivered += octets;
    const rtt = Math.max(0, (now32 - sent.time) | 0);
    const again = (sent.flags & SentFlag.EverRetransmitted) !== 0;
    if (again) this.retransmissionAcked = true;
    else {
      if (this.oldestRtt < 0) this.oldestRtt = rtt;
      if (this.rtt < 0 || rtt < this.rtt) this.rtt = rtt;
      if (seqLt(sent.seq, flight.high)) this.originalDelivered = true;
    }
    const end = (sent.seq + octets) | 0;
    rackUpdate(tcb, flight, sent, end, rtt, again, seg);
    noteReordering(tcb, flight, this, sent.seq, end, again);
    if (!this.sampled || ((sent.time - this.sampleSentAt) | 0) >= 0) {
      this.sampled = true;
      this.sampleSentAt = sent.time;
      this.sampleDelivered = sent.delivered;
      this.sampleDeliveredAt = sent.deliveredAt;
      this.sampleFirstSentAt = sent.firstSentAt;
      this.appLimited = sent.appLimited;
      this.priorLost = sent.priorLost;
      this.txInFlight = sent.inFlight;
    }
  }

  /** Closes the rate sample: octets delivered over the longer of the sending and the ACKing interval. */
  finish(flight: Flight, now32: number): void {
    if (this.delivered > 0) {
      flight.delivered += this.delivered;
      flight.deliveredAt = now32;
      if (flight.delivered > flight.appLimitedUntil) flight.appLimitedUntil = 0;
    }
    if (!this.sampled) return;
    flight.firstSentAt = this.sampleSentAt;
    this.priorDelivered = this.sampleDelivered;
    const sending = (this.sampleSentAt - this.sampleFirstSentAt) | 0;
    const acking = (now32 - this.sampleDeliveredAt) | 0;
    const interval = Math.max(sending, acking);
    if (interval <= 0) return;
    this.rate = ((flight.delivered - this.sampleDelivered) * 1e6) / interval;
    if (!this.appLimited || this.rate > flight.rate) flight.rate = this.rate;
  }
}

/** RFC 8985 §6.2 step 2: remembers what was sent last among what has been delivered. */
function rackUpdate(tcb: Tcb, flight: Flight, sent: Sent, end: Seq, rtt: number, again: boolean, seg: Segment): void {
  if (again) {
    // An ACK of the original, not of the retransmission, would make the round trip too short: then everything looks lost.
    if (seg.options.timestamps && ((seg.options.tsEcr - stampOf(tcb, sent.time)) | 0) < 0) return;
    if (rtt < tcb.rtt.min) return;
  }
  flight.rackRtt = rtt;
  if (flight.rackValid && !sentAfter(sent.time, end, flight.rackTime, flight.rackEnd)) return;
  flight.rackValid = true;
  flight.rackTime = sent.time;
  flight.rackEnd = end;
}

/** RFC 8985 §6.2 step 3: an original that comes in below what has already been delivered was overtaken. */
function noteReordering(tcb: Tcb, flight: Flight, sample: AckSample, seq: Seq, end: Seq, again: boolean): void {
  const { priorFack } = sample;
  if (seqGt(end, flight.fack)) flight.fack = end;
  if (again || seqGte(end, priorFack)) return;
  if (!sample.reordered) flight.reorderings++;
  sample.reordered = true;
  const degree = Math.ceil(((priorFack - seq) | 0) / tcb.snd.mss);
  if (degree > flight.reordering) flight.reordering = Math.min(degree, REORDERING_LIMIT);
}

/** Linux's tcp_max_reordering. */
const REORDERING_LIMIT = 300;

/** Sent later, or at the same time and further right. RFC 8985 §6.2 RACK_sent_after. */
export function sentAfter(time1: number, end1: Seq, time2: number, end2: Seq): boolean {
  const d = (time1 - time2) | 0;
  return d > 0 || (d === 0 && seqGt(end1, end2));
}

/** The timestamp we put on what was sent at `time32`: the clock of `tsval` taken back. Good for the last 35 minutes. */
export function stampOf(tcb: Tcb, time32: number): number {
  const { now } = tcb.tcp.ctx;
  const ago = ((now | 0) - time32) | 0;
  return (Math.floor((now - ago) / 1_000) + tcb.tsOffset) | 0;
}
