// hot: bench/packet

import { Drop } from '../../base/drops.js';
import type { Packet } from '../../base/packet.js';
import { type Seq, seqGt, seqLt, seqLte, seqMax, seqMin } from '../../base/sequence.js';
import { Counter } from '../counters.js';
import { tunedAtArrival } from './autotune.js';
import type { Ranges } from './ranges.js';
import { ReceiveBuffer } from './receive-buffer.js';
import { Flag, type Segment } from './segment.js';
import { sendAck } from './segment-out.js';
import { AckDue, countsOf, type Tcb } from './tcb.js';
import { delayAck } from './timers.js';
import { offered } from './window.js';

/**
 * RFC 9293 §3.10.7.4 seventh: the octets of the segment that are new and inside the window go to their place; what is owed for
 * them is noted. Returns 0, or why nothing of it was kept. The packet stays the caller's.
 */
export function takeText(tcb: Tcb, seg: Segment, packet: Packet): number {
  const { rcv, tcp } = tcb;
  let seq = seg.seq;
  let skip = 0;
  let length = seg.length;
  if (seqLt(seq, rcv.nxt)) {
    skip = (rcv.nxt - seq) | 0;
    if (skip >= length) return duplicate(tcb, seq, (seq + length) | 0);
    noteDuplicate(tcb, seq, rcv.nxt);
    // The sender sends again what it need not: the sooner it knows the better.
    rcv.due = AckDue.Now;
    seq = rcv.nxt;
    length -= skip;
  }
  const room = (rcv.edge - seq) | 0;
  if (room <= 0) {
    rcv.due = AckDue.Now;
    tcp.touch(tcb);
    return Drop.TcpWindowFull;
  }
  if (length > room) {
    length = room;
    rcv.due = AckDue.Now;
  }
  const buffer = (tcb.receiveBuffer ??= new ReceiveBuffer(rcv.nxt));
  const { ranges } = buffer;
  if (ranges !== null && ranges.count > 0) {
    const held = seq === rcv.nxt ? -1 : ranges.holding(seq, (seq + length) | 0);
    if (held >= 0) {
      // RFC 2883 §4 (2): the block it lies in stands behind the D-SACK.
      ranges.refresh(held);
      return duplicate(tcb, seq, (seq + length) | 0);
    }
    if (skip === 0) notePartial(tcb, ranges, seq, (seq + length) | 0);
  }
  if (!buffer.insert(tcp.ctx, seq, packet, skip, length)) {
    rcv.due = AckDue.Now;
    tcp.touch(tcb);
    tcp.ctx.counters.count(Counter.TcpExtTCPOFODrop);
    return Drop.TcpReceiveMemory;
  }
  countsOf(tcb).dataSegsIn += seg.count;
  if (buffer.nxt === rcv.nxt) outOfOrder(tcb, length);
  else inOrder(tcb, seg, buffer, packet);
  return 0;
}

function inOrder(tcb: Tcb, seg: Segment, buffer: ReceiveBuffer, packet: Packet): void {
  const { rcv, tcp, socket } = tcb;
  const counts = countsOf(tcb);
  const came = (buffer.nxt - rcv.nxt) | 0;
  rcv.nxt = buffer.nxt;
  counts.cameAt = tcp.ctx.now;
  counts.octetsIn += came;
  tcp.ctx.counters.add(Counter.TcpInOctets, came);
  noteMss(tcb, packet.gsoSize > 0 ? packet.gsoSize : seg.length);
  tunedAtArrival(tcb, seg);
  // RFC 9293 §3.8.6.3 and MUST-58: every second full segment at once, and whatever fills or borders on a gap (RFC 5681 §4.2).
  const second = rcv.due === AckDue.Delayed && tcp.ctx.sysctl.v['anystack.tcp_ack_second'] === 1;
  if (rcv.due === AckDue.Now) tcp.touch(tcb);
  else if (second || ((rcv.nxt - rcv.acked) | 0) > rcv.mss || came > seg.length || buffer.gap || (rcv.quick > 0 && tcb.options.quickAck !== 0)) {
    rcv.due = AckDue.Now;
    tcp.touch(tcb);
  } else delayAck(tcb);
  if (socket !== null && buffer.available >= tcb.options.receiveLowat) socket.report(0);
}

