import { Address } from '../../base/address.js';
import { Drop } from '../../base/drops.js';
import { Errno, type ErrnoName } from '../../base/errors.js';
import { Checksum, type Packet, PacketFlag } from '../../base/packet.js';
import { TokenBucket } from '../../base/token-bucket.js';
import * as wire from '../../wire/icmpv6.js';
import * as ipv6 from '../../wire/ipv6.js';
import { Protocol } from '../../wire/protocol.js';
import type { Context } from '../context.js';
import { Counter } from '../counters.js';
import type { Interface } from '../interface.js';
import type { IpLayer } from '../ip/ip.js';
import { Flow } from '../ip/path.js';
import type { IcmpError, Transport } from '../ip/service.js';

/** Errno and hardness by code of destination unreachable: Linux's icmpv6_err_convert. */
const unreachables: readonly (readonly [ErrnoName, boolean])[] = [
  ['ENETUNREACH', false],
  ['EACCES', true],
  ['EHOSTUNREACH', false],
  ['EHOSTUNREACH', false],
  ['ECONNREFUSED', true],
  ['EACCES', true],
  ['EACCES', true],
];

/** A protocol within ICMPv6: neighbour discovery, group membership. Owns the packet, head at the message, whose checksum is right. */
export interface Messages {
  input(iface: Interface, packet: Packet): void;
}

/** ICMPv6 (RFC 4443): echo, errors in and out, and the door to neighbour discovery and group membership. */
export class Icmp6 implements Transport {
  private readonly ctx: Context;
  private readonly ip: IpLayer;
  private readonly errors: TokenBucket;
  private readonly echoes: TokenBucket;
  private readonly flow = new Flow();
  private readonly from = new Address();
  private readonly quotedSource = new Address();
  private readonly quotedDestination = new Address();
  private readonly chain = new ipv6.Chain();
  /** Filled in by the family. */
  nd: Messages | null = null;
  mld: Messages | null = null;
  /** Is an address a subnet-router anycast address on an interface of ours? */
  anycast: ((iface: Interface, address: Address) => boolean) | null = null;

  constructor(ctx: Context, ip: IpLayer) {
    this.ctx = ctx;
    this.ip = ip;
    this.errors = new TokenBucket(ctx.now, ctx.sysctl.v['net.ipv4.icmp_msgs_burst']);
    this.echoes = new TokenBucket(ctx.now, ctx.sysctl.v['anystack.icmp_echo_per_sec']);
    ip.register(Protocol.Icmpv6, this);
  }

  input(packet: Packet): void {
    const { ctx } = this;
    const { view, head } = packet;
    const iface = this.ip.interfaces.at(packet.inIndex);
    if (packet.family !== 6 || iface === null) {
      ctx.drop(packet, Drop.IpUnknownProtocol); // 58 means nothing over IPv4
      return;
    }
    ctx.counters.count(Counter.Icmp6InMsgs);
    const reason = wire.check(view, head, packet.tail) || this.sound(packet);
    if (reason !== 0) {
      ctx.counters.count(Counter.Icmp6InErrors);
      ctx.drop(packet, reason);
      return;
    }
    const type = wire.type(view, head);
    switch (type) {
      case wire.Type.Echo:
        ctx.counters.count(Counter.Icmp6InEchos);
        this.echo(packet);
        return;
      case wire.Type.EchoReply:
        ctx.counters.count(Counter.Icmp6InEchoReplies);
        packet.release(); // raw sockets have their copy
        return;
      case wire.Type.RouterSolicitation:
      case wire.Type.RouterAdvertisement:
      case wire.Type.NeighborSolicitation:
      case wire.Type.NeighborAdvertisement:
      case wire.Type.Redirect:
        this.pass(this.nd, iface, packet);
        return;
      case wire.Type.MulticastQuery:
      case wire.Type.MulticastReport:
      case wire.Type.MulticastDone:
      case wire.Type.MulticastReportV2:
        this.pass(this.mld, iface, packet);
        return;
      default:
        if (wire.isError(type)) this.errorOf(packet, type);
        else ctx.drop(packet, Drop.IcmpUnknownType); // RFC 4443 §2.4b
    }
  }

  private sound(packet: Packet): number {
    if (packet.checksum !== Checksum.Unverified) return 0;
    return wire.verify(packet.view, packet.head, packet.tail, packet.source, packet.destination) ? 0 : Drop.IcmpBadChecksum;
  }

  private pass(to: Messages | null, iface: Interface, packet: Packet): void {
    if (to === null) this.ctx.drop(packet, Drop.IcmpUnknownType);
    else to.input(iface, packet);
  }

