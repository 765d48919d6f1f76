import { Errno } from '../../base/errors.js';
import type { Micros } from '../../base/time.js';
import { Counter } from '../counters.js';
import { RTO_MAX, RTO_MIN } from './constants.js';
import { type Flight, SentFlag } from './flight.js';
import { blackHole } from './pmtu.js';
import { ackConcluded, enterLoss } from './recovery.js';
import { timeoutOf } from './rtt.js';
import { payloadMax, sendProbe, sendSegment } from './segment-out.js';
import { output, retransmit, waitingOctets } from './send.js';
import { State } from './states.js';
import { sendSyn } from './syn.js';
import { AckDue, countsOf, Pending, type Tcb } from './tcb.js';
import { arm, armPersist, rearm } from './timers.js';

/** The retransmission timer has fired: what it stood for decides. */
export function retransmissionTimer(tcb: Tcb): void {
  const { pending } = tcb;
  tcb.pending = Pending.None;
  if (tcb.state === State.SynSent || tcb.state === State.SynReceived) return synTimeout(tcb);
  if (pending === Pending.Persist) return persistTimeout(tcb);
  const { flight } = tcb;
  if (flight === null || flight.head === null) return;
  if (pending === Pending.Reorder) reorderTimeout(tcb, flight);
  else if (pending === Pending.Probe) tailProbe(tcb, flight);
  else retransmitTimeout(tcb, flight);
}

/** The delayed ACK's time is over. */
export function delayedAckTimer(tcb: Tcb): void {
  const { rcv } = tcb;
  const { ctx } = tcb.tcp;
  if (rcv.due === AckDue.No) return;
  const wait = (rcv.dueAt - (ctx.now | 0)) | 0;
  if (wait > 0 && rcv.due === AckDue.Delayed) return ctx.wheel.arm(tcb.ackTimer as NonNullable<Tcb['ackTimer']>, ctx.now + wait);
  ctx.counters.count(Counter.TcpExtDelayedACKs);
  rcv.due = AckDue.Now;
  tcb.tcp.touch(tcb);
}

/** RFC 9293 §3.8.1, MUST-23: a SYN or SYN-ACK is sent again, then the attempt ends with ETIMEDOUT, or the last ICMP error. */
function synTimeout(tcb: Tcb): void {
  const { ctx } = tcb.tcp;
  const { v } = ctx.sysctl;
  const limit = tcb.state === State.SynSent ? tcb.options.synCount || v['net.ipv4.tcp_syn_retries'] : v['net.ipv4.tcp_synack_retries'];
  if (tcb.retries >= limit || userTimeoutOver(tcb)) return giveUp(tcb);
  ctx.counters.count(Counter.TcpExtTCPTimeouts);
  ctx.counters.count(Counter.TcpRetransSegs);
  tcb.retries++;
  tcb.rtt.backoff++;
  countsOf(tcb).retransmitted++;
  // RFC 3168 §6.1.1.1: the path may drop SYNs that ask for ECN.
  if (tcb.retries > 1) tcb.ecn = null;
  sendSyn(tcb);
}

/** RFC 6298 §5.4–5.7 and RFC 9293 §3.8.3. */
function retransmitTimeout(tcb: Tcb, flight: Flight): void {
  const { tcp, snd } = tcb;
  const { ctx } = tcp;
  if (pastLimit(tcb)) return giveUp(tcb);
  if (tcb.retries === ctx.sysctl.v['net.ipv4.tcp_retries1'] && tcb.path !== null) {
    tcp.ip.suspect(tcb.path);
    tcb.path = null;
    // SHLD-9: the application may want to know before R2 ends the connection.
    if (tcb.softError === 0) tcb.softError = Errno.ETIMEDOUT;
    tcb.socket?.report(0);
  }
  ctx.counters.count(Counter.TcpExtTCPTimeouts);
  if (snd.wnd === 0) {
    // The window was shut over data in flight: this is a window probe, and no sign of congestion (RFC 9293 §3.8.6, SHLD-17).
    if (flight.head !== null) retransmit(tcb, flight, flight.head, payloadMax(tcb));
  } else {
    blackHole(tcb, flight);
    enterLoss(tcb, flight);
    tcp.touch(tcb);
  }
  tcb.retries++;
  if (tcb.rtt.backoff < 30) tcb.rtt.backoff++;
  arm(tcb, Pending.Retransmit, ctx.now + timeoutOf(tcb.rtt));
}

/** RFC 8985 §6.2: the reordering window of the oldest is over. */
function reorderTimeout(tcb: Tcb, flight: Flight): void {
  const { tcp } = tcb;
  const { sample, seg } = tcp;
  sample.begin(flight);
  seg.options.clear();
  // PRR moves with what is delivered; the timer stands in for an ACK of one segment, as in Linux, or all that is lost would go at once.
  sample.delivered = tcb.snd.mss;
  tcb.pending = Pending.Reorder;
  const before = flight.lost;
  const wait = ackConcluded(tcb, flight, sample, seg, tcp.ctx.now | 0);
  rearm(tcb, flight, wait, false);
  if (flight.lost > before) tcp.touch(tcb);
}

