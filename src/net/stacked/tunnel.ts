// hot: bench/packet
import type { Address } from '../../base/address.js';
import { Drop } from '../../base/drops.js';
import { Errno } from '../../base/errors.js';
import { Checksum, Gso, type Packet, PacketFlag } from '../../base/packet.js';
import { Unreachable } from '../../wire/icmpv4.js';
import * as ipv4 from '../../wire/ipv4.js';
import * as ipv6 from '../../wire/ipv6.js';
import type { Context } from '../context.js';
import type { Interface } from '../interface.js';
import type { IpLayer } from '../ip/ip.js';
import { Flow, type Path } from '../ip/path.js';
import { innerClass, outerClass, setClass } from '../ipsec/ecn.js';
import { StackedDevice } from './stacked-device.js';

/** What all tunnels have. */
export interface TunnelOptions {
  /** Our end: an address of ours. */
  readonly local: Address;
  readonly remote: Address;
  /** TTL or hop limit of the outer packets, [1, 255]; 0: the tunable's default. RFC 2003 §3.1, RFC 2473 §6.3. */
  readonly ttl: number;
  /** DSCP and ECN bits of the outer packets, [0, 255]; −1: those of the inner ones (RFC 2983 §3.1, uniform). ECN is always the inner one's. */
  readonly tos: number;
  /** Greatest inner packet; 0: 1,500 less what the tunnel adds. */
  readonly mtu: number;
  /** The network the outer packets belong to. */
  readonly vrf: number;
}

/** ICMP's part: tells another host what its packet met. They do not own the packet. */
export interface TunnelErrors {
  tooBig(packet: Packet, mtu: number): void;
  /** A parameter problem of an IPv6 packet, `pointer` octets from its header. */
  limit(packet: Packet, pointer: number): void;
}

/** What a tunnel stands on. */
export interface TunnelGround {
  readonly ctx: Context;
  readonly ip: IpLayer;
  readonly errors: TunnelErrors;
}

/** The MTU of the paths of today, less which a tunnel begins with. */
const USUAL_MTU = 1_500;
/** Room for an Ethernet header with two tags. */
const LINK_ROOM = 22;

/**
 * A point-to-point tunnel: what is routed into its interface goes to `remote` in a packet of `local`, what comes from there comes up by
 * its interface. Each kind adds its header in `encapsulate`; addresses, DF, ECN, MTU and depth are the same for all: RFC 2003 §3, RFC 2473 §6,
 * §7, RFC 4213 §3, RFC 6040.
 */
export abstract class TunnelDevice extends StackedDevice {
  readonly mac: Uint8Array = new Uint8Array(6);
  /** Big frames are cut before the tunnel puts its header in front. */
  readonly offloads = 0;
  readonly options: TunnelOptions;
  /** Octets the tunnel adds, outer IP header included. */
  readonly overhead: number;
  protected readonly ground: TunnelGround;
  private readonly flow = new Flow();
  private path: Path | null = null;
  private closed = false;

  /** `octets`: what stands between outer IP header and inner packet; `protocol`: of the outer packets. */
  constructor(ground: TunnelGround, options: TunnelOptions, octets: number, protocol: number) {
    super();
    this.ground = ground;
    this.options = options;
    this.overhead = (options.local.isV4 ? ipv4.HEADER_LEN : ipv6.HEADER_LEN) + octets;
    this.flow.source.copy(options.local);
    this.flow.destination.copy(options.remote);
    this.flow.protocol = protocol;
    this.flow.vrf = options.vrf;
  }

  /** Puts the tunnel's own header before head and sets the outer protocol. `limit` is what RFC 2473 §4.1.1 leaves, −1 without. */
  protected abstract encapsulate(packet: Packet, path: Path, version: number, limit: number): void;

  /** The payload has to lie in one piece, because a checksum covers it. */
  protected get flat(): boolean {
    return false;
  }

  /** Octets from head on that fit a path. */
  protected room(mtu: number): number {
    return mtu - this.overhead;
  }

  get mtu(): number {
    return this.options.mtu || USUAL_MTU - this.overhead;
  }

  get carrier(): boolean {
    return !this.closed;
  }

  output(given: Packet): void {
    const { ctx, ip } = this.ground;
    const path = this.way();
    if (path === null) {
      ctx.drop(given, Drop.IpNoRoute);
      return;
    }
    if (path.iface === this.iface || given.depth >= ctx.sysctl.v['anystack.depth_max']) {
      ctx.drop(given, Drop.IpLoop);
      return;
    }
    const version = this.medium === 'ip' ? given.view.getUint8(given.head) >>> 4 : 0;
    const limit = version === 6 ? this.limitOf(given) : -1;
    if (limit === -2 || !this.fits(given, version, this.room(path.mtu))) return;
    const packet = ctx.roomy(given, this.overhead + LINK_ROOM, this.flat);
    if (packet === null) return;
    if (ctx.observer.verdict !== null) ctx.observer.verdict(packet, 'tunnel', `${(this.iface as Interface).name} to ${this.options.remote}`);
    const fragmentable = this.fragmentable(packet, version, this.room(path.mtu));
    packet.trafficClass = this.outerClass(packet, version);
    this.encapsulate(packet, path, version, limit);
    packet.source.copy(this.options.local);
    packet.destination.copy(this.options.remote);
    packet.family = this.options.local.isV4 ? 4 : 6;
    packet.ttl = this.options.ttl;
    packet.depth++;
    packet.flags = fragmentable ? 0 : PacketFlag.DontFragment;
    packet.checksum = Checksum.Verified;
    packet.inIndex = packet.spi = 0;
    packet.sourcePort = packet.destinationPort = 0;
    packet.track = null;
    packet.trackState = 0;
    packet.vlan = packet.link = -1;
    ip.output(packet, path);
  }

