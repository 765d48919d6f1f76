// hot: bench/packet
import type { Address } from '../../base/address.js';
import { Drop } from '../../base/drops.js';
import { Errno } from '../../base/errors.js';
import { Gso, type Packet, PacketFlag } from '../../base/packet.js';
import * as wire from '../../wire/ipv6.js';
import { Protocol } from '../../wire/protocol.js';
import type { Context } from '../context.js';
import { Counter } from '../counters.js';
import type { Interface, InterfaceAddress } from '../interface.js';
import type { FamilyOutput, IpLayer } from '../ip/ip.js';
import type { Loopback } from '../ip/loopback.js';
import { describePath, type Path } from '../ip/path.js';
import type { Ethernet } from '../link/link.js';
import { FlowLabels } from './flow-label.js';
import { fragment6, Identifications } from './fragment.js';
import type { SourceSelection } from './source-selection.js';

/** Octets of a hop-by-hop header with a router alert. */
const ALERT_LEN = 8;

/** The way down for IPv6 packets: header, filter, protection, fragments, link. */
export class Output6 implements FamilyOutput {
  private readonly ctx: Context;
  private readonly ip: IpLayer;
  private readonly ethernet: Ethernet;
  private readonly loopback: Loopback;
  private readonly selection: SourceSelection;
  private readonly labels: FlowLabels;
  private readonly ids: Identifications;
  private readonly chain = new wire.Chain();

  constructor(ctx: Context, ip: IpLayer, ethernet: Ethernet, loopback: Loopback, selection: SourceSelection) {
    this.ctx = ctx;
    this.ip = ip;
    this.ethernet = ethernet;
    this.loopback = loopback;
    this.selection = selection;
    this.labels = new FlowLabels(ctx);
    this.ids = new Identifications(ctx);
  }

  output(packet: Packet, path: Path): void {
    this.header(packet, path);
    this.depart(packet, path);
  }

  header(packet: Packet, path: Path): void {
    const { ctx } = this;
    if (path.flowLabel < 0) path.flowLabel = ctx.sysctl.v['net.ipv6.auto_flowlabels'] === 0 ? 0 : this.labels.of(packet);
    packet.transport = packet.head;
    let next = packet.protocol;
    if (packet.flags & PacketFlag.RouterAlert) {
      wire.putRouterAlert(packet.view, packet.push(ALERT_LEN), next, 0);
      next = Protocol.HopByHop;
    }
    const length = packet.length;
    const at = packet.push(wire.HEADER_LEN);
    packet.network = at;
    packet.family = 6;
    if (packet.ttl === 0) packet.ttl = path.iface.hopLimit || path.iface.conf6.hop_limit;
    wire.put(packet.view, at, packet.trafficClass, path.flowLabel, length & 0xffff, next, packet.ttl, packet.source, packet.destination);
    ctx.counters.count(Counter.Ip6OutRequests);
  }

  depart(packet: Packet, path: Path): void {
    const { hooks } = this.ip;
    const { observer } = this.ctx;
    packet.outIndex = path.iface.index;
    if (observer.verdict !== null) observer.verdict(packet, 'output', describePath(path));
    if (hooks.output !== null && !hooks.output(packet, null, path.iface)) return;
    this.send(packet, path);
  }

  /** A complete IPv6 packet, head at its header, on its way out. Owns it. */
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
    this.ctx.counters.count(Counter.Ip6OutTransmits);
    if (iface.medium === 'loopback') {
      // A group or a route of one's own may lead out of the loopback interface, which has no device.
      this.loopback.output(packet);
      return;
    }
    if (path.group && (packet.flags & PacketFlag.Looped) === 0) this.loopback.groupCopy(iface, packet);
    // RFC 4291 §2.7.1: interface-local groups never leave; nor does what the sender gave no hop.
    if (path.group && ((packet.destination.w0 >>> 16) & 15) <= 1) packet.release();
    else if (iface.medium !== 'ethernet') iface.transmit(packet);
    else if (path.group) this.ethernet.outputGroup(iface, packet);
    else if (path.neighbor !== null) this.ethernet.output(iface, packet, path.neighbor);
    else this.ctx.drop(packet, Drop.NeighborTableFull);
  }

  private tooLong(packet: Packet, path: Path): void {
    if (packet.flags & PacketFlag.DontFragment || packet.gsoType !== Gso.None || path.mtu < wire.MTU_MIN) {
      // A path MTU has shrunk between the transport's look and now; the transport hears of it like of a router's error.
      if (packet.inIndex === 0) this.ip.failed(packet, 'too-big', 0, Errno.EMSGSIZE);
      this.ctx.drop(packet, Drop.IpTooBig);
      return;
    }
    const { chain } = this;
    wire.skim(packet.view, packet.network, packet.tail, chain);
    fragment6(this.ctx, packet, path.mtu, this.ids.next(packet), chain.nextField, (piece) => this.transmit(piece, path));
  }

  source(iface: Interface, destination: Address, _nextHop: Address): InterfaceAddress | null {
    return this.selection.select(iface, destination);
  }
}

/** Octets of the transport header that every segment of a big frame repeats. */
function segmentHeader(packet: Packet): number {
  return packet.gsoType === Gso.Udp ? 8 : (packet.view.getUint8(packet.transport + 12) >>> 4) << 2;
}
