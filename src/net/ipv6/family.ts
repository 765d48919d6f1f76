import { Address, maskAddress, samePrefix } from '../../base/address.js';
import { Drop } from '../../base/drops.js';
import { Errno } from '../../base/errors.js';
import type { Packet } from '../../base/packet.js';
import { Unreachable } from '../../wire/icmpv6.js';
import { MTU_MIN } from '../../wire/ipv6.js';
import type { Context } from '../context.js';
import { type Interface, type InterfaceAddress, MTU6_MAX } from '../interface.js';
import type { Addresses } from '../ip/addresses.js';
import type { IpLayer } from '../ip/ip.js';
import type { Loopback } from '../ip/loopback.js';
import type { Multicast } from '../ip/multicast.js';
import { Flow } from '../ip/path.js';
import { Reassembly } from '../ip/reassembly.js';
import type { Demux, Ethernet } from '../link/link.js';
import type { Neighbor } from '../link/neighbor.js';
import { type AdvertisementFlags, Advertisements } from './advertisements.js';
import { Advertiser } from './advertiser.js';
import { Dad } from './dad.js';
import { Forward6 } from './forward.js';
import { fragmentFormat6 } from './fragments.js';
import { Icmp6 } from './icmp.js';
import { Ipv6 } from './ipv6.js';
import { NameService } from './learned.js';
import { Mld } from './mld.js';
import { Nd } from './nd.js';
import { ALL_ROUTERS, NdSender } from './nd-sender.js';
import { Output6 } from './output.js';
import { Prefixes } from './prefixes.js';
import { RedirectTable } from './redirects.js';
import { Routers } from './routers.js';
import { Slaac } from './slaac.js';
import { linkLocalOf, RouterSolicitations } from './solicitation.js';
import { SourceSelection } from './source-selection.js';

/** What a router joins: the all-routers groups of three scopes, and the solicited-node group of its subnet anycast addresses (RFC 4291 §2.8). */
const ROUTER_GROUPS = [new Address(0xff010000, 0, 0, 2), ALL_ROUTERS, new Address(0xff050000, 0, 0, 2), new Address(0xff020000, 0, 1, 0xff000000)];

/** What IPv6 is built upon. */
export interface Foundation {
  readonly ctx: Context;
  readonly ip: IpLayer;
  readonly ethernet: Ethernet;
  readonly loopback: Loopback;
  readonly demux: Demux;
  readonly addresses: Addresses;
  readonly multicast: Multicast;
  readonly events: AddressEvents;
}

/** What is told of addresses; StackEvents has it. */
export interface AddressEvents {
  /** An address is used by another station too. */
  conflict(address: InterfaceAddress, mac: string): void;
  /** An address that was probed for may be used from now on. */
  claimed?(address: InterfaceAddress): void;
}

/** Who else must know what happens on links: DHCPv6. Called within the poll; may arm timers and join groups. */
export interface LinkWatcher {
  linkUp?(iface: Interface): void;
  /** A router's advertisement was believed. */
  advertised?(iface: Interface, flags: AdvertisementFlags): void;
  /** Another station has the address. */
  duplicate?(address: InterfaceAddress): void;
}

/** IPv6 whole: its parts, and what happens to them when links, addresses and roles change. */
export class Family6 {
  readonly icmp: Icmp6;
  readonly forward: Forward6;
  readonly input: Ipv6;
  readonly reassembly: Reassembly;
  readonly selection: SourceSelection;
  readonly sender: NdSender;
  readonly dad: Dad;
  readonly slaac: Slaac;
  readonly routers: Routers;
  readonly prefixes: Prefixes;
  readonly names: NameService;
  readonly solicitations: RouterSolicitations;
  readonly advertisements: Advertisements;
  readonly redirects: RedirectTable;
  readonly nd: Nd;
  readonly mld: Mld;
  readonly advertiser: Advertiser;
  readonly watchers = new Set<LinkWatcher>();
  private readonly base: Foundation;
  private readonly up = new Set<Interface>();
  private readonly flow = new Flow();
  /** Interfaces that have joined routers' groups. */
  private readonly routing = new Set<Interface>();