/** RFC 8985 §7.3: new data if there is some and the window allows, else the last segment again, so that an ACK comes back. */
function tailProbe(tcb: Tcb, flight: Flight): void {
  const { snd, tcp } = tcb;
  const { ctx } = tcp;
  const mss = payloadMax(tcb);
  tcp.ctx.counters.count(Counter.TcpExtTCPLossProbes);
  const waiting = waitingOctets(tcb);
  const usable = snd.wnd - ((snd.nxt - snd.una) | 0);
  flight.probing = true;
  flight.probeRetransmits = !(waiting > 0 && usable >= Math.min(waiting, mss));
  if (flight.probeRetransmits) {
    let last = flight.tail as NonNullable<Flight['tail']>;
    if (last.octets > mss) {
      const whole = Math.floor((last.octets - 1) / mss) * mss;
      last = flight.split(last, (last.seq + whole) | 0);
    }
    retransmit(tcb, flight, last, mss);
  } else {
    // One segment past cwnd: the probe is not held back by it.
    const { cwnd } = snd;
    snd.cwnd = Math.max(cwnd, flight.pipe((snd.nxt - snd.una) | 0) + mss);
    output(tcb);
    snd.cwnd = cwnd;
  }
  flight.probeEnd = snd.nxt;
  arm(tcb, Pending.Retransmit, ctx.now + timeoutOf(tcb.rtt));
}

/** RFC 9293 §3.8.6.1: the window is asked for, for as long as the peer answers. */
function persistTimeout(tcb: Tcb): void {
  const { tcp, snd, flight } = tcb;
  const { ctx } = tcp;
  if (waitingOctets(tcb) === 0 && (flight === null || flight.head === null)) return;
  if (snd.wnd > 0) {
    // The override timeout of RFC 9293 §3.8.6.2.1 (4): what Nagle, a cork or a small window has held goes out now.
    snd.push = true;
    tcp.touch(tcb);
    return;
  }
  if (pastLimit(tcb)) return giveUp(tcb);
  ctx.counters.count(Counter.TcpExtTCPWinProbe);
  tcb.retries++;
  if (tcb.rtt.backoff < 30) tcb.rtt.backoff++;
  probeWindow(tcb);
  armPersist(tcb);
}

/** One octet beyond the window, or an empty segment left of it: `anystack.tcp_window_probe`. Either draws an ACK. */
function probeWindow(tcb: Tcb): void {
  const { snd, tcp } = tcb;
  const data = ((tcb.sendBuffer?.end ?? snd.nxt) - snd.nxt) | 0;
  if (tcp.ctx.sysctl.v['anystack.tcp_window_probe'] === 'empty' || (data <= 0 && snd.nxt === snd.una)) return sendProbe(tcb);
  const flight = tcb.flight ?? tcp.openFlight(tcb);
  if (flight.head !== null) {
    if (flight.head.flags & SentFlag.Sacked) return sendProbe(tcb);
    retransmit(tcb, flight, flight.head, payloadMax(tcb));
  } else if (sendSegment(tcb, snd.nxt, 1, 0, snd.mss, false)) {
    flight.append(snd.nxt, (snd.nxt + 1) | 0, tcp.ctx.now | 0);
    snd.nxt = (snd.nxt + 1) | 0;
  }
  tcb.pending = Pending.None;
}

/** True when what is stuck has been so for too long: the user timeout (RFC 5482), or R2 in time (RFC 9293 §3.8.3). */
function pastLimit(tcb: Tcb): boolean {
  const { ctx } = tcb.tcp;
  if (userTimeoutOver(tcb)) return true;
  const orphan = tcb.socket === null;
  const retries = orphan ? ctx.sysctl.v['net.ipv4.tcp_orphan_retries'] : ctx.sysctl.v['net.ipv4.tcp_retries2'];
  // A peer that answers window probes may keep its window shut for ever (MUST-37), unless nobody waits for it here.
  if (tcb.snd.wnd === 0 && !orphan && ctx.now - tcb.heardAt < 2 * timeoutOf(tcb.rtt)) return false;
  return tcb.retries > 0 && tcb.stuckSince > 0 && ctx.now - tcb.stuckSince >= limitTime(retries);
}

function userTimeoutOver(tcb: Tcb): boolean {
  const { userTimeout } = tcb.options;
  return userTimeout > 0 && tcb.stuckSince > 0 && tcb.tcp.ctx.now - tcb.stuckSince >= userTimeout * 1_000;
}

/** The time that `retries` timeouts from RTO_MIN on take, doubling up to RTO_MAX. */
function limitTime(retries: number): Micros {
  let total = 0;
  for (let i = 0; i <= retries; i++) total += Math.min(RTO_MAX, RTO_MIN * 2 ** i);
  return total;
}

/** The connection ends for lack of an answer: ETIMEDOUT, or what ICMP last said (RFC 9293 §3.8.3, §3.9.2.2, RFC 5461). Nobody listens for a RST. */
function giveUp(tcb: Tcb): void {
  const { ctx } = tcb.tcp;
  ctx.counters.count(tcb.state === State.SynSent || tcb.state === State.SynReceived ? Counter.TcpAttemptFails : Counter.TcpExtTCPAbortOnTimeout);
  tcb.tcp.finish(tcb, tcb.softError || Errno.ETIMEDOUT);
}
