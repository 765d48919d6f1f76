import { seqGte } from '../../base/sequence.js';
import type { Flight } from './flight.js';
import { enterCwr } from './recovery.js';
import { Flag, type Segment } from './segment.js';
import { AckDue, type Ecn, type Tcb } from './tcb.js';

/** A data segment's ECN bits, as receiver (RFC 3168 §6.1.3): a mark is echoed on every ACK until the sender says it has reduced. */
export function markArrived(tcb: Tcb, ecn: Ecn, seg: Segment): void {
  if (seg.flags & Flag.Cwr) ecn.echo = false;
  if (!seg.ce) return;
  ecn.echo = true;
  ecn.seen = true;
  tcb.rcv.due = AckDue.Now;
}

/** ECE on an ACK, as sender (RFC 3168 §6.1.2): the window is reduced once per round trip, and the next new segment says so. */
export function echoArrived(tcb: Tcb, ecn: Ecn, flight: Flight, progress: boolean): void {
  ecn.seen = true;
  if (!progress || (ecn.waiting && !seqGte(tcb.snd.una, ecn.until))) return;
  ecn.waiting = true;
  ecn.until = tcb.snd.nxt;
  ecn.reduced = true;
  enterCwr(tcb, flight);
}

/** An ACK without ECE: the peer has seen CWR. */
export function adoptEcn(ecn: Ecn): void {
  ecn.waiting = false;
}