  /** RFC 4443 §4.2. The request becomes the reply; one to a group is answered from an address of ours. */
  private echo(given: Packet): void {
    const packet = this.ctx.unshare(given); // a raw socket may hold the request
    if (packet === null) return;
    const v = this.ctx.sysctl.v;
    const group = packet.destination.isMulticast;
    if (v['net.ipv6.icmp.echo_ignore_all'] !== 0 || (group && v['net.ipv6.icmp.echo_ignore_multicast'] !== 0) || packet.source.isUnspecified) {
      this.ctx.drop(packet, Drop.IcmpEchoIgnored);
      return;
    }
    const { flow } = this;
    this.aim(packet);
    // An answer to an anycast address comes from one of ours alone (RFC 4443 §4.2).
    const anycast = packet.destination.w3 === 0 && this.ip.local(packet.destination, flow.vrf, 0) === null;
    if (group || anycast) flow.source.set(0, 0, 0, 0);
    else flow.source.copy(packet.destination);
    flow.trafficClass = packet.trafficClass;
    const path = this.ip.path(flow);
    if (typeof path === 'number') {
      this.ctx.drop(packet, Drop.IpNoRoute);
      return;
    }
    const rate = v['anystack.icmp_echo_per_sec'];
    if (!this.echoes.take(this.ctx.now, rate, rate)) {
      this.ctx.drop(packet, Drop.IcmpRateLimited);
      return;
    }
    packet.destination.copy(packet.source);
    packet.source.copy(path.source);
    wire.put(packet.view, packet.head, wire.Type.EchoReply, 0, packet.view.getInt32(packet.head + 4));
    wire.finishMessage(packet.view, packet.head, packet.tail, packet.source, packet.destination);
    packet.checksum = Checksum.Verified;
    packet.ttl = 0;
    packet.flags = 0;
    packet.depth = 0; // an answer begins anew, wherever the question came out of
    packet.inIndex = 0;
    this.ctx.counters.count(Counter.Icmp6OutMsgs);
    this.ctx.counters.count(Counter.Icmp6OutEchoReplies);
    this.ip.output(packet, path);
  }

  /** The flow back to who sent `packet`: in its network, and on its link when the address means no other. */
  private aim(packet: Packet): void {
    const { flow } = this;
    flow.destination.copy(packet.source);
    flow.protocol = Protocol.Icmpv6;
    flow.vrf = this.ip.interfaces.at(packet.inIndex)?.vrf ?? 0;
    flow.outIndex = packet.source.isLinkLocal ? packet.inIndex : 0;
  }

  private errorOf(packet: Packet, type: number): void {
    const code = wire.code(packet.view, packet.head);
    switch (type) {
      case wire.Type.Unreachable: {
        const [errno, hard] = unreachables[code] ?? (['EPROTO', true] as const);
        this.errorIn(packet, 'unreachable', Errno[errno], hard, 0);
        return;
      }
      case wire.Type.PacketTooBig: {
        this.ctx.counters.count(Counter.Icmp6InPktTooBigs);
        const mtu = wire.mtu(packet.view, packet.head);
        // RFC 8201 §4: nothing is learned of it, so that no forger can have small or atomic fragments made (RFC 8021).
        if (mtu < ipv6.MTU_MIN) this.ctx.drop(packet, Drop.IcmpBadMtu);
        else this.errorIn(packet, 'too-big', Errno.EMSGSIZE, false, mtu);
        return;
      }
      case wire.Type.TimeExceeded:
        this.errorIn(packet, 'time-exceeded', Errno.EHOSTUNREACH, false, 0);
        return;
      case wire.Type.ParameterProblem:
        this.errorIn(packet, 'parameter-problem', Errno.EPROTO, true, 0);
        return;
      default:
        this.errorIn(packet, 'unreachable', Errno.EPROTO, false, 0); // RFC 4443 §2.4a: unknown errors go up too
    }
  }

  /** Tells the transport of the packet quoted, which must be one of ours: RFC 4443 §2.4d, RFC 5927. Owns the packet. */
  private errorIn(packet: Packet, kind: IcmpError['kind'], errno: number, hard: boolean, mtu: number): void {
    const { view } = packet;
    const { chain } = this;
    const inner = wire.quoted(packet.head);
    ipv6.source(view, inner, this.quotedSource);
    ipv6.destination(view, inner, this.quotedDestination);
    this.from.copy(packet.source);
    const vrf = this.ip.interfaces.at(packet.inIndex)?.vrf ?? 0;
    const zone = this.quotedSource.isLinkLocal && !(packet.flags & PacketFlag.Looped) ? packet.inIndex : 0;
    ipv6.skim(view, inner, packet.tail, chain);
    if (ipv6.version(view, inner) !== 6 || this.ip.local(this.quotedSource, vrf, zone) === null || packet.tail - chain.offset < 8) {
      this.ctx.drop(packet, Drop.IcmpErrorUnmatched);
      return;
    }
    const error: IcmpError = {
      family: 6,
      kind,
      code: wire.code(view, packet.head),
      errno,
      hard,
      mtu,
      from: this.from,
      inIndex: packet.inIndex,
      source: this.quotedSource,
      destination: this.quotedDestination,
      protocol: chain.protocol,
      sourcePort: view.getUint16(chain.offset),
      destinationPort: view.getUint16(chain.offset + 2),
      view,
      at: chain.offset,
      end: packet.tail,
    };
    this.ip.raw?.error(error);
    // Only the first fragment quotes a transport header; of a later one the path MTU alone is told.
    const transport = chain.protocol === Protocol.Fragment ? this : (this.ip.transports[chain.protocol] ?? null);
    if (transport === null) this.ctx.drop(packet, Drop.IcmpErrorUnmatched);
    else {
      transport.error(error);
      packet.release();
    }
  }

