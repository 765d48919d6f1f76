// hot: bench/packet
import { type Seq, seqGt, seqLt, seqLte } from '../../base/sequence.js';
import type { Micros } from '../../base/time.js';
import { Counter } from '../counters.js';
import { noteBusy } from './busy.js';
import { adoptEcn, echoArrived } from './ecn.js';
import type { Flight } from './flight.js';
import { SentFlag } from './flight.js';
import { CaState } from './info.js';
import { paceByWindow } from './pacing.js';
import { probeArrived } from './pmtu.js';
import { ackConcluded } from './recovery.js';
import { measured } from './rtt.js';
import { sackArrived } from './sack.js';
import { Flag, type Segment } from './segment.js';
import { waitingOctets, windowUsed } from './send.js';
import { countsOf, Pending, type Tcb } from './tcb.js';
import { cancel, rearm } from './timers.js';

/**
 * Takes in an acceptable ACK, SND.UNA =< SEG.ACK =< SND.NXT: what was delivered, the round trip, the window, loss and
 * congestion. RFC 9293 §3.10.7.4 fifth, ESTABLISHED; the states' own part stays with the caller.
 */
export function ackArrived(tcb: Tcb, seg: Segment): void {
  const { tcp, snd, flight } = tcb;
  const now32 = tcp.ctx.now | 0;
  const sample = tcp.sample;
  sample.begin(flight);
  const progress = seqLt(snd.una, seg.ack);
  if (flight !== null && seg.options.sackCount > 0 && tcb.agreed.sack) sackArrived(tcb, flight, seg, sample, now32);
  updateWindow(tcb, seg);
  if (progress) advanceUna(tcb, flight, seg, now32);
  if (flight === null) return;
  if (sample.delivered > 0 || seg.options.timestamps) measure(tcb, seg, progress);
  sample.finish(flight, now32);
  if (tcb.ecn !== null && (seg.flags & Flag.Ece) !== 0 && (seg.flags & Flag.Syn) === 0) echoArrived(tcb, tcb.ecn, flight, progress);
  else if (tcb.ecn !== null) adoptEcn(tcb.ecn);
  const reorder = quiet(tcb, flight, seg) ? growQuietly(tcb, flight) : ackConcluded(tcb, flight, sample, seg, now32);
  paceByWindow(tcb, flight);
  probeAnswered(tcb, flight, seg);
  if (progress || reorder > 0 || sample.sacked > 0 || tcb.pending === Pending.Reorder) rearm(tcb, flight, reorder, progress || sample.sacked > 0);
  if (progress) tcb.stuckSince = flight.head === null ? 0 : tcp.ctx.now;
  const waiting = waitingOctets(tcb);
  if (flight.lost > 0 || waiting > 0) tcp.touch(tcb);
  else if (flight.head === null) noteBusy(tcb, flight, waiting, snd.mss);
}

/** Nothing but progress: no recovery, no duplicates, no SACK. The common case takes the short way. */
function quiet(tcb: Tcb, flight: Flight, seg: Segment): boolean {
  return flight.state === CaState.Open && flight.sacked === 0 && seg.options.sackCount === 0 && flight.lost === 0 && tcb.tcp.sample.acked > 0;
}

function growQuietly(tcb: Tcb, flight: Flight): Micros {
  const { congestion } = flight;
  const { sample, ctx } = tcb.tcp;
  flight.duplicates = flight.duplicated = 0;
  congestion.sampled(tcb, sample, ctx.now);
  if (!congestion.ownsWindow && windowUsed(tcb, flight)) congestion.acked(tcb, sample, ctx.now);
  return 0;
}

/** SND.WND from a segment that is not older than the one it was last taken from. */
function updateWindow(tcb: Tcb, seg: Segment): void {
  const { snd } = tcb;
  if (!(seqLt(snd.wl1, seg.seq) || (snd.wl1 === seg.seq && seqLte(snd.wl2, seg.ack)))) return;
  const wnd = seg.flags & Flag.Syn ? seg.wnd : seg.wnd << snd.wscale;
  snd.wl1 = seg.seq;
  snd.wl2 = seg.ack;
  if (wnd === snd.wnd) return;
  tcb.tcp.sample.windowChanged = true;
  snd.wnd = wnd;
  if (wnd > snd.maxWnd) snd.maxWnd = wnd;
  // The window has opened or closed: what waited for the persist timer is decided anew in egress.
  if (tcb.pending === Pending.Persist && wnd > 0) {
    cancel(tcb);
    tcb.retries = 0;
    tcb.rtt.backoff = 0;
    tcb.stuckSince = 0;
  }
  tcb.tcp.touch(tcb);
}

