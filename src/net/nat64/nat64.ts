// hot: bench/packet
import { Address, mixAddress, type Prefix, v4 } from '../../base/address.js';
import { Drop } from '../../base/drops.js';
import { Checksum, type Packet, PacketFlag } from '../../base/packet.js';
import { Offload } from '../../hyper/hypercalls.js';
import * as icmpv4 from '../../wire/icmpv4.js';
import * as icmpv6 from '../../wire/icmpv6.js';
import * as ipv4 from '../../wire/ipv4.js';
import * as ipv6 from '../../wire/ipv6.js';
import { Protocol } from '../../wire/protocol.js';
import type { Context } from '../context.js';
import { type Connection, TrackState } from '../filter/connection.js';
import { Conntrack } from '../filter/conntrack.js';
import type { FilterRoads } from '../filter/filter.js';
import { type Filtering, Nat } from '../filter/nat.js';
import { Kind, Quoted, readQuoted, readTuple, Tuple } from '../filter/tuple.js';
import type { Interface } from '../interface.js';
import { fragment6, Identifications } from '../ipv6/fragment.js';
import { StackedDevice } from '../stacked/stacked-device.js';
import type { AddressMap } from './address-map.js';
import { isHost4, type Prefix64 } from './prefix.js';
import { track64 } from './tcp-state.js';
import { protocolIn, toIpv4, toIpv6 } from './translate.js';
import { translateError } from './translate-error.js';

/** External addresses of one translator, however its pool is written. */
export const POOL_MAX = 65_536;

/** How a translator translates. */
export interface Nat64Options {
  /** Behind it stand IPv4 hosts. */
  readonly prefix: Prefix64;
  /** External addresses that IPv6 hosts share; may be empty. */
  readonly pool: readonly Prefix[];
  /** IPv6 hosts that have an IPv4 address each. */
  readonly maps: AddressMap;
  /** RFC 6146 §1.2.3: who reaches a mapping from outside. */
  readonly filtering: Filtering;
}

/**
 * A translator between the families, as an interface that packets are routed into and come out of in the other family: stateful for hosts that share the
 * pool (RFC 6146), stateless for those with an address of their own (RFC 7757). Routing, filters, hop limits and path MTUs on both sides are those
 * of any interface. A mapping is the NAT's, a session a connection whose two directions are of two families.
 *
 * ```
 *   IPv6 host ─ forward ─▶ output ─ six() ─▶ iface.input ─ forward ─▶ IPv4 host
 *             ◀─ forward ─ iface.input ◀─ four() ─ output ◀─ forward ─
 * ```
 */
export class Nat64Device extends StackedDevice {
  readonly kind = 'nat64';
  readonly medium = 'ip';
  readonly mac: Uint8Array = new Uint8Array(6);
  /** Above any packet: what is too long for the link behind is told by whoever forwards it there. */
  readonly mtu = 65_535;
  readonly offloads = Offload.TxChecksum | Offload.Tso4 | Offload.Tso6 | Offload.Uso;
  readonly options: Nat64Options;
  readonly sessions: Conntrack;
  readonly nat: Nat;
  private readonly ctx: Context;
  private readonly roads: FilterRoads;
  private readonly ids: Identifications;
  private readonly addresses: number;
  /** The packet's ends as they are, and as they become. */
  private readonly from = new Tuple();
  private readonly to = new Tuple();
  private readonly host4 = new Address();
  private readonly quoted = new Tuple();
  private readonly places = new Quoted();
  private closed = false;

  constructor(ctx: Context, roads: FilterRoads, options: Nat64Options) {
    super();
    this.ctx = ctx;
    this.roads = roads;
    this.options = options;
    this.sessions = new Conntrack(ctx, track64);
    this.nat = new Nat(ctx, this.sessions);
    this.nat.filtering = options.filtering;
    this.ids = new Identifications(ctx);
    this.addresses = options.pool.reduce((n, { length }) => n + 2 ** (32 - length), 0);
  }

  get carrier(): boolean {
    return !this.closed;
  }

  output(given: Packet): void {
    const { ctx } = this;
    if (given.depth >= ctx.sysctl.v['anystack.depth_max']) {
      ctx.drop(given, Drop.IpLoop);
      return;
    }
    const whole = this.isWhole(given) ? given : this.roads.whole(given);
    const packet = whole === null ? null : ctx.unshare(whole);
    if (packet === null) return;
    const reason = packet.family === 6 ? this.six(packet) : this.four(packet);
    if (reason === 0) return;
    if (reason === Drop.Nat64Unsupported || reason === Drop.Nat64NoSession || reason === Drop.NatNoPort)
      this.roads.unreachable(packet, reason === Drop.Nat64Unsupported);
    ctx.drop(packet, reason);
  }

