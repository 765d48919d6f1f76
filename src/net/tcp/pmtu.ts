import { type Seq, seqGte } from '../../base/sequence.js';
import type { Micros } from '../../base/time.js';
import { Counter } from '../counters.js';
import { type Flight, SentFlag } from './flight.js';
import { CaState } from './info.js';
import { setMss } from './syn.js';
import type { Tcb } from './tcb.js';

/** Timeouts in a row before large segments are suspected. RFC 4821 §7.7 wants more than one, and we have R1 = 3. */
const SUSPECT_AFTER = 3;
/** Segments the window must hold before one is risked: its loss has to be seen without a timeout. Linux's tcp_mtu_probe. */
const PROBE_WINDOW = 11;

/** See probeLength. */
export const WAIT = -1;

/** A search for the greatest packet that the path carries: between what is known to arrive and what a path or a lost probe allows (RFC 4821 §7.3). */
export class MtuSearch {
  /** MTU that segments are made for. */
  low: number;
  /** Nothing greater is tried. */
  high: number;
  /** MTU under test, 0 for none; its one segment is [from, to). */
  size = 0;
  from: Seq = 0;
  to: Seq = 0;
  /** When the path is tried again after the search has ended: it may have changed. */
  again: Micros = 0;

  constructor(low: number, high: number) {
    this.low = Math.min(low, high);
    this.high = high;
  }
}

/** The path's MTU is `mtu` now: segments follow, and what is too long is sent again in shorter ones (RFC 1191 §6.5). */
export function mtuChanged(tcb: Tcb, mtu: number): void {
  const { snd, search } = tcb;
  const before = snd.mss;
  if (search !== null) {
    search.high = mtu;
    search.low = Math.min(search.low, mtu);
  }
  apply(tcb, mtu);
  // cwnd is counted in octets, and stays: RFC 1191 §6.5 forbids slow start here only as far as segments are not lost.
  if (snd.mss > before && snd.cwnd < snd.mss) snd.cwnd = snd.mss;
}

const apply = (tcb: Tcb, mtu: number): void => setMss(tcb, tcb.search === null ? mtu : Math.min(mtu, tcb.search.low));

/** Octets of a packet that are no payload. */
const overhead = (tcb: Tcb): number => (tcb.family === 4 ? 40 : 60) + (tcb.agreed.timestamps ? 12 : 0);

/** The handshake is done: net.ipv4.tcp_mtu_probing 2 believes no path and begins with small segments. */
export function beginSearch(tcb: Tcb): void {
  const { v } = tcb.tcp.ctx.sysctl;
  if (v['net.ipv4.tcp_mtu_probing'] !== 2 || tcb.path === null) return;
  tcb.search = new MtuSearch(v['net.ipv4.tcp_base_mss'] + overhead(tcb), tcb.path.mtu);
  apply(tcb, tcb.path.mtu);
}

/** After some timeouts: perhaps full segments never arrive and nobody says so. A smaller MTU is tried (RFC 4821 §7.7), and from there upward. */
export function blackHole(tcb: Tcb, flight: Flight): void {
  const { tcp, snd, path } = tcb;
  const { v } = tcp.ctx.sysctl;
  if (v['net.ipv4.tcp_mtu_probing'] === 0 || tcb.retries < SUSPECT_AFTER || flight.head === null || path === null) return;
  const base = v['net.ipv4.tcp_base_mss'];
  const next = snd.mss > base ? base : Math.max(v['net.ipv4.tcp_min_snd_mss'], snd.mss >> 1);
  if (next >= snd.mss) return;
  tcp.ctx.counters.count(Counter.TcpExtTCPMTUPFail);
  tcb.search = new MtuSearch(next + overhead(tcb), path.mtu);
  apply(tcb, path.mtu);
}

/**
 * Payload of a probe to send now, 0 for none, WAIT when it needs room that the next ACKs bring. `waiting`: octets that are to be sent. Some segments must follow it, so that its loss shows as a
 * hole, and nothing else may be amiss (RFC 4821 §7.4). Only with SACK, which tells which segment was lost.
 */
export function probeLength(tcb: Tcb, search: MtuSearch, flight: Flight, waiting: number): number {
  const { snd, tcp, path } = tcb;
  if (search.size > 0 || path === null || !tcb.agreed.sack || flight.state !== CaState.Open || flight.sacked > 0 || flight.lost > 0) return 0;
  if (snd.cwnd < PROBE_WINDOW * snd.mss) return 0;
  const { v } = tcp.ctx.sysctl;
  if (search.high - search.low < v['net.ipv4.tcp_probe_threshold']) {
    if (search.again === 0) search.again = tcp.ctx.now + v['net.ipv4.tcp_probe_interval'] * 1e6;
    if (tcp.ctx.now < search.again) return 0;
    search.again = 0;
    search.high = path.mtu;
    if (search.high - search.low < v['net.ipv4.tcp_probe_threshold']) return 0;
  }
  const size = (search.high + search.low + 1) >> 1;
  const length = size - overhead(tcb);
  const needed = length + (flight.reordering + 1) * snd.mss;
  const outstanding = (snd.nxt - snd.una) | 0;
  if (length > snd.peerMss || waiting < needed || snd.wnd - outstanding < needed) return 0;
  // ACKs come back for segments of the present size: the window has to drain a little.
  if (snd.cwnd - flight.pipe(outstanding) < length) return WAIT;
  search.size = size;
  search.from = snd.nxt;
  search.to = (snd.nxt + length) | 0;
  return length;
}

/** SND.UNA has moved: when the probe has arrived, segments grow. */
export function probeArrived(tcb: Tcb, search: MtuSearch): void {
  if (search.size === 0 || !seqGte(tcb.snd.una, search.to)) return;
  tcb.tcp.ctx.counters.count(Counter.TcpExtTCPMTUPSuccess);
  search.low = search.size;
  search.size = 0;
  if (tcb.path !== null) apply(tcb, tcb.path.mtu);
}

/** Is all that is lost the probe? Then it was too long, which is no congestion (RFC 4821 §7.6.2): true, and it goes again in shorter segments. */
export function probeLost(search: MtuSearch, flight: Flight): boolean {
  const { head } = flight;
  if (search.size === 0 || head === null || head.seq !== search.from || head.end !== search.to) return false;
  if ((head.flags & SentFlag.Lost) === 0 || flight.lost !== head.octets) return false;
  search.high = search.size - 1;
  search.size = 0;
  return true;
}
