import { Drop } from '../../base/drops.js';
import { Checksum, HEADROOM, type Packet } from '../../base/packet.js';
import { copyOctets } from '../../base/page.js';
import * as wire from '../../wire/ipv4.js';
import { finishChecksum } from '../../wire/segment.js';
import type { Context } from '../context.js';
import { Counter } from '../counters.js';
import { copyRange } from '../ip/copy-range.js';

/**
 * Cuts a packet into fragments of at most `mtu` octets (RFC 791 §3.2 "An Example Fragmentation Procedure") and gives each to
 * `send`. All are made before the first is sent: half a datagram is worth nothing. Owns the packet. head at the IP header.
 */
export function fragment(ctx: Context, packet: Packet, mtu: number, send: (piece: Packet) => void): void {
  if (packet.checksum === Checksum.Partial) finishChecksum(packet);
  packet.checksum = Checksum.Verified;
  const { view } = packet;
  const at = packet.network;
  const header = packet.transport - at;
  const first = firstHeader(packet);
  const room = (mtu - header) & ~7;
  const total = packet.length - header;
  const base = wire.fragmentOffset(view, at);
  const more = wire.moreFragments(view, at) ? wire.Flag.MoreFragments : 0;
  const pieces: Packet[] = [];
  for (let offset = 0; offset < total; offset += room) {
    const piece = room < 8 ? null : ctx.pool.from(HEADROOM + mtu > ctx.slab.slotSize ? ctx.big : ctx.slab);
    if (piece === null) {
      for (const made of pieces) made.release();
      ctx.counters.count(Counter.IpFragFails);
      ctx.drop(packet, Drop.NoBuffer);
      return;
    }
    const length = Math.min(room, total - offset);
    const last = offset + length === total;
    // Options that are not copied stay in the first fragment only (RFC 791 §3.1): the others have a header without.
    const headerOctets = offset === 0 ? header : first;
    const start = piece.slot.start + HEADROOM;
    copyOctets(piece.slot.page, start, packet.slot.page, at, wire.HEADER_LEN);
    if (offset === 0) copyOctets(piece.slot.page, start, packet.slot.page, at, header);
    else if (headerOctets > wire.HEADER_LEN) copyOptions(packet, piece, start);
    piece.head = piece.network = start;
    piece.transport = start + headerOctets;
    piece.tail = copyRange(packet, header + offset, length, piece, piece.transport);
    piece.view.setUint8(start, 0x40 | (headerOctets >> 2));
    wire.setTotalLength(piece.view, start, headerOctets + length);
    wire.setFragmentWord(piece.view, start, ((base + offset) >> 3) | (last ? more : wire.Flag.MoreFragments));
    wire.finishHeader(piece.view, start);
    piece.family = 4;
    piece.protocol = packet.protocol;
    piece.source.copy(packet.source);
    piece.destination.copy(packet.destination);
    piece.flags = packet.flags;
    piece.inIndex = packet.inIndex;
    piece.outIndex = packet.outIndex;
    piece.trace = packet.trace;
    piece.checksum = Checksum.Verified;
    pieces.push(piece);
  }
  ctx.counters.count(Counter.IpFragOKs);
  ctx.counters.add(Counter.IpFragCreates, pieces.length);
  packet.release();
  for (const piece of pieces) send(piece);
}

/** Octets of the header of all fragments but the first: with the options whose copied bit is set, padded to words. */
function firstHeader(packet: Packet): number {
  let octets = 0;
  for (let o = wire.firstOption(packet.view, packet.network); o >= 0; o = wire.nextOption(packet.view, packet.network, o)) {
    if (packet.view.getUint8(o) & 0x80) octets += packet.view.getUint8(o + 1);
  }
  return wire.HEADER_LEN + ((octets + 3) & ~3);
}

function copyOptions(packet: Packet, piece: Packet, start: number): void {
  let to = start + wire.HEADER_LEN;
  const { view } = packet;
  for (let o = wire.firstOption(view, packet.network); o >= 0; o = wire.nextOption(view, packet.network, o)) {
    if ((view.getUint8(o) & 0x80) === 0) continue;
    const length = view.getUint8(o + 1);
    copyOctets(piece.slot.page, to, packet.slot.page, o, length);
    to += length;
  }
  while ((to - start) & 3) piece.view.setUint8(to++, wire.Option.End);
}
