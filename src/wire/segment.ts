// hot: bench/micro/segment
/**
 * The one software GSO and checksum finisher: where a device, ESP, a fault injector or a capture needs plain frames, a big
 * frame becomes plain ones here (the work Linux does in skb_segment).
 *
 * ```
 *   head        network   transport  payload                tail   pieces
 *   | Ethernet … |   IP   |   TCP    | gsoSize | gsoSize | g … | … gsoSize | rest |
 *   '------------ repeated ----------'
 * ```
 * What stands between head and network is copied as it is; lengths, identification and checksums are those of the headers at
 * network and transport. A tunnel splits before it puts its own header in front.
 */
import { finish, fold, sum, swap } from '../base/checksum.js';
import { Checksum, Gso, type Packet } from '../base/packet.js';
import { copyOctets, type Page } from '../base/page.js';
import type { Slot } from '../base/slab.js';
import * as ipv4 from './ipv4.js';
import * as ipv6 from './ipv6.js';
import { Protocol } from './protocol.js';
import * as tcp from './tcp.js';
import * as udp from './udp.js';

const TCP_CHECKSUM = 16;
const UDP_CHECKSUM = 6;
const UDP_LENGTH = 4;

/** Plain frames this packet makes: 1 without gso, 0 when its headers do not fit together or lie not wholly in its slot. */
export function segments(packet: Packet): number {
  if (packet.gsoType === Gso.None) return 1;
  if (packet.gsoSize < 1) return 0;
  const payload = payloadStart(packet);
  if (payload < 0) return 0;
  return Math.max(1, Math.ceil((packet.tail - payload + packet.pieceOctets) / packet.gsoSize));
}

/** Octets of plain frame `index`, `index` in [0, segments(packet)). */
export function segmentLength(packet: Packet, index: number): number {
  if (packet.gsoType === Gso.None) return packet.length;
  const headers = payloadStart(packet) - packet.head;
  return headers + Math.min(packet.gsoSize, packet.length - headers - index * packet.gsoSize);
}

/**
 * Writes plain frame `index` from the octet at head on into `target` at `at`, checksums finished, and returns its length, which
 * is `segmentLength`. The packet stays as it is and its holder's. `index` is in [0, segments(packet)).
 */
export function writeSegment(packet: Packet, index: number, target: Page, at: number): number {
  if (packet.gsoType === Gso.None) return writePlain(packet, target, at);
  const payload = payloadStart(packet);
  const headers = payload - packet.head;
  const from = index * packet.gsoSize;
  const rest = packet.length - headers - from;
  const octets = Math.min(packet.gsoSize, rest);
  copyOctets(target, at, packet.slot.page, packet.head, headers);
  copyPayload(packet, payload + from, octets, target, at + headers);
  const network = at + packet.network - packet.head;
  const transport = at + packet.transport - packet.head;
  const end = at + headers + octets;
  const pseudo = writeNetwork(target.view, network, transport, end, index);
  if (packet.gsoType === Gso.Udp) writeUdp(target.view, transport, end, pseudo);
  else writeTcp(target.view, transport, end, pseudo, from, rest === octets);
  return headers + octets;
}

/**
 * Finishes Checksum.Partial of a packet without gso where it stands, pieces summed with it; other packets stay as they are.
 * Writes to the slot, which must not be shared.
 */
export function finishChecksum(packet: Packet): void {
  if (packet.checksum !== Checksum.Partial) return;
  let octets = packet.tail - packet.csumStart;
  let total = sum(packet.view, packet.csumStart, octets);
  for (let i = 0; i < packet.pieces; i++) {
    const length = packet.pieceLength[i] as number;
    const part = sum((packet.pieceSlot[i] as Slot).page.view, packet.pieceStart[i] as number, length);
    // A range behind an odd number of octets stands on the other halves of the 16-bit words: RFC 1071 §2(B).
    total += (octets & 1) === 0 ? part : swap(fold(part));
    octets += length;
  }
  putChecksum(packet.view, packet.csumStart, packet.csumOffset, total);
  packet.checksum = Checksum.Verified;
}

