// hot: bench/packet
import type { Address } from '../../base/address.js';
import { Drop } from '../../base/drops.js';
import { type Packet, PacketFlag } from '../../base/packet.js';
import * as wire from '../../wire/ipv6.js';
import { HOP_LIMIT } from '../../wire/nd.js';
import { Protocol, protocolName } from '../../wire/protocol.js';
import type { Context } from '../context.js';
import { Counter } from '../counters.js';
import type { Interface } from '../interface.js';
import { GroupVerdict, type IpLayer } from '../ip/ip.js';
import type { Reassembly } from '../ip/reassembly.js';
import type { NetworkInput } from '../link/link.js';
import type { Forward6 } from './forward.js';
import type { Icmp6 } from './icmp.js';
import { Scope } from './scope.js';

/** IPv6 as RFC 8200 has a node receive it. */
export class Ipv6 implements NetworkInput {
  private readonly ctx: Context;
  private readonly ip: IpLayer;
  private readonly icmp: Icmp6;
  private readonly forward: Forward6;
  private readonly reassembly: Reassembly;
  private readonly chain = new wire.Chain();
  /** Is an address a subnet-router anycast address of ours on an interface? Null: we are no router. */
  anycast: ((iface: Interface, target: Address) => boolean) | null = null;

  constructor(ctx: Context, ip: IpLayer, icmp: Icmp6, forward: Forward6, reassembly: Reassembly) {
    this.ctx = ctx;
    this.ip = ip;
    this.icmp = icmp;
    this.forward = forward;
    this.reassembly = reassembly;
  }

  input(iface: Interface, packet: Packet): void {
    const { view } = packet;
    const at = packet.head;
    this.ctx.counters.count(Counter.Ip6InReceives);
    const reason = iface.conf6.disable_ipv6 === 0 ? wire.check(view, at, packet.tail) : Drop.Ipv6Disabled;
    if (reason !== 0) {
      this.ctx.drop(packet, reason);
      return;
    }
    packet.tail = at + wire.HEADER_LEN + wire.payloadLength(view, at); // link padding
    packet.network = at;
    packet.family = 6;
    packet.ttl = wire.hopLimit(view, at);
    packet.trafficClass = wire.trafficClass(view, at);
    packet.flags |= PacketFlag.DontFragment; // routers never fragment: RFC 8200 §5
    wire.source(view, at, packet.source);
    wire.destination(view, at, packet.destination);
    this.locate(packet);
    const martian = this.checkAddresses(iface, packet);
    if (martian !== 0) {
      this.ctx.drop(packet, martian);
      return;
    }
    const { prerouting } = this.ip.hooks;
    if (prerouting !== null && !prerouting(packet, iface, null)) return;
    this.route(iface, packet);
  }

  /** Finds the transport header, for filters; nothing is judged yet, since whose the packet is decides who may. */
  private locate(packet: Packet): void {
    const next = wire.nextHeader(packet.view, packet.network);
    if (next === Protocol.Tcp || next === Protocol.Udp || next === Protocol.Icmpv6) {
      packet.protocol = next;
      packet.transport = packet.network + wire.HEADER_LEN;
      return;
    }
    const { chain } = this;
    wire.skim(packet.view, packet.network, packet.tail, chain);
    packet.protocol = chain.protocol;
    packet.transport = chain.offset;
    if (chain.fragmented) packet.flags |= PacketFlag.Fragmented;
    if (next === Protocol.HopByHop || next === Protocol.DestinationOptions || next === Protocol.Routing || next === Protocol.Fragment)
      packet.flags |= PacketFlag.Options;
  }

