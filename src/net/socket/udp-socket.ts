// hot: bench/packet
import { Address } from '../../base/address.js';
import { fold } from '../../base/checksum.js';
import { Drop } from '../../base/drops.js';
import { Errno } from '../../base/errors.js';
import { Checksum, HEADROOM, type Packet, PacketFlag } from '../../base/packet.js';
import { Protocol } from '../../wire/protocol.js';
import { pseudoSum } from '../../wire/transport-checksum.js';
import * as wire from '../../wire/udp.js';
import type { Context } from '../context.js';
import { Counter } from '../counters.js';
import type { FilterMode } from '../ip/multicast.js';
import { Flow, type Path } from '../ip/path.js';
import type { IcmpError } from '../ip/service.js';
import type { Udp } from '../udp/udp.js';
import { type DatagramInfo, DatagramQueue } from './datagram-queue.js';
import { reaches } from './ports.js';
import { Ready, Socket } from './socket.js';
import { SocketGroups } from './socket-groups.js';

/** Octets of UDP payload that fit an IP packet: 65,535 less the UDP header, and less 20 for IPv4. */
const PAYLOAD_MAX_V4 = 65_507;
const PAYLOAD_MAX_V6 = 65_527;
/** Where the UDP header stands in a slot: room for IP and link before it, IP on an 8-octet boundary. */
const HEADER_AT = HEADROOM + 40;

/** A UDP socket: see Socket. */
export class UdpSocket extends Socket {
  readonly kind = 'udp';
  private readonly udp: Udp;
  readonly queue: DatagramQueue;
  reuse = false;
  bound = false;
  /** Sees each datagram first, head at its payload; true: it took the packet over. ESP in UDP. */
  encapsulation: ((packet: Packet) => boolean) | null = null;
  connected = false;
  private error = 0;
  /** What a program asked for and reads back: datagrams are not buffered on the way down. */
  private sendBuffer: number;
  private broadcast = false;
  private ttl = 0;
  private trafficClass = 0;
  private multicastTtl = 1;
  private multicastLoop = true;
  private multicastIndex = 0;
  private multicastAll = true;
  private groups: SocketGroups | null = null;
  private discover: boolean;
  private readonly flow = new Flow();
  private path: Path | null = null;
  private readonly pathTo = new Address();
  private pathIndex = -1;

  constructor(ctx: Context, udp: Udp, family: 4 | 6 | 46) {
    super(ctx, family);
    this.udp = udp;
    this.queue = new DatagramQueue(ctx, ctx.sysctl.v['net.core.rmem_default']);
    this.sendBuffer = ctx.sysctl.v['net.core.wmem_default'];
    this.discover = ctx.sysctl.v['net.ipv4.ip_no_pmtu_disc'] === 0;
    if (family === 4) this.localAddress.setV4(0);
  }

  /** Binds to an address (null: any) and a port (0: an ephemeral one). `zone` is the interface of a link-local address. 0 or a negative errno. */
  bind(address: Address | null, port: number, zone = 0): number {
    if (this.closed) return -Errno.EBADF;
    if (this.bound) return -Errno.EINVAL;
    if (address !== null && !address.isUnspecified) {
      if (!reaches(this.family, address)) return -Errno.EAFNOSUPPORT;
      if (!address.isMulticast && !address.isLimitedBroadcast && !this.udp.ip.isLocal(address, this.vrf)) return -Errno.EADDRNOTAVAIL;
      this.localAddress.copy(address);
    }
    if (zone !== 0) this.boundIndex = zone;
    const result = this.udp.ports.bind(this, port);
    this.bound = result === 0;
    return result;
  }

  /** Fixes the peer: only its datagrams are received, and errors about what we sent it are reported. */
  connect(address: Address, port: number, zone = 0): number {
    if (!reaches(this.family, address)) return -Errno.EAFNOSUPPORT;
    if (port === 0) return -Errno.EINVAL;
    const path = this.route(address, zone);
    if (typeof path === 'number') return path;
    if (!this.bound) {
      const result = this.bind(null, 0);
      if (result < 0) return result;
    }
    if (this.localAddress.isUnspecified) this.localAddress.copy(path.source);
    this.remoteAddress.copy(address);
    this.remotePort = port;
    if (zone !== 0) this.boundIndex = zone;
    this.connected = true;
    return 0;
  }