  /** Ports are in the first fragment only, and extension headers stay behind. */
  private isWhole({ family, flags, view, network }: Packet): boolean {
    return family === 6 ? (flags & PacketFlag.Options) === 0 : !ipv4.isFragment(view, network);
  }

  /** From IPv6. 0: the packet is taken; else why it is to be dropped. RFC 6146 §3.5. */
  private six(packet: Packet): number {
    const { prefix, maps } = this.options;
    const kind = this.read(packet);
    if (kind < 0) return -kind;
    // A source that is itself a translated host: the packet has come round, or is forged (RFC 6146 §3.5).
    if (prefix.holds(packet.source) || packet.source.isLinkLocal) return Drop.Nat64BadAddress;
    if (!this.farOf(packet.destination)) return Drop.Nat64BadAddress;
    if (
      maps.all.length > 0 &&
      (kind === Kind.Error ? maps.toIpv4(this.quoted.destination, this.to.destination) : maps.toIpv4(packet.source, this.to.source))
    )
      return this.stateless(packet, kind);
    if (this.addresses === 0) return Drop.Nat64BadAddress;
    const session = this.session(packet, kind);
    if (session === null) return Drop.Nat64NoSession;
    if (typeof session === 'number') return session;
    if (session.confirmed) return this.pass(packet, session, kind);
    this.nat.destination(session, this.host4, undefined);
    session.reply.protocol = protocolIn(4, packet.protocol);
    if (!this.bind(session)) return Drop.NatNoPort;
    return this.confirm(packet, session);
  }

  /** From IPv4. */
  private four(packet: Packet): number {
    const { maps } = this.options;
    const kind = this.read(packet);
    if (kind < 0) return -kind;
    if (maps.all.length > 0 && maps.toIpv6(packet.destination, this.to.destination)) return this.stateless(packet, kind);
    const session = this.session(packet, kind);
    if (session === null) return Drop.Nat64NoSession;
    if (typeof session === 'number') return session;
    if (session.confirmed) return this.pass(packet, session, kind);
    const { original, reply } = session;
    if (!this.options.prefix.mayHold(original.source)) return Drop.Nat64BadAddress;
    if (!this.nat.inbound(session, this.pooled(original.source))) return Drop.Nat64NoSession;
    this.options.prefix.embed(original.source, reply.destination);
    reply.protocol = protocolIn(6, packet.protocol);
    return this.confirm(packet, session);
  }

  /** Fills `from`, and of an error `quoted` and `places`. Kind.Flow or Kind.Error; minus a drop reason for what has no counterpart. */
  private read(packet: Packet): number {
    const { protocol, view, transport, tail } = packet;
    const icmp = protocol === (packet.family === 4 ? Protocol.Icmp : Protocol.Icmpv6);
    if (!icmp && protocol !== Protocol.Tcp && protocol !== Protocol.Udp) return -Drop.Nat64Unsupported;
    const kind = readTuple(packet, this.vrf, this.from);
    if (kind === Kind.Malformed) return -Drop.IpTruncated;
    if (!icmp) return kind;
    if (kind === Kind.Flow) return isQuery(packet.family, view.getUint8(transport)) ? kind : -Drop.IcmpUnknownType;
    // Its checksum is made anew, so it is to be right.
    const right =
      packet.family === 4 ? icmpv4.check(view, transport, tail) === 0 : icmpv6.verify(view, transport, tail, packet.source, packet.destination);
    if (!right && packet.checksum === Checksum.Unverified) return -Drop.IcmpBadChecksum;
    return readQuoted(packet, this.vrf, this.quoted, this.places) === Kind.Flow ? kind : -Drop.IcmpErrorUnmatched;
  }

  private get vrf(): number {
    return (this.iface as Interface).vrf;
  }

  /** The IPv4 host behind an IPv6 address, into `host4`: by a map, or by the prefix. */
  private farOf(a: Address): boolean {
    const { prefix, maps } = this.options;
    if (maps.all.length > 0 && maps.toIpv4(a, this.host4)) return true;
    return prefix.extract(a, this.host4) && isHost4(this.host4) && prefix.mayHold(this.host4);
  }

  /** The packet's session, perhaps a new one; null for none, or a drop reason. */
  private session(packet: Packet, kind: number): Connection | number | null {
    packet.track = null;
    const reason = this.sessions.input(packet, this.vrf);
    if (reason !== 0) return reason;
    const session = packet.track as Connection | null;
    return session === null && kind === Kind.Error ? Drop.IcmpErrorUnmatched : session;
  }

  /** Gives a new session its mapping: one external address for all flows of a host (RFC 4787 REQ-2), another one only when that has no port left. */
  private bind(session: Connection): boolean {
    const kept = this.nat.external(session);
    if (kept !== null) return this.nat.source(session, kept, undefined);
    const first = mixAddress(this.ctx.secret[0] as number, session.original.source) >>> 0;
    for (let i = 0; i < Math.min(this.addresses, 4); i++)
      if (this.nat.source(session, this.address((first + i) % this.addresses), undefined)) return true;
    return false;
  }

