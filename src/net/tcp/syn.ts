import { fold } from '../../base/checksum.js';
import { Drop } from '../../base/drops.js';
import { Protocol } from '../../wire/protocol.js';
import * as wire from '../../wire/tcp.js';
import { putSynOptions, type TcpOptions } from '../../wire/tcp-options.js';
import { putPackedSynOptions } from '../../wire/tcp-syn-packed.js';
import { pseudoSum } from '../../wire/transport-checksum.js';
import { Counter } from '../counters.js';
import type { Path } from '../ip/path.js';
import { MSS_DEFAULT_V4, MSS_DEFAULT_V6, MSS_MIN, QUICK_ACKS, RTO_AFTER_SYN_LOSS } from './constants.js';
import { offerFastOpen } from './fast-open.js';
import { armKeepAlive } from './keep-alive.js';
import { beginSearch } from './pmtu.js';
import { timeoutOf } from './rtt.js';
import { Flag, type Segment } from './segment.js';
import { address, pathOf, tsval } from './segment-out.js';
import { wholeSegments, windowOf } from './socket-buffer.js';
import { State } from './states.js';
import { AckDue, Pending, type Tcb } from './tcb.js';
import type { Tcp } from './tcp.js';
import { arm } from './timers.js';

/** Octets of IP and TCP header without options. */
const headers = (family: number): number => (family === 4 ? 40 : 60);

/** The MSS we tell a peer: what arrives whole on this interface (RFC 9293 MUST-67). `maxSeg`: TCP_MAXSEG or 0. */
export function advertisedMss(path: Path, family: number, maxSeg: number): number {
  const mss = Math.min(65_535, path.iface.mtu - headers(family));
  return maxSeg > 0 ? Math.min(mss, maxSeg) : mss;
}

/** The peer's MSS option, or what holds without one (RFC 9293 MUST-15). */
export const peerMss = (options: TcpOptions, family: number): number =>
  options.mss > 0 ? options.mss : family === 4 ? MSS_DEFAULT_V4 : MSS_DEFAULT_V6;

/** Sets Eff.snd.MSS (RFC 9293 §3.7.1 MUST-16) from the peer's, the path's MTU, TCP_MAXSEG and the options every segment carries. */
export function setMss(tcb: Tcb, mtu: number): void {
  const { snd, options, tcp } = tcb;
  let mss = Math.min(Math.max(snd.peerMss, tcp.ctx.sysctl.v['net.ipv4.tcp_min_snd_mss']), mtu - headers(tcb.family));
  if (options.maxSeg > 0) mss = Math.min(mss, options.maxSeg);
  if (tcb.agreed.timestamps) mss -= 12;
  snd.mss = Math.max(MSS_MIN, mss);
}

/** Shift for windows up to `space` octets. RFC 7323 §2.2. */
export function windowShift(space: number): number {
  let shift = 0;
  while (shift < 14 && space > 65_535 << shift) shift++;
  return shift;
}

/** Receive buffer of a new connection and the window it allows: space now, and the shift for what it may become. */
export function openReceiveSpace(tcb: Tcb): void {
  const { rcv, options, tcp } = tcb;
  const rmem = tcp.ctx.sysctl.v['net.ipv4.tcp_rmem'];
  rcv.space = windowOf(tcp, options.receiveBuffer || rmem[1]);
  if (options.windowClamp > 0) rcv.space = Math.min(rcv.space, options.windowClamp);
  // Linux counts a shift for the whole of the buffer's maximum, though the window is half of it.
  rcv.wscale = windowShift(options.receiveBuffer > 0 ? Math.max(options.receiveBuffer, rcv.space) : rmem[2]);
}

/** The window of a SYN: never scaled, and in whole segments, so that the peer's first flight fills it evenly (BSD takes them all). */
export function synWindow(tcp: Tcp, space: number, mss: number): number {
  const window = Math.min(space, 65_535);
  return window > mss && !tcp.plainBuffers ? window - (window % mss) : window;
}

/** Writes `tcp.out` behind a SYN's header at `at`, laid out as anystack.tcp_syn_layout says; returns the octets of both. */
export function writeSynOptions(tcp: Tcp, view: DataView, at: number): number {
  const put = tcp.ctx.sysctl.v['anystack.tcp_syn_layout'] === 'bsd' ? putPackedSynOptions : putSynOptions;
  return put(view, at + wire.HEADER_LEN, tcp.out) - at;
}