  constructor(base: Foundation) {
    const { ctx, ip } = base;
    this.base = base;
    this.icmp = new Icmp6(ctx, ip);
    this.forward = new Forward6(ctx, ip, base.ethernet, this.icmp);
    this.reassembly = new Reassembly(ctx, fragmentFormat6(ctx, this.icmp), (index) => ip.interfaces.at(index)?.vrf ?? 0);
    this.input = new Ipv6(ctx, ip, this.icmp, this.forward, this.reassembly);
    this.selection = new SourceSelection(ip);
    this.sender = new NdSender(ctx, ip);
    this.dad = new Dad(ctx, this.sender, base.multicast, {
      claimed: (address, probed) => this.claimed(address, probed),
      duplicate: (address, mac) => this.duplicate(address, mac),
    });
    this.slaac = new Slaac(ctx, base.addresses);
    this.routers = new Routers(ctx, ip.routes);
    this.prefixes = new Prefixes(ctx, ip.routes);
    this.names = new NameService(ctx);
    this.solicitations = new RouterSolicitations(ctx, this.sender);
    this.advertisements = new Advertisements(this.routers, this.prefixes, this.slaac, this.names, this.solicitations, {
      changed: () => ip.routes.invalidate(),
      advertised: (iface, flags) => {
        for (const w of this.watchers) w.advertised?.(iface, flags);
      },
    });
    this.redirects = new RedirectTable(ctx, ip, this.sender);
    this.nd = new Nd(ctx, this.sender, this.dad, this.routers, this.advertisements, this.redirects, {
      unreachable: (_iface, packet) => this.unreachable(packet),
      conflict: (address, mac) => base.events.conflict(address, mac),
    });
    this.mld = new Mld(ctx, ip, base.multicast);
    this.advertiser = new Advertiser(ctx, this.sender);
    this.nd.router = this.advertiser;
    this.nd.anycast = this.input.anycast = this.icmp.anycast = (iface, target) => isRouter(iface) && isSubnetRouter(iface, target);
    this.icmp.nd = this.nd;
    this.icmp.mld = this.mld;
    this.forward.redirects = this.redirects;
    this.selection.fromNextHop = (address, destination) => this.isFromNextHop(address, destination);
    ip.v6 = new Output6(ctx, ip, base.ethernet, base.loopback, this.selection);
    base.addresses.nd = this.dad;
    base.demux.ipv6 = this.input;
    if (isEnabled(ip.loopback)) this.addLoopback();
    ctx.sysctl.onChange('net.ipv6.conf.all.forwarding', () => this.roleChanged());
    ctx.sysctl.onChange('net.ipv6.conf.all.disable_ipv6', () => this.enabledChanged());
    ctx.sysctl.onChange('net.ipv6.conf.all.mtu', () => this.mtuChanged());
  }

  /** An interface is new, or its carrier, device or MTU changed. */
  linkChanged(iface: Interface): void {
    this.setMtu(iface);
    if (iface.medium !== 'ethernet' || iface.bare) return;
    const running = iface.running && isEnabled(iface);
    if (running && !this.up.has(iface)) this.linkUp(iface);
    else if (!running && this.up.delete(iface)) this.linkDown(iface);
  }

  private linkUp(iface: Interface): void {
    this.up.add(iface);
    this.joinRouters(iface, isRouter(iface));
    this.mld.reports.announce(iface);
    this.dad.linkUp(iface);
    this.slaac.linkUp(iface);
    this.advertiser.changed(iface);
    for (const w of this.watchers) w.linkUp?.(iface);
  }

  /** The next link may be another network: what routers told is asked for anew, what is learned stays until its time. */
  private linkDown(iface: Interface): void {
    this.solicitations.end(iface);
    this.redirects.forget(iface);
  }

  /** The interface goes. Its addresses are still there. */
  forget(iface: Interface): void {
    this.up.delete(iface);
    this.solicitations.end(iface);
    this.redirects.forget(iface);
    this.advertiser.forget(iface);
    this.unlearn(iface);
    this.joinRouters(iface, false);
  }

  private unlearn(iface: Interface): void {
    this.routers.forget(iface);
    this.prefixes.forget(iface);
    this.slaac.forget(iface);
    this.names.forget(iface);
    iface.hopLimit = 0;
    iface.mtu6 = MTU6_MAX;
    this.setMtu(iface);
    if (iface.neighbors !== null) iface.neighbors.reachableMs6 = iface.neighbors.retransMs6 = 0;
  }

  /** Are advertisements to be believed on an interface? What was learned there goes when they are not. */
  setAutoconf(iface: Interface, on: boolean): void {
    if (iface.autoconf === on) return;
    this.base.ctx.touch();
    iface.autoconf = on;
    if (this.up.has(iface)) this.heed(iface);
    this.base.ctx.hyper.soon();
  }

  private heed(iface: Interface): void {
    if (this.advertisements.believes(iface)) {
      if (linkLocalOf(iface) !== null) this.solicitations.begin(iface);
      return;
    }
    this.solicitations.end(iface);
    this.unlearn(iface);
  }

  /** RFC 4861 §6.2.2, §6.2.5: a router listens to routers' groups and, unless told otherwise, to no advertisements. */
  private roleChanged(): void {
    this.base.ctx.touch();
    for (const iface of this.up) {
      if (this.routing.has(iface) === isRouter(iface)) continue;
      this.joinRouters(iface, isRouter(iface));
      if (isRouter(iface)) this.redirects.forget(iface);
      this.advertiser.changed(iface);
      this.heed(iface);
    }
  }

