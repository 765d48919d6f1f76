// hot: bench/packet
import { Drop } from '../../base/drops.js';
import { Gso, type Packet, PacketFlag } from '../../base/packet.js';
import { TimeExceeded, Unreachable } from '../../wire/icmpv6.js';
import * as wire from '../../wire/ipv6.js';
import type { Context } from '../context.js';
import { Counter } from '../counters.js';
import type { Interface } from '../interface.js';
import type { IpLayer } from '../ip/ip.js';
import { Flow, readFlow } from '../ip/path.js';
import type { Hop } from '../ip/route.js';
import type { Ethernet } from '../link/link.js';
import { NeighborState } from '../link/neighbor.js';
import { fragment6, Identifications } from './fragment.js';
import type { Icmp6 } from './icmp.js';

/** Tells a neighbour of a better first hop: RFC 4861 §8.2. Does not own the packet. */
export interface Redirects {
  redirect(iface: Interface, packet: Packet, route: Hop): void;
}

/** A router's part: RFC 8200, RFC 4443, RFC 4007. A forwarded packet is touched once and allocates nothing. */
export class Forward6 {
  private readonly ctx: Context;
  private readonly ip: IpLayer;
  private readonly ethernet: Ethernet;
  private readonly icmp: Icmp6;
  private readonly flow = new Flow();
  private readonly ids: Identifications;
  private readonly chain = new wire.Chain();
  /** Filled in by the family. */
  redirects: Redirects | null = null;

  constructor(ctx: Context, ip: IpLayer, ethernet: Ethernet, icmp: Icmp6) {
    this.ctx = ctx;
    this.ip = ip;
    this.ethernet = ethernet;
    this.icmp = icmp;
    this.ids = new Identifications(ctx);
  }

  /** head at the IPv6 header, which has been checked. Owns the packet. */
  forward(iface: Interface, packet: Packet): void {
    const { ctx, ip } = this;
    if (packet.flags & (PacketFlag.LinkBroadcast | PacketFlag.LinkMulticast)) {
      ctx.drop(packet, Drop.IpBroadcastForward);
      return;
    }
    // RFC 4291 §2.5.2, §2.5.3, §2.5.6: these never pass a router.
    if (packet.source.isUnspecified || packet.destination.isLinkLocal) {
      ctx.drop(packet, Drop.IpMartian);
      return;
    }
    if (packet.ttl <= 1) {
      this.icmp.timeExceeded(packet, TimeExceeded.HopLimit);
      ctx.drop(packet, Drop.IpTtlExceeded);
      return;
    }
    const route = this.lookup(iface, packet);
    if (route === null) return;
    const out = ip.interfaces.at(route.index) as Interface;
    // A link-local source means another node, or none, on another link (RFC 4007 §9); its answers could not come back.
    if (packet.source.isLinkLocal && out !== iface) {
      this.icmp.unreachable(packet, Unreachable.BeyondScope);
      ctx.drop(packet, Drop.IpMartian);
      return;
    }
    if (out === iface && out.medium === 'ip' && route.gateway === null) {
      this.icmp.unreachable(packet, Unreachable.Address); // RFC 4443 §3.1: it would bounce between both ends of the link
      ctx.drop(packet, Drop.IpRouteUnreachable);
      return;
    }
    packet.flags |= PacketFlag.Forwarded;
    packet.outIndex = out.index;
    if (ip.hooks.verify !== null && !ip.hooks.verify(packet, iface, out)) return;
    if (ip.hooks.forward !== null && !ip.hooks.forward(packet, iface, out)) return;
    if (out === iface && iface.conf6.send_redirects !== 0) this.redirects?.redirect(iface, packet, route);
    packet.ttl--;
    wire.setHopLimit(packet.view, packet.network, packet.ttl);
    ctx.counters.count(Counter.Ip6OutForwDatagrams);
    this.output(packet, out, route);
  }

  private lookup(iface: Interface, packet: Packet): Hop | null {
    const { flow, ctx } = this;
    readFlow(flow, packet, iface.vrf, this.ip.routes.byPorts);
    const route = this.ip.routes.lookup(flow);
    if (ctx.observer.verdict !== null) ctx.observer.verdict(packet, 'route', this.ip.explain(flow));
    if (route !== null && route.type === 'unicast') return route;
    if (route === null) {
      this.icmp.unreachable(packet, Unreachable.NoRoute);
      ctx.drop(packet, Drop.IpNoRoute);
    } else if (route.type === 'blackhole') ctx.drop(packet, Drop.IpRouteBlackhole);
    else if (route.type === 'prohibit') {
      this.icmp.unreachable(packet, Unreachable.AdminProhibited);
      ctx.drop(packet, Drop.IpRouteProhibit);
    } else {
      this.icmp.unreachable(packet, Unreachable.NoRoute); // Linux: an unreachable route answers like none
      ctx.drop(packet, Drop.IpRouteUnreachable);
    }
    return null;
  }

  private output(packet: Packet, out: Interface, route: Hop): void {
    const most = Math.min(out.mtu, out.mtu6);
    const mtu = route.mtu === 0 ? most : Math.min(route.mtu, most);
    const octets = packet.tail - packet.head;
    // What was put together for tracking was cut by its sender, who cannot be told to cut it smaller than it did: every link takes 1,280.
    const cut = (packet.flags & PacketFlag.Reassembled) !== 0 && octets > wire.MTU_MIN;
    if (octets > mtu && !cut && !fits(packet, mtu)) {
      this.icmp.packetTooBig(packet, mtu);
      this.ctx.drop(packet, Drop.IpTooBig);
      return;
    }
    const { hooks } = this.ip;
    if (hooks.postrouting !== null && !hooks.postrouting(packet, null, out)) return;
    if (hooks.protect !== null && !hooks.protect(packet, null, out)) return;
    if (!cut) this.transmit(packet, out, route);
    else {
      const { chain } = this;
      wire.skim(packet.view, packet.network, packet.tail, chain);
      fragment6(this.ctx, packet, wire.MTU_MIN, this.ids.next(packet), chain.nextField, (piece) => this.transmit(piece, out, route));
    }
  }

  private transmit(packet: Packet, out: Interface, route: Hop): void {
    this.ctx.counters.count(Counter.Ip6OutTransmits);
    if (out.medium !== 'ethernet') {
      out.transmit(packet);
      return;
    }
    const neighbor = out.neighbors?.obtain(route.gateway ?? packet.destination) ?? null;
    if (neighbor === null) {
      this.ctx.drop(packet, Drop.NeighborTableFull);
      return;
    }
    if (neighbor.state === NeighborState.Reachable || neighbor.state === NeighborState.Permanent)
      this.ethernet.frame(out, packet, neighbor.macHigh, neighbor.macLow);
    else neighbor.table.send(packet, neighbor);
  }
}

/** A big frame fits when its segments do. */
function fits(packet: Packet, mtu: number): boolean {
  if (packet.gsoType === Gso.None) return false;
  const header = packet.gsoType === Gso.Udp ? 8 : (packet.view.getUint8(packet.transport + 12) >>> 4) << 2;
  return packet.transport - packet.network + header + packet.gsoSize <= mtu;
}
