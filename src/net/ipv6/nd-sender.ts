import { Address } from '../../base/address.js';
import { Drop } from '../../base/drops.js';
import { Checksum, type Packet, PacketFlag } from '../../base/packet.js';
import * as icmpv6 from '../../wire/icmpv6.js';
import * as wire from '../../wire/nd.js';
import * as options from '../../wire/nd-options.js';
import { Protocol } from '../../wire/protocol.js';
import type { Context } from '../context.js';
import { Counter } from '../counters.js';
import { type Interface, stationOf } from '../interface.js';
import type { IpLayer } from '../ip/ip.js';
import { Path } from '../ip/path.js';
import { solicitedNode } from './scope.js';

/** ff02::1 and ff02::2. RFC 4291 §2.7.1. */
export const ALL_NODES: Address = new Address(0xff020000, 0, 0, 1);
export const ALL_ROUTERS: Address = new Address(0xff020000, 0, 0, 2);
const ANY = new Address();

/** Writes the messages of neighbour discovery and sends them down. One for a stack. */
export class NdSender {
  private readonly ctx: Context;
  private readonly ip: IpLayer;
  private readonly to = new Address();

  constructor(ctx: Context, ip: IpLayer) {
    this.ctx = ctx;
    this.ip = ip;
  }

  /** An empty packet for a message; null (and counted) when memory has run out. */
  begin(): Packet | null {
    const packet = this.ctx.packet();
    if (packet === null) this.ctx.countDrop(Drop.NoBuffer);
    return packet;
  }

  /** Sends the ICMPv6 message in [head, tail) with hop limit 255. Owns the packet. */
  send(iface: Interface, packet: Packet, source: Address, destination: Address): void {
    const group = destination.isMulticast;
    const neighbor = group ? null : (iface.neighbors?.obtain(destination) ?? null);
    packet.source.copy(source);
    packet.destination.copy(destination);
    packet.family = 6;
    packet.protocol = Protocol.Icmpv6;
    packet.ttl = wire.HOP_LIMIT;
    packet.checksum = Checksum.Verified;
    if (group) packet.flags |= PacketFlag.Looped; // nothing here is news to ourselves
    icmpv6.finishMessage(packet.view, packet.head, packet.tail, source, destination);
    this.ctx.counters.count(Counter.Icmp6OutMsgs);
    const path = new Path(
      iface,
      source,
      destination,
      neighbor,
      Math.min(iface.mtu, iface.mtu6),
      group ? 'multicast' : 'unicast',
      this.ip.routes.generation,
    );
    path.flowLabel = 0;
    this.ip.output(packet, path);
  }

  /**
   * A neighbour solicitation. `source` null: duplicate detection (RFC 4862 §5.4.2), with `nonce` as two words when that is not null.
   * `destination` null: to the target's solicited-node group.
   */
  solicitation(
    iface: Interface,
    target: Address,
    source: Address | null,
    destination: Address | null,
    nonce: Int32Array | null = null,
    linked = true,
  ): void {
    const packet = this.begin();
    if (packet === null) return;
    packet.tail = wire.putSolicitation(packet.view, packet.head, target);
    if (source !== null && linked) this.putLink(iface, packet, options.Kind.SourceLink, source);
    if (nonce !== null) packet.tail = options.putNonce(packet.view, packet.tail, (nonce[0] as number) & 0xffff, nonce[1] as number);
    this.ctx.counters.count(Counter.Icmp6OutNeighborSolicits);
    this.send(iface, packet, source ?? ANY, destination ?? solicitedNode(target, this.to));
  }

  /** A neighbour advertisement of `target`, which is ours. `bits` of NaFlag. */
  advertisement(iface: Interface, target: Address, destination: Address, bits: number): void {
    const packet = this.begin();
    if (packet === null) return;
    packet.tail = wire.putAdvertisement(packet.view, packet.head, bits, target);
    this.putLink(iface, packet, options.Kind.TargetLink, target);
    this.ctx.counters.count(Counter.Icmp6OutNeighborAdvertisements);
    this.send(iface, packet, target, destination);
  }

  /** Appends the station that an address of ours answers from. */
  putLink(iface: Interface, packet: Packet, kind: number, address: Address): void {
    if (iface.medium !== 'ethernet') return;
    const station = stationOf(iface, address);
    const [high, low] = station === null ? [iface.macHigh, iface.macLow] : [station.high, station.low];
    packet.tail = options.putLink(packet.view, packet.tail, kind, high, low);
  }

  /** A router solicitation; `source` null when we have no address yet. */
  routerSolicitation(iface: Interface, source: Address | null): void {
    const packet = this.begin();
    if (packet === null) return;
    packet.tail = wire.putRouterSolicitation(packet.view, packet.head);
    if (source !== null) this.putLink(iface, packet, options.Kind.SourceLink, source);
    this.ctx.counters.count(Counter.Icmp6OutRouterSolicits);
    this.send(iface, packet, source ?? ANY, ALL_ROUTERS);
  }
}
