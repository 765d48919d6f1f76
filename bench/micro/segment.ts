/** One 64 KB segment into plain frames: copy, headers and checksum of each. */
import { Checksum, Gso, PacketPool, SMALL_SLOT } from '#src/base/packet.js';
import { Slab } from '#src/base/slab.js';
import { ipv4, segment, tcp } from '#src/wire/index.js';
import { measure } from './measure.js';

const chunks = new Slab(65_536, 1, 1);
const slab = new Slab(SMALL_SLOT, 16, 16);
const pool = new PacketPool(1);
const packet = pool.from(slab);
const chunk = chunks.take();
const target = slab.take();

if (packet !== null && chunk !== null && target !== null) {
  packet.network = packet.head + 14;
  packet.transport = packet.network + 20;
  packet.tail = packet.transport + 32;
  ipv4.put(packet.view, packet.network, 0, 60_000, 1, ipv4.Flag.DontFragment, 64, 6, 0x0a000001, 0x0a000002);
  tcp.put(packet.view, packet.transport, 1, 2, 3, 4, 32, tcp.Flag.Ack, 1_000, 0, 0);
  packet.gather(chunk, chunk.start, 41 * 1_448);
  packet.gsoType = Gso.Tcp4;
  packet.gsoSize = 1_448;
  packet.checksum = Checksum.Partial;
  packet.csumStart = packet.transport;
  packet.csumOffset = 16;
  measure('writeSegment, 1,448 octets of payload', (i) => segment.writeSegment(packet, i % 41, target.page, target.start));
  measure('of which the copy', (i) => {
    target.page.bytes.set(chunk.page.bytes.subarray((i % 41) * 1_448, (i % 41) * 1_448 + 1_448), target.start);
    return 0;
  });
}
