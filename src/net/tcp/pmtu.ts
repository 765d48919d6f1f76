import { Counter } from '../counters.js';
import type { Flight } from './flight.js';
import { setMss } from './syn.js';
import type { Tcb } from './tcb.js';

/** Timeouts in a row before large segments are suspected. RFC 4821 §7.7 wants more than one, and we have R1 = 3. */
const SUSPECT_AFTER = 3;

/** The path's MTU is `mtu` now: segments follow, and what is too long is sent again in shorter ones (RFC 1191 §6.5). */
export function mtuChanged(tcb: Tcb, mtu: number): void {
  const { snd } = tcb;
  const before = snd.mss;
  setMss(tcb, tcb.mtuProbe > 0 ? Math.min(mtu, tcb.mtuProbe) : mtu);
  // cwnd is counted in octets, and stays: RFC 1191 §6.5 forbids slow start here only as far as segments are not lost.
  if (snd.mss > before && snd.cwnd < snd.mss) snd.cwnd = snd.mss;
}

/** After some timeouts: perhaps full segments never arrive and nobody says so. A smaller MTU is tried (RFC 4821 §7.7, 8899 §4.2). */
export function blackHole(tcb: Tcb, flight: Flight): void {
  const { tcp, snd } = tcb;
  const { v } = tcp.ctx.sysctl;
  if (v['net.ipv4.tcp_mtu_probing'] === 0 || tcb.retries < SUSPECT_AFTER || flight.head === null) return;
  const headers = tcb.family === 4 ? 40 : 60;
  const base = v['net.ipv4.tcp_base_mss'];
  const next = snd.mss > base ? base : Math.max(v['net.ipv4.tcp_min_snd_mss'], snd.mss >> 1);
  if (next >= snd.mss) return;
  tcp.ctx.counters.count(Counter.TcpExtTCPMTUPFail);
  tcb.mtuProbe = next + headers + (tcb.agreed.timestamps ? 12 : 0);
  mtuChanged(tcb, tcb.mtuProbe);
}
