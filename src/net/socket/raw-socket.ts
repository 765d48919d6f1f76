import type { Address } from '../../base/address.js';
import { finish, sum } from '../../base/checksum.js';
import { Drop } from '../../base/drops.js';
import { Errno } from '../../base/errors.js';
import { Checksum, HEADROOM, type Packet, PacketFlag } from '../../base/packet.js';
import { Protocol } from '../../wire/protocol.js';
import { pseudoSum } from '../../wire/transport-checksum.js';
import type { Context } from '../context.js';
import { Flow } from '../ip/path.js';
import type { IcmpError } from '../ip/service.js';
import type { Raw } from '../raw/raw.js';
import { type DatagramInfo, DatagramQueue } from './datagram-queue.js';
import { Ready, Socket } from './socket.js';

const HEADER_AT = HEADROOM + 40;

/** An ICMP error as a raw socket keeps it: what ping and traceroute want to know. */
export interface RawError {
  readonly from: string;
  readonly kind: IcmpError['kind'];
  readonly code: number;
  readonly errno: number;
  readonly mtu: number;
  readonly destination: string;
  /** The quoted transport header and what follows, at most 128 octets. */
  readonly quoted: Uint8Array;
}

/** Errors a raw socket keeps; further ones are lost, as the oldest are the ones asked for. */
const ERRORS_MAX = 64;

/** A raw IP socket for one protocol. IPv4 packets are received with their header; the header of what is sent is ours. */
export class RawSocket extends Socket {
  readonly kind = 'raw';
  readonly protocol: number;
  private readonly raw: Raw;
  readonly queue: DatagramQueue;
  /** The error queue (IP_RECVERR), oldest first. */
  readonly errors: RawError[] = [];
  private error = 0;
  private ttl = 0;
  private trafficClass = 0;
  private dontFragment = false;
  private readonly flow = new Flow();

  constructor(ctx: Context, raw: Raw, family: 4 | 6, protocol: number) {
    super(ctx, family);
    this.raw = raw;
    this.protocol = protocol;
    this.queue = new DatagramQueue(ctx, ctx.sysctl.v['net.core.rmem_default']);
    if (family === 4) this.localAddress.setV4(0);
  }

  bind(address: Address | null, zone = 0): number {
    if (address !== null && !address.isUnspecified) {
      if (!this.raw.ip.isLocal(address, this.vrf)) return -Errno.EADDRNOTAVAIL;
      this.localAddress.copy(address);
    }
    this.boundIndex = zone;
    return 0;
  }

  /** Sends a transport header and payload. Checksums of ICMPv6 are filled in by us (RFC 3542 §3.1). */
  sendTo(data: Uint8Array, offset: number, length: number, address: Address, zone = 0): number {
    if (this.closed) return -Errno.EBADF;
    if (length > 65_515) return -Errno.EMSGSIZE;
    if (address.isV4 !== (this.family === 4)) return -Errno.EAFNOSUPPORT;
    this.ctx.touch();
    const { flow } = this;
    flow.source.copy(this.localAddress);
    flow.destination.copy(address);
    flow.protocol = this.protocol;
    flow.outIndex = zone || this.boundIndex;
    flow.vrf = this.vrf;
    const path = this.raw.ip.path(flow);
    if (typeof path === 'number') return path;
    const packet = this.ctx.pool.from(HEADER_AT + length > this.ctx.slab.slotSize ? this.ctx.big : this.ctx.slab);
    if (packet === null) return -Errno.ENOBUFS;
    const at = packet.slot.start + HEADER_AT;
    packet.head = packet.transport = at;
    packet.tail = at + length;
    packet.bytes.set(data.subarray(offset, offset + length), at);
    packet.family = this.family === 4 ? 4 : 6;
    packet.protocol = this.protocol;
    packet.source.copy(this.localAddress.isUnspecified ? path.source : this.localAddress);
    packet.destination.copy(address);
    packet.ttl = this.ttl;
    packet.trafficClass = this.trafficClass;
    packet.checksum = Checksum.Verified;
    if (this.dontFragment) packet.flags = PacketFlag.DontFragment;
    if (this.protocol === Protocol.Icmpv6 && length >= 4) {
      packet.view.setUint16(at + 2, 0);
      packet.view.setUint16(at + 2, finish(sum(packet.view, at, length, pseudoSum(packet.source, packet.destination, this.protocol, length))));
    }
    this.raw.ip.output(packet, path);
    return length;
  }

