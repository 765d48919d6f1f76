// hot: bench/packet
import { seqGt, seqGte, seqLt } from '../../base/sequence.js';
import { Counter } from '../counters.js';
import { noteBusy } from './busy.js';
import { SEGMENT_MAX } from './constants.js';
import { type Flight, type Sent, SentFlag } from './flight.js';
import { CaState } from './info.js';
import { pacedUntil, paid } from './pacing.js';
import { type MtuSearch, probeLength, WAIT } from './pmtu.js';
import { retransmissionSent } from './recovery.js';
import { Flag } from './segment.js';
import { payloadMax, sendAck, sendSegment } from './segment-out.js';
import { gatherMax, type SendBuffer } from './send-buffer.js';
import { State } from './states.js';
import { sendSyn } from './syn.js';
import { AckDue, countsOf, Pending, type Tcb } from './tcb.js';
import { armPersist, armSent } from './timers.js';

/**
 * Sends what the connection now may: what is lost first, then new data, then an ACK if it is still owed. The egress phase
 * calls it for every connection marked dirty; nothing else sends data.
 */
export function output(tcb: Tcb): void {
  if (tcb.state < State.Established && tcb.early === null) {
    if (tcb.state !== State.Closed) outputHandshake(tcb);
    return;
  }
  const { flight } = tcb;
  const waiting = waitingOctets(tcb) > 0;
  if (waiting || (flight !== null && flight.lost > 0)) {
    if (!paced(tcb)) {
      if (flight !== null && flight.lost > 0 && flight.frto !== 2) sendLost(tcb, flight);
      if (waiting) sendNew(tcb);
    }
  }
  if (tcb.rcv.due === AckDue.Now) sendOwedAck(tcb);
}

/** The ACK that is owed; BSD's carries our FIN again until that is acknowledged. */
function sendOwedAck(tcb: Tcb): void {
  const { snd, tcp } = tcb;
  const finOut = snd.fin && snd.nxt === ((snd.finAt + 1) | 0) && snd.una !== snd.nxt;
  if (finOut && tcp.ctx.sysctl.v['anystack.tcp_ack_repeats_fin'] === 1) sendSegment(tcb, snd.finAt, 0, Flag.Fin, snd.mss, true);
  else sendAck(tcb);
}

/** Octets of sequence space not sent yet: data, and the FIN. */
export function waitingOctets(tcb: Tcb): number {
  const { snd, sendBuffer } = tcb;
  if (snd.fin) return (snd.finAt + 1 - snd.nxt) | 0;
  return sendBuffer === null ? 0 : (sendBuffer.end - snd.nxt) | 0;
}

function outputHandshake(tcb: Tcb): void {
  if (tcb.snd.nxt === tcb.snd.iss) sendSyn(tcb);
  else if (tcb.rcv.due === AckDue.Now) sendAck(tcb);
}

function paced(tcb: Tcb): boolean {
  const { flight } = tcb;
  return flight !== null && flight.pacingRate > 0 && pacedUntil(tcb, flight);
}

/** A full segment; the loopback's MTU makes a greater one than IP can carry in one go, and a segment never full would wait for ever. */
const segmentMax = (tcb: Tcb): number => Math.min(payloadMax(tcb), gatherMax(tcb.tcp.ctx));

/** Sends again what is lost, first things first, as far as the window of congestion reaches. RFC 6675 §5 step C, RFC 9937. */
function sendLost(tcb: Tcb, flight: Flight): void {
  const { snd } = tcb;
  const mss = segmentMax(tcb);
  for (let sent = flight.head; sent !== null && flight.lost > 0; sent = sent.next) {
    if ((sent.flags & SentFlag.Lost) === 0) continue;
    const pipe = flight.pipe((snd.nxt - snd.una) | 0);
    let room = snd.cwnd - pipe;
    if (room < Math.min(mss, sent.octets) && pipe > 0) return;
    room = Math.max(mss, room - (room % mss));
    if (sent.octets > room) flight.split(sent, (sent.seq + room) | 0);
    if (!retransmit(tcb, flight, sent, mss)) return;
    flight.prrOut += sent.octets;
    if (paced(tcb)) return;
  }
}

