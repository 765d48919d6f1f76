import { seqGte, seqLt } from '../../base/sequence.js';
import { Counter } from '../counters.js';
import { DUP_THRESHOLD } from './constants.js';
import { type AckSample, stampOf } from './delivery.js';
import { type Flight, type Sent, SentFlag } from './flight.js';
import { CaState } from './info.js';
import { probeLost } from './pmtu.js';
import { prrAck, prrBegin } from './prr.js';
import { adaptReorderWindow, detectLoss, recoveryEnded } from './rack.js';
import type { Segment } from './segment.js';
import { windowUsed } from './send.js';
import type { Tcb } from './tcb.js';

/** Flight.undoOctets while nothing has been sent again. */
const NONE_SENT = -1;

/**
 * What an ACK means for congestion and loss, once the scoreboard knows of it. Returns µs until RACK wants to look again, 0
 * for never. The states are Linux's, the rules those of RFC 5681, 6582, 6675, 8985 and 9937.
 */
export function ackConcluded(tcb: Tcb, flight: Flight, sample: AckSample, seg: Segment, now32: number): number {
  adaptReorderWindow(tcb, flight, sample.duplicate);
  if (flight.state !== CaState.Open && seqGte(tcb.snd.una, flight.high) && sample.acked > 0) leave(tcb, flight, sample, seg);
  if (!tcb.agreed.sack) countDuplicates(tcb, flight, sample, seg);
  if (flight.undoArmed && tryUndo(flight, sample, seg)) undo(tcb, flight);
  const wait = loss(tcb, flight, sample, now32);
  if (flight.state === CaState.Loss) afterTimeout(tcb, flight, sample);
  else if (flight.lost > 0 && flight.state < CaState.Recovery && !(tcb.search !== null && probeLost(tcb.search, flight)))
    enterRecovery(tcb, flight, sample);
  else if (flight.state < CaState.Cwr) flight.state = flight.sacked > 0 || flight.duplicates > 0 ? CaState.Disorder : CaState.Open;
  window(tcb, flight, sample);
  return wait;
}

/** Notes congestion that is no loss: an ECN echo. RFC 3168 §6.1.2. */
export function enterCwr(tcb: Tcb, flight: Flight): void {
  if (flight.state >= CaState.Cwr) return;
  reduce(tcb, flight, 0, 0);
  flight.state = CaState.Cwr;
}

/** The retransmission timer has expired with `flight` outstanding: everything is taken for lost (RFC 6298 §5.4, RFC 5681 §3.1). */
export function enterLoss(tcb: Tcb, flight: Flight): void {
  const { snd } = tcb;
  const first = tcb.retries === 0;
  if (flight.state < CaState.Cwr || seqGte(snd.una, flight.high) || (flight.state === CaState.Loss && first)) {
    armUndo(tcb, flight);
    snd.ssthresh = flight.congestion.loss(tcb, tcb.tcp.ctx.now);
  }
  flight.congestion.timeout(tcb);
  const reneged = flight.head !== null && (flight.head.flags & SentFlag.Sacked) !== 0;
  if (reneged) tcb.tcp.ctx.counters.count(Counter.TcpExtTCPSACKReneging);
  for (let sent = flight.head; sent !== null; sent = sent.next) {
    if (reneged && sent.flags & SentFlag.Sacked) flight.unmark(sent);
    flight.markLost(sent);
  }
  flight.duplicates = flight.duplicated = 0;
  snd.cwnd = snd.mss;
  flight.frto = tcb.tcp.ctx.sysctl.v['net.ipv4.tcp_frto'] !== 0 && first && !reneged ? 1 : 0;
  flight.state = CaState.Loss;
  flight.high = snd.nxt;
  flight.probing = false;
}

/** What was retransmitted is noted for undoing: the first retransmission's timestamp, and how much. */
export function retransmissionSent(tcb: Tcb, flight: Flight, octets: number, now32: number): void {
  if (!flight.undoArmed) return;
  if (flight.undoOctets === NONE_SENT) {
    flight.retransmitStamp = stampOf(tcb, now32);
    flight.undoOctets = 0;
  }
  flight.undoOctets += octets;
}

