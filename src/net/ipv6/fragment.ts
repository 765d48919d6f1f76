import { Drop } from '../../base/drops.js';
import { Checksum, HEADROOM, type Packet } from '../../base/packet.js';
import { copyOctets } from '../../base/page.js';
import { halfSipHash } from '../../base/siphash.js';
import * as wire from '../../wire/ipv6.js';
import { Protocol } from '../../wire/protocol.js';
import { finishChecksum } from '../../wire/segment.js';
import type { Context } from '../context.js';
import { Counter } from '../counters.js';
import { copyRange } from '../ip/copy-range.js';

/** Counters that flows share by hash. */
const BUCKETS = 256;

/**
 * Identifications of fragments by RFC 7739 §5.3: a secret offset for each pair of hosts plus a counter shared by few pairs, so that
 * no host can foretell another's, and none repeats soon.
 */
export class Identifications {
  private readonly key: Int32Array;
  private readonly words = new Int32Array(9);
  private readonly counters = new Int32Array(BUCKETS);

  constructor(ctx: Context) {
    this.key = Int32Array.of((ctx.secret[0] as number) ^ 0x66726167, (ctx.secret[3] as number) ^ 0x6d656e74);
  }

  next(packet: Packet): number {
    const { words: w, key, counters } = this;
    const { source: s, destination: d } = packet;
    w.set([s.w0, s.w1, s.w2, s.w3, d.w0, d.w1, d.w2, d.w3, 0]);
    const offset = halfSipHash(key, w, 9);
    w[8] = 1;
    const bucket = halfSipHash(key, w, 9) & (BUCKETS - 1);
    const count = counters[bucket] as number;
    counters[bucket] = count + 1;
    return (offset + count) | 0;
  }
}

/**
 * Cuts a packet of ours into fragments of at most `mtu` octets (RFC 8200 §4.5) and gives each to `send`. All are made before the
 * first is sent: half a datagram is worth nothing. Owns the packet, head at the IP header; what stands before `transport` goes into
 * each fragment, and its last next header field is at `nextField`.
 */
export function fragment6(ctx: Context, packet: Packet, mtu: number, id: number, nextField: number, send: (piece: Packet) => void): void {
  if (packet.checksum === Checksum.Partial) finishChecksum(packet);
  packet.checksum = Checksum.Verified;
  const at = packet.network;
  const header = packet.transport - at;
  const room = (mtu - header - wire.FRAGMENT_LEN) & ~7;
  const total = packet.length - header;
  const next = packet.view.getUint8(nextField);
  const pieces: Packet[] = [];
  for (let offset = 0; offset < total; offset += room) {
    const piece = room < 8 ? null : ctx.pool.from(HEADROOM + mtu > ctx.slab.slotSize ? ctx.big : ctx.slab);
    if (piece === null) {
      for (const made of pieces) made.release();
      ctx.counters.count(Counter.Ip6FragFails);
      ctx.drop(packet, Drop.NoBuffer);
      return;
    }
    const length = Math.min(room, total - offset);
    const start = piece.slot.start + HEADROOM;
    copyOctets(piece.slot.page, start, packet.slot.page, at, header);
    piece.view.setUint8(start + nextField - at, Protocol.Fragment);
    wire.putFragment(piece.view, start + header, next, offset, offset + length < total, id);
    piece.head = piece.network = start;
    piece.transport = start + header + wire.FRAGMENT_LEN;
    piece.tail = copyRange(packet, header + offset, length, piece, piece.transport);
    wire.setPayloadLength(piece.view, start, piece.tail - start - wire.HEADER_LEN);
    piece.family = 6;
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
  ctx.counters.count(Counter.Ip6FragOKs);
  ctx.counters.add(Counter.Ip6FragCreates, pieces.length);
  packet.release();
  for (const piece of pieces) send(piece);
}
