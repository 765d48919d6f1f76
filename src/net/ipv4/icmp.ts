import { Address } from '../../base/address.js';
import { Drop } from '../../base/drops.js';
import { Errno, type ErrnoName } from '../../base/errors.js';
import { Checksum, type Packet, PacketFlag } from '../../base/packet.js';
import { TokenBucket } from '../../base/token-bucket.js';
import * as wire from '../../wire/icmpv4.js';
import * as ipv4 from '../../wire/ipv4.js';
import { Protocol } from '../../wire/protocol.js';
import type { Context } from '../context.js';
import { Counter } from '../counters.js';
import type { IpLayer } from '../ip/ip.js';
import { Flow } from '../ip/path.js';
import { plateauBelow } from '../ip/path-mtu.js';
import type { IcmpError, Transport } from '../ip/service.js';

/** Errno and hardness by code of destination unreachable: RFC 1122 §4.2.3.9, Linux's icmp_err_convert. */
const unreachables: readonly (readonly [ErrnoName, boolean])[] = [
  ['ENETUNREACH', false],
  ['EHOSTUNREACH', false],
  ['ENOPROTOOPT', true],
  ['ECONNREFUSED', true],
  ['EMSGSIZE', false],
  ['EOPNOTSUPP', false],
  ['ENETUNREACH', true],
  ['EHOSTDOWN', true],
  ['ENETUNREACH', true],
  ['ENETUNREACH', true],
  ['EHOSTUNREACH', true],
  ['ENETUNREACH', false],
  ['EHOSTUNREACH', false],
  ['EHOSTUNREACH', true],
  ['EHOSTUNREACH', true],
  ['EHOSTUNREACH', true],
];

/** ICMP: echo, timestamps no, errors in and out. RFC 792, 1122 §3.2.2, 1812 §4.3. */
export class Icmp4 implements Transport {
  private readonly ctx: Context;
  private readonly ip: IpLayer;
  private readonly errors: TokenBucket;
  private readonly echoes: TokenBucket;
  private readonly flow = new Flow();
  private readonly from = new Address();
  private readonly quotedSource = new Address();
  private readonly quotedDestination = new Address();
  /** Told of redirects that hosts may believe; null while forwarding is all we do. */
  redirect: ((packet: Packet, gateway: number, destination: Address) => void) | null = null;

  constructor(ctx: Context, ip: IpLayer) {
    this.ctx = ctx;
    this.ip = ip;
    this.errors = new TokenBucket(ctx.now, ctx.sysctl.v['net.ipv4.icmp_msgs_burst']);
    this.echoes = new TokenBucket(ctx.now, ctx.sysctl.v['anystack.icmp_echo_per_sec']);
    ip.register(Protocol.Icmp, this);
  }

  input(packet: Packet): void {
    const { counters } = this.ctx;
    counters.count(Counter.IcmpInMsgs);
    const { view, head } = packet;
    const reason = wire.check(view, head, packet.tail);
    if (reason !== 0) {
      counters.count(Counter.IcmpInErrors);
      this.ctx.drop(packet, reason);
      return;
    }
    const type = wire.type(view, head);
    switch (type) {
      case wire.Type.Echo:
        counters.count(Counter.IcmpInEchos);
        this.echo(packet);
        return;
      case wire.Type.EchoReply:
        counters.count(Counter.IcmpInEchoReps);
        packet.release(); // raw sockets have their copy
        return;
      case wire.Type.Unreachable:
        counters.count(Counter.IcmpInDestUnreachs);
        this.unreachableIn(packet);
        return;
      case wire.Type.TimeExceeded:
        counters.count(Counter.IcmpInTimeExcds);
        this.errorIn(packet, 'time-exceeded', Errno.EHOSTUNREACH, false, 0);
        return;
      case wire.Type.ParameterProblem:
        counters.count(Counter.IcmpInParmProbs);
        this.errorIn(packet, 'parameter-problem', Errno.EPROTO, true, 0);
        return;
      case wire.Type.SourceQuench:
        packet.release(); // RFC 6633 §3: ignored
        return;
      case wire.Type.Redirect:
        counters.count(Counter.IcmpInRedirects);
        this.redirectIn(packet);
        return;
      default:
        this.ctx.drop(packet, Drop.IcmpUnknownType);
    }
  }

