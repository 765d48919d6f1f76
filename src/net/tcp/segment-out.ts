// hot: bench/packet
import { fold } from '../../base/checksum.js';
import { Drop } from '../../base/drops.js';
import { Checksum, Gso, type Packet, PacketFlag } from '../../base/packet.js';
import type { Seq } from '../../base/sequence.js';
import { Protocol } from '../../wire/protocol.js';
import * as wire from '../../wire/tcp.js';
import { optionsLength, putOptions, SACK_MAX, sackFit } from '../../wire/tcp-options.js';
import { pseudoSum } from '../../wire/transport-checksum.js';
import { Counter } from '../counters.js';
import type { Path } from '../ip/path.js';
import { refreshPath, replyPath } from './paths.js';
import { Flag } from './segment.js';
import { State } from './states.js';
import { AckDue, countsOf, type Tcb } from './tcb.js';
import type { Tcp } from './tcp.js';
import { advertise, windowField } from './window.js';

/** Where the checksum lies in a TCP header. */
const CSUM_OFFSET = 16;
/** ECN-capable transport, codepoint 0 (RFC 3168 §5). */
const ECT0 = 2;

/** TSval at this moment: milliseconds (RFC 7323 §5.4) and the connection's own offset. */
export const tsval = (tcb: Tcb): number => (Math.floor(tcb.tcp.ctx.now / 1_000) + tcb.tsOffset) | 0;

/** Octets of options a segment sent now carries. */
export const optionOctets = (tcb: Tcb): number => optionsLength(tcb.agreed.timestamps, sackBlocks(tcb));

/** Payload of a full segment sent now: SACK blocks take their room from it. */
export const payloadMax = (tcb: Tcb): number => {
  const blocks = sackBlocks(tcb);
  return blocks === 0 ? tcb.snd.mss : tcb.snd.mss - (4 + 8 * sackFit(tcb.agreed.timestamps, blocks));
};

function sackBlocks(tcb: Tcb): number {
  if (!tcb.agreed.sack) return 0;
  const ranges = tcb.receiveBuffer?.ranges ?? null;
  return Math.min(SACK_MAX, (ranges === null ? 0 : ranges.count) + (tcb.rcv.dsack ? 1 : 0));
}

/**
 * Sends [seq, seq + length) of the send buffer, cut by the device or by wire/segment into pieces of `mss`, with `flags` besides ACK. Carries
 * all that an ACK carries. False when there is no packet or no way: nothing is sent.
 */
export function sendSegment(tcb: Tcb, seq: Seq, length: number, flags: number, mss: number, retransmission: boolean): boolean {
  const { tcp, snd, rcv } = tcb;
  const path = pathOf(tcb);
  if (path === null) return false;
  const packet = tcp.ctx.packet();
  if (packet === null) {
    tcp.ctx.countDrop(Drop.NoBuffer);
    return false;
  }
  const at = packet.head;
  const header = wire.HEADER_LEN + putAckOptions(tcb, packet, at + wire.HEADER_LEN);
  packet.tail = at + header;
  if (length > 0) tcb.sendBuffer?.gather(packet, seq, length);
  flags |= Flag.Ack | urgentFlag(tcb, seq) | ecnFlags(tcb, packet, length, retransmission);
  const up = flags & Flag.Urg ? Math.min(65_535, (snd.up - seq) | 0) : 0;
  // A RST offers nothing.
  const window = flags & Flag.Rst ? 0 : windowField(tcb, advertise(tcb));
  const field = fold(pseudoSum(tcb.local, tcb.remote, Protocol.Tcp, header + length));
  wire.put(packet.view, at, tcb.localPort, tcb.remotePort, seq, rcv.nxt, header, flags, window, field, up);
  if (length > mss) {
    packet.gsoType = tcb.family === 4 ? Gso.Tcp4 : Gso.Tcp6;
    packet.gsoSize = mss;
  }
  ackSent(tcb);
  const segments = length > mss ? Math.ceil(length / mss) : 1;
  snd.segments += segments;
  if (length > 0) {
    const counts = countsOf(tcb);
    counts.dataSegsOut += segments;
    counts.octetsOut += length;
    tcp.ctx.counters.add(Counter.TcpOutOctets, length);
  }
  tcp.ctx.counters.add(Counter.TcpOutSegs, segments);
  address(tcb, packet);
  tcp.ip.output(packet, path);
  // What fails on the way down comes back as an error about this segment, and may have ended the connection.
  return tcb.state !== State.Closed;
}

/** Sends an ACK without data. */
export function sendAck(tcb: Tcb): void {
  sendSegment(tcb, tcb.snd.nxt, 0, 0, tcb.snd.mss, false);
}

/** Sends an empty segment left of the window: the peer has to answer it (keep-alive, empty window probe). */
export function sendProbe(tcb: Tcb): void {
  sendSegment(tcb, (tcb.snd.una - 1) | 0, 0, 0, tcb.snd.mss, true);
}

/** Path of the connection, asked anew when routes have changed; null when there is none now. */
export function pathOf(tcb: Tcb): Path | null {
  const { path } = tcb;
  if (path !== null && tcb.tcp.ip.valid(path)) return path;
  return refreshPath(tcb);
}