  /** The n-th address of the pool. */
  private address(n: number): Address {
    for (const { address, length } of this.options.pool) {
      const size = 2 ** (32 - length);
      if (n < size) return v4((address.w3 + n) | 0);
      n -= size;
    }
    return v4(0);
  }

  private pooled({ w3 }: Address): boolean {
    return this.options.pool.some(({ address, length }) => length === 0 || (address.w3 ^ w3) >>> (32 - length) === 0);
  }

  private confirm(packet: Packet, session: Connection): number {
    if (this.sessions.confirm(session)) return this.pass(packet, session, Kind.Flow);
    this.nat.abandon(session);
    return Drop.NatNoPort;
  }

  /** By its session into the other family. */
  private pass(packet: Packet, session: Connection, kind: number): number {
    const reply = (packet.trackState & TrackState.Reply) !== 0;
    const across = reply ? session.original : session.reply;
    if (kind === Kind.Error) return this.error(packet, across);
    this.to.invert(across);
    return this.translate(packet);
  }

  /** Both ends each by itself: a map's, or the prefix's. */
  private stateless(packet: Packet, kind: number): number {
    const { to, from, quoted } = this;
    const family = packet.family === 6 ? 4 : 6;
    const read = kind === Kind.Error ? quoted : from;
    to.copy(read);
    to.protocol = protocolIn(family, read.protocol);
    if (!this.across(read.source, to.source) || !this.across(read.destination, to.destination)) return Drop.Nat64BadAddress;
    return kind === Kind.Error ? this.error(packet, to) : this.translate(packet);
  }

  private across(a: Address, into: Address): boolean {
    const { prefix, maps } = this.options;
    if (!a.isV4) {
      if (!this.farOf(a)) return false;
      into.copy(this.host4);
      return true;
    }
    if (maps.toIpv6(a, into)) return true;
    if (!prefix.mayHold(a)) return false;
    prefix.embed(a, into);
    return true;
  }

  private translate(packet: Packet): number {
    const { ctx, from, to } = this;
    if (packet.family === 6) {
      toIpv4(packet, from, to, ctx.prng.below(0x10000));
      this.enter(packet);
      return 0;
    }
    const free = (packet.flags & (PacketFlag.DontFragment | PacketFlag.Reassembled)) !== PacketFlag.DontFragment;
    const plain = packet.gsoType === 0;
    const now = toIpv6(ctx, packet, from, to);
    if (now === null) return 0;
    // RFC 7915 §4: what its sender would have had cut is cut here, to what every link takes.
    if (free && plain && now.length > ipv6.MTU_MIN)
      fragment6(ctx, now, ipv6.MTU_MIN, this.ids.next(now), now.network + ipv6.NEXT_HEADER, (piece) => this.enter(piece));
    else this.enter(now);
    return 0;
  }

  /** `across`: the ends of the packet that the error quotes, in the other family. */
  private error(given: Packet, across: Tuple): number {
    const { prefix, pool } = this.options;
    const source = this.host4;
    // A router's address tells where the packet met its end. One that has no counterpart is shown as the pool's (RFC 6791 §3), or as the far end's.
    if (given.family === 4) {
      if (prefix.mayHold(given.source)) prefix.embed(given.source, source);
      else source.copy(across.destination);
    } else if (!this.farOf(given.source)) source.copy(pool.length > 0 ? this.address(0) : across.destination);
    const packet = translateError(this.ctx, { packet: given, quoted: this.quoted, places: this.places, inner: across, source });
    if (packet === null) return Drop.Nat64Unsupported;
    given.release();
    this.enter(packet);
    return 0;
  }

  /** Comes up by the interface, as if from a wire. */
  private enter(packet: Packet): void {
    const { observer } = this.ctx;
    const iface = this.iface as Interface;
    if (observer.verdict !== null) observer.verdict(packet, 'nat64', iface.name);
    packet.depth++;
    packet.flags = packet.family = packet.protocol = packet.spi = 0;
    packet.sourcePort = packet.destinationPort = 0;
    packet.track = null;
    packet.trackState = 0;
    packet.vlan = packet.link = packet.network = packet.transport = -1;
    iface.input(packet);
  }

  standsOn(_lower: Interface): boolean {
    return false;
  }

  lowerChanged(_lower: Interface): void {}

  lowerGone(_lower: Interface): void {}

  override close(): void {
    super.close();
    this.closed = true;
    this.sessions.flush();
    this.sessions.stop();
  }
}

/** Echo: the only messages that both families have and that are no errors. */
const isQuery = (family: number, type: number): boolean =>
  family === 4 ? type === icmpv4.Type.Echo || type === icmpv4.Type.EchoReply : type === icmpv6.Type.Echo || type === icmpv6.Type.EchoReply;
