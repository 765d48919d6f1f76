import { Errno } from '../../base/errors.js';
import { Timer } from '../../base/timer-wheel.js';
import { Counter } from '../counters.js';
import { TimerKind } from '../timer-kind.js';
import { sendReset } from './reset.js';
import { enter, State } from './states.js';
import { AckDue, type Tcb } from './tcb.js';

/** CLOSE of one direction (RFC 9293 §3.10.4): a FIN follows what has been written. Idempotent. */
export function closeSending(tcb: Tcb): void {
  const { snd } = tcb;
  if (snd.fin || tcb.state < State.SynReceived) return;
  snd.fin = true;
  snd.finAt = tcb.sendBuffer === null ? snd.nxt : tcb.sendBuffer.end;
  // In SYN-RECEIVED the FIN waits until the handshake is done.
  if (tcb.state === State.Established) enter(tcb, State.FinWait1);
  else if (tcb.state === State.CloseWait) enter(tcb, State.LastAck);
  tcb.tcp.touch(tcb);
}

/**
 * The application has let go of the connection. What it wrote is still sent, unless there were octets it never read: then
 * the peer learns by a RST that they are lost (RFC 9293 §3.6.1 MUST-17's second case, RFC 2525 §2.17). `linger0` resets as well.
 */
export function abandon(tcb: Tcb, linger0: boolean): void {
  const { tcp } = tcb;
  tcb.socket = null;
  if (tcb.state === State.Closed || tcb.state === State.TimeWait) return tcp.forget(tcb);
  const unread = tcb.receiveBuffer !== null && tcb.receiveBuffer.available > 0;
  if (tcb.state === State.SynSent || linger0 || unread) {
    if (unread) tcp.ctx.counters.count(Counter.TcpExtTCPAbortOnClose);
    return abort(tcb);
  }
  tcb.receiveBuffer?.clear();
  tcb.receiveBuffer = null;
  closeSending(tcb);
  if (tcb.state === State.FinWait2) armFinWait2(tcb);
}

/** ABORT (RFC 9293 §3.10.5): RST where the peer knows of the connection, and it is gone. `errno` for the socket. */
export function abort(tcb: Tcb, errno: number = Errno.ECONNABORTED): void {
  const { state } = tcb;
  if (state === State.Closed) return;
  if (state !== State.SynSent && state !== State.TimeWait) sendReset(tcb);
  tcb.tcp.finish(tcb, errno);
}

/** Nobody will read what comes in FIN-WAIT-2, so a peer that never closes must not keep the connection. Linux's tcp_fin_timeout. */
export function armFinWait2(tcb: Tcb): void {
  const { ctx } = tcb.tcp;
  const { linger2 } = tcb.options;
  if (linger2 < 0) return tcb.tcp.finish(tcb, 0);
  tcb.keepTimer ??= new Timer(TimerKind.TcpKeepAlive, tcb);
  ctx.wheel.arm(tcb.keepTimer, ctx.now + (linger2 || ctx.sysctl.v['net.ipv4.tcp_fin_timeout']) * 1_000_000);
}

/** The peer has closed its direction: its FIN has been taken in (RFC 9293 §3.10.7.4 eighth). */
export function finArrived(tcb: Tcb): void {
  const { tcp, rcv } = tcb;
  rcv.nxt = (rcv.nxt + 1) | 0;
  rcv.ended = true;
  rcv.due = AckDue.Now;
  tcp.touch(tcb);
  switch (tcb.state) {
    case State.SynReceived:
    case State.Established:
      enter(tcb, State.CloseWait);
      break;
    case State.FinWait1:
      // Our FIN was acknowledged by the same segment or the ACK check moved us on already: what is left is CLOSING.
      enter(tcb, State.Closing);
      break;
    case State.FinWait2:
      enter(tcb, State.TimeWait);
      break;
  }
  if (tcb.socket !== null) tcb.socket.report(0);
  if (tcb.state === State.TimeWait) tcp.timeWait(tcb);
}

/** The handshake of a connection opened with data in its SYN is done, one way or the other: another may take its place. Idempotent. */
export function handshakeOver(tcb: Tcb): void {
  if (tcb.early === null) return;
  tcb.early.early--;
  tcb.early = null;
}
