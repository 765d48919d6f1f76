import { Drop } from '../../base/drops.js';
import { BIG_SLOT, Checksum, copyDescriptor, copyPacket, HEADROOM, type Packet, PacketFlag } from '../../base/packet.js';
import type { Context } from '../context.js';
import type { Interface } from '../interface.js';
import type { Demux } from '../link/link.js';

/** Packets to ourselves in flight; more are dropped (LoopbackQueueFull). Linux's netdev_max_backlog is 1,000. */
const LOOPBACK_QUEUE_MAX = 1_000;
/** Packets taken from the queue in one poll, so that a stack that talks to itself still serves its devices. */
const LOOPBACK_BATCH = 256;

/**
 * The loopback queue: output never calls input, so what we send to ourselves waits here for the next ingress. Octets are
 * copied, since a segment's payload lies in a send buffer that its own ACK frees.
 */
export class Loopback {
  private readonly ctx: Context;
  private readonly demux: Demux;
  private readonly iface: Interface;
  private head: Packet | null = null;
  private tail: Packet | null = null;
  private queued = 0;

  constructor(ctx: Context, demux: Demux, iface: Interface) {
    this.ctx = ctx;
    this.demux = demux;
    this.iface = iface;
  }

  /** Owns the packet, head at the IP header. */
  output(packet: Packet): void {
    this.iface.txPackets++;
    this.iface.txOctets += packet.length;
    if (this.ctx.observer.tx !== null) this.ctx.observer.tx(this.iface, packet);
    const contiguous = packet.pieces === 0 ? packet : this.flatten(packet);
    if (contiguous !== null) this.enqueue(contiguous, this.iface.index);
  }

  /** A copy of a group packet for our own members (IP_MULTICAST_LOOP, and broadcasts: RFC 1122 §3.3.6). The packet stays the caller's. */
  groupCopy(iface: Interface, packet: Packet): void {
    const wanted = packet.flags & PacketFlag.NetBroadcast || (iface.groups?.wants(packet) ?? false);
    if (!wanted) return;
    const copy = this.copy(packet);
    if (copy !== null) this.enqueue(copy, iface.index);
  }

  private flatten(packet: Packet): Packet | null {
    const copy = this.copy(packet);
    packet.release();
    return copy;
  }

  private copy(packet: Packet): Packet | null {
    const big = packet.length + HEADROOM > this.ctx.slab.slotSize;
    const copy = packet.length + HEADROOM > BIG_SLOT ? null : this.ctx.pool.from(big ? this.ctx.big : this.ctx.slab);
    if (copy === null) {
      this.ctx.countDrop(Drop.NoBuffer);
      return null;
    }
    copyDescriptor(copy, packet);
    copy.head = copy.slot.start + HEADROOM;
    copy.tail = copyPacket(packet, copy.bytes, copy.head);
    return copy;
  }

  private enqueue(packet: Packet, index: number): void {
    if (this.queued >= LOOPBACK_QUEUE_MAX) {
      this.ctx.drop(packet, Drop.LoopbackQueueFull);
      return;
    }
    packet.flags = (packet.flags & PacketFlag.NetBroadcast) | PacketFlag.Looped;
    packet.inIndex = index;
    packet.outIndex = 0;
    packet.checksum = Checksum.Verified; // it never left this memory
    packet.time = this.ctx.now;
    packet.next = null;
    if (this.head === null) this.head = packet;
    else (this.tail as Packet).next = packet;
    this.tail = packet;
    this.queued++;
    this.ctx.soon();
  }

  /** The loopback's part of the ingress phase. True when packets are left for the next poll. */
  ingress(interfaceAt: (index: number) => Interface | null): boolean {
    for (let n = 0; n < LOOPBACK_BATCH && this.head !== null; n++) {
      const packet = this.head;
      this.head = packet.next;
      this.queued--;
      packet.next = null;
      packet.link = packet.head;
      packet.mark = 0;
      const iface = interfaceAt(packet.inIndex) ?? this.iface;
      iface.rxPackets++;
      iface.rxOctets += packet.length;
      if (this.ctx.observer.rx !== null && iface === this.iface) this.ctx.observer.rx(iface, packet);
      const network = packet.family === 6 ? this.demux.ipv6 : this.demux.ipv4;
      if (network === null) this.ctx.drop(packet, Drop.IpBadVersion);
      else network.input(iface, packet);
    }
    return this.head !== null;
  }

  /** Packets wait: what egress sends to ourselves needs another poll. */
  get waiting(): boolean {
    return this.head !== null;
  }

  purge(): void {
    while (this.head !== null) {
      const packet = this.head;
      this.head = packet.next;
      packet.release();
    }
    this.queued = 0;
  }
}
