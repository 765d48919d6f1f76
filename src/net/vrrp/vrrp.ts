import { Address, v4 } from '../../base/address.js';
import { Drop } from '../../base/drops.js';
import { NetError } from '../../base/errors.js';
import { Checksum, type Packet, PacketFlag } from '../../base/packet.js';
import { NaFlag } from '../../wire/nd.js';
import { Protocol } from '../../wire/protocol.js';
import * as wire from '../../wire/vrrp.js';
import type { Context } from '../context.js';
import type { Interface, InterfaceAddress } from '../interface.js';
import type { Addresses } from '../ip/addresses.js';
import type { IpLayer } from '../ip/ip.js';
import type { Multicast } from '../ip/multicast.js';
import { Path } from '../ip/path.js';
import type { Transport } from '../ip/service.js';
import type { Family6 } from '../ipv6/family.js';
import { ALL_NODES } from '../ipv6/nd-sender.js';
import type { Ethernet } from '../link/link.js';
import { VirtualRouter, type VirtualRouterEvents, type VirtualRouterOptions } from './virtual-router.js';

/** 224.0.0.18 and ff02::12: RFC 9568 §5.1. */
const ALL_VRRP4 = v4(0xe0000012);
const ALL_VRRP6 = new Address(0xff020000, 0, 0, 0x12);
/** Virtual routers of one stack. */
const ROUTERS_MAX = 256;
/** Precedence of internetwork control. */
const CLASS = 0xc0;

/** What VRRP stands on. */
export interface VrrpGround {
  readonly ctx: Context;
  readonly ip: IpLayer;
  readonly addresses: Addresses;
  readonly multicast: Multicast;
  readonly ethernet: Ethernet;
  readonly v6: Family6;
}

/** VRRP version 3 for both families (RFC 9568): the virtual routers of one stack. */
export class Vrrp implements Transport, VirtualRouterEvents {
  private readonly ground: VrrpGround;
  private readonly routers: VirtualRouter[] = [];

  constructor(ground: VrrpGround) {
    this.ground = ground;
    ground.v6.advertiser.virtual = (iface) => this.speaker(iface);
  }

  /** Who advertises as a router on a link: see Advertiser.virtual. */
  private speaker(iface: Interface): Address | null | undefined {
    const here = this.routers.filter((r) => !r.v4 && r.iface === iface);
    return here.length === 0 ? undefined : (here.find((r) => r.state === 'active')?.options.addresses[0] ?? null);
  }

  get all(): readonly VirtualRouter[] {
    return this.routers;
  }

  /** NetError EINVAL on media without stations, EEXIST for a VRID that the interface has in this family, ENOBUFS at the bound. */
  add(iface: Interface, options: VirtualRouterOptions): VirtualRouter {
    const { ctx, ip, multicast } = this.ground;
    const router = new VirtualRouter(ctx, iface, options, this);
    const text = `${options.id}`;
    if (iface.medium !== 'ethernet') throw new NetError('EINVAL', 'vrrp', iface.name, undefined, 'a virtual router needs an Ethernet interface');
    if (this.find(iface, options.id, router.v4) !== null) throw new NetError('EEXIST', 'vrrp', text);
    if (this.routers.length >= ROUTERS_MAX) throw new NetError('ENOBUFS', 'vrrp', text);
    ctx.touch();
    multicast.join(router, iface, router.v4 ? ALL_VRRP4 : ALL_VRRP6);
    this.routers.push(router);
    ip.transports[Protocol.Vrrp] = this;
    if (iface.running) router.startup();
    ctx.soon();
    return router;
  }

  remove(router: VirtualRouter): void {
    const { ctx, ip, multicast } = this.ground;
    ctx.touch();
    router.shutdown();
    multicast.leave(router, router.iface, router.v4 ? ALL_VRRP4 : ALL_VRRP6);
    this.routers.splice(this.routers.indexOf(router), 1);
    if (this.routers.length === 0) ip.transports[Protocol.Vrrp] = null;
    ctx.soon();
  }

  /** The interface is about to go down: others need not wait to find out. */
  shutdown(iface: Interface): void {
    for (const router of this.routers) if (router.iface === iface) router.shutdown();
  }

  /** Carrier, device or administrative state of an interface have changed. */
  linkChanged(iface: Interface): void {
    for (const router of this.routers) {
      if (router.iface !== iface) continue;
      if (iface.running) router.startup();
      else router.shutdown();
    }
  }

