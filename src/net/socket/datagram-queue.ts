import { Address } from '../../base/address.js';
import type { Packet } from '../../base/packet.js';
import type { Micros } from '../../base/time.js';
import type { Context } from '../context.js';

/** What is known of a received datagram besides its octets. Owned by the caller of receive, filled in by it. */
export class DatagramInfo {
  readonly address = new Address();
  port = 0;
  /** Where it was sent to: one of our addresses, a group or a broadcast. */
  readonly destination = new Address();
  /** Interface it came in on. */
  index = 0;
  ttl = 0;
  trafficClass = 0;
  /** Octets of the datagram, more than were copied when the buffer was short. */
  size = 0;
  time: Micros = 0;
}

/** Received packets of one socket, bounded by their true size. head stands at the octets to deliver. */
export class DatagramQueue {
  private readonly ctx: Context;
  private first: Packet | null = null;
  private last: Packet | null = null;
  /** True size of what waits. */
  charged = 0;
  count = 0;
  limit: number;

  constructor(ctx: Context, limit: number) {
    this.ctx = ctx;
    this.limit = limit;
  }

  /** Takes the packet over; false when the buffer was full, and it was dropped with `reason`. */
  push(given: Packet, reason: number): boolean {
    if (this.charged >= this.limit) {
      this.ctx.drop(given, reason);
      return false;
    }
    const packet = this.ctx.keep(given, reason);
    if (packet === null) return false;
    packet.next = null;
    if (this.first === null) this.first = packet;
    else (this.last as Packet).next = packet;
    this.last = packet;
    this.charged += packet.slot.slab.slotSize;
    this.count++;
    return true;
  }

  /** Octets of the next datagram, −1 when there is none. */
  get nextSize(): number {
    return this.first === null ? -1 : this.first.tail - this.first.head;
  }

  /** Copies the next datagram to `into` and describes it; answers octets copied, −1 when there is none. */
  receive(into: Uint8Array, offset: number, length: number, info: DatagramInfo): number {
    const packet = this.first;
    if (packet === null) return -1;
    this.first = packet.next;
    if (this.first === null) this.last = null;
    packet.next = null;
    this.charged -= packet.slot.slab.slotSize;
    this.count--;
    const size = packet.tail - packet.head;
    const n = Math.min(size, length);
    copyOut(packet, n, into, offset);
    info.address.copy(packet.source);
    info.port = packet.sourcePort;
    info.destination.copy(packet.destination);
    info.index = packet.inIndex;
    info.ttl = packet.ttl;
    info.trafficClass = packet.trafficClass;
    info.size = size;
    info.time = packet.time;
    packet.release();
    return n;
  }

  purge(): void {
    while (this.first !== null) {
      const packet = this.first;
      this.first = packet.next;
      packet.next = null;
      packet.release();
    }
    this.last = null;
    this.charged = 0;
    this.count = 0;
  }
}

/** Short datagrams octet by octet: a subarray costs more than they do. */
function copyOut(packet: Packet, n: number, into: Uint8Array, offset: number): void {
  const { bytes, head } = packet;
  if (n > 64) into.set(bytes.subarray(head, head + n), offset);
  else for (let i = 0; i < n; i++) into[offset + i] = bytes[head + i] as number;
}