/** Sends one record again. False when it cannot be sent now. */
export function retransmit(tcb: Tcb, flight: Flight, sent: Sent, mss: number): boolean {
  const { ctx } = tcb.tcp;
  const now32 = ctx.now | 0;
  const fin = tcb.snd.fin && sent.end === ((tcb.snd.finAt + 1) | 0);
  const length = sent.octets - (fin ? 1 : 0);
  if (!sendSegment(tcb, sent.seq, length, (fin ? Flag.Fin : 0) | pushFlag(tcb, (sent.flags & SentFlag.Pushed) !== 0, length, mss), mss, true))
    return false;
  ctx.counters.count(Counter.TcpRetransSegs);
  // What is sent again proves nothing of a probe under way.
  if (tcb.search !== null) tcb.search.size = 0;
  const counts = countsOf(tcb);
  counts.retransmitted += Math.max(1, Math.ceil(length / mss));
  counts.octetsRetransmitted += length;
  retransmissionSent(tcb, flight, sent.octets, now32);
  stampRate(flight, sent, (tcb.snd.nxt - tcb.snd.una) | 0, now32);
  flight.markRetransmitted(sent, now32);
  sent.inFlight = flight.pipe((tcb.snd.nxt - tcb.snd.una) | 0);
  paid(tcb, flight, sent.octets);
  armSent(tcb, flight);
  return true;
}

/** Sends data for the first time while windows, Nagle and SWS avoidance let it. */
function sendNew(tcb: Tcb): void {
  const { snd } = tcb;
  const mss = segmentMax(tcb);
  const flight = tcb.flight ?? tcb.tcp.openFlight(tcb);
  afterIdle(tcb, flight);
  let waiting = waitingOctets(tcb);
  if (tcb.search !== null) waiting = sendMtuProbe(tcb, tcb.search, flight, waiting);
  while (waiting > 0) {
    const length = maySend(tcb, flight, waiting, mss);
    if (length === 0 || !sendFirst(tcb, flight, length, mss) || paced(tcb)) break;
    waiting = waitingOctets(tcb);
  }
  if (tcb.state === State.Closed) return;
  noteUsage(tcb, flight, mss);
  // Nothing in flight will bring an ACK that opens a window: the persist timer has to.
  if (snd.nxt === snd.una && tcb.pending === Pending.None) armPersist(tcb);
}

/**
 * How far the congestion window is used (RFC 9293 §3.8.2, RFC 7661 §3): the strongest sign of each window of data counts. A window
 * that the application leaves half empty says nothing about the path.
 */
function noteUsage(tcb: Tcb, flight: Flight, mss: number): void {
  const { snd } = tcb;
  const outstanding = (snd.nxt - snd.una) | 0;
  const pipe = flight.pipe(outstanding);
  const limited = snd.cwnd - pipe < mss;
  const waiting = waitingOctets(tcb);
  const drained = waiting === 0;
  noteBusy(tcb, flight, waiting, mss);
  if (limited || drained) flight.held = false;
  // Until what is in flight now has arrived, rate samples measure the application.
  if (!limited && drained) flight.appLimitedUntil = flight.delivered + pipe;
  if (!limited && seqLt(snd.una, flight.usageEnd) && (flight.cwndLimited || outstanding <= flight.outstandingMax)) return;
  flight.cwndLimited = limited;
  flight.outstandingMax = outstanding;
  flight.usageEnd = snd.nxt;
}

/** May the window of congestion grow? When it was the limit, and in slow start when half of it was in use. */
export function windowUsed(tcb: Tcb, flight: Flight): boolean {
  const { snd } = tcb;
  return flight.cwndLimited || (snd.cwnd < snd.ssthresh && snd.cwnd < 2 * flight.outstandingMax);
}

