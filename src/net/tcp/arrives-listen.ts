import { fold } from '../../base/checksum.js';
import { Drop } from '../../base/drops.js';
import type { Packet } from '../../base/packet.js';
import { Protocol } from '../../wire/protocol.js';
import * as wire from '../../wire/tcp.js';
import { pseudoSum } from '../../wire/transport-checksum.js';
import { Counter } from '../counters.js';
import type { Path } from '../ip/path.js';
import { segmentArrives } from './arrives.js';
import { SYN_TIMEOUT } from './constants.js';
import { earlyMax, mayOpenEarly } from './fast-open.js';
import { HalfOpen } from './half-open.js';
import type { Listener } from './listener.js';
import { firstSeq } from './open.js';
import { pathTo, refreshPath, replyPath } from './paths.js';
import { refuse } from './reset.js';
import { measured } from './rtt.js';
import { Flag, type Segment } from './segment.js';
import { address, answerTo, sendStamped } from './segment-out.js';
import { wholeSegments, windowOf } from './socket-buffer.js';
import { enter, State } from './states.js';
import { advertisedMss, ecnAsked, opened, peerMss, sendSyn, setMss, synWindow, windowShift, writeSynOptions } from './syn.js';
import { checkCookie, makeCookie } from './syn-cookie.js';
import { Ecn, Tcb } from './tcb.js';
import type { Tcp } from './tcp.js';
import { takeEarly } from './text.js';
import type { TimeWait } from './time-wait.js';

/** SEGMENT ARRIVES in LISTEN, RFC 9293 §3.10.7.2, in its order. Answers like segmentArrives. `before`: the TIME-WAIT that this SYN has just ended. */
export function segmentArrivesListen(
  tcp: Tcp,
  listener: Listener,
  seg: Segment,
  packet: Packet,
  vrf: number,
  zone: number,
  before: TimeWait | null,
): number {
  // First: a RST.
  if (seg.flags & Flag.Rst) return Drop.TcpRstNoConnection;
  // Second: an ACK, which must be of a cookie.
  if (seg.flags & Flag.Ack) return cookieArrives(tcp, listener, seg, packet, vrf, zone);
  // Third: a SYN.
  if ((seg.flags & Flag.Syn) === 0) return Drop.TcpListenNoSyn;
  return synArrives(tcp, listener, seg, packet, vrf, zone, before);
}

function synArrives(tcp: Tcp, listener: Listener, seg: Segment, packet: Packet, vrf: number, zone: number, before: TimeWait | null): number {
  const { ctx } = tcp;
  if (listener.full) {
    ctx.counters.count(Counter.TcpExtListenOverflows);
    ctx.counters.count(Counter.TcpExtListenDrops);
    return Drop.TcpListenOverflow;
  }
  const path = replyPath(tcp, packet);
  if (path === null) return Drop.IpNoRoute;
  const early = earlyMax(tcp, listener);
  if (listener.early < early && mayOpenEarly(tcp, seg, packet)) {
    return openEarly(tcp, listener, seg, packet, vrf, zone, path, before);
  }
  const cookies = ctx.sysctl.v['net.ipv4.tcp_syncookies'];
  const crowded = listener.halfOpen.size >= listener.halfOpenMax || tcp.crowded;
  if (cookies === 2 || (crowded && cookies === 1)) return sendCookie(tcp, listener, seg, packet, path);
  if (crowded) {
    ctx.counters.count(Counter.TcpExtListenDrops);
    return tcp.crowded ? Drop.TcpConnectionsMax : Drop.TcpSynQueueFull;
  }
  const half = new HalfOpen(listener, packet.destination.clone(), packet.source.clone());
  half.localPort = packet.destinationPort;
  half.remotePort = packet.sourcePort;
  half.vrf = vrf;
  half.zone = zone;
  synHeard(tcp, half, seg, path);
  half.iss = firstSeq(tcp, half, before);
  half.cookie = early > 0 && seg.options.cookieLength >= 0;
  half.experimental = seg.options.cookieExperimental;
  half.sentAt = ctx.now;
  listener.halfOpen.add(half);
  tcp.flows.add(half);
  ctx.wheel.arm(half.timer, ctx.now + SYN_TIMEOUT);
  sendSynAck(tcp, half, path, packet);
  return 0;
}