/** What every packet of the connection says of itself. */
export function address(tcb: Tcb, packet: Packet): void {
  packet.family = tcb.family;
  packet.protocol = Protocol.Tcp;
  packet.source.copy(tcb.local);
  packet.destination.copy(tcb.remote);
  packet.sourcePort = tcb.localPort;
  packet.destinationPort = tcb.remotePort;
  packet.trafficClass |= tcb.options.tos & ~3;
  packet.ttl = tcb.options.ttl;
  packet.mark = tcb.options.mark;
  if (tcb.options.mtuDiscover !== 0) packet.flags |= PacketFlag.DontFragment;
  partial(packet);
}

/** The checksum from head on is left to the device. */
export function partial(packet: Packet): void {
  packet.checksum = Checksum.Partial;
  packet.csumStart = packet.head;
  packet.csumOffset = CSUM_OFFSET;
}

/** Whatever was sent carried the ACK. */
function ackSent(tcb: Tcb): void {
  const { rcv } = tcb;
  if (rcv.due !== AckDue.No && rcv.quick > 0) rcv.quick--;
  rcv.due = AckDue.No;
  rcv.acked = rcv.nxt;
}

/** Timestamps and SACK blocks, D-SACK first (RFC 2883 §4). Returns their octets. */
function putAckOptions(tcb: Tcb, packet: Packet, at: number): number {
  const { rcv } = tcb;
  const out = tcb.tcp.out;
  out.timestamps = tcb.agreed.timestamps;
  out.sackCount = 0;
  if (out.timestamps) {
    out.tsVal = tsval(tcb);
    out.tsEcr = tcb.tsRecent;
  }
  if (tcb.agreed.sack) {
    if (rcv.dsack) {
      out.sack[0] = rcv.dsackFrom;
      out.sack[1] = rcv.dsackTo;
      out.sackCount = 1;
      rcv.dsack = false;
    }
    const ranges = tcb.receiveBuffer?.ranges ?? null;
    if (ranges !== null && ranges.count > 0) out.sackCount = ranges.blocks(out.sack, out.sackCount, SACK_MAX);
  }
  return out.timestamps || out.sackCount > 0 ? putOptions(packet.view, at, out) - at : 0;
}

/** RFC 9293 §3.8.5: URG while the pointer lies ahead. */
function urgentFlag(tcb: Tcb, seq: Seq): number {
  const { snd } = tcb;
  return snd.urgent && ((snd.up - seq) | 0) > 0 ? Flag.Urg : 0;
}

/** RFC 3168 §6.1: ECE until the peer has reduced, CWR once when we have, ECT on new data only. */
function ecnFlags(tcb: Tcb, packet: Packet, length: number, retransmission: boolean): number {
  const { ecn } = tcb;
  if (ecn === null) return 0;
  let flags = ecn.echo ? Flag.Ece : 0;
  if (length > 0 && !retransmission) {
    packet.trafficClass = ECT0;
    if (ecn.reduced) {
      flags |= Flag.Cwr;
      ecn.reduced = false;
    }
  }
  return flags;
}

/** Sends a header without options from the destination of `to` back to its source. Best effort; `to` stays the caller's. */
export function sendAnswer(tcp: Tcp, to: Packet, seq: Seq, ack: Seq, flags: number): void {
  sendStamped(tcp, to, seq, ack, flags, 0, false, 0, 0);
}

/** The same with a window field and, when `timestamps`, those. */
export function sendStamped(
  tcp: Tcp,
  to: Packet,
  seq: Seq,
  ack: Seq,
  flags: number,
  wnd: number,
  timestamps: boolean,
  tsVal: number,
  tsEcr: number,
): void {
  const path = replyPath(tcp, to);
  if (path === null) return;
  const packet = tcp.ctx.packet();
  if (packet === null) return tcp.ctx.countDrop(Drop.NoBuffer);
  const { out } = tcp;
  out.timestamps = timestamps;
  out.tsVal = tsVal;
  out.tsEcr = tsEcr;
  out.sackCount = 0;
  packet.tail = putOptions(packet.view, packet.head + wire.HEADER_LEN, out);
  const header = packet.tail - packet.head;
  const field = fold(pseudoSum(to.destination, to.source, Protocol.Tcp, header));
  wire.put(packet.view, packet.head, to.destinationPort, to.sourcePort, seq, ack, header, flags, wnd, field, 0);
  answerTo(packet, to);
  tcp.ctx.counters.count(Counter.TcpOutSegs);
  tcp.ip.output(packet, path);
}

/** Addresses `packet`, whose header is written, from where `to` went to where it came from. */
export function answerTo(packet: Packet, to: Packet): void {
  packet.family = to.family;
  packet.protocol = Protocol.Tcp;
  packet.source.copy(to.destination);
  packet.destination.copy(to.source);
  packet.sourcePort = to.destinationPort;
  packet.destinationPort = to.sourcePort;
  packet.flags |= PacketFlag.DontFragment;
  packet.ttl = 0;
  partial(packet);
}
