import type { Segment } from './segment.js';
import { windowOf } from './socket-buffer.js';
import { type Tcb, Tuning } from './tcb.js';

/** Octets a send buffer may hold: SO_SNDBUF, or twice the congestion window and one big segment, so that a window is always ready to follow. */
export function sendLimit(tcb: Tcb): number {
  if (tcb.options.sendBuffer > 0) return tcb.options.sendBuffer;
  const wmem = tcb.tcp.ctx.sysctl.v['net.ipv4.tcp_wmem'];
  return Math.min(wmem[2], Math.max(wmem[1], 2 * tcb.snd.cwnd + 65_536));
}

/** In-order data came: the round trip as the receiver sees it, from echoed timestamps or from the time a window takes to fill. */
export function tunedAtArrival(tcb: Tcb, seg: Segment): void {
  const { rcv, tcp } = tcb;
  const { now } = tcp.ctx;
  if (tcb.tuning === null) {
    tcb.tuning = new Tuning();
    tcb.tuning.since = tcb.tuning.rttSince = now | 0;
    tcb.tuning.rttMark = (rcv.nxt + rcv.space) | 0;
    tcb.tuning.readLast = rcv.space >> 1;
  }
  const t = tcb.tuning;
  if (tcb.agreed.timestamps) {
    if (seg.options.tsEcr === t.lastEcr || seg.options.tsEcr === 0) return;
    t.lastEcr = seg.options.tsEcr;
    const ms = (((Math.floor(now / 1_000) + tcb.tsOffset) | 0) - seg.options.tsEcr) | 0 || 1;
    if (ms > 0 && ms < 600_000) t.rtt = t.rtt === 0 ? ms * 1_000 : Math.min(t.rtt + (ms * 1_000 - t.rtt) / 8, ms * 1_000 * 8) | 0;
  } else if (((rcv.nxt - t.rttMark) | 0) >= 0) {
    const elapsed = Math.max(1_000, ((now | 0) - t.rttSince) | 0);
    t.rtt = t.rtt === 0 ? elapsed : Math.min(t.rtt, elapsed);
    t.rttSince = now | 0;
    t.rttMark = (rcv.nxt + rcv.space) | 0;
  }
}

/**
 * The application has read `n` octets. Once per round trip: what it read is what the path and it can do, and the window should be
 * twice that, so that a sender in slow start is never held back by it (dynamic right-sizing, Fisk and Feng 2001).
 */
export function tunedAfterRead(tcb: Tcb, n: number): void {
  const { rcv, tuning: t, tcp, options } = tcb;
  if (t === null || options.receiveBuffer > 0) return;
  t.readNow += n;
  const rtt = t.rtt || tcb.rtt.srtt;
  const now32 = tcp.ctx.now | 0;
  if (rtt === 0 || ((now32 - t.since) | 0) < rtt) return;
  const { v } = tcp.ctx.sysctl;
  if (t.readNow > t.readLast && v['net.ipv4.tcp_moderate_rcvbuf'] === 1) {
    const growth = t.readLast > 0 ? (t.readNow - t.readLast) / t.readLast : 1;
    const wanted = 2 * t.readNow + 16 * rcv.mss;
    const space = Math.min(wanted + Math.floor(wanted * Math.min(1, growth)), windowOf(tcp, v['net.ipv4.tcp_rmem'][2]));
    if (space > rcv.space) rcv.space = options.windowClamp > 0 ? Math.min(space, options.windowClamp) : space;
    t.readLast = t.readNow;
  }
  t.readNow = 0;
  t.since = now32;
}
