// hot: bench/packet
import type { Packet } from '../../base/packet.js';
import { Protocol } from '../../wire/protocol.js';
import * as udp from '../../wire/udp.js';
import * as wire from '../../wire/vxlan.js';
import type { Path } from '../ip/path.js';
import { TunnelDevice, type TunnelGround, type TunnelOptions } from './tunnel.js';

/** Source ports of the outer packets, spread by the inner flow (RFC 7348 §5): the dynamic ones. */
const PORT_MIN = 49_152;
const ETHERNET_LEN = 14;

/** VXLAN (RFC 7348) between two ends: Ethernet frames in UDP. */
export class VxlanTunnel extends TunnelDevice {
  readonly kind = 'vxlan';
  readonly medium = 'ethernet';
  override readonly mac: Uint8Array;
  /** Network identifier, [0, 2^24). */
  readonly vni: number;
  readonly port: number;

  constructor(ground: TunnelGround, options: TunnelOptions, vni: number, port: number = wire.PORT) {
    super(ground, options, udp.HEADER_LEN + wire.HEADER_LEN + ETHERNET_LEN, Protocol.Udp);
    this.vni = vni;
    this.port = port;
    const low = ground.ctx.prng.uint32();
    this.mac = Uint8Array.of(0x02, ground.ctx.prng.uint32(), low >>> 24, low >>> 16, low >>> 8, low);
  }

  /** RFC 7348 §4.3 has no fragments: what is longer than the path is dropped. The frame's own header is part of the overhead. */
  protected override room(mtu: number): number {
    return mtu - this.overhead + ETHERNET_LEN;
  }

  /** Over IPv6 there must be a checksum (RFC 8200 §8.1). */
  protected override get flat(): boolean {
    return !this.options.local.isV4;
  }

  protected encapsulate(packet: Packet, _path: Path): void {
    const from = PORT_MIN + (hashOf(packet) & 0x3fff);
    const octets = packet.length + wire.HEADER_LEN + udp.HEADER_LEN;
    wire.put(packet.view, packet.push(wire.HEADER_LEN), this.vni);
    udp.put(packet.view, packet.push(udp.HEADER_LEN), from, this.port, octets, 0);
    if (!this.options.local.isV4) udp.finishDatagram(packet.view, packet.head, this.options.local, this.options.remote);
    packet.protocol = Protocol.Udp;
  }

  /** A datagram of the far end with our identifier, head at the VXLAN header, which has been checked. Owns the packet. */
  input(packet: Packet): void {
    this.enter(packet, packet.head + wire.HEADER_LEN, 0);
  }
}

/** Of what stays the same in a flow: stations, and the first words of the IP header's addresses and ports where there are some. */
function hashOf({ view, head, tail }: Packet): number {
  let h = view.getInt32(head) ^ Math.imul(view.getInt32(head + 4), 0x9e3779b1) ^ Math.imul(view.getInt32(head + 8), 0x85ebca6b);
  for (let at = head + ETHERNET_LEN + 12; at < head + ETHERNET_LEN + 24 && at + 4 <= tail; at += 4) h = Math.imul(h ^ view.getInt32(at), 0x27d4eb2f);
  return h ^ (h >>> 15);
}