  /** The interface goes. */
  forget(iface: Interface): void {
    for (const router of this.routers.filter((r) => r.iface === iface)) this.remove(router);
  }

  private find(iface: Interface, id: number, family4: boolean): VirtualRouter | null {
    return this.routers.find((r) => r.iface === iface && r.options.id === id && r.v4 === family4) ?? null;
  }

  input(packet: Packet): void {
    const reason = this.receive(packet);
    if (reason !== 0) this.ground.ctx.drop(packet, reason);
    else packet.release();
  }

  /** RFC 9568 §7.1. 0 or a drop reason. */
  private receive(packet: Packet): number {
    const { view, head, tail, source } = packet;
    if (packet.ttl !== wire.HOP_LIMIT) return Drop.VrrpNotLocal;
    const reason = wire.check(view, head, tail, source, packet.destination);
    if (reason !== 0) return reason;
    const iface = this.ground.ip.interfaces.at(packet.inIndex);
    const router = iface === null ? null : this.find(iface, wire.vrid(view, head), packet.family === 4);
    // The owner of the addresses yields to nobody.
    if (router === null || router.options.priority === wire.Priority.Owner) return Drop.VrrpUnknown;
    router.heard({ source, priority: wire.priority(view, head), interval: wire.interval(view, head) || router.options.interval });
    return 0;
  }

  /** An error about an advertisement: nobody waits for it. */
  error(): void {}

  primary({ iface, v4: family4 }: VirtualRouter): Address | null {
    const fits = ({ address, origin, state }: InterfaceAddress): boolean =>
      address.isV4 === family4 && (family4 || address.isLinkLocal) && origin !== 'vrrp' && state === 'preferred';
    return iface.addresses.find(fits)?.address ?? null;
  }

  /** From the virtual station, so that switches learn where it is: §7.3. */
  advertise(router: VirtualRouter, priority: number): void {
    const { ctx, ip, ethernet } = this.ground;
    const { iface, options, station } = router;
    const source = this.primary(router);
    const packet = source === null || !iface.running ? null : ctx.packet();
    if (source === null || packet === null) return;
    const destination = router.v4 ? ALL_VRRP4 : ALL_VRRP6;
    const ends = router.v4 && !options.pseudoHeader ? null : { source, destination };
    packet.tail = wire.put(packet.view, packet.head, options.id, priority, options.interval, options.addresses, ends);
    packet.source.copy(source);
    packet.destination.copy(destination);
    packet.protocol = Protocol.Vrrp;
    packet.ttl = wire.HOP_LIMIT;
    packet.trafficClass = CLASS;
    packet.checksum = Checksum.Verified;
    packet.flags |= PacketFlag.Looped;
    const path = new Path(iface, source.clone(), destination, null, iface.mtu, 'multicast', ip.routes.generation);
    path.flowLabel = 0;
    (router.v4 ? ip.v4 : ip.v6)?.header(packet, path);
    packet.outIndex = iface.index;
    if (ip.hooks.output !== null && !ip.hooks.output(packet, null, iface)) return;
    ethernet.outputFrom(station, iface, packet);
  }

  takeOver(router: VirtualRouter): void {
    const { ctx, addresses, v6 } = this.ground;
    const { iface, options, station } = router;
    ctx.hyper.log('info', `vrrp ${options.id} on ${iface.name}: active`);
    iface.stations = [...iface.stations, station];
    for (const address of options.addresses) {
      const own = iface.addresses.find((a) => a.address.equals(address));
      if (own !== undefined) addresses.moveTo(own, station);
      else addresses.add(iface, { address, length: address.isV4 ? 32 : 128 }, 'vrrp', false, { station, silent: !options.accept });
      if (!address.isV4) v6.sender.advertisement(iface, address, ALL_NODES, NaFlag.Router | NaFlag.Override);
    }
    if (!router.v4) v6.advertiser.changed(iface);
  }

  giveUp(router: VirtualRouter): void {
    const { ctx, addresses } = this.ground;
    const { iface, options, station } = router;
    ctx.hyper.log('info', `vrrp ${options.id} on ${iface.name}: no longer active`);
    for (const address of options.addresses) {
      const own = iface.addresses.find((a) => a.address.equals(address));
      if (own?.origin === 'vrrp') addresses.remove(iface, address);
      else if (own !== undefined) addresses.moveTo(own, null);
    }
    iface.stations = iface.stations.filter((s) => s !== station);
  }

  /** The stack ends. */
  close(): void {
    for (const router of [...this.routers]) this.remove(router);
  }
}