/** How much of the `waiting` octets (FIN included) go out in the next segment; 0 for none now. RFC 9293 §3.7.4, §3.8.6.2.1, RFC 5681 §3.1. */
function maySend(tcb: Tcb, flight: Flight, waiting: number, mss: number): number {
  const { snd } = tcb;
  const outstanding = (snd.nxt - snd.una) | 0;
  const usable = snd.wnd - outstanding;
  const pipe = flight.pipe(outstanding);
  let room = flight.frto === 2 ? 2 * mss : snd.cwnd - pipe;
  // RFC 3042: the first two duplicate ACKs each let a new segment out; what SACK reports has left the pipe by itself.
  if (!tcb.agreed.sack && flight.state === CaState.Disorder && tcb.tcp.ctx.sysctl.v['net.ipv4.tcp_limited_transmit'] === 0) room -= flight.duplicated;
  const fin = snd.fin ? 1 : 0;
  const data = waiting - fin;
  if (data === 0) return usable >= 1 ? 1 : 0;
  let length = Math.min(data, usable, room, burstMax(tcb, flight, mss), gatherMax(tcb.tcp.ctx));
  // The last, shorter segment of what waits goes alone: it is Nagle's to judge, and cwnd cuts only at whole segments.
  if (length > mss) length -= length % mss;
  if (length < mss) {
    if (pipe > 0 && room < Math.min(mss, data)) return 0;
    if (length <= 0 || !shortMayGo(tcb, length, data, outstanding)) return 0;
  }
  return length === data && fin === 1 && usable > length ? length + 1 : length;
}

/**
 * Octets handed down at once. Linux sends what a millisecond and a bit of the pacing rate is, at least two segments, but never more than half of the
 * window, so that the ACK of one burst lets the next out.
 */
function burstMax(tcb: Tcb, flight: Flight, mss: number): number {
  const { snd, rtt, tcp } = tcb;
  const { v } = tcp.ctx.sysctl;
  // What is paced goes a millisecond's worth at a time (draft-ietf-ccwg-bbr §5.6.3).
  if (flight.congestion.ownsWindow && flight.pacingRate > 0) {
    return Math.min(SEGMENT_MAX, mss * Math.max(v['net.ipv4.tcp_min_tso_segs'], Math.floor(flight.pacingRate / 1e3 / mss)));
  }
  if (v['anystack.tcp_push_bursts'] === 0) return SEGMENT_MAX;
  const half = Math.max(1, Math.floor(snd.cwnd / mss) >> 1);
  if (rtt.srtt === 0) return Math.min(SEGMENT_MAX, half * mss);
  const rate = (snd.cwnd < snd.ssthresh >> 1 ? 2 : 1.2) * (snd.cwnd / rtt.srtt);
  // A short path makes no difference between one burst and two.
  const near = rtt.min < 8_192 ? 65_536 >> (rtt.min >> 9) : 0;
  const paced = Math.floor((rate * 1_024 + near) / mss);
  return Math.min(SEGMENT_MAX, Math.min(half, Math.max(v['net.ipv4.tcp_min_tso_segs'], paced)) * mss);
}

/** A segment of less than MSS: when it is all there is and Nagle agrees, or half of the greatest window (RFC 9293 §3.8.6.2.1). */
function shortMayGo(tcb: Tcb, length: number, data: number, outstanding: number): boolean {
  const { snd, options } = tcb;
  if (length === data) {
    if (snd.fin) return true;
    if (snd.push) return true;
    if (options.cork !== 0 || snd.more) return false;
    if (options.noDelay !== 0 || outstanding === 0 || (snd.urgent && seqGt(snd.up, snd.nxt))) return true;
    // Minshall: one short segment may be in flight.
    return tcb.tcp.minshall && seqLt(snd.small, snd.una);
  }
  return snd.push || length >= snd.maxWnd >> 1;
}

