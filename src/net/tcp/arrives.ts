// hot: bench/packet
import { Drop } from '../../base/drops.js';
import { Errno } from '../../base/errors.js';
import type { Packet } from '../../base/packet.js';
import { type Seq, seqGt, seqGte, seqLt, seqLte } from '../../base/sequence.js';
import { Counter } from '../counters.js';
import { ackAcceptable, ackArrived } from './ack.js';
import { abort, armFinWait2, finArrived, handshakeOver } from './close.js';
import { PAWS_AGE } from './constants.js';
import { markArrived } from './ecn.js';
import { refuse } from './reset.js';
import { Flag, type Segment } from './segment.js';
import { sendAck } from './segment-out.js';
import { enter, receives, State } from './states.js';
import { opened } from './syn.js';
import type { Tcb } from './tcb.js';
import { finReached, noteDuplicate, takeText } from './text.js';
import { delayAck } from './timers.js';
import { offered } from './window.js';

/**
 * SEGMENT ARRIVES, RFC 9293 §3.10.7.4: the checks in the RFC's order. Each answers whether the segment goes on to the next; one
 * that ends it has said why with a drop reason. The packet stays the caller's, who drops it for that reason, or releases it at 0.
 */
export function segmentArrives(tcb: Tcb, seg: Segment, packet: Packet): number {
  heard(tcb, seg);
  let reason = checkTimestamps(tcb, seg); // RFC 7323 §5.3
  if (reason !== 0) return reason;
  reason = checkSequence(tcb, seg); // First
  if (reason !== 0) return reason;
  if (seg.flags & Flag.Rst) return checkRst(tcb, seg); // Second
  // Third: security and compartment are no more (RFC 9293 §3.10.7.4, appendix A.1).
  if (seg.flags & Flag.Syn) return checkSyn(tcb, seg); // Fourth
  reason = checkAck(tcb, seg, packet); // Fifth
  if (reason !== 0) return reason;
  noteTimestamp(tcb, seg); // RFC 7323 §5.3 R3
  if (seg.flags & Flag.Urg) noteUrgent(tcb, seg); // Sixth
  reason = checkText(tcb, seg, packet); // Seventh
  checkFin(tcb, seg); // Eighth
  return reason;
}

function heard(tcb: Tcb, seg: Segment): void {
  tcb.heardAt = tcb.tcp.ctx.now;
  tcb.probes = 0;
  tcb.rcv.segments += seg.count;
}

/** PAWS: a segment older than the last in order is a duplicate of long ago. RFC 7323 §5.3 R1; RSTs are exempt (§5.2). */
function checkTimestamps(tcb: Tcb, seg: Segment): number {
  if (!tcb.agreed.timestamps) return 0;
  const { options } = seg;
  if (!options.timestamps) return seg.flags & Flag.Rst ? 0 : Drop.TcpNoTimestamp;
  if (((options.tsVal - tcb.tsRecent) | 0) < 0) {
    const { ctx } = tcb.tcp;
    if (seg.flags & Flag.Rst || ctx.now - tcb.tsRecentAt > PAWS_AGE) return 0;
    ctx.counters.count(Counter.TcpExtPAWSEstab);
    // A pure ACK that was merely overtaken would draw a duplicate ACK, which the peer might take for loss.
    if (seg.len > 0 || seg.seq !== tcb.rcv.nxt) answerInvalid(tcb);
    return Drop.TcpPaws;
  }
  return 0;
}

/**
 * TS.Recent follows segments that begin at or before the last ACK (RFC 7323 §4.3 (2)). Not before the ACK field has been looked at: a
 * forged segment could otherwise set it forward and have the true ones dropped.
 */
function noteTimestamp(tcb: Tcb, seg: Segment): void {
  if (!tcb.agreed.timestamps || !seg.options.timestamps || !seqLte(seg.seq, tcb.rcv.acked)) return;
  tcb.tsRecent = seg.options.tsVal;
  tcb.tsRecentAt = tcb.tcp.ctx.now;
}