  /** For us, for a group, or for somebody else. Also the entry for what comes out of a tunnel. */
  route(iface: Interface, packet: Packet): void {
    const { destination } = packet;
    const v = this.ctx.sysctl.v;
    const forwarding = iface.conf6.forwarding !== 0;
    const looped = (packet.flags & PacketFlag.Looped) !== 0;
    const strong = !looped && (destination.isLinkLocal || (!forwarding && v['anystack.strong_host'] !== 0));
    if (destination.isMulticast) {
      const verdict = this.ip.group(iface, packet, this.joined(iface, packet));
      if (verdict === GroupVerdict.Deliver) this.deliver(iface, packet);
      else if (verdict === GroupVerdict.Gone) packet.release();
      else this.ctx.drop(packet, Drop.IpGroupNotJoined);
      return;
    }
    const own = this.ip.local(destination, iface.vrf, strong ? iface.index : 0);
    if (own !== null) {
      // A virtual router's address is found by its neighbours, whoever takes its packets.
      if (own.silent && !(packet.protocol === Protocol.Icmpv6 && packet.ttl === HOP_LIMIT)) this.ctx.drop(packet, Drop.VrrpNotAccepted);
      else this.deliver(iface, packet);
    } else if (!forwarding) this.ctx.drop(packet, Drop.IpNotForUs);
    else if (destination.w3 === 0 && destination.w2 === 0 && (this.anycast?.(iface, destination) ?? false)) this.deliver(iface, packet);
    else this.transit(iface, packet);
  }

  /** A router looks at the hop-by-hop header and at nothing behind it (RFC 8200 §4). Owns the packet. */
  private transit(iface: Interface, packet: Packet): void {
    if (packet.flags & PacketFlag.Options) {
      const { chain } = this;
      const reason = wire.walkHopByHop(packet.view, packet.network, packet.tail, chain);
      if (reason !== 0) {
        this.refuse(packet, reason);
        return;
      }
      if (chain.routerAlert >= 0) packet.flags |= PacketFlag.RouterAlert;
    }
    this.forward.forward(iface, packet);
  }

  /** Addresses nobody may have on a wire: RFC 4291 §2.5, §2.7, RFC 4007 §9. 0 or a drop reason. */
  private checkAddresses(iface: Interface, packet: Packet): number {
    const { source, destination } = packet;
    if (source.isMulticast) return Drop.IpBadSource;
    if (destination.isUnspecified) return Drop.IpMartian;
    if (packet.flags & PacketFlag.Looped) return 0;
    if (source.isLoopback || destination.isLoopback) return Drop.IpMartian;
    // Inside the stack a mapped address is an IPv4 one: from a wire it would pass filters and sockets as what it is not.
    if (source.isV4 || destination.isV4) return Drop.IpMartian;
    if (destination.isMulticast && ((destination.w0 >>> 16) & 15) <= Scope.InterfaceLocal) return Drop.IpMartian;
    // Duplicate detection must hear who else has our address; all others may not speak in our name.
    if (packet.protocol !== Protocol.Icmpv6 && packet.depth === 0 && this.ip.locals.find(source, iface.vrf, iface.index) !== null)
      return Drop.IpBadSource;
    return 0;
  }

  private joined(iface: Interface, packet: Packet): boolean {
    const { destination: d } = packet;
    if (d.w3 === 1 && d.w2 === 0 && d.w1 === 0 && (d.w0 === ALL_NODES || d.w0 === ALL_NODES_HERE)) return true;
    return iface.groups?.wants(packet) ?? false;
  }

  /** All headers in order, reassembly, filter, and to the protocol: RFC 8200 §4. Owns the packet. */
  private deliver(iface: Interface, given: Packet): void {
    let packet = given;
    if (packet.flags & PacketFlag.Options) {
      const whole = this.whole(packet);
      if (whole === null) return;
      packet = whole;
    }
    const { hooks } = this.ip;
    if (hooks.verify !== null && !hooks.verify(packet, iface, null)) return;
    if (hooks.input !== null && !hooks.input(packet, iface, null)) return;
    this.ctx.counters.count(Counter.Ip6InDelivers);
    if (this.ctx.observer.verdict !== null) this.ctx.observer.verdict(packet, 'deliver', protocolName(packet.protocol));
    this.dispatch(packet);
  }

  /** To the protocol of `packet.protocol`, whose header is at `packet.transport`. Also the way on for ESP and AH. Owns the packet. */
  dispatch(packet: Packet): void {
    const { protocol } = packet;
    packet.head = packet.transport;
    const taken = this.ip.raw?.deliver(packet) === true;
    const transport = this.ip.transports[protocol] as (typeof this.ip.transports)[number];
    if (transport !== null && protocol !== Protocol.Icmp && protocol !== Protocol.Igmp) transport.input(packet);
    else if (taken || protocol === Protocol.NoNext)
      packet.release(); // RFC 8200 §4.7: what follows is ignored
    else {
      wire.skim(packet.view, packet.network, packet.tail, this.chain);
      this.icmp.parameterProblem(packet, wire.Problem.NextHeader, this.chain.nextField - packet.network);
      this.ctx.drop(packet, Drop.IpUnknownProtocol);
    }
  }

