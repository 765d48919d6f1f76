import { fold, sum } from '#src/base/checksum.js';
import { Checksum, Gso, type Packet } from '#src/base/packet.js';
import type { FrameBench } from './devices.js';

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