/** Recovery's end has been acknowledged. RFC 6675 §5, RFC 6582 §3.2 step 3. */
function leave(tcb: Tcb, flight: Flight, sample: AckSample, seg: Segment): void {
  const { snd } = tcb;
  if (flight.undoArmed && tryUndo(flight, sample, seg)) undo(tcb, flight);
  // Without SACK: duplicate ACKs of segments sent before would start it anew (RFC 6582 §4), so it takes one octet more.
  if (!tcb.agreed.sack && flight.state >= CaState.Recovery && snd.una === flight.high) {
    flight.duplicates = flight.duplicated = 0;
    if (flight.state === CaState.Recovery) snd.cwnd = Math.max(snd.mss, Math.min(snd.cwnd, snd.ssthresh));
    return;
  }
  if (flight.state === CaState.Recovery || flight.state === CaState.Cwr) {
    if (snd.ssthresh < 0x7fffffff && !flight.congestion.ownsWindow) snd.cwnd = Math.max(snd.mss, snd.ssthresh);
    recoveryEnded(flight);
  }
  flight.state = CaState.Open;
  flight.undoArmed = false;
  flight.duplicates = flight.duplicated = 0;
  flight.frto = 0;
}

/** Marks what is lost by the rules the peer allows. Returns RACK's wait. */
function loss(tcb: Tcb, flight: Flight, sample: AckSample, now32: number): number {
  if (!tcb.agreed.sack) {
    newRenoLoss(tcb, flight, sample);
    return 0;
  }
  if (tcb.tcp.ctx.sysctl.v['net.ipv4.tcp_recovery'] & 1) return detectLoss(tcb, flight, sample, now32);
  scoreboardLoss(tcb, flight, sample);
  return 0;
}

/** RFC 6675 §4 IsLost: DupThresh segments above it have been reported. */
function scoreboardLoss(tcb: Tcb, flight: Flight, sample: AckSample): void {
  let above = flight.sacked;
  const enough = (flight.reordering - 1) * tcb.snd.mss;
  for (let sent = flight.head; sent !== null && above > enough; sent = sent.next) {
    if (sent.flags & SentFlag.Sacked) above -= sent.octets;
    else if ((sent.flags & (SentFlag.Lost | SentFlag.Retransmitted)) === 0) {
      sample.lost += sent.octets;
      flight.markLost(sent);
    }
  }
}

/** RFC 6582: the third duplicate ACK says that the first segment is lost, a partial ACK that the next one is. */
function newRenoLoss(tcb: Tcb, flight: Flight, sample: AckSample): void {
  const { head } = flight;
  if (head === null || head.flags & SentFlag.Lost) return;
  const first = flight.state < CaState.Recovery && flight.duplicates >= DUP_THRESHOLD;
  const partial = flight.state === CaState.Recovery && sample.acked > 0 && seqLt(tcb.snd.una, flight.high);
  if (!first && !partial) return;
  if (head.octets > tcb.snd.mss) flight.split(head, (head.seq + tcb.snd.mss) | 0);
  sample.lost += head.octets;
  flight.markLost(head);
}

/** RFC 5681 §2's duplicate ACK; each means that a segment has left the network. */
function countDuplicates(tcb: Tcb, flight: Flight, sample: AckSample, seg: Segment): void {
  const { mss } = tcb.snd;
  if (sample.acked > 0) {
    // What was counted as arrived is part of what is now acknowledged; in recovery one segment of it was the retransmission.
    const counted = Math.min(flight.duplicated, Math.max(0, sample.acked - mss));
    sample.delivered -= counted;
    if (flight.state < CaState.Recovery) flight.duplicates = flight.duplicated = 0;
    else flight.duplicated -= counted;
  } else if (flight.head !== null && seg.len === 0 && seg.ack === tcb.snd.una && !sample.windowChanged) {
    flight.duplicates++;
    const outstanding = (tcb.snd.nxt - tcb.snd.una) | 0;
    const more = Math.min(mss, outstanding - flight.lost - flight.duplicated - mss);
    if (more > 0) {
      flight.duplicated += more;
      sample.delivered += more;
    }
  }
}

function enterRecovery(tcb: Tcb, flight: Flight, sample: AckSample): void {
  tcb.tcp.ctx.counters.count(tcb.agreed.sack ? Counter.TcpExtTCPSackRecovery : Counter.TcpExtTCPRenoRecovery);
  if (flight.state === CaState.Cwr) {
    // The window was reduced this round trip already.
    prrBegin(tcb, flight, sample.acked, sample.sacked);
    flight.high = tcb.snd.nxt;
  } else reduce(tcb, flight, sample.acked, sample.sacked);
  flight.state = CaState.Recovery;
}