  /** Judges the extension headers and puts fragments together. The packet, or a whole one, ready for its protocol; null when it was taken. Also for filters. */
  whole(given: Packet): Packet | null {
    let packet = given;
    const { chain } = this;
    let reason = wire.walk(packet.view, packet.network, packet.tail, chain);
    if (reason === 0 && chain.protocol === Protocol.Fragment) {
      const whole = this.fragment(packet);
      if (whole === null) return null;
      packet = whole;
      reason =
        packet.flags & PacketFlag.Reassembled
          ? wire.walk(packet.view, packet.network, packet.tail, chain)
          : wire.walkFragment(packet.view, packet.network, packet.tail, chain);
    }
    // One fragment header: a second one behind it would nest datagrams (RFC 8200 §4.1 has each header once).
    if (reason === 0 && chain.protocol === Protocol.Fragment) reason = Drop.IpBadExtension;
    if (reason !== 0) {
      this.refuse(packet, reason);
      return null;
    }
    packet.protocol = chain.protocol;
    packet.transport = chain.offset;
    if (chain.routerAlert >= 0) packet.flags |= PacketFlag.RouterAlert;
    return packet;
  }

  /** The walk has come to a fragment header. Atomic fragments pass by themselves (RFC 6946 §4); of others the whole, or null. */
  private fragment(packet: Packet): Packet | null {
    const { view, network } = packet;
    const at = this.chain.offset;
    const offset = wire.fragmentOffset(view, at);
    const more = wire.moreFragments(view, at);
    const length = packet.tail - at - wire.FRAGMENT_LEN;
    packet.flags |= PacketFlag.Fragmented;
    if (offset === 0 && !more) return packet;
    packet.protocol = Protocol.Fragment; // later fragments may name another next header: RFC 8200 §4.5 counts the first's alone
    packet.transport = at;
    if (more && length % 8 !== 0) {
      this.icmp.parameterProblem(packet, wire.Problem.Field, wire.PAYLOAD_LENGTH);
      this.ctx.drop(packet, Drop.FragmentMalformed);
      return null;
    }
    if (at - network - wire.HEADER_LEN + offset + length > 65_535) {
      this.icmp.parameterProblem(packet, wire.Problem.Field, at + 2 - network);
      this.ctx.drop(packet, Drop.FragmentTooLong);
      return null;
    }
    if (offset === 0) {
      const reason = wire.walkFragment(view, network, packet.tail, this.chain); // RFC 7112: all headers in the first fragment
      const upper = reason === 0 && this.lacksUpper(packet);
      if (reason !== 0 || upper) {
        if (upper) this.icmp.parameterProblem(packet, wire.Problem.FirstFragment, 0);
        if (upper) this.ctx.drop(packet, Drop.IpBadExtension);
        else this.refuse(packet, reason);
        return null;
      }
    }
    return this.reassembly.input(packet);
  }

  /** A first fragment that ends before its transport header does. */
  private lacksUpper(packet: Packet): boolean {
    const { protocol, offset } = this.chain;
    const least = protocol === Protocol.Tcp ? 20 : protocol === Protocol.Udp || protocol === Protocol.Icmpv6 ? 8 : 0;
    return packet.tail - offset < least;
  }

  /** A header was refused: tells the sender what the walk asks for. Owns the packet. */
  private refuse(packet: Packet, reason: number): void {
    const { problem, pointer, unlessGroup } = this.chain;
    if (problem !== wire.Problem.None && !(unlessGroup && packet.destination.isMulticast)) {
      this.icmp.parameterProblem(packet, problem, pointer - packet.network);
    }
    this.ctx.drop(packet, reason);
  }
}

/** First words of ff02::1 and ff01::1: every node's own (RFC 4291 §2.8). */
const ALL_NODES = 0xff020000 | 0;
const ALL_NODES_HERE = 0xff010000 | 0;