  disconnect(): number {
    if (!this.connected) return -Errno.ENOTCONN;
    this.connected = false;
    this.remoteAddress.set(0, 0, 0, 0);
    this.remotePort = 0;
    return 0;
  }

  /** Sends data[offset, offset + length) to `address` (null: the connected peer). Answers length, or a negative errno; nothing is ever sent in part. */
  sendTo(data: Uint8Array, offset: number, length: number, address: Address | null, port: number, zone = 0): number {
    if (this.closed) return -Errno.EBADF;
    if (this.error !== 0) return -this.takeError();
    const to = address ?? (this.connected ? this.remoteAddress : null);
    if (to === null) return -Errno.EDESTADDRREQ;
    const toPort = address === null ? this.remotePort : port;
    if (toPort === 0) return -Errno.EINVAL;
    if (!reaches(this.family, to)) return -Errno.EAFNOSUPPORT;
    const v4 = to.isV4;
    if (length > (v4 ? PAYLOAD_MAX_V4 : PAYLOAD_MAX_V6)) return -Errno.EMSGSIZE;
    if (!this.bound) {
      const result = this.bind(null, 0);
      if (result < 0) return result;
    }
    this.ctx.touch();
    const path = this.route(to, zone);
    if (typeof path === 'number') return path;
    if (path.broadcast && !this.broadcast) return -Errno.EACCES;
    if (path.iface.backlog >= this.ctx.sysctl.v['anystack.txqueuelen']) return -Errno.EAGAIN;
    const packet = this.ctx.pool.from(HEADER_AT + wire.HEADER_LEN + length > this.ctx.slab.slotSize ? this.ctx.big : this.ctx.slab);
    if (packet === null) return -Errno.ENOBUFS;
    this.write(packet, path, to, toPort, data, offset, length, v4);
    return length;
  }

  private write(packet: Packet, path: Path, to: Address, toPort: number, data: Uint8Array, offset: number, length: number, v4: boolean): void {
    const at = packet.slot.start + HEADER_AT;
    const octets = wire.HEADER_LEN + length;
    packet.head = at;
    packet.tail = at + octets;
    copyIn(data, offset, length, packet.bytes, at + wire.HEADER_LEN);
    packet.source.copy(this.localAddress.isUnspecified || this.localAddress.isMulticast ? path.source : this.localAddress);
    packet.destination.copy(to);
    packet.sourcePort = this.localPort;
    packet.destinationPort = toPort;
    packet.family = v4 ? 4 : 6;
    packet.protocol = Protocol.Udp;
    packet.transport = at;
    packet.ttl = path.group && !path.broadcast ? this.multicastTtl : this.ttl;
    packet.trafficClass = this.trafficClass;
    // RFC 1191 §4: DF on what fits now; what does not is cut here. Linux's IP_PMTUDISC_WANT.
    if (this.discover && octets + (v4 ? 20 : 40) <= path.mtu) packet.flags = PacketFlag.DontFragment;
    if (path.group && !this.multicastLoop) packet.flags |= PacketFlag.Looped;
    packet.checksum = Checksum.Partial;
    packet.csumStart = at;
    packet.csumOffset = 6;
    wire.put(packet.view, at, this.localPort, toPort, octets, fold(pseudoSum(packet.source, packet.destination, Protocol.Udp, octets)));
    this.ctx.counters.count(Counter.UdpOutDatagrams);
    this.udp.ip.output(packet, path);
  }

  private route(to: Address, zone: number): Path | number {
    const index = zone || this.boundIndex || (to.isMulticast ? this.multicastIndex : 0);
    if (this.path !== null && this.pathIndex === index && this.udp.ip.valid(this.path) && this.pathTo.equals(to)) return this.path;
    const { flow } = this;
    flow.destination.copy(to);
    if (this.localAddress.isMulticast || this.localAddress.isLimitedBroadcast) flow.source.set(0, 0, 0, 0);
    else flow.source.copy(this.localAddress);
    flow.protocol = Protocol.Udp;
    flow.outIndex = index;
    flow.vrf = this.vrf;
    flow.trafficClass = this.trafficClass;
    const path = this.udp.ip.path(flow);
    if (typeof path === 'number') return path;
    this.path = path;
    this.pathTo.copy(to);
    this.pathIndex = index;
    return path;
  }