/** Sends the SYN of a connection, or its SYN-ACK in SYN-RECEIVED, and arms its retransmission. */
export function sendSyn(tcb: Tcb): void {
  const { tcp, snd, rcv } = tcb;
  const { ctx, out } = tcp;
  const path = pathOf(tcb);
  const packet = path === null ? null : ctx.packet();
  arm(tcb, Pending.Retransmit, ctx.now + timeoutOf(tcb.rtt));
  if (snd.nxt === snd.iss) snd.nxt = (snd.iss + 1) | 0;
  if (tcb.stuckSince === 0) tcb.stuckSince = ctx.now;
  if (path === null) return;
  if (packet === null) return ctx.countDrop(Drop.NoBuffer);
  const answer = tcb.state === State.SynReceived;
  const { v } = ctx.sysctl;
  out.clear();
  out.mss = advertisedMss(path, tcb.family, tcb.options.maxSeg);
  out.sackPermitted = answer ? tcb.agreed.sack : v['net.ipv4.tcp_sack'] === 1;
  out.windowScale = (answer ? tcb.agreed.wscale : v['net.ipv4.tcp_window_scaling'] === 1) ? rcv.wscale : -1;
  out.timestamps = answer ? tcb.agreed.timestamps : v['net.ipv4.tcp_timestamps'] === 1;
  out.tsVal = tsval(tcb);
  out.tsEcr = answer ? tcb.tsRecent : 0;
  const data = answer ? 0 : offerFastOpen(tcb);
  let flags: number = answer ? Flag.Syn | Flag.Ack : Flag.Syn;
  if (tcb.ecn !== null) flags |= answer ? Flag.Ece : Flag.Ece | Flag.Cwr;
  const at = packet.head;
  const header = writeSynOptions(tcp, packet.view, at);
  const window = synWindow(tcp, rcv.space, out.mss);
  rcv.edge = (rcv.nxt + (tcp.plainBuffers ? rcv.space : window)) | 0;
  const field = fold(pseudoSum(tcb.local, tcb.remote, Protocol.Tcp, header + data));
  wire.put(packet.view, at, tcb.localPort, tcb.remotePort, snd.iss, answer ? rcv.nxt : 0, header, flags, window, field, 0);
  packet.tail = at + header;
  if (data > 0) {
    tcb.sendBuffer?.gather(packet, (snd.iss + 1) | 0, data);
    tcb.synData = data;
    snd.nxt = (snd.iss + 1 + data) | 0;
  }
  rcv.due = AckDue.No;
  rcv.acked = rcv.nxt;
  snd.segments++;
  ctx.counters.count(Counter.TcpOutSegs);
  address(tcb, packet);
  tcp.ip.output(packet, path);
}

/** Takes over what the peer's SYN says, ours having been sent: sequence numbers, options. RFC 7323 §2.2, §3.2. */
export function synTaken(tcb: Tcb, seg: Segment): void {
  const { rcv, snd, agreed, tcp } = tcb;
  const { v } = tcp.ctx.sysctl;
  const { options } = seg;
  const window = (rcv.edge - rcv.nxt) | 0;
  rcv.irs = seg.seq;
  rcv.nxt = (seg.seq + 1) | 0;
  rcv.acked = rcv.nxt;
  rcv.edge = (rcv.nxt + window) | 0;
  agreed.timestamps = options.timestamps && v['net.ipv4.tcp_timestamps'] === 1;
  agreed.sack = options.sackPermitted && v['net.ipv4.tcp_sack'] === 1;
  agreed.wscale = options.windowScale >= 0 && v['net.ipv4.tcp_window_scaling'] === 1;
  snd.wscale = agreed.wscale ? options.windowScale : 0;
  if (!agreed.wscale) rcv.wscale = 0;
  if (agreed.timestamps) {
    tcb.tsRecent = options.tsVal;
    tcb.tsRecentAt = tcp.ctx.now;
  }
  snd.peerMss = peerMss(options, tcb.family);
  setMss(tcb, tcb.path === null ? 1_280 : tcb.path.mtu);
  rcv.mss = Math.min(536, snd.mss);
  wholeSegments(tcb);
}

/** The handshake is done: windows of congestion and of the peer, timers, buffers. The state is the caller's. */
export function opened(tcb: Tcb, seg: Segment): void {
  const { snd, rcv, tcp } = tcb;
  snd.wnd = seg.flags & Flag.Syn ? seg.wnd : seg.wnd << snd.wscale;
  snd.maxWnd = Math.max(snd.maxWnd, snd.wnd);
  snd.wl1 = seg.seq;
  snd.wl2 = seg.ack;
  snd.small = snd.una;
  // A SYN that had to be sent again speaks of congestion (RFC 5681 §3.1, RFC 6298 §5.7).
  snd.cwnd = tcb.retries > 0 ? snd.mss : tcp.initialWindow(tcb);
  if (tcb.retries > 0 && tcb.rtt.srtt === 0) tcb.rtt.rto = RTO_AFTER_SYN_LOSS;
  rcv.quick = Math.min(QUICK_ACKS, tcp.ctx.sysctl.v['anystack.tcp_quick_acks']);
  beginSearch(tcb);
  tcb.retries = 0;
  tcb.stuckSince = 0;
  tcb.heardAt = tcp.ctx.now;
  if (tcb.options.keepAlive !== 0) armKeepAlive(tcb);
  if (snd.fin) tcp.touch(tcb);
}

/** True when the SYN asks for ECN and we take it up (RFC 3168 §6.1.1). */
export const ecnAsked = (tcp: Tcp, seg: Segment): boolean =>
  (seg.flags & (Flag.Ece | Flag.Cwr)) === (Flag.Ece | Flag.Cwr) && tcp.ctx.sysctl.v['net.ipv4.tcp_ecn'] > 0;