/** Risks one longer segment where it is time for it; returns the octets that may follow now. */
function sendMtuProbe(tcb: Tcb, search: MtuSearch, flight: Flight, waiting: number): number {
  const length = probeLength(tcb, search, flight, waiting);
  if (length === WAIT) return 0;
  if (length === 0 || sendFirst(tcb, flight, length, length)) return waiting - length;
  search.size = 0;
  return waiting;
}

/** Sends [SND.NXT, + length), the FIN included when it is the last octet. */
function sendFirst(tcb: Tcb, flight: Flight, length: number, mss: number): boolean {
  const { snd } = tcb;
  const seq = snd.nxt;
  const end = (seq + length) | 0;
  const fin = snd.fin && end === ((snd.finAt + 1) | 0);
  const data = length - (fin ? 1 : 0);
  const pushed = data > 0 && !snd.more && seqGte(end, (tcb.sendBuffer as SendBuffer).end);
  if (!sendSegment(tcb, seq, data, (fin ? Flag.Fin : 0) | pushFlag(tcb, pushed, data, mss), mss, false)) {
    armPersist(tcb);
    return false;
  }
  const now32 = tcb.tcp.ctx.now | 0;
  snd.nxt = end;
  if (data % mss !== 0) {
    snd.small = end;
    snd.push = false;
  }
  const sent = flight.append(seq, end, now32);
  if (pushed) sent.flags |= SentFlag.Pushed;
  stampRate(flight, sent, (seq - snd.una) | 0, now32);
  sent.inFlight = flight.pipe((end - snd.una) | 0);
  sent.appLimited = flight.appLimitedUntil > 0;
  if (flight.state === CaState.Recovery || flight.state === CaState.Cwr) flight.prrOut += length;
  // Data that answers data: ACKs will find company again. A request that comes first is not, and slow start of what it asks for waits for ACKs.
  if (data > 0 && tcb.rcv.nxt !== ((tcb.rcv.irs + 1) | 0)) tcb.rcv.quick = 0;
  countsOf(tcb).sentAt = tcb.tcp.ctx.now;
  paid(tcb, flight, length);
  armSent(tcb, flight);
  return true;
}

/** PSH on the last octet written (RFC 9293 MUST-61), and where Linux has it: on the last segment of a burst, so that the receiver's offload hands it up. */
function pushFlag(tcb: Tcb, pushed: boolean, data: number, mss: number): number {
  return pushed || (data > mss && tcb.tcp.ctx.sysctl.v['anystack.tcp_push_bursts'] === 1) ? Flag.Psh : 0;
}

/** Snapshot for the rate sample its delivery will give. */
function stampRate(flight: Flight, sent: Sent, outstanding: number, now32: number): void {
  if (outstanding === 0) flight.firstSentAt = flight.deliveredAt = now32;
  sent.firstSentAt = flight.firstSentAt;
  sent.deliveredAt = flight.deliveredAt;
  sent.delivered = flight.delivered;
  sent.priorLost = flight.lostEver;
}

/** RFC 5681 §4.1: after an idle RTO the window is an initial one again. */
function afterIdle(tcb: Tcb, flight: Flight): void {
  const { snd, tcp } = tcb;
  const sentAt = tcb.counts?.sentAt ?? 0;
  if (snd.nxt !== snd.una || sentAt === 0) return;
  flight.congestion.restarted(tcb, flight, tcp.ctx.now);
  if (flight.congestion.ownsWindow || tcp.ctx.now - sentAt <= tcb.rtt.rto) return;
  if (tcp.ctx.sysctl.v['net.ipv4.tcp_slow_start_after_idle'] === 0 || flight.state !== CaState.Open) return;
  snd.ssthresh = Math.max(snd.ssthresh, (snd.cwnd >> 1) + (snd.cwnd >> 2));
  // Halved for each RTO gone by (RFC 2861), down to the restart window.
  const idle = Math.min(30, Math.floor((tcp.ctx.now - sentAt) / tcb.rtt.rto));
  snd.cwnd = Math.max(Math.min(snd.cwnd, tcp.initialWindow(tcb)), Math.floor(snd.cwnd / 2 ** idle));
}
