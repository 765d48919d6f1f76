// hot: bench/packet
import type { Address } from '../../base/address.js';
import { Drop } from '../../base/drops.js';
import { Errno } from '../../base/errors.js';
import { Gso, type Packet, PacketFlag } from '../../base/packet.js';
import { Unreachable } from '../../wire/icmpv4.js';
import * as wire from '../../wire/ipv4.js';
import type { Context } from '../context.js';
import { Counter } from '../counters.js';
import type { Interface, InterfaceAddress } from '../interface.js';
import type { FamilyOutput, IpLayer } from '../ip/ip.js';
import type { Loopback } from '../ip/loopback.js';
import { describePath, type Path } from '../ip/path.js';
import type { Ethernet } from '../link/link.js';
import { fragment } from './fragment.js';

/** Identification counters: flows share one of these by hash, so that no counter tells of the stack's other traffic (RFC 7739 §5.3). */
const IDENT_BUCKETS = 256;

/** The router alert option (RFC 2113), whole: what group membership carries. */
const ROUTER_ALERT = (wire.Option.RouterAlert << 24) | (4 << 16);

/** The way down for IPv4 packets: header, filter, protection, fragments, link. */
export class Output4 implements FamilyOutput {
  private readonly ctx: Context;
  private readonly ip: IpLayer;
  private readonly ethernet: Ethernet;
  private readonly loopback: Loopback;
  private readonly idents = new Uint16Array(IDENT_BUCKETS);

  constructor(ctx: Context, ip: IpLayer, ethernet: Ethernet, loopback: Loopback) {
    this.ctx = ctx;
    this.ip = ip;
    this.ethernet = ethernet;
    this.loopback = loopback;
    for (let i = 0; i < IDENT_BUCKETS; i++) this.idents[i] = ctx.prng.uint32();
  }

  output(packet: Packet, path: Path): void {
    this.header(packet, path);
    this.depart(packet, path);
  }

  header(packet: Packet, _path: Path): void {
    packet.transport = packet.head;
    const alert = (packet.flags & PacketFlag.RouterAlert) !== 0;
    if (alert) packet.view.setInt32(packet.push(4), ROUTER_ALERT);
    const at = packet.push(wire.HEADER_LEN);
    packet.network = at;
    packet.family = 4;
    if (packet.ttl === 0) packet.ttl = this.ctx.sysctl.v['net.ipv4.ip_default_ttl'];
    // RFC 6864 §4: only what may be fragmented needs an identification of its own. Segments cut from a big frame count on from it.
    const df = packet.flags & PacketFlag.DontFragment;
    const id = df && packet.gsoType === Gso.None ? 0 : this.identification(packet);
    const { source, destination } = packet;
    wire.put(
      packet.view,
      at,
      packet.trafficClass,
      packet.length & 0xffff,
      id,
      df ? wire.Flag.DontFragment : 0,
      packet.ttl,
      packet.protocol,
      source.w3,
      destination.w3,
    );
    if (alert) {
      packet.view.setUint8(at, 0x46);
      wire.finishHeader(packet.view, at);
    }
    this.ctx.counters.count(Counter.IpOutRequests);
  }

  depart(packet: Packet, path: Path): void {
    const { hooks } = this.ip;
    const { observer } = this.ctx;
    packet.outIndex = path.iface.index;
    if (observer.verdict !== null) observer.verdict(packet, 'output', describePath(path));
    if (hooks.output !== null && !hooks.output(packet, null, path.iface)) return;
    this.send(packet, path);
  }

  /** A complete IPv4 packet, head at its header, on its way out: our own or forwarded. Owns it. */
  send(packet: Packet, path: Path): void {
    const { hooks } = this.ip;
    packet.outIndex = path.iface.index;
    if (hooks.postrouting !== null && !hooks.postrouting(packet, null, path.iface)) return;
    if (hooks.protect !== null && !hooks.protect(packet, null, path.iface)) return;
    this.leave(packet, path);
  }

  leave(packet: Packet, path: Path): void {
    if (path.local) {
      this.loopback.output(packet);
      return;
    }
    if (path.broadcast) packet.flags |= PacketFlag.NetBroadcast;
    const length = packet.gsoType === Gso.None ? packet.length : packet.transport - packet.network + segmentHeader(packet) + packet.gsoSize;
    if (length > path.mtu) {
      this.tooLong(packet, path);
      return;
    }
    this.transmit(packet, path);
  }

  /** To the link: the packet fits. */
  transmit(packet: Packet, path: Path): void {
    const { iface } = path;
    this.ctx.counters.count(Counter.IpOutTransmits);
    // A group or a route of one's own may lead out of the loopback interface, which has no device.
    if (iface.medium === 'loopback') this.loopback.output(packet);
    else if (iface.medium !== 'ethernet') iface.transmit(packet);
    else if (path.group) {
      if ((packet.flags & PacketFlag.Looped) === 0) this.loopback.groupCopy(iface, packet);
      this.ethernet.outputGroup(iface, packet);
    } else if (path.neighbor !== null) this.ethernet.output(iface, packet, path.neighbor);
    else this.ctx.drop(packet, Drop.NeighborTableFull);
  }

  private tooLong(packet: Packet, path: Path): void {
    if (packet.flags & PacketFlag.DontFragment || packet.gsoType !== Gso.None) {
      // A path MTU has shrunk between the transport's look and now; the transport hears of it like of a router's error.
      if (packet.inIndex === 0) this.ip.failed(packet, 'too-big', Unreachable.FragmentationNeeded, Errno.EMSGSIZE);
      this.ctx.drop(packet, Drop.IpTooBig);
      return;
    }
    fragment(this.ctx, packet, path.mtu, (piece) => this.transmit(piece, path));
  }

  private identification(packet: Packet): number {
    const h =
      Math.imul(packet.source.w3 ^ (this.ctx.secret[2] as number), 0x9e3779b1) ^ Math.imul(packet.destination.w3 ^ packet.protocol, 0x85ebca6b);
    const bucket = (h >>> 16) & (IDENT_BUCKETS - 1);
    const id = this.idents[bucket] as number;
    this.idents[bucket] = id + (packet.gsoType === Gso.None ? 1 : Math.ceil(packet.length / packet.gsoSize));
    return id;
  }

  /** RFC 1122 §3.3.4.3: an address of the outgoing interface, of the next hop's subnet if one is; limited broadcasts may leave without. */
  source(iface: Interface, destination: Address, nextHop: Address): InterfaceAddress | null {
    let first: InterfaceAddress | null = null;
    for (const a of iface.addresses) {
      if (!a.address.isV4 || a.state !== 'preferred') continue;
      if (a.length === 0 || (a.address.w3 ^ nextHop.w3) >>> (32 - a.length) === 0) return a;
      first ??= a;
    }
    if (first !== null || destination.isLoopback) return first;
    // An unnumbered interface borrows (RFC 1812 §2.2.7).
    for (const other of this.ip.interfaces) {
      if (other.vrf !== iface.vrf || other.medium === 'loopback') continue;
      for (const a of other.addresses) if (a.address.isV4 && a.state === 'preferred') return a;
    }
    return null;
  }
}

/** Octets of the transport header that every segment of a big frame repeats. */
function segmentHeader(packet: Packet): number {
  return packet.gsoType === Gso.Udp ? 8 : (packet.view.getUint8(packet.transport + 12) >>> 4) << 2;
}