/** A SYN with data and our cookie: the connection opens at once, its data is taken, the handshake follows (RFC 7413 §4.2.2). */
function openEarly(
  tcp: Tcp,
  listener: Listener,
  seg: Segment,
  packet: Packet,
  vrf: number,
  zone: number,
  path: Path,
  before: TimeWait | null,
): number {
  const half = new HalfOpen(listener, packet.destination.clone(), packet.source.clone());
  half.localPort = packet.destinationPort;
  half.remotePort = packet.sourcePort;
  half.vrf = vrf;
  half.zone = zone;
  synHeard(tcp, half, seg, path);
  half.iss = firstSeq(tcp, half, before);
  const tcb = passive(tcp, listener, half);
  tcb.snd.nxt = tcb.snd.iss;
  tcp.flows.add(tcb);
  tcb.early = listener;
  tcb.synData = seg.length;
  listener.early++;
  tcp.ctx.counters.count(Counter.TcpPassiveOpens);
  listener.push(tcb);
  opened(tcb, seg);
  tcb.snd.small = (tcb.snd.iss - 1) | 0; // the SYN is no short segment that Nagle would wait for
  const reason = takeEarly(tcb, seg, packet);
  sendSyn(tcb);
  return reason;
}

/** What the SYN says, and what we answer to its options. */
function synHeard(tcp: Tcp, half: HalfOpen, seg: Segment, path: Path): void {
  const { v } = tcp.ctx.sysctl;
  const { options } = seg;
  half.irs = seg.seq;
  half.peerMss = peerMss(options, half.remote.isV4 ? 4 : 6);
  half.peerWindow = seg.wnd;
  half.peerShift = v['net.ipv4.tcp_window_scaling'] === 1 ? options.windowScale : -1;
  half.sack = options.sackPermitted && v['net.ipv4.tcp_sack'] === 1;
  half.timestamps = options.timestamps && v['net.ipv4.tcp_timestamps'] === 1;
  half.tsRecent = half.timestamps ? options.tsVal : 0;
  half.tsOffset = tcp.secrets.stampOffset(half.local, half.remote);
  half.ecn = ecnAsked(tcp, seg);
  space(tcp, half, path);
}

function space(tcp: Tcp, half: HalfOpen, path: Path): void {
  const { options } = half.listener;
  const rmem = tcp.ctx.sysctl.v['net.ipv4.tcp_rmem'];
  half.space = windowOf(tcp, options.receiveBuffer || rmem[1]);
  if (options.windowClamp > 0) half.space = Math.min(half.space, options.windowClamp);
  half.shift = half.peerShift < 0 ? 0 : windowShift(options.receiveBuffer || rmem[2]);
  half.window = synWindow(tcp, half.space, advertisedMss(path, half.remote.isV4 ? 4 : 6, options.maxSeg));
}

/** <SEQ=ISS><ACK=RCV.NXT><CTL=SYN,ACK>, with what of the SYN's options we take up. `to`: a packet of the peer's, or null from the timer. */
function sendSynAck(tcp: Tcp, half: HalfOpen, path: Path, to: Packet | null): void {
  const packet = tcp.ctx.packet();
  if (packet === null) return tcp.ctx.countDrop(Drop.NoBuffer);
  const { out } = tcp;
  const family = half.remote.isV4 ? 4 : 6;
  out.clear();
  out.mss = advertisedMss(path, family, half.listener.options.maxSeg);
  out.sackPermitted = half.sack;
  out.windowScale = half.peerShift < 0 ? -1 : half.shift;
  out.timestamps = half.timestamps;
  out.tsVal = (Math.floor(tcp.ctx.now / 1_000) + half.tsOffset) | 0;
  out.tsEcr = half.tsRecent;
  if (half.cookie) tcp.openCookies.give(out, half.local, half.remote);
  out.cookieExperimental = half.experimental;
  const at = packet.head;
  const header = writeSynOptions(tcp, packet.view, at);
  const flags = Flag.Syn | Flag.Ack | (half.ecn ? Flag.Ece : 0);
  const field = fold(pseudoSum(half.local, half.remote, Protocol.Tcp, header));
  wire.put(packet.view, at, half.localPort, half.remotePort, half.iss, (half.irs + 1) | 0, header, flags, half.window, field, 0);
  packet.tail = at + header;
  if (to !== null) answerTo(packet, to);
  else addressHalfOpen(tcp, packet, half);
  packet.trafficClass = half.listener.options.tos & ~3;
  packet.ttl = half.listener.options.ttl;
  tcp.ctx.counters.count(Counter.TcpOutSegs);
  tcp.ip.output(packet, path);
}

/** A half-open connection's SYN-ACK has not been answered: it goes out again, or the connection is forgotten. */
export function synAckTimer(tcp: Tcp, half: HalfOpen): void {
  const { ctx } = tcp;
  const path =
    half.retries < ctx.sysctl.v['net.ipv4.tcp_synack_retries']
      ? pathTo(tcp, half.local, half.remote, half.localPort, half.remotePort, half.vrf, half.zone)
      : null;
  if (path === null || typeof path === 'number') {
    ctx.counters.count(Counter.TcpAttemptFails);
    tcp.endHalfOpen(half);
    return;
  }
  half.retries++;
  // RFC 3168 §6.1.1.1: perhaps it is ECN that does not pass.
  half.ecn = false;
  if (!half.acked) {
    ctx.counters.count(Counter.TcpRetransSegs);
    sendSynAck(tcp, half, path, null);
  }
  ctx.wheel.arm(half.timer, ctx.now + SYN_TIMEOUT * 2 ** half.retries);
}