/** First: does any of it lie in the window? If not, an ACK says what we expect, unless it is a RST. */
function checkSequence(tcb: Tcb, seg: Segment): number {
  const { rcv } = tcb;
  if (inWindow(tcb, seg)) return 0;
  if (seg.flags & Flag.Rst) return Drop.TcpRstOutOfWindow;
  if (seqLt(seg.seq, rcv.nxt) && seg.length > 0) noteDuplicate(tcb, seg.seq, (seg.seq + Math.min(seg.length, (rcv.nxt - seg.seq) | 0)) | 0);
  answerInvalid(tcb);
  return Drop.TcpOutOfWindow;
}

/**
 * The table of RFC 9293 §3.10.7.4, with two allowances: at a shut window a segment at RCV.NXT goes on, so that its ACK, URG or RST count
 * (MUST-66); and an empty segment at the right edge is in, since a peer that has filled our window sends its ACKs from there (never a RST or SYN: guessing them must not become easier).
 */
function inWindow(tcb: Tcb, seg: Segment): boolean {
  const { nxt } = tcb.rcv;
  const wnd = offered(tcb);
  const first = (seg.seq - nxt) | 0;
  if (first >= 0) return first < wnd || (first === wnd && (wnd === 0 || (seg.length === 0 && (seg.flags & (Flag.Rst | Flag.Syn)) === 0)));
  const last = (seg.seq + seg.len - 1 - nxt) | 0;
  return seg.len > 0 && last >= 0;
}

/** Second: a RST exactly at RCV.NXT resets, one elsewhere in the window is answered by a challenge. RFC 9293 §3.10.7.4, RFC 5961 §3.2. */
function checkRst(tcb: Tcb, seg: Segment): number {
  const { tcp, rcv } = tcb;
  if (seg.seq !== rcv.nxt && tcp.ctx.sysctl.v['anystack.tcp_insecure_rst'] === 0) {
    challenge(tcb);
    return Drop.TcpRstOutOfWindow;
  }
  reset(tcb);
  return 0;
}

/** The peer has reset. What the application learns depends on the state. */
function reset(tcb: Tcb): void {
  const { tcp } = tcb;
  const { counters } = tcp.ctx;
  if (tcb.state === State.SynReceived) {
    counters.count(Counter.TcpAttemptFails);
    return tcp.finish(tcb, tcb.early === null ? Errno.ECONNREFUSED : Errno.ECONNRESET);
  }
  if (tcb.state === State.Established || tcb.state === State.CloseWait) counters.count(Counter.TcpEstabResets);
  const closing = tcb.state === State.Closing || tcb.state === State.LastAck || tcb.state === State.TimeWait;
  if (tcp.ctx.sysctl.v['anystack.tcp_reset_error'] === 'bsd') return tcp.finish(tcb, tcb.state === State.TimeWait ? 0 : Errno.ECONNRESET);
  tcp.finish(tcb, closing ? 0 : tcb.state === State.CloseWait ? Errno.EPIPE : Errno.ECONNRESET);
}

/** Fourth: a SYN on a connection is stale or forged; the peer, if it did restart, answers the challenge with a RST. RFC 5961 §4.2. */
function checkSyn(tcb: Tcb, seg: Segment): number {
  const { tcp } = tcb;
  tcp.ctx.counters.count(Counter.TcpExtTCPSYNChallenge);
  if (tcp.ctx.sysctl.v['anystack.tcp_insecure_syn'] === 1 && seqGte(seg.seq, tcb.rcv.nxt)) abort(tcb, Errno.ECONNRESET);
  else challenge(tcb);
  return Drop.TcpSynInWindow;
}

/** Fifth: the ACK field, by state. */
function checkAck(tcb: Tcb, seg: Segment, packet: Packet): number {
  if ((seg.flags & Flag.Ack) === 0) return Drop.TcpNoAck;
  if (tcb.state === State.SynReceived) {
    if (!establish(tcb, seg, packet)) return Drop.TcpBadAck;
  } else if (!ackAcceptable(tcb, seg.ack)) {
    // What was never sent, or so old that only somebody guessing would say it. RFC 5961 §5.2.
    challenge(tcb);
    return Drop.TcpBadAck;
  }
  // An ACK that was overtaken has no news but its SACK blocks, which stay true.
  if (seqLte(tcb.snd.una, seg.ack) || seg.options.sackCount > 0) ackArrived(tcb, seg);
  if (!tcb.snd.fin || tcb.snd.una !== ((tcb.snd.finAt + 1) | 0)) return 0;
  return finAcknowledged(tcb);
}