  /** Copies the next packet; answers octets or −EAGAIN or a pending error. */
  receive(into: Uint8Array, offset: number, length: number, info: DatagramInfo): number {
    if (this.error !== 0) return -this.takeError();
    const n = this.queue.receive(into, offset, length, info);
    return n < 0 ? -Errno.EAGAIN : n;
  }

  get nextSize(): number {
    return this.queue.nextSize;
  }

  /** For Raw. */
  wants(packet: Packet): boolean {
    if (this.protocol !== packet.protocol || this.family !== packet.family) return false;
    if (this.boundIndex !== 0 && this.boundIndex !== packet.inIndex) return false;
    return this.localAddress.isUnspecified || this.localAddress.equals(packet.destination);
  }

  /** For Raw. Owns the packet. */
  deliver(packet: Packet): void {
    if (this.queue.push(packet, Drop.RawReceiveBufferFull)) this.changed();
  }

  /** For Raw. */
  icmp(error: IcmpError): void {
    if (this.errors.length >= ERRORS_MAX) return;
    const { from, kind, code, errno, mtu, destination, view, at, end } = error;
    const quoted = new Uint8Array(view.buffer, view.byteOffset + at, Math.min(128, end - at)).slice();
    this.errors.push({ from: from.toString(), kind, code, errno, mtu, destination: destination.toString(), quoted });
    this.changed();
  }

  readiness(): number {
    if (this.closed) return Ready.HangUp;
    const readable = this.queue.count > 0 ? Ready.Readable : 0;
    return Ready.Writable | readable | (this.error === 0 ? 0 : Ready.Error) | (this.errors.length > 0 ? Ready.Priority : 0);
  }

  takeError(): number {
    const error = this.error;
    this.error = 0;
    return error;
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.raw.remove(this);
    this.queue.purge();
  }

  fail(errno: number): void {
    this.error = errno;
    this.changed();
  }

  getOption(name: string): number | string {
    switch (name) {
      case 'SO_RCVBUF':
        return this.queue.limit;
      case 'SO_ERROR':
        return this.takeError();
      case 'IP_TTL':
      case 'IPV6_UNICAST_HOPS':
        return this.ttl;
      case 'IP_TOS':
      case 'IPV6_TCLASS':
        return this.trafficClass;
      case 'IP_MTU_DISCOVER':
        return this.dontFragment ? 1 : 0;
      default:
        return -Errno.ENOPROTOOPT;
    }
  }

  setOption(name: string, value: number | string): number {
    const n = Number(value);
    if (!Number.isInteger(n) || n < 0) return -Errno.EINVAL;
    switch (name) {
      case 'SO_RCVBUF':
        this.queue.limit = Math.min(Math.max(n, 2_048), this.ctx.sysctl.v['net.core.rmem_max']);
        return 0;
      case 'IP_TTL':
      case 'IPV6_UNICAST_HOPS':
        if (n < 1 || n > 255) return -Errno.EINVAL;
        this.ttl = n;
        return 0;
      case 'IP_TOS':
      case 'IPV6_TCLASS':
        if (n > 255) return -Errno.EINVAL;
        this.trafficClass = n;
        return 0;
      case 'IP_MTU_DISCOVER':
        this.dontFragment = n !== 0;
        return 0;
      default:
        return -Errno.ENOPROTOOPT;
    }
  }
}