/**
 * SEGMENT ARRIVES in SYN-RECEIVED that came by LISTEN, RFC 9293 §3.10.7.4: the checks that can end here. The ACK makes it a
 * connection, and the segment goes through the list once more as that.
 */
export function segmentArrivesHalfOpen(tcp: Tcp, half: HalfOpen, seg: Segment, packet: Packet): number {
  const nxt = (half.irs + 1) | 0;
  const offset = (seg.seq - nxt) | 0;
  const { options } = seg;
  if (half.timestamps && (seg.flags & (Flag.Rst | Flag.Syn)) === 0) {
    if (!options.timestamps) return Drop.TcpNoTimestamp;
    if (((options.tsVal - half.tsRecent) | 0) < 0) {
      answer(tcp, half, packet);
      return Drop.TcpPaws;
    }
  }
  // First: the sequence number. The SYN once more means that the SYN-ACK was lost.
  if (seg.flags & Flag.Syn && seg.seq === half.irs && (seg.flags & (Flag.Ack | Flag.Rst)) === 0) {
    resend(tcp, half, packet);
    return Drop.TcpDuplicate;
  }
  const beyond = seg.flags & (Flag.Rst | Flag.Syn) ? offset >= half.window : offset > half.window;
  if (offset < 0 ? ((offset + seg.len) | 0) <= 0 : beyond) {
    if ((seg.flags & Flag.Rst) === 0) answer(tcp, half, packet);
    return seg.flags & Flag.Rst ? Drop.TcpRstOutOfWindow : Drop.TcpOutOfWindow;
  }
  // Second: a RST returns to LISTEN (MUST-11).
  if (seg.flags & Flag.Rst) {
    if (offset !== 0 && tcp.ctx.sysctl.v['anystack.tcp_insecure_rst'] === 0) {
      answer(tcp, half, packet);
      return Drop.TcpRstOutOfWindow;
    }
    tcp.ctx.counters.count(Counter.TcpAttemptFails);
    tcp.endHalfOpen(half);
    return 0;
  }
  // Fourth: a SYN in the window. RFC 5961 §4.2.
  if (seg.flags & Flag.Syn) {
    answer(tcp, half, packet);
    return Drop.TcpSynInWindow;
  }
  // Fifth: the ACK.
  if ((seg.flags & Flag.Ack) === 0) return Drop.TcpNoAck;
  if (seg.ack !== ((half.iss + 1) | 0)) {
    refuse(tcp, packet, seg);
    return Drop.TcpBadAck;
  }
  return complete(tcp, half, seg, packet);
}

/** The handshake is complete, if the accept queue has room. */
function complete(tcp: Tcp, half: HalfOpen, seg: Segment, packet: Packet): number {
  const { listener } = half;
  const { ctx } = tcp;
  if (listener.full) {
    ctx.counters.count(Counter.TcpExtListenOverflows);
    if (ctx.sysctl.v['net.ipv4.tcp_abort_on_overflow'] === 1) {
      refuse(tcp, packet, seg);
      tcp.endHalfOpen(half);
    }
    return Drop.TcpListenOverflow;
  }
  if (
    listener.options.deferAccept > 0 &&
    seg.length === 0 &&
    (seg.flags & Flag.Fin) === 0 &&
    ctx.now - half.sentAt < listener.options.deferAccept * 1e6
  ) {
    half.acked = true;
    return 0;
  }
  const tcb = passive(tcp, listener, half);
  if (half.retries === 0)
    measured(tcb.rtt, Math.max(1, ctx.now - half.sentAt), ctx.now, tcb.snd.una, tcb.snd.nxt, ctx.sysctl.v['net.ipv4.tcp_rto_min_us']);
  else tcb.retries = half.retries;
  ctx.wheel.cancel(half.timer);
  listener.halfOpen.delete(half);
  tcp.flows.replace(half, tcb);
  return start(tcp, listener, tcb, seg, packet);
}

