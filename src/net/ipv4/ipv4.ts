// hot: bench/packet
import { Drop } from '../../base/drops.js';
import { type Packet, PacketFlag } from '../../base/packet.js';
import { Unreachable } from '../../wire/icmpv4.js';
import * as wire from '../../wire/ipv4.js';
import { Protocol, protocolName } from '../../wire/protocol.js';
import type { Context } from '../context.js';
import { Counter } from '../counters.js';
import type { Interface } from '../interface.js';
import { GroupVerdict, type IpLayer, isSubnetBroadcast } from '../ip/ip.js';
import type { Reassembly } from '../ip/reassembly.js';
import type { NetworkInput } from '../link/link.js';
import type { Forward4 } from './forward.js';
import type { Icmp4 } from './icmp.js';

/** IPv4 as RFC 1122 §3.2.1 has a host receive it and RFC 1812 §5.2 a router. */
export class Ipv4 implements NetworkInput {
  private readonly ctx: Context;
  private readonly ip: IpLayer;
  private readonly icmp: Icmp4;
  private readonly forward: Forward4;
  private readonly reassembly: Reassembly;

  constructor(ctx: Context, ip: IpLayer, icmp: Icmp4, forward: Forward4, reassembly: Reassembly) {
    this.ctx = ctx;
    this.ip = ip;
    this.icmp = icmp;
    this.forward = forward;
    this.reassembly = reassembly;
  }

  input(iface: Interface, packet: Packet): void {
    const { view } = packet;
    const at = packet.head;
    this.ctx.counters.count(Counter.IpInReceives);
    const reason = wire.check(view, at, packet.tail);
    if (reason !== 0) {
      if (reason === Drop.IpBadOptions) this.badOptions(iface, packet);
      this.ctx.drop(packet, reason);
      return;
    }
    packet.tail = at + wire.totalLength(view, at); // link padding
    packet.network = at;
    packet.transport = at + wire.headerLength(view, at);
    packet.family = 4;
    packet.protocol = wire.protocol(view, at);
    packet.ttl = wire.ttl(view, at);
    packet.trafficClass = wire.trafficClass(view, at);
    if (wire.dontFragment(view, at)) packet.flags |= PacketFlag.DontFragment;
    wire.source(view, at, packet.source);
    wire.destination(view, at, packet.destination);
    const martian = this.checkAddresses(iface, packet) || this.checkOptions(packet);
    if (martian !== 0) {
      this.ctx.drop(packet, martian);
      return;
    }
    const { prerouting } = this.ip.hooks;
    if (prerouting !== null && !prerouting(packet, iface, null)) return;
    this.route(iface, packet);
  }

  /** For us, for a group, or for somebody else. Also the entry for what comes out of a tunnel. */
  route(iface: Interface, packet: Packet): void {
    const { destination } = packet;
    const v = this.ctx.sysctl.v;
    const forwarding = iface.conf4.forwarding !== 0;
    const strong = !forwarding && v['anystack.strong_host'] !== 0 && (packet.flags & PacketFlag.Looped) === 0;
    const own = this.ip.local(destination, iface.vrf, strong ? iface.index : 0);
    if (own !== null) {
      // RFC 1122 §3.3.6: a broadcast on the link must be one of IP too.
      if (packet.flags & (PacketFlag.LinkBroadcast | PacketFlag.LinkMulticast)) this.ctx.drop(packet, Drop.IpMartian);
      else if (own.silent) this.ctx.drop(packet, Drop.VrrpNotAccepted);
      else this.deliver(iface, packet);
      return;
    }
    if (destination.isMulticast) {
      const verdict = this.ip.group(iface, packet, this.joined(iface, packet));
      if (verdict === GroupVerdict.Deliver) this.deliver(iface, packet);
      else if (verdict === GroupVerdict.Gone) packet.release();
      else this.ctx.drop(packet, Drop.IpGroupNotJoined);
      return;
    }
    if (destination.isLimitedBroadcast || isSubnetBroadcast(iface, destination)) {
      packet.flags |= PacketFlag.NetBroadcast;
      this.deliver(iface, packet);
      return;
    }
    if (forwarding) this.forward.forward(iface, packet);
    else this.ctx.drop(packet, Drop.IpNotForUs);
  }

