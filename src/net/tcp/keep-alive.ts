import { Errno } from '../../base/errors.js';
import { Timer } from '../../base/timer-wheel.js';
import { Counter } from '../counters.js';
import { TimerKind } from '../timer-kind.js';
import { abort } from './close.js';
import { sendProbe } from './segment-out.js';
import { State } from './states.js';
import type { Tcb } from './tcb.js';

/** Starts watching an idle connection, when SO_KEEPALIVE asks for it (RFC 9293 §3.8.4, MUST-24 to MUST-28). */
export function armKeepAlive(tcb: Tcb): void {
  const { ctx } = tcb.tcp;
  tcb.keepTimer ??= new Timer(TimerKind.TcpKeepAlive, tcb);
  ctx.wheel.arm(tcb.keepTimer, Math.max(ctx.now, tcb.heardAt) + idleTime(tcb));
}

/** The keep-alive's time has come, or that of FIN-WAIT-2. */
export function keepAliveTimer(tcb: Tcb): void {
  const { tcp, options } = tcb;
  const { ctx } = tcp;
  if (tcb.state === State.FinWait2 && tcb.socket === null) return tcp.finish(tcb, 0);
  if (options.keepAlive === 0 || tcb.state < State.Established) return;
  const idle = ctx.now - tcb.heardAt;
  const timer = tcb.keepTimer as Timer;
  // Data in flight has its own timer, which asks the same question.
  if (tcb.snd.una !== tcb.snd.nxt || idle < idleTime(tcb))
    return ctx.wheel.arm(timer, ctx.now + Math.max(0, idleTime(tcb) - idle) + (tcb.snd.una !== tcb.snd.nxt ? idleTime(tcb) : 0));
  const { v } = ctx.sysctl;
  const given =
    options.userTimeout > 0 && tcb.probes > 0
      ? idle >= options.userTimeout * 1_000
      : tcb.probes >= (options.keepCount || v['net.ipv4.tcp_keepalive_probes']);
  if (given) {
    ctx.counters.count(Counter.TcpExtTCPAbortOnTimeout);
    return abort(tcb, Errno.ETIMEDOUT);
  }
  tcb.probes++;
  ctx.counters.count(Counter.TcpExtTCPKeepAlive);
  sendProbe(tcb);
  ctx.wheel.arm(timer, ctx.now + (options.keepInterval || v['net.ipv4.tcp_keepalive_intvl']) * 1_000_000);
}

const idleTime = (tcb: Tcb): number => (tcb.options.keepIdle || tcb.tcp.ctx.sysctl.v['net.ipv4.tcp_keepalive_time']) * 1_000_000;
