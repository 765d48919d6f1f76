// hot: bench/packet
import type { Micros } from '../../base/time.js';
import { Timer } from '../../base/timer-wheel.js';
import { TimerKind } from '../timer-kind.js';
import { DELAYED_ACK_MAX } from './constants.js';
import { type Flight, SentFlag } from './flight.js';
import { CaState } from './info.js';
import { timeoutOf } from './rtt.js';
import { AckDue, Pending, type Tcb } from './tcb.js';

/** What the retransmission timer is armed for. One timer: these exclude each other (RFC 8985 §7.1, §8). */
export function arm(tcb: Tcb, pending: number, at: Micros): void {
  tcb.pending = pending;
  tcb.tcp.ctx.wheel.arm(tcb.timer, tcb.options.userTimeout > 0 ? notLater(tcb, pending, at) : at);
}

/** The user timeout (RFC 5482) ends a connection when it is over, not with the next timeout behind it. */
function notLater(tcb: Tcb, pending: number, at: Micros): Micros {
  if (tcb.stuckSince === 0 || (pending !== Pending.Retransmit && pending !== Pending.Persist)) return at;
  return Math.min(at, Math.max(tcb.tcp.ctx.now, tcb.stuckSince + tcb.options.userTimeout * 1_000));
}

/** Nothing is waited for. */
export function cancel(tcb: Tcb): void {
  tcb.pending = Pending.None;
  tcb.tcp.ctx.wheel.cancel(tcb.timer);
}

/** Data has just been sent, for the first time or again: RTO runs (RFC 6298 §5.1), or the tail probe's time (RFC 8985 §7.2). */
export function armSent(tcb: Tcb, flight: Flight): void {
  const { now } = tcb.tcp.ctx;
  if (tcb.stuckSince === 0) tcb.stuckSince = now;
  if (tcb.pending === Pending.Reorder) return;
  const probe = probeTime(tcb, flight);
  if (probe > 0) arm(tcb, Pending.Probe, now + probe);
  else if (tcb.pending !== Pending.Retransmit || !tcb.timer.armed) arm(tcb, Pending.Retransmit, now + timeoutOf(tcb.rtt));
}

/** An ACK has moved things: what is to be waited for now? `reorder`: µs until RACK looks again, 0 for never. `progress`: SND.UNA moved. */
export function rearm(tcb: Tcb, flight: Flight, reorder: Micros, progress: boolean): void {
  const { ctx } = tcb.tcp;
  const { now } = ctx;
  if (reorder > 0) return arm(tcb, Pending.Reorder, now + reorder);
  const { head } = flight;
  if (head === null) {
    if (tcb.pending !== Pending.Persist) cancel(tcb);
    return;
  }
  const probe = progress ? probeTime(tcb, flight) : 0;
  if (probe > 0) return arm(tcb, Pending.Probe, now + probe);
  if (progress) return arm(tcb, Pending.Retransmit, now + timeoutOf(tcb.rtt));
  // The reordering timer has done its work: RTO counts from when the first segment was sent.
  if (tcb.pending === Pending.Reorder) arm(tcb, Pending.Retransmit, Math.max(now, now - (((now | 0) - head.time) | 0) + timeoutOf(tcb.rtt)));
}

/** PTO of RFC 8985 §7.2 in µs, or 0 when no probe is to be made. */
function probeTime(tcb: Tcb, flight: Flight): Micros {
  const { rtt, snd, tcp } = tcb;
  if (tcp.ctx.sysctl.v['net.ipv4.tcp_early_retrans'] < 3 || !tcb.agreed.sack || rtt.srtt === 0 || snd.wnd === 0) return 0;
  if (flight.state > CaState.Disorder || flight.sacked > 0 || flight.lost > 0 || flight.probing || rtt.backoff > 0) return 0;
  // A lone segment's ACK may be delayed at the other end.
  const alone = flight.head !== null && flight.head === flight.tail && flight.head.octets <= snd.mss;
  const pto = 2 * rtt.srtt + (alone ? DELAYED_ACK_MAX : 2_000);
  const head = flight.head;
  const rto = timeoutOf(rtt) - (head === null || head.flags & SentFlag.EverRetransmitted ? 0 : ((tcp.ctx.now | 0) - head.time) | 0);
  return rto <= 0 ? 0 : Math.min(pto, rto);
}

/** The peer's window holds data back and nothing is in flight: a probe after RTO, backing off for ever (RFC 9293 §3.8.6.1). */
export function armPersist(tcb: Tcb): void {
  const { ctx } = tcb.tcp;
  if (tcb.pending === Pending.Persist && tcb.timer.armed) return;
  if (tcb.stuckSince === 0) tcb.stuckSince = ctx.now;
  arm(tcb, Pending.Persist, ctx.now + timeoutOf(tcb.rtt));
}

/** An ACK is owed, but may wait for data or a second segment (RFC 9293 §3.8.6.3). */
export function delayAck(tcb: Tcb): void {
  const { ctx } = tcb.tcp;
  const { rcv } = tcb;
  const at = ctx.now + ctx.sysctl.v['anystack.tcp_delayed_ack'] * 1_000;
  if (rcv.due === AckDue.No) rcv.dueAt = at | 0;
  rcv.due = AckDue.Delayed;
  tcb.ackTimer ??= new Timer(TimerKind.TcpDelayedAck, tcb);
  // Not cancelled when the ACK goes out: it fires once, finds nothing due or due later, and a busy connection saves two list operations per ACK.
  if (!tcb.ackTimer.armed) ctx.wheel.arm(tcb.ackTimer, at);
}

/** All timers of a connection that is over. */
export function cancelAll(tcb: Tcb): void {
  const { wheel } = tcb.tcp.ctx;
  cancel(tcb);
  if (tcb.ackTimer !== null) wheel.cancel(tcb.ackTimer);
  if (tcb.keepTimer !== null) wheel.cancel(tcb.keepTimer);
  if (tcb.paceTimer !== null) wheel.cancel(tcb.paceTimer);
}