/** SYN-RECEIVED: SND.UNA < SEG.ACK =< SND.NXT opens, anything else is reset. */
function establish(tcb: Tcb, seg: Segment, packet: Packet): boolean {
  const { snd, tcp } = tcb;
  if (!seqLt(snd.una, seg.ack) || seqGt(seg.ack, snd.nxt)) {
    refuse(tcp, packet, seg);
    return false;
  }
  enter(tcb, State.Established);
  if (tcb.early === null) opened(tcb, seg);
  handshakeOver(tcb);
  if (snd.fin) enter(tcb, State.FinWait1);
  if (tcb.rcv.nxt !== tcb.rcv.acked) delayAck(tcb); // text that came with a SYN that crossed ours
  tcp.established(tcb);
  return true;
}

/** Our FIN is acknowledged. Returns 0 when the segment goes on. */
function finAcknowledged(tcb: Tcb): number {
  const { tcp } = tcb;
  if (tcb.state === State.FinWait1) {
    enter(tcb, State.FinWait2);
    if (tcb.socket === null) armFinWait2(tcb);
    tcb.socket?.report(0);
  } else if (tcb.state === State.Closing) {
    enter(tcb, State.TimeWait);
    tcp.timeWait(tcb);
  } else if (tcb.state === State.LastAck) tcp.finish(tcb, 0);
  return 0;
}

/** Sixth: RCV.UP moves forward and the application is told. RFC 9293 §3.8.5 MUST-31, MUST-32. */
function noteUrgent(tcb: Tcb, seg: Segment): void {
  const { rcv, socket } = tcb;
  if (!receives(tcb.state)) return;
  const up: Seq = (seg.seq + seg.up) | 0;
  if (!seqGt(up, tcb.receiveBuffer?.head ?? rcv.nxt) || (rcv.urgent && !seqGt(up, rcv.up))) return;
  rcv.up = up;
  rcv.urgent = true;
  socket?.report(0);
}

/** Seventh: the text. */
function checkText(tcb: Tcb, seg: Segment, packet: Packet): number {
  if (tcb.ecn !== null && seg.length > 0) markArrived(tcb, tcb.ecn, seg);
  if (seg.length === 0 || !receives(tcb.state)) return 0;
  if (tcb.socket === null && seqGt((seg.seq + seg.length) | 0, tcb.rcv.nxt)) {
    // Nobody will ever read it: the peer must not believe that it was taken (RFC 2525 §2.17).
    tcb.tcp.ctx.counters.count(Counter.TcpExtTCPAbortOnData);
    // Where the peer expects us: beyond a FIN that was lost the RST would only draw a challenge (RFC 5961 §3.2).
    refuse(tcb.tcp, packet, seg);
    tcb.tcp.finish(tcb, Errno.ECONNABORTED);
    return Drop.TcpAfterClose;
  }
  return takeText(tcb, seg, packet);
}

/** Eighth: the FIN, when all before it has come. */
function checkFin(tcb: Tcb, seg: Segment): void {
  if (!receives(tcb.state) || !finReached(tcb, seg, (seg.flags & Flag.Fin) !== 0)) return;
  finArrived(tcb);
}

/** An ACK for a segment that does not fit, at most one in tcp_invalid_ratelimit: two confused peers would otherwise never stop. */
function answerInvalid(tcb: Tcb): void {
  const { ctx } = tcb.tcp;
  const spacing = ctx.sysctl.v['net.ipv4.tcp_invalid_ratelimit'] * 1_000;
  const now32 = ctx.now | 0;
  const since = (now32 - tcb.invalidAckAt) | 0;
  if (tcb.invalidAcked && since >= 0 && since < spacing) return ctx.counters.count(Counter.TcpExtTCPACKSkipped);
  tcb.invalidAcked = true;
  tcb.invalidAckAt = now32;
  sendAck(tcb);
}

/** Challenge ACK (RFC 5961 §7): limited per connection and per stack. */
function challenge(tcb: Tcb): void {
  const { tcp } = tcb;
  if (!tcp.mayChallenge()) return tcp.ctx.countDrop(Drop.TcpChallengeLimited);
  tcp.ctx.counters.count(Counter.TcpExtTCPChallengeACK);
  answerInvalid(tcb);
}