/** One reduction: ssthresh by the controller, cwnd by PRR until `high` is acknowledged. */
function reduce(tcb: Tcb, flight: Flight, acked: number, sacked: number): void {
  armUndo(tcb, flight);
  tcb.snd.ssthresh = flight.congestion.loss(tcb, tcb.tcp.ctx.now);
  flight.high = tcb.snd.nxt;
  prrBegin(tcb, flight, acked, sacked);
}

/** The state after a timeout: F-RTO first, then the lost go out again in slow start. RFC 5682 §3.1. */
function afterTimeout(tcb: Tcb, flight: Flight, sample: AckSample): void {
  if (flight.frto === 0) return;
  // Without SACK an ACK of the retransmission covers what had arrived behind it before: that proves nothing.
  if (sample.originalDelivered && (tcb.agreed.sack || !sample.retransmissionAcked)) {
    // Something sent before the timeout and never again has arrived now: the timeout was spurious.
    tcb.tcp.ctx.counters.count(Counter.TcpExtTCPSpuriousRTOs);
    undo(tcb, flight);
    flight.state = CaState.Open;
    flight.frto = 0;
  } else if (sample.acked > 0) {
    // Step 2b: new data is tried before anything else is sent again.
    flight.frto = flight.frto === 1 && seqLt(tcb.snd.nxt, tcb.sendBuffer?.end ?? tcb.snd.nxt) ? 2 : 0;
  } else flight.frto = 0;
}

/** Moves cwnd: PRR while reducing, the controller otherwise. */
function window(tcb: Tcb, flight: Flight, sample: AckSample): void {
  const { congestion } = flight;
  const { now } = tcb.tcp.ctx;
  congestion.sampled(tcb, sample, now);
  if (congestion.ownsWindow) return;
  if (flight.state === CaState.Recovery || flight.state === CaState.Cwr) prrAck(tcb, flight, sample.delivered, sample.acked > 0 && sample.lost === 0);
  else if (mayGrow(tcb, flight, sample) && windowUsed(tcb, flight)) congestion.acked(tcb, sample, now);
}

/** SND.UNA has moved; or, where reordering is known to be usual, a SACK tells that data arrives as it should (Linux). */
function mayGrow(tcb: Tcb, flight: Flight, sample: AckSample): boolean {
  return sample.acked > 0 || (sample.sacked > 0 && flight.reordering > tcb.tcp.ctx.sysctl.v['net.ipv4.tcp_reordering']);
}

function armUndo(tcb: Tcb, flight: Flight): void {
  flight.undoArmed = true;
  flight.undoMark = tcb.snd.una;
  flight.undoOctets = NONE_SENT;
  flight.priorCwnd = tcb.snd.cwnd;
  flight.priorSsthresh = tcb.snd.ssthresh;
}

/**
 * Was the reduction wrong? Yes when the ACK that moves SND.UNA answers an original, by its timestamp (Eifel, RFC 3522), or
 * when every retransmission has been reported as a duplicate (RFC 3708).
 */
function tryUndo(flight: Flight, sample: AckSample, seg: Segment): boolean {
  if (flight.state < CaState.Recovery || flight.undoOctets === NONE_SENT) return false;
  const { options } = seg;
  if (sample.acked > 0 && options.timestamps && options.tsEcr !== 0 && ((options.tsEcr - flight.retransmitStamp) | 0) < 0) return true;
  return sample.duplicate && flight.undoOctets === 0;
}

function undo(tcb: Tcb, flight: Flight): void {
  const { snd } = tcb;
  for (let sent: Sent | null = flight.head; sent !== null; sent = sent.next) if (sent.flags & SentFlag.Lost) flight.unmark(sent);
  snd.cwnd = Math.max(snd.cwnd, flight.priorCwnd);
  snd.ssthresh = Math.max(snd.ssthresh, flight.priorSsthresh);
  flight.undoArmed = false;
  flight.congestion.undone(tcb);
  if (flight.state >= CaState.Cwr) flight.state = CaState.Disorder;
  tcb.rtt.backoff = 0;
}