  /**
   * An echo or a reply of ours met an error. Raw sockets have heard of it. A reply has nothing to match a too-big error with: the
   * path MTU is lowered, to 1,280 at worst.
   */
  error(error: IcmpError): void {
    if (error.kind === 'too-big') this.ip.learnMtu(error.destination, error.inIndex, error.mtu);
  }

  /** Destination unreachable about `packet`, which stays the caller's. */
  unreachable(packet: Packet, code: number, _rest = 0): void {
    this.send(packet, wire.Type.Unreachable, code, 0);
  }

  packetTooBig(packet: Packet, mtu: number): void {
    this.send(packet, wire.Type.PacketTooBig, 0, mtu);
  }

  timeExceeded(packet: Packet, code: number): void {
    this.send(packet, wire.Type.TimeExceeded, code, 0);
  }

  /** `pointer` counts from the first octet of the IPv6 header; `code` is one of ipv6.Problem. */
  parameterProblem(packet: Packet, code: number, pointer: number): void {
    this.send(packet, wire.Type.ParameterProblem, code, pointer);
  }

  /** Sends an error about a packet whose network and transport offsets are set, unless RFC 4443 §2.4 forbids it. */
  private send(about: Packet, type: number, code: number, rest: number): void {
    const { ctx, flow } = this;
    if (!this.mayAnswer(about, type, code)) return;
    this.aim(about);
    // RFC 4443 §2.2a: from the address the packet was for, if it is ours alone.
    const own = this.ip.local(about.destination, flow.vrf, about.destination.isLinkLocal ? about.inIndex : 0);
    if (own !== null && !about.destination.isMulticast) flow.source.copy(about.destination);
    else flow.source.set(0, 0, 0, 0);
    flow.trafficClass = 0;
    const path = this.ip.path(flow);
    if (typeof path === 'number') return;
    const v = ctx.sysctl.v;
    if (!this.errors.take(ctx.now, v['net.ipv4.icmp_msgs_per_sec'], v['net.ipv4.icmp_msgs_burst'])) {
      ctx.counters.count(Counter.Icmp6OutRateLimitHost);
      ctx.countDrop(Drop.IcmpRateLimited);
      return;
    }
    const packet = ctx.packet();
    if (packet === null) {
      ctx.countDrop(Drop.NoBuffer);
      return;
    }
    const at = packet.head;
    wire.put(packet.view, at, type, code, rest);
    packet.tail = at + wire.HEADER_LEN + quote(about, packet, at + wire.HEADER_LEN);
    packet.protocol = Protocol.Icmpv6;
    packet.family = 6;
    packet.source.copy(path.source);
    packet.destination.copy(about.source);
    packet.checksum = Checksum.Verified;
    wire.finishMessage(packet.view, at, packet.tail, packet.source, packet.destination);
    ctx.counters.count(Counter.Icmp6OutMsgs);
    ctx.counters.count(Counter.Icmp6OutErrors);
    this.ip.output(packet, path);
  }

  /** RFC 4443 §2.4e: never about an error or a redirect, nor to who is not one node; about a group only for what the sender must hear. */
  private mayAnswer(about: Packet, type: number, code: number): boolean {
    const { source } = about;
    if (source.isUnspecified || source.isMulticast || (source.isLoopback && !(about.flags & PacketFlag.Looped))) return false;
    const iface = source.w3 === 0 && source.w2 === 0 ? this.ip.interfaces.at(about.inIndex) : null;
    if (iface !== null && this.anycast?.(iface, source)) return false;
    const told = type === wire.Type.PacketTooBig || (type === wire.Type.ParameterProblem && code === ipv6.Problem.Option);
    const group = about.destination.isMulticast || (about.flags & (PacketFlag.LinkBroadcast | PacketFlag.LinkMulticast)) !== 0;
    if (group && !told) return false;
    if (about.protocol !== Protocol.Icmpv6) return true;
    if (about.transport >= about.tail) return false;
    const kind = about.view.getUint8(about.transport);
    return !wire.isError(kind) && kind !== wire.Type.Redirect;
  }
}

/** As much of the packet as fits an error of 1,280 octets: RFC 4443 §2.4c. */
function quote(about: Packet, packet: Packet, at: number): number {
  const octets = Math.min(about.tail - about.network, wire.ERROR_MAX - ipv6.HEADER_LEN - wire.HEADER_LEN);
  packet.bytes.set(about.bytes.subarray(about.network, about.network + octets), at);
  return octets;
}
