import type { Address } from '../../base/address.js';
import { Drop } from '../../base/drops.js';
import { NetError } from '../../base/errors.js';
import { type Packet, PacketFlag, share } from '../../base/packet.js';
import * as ipv4 from '../../wire/ipv4.js';
import * as ipv6 from '../../wire/ipv6.js';
import { Protocol } from '../../wire/protocol.js';
import type { Context } from '../context.js';
import { Counter } from '../counters.js';
import type { Interface } from '../interface.js';
import { type GroupForwarder, GroupVerdict, type IpLayer } from '../ip/ip.js';
import type { Group, Multicast } from '../ip/multicast.js';
import { Path } from '../ip/path.js';
import type { Igmp } from '../ipv4/igmp.js';
import type { Mld } from '../ipv6/mld.js';
import { Scope } from '../ipv6/scope.js';
import type { Membership } from './membership.js';
import { type GroupTiming, Querier, type QuerierEvents } from './querier.js';

/** Flows whose ways are remembered; past it all are found anew. */
const WAYS_MAX = 4_096;

/** How the proxy is set. */
export interface ProxyOptions {
  /** Towards the senders: where this node is a listener. */
  readonly upstream: Interface;
  /** Towards the listeners: where this node is a router. */
  readonly downstreams: readonly Interface[];
  readonly timing: GroupTiming;
}

/** What the proxy stands on. */
export interface ProxyGround {
  readonly ctx: Context;
  readonly ip: IpLayer;
  readonly multicast: Multicast;
  readonly igmp: Igmp;
  readonly mld: Mld;
}

/** Where the packets of one source to one group go. */
interface Way {
  readonly out: readonly Interface[];
  readonly deliver: boolean;
}

/**
 * Forwards multicast by what listeners say, without a routing protocol: an IGMP and MLD proxy (RFC 4605). Downstream it asks as a router, upstream it
 * speaks as one listener for all; the merge is that of any node's own groups, each downstream membership being one of its members.
 *
 * ```
 *   senders ── upstream: GroupReports ◀── Multicast.listen ◀── Membership ── Querier: downstream ── listeners
 * ```
 */
export class MulticastProxy implements QuerierEvents, GroupForwarder {
  readonly options: ProxyOptions;
  readonly queriers: readonly Querier[];
  private readonly ground: ProxyGround;
  private readonly ways = new Map<string, Way>();
  private readonly joined = new Set<Membership>();

  /** NetError EINVAL for an interface in both parts, or in one twice. */
  constructor(ground: ProxyGround, options: ProxyOptions) {
    this.ground = ground;
    this.options = options;
    const { ctx, igmp, mld, multicast } = ground;
    const all = [options.upstream, ...options.downstreams];
    if (new Set(all).size !== all.length) throw new NetError('EINVAL', 'multicast', options.upstream.name, undefined, 'each interface has one part');
    ctx.touch();
    this.queriers = options.downstreams.flatMap((iface) => [
      new Querier(ctx, iface, true, igmp, options.timing, this),
      new Querier(ctx, iface, false, mld, options.timing, this),
    ]);
    igmp.querier = (iface) => this.querier(iface, true);
    mld.querier = (iface) => this.querier(iface, false);
    multicast.changedOn = () => this.ways.clear();
    ground.ip.groups = this;
    ctx.soon();
  }

  private querier(iface: Interface, v4: boolean): Querier | null {
    return this.queriers.find((q) => q.iface === iface && q.v4 === v4) ?? null;
  }

  /** A membership downstream is one upstream: RFC 4605 §4.1. */
  changed(_querier: Querier, membership: Membership): void {
    const { multicast, ctx } = this.ground;
    const { upstream } = this.options;
    this.ways.clear();
    if (membership.over) this.joined.delete(membership);
    else this.joined.add(membership);
    const error = multicast.listen(membership, upstream, membership.group, membership.mode, membership.list(ctx.now));
    if (error !== 0) ctx.hyper.log('warn', `multicast: ${upstream.name} has as many groups as it may; ${membership.group} is not asked for`);
  }

  elected({ iface, v4, active }: Querier): void {
    this.ways.clear();
    this.ground.ctx.hyper.log('info', `multicast: ${iface.name} ${v4 ? 'IGMP' : 'MLD'} ${active ? 'asks' : 'leaves the asking to another router'}`);
  }

