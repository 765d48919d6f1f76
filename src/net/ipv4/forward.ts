// hot: bench/packet
import { Drop } from '../../base/drops.js';
import { Gso, type Packet, PacketFlag } from '../../base/packet.js';
import { TimeExceeded, Unreachable } from '../../wire/icmpv4.js';
import * as wire from '../../wire/ipv4.js';
import type { Context } from '../context.js';
import { Counter } from '../counters.js';
import type { Interface } from '../interface.js';
import { type IpLayer, isSubnetBroadcast } from '../ip/ip.js';
import { Flow, readFlow } from '../ip/path.js';
import type { Hop } from '../ip/route.js';
import type { Ethernet } from '../link/link.js';
import { NeighborState } from '../link/neighbor.js';
import { fragment } from './fragment.js';
import type { Icmp4 } from './icmp.js';

/** A router's part: RFC 1812 §5. A forwarded packet is touched once and allocates nothing. */
export class Forward4 {
  private readonly ctx: Context;
  private readonly ip: IpLayer;
  private readonly ethernet: Ethernet;
  private readonly icmp: Icmp4;
  private readonly flow = new Flow();

  constructor(ctx: Context, ip: IpLayer, ethernet: Ethernet, icmp: Icmp4) {
    this.ctx = ctx;
    this.ip = ip;
    this.ethernet = ethernet;
    this.icmp = icmp;
  }

  /** head at the IP header, which has been checked. Owns the packet. */
  forward(iface: Interface, packet: Packet): void {
    const { ctx, ip } = this;
    if (packet.flags & (PacketFlag.LinkBroadcast | PacketFlag.LinkMulticast)) {
      ctx.drop(packet, Drop.IpBroadcastForward); // RFC 1812 §5.3.4
      return;
    }
    if (packet.source.w3 === 0 || packet.destination.isLinkLocal || packet.source.isLinkLocal) {
      ctx.drop(packet, Drop.IpMartian); // RFC 3927 §7: never forwarded
      return;
    }
    if (packet.ttl <= 1) {
      this.icmp.timeExceeded(packet, TimeExceeded.Transit);
      ctx.drop(packet, Drop.IpTtlExceeded);
      return;
    }
    const route = this.lookup(iface, packet);
    if (route === null) return;
    const out = ip.interfaces.at(route.index) as Interface;
    if (iface.conf4.rp_filter !== 0 && !this.reversePath(iface, packet)) {
      ctx.drop(packet, Drop.IpReversePath);
      return;
    }
    const broadcast = isSubnetBroadcast(out, packet.destination);
    if (broadcast && iface.conf4.bc_forwarding === 0) {
      ctx.drop(packet, Drop.IpBroadcastForward); // RFC 2644
      return;
    }
    packet.flags |= PacketFlag.Forwarded | (broadcast ? PacketFlag.NetBroadcast : 0);
    packet.outIndex = out.index;
    if (ip.hooks.verify !== null && !ip.hooks.verify(packet, iface, out)) return;
    if (ip.hooks.forward !== null && !ip.hooks.forward(packet, iface, out)) return;
    if (out === iface && iface.conf4.send_redirects !== 0) this.redirect(iface, packet, route);
    packet.ttl--;
    wire.decrementTtl(packet.view, packet.network);
    ctx.counters.count(Counter.IpForwDatagrams);
    this.output(packet, out, route);
  }

  private lookup(iface: Interface, packet: Packet): Hop | null {
    const { flow, ctx } = this;
    readFlow(flow, packet, iface.vrf, this.ip.routes.byPorts);
    const route = this.ip.routes.lookup(flow);
    if (ctx.observer.verdict !== null) ctx.observer.verdict(packet, 'route', this.ip.explain(flow));
    if (route !== null && route.type === 'unicast') return route;
    if (route === null) {
      this.icmp.unreachable(packet, Unreachable.Net, 0);
      ctx.drop(packet, Drop.IpNoRoute);
    } else if (route.type === 'blackhole') ctx.drop(packet, Drop.IpRouteBlackhole);
    else if (route.type === 'prohibit') {
      this.icmp.unreachable(packet, Unreachable.AdminProhibited, 0);
      ctx.drop(packet, Drop.IpRouteProhibit);
    } else {
      this.icmp.unreachable(packet, Unreachable.Host, 0);
      ctx.drop(packet, Drop.IpRouteUnreachable);
    }
    return null;
  }

  /** RFC 3704 §2.2 (strict) and §2.4 (loose). */
  private reversePath(iface: Interface, packet: Packet): boolean {
    const { flow } = this;
    flow.destination.copy(packet.source);
    flow.source.copy(packet.destination);
    flow.inIndex = 0;
    const back = this.ip.routes.lookup(flow);
    if (back === null || back.type !== 'unicast') return false;
    return iface.conf4.rp_filter === 2 || back.index === iface.index;
  }

  /** RFC 1812 §5.2.7.2: out where it came in, from a host that could reach the next hop itself. */
  private redirect(iface: Interface, packet: Packet, route: Hop): void {
    const nextHop = (route.gateway ?? packet.destination).w3;
    const source = packet.source.w3;
    if (packet.flags & PacketFlag.Options) return;
    for (const a of iface.addresses) {
      if (!a.address.isV4 || a.length === 0) continue;
      const shift = 32 - a.length;
      if ((a.address.w3 ^ nextHop) >>> shift === 0 && (a.address.w3 ^ source) >>> shift === 0) {
        this.icmp.redirectTo(packet, nextHop);
        return;
      }
    }
  }

  private output(packet: Packet, out: Interface, route: Hop): void {
    const mtu = route.mtu === 0 ? out.mtu : Math.min(route.mtu, out.mtu);
    const length = packet.tail - packet.head;
    if (length > mtu && !this.fits(packet, mtu)) {
      // What we put together for tracking was cut before: it may be cut again.
      const cut = (packet.flags & PacketFlag.Reassembled) !== 0;
      if ((packet.flags & PacketFlag.DontFragment && !cut) || packet.gsoType !== Gso.None) {
        this.icmp.unreachable(packet, Unreachable.FragmentationNeeded, mtu);
        this.ctx.drop(packet, Drop.IpTooBig);
        return;
      }
      const { hooks } = this.ip;
      if (hooks.postrouting !== null && !hooks.postrouting(packet, null, out)) return;
      if (hooks.protect !== null && !hooks.protect(packet, null, out)) return;
      fragment(this.ctx, packet, mtu, (piece) => this.transmit(piece, out, route));
      return;
    }
    const { hooks } = this.ip;
    if (hooks.postrouting !== null && !hooks.postrouting(packet, null, out)) return;
    if (hooks.protect !== null && !hooks.protect(packet, null, out)) return;
    this.transmit(packet, out, route);
  }

  /** A big frame fits when its segments do. */
  private fits(packet: Packet, mtu: number): boolean {
    if (packet.gsoType === Gso.None) return false;
    const header = packet.gsoType === Gso.Udp ? 8 : (packet.view.getUint8(packet.transport + 12) >>> 4) << 2;
    return packet.transport - packet.network + header + packet.gsoSize <= mtu;
  }

  private transmit(packet: Packet, out: Interface, route: Hop): void {
    this.ctx.counters.count(Counter.IpOutTransmits);
    if (out.medium !== 'ethernet') {
      out.transmit(packet);
      return;
    }
    if (packet.flags & PacketFlag.NetBroadcast) {
      this.ethernet.outputGroup(out, packet);
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
