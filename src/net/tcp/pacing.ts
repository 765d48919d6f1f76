import { millis } from '../../base/time.js';
import { Timer } from '../../base/timer-wheel.js';
import { TimerKind } from '../timer-kind.js';
import type { Flight } from './flight.js';
import type { Tcb } from './tcb.js';

/** What may go out at once: less would cost a timer for every segment. A tick of the wheel is 1 ms. */
const QUANTUM_US = 1_000;
/** What a busy process sends late is caught up to here: it must not cost rate. More would be a burst. */
const CATCH_UP_MAX = millis(10);

/** True while the last burst is not paid for; a timer is then armed that marks the connection dirty. */
export function pacedUntil(tcb: Tcb, flight: Flight): boolean {
  const { ctx } = tcb.tcp;
  const wait = flight.nextSendAt - ctx.now;
  if (wait <= QUANTUM_US) return false;
  flight.held = true;
  tcb.paceTimer ??= new Timer(TimerKind.TcpPacing, tcb);
  if (!tcb.paceTimer.armed) ctx.wheel.arm(tcb.paceTimer, ctx.now + wait);
  return true;
}

/** `octets` have gone out: the next may follow when the rate has paid for them. */
export function paid(tcb: Tcb, flight: Flight, octets: number): void {
  const rate =
    tcb.options.maxPacingRate > 0 && (flight.pacingRate === 0 || tcb.options.maxPacingRate < flight.pacingRate)
      ? tcb.options.maxPacingRate
      : flight.pacingRate;
  if (rate === 0) return;
  const { now } = tcb.tcp.ctx;
  flight.nextSendAt = Math.max(flight.nextSendAt, now - (flight.held ? CATCH_UP_MAX : QUANTUM_US)) + (octets * 1e6) / rate;
}

/** The window spread over the round trip, with what slow start and avoidance need above it (Linux's 200 % and 120 %). */
export function paceByWindow(tcb: Tcb, flight: Flight): void {
  const { snd, rtt, tcp, options } = tcb;
  if (flight.congestion.ownsWindow) return;
  if (tcp.ctx.sysctl.v['anystack.tcp_pacing'] === 0 && options.maxPacingRate === 0) flight.pacingRate = 0;
  else if (rtt.srtt > 0) {
    const rate = (snd.cwnd * 1e6 * (snd.cwnd < snd.ssthresh >> 1 ? 2 : 1.2)) / rtt.srtt;
    flight.pacingRate = options.maxPacingRate > 0 ? Math.min(rate, options.maxPacingRate) : rate;
  }
}