  /** RFC 1122 §3.2.1.3, RFC 1812 §5.3.7: sources nobody may have, and loopback on a wire. 0 or a drop reason. */
  private checkAddresses(iface: Interface, packet: Packet): number {
    const source = packet.source.w3;
    const destination = packet.destination.w3;
    if (source >>> 28 >= 14) return Drop.IpBadSource; // multicast, reserved, broadcast
    if (iface.medium !== 'loopback' && (source >>> 24 === 127 || destination >>> 24 === 127)) return Drop.IpMartian;
    // "This host on this network" speaks only to everybody: a DHCP client (RFC 1122 §3.2.1.3 a, RFC 2131 §4.1).
    if (source >>> 24 === 0 && (source !== 0 || (destination !== -1 && destination >>> 28 !== 14))) return Drop.IpMartian;
    if (destination === 0) return Drop.IpMartian;
    if ((packet.flags & PacketFlag.Looped) === 0 && packet.depth === 0 && this.ip.locals.find(packet.source, iface.vrf, iface.index) !== null)
      return Drop.IpBadSource;
    if (isSubnetBroadcast(iface, packet.source)) return Drop.IpBadSource;
    return 0;
  }

  private checkOptions(packet: Packet): number {
    if (packet.transport - packet.network === wire.HEADER_LEN) return 0;
    packet.flags |= PacketFlag.Options;
    const seen = wire.seenOptions(packet.view, packet.network);
    if (seen & wire.Seen.RouterAlert) packet.flags |= PacketFlag.RouterAlert;
    return seen & wire.Seen.SourceRoute && this.ctx.sysctl.v['net.ipv4.conf.all.accept_source_route'] === 0 ? Drop.IpSourceRoute : 0;
  }

  /** RFC 1122 §3.2.2.5: a parameter problem may be told, pointing at the option. */
  private badOptions(iface: Interface, packet: Packet): void {
    const at = packet.head;
    packet.network = at;
    packet.transport = at + wire.headerLength(packet.view, at);
    packet.tail = at + wire.totalLength(packet.view, at);
    packet.family = 4;
    packet.protocol = wire.protocol(packet.view, at);
    wire.source(packet.view, at, packet.source);
    wire.destination(packet.view, at, packet.destination);
    if (this.ip.local(packet.destination, iface.vrf, 0) !== null && this.checkAddresses(iface, packet) === 0) {
      this.icmp.parameterProblem(packet, wire.badOption(packet.view, at));
    }
  }

  private joined(iface: Interface, packet: Packet): boolean {
    return packet.destination.w3 === ALL_SYSTEMS || (iface.groups?.wants(packet) ?? false);
  }

  /** RFC 1122 §3.2.1: reassemble, filter, hand to the protocol. Owns the packet. */
  private deliver(iface: Interface, given: Packet): void {
    let packet = given;
    if (wire.isFragment(packet.view, packet.network)) {
      const whole = this.reassembly.input(packet);
      if (whole === null) return;
      packet = whole;
    }
    const { hooks } = this.ip;
    if (hooks.verify !== null && !hooks.verify(packet, iface, null)) return;
    if (hooks.input !== null && !hooks.input(packet, iface, null)) return;
    this.ctx.counters.count(Counter.IpInDelivers);
    if (this.ctx.observer.verdict !== null) this.ctx.observer.verdict(packet, 'deliver', protocolName(packet.protocol));
    packet.head = packet.transport;
    const taken = this.ip.raw !== null && packet.protocol !== Protocol.Icmpv6 && this.ip.raw.deliver(packet);
    const transport = this.ip.transports[packet.protocol] as (typeof this.ip.transports)[number];
    if (transport !== null) transport.input(packet);
    else if (taken) packet.release();
    else {
      this.icmp.unreachable(packet, Unreachable.Protocol, 0);
      this.ctx.drop(packet, Drop.IpUnknownProtocol);
    }
  }
}

/** 224.0.0.1: always joined (RFC 1112 §7.2). */
const ALL_SYSTEMS = 0xe0000001 | 0;
