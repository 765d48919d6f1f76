import type { Micros } from '../../../base/time.js';
import type { Flight } from '../flight.js';
import type { Tcb } from '../tcb.js';

/** What one ACK told of delivery. Reused: keep nothing of it. */
export interface Delivery {
  /** Octets newly delivered, by SND.UNA or by SACK. */
  readonly delivered: number;
  /** Octets SND.UNA moved by. */
  readonly acked: number;
  /** Round trip of the newest of them in µs, −1 when none was measured. */
  readonly rtt: number;
  /** Octets concluded lost by this ACK. */
  readonly lost: number;
  /** Delivery rate sample in octets per second; −1 without. */
  readonly rate: number;
  /** The sample was taken while the application had nothing to send. */
  readonly appLimited: boolean;
  /** Octets delivered before the sampled segment was sent: what round trips are counted by. */
  readonly priorDelivered: number;
  /** Octets concluded lost before it was sent, and octets in flight with it: with Flight.lostEver the loss since. */
  readonly priorLost: number;
  readonly txInFlight: number;
}

/**
 * Congestion control of one connection: it writes snd.cwnd and snd.ssthresh when told what happened, and is never asked
 * for leave. Recovery (PRR) moves cwnd itself between `loss` and its end, unless `ownsWindow`.
 */
export interface Congestion {
  readonly name: string;
  /** True when the controller sets cwnd on every ACK, recovery included. */
  readonly ownsWindow: boolean;
  /** ACKs came, and no recovery is running: may open the window. */
  acked(tcb: Tcb, delivery: Delivery, now: Micros): void;
  /** Loss or an ECN mark was concluded: the new ssthresh in octets. Called once per round trip at most. */
  loss(tcb: Tcb, now: Micros): number;
  /** A retransmission timeout; `loss` was called before when it began a recovery. */
  timeout(tcb: Tcb): void;
  /** What was concluded was wrong; cwnd and ssthresh have been put back. */
  undone(tcb: Tcb): void;
  /** Every ACK, in every state: for controllers that model the path. */
  sampled(tcb: Tcb, delivery: Delivery, now: Micros): void;
  /** Data goes out with nothing in flight. */
  restarted(tcb: Tcb, flight: Flight, now: Micros): void;
}
