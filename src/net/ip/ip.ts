import type { Address } from '../../base/address.js';
import { Errno } from '../../base/errors.js';
import type { Packet } from '../../base/packet.js';
import type { Context } from '../context.js';
import type { Interface, InterfaceAddress } from '../interface.js';
import type { Interfaces } from '../interfaces.js';
import { describeRoute } from './explain.js';
import { Hooks } from './hooks.js';
import { Locals } from './locals.js';
import { type Cast, type Flow, Path } from './path.js';
import { PathMtu } from './path-mtu.js';
import { Routes } from './routes.js';
import type { IcmpError, Ip, Transport } from './service.js';

/** A family's way down. Owns the packet. */
export interface FamilyOutput {
  /** head at the transport header: `header`, then `depart`. */
  output(packet: Packet, path: Path): void;
  /** Puts the IP header in front of head. The packet stays the caller's. */
  header(packet: Packet, path: Path): void;
  /** A complete packet of our own, head at its IP header: from the output filter on. */
  depart(packet: Packet, path: Path): void;
  /** The same behind filters and policies: fragments and the link. */
  leave(packet: Packet, path: Path): void;
  /** The source address for a new flow out of `iface` to `nextHop` and `destination`; null when it has none. */
  source(iface: Interface, destination: Address, nextHop: Address): InterfaceAddress | null;
}

/** Raw sockets: they see what is delivered, in a copy. */
export interface RawTap {
  /** True when a raw socket takes the protocol, so that no protocol-unreachable is due. Does not own the packet. */
  deliver(packet: Packet): boolean;
  error(error: IcmpError): void;
}

/** What becomes of a packet to a group, besides the copies that were forwarded. */
export const GroupVerdict = {
  /** Nobody wanted it. */
  None: 0,
  /** It has gone on, and nobody here wants it. */
  Gone: 1,
  /** It is for this node too. */
  Deliver: 2,
} as const;

/** Forwards packets to groups. */
export interface GroupForwarder {
  /** Sends copies of a checked packet, head at its IP header, to who wants them; the packet stays the caller's. `heard`: the interface listens. A GroupVerdict. */
  forward(iface: Interface, packet: Packet, heard: boolean): number;
}

/** What both families share: protocols, our addresses, routes, paths. */
export class IpLayer implements Ip {
  readonly ctx: Context;
  readonly interfaces: Interfaces;
  readonly routes: Routes;
  readonly locals = new Locals();
  readonly pathMtu: PathMtu;
  readonly hooks = new Hooks();
  readonly transports: (Transport | null)[] = new Array<Transport | null>(256).fill(null);
  raw: RawTap | null = null;
  /** Null: groups end here. */
  groups: GroupForwarder | null = null;
  v4: FamilyOutput | null = null;
  v6: FamilyOutput | null = null;
  /** The interface of packets to ourselves. */
  readonly loopback: Interface;

  constructor(ctx: Context, interfaces: Interfaces, loopback: Interface) {
    this.ctx = ctx;
    this.interfaces = interfaces;
    this.loopback = loopback;
    this.routes = new Routes(interfaces, ctx.sysctl.v['anystack.fib_wide'] !== 0 ? 24 : 16);
    this.pathMtu = new PathMtu(ctx, () => this.routes.invalidate());
  }

  register(protocol: number, transport: Transport): void {
    this.transports[protocol] = transport;
  }

  vrfOf(inIndex: number): number {
    return this.interfaces.at(inIndex)?.vrf ?? 0;
  }

  valid(path: Path): boolean {
    return path.generation === this.routes.generation;
  }

  output(packet: Packet, path: Path): void {
    const family = packet.family === 6 ? this.v6 : this.v4;
    (family as FamilyOutput).output(packet, path);
  }

  isLocal(address: Address, vrf: number): boolean {
    return this.local(address, vrf, 0) !== null;
  }

  /** Our address, usable: not tentative, not duplicate. All of 127/8 is the loopback's (RFC 1122 §3.2.1.3). */
  local(address: Address, vrf: number, index: number): InterfaceAddress | null {
    const entry = this.locals.find(address, vrf, index);
    if (entry !== null) return entry.state === 'tentative' || entry.state === 'duplicate' ? null : entry;
    if (address.w3 >>> 24 === 127 && address.isV4 && (index === 0 || index === this.loopback.index)) return this.loopback.addresses[0] ?? null;
    return null;
  }

  /** A packet to a group has come: copies go on where they are wanted. A GroupVerdict. */
  group(iface: Interface, packet: Packet, heard: boolean): number {
    if (this.groups !== null) return this.groups.forward(iface, packet, heard);
    return heard ? GroupVerdict.Deliver : GroupVerdict.None;
  }

  /** One line on where a flow goes and why. */
  explain(flow: Flow): string {
    return describeRoute(this.routes.explain(flow), (index) => this.interfaces.at(index)?.name ?? String(index));
  }

  learnMtu(destination: Address, inIndex: number, mtu: number): void {
    const vrf = this.interfaces.at(inIndex)?.vrf ?? 0;
    if (this.pathMtu.lower(destination, vrf, mtu)) this.routes.invalidate();
  }

  confirm(path: Path): void {
    if (path.neighbor !== null) path.neighbor.table.confirm(path.neighbor);
  }

  suspect(path: Path): void {
    if (path.neighbor !== null) path.neighbor.table.suspect(path.neighbor);
  }