  /** Copies the next datagram to into[offset, offset + length); answers the octets copied or −EAGAIN or a pending error. What did not fit is lost. */
  receive(into: Uint8Array, offset: number, length: number, info: DatagramInfo): number {
    if (this.error !== 0) return -this.takeError();
    const n = this.queue.receive(into, offset, length, info);
    return n < 0 ? -Errno.EAGAIN : n;
  }

  /** Octets of the next datagram, −1 when there is none. */
  get nextSize(): number {
    return this.queue.nextSize;
  }

  readiness(): number {
    if (this.closed) return Ready.HangUp;
    return Ready.Writable | (this.queue.count > 0 ? Ready.Readable : 0) | (this.error === 0 ? 0 : Ready.Error);
  }

  takeError(): number {
    const error = this.error;
    this.error = 0;
    return error;
  }

  /** How well the socket fits a received datagram; 0 not at all. For Udp. */
  score(packet: Packet): number {
    if (this.boundIndex !== 0 && this.boundIndex !== packet.inIndex) return 0;
    if (packet.family === 4 ? this.family === 6 : this.family === 4) return 0;
    let score = 1;
    if (!this.localAddress.isUnspecified) {
      if (!this.localAddress.equals(packet.destination) && (packet.flags & PacketFlag.NetBroadcast) === 0) return 0;
      score += 2;
    }
    if (this.connected) {
      if (this.remotePort !== packet.sourcePort || !this.remoteAddress.equals(packet.source)) return 0;
      score += 4;
    }
    if (this.boundIndex !== 0) score += 1;
    return score;
  }

  /** By this socket's own filter; a group that only others joined by IP_MULTICAST_ALL (Linux's default). */
  wantsGroup(packet: Packet): boolean {
    if (!packet.destination.isMulticast) return true;
    return this.groups === null ? this.multicastAll : this.groups.admits(packet, this.multicastAll);
  }

  /** Joins a group on interface `index` (0: where packets to it would leave), or one source of it: RFC 3678 §4.1. 0 or a negative errno, see SocketGroups. */
  join(group: Address, index: number, source: Address | null): number {
    const at = this.groupIndex(group, index);
    return at < 0 ? at : (this.groups as SocketGroups).join(group, at, source);
  }

  /** The opposite of join; `index` 0: on the interface where it was joined first. */
  leave(group: Address, index: number, source: Address | null): number {
    return this.groups?.leave(group, index, source) ?? -Errno.EADDRNOTAVAIL;
  }

  /** The whole source filter of a group: RFC 3678 §4.2. Include of nothing leaves. */
  setSourceFilter(group: Address, index: number, mode: FilterMode, sources: readonly Address[]): number {
    const at = this.groupIndex(group, index);
    return at < 0 ? at : (this.groups as SocketGroups).listen(group, at, mode, sources);
  }

  /** The interface for a membership, or a negative errno. Makes `groups`. */
  private groupIndex(group: Address, index: number): number {
    const { multicast } = this.udp;
    if (this.closed) return -Errno.EBADF;
    if (multicast === null) return -Errno.ENOPROTOOPT;
    if (!group.isMulticast) return -Errno.EINVAL;
    if (!reaches(this.family, group)) return -Errno.EAFNOSUPPORT;
    this.ctx.touch();
    this.groups ??= new SocketGroups(this.ctx, multicast);
    if (index !== 0) return index;
    const path = this.route(group, 0);
    return typeof path === 'number' ? (path === -Errno.ENETUNREACH ? -Errno.ENODEV : path) : path.iface.index;
  }

  /** head at the payload. For Udp. Owns the packet. */
  deliver(packet: Packet): void {
    if (this.encapsulation?.(packet)) return;
    if (!this.queue.push(packet, Drop.UdpReceiveBufferFull)) {
      this.ctx.counters.count(Counter.UdpInErrors);
      return;
    }
    this.ctx.counters.count(Counter.UdpInDatagrams);
    this.changed();
  }

  /** Did we send the packet the error quotes? For Udp. */
  sent(error: IcmpError): boolean {
    if (!this.localAddress.isUnspecified && !this.localAddress.equals(error.source)) return false;
    return !this.connected || (this.remotePort === error.destinationPort && this.remoteAddress.equals(error.destination));
  }