  forward(iface: Interface, packet: Packet, heard: boolean): number {
    if (packet.protocol === Protocol.Igmp || isMld(packet))
      return heard || this.querier(iface, packet.family === 4) !== null ? GroupVerdict.Deliver : GroupVerdict.None;
    const part = iface === this.options.upstream || this.options.downstreams.includes(iface);
    if (!part || packet.flags & PacketFlag.Looped || confined(packet.destination)) return heard ? GroupVerdict.Deliver : GroupVerdict.None;
    const way = this.wayOf(iface, packet);
    if (way.out.length > 0) {
      // Silence for the dead: errors about groups are not sent (RFC 1122 §3.2.2).
      if (packet.ttl <= 1) this.ground.ctx.countDrop(Drop.IpTtlExceeded);
      else for (const out of way.out) this.copy(iface, packet, out);
    }
    return way.deliver ? GroupVerdict.Deliver : way.out.length > 0 ? GroupVerdict.Gone : GroupVerdict.None;
  }

  private wayOf(iface: Interface, { source, destination }: Packet): Way {
    const key = `${iface.index} ${source} ${destination}`;
    let way = this.ways.get(key);
    if (way === undefined) {
      if (this.ways.size >= WAYS_MAX) this.ways.clear();
      way = this.find(iface, source, destination);
      this.ways.set(key, way);
    }
    return way;
  }

  /** RFC 4605 §4.2, §4.3: down where it is wanted and this node asks, up always, and never back. */
  private find(iface: Interface, source: Address, destination: Address): Way {
    const { upstream } = this.options;
    const { multicast, ctx } = this.ground;
    const v4 = destination.isV4;
    const wanting = this.queriers.filter(
      (q) => q.v4 === v4 && q.iface !== iface && q.active && (q.groups.get(`${destination}`)?.admits(source, ctx.now) ?? false),
    );
    const out = wanting.map((q) => q.iface);
    if (iface !== upstream) out.push(upstream);
    const group = multicast.find(iface, destination);
    return { out, deliver: group !== null && this.isOurs(group, source) };
  }

  /** Somebody here listens, not only those downstream. */
  private isOurs({ members }: Group, source: Address): boolean {
    for (const [owner, filter] of members) if (!this.joined.has(owner as Membership) && filter.admits(source)) return true;
    return false;
  }

  private copy(iface: Interface, packet: Packet, out: Interface): void {
    const { ctx, ip } = this.ground;
    const twin = share(packet);
    const copy = twin === null ? null : ctx.unshare(twin);
    if (copy === null) {
      if (twin === null) ctx.countDrop(Drop.NoBuffer);
      return;
    }
    const { hooks } = ip;
    const v4 = copy.family === 4;
    copy.flags = (copy.flags & ~(PacketFlag.LinkMulticast | PacketFlag.LinkBroadcast)) | PacketFlag.Forwarded | PacketFlag.Looped;
    copy.outIndex = out.index;
    if (hooks.verify !== null && !hooks.verify(copy, iface, out)) return;
    if (hooks.forward !== null && !hooks.forward(copy, iface, out)) return;
    copy.ttl--;
    if (v4) ipv4.decrementTtl(copy.view, copy.network);
    else ipv6.setHopLimit(copy.view, copy.network, copy.ttl);
    ctx.counters.count(v4 ? Counter.IpForwDatagrams : Counter.Ip6OutForwDatagrams);
    const mtu = v4 ? out.mtu : Math.min(out.mtu, out.mtu6);
    const path = new Path(out, copy.source.clone(), copy.destination.clone(), null, mtu, 'multicast', ip.routes.generation);
    if (hooks.postrouting !== null && !hooks.postrouting(copy, iface, out)) return;
    (v4 ? ip.v4 : ip.v6)?.leave(copy, path);
  }

  /** One of the interfaces goes. */
  uses(iface: Interface): boolean {
    return iface === this.options.upstream || this.options.downstreams.includes(iface);
  }

  /** No timer is left, and upstream nobody listens for others any more. */
  close(): void {
    const { igmp, mld, multicast, ip } = this.ground;
    ip.groups = null;
    for (const querier of this.queriers) querier.stop();
    for (const membership of this.joined) multicast.leave(membership, this.options.upstream, membership.group);
    this.joined.clear();
    igmp.querier = mld.querier = () => null;
    multicast.changedOn = null;
  }
}

/** 224.0.0.0/24, and what IPv6 confines to the link or the node: RFC 5771 §4, RFC 4291 §2.7. */
export const confined = (group: Address): boolean => (group.isV4 ? group.w3 >>> 8 === 0xe00000 : ((group.w0 >>> 16) & 15) <= Scope.LinkLocal);

const isMld = ({ family, protocol, view, transport, tail }: Packet): boolean => {
  if (family !== 6 || protocol !== Protocol.Icmpv6 || transport >= tail) return false;
  const kind = view.getUint8(transport);
  return (kind >= 130 && kind <= 132) || kind === 143;
};
