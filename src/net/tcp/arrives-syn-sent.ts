import { Drop } from '../../base/drops.js';
import { Errno } from '../../base/errors.js';
import type { Packet } from '../../base/packet.js';
import { seqGt, seqLte } from '../../base/sequence.js';
import { Counter } from '../counters.js';
import { ackArrived } from './ack.js';
import { finArrived } from './close.js';
import { learnFastOpen } from './fast-open.js';
import { SentFlag } from './flight.js';
import { refuse } from './reset.js';
import { measured } from './rtt.js';
import { Flag, type Segment } from './segment.js';
import { enter, State } from './states.js';
import { ecnAsked, opened, sendSyn, synTaken } from './syn.js';
import { AckDue, Ecn, type Tcb } from './tcb.js';
import { finReached, takeEarly, takeText } from './text.js';
import { cancel } from './timers.js';

/** SEGMENT ARRIVES in SYN-SENT, RFC 9293 §3.10.7.3, in its order. Answers like segmentArrives. */
export function segmentArrivesSynSent(tcb: Tcb, seg: Segment, packet: Packet): number {
  const { tcp, snd } = tcb;
  const ack = (seg.flags & Flag.Ack) !== 0;
  // First: the ACK.
  if (ack && (seqLte(seg.ack, snd.iss) || seqGt(seg.ack, snd.nxt))) {
    refuse(tcp, packet, seg);
    return Drop.TcpBadAck;
  }
  // Second: a RST counts only with an ACK of our SYN (RFC 5961 §3.2).
  if (seg.flags & Flag.Rst) {
    if (!ack) return Drop.TcpRstOutOfWindow;
    tcp.ctx.counters.count(Counter.TcpAttemptFails);
    tcp.finish(tcb, Errno.ECONNREFUSED);
    return 0;
  }
  // Fourth: the SYN.
  if ((seg.flags & Flag.Syn) === 0) return Drop.TcpNoAck;
  if (ack && tcb.retries === 0)
    measured(tcb.rtt, Math.max(1, tcp.ctx.now - tcb.stuckSince), tcp.ctx.now, snd.una, snd.nxt, tcp.ctx.sysctl.v['net.ipv4.tcp_rto_min_us']);
  synTaken(tcb, seg);
  return ack ? connected(tcb, seg, packet) : crossed(tcb, seg, packet);
}

/** <SYN,ACK>: ESTABLISHED, and the ACK goes out with whatever is written meanwhile. */
function connected(tcb: Tcb, seg: Segment, packet: Packet): number {
  const { tcp, rcv } = tcb;
  cancel(tcb);
  tcb.rtt.backoff = 0;
  // RFC 3168 §6.1.1: the answer to our ECE and CWR is ECE alone.
  if ((seg.flags & (Flag.Ece | Flag.Cwr)) !== Flag.Ece) tcb.ecn = null;
  enter(tcb, State.Established);
  opened(tcb, seg);
  learnFastOpen(tcb, seg, tcb.synData);
  ackArrived(tcb, seg);
  // Data that went with the SYN and was not taken goes again at once (RFC 7413 §4.2.2).
  if (tcb.synData > 0 && tcb.snd.una !== tcb.snd.nxt) {
    const flight = tcb.flight ?? tcp.openFlight(tcb);
    const sent = flight.append(tcb.snd.una, tcb.snd.nxt, tcp.ctx.now | 0);
    if (tcb.sendBuffer?.end === sent.end) sent.flags |= SentFlag.Pushed;
    flight.markLost(sent);
    tcb.synData = 0;
  }
  rcv.due = AckDue.Now;
  tcp.touch(tcb);
  tcp.established(tcb);
  seg.seq = rcv.nxt;
  const reason = seg.length > 0 ? takeText(tcb, seg, packet) : 0;
  if (finReached(tcb, seg, (seg.flags & Flag.Fin) !== 0)) finArrived(tcb);
  return reason;
}

/** <SYN>: both ends have opened at once; <SYN,ACK> answers (RFC 9293 §3.5, figure 7, MUST-10). */
function crossed(tcb: Tcb, seg: Segment, packet: Packet): number {
  tcb.ecn = ecnAsked(tcb.tcp, seg) ? (tcb.ecn ?? new Ecn()) : null;
  enter(tcb, State.SynReceived);
  tcb.retries = 0;
  tcb.rtt.backoff = 0;
  tcb.snd.wnd = tcb.snd.maxWnd = seg.wnd;
  sendSyn(tcb);
  // Text and FIN wait for ESTABLISHED (RFC 9293 §3.10.7.3): kept here, acknowledged there.
  return seg.length > 0 ? takeEarly(tcb, seg, packet) : 0;
}
