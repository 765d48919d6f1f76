// hot: bench/packet
import type { Packet } from '../../base/packet.js';
import * as ipv6 from '../../wire/ipv6.js';
import { Protocol } from '../../wire/protocol.js';
import type { Path } from '../ip/path.js';
import { TunnelDevice, type TunnelGround, type TunnelOptions } from './tunnel.js';

/** Octets of the destination options header that carries the encapsulation limit. */
const LIMIT_LEN = 8;

/** Tunnels that a packet may pass beneath this one. RFC 2473 §6.6: 4. */
export const ENCAPSULATION_LIMIT = 4;

/** IP in IP, each family in each: RFC 2003 (4 in 4), RFC 4213 §3 (6 in 4), RFC 2473 (both in 6). */
export class IpTunnel extends TunnelDevice {
  readonly kind = 'ip';
  readonly medium = 'ip';
  /** Of outer IPv6 packets; −1: they carry none. */
  private readonly limit: number;

  constructor(ground: TunnelGround, options: TunnelOptions, limit: number = ENCAPSULATION_LIMIT) {
    super(ground, options, options.local.isV4 || limit < 0 ? 0 : LIMIT_LEN, Protocol.Ipip);
    this.limit = options.local.isV4 ? -1 : limit;
  }

  protected encapsulate(packet: Packet, _path: Path, version: number, limit: number): void {
    packet.protocol = version === 4 ? Protocol.Ipip : Protocol.Ipv6;
    if (this.limit < 0) return;
    ipv6.putTunnelLimit(packet.view, packet.push(LIMIT_LEN), packet.protocol, limit < 0 ? this.limit : limit);
    packet.protocol = Protocol.DestinationOptions;
  }

  /** Protocol 4 or 41 of the far end, head at the inner packet. Owns the packet. */
  input(packet: Packet): void {
    this.enter(packet, packet.head, packet.protocol === Protocol.Ipip ? 4 : 6);
  }
}