  /** RFC 1122 §3.2.2.6. The request becomes the reply, its checksum changed by the type alone. */
  private echo(given: Packet): void {
    const packet = this.ctx.unshare(given); // a raw socket may hold the request
    if (packet === null) return;
    const v = this.ctx.sysctl.v;
    const group = packet.destination.isMulticast || (packet.flags & PacketFlag.NetBroadcast) !== 0;
    if (v['net.ipv4.icmp_echo_ignore_all'] !== 0 || (group && v['net.ipv4.icmp_echo_ignore_broadcasts'] !== 0)) {
      this.ctx.drop(packet, Drop.IcmpEchoIgnored);
      return;
    }
    const { flow } = this;
    flow.destination.copy(packet.source);
    if (group) flow.source.set(0, 0, 0, 0);
    else flow.source.copy(packet.destination);
    flow.protocol = Protocol.Icmp;
    flow.trafficClass = packet.trafficClass;
    flow.vrf = this.ip.interfaces.at(packet.inIndex)?.vrf ?? 0;
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
    // Linux quotes the type of service back, as RFC 1122 §3.2.1.6 allows; routes and options are not reversed (RFC 7126).
    packet.destination.copy(packet.source);
    packet.source.copy(path.source);
    wire.put(packet.view, packet.head, wire.Type.EchoReply, 0, packet.view.getInt32(packet.head + 4));
    wire.finishMessage(packet.view, packet.head, packet.tail);
    packet.checksum = Checksum.Verified;
    packet.ttl = 0;
    packet.flags = 0;
    packet.depth = 0; // an answer begins anew, wherever the question came out of
    packet.inIndex = 0;
    this.ctx.counters.count(Counter.IcmpOutMsgs);
    this.ctx.counters.count(Counter.IcmpOutEchoReps);
    this.ip.output(packet, path);
  }

  private unreachableIn(packet: Packet): void {
    const code = wire.code(packet.view, packet.head);
    if (code === wire.Unreachable.FragmentationNeeded) {
      if (this.ctx.sysctl.v['net.ipv4.ip_no_pmtu_disc'] !== 0) this.ctx.drop(packet, Drop.IcmpErrorUnmatched);
      else this.errorIn(packet, 'too-big', Errno.EMSGSIZE, false, this.nextMtu(packet));
      return;
    }
    const [errno, hard] = unreachables[code] ?? (['EHOSTUNREACH', false] as const);
    this.errorIn(packet, 'unreachable', Errno[errno], hard, 0);
  }

  /** The MTU the router tells, or the next plateau below the quoted packet's length (RFC 1191 §7.1). */
  private nextMtu(packet: Packet): number {
    const told = wire.mtu(packet.view, packet.head);
    const quoted = ipv4.totalLength(packet.view, wire.quoted(packet.head));
    const mtu = told !== 0 && told < quoted ? told : plateauBelow(quoted);
    return Math.max(mtu, this.ctx.sysctl.v['net.ipv4.route.min_pmtu']);
  }

  /** Tells the transport of the packet quoted. It must be one of ours: RFC 1122 §3.2.2.1, RFC 5927. Owns the packet. */
  private errorIn(packet: Packet, kind: IcmpError['kind'], errno: number, hard: boolean, mtu: number): void {
    const { view } = packet;
    const inner = wire.quoted(packet.head);
    ipv4.source(view, inner, this.quotedSource);
    ipv4.destination(view, inner, this.quotedDestination);
    this.from.copy(packet.source);
    const vrf = this.ip.interfaces.at(packet.inIndex)?.vrf ?? 0;
    // Only the first fragment quotes a transport header.
    if (ipv4.version(view, inner) !== 4 || !this.ip.isLocal(this.quotedSource, vrf) || ipv4.fragmentOffset(view, inner) !== 0) {
      this.ctx.drop(packet, Drop.IcmpErrorUnmatched);
      return;
    }
    const at = inner + ipv4.headerLength(view, inner);
    const protocol = ipv4.protocol(view, inner);
    const error: IcmpError = {
      family: 4,
      kind,
      code: wire.code(view, packet.head),
      errno,
      hard,
      mtu,
      from: this.from,
      inIndex: packet.inIndex,
      source: this.quotedSource,
      destination: this.quotedDestination,
      protocol,
      sourcePort: view.getUint16(at),
      destinationPort: view.getUint16(at + 2),
      view,
      at,
      end: packet.tail,
    };
    this.ip.raw?.error(error);
    const transport = this.ip.transports[protocol] ?? null;
    if (transport === null) this.ctx.drop(packet, Drop.IcmpErrorUnmatched);
    else {
      transport.error(error);
      packet.release();
    }
  }

  /** An echo of ours met an error: `anystack ping` hears of it by its raw socket. */
  error(): void {}