/** SND.UNA moves to SEG.ACK: records and octets below it are done with. */
function advanceUna(tcb: Tcb, flight: Flight | null, seg: Segment, now32: number): void {
  const { snd, tcp, sendBuffer } = tcb;
  const { sample } = tcp;
  sample.acked = (seg.ack - snd.una) | 0;
  if (flight !== null) deliver(tcb, flight, seg, now32);
  snd.una = seg.ack;
  if (snd.urgent && !seqGt(snd.up, snd.una)) snd.urgent = false;
  tcb.retries = 0;
  tcb.softError = 0;
  if (sendBuffer !== null) {
    const before = sendBuffer.octets;
    sendBuffer.release(seqGt(seg.ack, sendBuffer.end) ? sendBuffer.end : seg.ack);
    countsOf(tcb).octetsAcked += before - sendBuffer.octets;
    if (tcb.socket !== null && tcb.socket.onReady !== null) tcb.socket.report(0);
  }
  if (tcb.search !== null) probeArrived(tcb, tcb.search);
  if (tcb.path !== null) tcp.ip.confirm(tcb.path);
}

function deliver(tcb: Tcb, flight: Flight, seg: Segment, now32: number): void {
  const { sample } = tcb.tcp;
  for (let head = flight.head; head !== null && seqLt(head.seq, seg.ack); head = flight.head) {
    const whole = seqLte(head.end, seg.ack);
    const octets = whole ? head.octets : (seg.ack - head.seq) | 0;
    if ((head.flags & SentFlag.Sacked) === 0) sample.take(tcb, flight, head, octets, now32, seg);
    if (whole) flight.shift();
    else {
      flight.trim(seg.ack);
      return;
    }
  }
}

/** A round trip for RTO (RFC 6298 §3: not of what was retransmitted, unless timestamps tell which was answered: RFC 7323 §4.1). */
function measure(tcb: Tcb, seg: Segment, progress: boolean): void {
  const { tcp, snd, rtt } = tcb;
  const { sample, ctx } = tcp;
  let r = sample.oldestRtt;
  if (r < 0 && progress && tcb.agreed.timestamps && seg.options.tsEcr !== 0) {
    const elapsed = ((Math.floor(ctx.now / 1_000) + tcb.tsOffset) | 0) - seg.options.tsEcr;
    if ((elapsed | 0) >= 0 && (elapsed | 0) < 600_000) r = Math.max(1_000, (elapsed | 0) * 1_000);
  }
  if (r < 0) return;
  measured(rtt, r, ctx.now, snd.una, snd.nxt, ctx.sysctl.v['net.ipv4.tcp_rto_min_us']);
  rtt.backoff = 0;
}

/** RFC 8985 §7.4: was the tail probe a needless one, or did it mend a loss, which then counts as congestion? */
function probeAnswered(tcb: Tcb, flight: Flight, seg: Segment): void {
  if (!flight.probing || seqLt(seg.ack, flight.probeEnd)) return;
  const { sample, ctx } = tcb.tcp;
  if (!flight.probeRetransmits || sample.duplicate) flight.probing = false;
  else if (seqGt(seg.ack, flight.probeEnd) || (sample.acked === 0 && sample.sacked === 0)) {
    // Another ACK behind the probe: both copies had arrived.
    flight.probing = false;
    if (seqGt(seg.ack, flight.probeEnd)) mended(tcb, flight);
  }
  if (!flight.probing) ctx.counters.count(Counter.TcpExtTCPLossProbeRecovery);
}

function mended(tcb: Tcb, flight: Flight): void {
  if (flight.state !== CaState.Open && flight.state !== CaState.Disorder) return;
  tcb.snd.ssthresh = flight.congestion.loss(tcb, tcb.tcp.ctx.now);
  tcb.snd.cwnd = Math.max(tcb.snd.mss, Math.min(tcb.snd.cwnd, tcb.snd.ssthresh));
}

/** RFC 5961 §5.2: SND.UNA − MAX.SND.WND =< SEG.ACK =< SND.NXT. */
export function ackAcceptable(tcb: Tcb, ack: Seq): boolean {
  const { snd } = tcb;
  return ((snd.nxt - ack) | 0) >= 0 && ((ack - snd.una) | 0) >= -snd.maxWnd;
}