/** A connection in SYN-RECEIVED out of what a SYN (or a cookie) left. */
function passive(tcp: Tcp, listener: Listener, half: HalfOpen): Tcb {
  const tcb = new Tcb(tcp, null, listener.options, half.local, half.remote);
  const { snd, rcv, agreed } = tcb;
  tcb.localPort = half.localPort;
  tcb.remotePort = half.remotePort;
  tcb.vrf = half.vrf;
  tcb.zone = half.zone;
  tcb.tsOffset = half.tsOffset;
  tcb.tsRecent = half.tsRecent;
  tcb.tsRecentAt = tcp.ctx.now;
  agreed.timestamps = half.timestamps;
  agreed.sack = half.sack;
  agreed.wscale = half.peerShift >= 0;
  if (half.ecn) tcb.ecn = new Ecn();
  snd.iss = half.iss;
  snd.una = half.iss;
  snd.nxt = (half.iss + 1) | 0;
  snd.wscale = Math.max(0, half.peerShift);
  snd.wnd = snd.maxWnd = half.peerWindow;
  snd.peerMss = half.peerMss;
  rcv.irs = half.irs;
  rcv.nxt = rcv.acked = (half.irs + 1) | 0;
  rcv.space = half.space;
  rcv.wscale = half.shift;
  rcv.edge = (rcv.nxt + half.window) | 0;
  enter(tcb, State.SynReceived);
  const path = refreshPath(tcb);
  setMss(tcb, path === null ? 1_280 : path.mtu);
  rcv.mss = Math.min(536, snd.mss);
  wholeSegments(tcb);
  return tcb;
}

function start(tcp: Tcp, listener: Listener, tcb: Tcb, seg: Segment, packet: Packet): number {
  tcp.ctx.counters.count(Counter.TcpPassiveOpens);
  listener.push(tcb);
  return segmentArrives(tcb, seg, packet);
}

/** An ACK where nothing is half open: of a cookie we sent a short while ago, or of nothing. RFC 4987 §3.6. */
function cookieArrives(tcp: Tcp, listener: Listener, seg: Segment, packet: Packet, vrf: number, zone: number): number {
  const { ctx } = tcp;
  if (seg.flags & Flag.Syn || !tcp.cookies.recent(ctx.now)) {
    refuse(tcp, packet, seg);
    return Drop.TcpListenNoSyn;
  }
  const half = new HalfOpen(listener, packet.destination.clone(), packet.source.clone());
  half.localPort = packet.destinationPort;
  half.remotePort = packet.sourcePort;
  half.vrf = vrf;
  half.zone = zone;
  half.irs = (seg.seq - 1) | 0;
  half.iss = (seg.ack - 1) | 0;
  half.tsOffset = tcp.secrets.stampOffset(half.local, half.remote);
  if (!checkCookie(tcp.cookies, half, seg, ctx.now)) {
    ctx.counters.count(Counter.TcpExtSyncookiesFailed);
    refuse(tcp, packet, seg);
    return Drop.TcpBadCookie;
  }
  if (listener.full) return Drop.TcpListenOverflow;
  const path = replyPath(tcp, packet);
  if (path === null) return Drop.IpNoRoute;
  space(tcp, half, path);
  half.peerWindow = seg.wnd;
  ctx.counters.count(Counter.TcpExtSyncookiesRecv);
  const tcb = passive(tcp, listener, half);
  tcp.flows.add(tcb);
  return start(tcp, listener, tcb, seg, packet);
}

/** A SYN-ACK that carries all we would remember in its sequence number and timestamp: nothing is kept. */
function sendCookie(tcp: Tcp, listener: Listener, seg: Segment, packet: Packet, path: Path): number {
  const { ctx } = tcp;
  if (!tcp.mayAnswer()) return Drop.TcpAnswerLimited;
  // One object for all cookies: it is not kept.
  const half = tcp.cookies.scratch(listener, packet);
  synHeard(tcp, half, seg, path);
  // Options beyond MSS live in the timestamp, so without one they are not agreed to.
  if (!half.timestamps) {
    half.peerShift = -1;
    half.sack = false;
    half.ecn = false;
    space(tcp, half, path);
  }
  makeCookie(tcp.cookies, half, ctx.now);
  ctx.counters.count(Counter.TcpExtSyncookiesSent);
  sendSynAck(tcp, half, path, packet);
  return 0;
}

function resend(tcp: Tcp, half: HalfOpen, packet: Packet): void {
  const path = replyPath(tcp, packet);
  if (path !== null && tcp.mayChallenge()) sendSynAck(tcp, half, path, packet);
}

/** <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>: what we expect. */
function answer(tcp: Tcp, half: HalfOpen, packet: Packet): void {
  if (!tcp.mayChallenge()) return tcp.ctx.countDrop(Drop.TcpChallengeLimited);
  const stamp = (Math.floor(tcp.ctx.now / 1_000) + half.tsOffset) | 0;
  sendStamped(tcp, packet, (half.iss + 1) | 0, (half.irs + 1) | 0, Flag.Ack, half.window >> half.shift, half.timestamps, stamp, half.tsRecent);
}

/** Addresses a SYN-ACK that answers no packet in hand. */
function addressHalfOpen(tcp: Tcp, packet: Packet, half: HalfOpen): void {
  const tcb = new Tcb(tcp, null, half.listener.options, half.local, half.remote);
  tcb.localPort = half.localPort;
  tcb.remotePort = half.remotePort;
  address(tcb, packet);
}