  path(flow: Flow): Path | number {
    const { destination } = flow;
    if (destination.isUnspecified) return -Errno.EINVAL;
    const given = flow.source.isUnspecified ? null : flow.source;
    if (given !== null && given.isV4 !== destination.isV4) return -Errno.ENETUNREACH;
    const own = given === null ? null : this.local(given, flow.vrf, isScoped(given) ? flow.outIndex : 0);
    if (given !== null && own === null) return -Errno.EADDRNOTAVAIL;
    if (destination.isMulticast || destination.isLimitedBroadcast) return this.groupPath(flow, given);
    // A link-local address means nothing without its link: the zone given, or that of the source (RFC 4007 §6).
    const scoped = isScoped(destination);
    const zone = flow.outIndex === 0 && scoped && own !== null && isScoped(own.address) ? own.iface.index : flow.outIndex;
    if (scoped && zone === 0) return -Errno.EINVAL;
    if (this.local(destination, flow.vrf, scoped && zone !== this.loopback.index ? zone : 0) !== null) return this.localPath(destination, given);
    const asked = flow.outIndex;
    flow.outIndex = zone;
    const route = this.routes.lookup(flow);
    flow.outIndex = asked;
    if (route === null) return -Errno.ENETUNREACH;
    if (route.type === 'blackhole') return -Errno.EINVAL;
    if (route.type === 'prohibit') return -Errno.EACCES;
    if (route.type === 'unreachable') return -Errno.EHOSTUNREACH;
    const iface = this.interfaces.at(route.index) as Interface;
    if (isSubnetBroadcast(iface, destination))
      return this.make(iface, given ?? this.sourceOf(iface, destination, destination), destination, 'broadcast', route.mtu);
    const nextHop = route.gateway ?? destination;
    const mtu = Math.min(route.mtu || 65_535, this.pathMtu.get(destination, flow.vrf), iface.mtu);
    const source = given ?? route.source ?? this.sourceOf(iface, destination, nextHop);
    const room = this.hooks.room === null || source === null ? mtu : this.hooks.room(flow, source, iface, mtu);
    return this.make(iface, source, nextHop, 'unicast', room);
  }

  private groupPath(flow: Flow, given: Address | null): Path | number {
    const { destination } = flow;
    const cast: Cast = destination.isMulticast ? 'multicast' : 'broadcast';
    const bound = given === null ? null : this.local(given, flow.vrf, 0);
    const index = flow.outIndex || bound?.iface.index || this.routes.lookup(flow)?.index || this.firstRunning(flow.vrf);
    const iface = this.interfaces.at(index);
    if (iface === null || !iface.running) return -Errno.ENETUNREACH;
    const mtu = destination.isV4 ? 65_535 : this.pathMtu.get(destination, flow.vrf); // RFC 8201 §5.1: groups have path MTUs too
    return this.make(iface, given ?? this.sourceOf(iface, destination, destination), destination, cast, mtu);
  }

  private firstRunning(vrf: number): number {
    for (const iface of this.interfaces) if (iface !== this.loopback && iface.running && iface.vrf === vrf && !iface.bare) return iface.index;
    return this.loopback.index;
  }

  private localPath(destination: Address, given: Address | null): Path {
    return new Path(this.loopback, (given ?? destination).clone(), destination.clone(), null, this.loopback.mtu, 'local', this.routes.generation);
  }

  private sourceOf(iface: Interface, destination: Address, nextHop: Address): Address | null {
    const family = destination.isV4 ? this.v4 : this.v6;
    return family?.source(iface, destination, nextHop)?.address ?? null;
  }

  private make(iface: Interface, source: Address | null, nextHop: Address, cast: Cast, mtu: number): Path | number {
    if (source === null) return -Errno.EADDRNOTAVAIL;
    const neighbor = cast === 'unicast' ? (iface.neighbors?.obtain(nextHop) ?? null) : null;
    if (cast === 'unicast' && iface.neighbors !== null && neighbor === null) return -Errno.ENOBUFS;
    const most = nextHop.isV4 ? iface.mtu : Math.min(iface.mtu, iface.mtu6);
    return new Path(iface, source.clone(), nextHop.clone(), neighbor, Math.min(mtu || 65_535, most), cast, this.routes.generation);
  }

  /** A network-layer failure of a packet of our own, told to its transport as if an ICMP error had come. `packet.head` at the network header. */
  failed(packet: Packet, kind: IcmpError['kind'], code: number, errno: number, mtu = 0): void {
    const transport = this.transports[packet.protocol];
    if (transport === null || transport === undefined || packet.transport < 0) return;
    transport.error({
      family: packet.family,
      kind,
      code,
      errno,
      hard: false,
      mtu,
      from: packet.source,
      inIndex: packet.outIndex,
      source: packet.source,
      destination: packet.destination,
      protocol: packet.protocol,
      sourcePort: packet.sourcePort,
      destinationPort: packet.destinationPort,
      view: packet.view,
      at: packet.transport,
      end: packet.tail,
    });
  }
}

/** A unicast address that needs its interface named. RFC 4007 §6. */
const isScoped = (address: Address): boolean => address.isLinkLocal && !address.isV4;

/** The all-ones address of one of the interface's IPv4 subnets. */
export function isSubnetBroadcast(iface: Interface, address: Address): boolean {
  if (!address.isV4) return false;
  for (const a of iface.addresses) if (a.broadcast !== 0 && a.broadcast === address.w3) return true;
  return false;
}