  private way(): Path | null {
    const { ip } = this.ground;
    if (this.path !== null && ip.valid(this.path)) return this.path;
    const path = ip.path(this.flow);
    this.path = typeof path === 'number' ? null : path;
    return this.path;
  }

  /** The limit for the outer packet: −1 when the inner one brings none. −2: it is used up, and the packet was dropped. */
  private limitOf(packet: Packet): number {
    const at = ipv6.tunnelLimit(packet.view, packet.head, packet.tail);
    if (at < 0) return -1;
    const limit = packet.view.getUint8(at);
    if (limit > 0) return limit - 1;
    if (packet.flags & PacketFlag.Forwarded) this.ground.errors.limit(packet, at - packet.head);
    this.ground.ctx.drop(packet, Drop.TunnelLimit);
    return -2;
  }

  /** True when it fits, or the outer packet may be cut: RFC 2003 §3.1 for what has no DF, RFC 4213 §3.2 and RFC 2473 §7.1 for IPv6 packets of the least MTU. */
  private fits(packet: Packet, version: number, room: number): boolean {
    const { length } = packet;
    if (length <= room) return true;
    const { ctx, ip, errors } = this.ground;
    if (version === 6 && length <= ipv6.MTU_MIN) return true;
    if (version === 4 && !ipv4.dontFragment(packet.view, packet.head)) return true;
    if (version !== 0) {
      const mtu = Math.max(room, version === 6 ? ipv6.MTU_MIN : ipv4.MTU_MIN);
      if (packet.flags & PacketFlag.Forwarded) errors.tooBig(packet, mtu);
      else ip.failed(packet, 'too-big', version === 6 ? 0 : Unreachable.FragmentationNeeded, Errno.EMSGSIZE, mtu);
    }
    ctx.drop(packet, Drop.IpTooBig);
    return false;
  }

  private fragmentable(packet: Packet, version: number, room: number): boolean {
    if (version === 4) return !ipv4.dontFragment(packet.view, packet.head);
    return version === 6 && room < ipv6.MTU_MIN;
  }

  private outerClass(packet: Packet, version: number): number {
    const { tos } = this.options;
    const inner = version === 0 ? 0 : classOf(packet.view, packet.head, version);
    return tos < 0 ? inner : (tos & ~3) | outerClass(inner, false);
  }

  /** An inner packet from the far end begins at `from`, of IP version `version` or 0 for a frame. The tunnel's own header has been checked. Owns the packet. */
  enter(given: Packet, from: number, version: number): void {
    const { ctx } = this.ground;
    const iface = this.iface as Interface;
    const reason = this.refusal(given, from, version);
    if (reason !== 0) {
      ctx.drop(given, reason);
      return;
    }
    given.head = from;
    const outer = given.trafficClass;
    given.link = given.network = given.transport = -1;
    const packet = ctx.unshare(given);
    if (packet === null) return;
    if (version !== 0) {
      const inner = classOf(packet.view, packet.head, version);
      const marked = innerClass(inner, outer);
      if (marked < 0) {
        ctx.drop(packet, Drop.TunnelEcn);
        return;
      }
      if (marked !== inner) setClass(packet.view, packet.head, version, marked);
    }
    packet.depth++;
    packet.flags = packet.family = packet.protocol = packet.mark = packet.spi = 0;
    packet.sourcePort = packet.destinationPort = 0;
    packet.track = null;
    packet.trackState = 0;
    packet.vlan = -1;
    // What the far end's host has left unfinished within is still so; of what covered the outer packet nothing is known.
    if (packet.checksum !== Checksum.Partial || packet.csumStart < packet.head) packet.checksum = Checksum.Unverified;
    iface.input(packet);
  }

  private refusal(packet: Packet, from: number, version: number): number {
    const { ctx } = this.ground;
    if (!(this.iface as Interface).up) return Drop.DeviceDown;
    if (packet.depth >= ctx.sysctl.v['anystack.depth_max']) return Drop.IpLoop;
    if (packet.gsoType !== Gso.None) return Drop.SegmentMalformed; // whoever joined it did not know the inner packets
    if (version === 0) return 0;
    if (packet.tail - from < (version === 4 ? ipv4.HEADER_LEN : ipv6.HEADER_LEN)) return Drop.IpTruncated;
    return packet.view.getUint8(from) >>> 4 === version ? 0 : Drop.IpBadVersion;
  }

  standsOn(_lower: Interface): boolean {
    return false; // on the routes: the way may change from packet to packet
  }

  lowerChanged(_lower: Interface): void {}

  lowerGone(_lower: Interface): void {}

  override close(): void {
    super.close();
    this.closed = true;
    this.path = null;
  }
}

const classOf = (view: DataView, at: number, version: number): number => (version === 4 ? ipv4.trafficClass(view, at) : ipv6.trafficClass(view, at));