function outOfOrder(tcb: Tcb, length: number): void {
  const { rcv, tcp } = tcb;
  tcp.ctx.counters.count(Counter.TcpExtTCPOFOQueue);
  rcv.due = AckDue.Now;
  rcv.quick = Math.max(rcv.quick, 2);
  if (length > rcv.mss) noteMss(tcb, length);
  // Without SACK each one's duplicate ACK counts (RFC 5681 §3.2); with it the blocks say it all, and egress sends one.
  if (tcb.agreed.sack) tcp.touch(tcb);
  else sendAck(tcb);
}

/** Estimates the peer's full segments: the largest seen, bounded by what we told it. */
function noteMss(tcb: Tcb, length: number): void {
  if (length > tcb.rcv.mss) tcb.rcv.mss = Math.min(length, tcb.path === null ? length : tcb.path.iface.mtu);
}

/** All of it had come before: the ACK says so once more, with a D-SACK. */
function duplicate(tcb: Tcb, from: Seq, to: Seq): number {
  noteDuplicate(tcb, from, to);
  tcb.rcv.due = AckDue.Now;
  if (tcb.agreed.sack) tcb.tcp.touch(tcb);
  else sendAck(tcb);
  return Drop.TcpDuplicate;
}

/** The first octets of [from, to) that had come before, among others that are new (RFC 2883 §4 (1)). */
function notePartial(tcb: Tcb, ranges: Ranges, from: Seq, to: Seq): void {
  const i = ranges.firstIn(from, to);
  if (i >= 0) noteDuplicate(tcb, seqMax(from, ranges.starts[i] as Seq), seqMin(to, ranges.ends[i] as Seq));
}

/** Notes [from, to) for the D-SACK of the next ACK (RFC 2883 §4). */
export function noteDuplicate(tcb: Tcb, from: Seq, to: Seq): void {
  const { rcv, tcp } = tcb;
  if (!tcb.agreed.sack || !seqLt(from, to) || tcp.ctx.sysctl.v['net.ipv4.tcp_dsack'] === 0) return;
  tcp.ctx.counters.count(Counter.TcpExtTCPDSACKOldSent);
  if (rcv.dsack && seqLte(rcv.dsackFrom, to) && seqLte(from, rcv.dsackTo)) {
    if (seqLt(from, rcv.dsackFrom)) rcv.dsackFrom = from;
    if (seqGt(to, rcv.dsackTo)) rcv.dsackTo = to;
    return;
  }
  rcv.dsack = true;
  rcv.dsackFrom = from;
  rcv.dsackTo = to;
}

/** True when the segment's FIN lies inside the window and not behind a gap; one behind a gap is remembered. */
export function finReached(tcb: Tcb, seg: Segment, hasFin: boolean): boolean {
  const { rcv } = tcb;
  if (hasFin) {
    const fin = (seg.seq + seg.length) | 0;
    if (fin === rcv.nxt) return true;
    if (seqGt(fin, rcv.nxt) && offered(tcb) >= ((fin - rcv.nxt) | 0)) {
      rcv.finSeen = true;
      rcv.fin = fin;
      // Behind a gap it is like any octet there: the peer hears at once (RFC 5681 §4.2).
      if (seg.length === 0) {
        rcv.due = AckDue.Now;
        tcb.tcp.touch(tcb);
      }
    }
  }
  return rcv.finSeen && rcv.fin === rcv.nxt;
}

/** Takes text and FIN of a SYN before the handshake is done: they are acknowledged with it, or behind it. */
export function takeEarly(tcb: Tcb, seg: Segment, packet: Packet): number {
  const { rcv } = tcb;
  seg.seq = rcv.nxt;
  const reason = seg.length > 0 ? takeText(tcb, seg, packet) : 0;
  if (finReached(tcb, seg, (seg.flags & Flag.Fin) !== 0)) {
    rcv.finSeen = true;
    rcv.fin = rcv.nxt;
  }
  rcv.due = AckDue.No;
  return reason;
}