  private redirectIn(packet: Packet): void {
    const inner = wire.quoted(packet.head);
    const conf = this.ip.interfaces.at(packet.inIndex)?.conf4;
    if (
      this.redirect === null ||
      conf === undefined ||
      conf.forwarding !== 0 ||
      conf.accept_redirects === 0 ||
      wire.code(packet.view, packet.head) > wire.Redirect.HostForTos
    ) {
      this.ctx.drop(packet, Drop.IcmpErrorUnmatched);
      return;
    }
    ipv4.destination(packet.view, inner, this.quotedDestination);
    this.redirect(packet, wire.gateway(packet.view, packet.head), this.quotedDestination);
    packet.release();
  }

  /** Destination unreachable about `packet`, which stays the caller's. `rest` is the second word. */
  unreachable(packet: Packet, code: number, rest: number): void {
    this.send(packet, wire.Type.Unreachable, code, rest);
  }

  timeExceeded(packet: Packet, code: number): void {
    this.send(packet, wire.Type.TimeExceeded, code, 0);
  }

  /** `pointer` counts from the first octet of the IP header. */
  parameterProblem(packet: Packet, pointer: number): void {
    this.send(packet, wire.Type.ParameterProblem, 0, pointer << 24);
  }

  redirectTo(packet: Packet, gateway: number): void {
    this.send(packet, wire.Type.Redirect, wire.Redirect.Host, gateway);
  }

  /** Sends an error about a packet whose network and transport offsets are set, unless RFC 1122 §3.2.2 or RFC 1812 §4.3.2.7 forbid. */
  private send(about: Packet, type: number, code: number, rest: number): void {
    const { ctx, flow } = this;
    if (!this.mayAnswer(about)) return;
    flow.destination.copy(about.source);
    const inbound = this.ip.interfaces.at(about.inIndex);
    flow.vrf = inbound?.vrf ?? 0;
    flow.protocol = Protocol.Icmp;
    // RFC 1812 §4.3.2.4: from the address the packet was for, if it is ours, so that the sender can match it.
    if (this.ip.isLocal(about.destination, flow.vrf)) flow.source.copy(about.destination);
    else flow.source.set(0, 0, 0, 0);
    const path = this.ip.path(flow);
    if (typeof path === 'number') return;
    const v = ctx.sysctl.v;
    if (!this.errors.take(ctx.now, v['net.ipv4.icmp_msgs_per_sec'], v['net.ipv4.icmp_msgs_burst'])) {
      ctx.counters.count(Counter.IcmpOutRateLimited);
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
    packet.tail = at + wire.HEADER_LEN + this.quote(about, packet, at + wire.HEADER_LEN);
    wire.finishMessage(packet.view, at, packet.tail);
    packet.protocol = Protocol.Icmp;
    packet.family = 4;
    packet.source.copy(flow.source.isUnspecified ? path.source : flow.source);
    packet.destination.copy(about.source);
    packet.trafficClass = 0xc0; // internetwork control: RFC 1812 §4.3.2.5
    packet.checksum = Checksum.Verified;
    ctx.counters.count(Counter.IcmpOutMsgs);
    if (type === wire.Type.Unreachable) ctx.counters.count(Counter.IcmpOutDestUnreachs);
    else if (type === wire.Type.TimeExceeded) ctx.counters.count(Counter.IcmpOutTimeExcds);
    else if (type === wire.Type.Redirect) ctx.counters.count(Counter.IcmpOutRedirects);
    else ctx.counters.count(Counter.IcmpOutParmProbs);
    this.ip.output(packet, path);
  }

  /** As much of the packet as fits an error of 576 octets: RFC 1812 §4.3.2.3. */
  private quote(about: Packet, packet: Packet, at: number): number {
    const room = wire.ERROR_MAX - ipv4.HEADER_LEN - wire.HEADER_LEN;
    const inSlot = Math.min(about.tail - about.network, room);
    packet.bytes.set(about.bytes.subarray(about.network, about.network + inSlot), at);
    return inSlot;
  }

  /** RFC 1122 §3.2.2: never about an ICMP error, a group or broadcast, a later fragment, or a source that is not one host. */
  private mayAnswer(about: Packet): boolean {
    if (about.destination.isMulticast || about.destination.isLimitedBroadcast) return false;
    if (about.flags & (PacketFlag.LinkBroadcast | PacketFlag.LinkMulticast | PacketFlag.NetBroadcast)) return false;
    if (about.source.isUnspecified || about.source.isMulticast || about.source.isLoopback !== about.destination.isLoopback) return false;
    if (ipv4.fragmentOffset(about.view, about.network) !== 0) return false;
    if (about.protocol !== Protocol.Icmp) return true;
    return about.transport < about.tail && !wire.isError(about.view.getUint8(about.transport));
  }
}
