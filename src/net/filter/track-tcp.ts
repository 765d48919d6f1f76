// hot: bench/packet
import type { Packet } from '../../base/packet.js';
import { seqAdd, seqGt, seqLt, seqMax } from '../../base/sequence.js';
import { type Connection, Idle, type Window } from './connection.js';

/** Where a TCP connection stands as seen from between. */
export const TcpTrack = { None: 0, SynSent: 1, SynReceived: 2, Established: 3, FinWait: 4, LastAck: 5, TimeWait: 6, Closed: 7 } as const;
export const tcpTrackNames = ['NONE', 'SYN_SENT', 'SYN_RECV', 'ESTABLISHED', 'FIN_WAIT', 'LAST_ACK', 'TIME_WAIT', 'CLOSE'] as const;

/** How a table follows TCP. */
export interface TcpTracker {
  /** Does this segment open a connection, or could it be one whose beginning we have missed? `pickup` takes the latter. */
  opens(packet: Packet, pickup: boolean): boolean;
  /**
   * Moves the connection by a segment of direction `reply`. False: the segment does not belong to it (its numbers lie
   * outside both windows), and changes nothing.
   */
  track(connection: Connection, packet: Packet, reply: boolean): boolean;
}

const FIN = 1;
const SYN = 2;
const RST = 4;
const ACK = 16;

function opens(packet: Packet, pickup: boolean): boolean {
  const flags = packet.view.getUint8(packet.transport + 13);
  if ((flags & (SYN | ACK | RST | FIN)) === SYN) return true;
  return pickup && (flags & (RST | SYN)) === 0 && (flags & ACK) !== 0;
}

function track(connection: Connection, packet: Packet, reply: boolean): boolean {
  const { view, transport: at, tail } = packet;
  const header = (view.getUint8(at + 12) >>> 4) << 2;
  if (header < 20 || at + header > tail) return false;
  const flags = view.getUint8(at + 13);
  const sequence = view.getInt32(at + 4);
  const length = tail - at - header + packet.pieceOctets + (flags & SYN ? 1 : 0) + (flags & FIN ? 1 : 0);
  const end = seqAdd(sequence, length);
  const acknowledgement = flags & ACK ? view.getInt32(at + 8) : 0;
  const [a, b] = connection.windows;
  const sender = reply ? b : a;
  const receiver = reply ? a : b;
  let window = view.getUint16(at + 14);
  if (flags & SYN) restart(connection, sender, receiver, view, at, header, end, window, flags, reply);
  else {
    if (sender.scale > 0 && receiver.scale >= 0) window *= 2 ** sender.scale;
    if (!sender.seen) pickUp(sender, end, window);
    if (!receiver.seen && flags & ACK) pickUp(receiver, acknowledgement, 65_535);
    if (!inWindows(sender, receiver, sequence, end, flags, acknowledgement)) return false;
    sender.end = seqMax(sender.end, end);
    sender.maxWindow = Math.max(sender.maxWindow, window, 1);
    if (flags & ACK) receiver.maxEnd = seqMax(receiver.maxEnd, seqAdd(acknowledgement, Math.max(window, 1)));
  }
  advance(connection, flags, reply, sequence, receiver);
  return true;
}

/** As a filter does: sequence numbers within both windows. */
export const trackWindows: TcpTracker = { opens, track };

/** The four bounds: data below what the peer allows, not older than its window; ACK of what was sent, not older than a window. */
function inWindows(sender: Window, receiver: Window, sequence: number, end: number, flags: number, acknowledgement: number): boolean {
  if (seqGt(sequence, sender.maxEnd)) return false;
  if (seqLt(end, seqAdd(sender.end, -receiver.maxWindow - 1))) return false;
  if ((flags & ACK) === 0 || (flags & RST && acknowledgement === 0)) return true;
  if (seqGt(acknowledgement, receiver.end)) return false;
  return !seqLt(acknowledgement, seqAdd(receiver.end, -Math.max(sender.maxWindow, 66_000)));
}

function restart(
  c: Connection,
  sender: Window,
  receiver: Window,
  view: DataView,
  at: number,
  header: number,
  end: number,
  window: number,
  flags: number,
  reply: boolean,
): void {
  // A SYN of the original direction on a connection that is over opens a new one (RFC 6191).
  if (!reply && (flags & ACK) === 0 && (c.tcp >= TcpTrack.TimeWait || c.tcp <= TcpTrack.SynSent)) {
    c.tcp = TcpTrack.None;
    receiver.seen = false;
    receiver.scale = -1;
  } else if (c.tcp >= TcpTrack.Established) return; // a challenge will be the answer; let the ends settle it
  sender.end = end;
  sender.maxWindow = Math.max(1, window);
  sender.scale = windowScale(view, at + 20, at + header);
  sender.seen = true;
  sender.maxEnd = seqAdd(end, receiver.seen ? receiver.maxWindow : 65_535);
  if (flags & ACK) receiver.maxEnd = seqAdd(receiver.end, Math.max(1, window));
}

function pickUp(side: Window, end: number, window: number): void {
  side.seen = true;
  side.end = end;
  side.maxWindow = Math.max(1, window);
  // Scale unknown: as far as any window reaches (RFC 7323 §2.3: 2^30).
  side.scale = 14;
  side.maxEnd = seqAdd(end, 0x3fffffff);
}

function windowScale(view: DataView, from: number, end: number): number {
  for (let o = from; o < end; ) {
    const kind = view.getUint8(o);
    if (kind === 0) break;
    if (kind === 1) {
      o++;
      continue;
    }
    if (o + 1 >= end) break;
    const length = view.getUint8(o + 1);
    if (length < 2) break;
    if (kind === 3 && length === 3 && o + 2 < end) return Math.min(14, view.getUint8(o + 2));
    o += length;
  }
  return -1;
}

function advance(c: Connection, flags: number, reply: boolean, sequence: number, receiver: Window): void {
  if (flags & RST) {
    // RFC 5961 §3.2 in the middle: only a RST exactly where the receiver expects it ends the entry at once.
    if (sequence === (reply ? c.windows[1].end : c.windows[0].end) || receiver.maxWindow <= 1 || c.tcp < TcpTrack.Established)
      c.tcp = TcpTrack.Closed;
  } else if (flags & SYN) {
    if (c.tcp < TcpTrack.Established) c.tcp = flags & ACK ? TcpTrack.SynReceived : TcpTrack.SynSent;
  } else if (flags & FIN) {
    if (c.tcp === TcpTrack.FinWait && reply !== c.finReply) c.tcp = TcpTrack.LastAck;
    else if (c.tcp < TcpTrack.FinWait) {
      c.tcp = TcpTrack.FinWait;
      c.finReply = reply;
    }
  } else if (flags & ACK) {
    if (c.tcp === TcpTrack.LastAck) c.tcp = TcpTrack.TimeWait;
    else if (c.tcp === TcpTrack.SynReceived && !reply) c.tcp = TcpTrack.Established;
    else if (c.tcp === TcpTrack.None) c.tcp = TcpTrack.Established; // picked up in the middle
  }
  // RFC 5382 REQ-5: two hours and four minutes for what is established, four minutes for the rest.
  c.idle = c.tcp === TcpTrack.Established ? Idle.TcpEstablished : Idle.TcpTransitory;
}
