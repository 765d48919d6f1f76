// hot: bench/packet

import { Drop } from '../../base/drops.js';
import { Checksum, type Packet } from '../../base/packet.js';
import type { Seq } from '../../base/sequence.js';
import * as wire from '../../wire/tcp.js';
import { parseOptions, TcpOptions } from '../../wire/tcp-options.js';

export { Flag } from '../../wire/tcp.js';

/** Congestion experienced: both ECN bits of the traffic class (RFC 3168 §5). */
const CE = 3;

/** The segment being looked at, read once. One per stack, reused; the packet's head moves to the payload. */
export class Segment {
  /** SEG.SEQ, SEG.ACK. */
  seq: Seq = 0;
  ack: Seq = 0;
  /** Bits of wire Flag. */
  flags = 0;
  /** The window field, not scaled. */
  wnd = 0;
  /** The urgent pointer field. */
  up = 0;
  /** Payload octets. */
  length = 0;
  /** SEG.LEN: payload, and one each for SYN and FIN. */
  len = 0;
  /** Segments on the wire that this one was put together from. */
  count = 1;
  /** The network marked it. */
  ce = false;
  readonly options = new TcpOptions();

  /** Reads the segment at packet.head and moves head to its payload. 0 or a drop reason; the packet stays the caller's. */
  read(packet: Packet): number {
    const { view, head, tail } = packet;
    const wrong = wire.check(view, head, tail);
    if (wrong !== 0) return wrong;
    if (packet.checksum === Checksum.Unverified && !wire.verify(view, head, tail, packet.source, packet.destination)) return Drop.TcpBadChecksum;
    const badOptions = parseOptions(view, head, this.options);
    if (badOptions !== 0) return badOptions;
    this.seq = wire.seq(view, head);
    this.ack = wire.ack(view, head);
    this.flags = wire.flags(view, head);
    this.wnd = wire.window(view, head);
    this.up = wire.urgent(view, head);
    packet.sourcePort = wire.sourcePort(view, head);
    packet.destinationPort = wire.destinationPort(view, head);
    packet.head = head + wire.headerLength(view, head);
    this.length = packet.length;
    this.len = this.length + ((this.flags & wire.Flag.Syn) >> 1) + (this.flags & wire.Flag.Fin);
    this.count = packet.gsoSize > 0 && this.length > packet.gsoSize ? Math.ceil(this.length / packet.gsoSize) : 1;
    this.ce = (packet.trafficClass & CE) === CE;
    return 0;
  }
}
