import assert from 'node:assert/strict';
import { Address } from '#src/base/address.js';
import { fold, sum } from '#src/base/checksum.js';
import { Checksum, Gso, type Packet, type PacketPool } from '#src/base/packet.js';
import type { Prng } from '#src/base/prng.js';
import type { Slab } from '#src/base/slab.js';
import { ipv4, ipv6, tcp, transportChecksum, udp } from '#src/wire/index.js';
import type { FrameBench } from './devices.js';

export const from6 = new Address(0x20010db8, 0, 0, 1);
export const to6 = new Address(0x20010db8, 0, 0, 2);

/** A TCP frame over IPv4 and Ethernet, longer than any MTU, its checksum left to the device: seq 1, `octets` of payload, cut every `size`. */
export function bigTcp(bench: FrameBench, octets: number, size: number): Packet {
  const frame = Buffer.alloc(54 + octets);
  frame.writeUInt16BE(0x0800, 12);
  frame.set([0x45, 0], 14);
  frame.writeUInt16BE(40 + octets, 16);
  frame.set([64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2], 22);
  frame.writeUInt16BE(1_000, 34);
  frame.writeUInt16BE(2_000, 36);
  frame.writeUInt32BE(1, 38);
  frame.set([0x50, 0x18], 46);
  for (let i = 0; i < octets; i++) frame[54 + i] = i * 7;
  const packet = bench.packet(frame);
  const { view, head } = packet;
  view.setUint16(head + 50, fold(sum(view, head + 26, 8, 6 + 20 + octets)));
  packet.checksum = Checksum.Partial;
  packet.network = head + 14;
  packet.transport = packet.csumStart = head + 34;
  packet.csumOffset = 16;
  packet.gsoType = Gso.Tcp4;
  packet.gsoSize = size;
  return packet;
}

/** A big frame to be made. */
export interface Shape {
  readonly family: 4 | 6;
  readonly protocol: 6 | 17;
  readonly payload: number;
  readonly size: number;
  readonly tagged?: boolean;
  /** Octets of the payload that lie in the slot; the rest in pieces of these lengths, the last as long as needed. */
  readonly inSlot?: number;
  readonly pieces?: number[];
  readonly options?: number;
}

/** A packet of the shape with a partial checksum, its octets from the generator. */
export function shapedPacket(slab: Slab, pool: PacketPool, shape: Shape, prng: Prng): Packet {
  const { family, protocol, payload } = shape;
  const packet = pool.from(slab);
  assert.ok(packet !== null);
  const { view, bytes } = packet;
  const link = shape.tagged ? 18 : 14;
  packet.link = packet.head;
  packet.network = packet.head + link;
  for (let i = packet.head; i < packet.network; i++) bytes[i] = prng.below(256);
  view.setUint16(packet.network - 2, family === 4 ? 0x0800 : 0x86dd);
  const ip = family === 4 ? 20 : 40;
  packet.transport = packet.network + ip;
  const header = protocol === 6 ? 20 + (shape.options ?? 0) : 8;
  const length = header + payload;
  const source = family === 4 ? new Address(0, 0, 0xffff, 0x0a000001) : from6;
  const destination = family === 4 ? new Address(0, 0, 0xffff, 0x0a000002) : to6;
  if (family === 4) ipv4.put(view, packet.network, 2, ip + length, 0xfffe, ipv4.Flag.DontFragment, 64, protocol, source.w3, destination.w3);
  else ipv6.put(view, packet.network, 2, 0x12345, length, protocol, 64, source, destination);
  const pseudo = fold(transportChecksum.pseudoSum(source, destination, protocol, length));
  if (protocol === 6) {
    const flags = tcp.Flag.Ack | tcp.Flag.Psh | tcp.Flag.Fin | tcp.Flag.Cwr;
    tcp.put(view, packet.transport, 443, 5_555, -700, 99, header, flags, 1_000, pseudo, 0);
    for (let i = 20; i < header; i++) bytes[packet.transport + i] = 1;
    packet.gsoType = family === 4 ? Gso.Tcp4 : Gso.Tcp6;
    packet.csumOffset = 16;
  } else {
    udp.put(view, packet.transport, 53, 5_555, length, pseudo);
    packet.gsoType = Gso.Udp;
    packet.csumOffset = 6;
  }
  packet.gsoSize = shape.size;
  packet.checksum = Checksum.Partial;
  packet.csumStart = packet.transport;
  packet.tail = packet.transport + header;
  let left = payload;
  const inSlot = Math.min(left, shape.inSlot ?? left);
  for (let i = 0; i < inSlot; i++) bytes[packet.tail++] = prng.below(256);
  left -= inSlot;
  const lengths = shape.pieces ?? [];
  for (let i = 0; left > 0; i++) {
    const slot = slab.take();
    assert.ok(slot !== null);
    const n = i < lengths.length && i < 3 ? Math.min(left, lengths[i] as number) : left;
    const start = slot.start + prng.below(100);
    for (let j = 0; j < n; j++) slot.page.bytes[start + j] = prng.below(256);
    assert.ok(packet.gather(slot, start, n));
    slot.release();
    left -= n;
  }
  return packet;
}