  private addLoopback(): void {
    this.base.addresses.add(this.base.ip.loopback, { address: new Address(0, 0, 0, 1), length: 128 }, 'loopback');
  }

  /** IPv6 on or off: an interface that loses it loses its addresses and what it learned; one that gains it begins anew. */
  private enabledChanged(): void {
    const { ctx, ip, addresses } = this.base;
    ctx.touch();
    for (const iface of ip.interfaces) {
      const has = iface.addresses.some((a) => !a.address.isV4);
      if (!isEnabled(iface)) {
        this.linkChanged(iface);
        this.unlearn(iface);
        for (const a of [...iface.addresses]) if (!a.address.isV4) addresses.remove(iface, a.address);
      } else if (iface === ip.loopback && !has) this.addLoopback();
      else this.linkChanged(iface);
    }
    ctx.hyper.soon();
  }

  private mtuChanged(): void {
    for (const iface of this.base.ip.interfaces) {
      iface.mtu6 = MTU6_MAX;
      this.setMtu(iface);
    }
    this.base.ip.routes.invalidate();
  }

  /** The tunable bounds IPv6 packets until a router tells otherwise. */
  private setMtu(iface: Interface): void {
    const { mtu } = iface.conf6;
    if (mtu >= MTU_MIN && mtu <= iface.mtu && iface.mtu6 === MTU6_MAX) iface.mtu6 = mtu;
  }

  private joinRouters(iface: Interface, join: boolean): void {
    if (join === this.routing.has(iface)) return;
    if (join) this.routing.add(iface);
    else this.routing.delete(iface);
    for (const group of ROUTER_GROUPS) {
      if (join) this.base.multicast.join(this, iface, group);
      else this.base.multicast.leave(this, iface, group);
    }
  }

  private claimed(address: InterfaceAddress, probed: boolean): void {
    this.base.ip.routes.invalidate();
    this.slaac.claimed(address);
    this.nd.announce(address);
    if (probed) this.base.events.claimed?.(address);
    if (probed && address.address.isLinkLocal) this.advertiser.changed(address.iface);
    if (probed && address.address.isLinkLocal) this.mld.reports.announce(address.iface); // routers heed only reports from it
    if (address.address.isLinkLocal && this.up.has(address.iface) && this.advertisements.believes(address.iface))
      this.solicitations.begin(address.iface);
  }

  private duplicate(address: InterfaceAddress, mac: string): void {
    this.base.ip.routes.invalidate();
    this.base.events.conflict(address, mac);
    this.slaac.duplicate(address);
    for (const w of this.watchers) w.duplicate?.(address);
  }

  /** A neighbour stopped answering or a router came back: NeighborOwner's event. */
  reachability(iface: Interface, neighbor: Neighbor): void {
    if (neighbor.address.isV4) return;
    this.routers.reachability(neighbor, iface);
    if (!neighbor.usable) this.redirects.lost(iface, neighbor.address);
  }

  /** The next hop did not answer: the sender is told, ours by its transport, another host by ICMPv6. Owns the packet. */
  private unreachable(packet: Packet): void {
    if (packet.inIndex === 0) this.base.ip.failed(packet, 'unreachable', Unreachable.Address, Errno.EHOSTUNREACH);
    else this.icmp.unreachable(packet, Unreachable.Address);
    this.base.ctx.drop(packet, Drop.NeighborFailed);
  }

  private isFromNextHop(address: InterfaceAddress, destination: Address): boolean {
    const { flow } = this;
    flow.destination.copy(destination);
    flow.outIndex = address.iface.index;
    flow.vrf = address.iface.vrf;
    const gateway = this.base.ip.routes.lookup(flow)?.gateway ?? null;
    return gateway !== null && this.slaac.isFrom(address, gateway);
  }

  /** Nothing waits any more: the stack closes. */
  purge(): void {
    this.reassembly.purge();
    this.nd.purge();
  }
}

const isEnabled = ({ conf6 }: Interface): boolean => conf6.disable_ipv6 === 0;
const isRouter = ({ conf6 }: Interface): boolean => conf6.forwarding !== 0;

/** Is the target the subnet-router anycast address of one of the interface's prefixes? RFC 4291 §2.6.1. */
function isSubnetRouter(iface: Interface, target: Address): boolean {
  for (const { address, length } of iface.addresses) {
    if (
      !address.isV4 &&
      !address.isLinkLocal &&
      length <= 64 &&
      target.w2 === 0 &&
      target.w3 === 0 &&
      samePrefix(address, target, length) &&
      maskAddress(target, length).equals(target)
    )
      return true;
  }
  return false;
}