  /** Connected sockets hear of errors; for others nobody would know whom they concern (Linux without IP_RECVERR). */
  icmp(error: IcmpError): void {
    if (!this.connected || (!error.hard && error.kind !== 'too-big')) return;
    this.error = error.errno;
    this.changed();
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.groups?.leaveAll();
    if (this.bound) this.udp.ports.remove(this);
    this.queue.purge();
  }

  fail(errno: number): void {
    if (this.closed) return;
    this.error = errno;
    this.changed();
  }

  getOption(name: string): number | string {
    switch (name) {
      case 'SO_RCVBUF':
        return this.queue.limit;
      case 'SO_SNDBUF':
        return this.sendBuffer;
      case 'SO_REUSEADDR':
      case 'SO_REUSEPORT':
        return this.reuse ? 1 : 0;
      case 'SO_BROADCAST':
        return this.broadcast ? 1 : 0;
      case 'SO_ERROR':
        return this.takeError();
      case 'SO_BINDTODEVICE':
        return this.boundIndex;
      case 'IP_TTL':
      case 'IPV6_UNICAST_HOPS':
        return this.ttl || this.ctx.sysctl.v['net.ipv4.ip_default_ttl'];
      case 'IP_TOS':
      case 'IPV6_TCLASS':
        return this.trafficClass;
      case 'IP_MULTICAST_TTL':
      case 'IPV6_MULTICAST_HOPS':
        return this.multicastTtl;
      case 'IP_MULTICAST_LOOP':
      case 'IPV6_MULTICAST_LOOP':
        return this.multicastLoop ? 1 : 0;
      case 'IP_MULTICAST_IF':
      case 'IPV6_MULTICAST_IF':
        return this.multicastIndex;
      case 'IP_MULTICAST_ALL':
      case 'IPV6_MULTICAST_ALL':
        return this.multicastAll ? 1 : 0;
      case 'IP_MTU_DISCOVER':
        return this.discover ? 1 : 0;
      default:
        return -Errno.ENOPROTOOPT;
    }
  }

  setOption(name: string, value: number | string): number {
    const n = Number(value);
    const v = this.ctx.sysctl.v;
    if (!Number.isInteger(n)) return -Errno.EINVAL;
    const octet = n >= 0 && n <= 255;
    switch (name) {
      case 'SO_RCVBUF':
        this.queue.limit = Math.min(Math.max(n, 2_048), v['net.core.rmem_max']);
        return 0;
      case 'SO_SNDBUF':
        this.sendBuffer = Math.min(Math.max(n, 4_608), v['net.core.wmem_max']);
        return 0;
      case 'SO_REUSEADDR':
      case 'SO_REUSEPORT':
        this.reuse = n !== 0;
        return 0;
      case 'SO_BROADCAST':
        this.broadcast = n !== 0;
        return 0;
      case 'SO_BINDTODEVICE':
        this.boundIndex = n;
        return 0;
      case 'IP_TTL':
      case 'IPV6_UNICAST_HOPS':
        if (n < 1 || n > 255) return -Errno.EINVAL;
        this.ttl = n;
        return 0;
      case 'IP_TOS':
      case 'IPV6_TCLASS':
        if (!octet) return -Errno.EINVAL;
        this.trafficClass = n;
        this.path = null; // a policy rule may choose by it
        return 0;
      case 'IP_MULTICAST_TTL':
      case 'IPV6_MULTICAST_HOPS':
        if (!octet) return -Errno.EINVAL;
        this.multicastTtl = n;
        return 0;
      case 'IP_MULTICAST_LOOP':
      case 'IPV6_MULTICAST_LOOP':
        this.multicastLoop = n !== 0;
        return 0;
      case 'IP_MULTICAST_IF':
      case 'IPV6_MULTICAST_IF':
        this.multicastIndex = n;
        return 0;
      case 'IP_MULTICAST_ALL':
      case 'IPV6_MULTICAST_ALL':
        this.multicastAll = n !== 0;
        return 0;
      case 'IP_MTU_DISCOVER':
        this.discover = n !== 0;
        return 0;
      default:
        return -Errno.ENOPROTOOPT;
    }
  }
}

function copyIn(data: Uint8Array, offset: number, length: number, into: Uint8Array, at: number): void {
  if (offset === 0 && length === data.length) into.set(data, at);
  else if (length > 64) into.set(data.subarray(offset, offset + length), at);
  else for (let i = 0; i < length; i++) into[at + i] = data[offset + i] as number;
}