/** First octet behind the headers each segment repeats; −1 when they make no sense. */
function payloadStart(packet: Packet): number {
  const { network, transport } = packet;
  if (network < packet.head || transport < network + ipv4.HEADER_LEN || transport + udp.HEADER_LEN > packet.tail) return -1;
  if (packet.gsoType === Gso.Udp) return transport + udp.HEADER_LEN;
  if (transport + tcp.HEADER_LEN > packet.tail) return -1;
  const header = tcp.headerLength(packet.view, transport);
  return header < tcp.HEADER_LEN || transport + header > packet.tail ? -1 : transport + header;
}

/** Copies `octets` of the payload from `from` on, which counts as if the pieces followed tail in the slot. */
function copyPayload(packet: Packet, from: number, octets: number, target: Page, at: number): void {
  const inSlot = Math.min(octets, packet.tail - from);
  if (inSlot > 0) {
    copyOctets(target, at, packet.slot.page, from, inSlot);
    if (inSlot === octets) return;
    at += inSlot;
    octets -= inSlot;
    from += inSlot;
  }
  let skip = from - packet.tail;
  for (let i = 0; octets > 0; i++) {
    const there = (packet.pieceLength[i] as number) - skip;
    if (there <= 0) {
      skip = -there;
      continue;
    }
    const n = Math.min(octets, there);
    copyOctets(target, at, (packet.pieceSlot[i] as Slot).page, (packet.pieceStart[i] as number) + skip, n);
    skip = 0;
    at += n;
    octets -= n;
  }
}

/** Lengths, identification and header checksum. Returns the unfolded sum of the pseudo header but its protocol. */
function writeNetwork(view: DataView, network: number, transport: number, end: number, index: number): number {
  if (ipv4.version(view, network) === 4) {
    ipv4.setTotalLength(view, network, end - network);
    ipv4.setIdentification(view, network, (ipv4.identification(view, network) + index) & 0xffff);
    ipv4.finishHeader(view, network);
    return sum(view, network + 12, 8, end - transport);
  }
  ipv6.setPayloadLength(view, network, end - network - ipv6.HEADER_LEN);
  return sum(view, network + 8, 32, end - transport);
}

/** CWR goes with the first segment, FIN and PSH with the last. */
function writeTcp(view: DataView, transport: number, end: number, pseudo: number, from: number, last: boolean): void {
  tcp.setSeq(view, transport, (tcp.seq(view, transport) + from) | 0);
  let keep = 0xff;
  if (from > 0) keep &= ~tcp.Flag.Cwr;
  if (!last) keep &= ~(tcp.Flag.Fin | tcp.Flag.Psh);
  tcp.setFlags(view, transport, tcp.flags(view, transport) & keep);
  view.setUint16(transport + TCP_CHECKSUM, 0);
  putChecksum(view, transport, TCP_CHECKSUM, sum(view, transport, end - transport, pseudo + Protocol.Tcp));
}

function writeUdp(view: DataView, transport: number, end: number, pseudo: number): void {
  view.setUint16(transport + UDP_LENGTH, end - transport);
  view.setUint16(transport + UDP_CHECKSUM, 0);
  putChecksum(view, transport, UDP_CHECKSUM, sum(view, transport, end - transport, pseudo + Protocol.Udp));
}

function writePlain(packet: Packet, target: Page, at: number): number {
  const length = packet.length;
  copyPayload(packet, packet.head, length, target, at);
  if (packet.checksum === Checksum.Partial) {
    const start = at + packet.csumStart - packet.head;
    putChecksum(target.view, start, packet.csumOffset, sum(target.view, start, at + length - start));
  }
  return length;
}

/** UDP alone has its checksum at 6, and sends a computed zero as ones (RFC 768). */
function putChecksum(view: DataView, start: number, offset: number, total: number): void {
  const value = finish(total);
  view.setUint16(start + offset, value === 0 && offset === UDP_CHECKSUM ? 0xffff : value);
}
