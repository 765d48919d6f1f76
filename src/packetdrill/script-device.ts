import { BIG_SLOT, Checksum, copyPacket, HEADROOM, type Packet, type PacketPool, SMALL_SLOT } from '../base/packet.js';
import { Slab } from '../base/slab.js';
import type { Micros } from '../base/time.js';
import type { Device, DeviceEvents } from '../hyper/hypercalls.js';

/** What the stack has sent, and when. */
export interface Sent {
  readonly time: Micros;
  /** From the IP header on. */
  readonly octets: Uint8Array;
}

/** Packets of a script that wait to be received; more are a script gone wild. */
const WAITING_MAX = 1_024;

/** The device under the stack that a script talks to: IP packets in, IP packets out, no offload, so that all is seen as on a wire. */
export class ScriptDevice implements Device {
  readonly kind = 'script';
  readonly medium = 'ip';
  readonly mac = new Uint8Array(6);
  readonly mtu: number;
  readonly offloads = 0;
  readonly carrier = true;
  /** Sent and not yet compared, oldest first. The runner takes from it. */
  readonly sent: Sent[] = [];
  /** What is sent from now on is lost unseen. */
  swallows = false;
  private readonly now: () => Micros;
  private readonly small = new Slab(SMALL_SLOT, 16, WAITING_MAX);
  private readonly big = new Slab(BIG_SLOT, 1, 64);
  private readonly waiting: Uint8Array[] = [];
  private events: DeviceEvents | null = null;

  constructor(mtu: number, now: () => Micros) {
    this.mtu = mtu;
    this.now = now;
  }

  start(events: DeviceEvents): void {
    this.events = events;
  }

  /** A packet for the stack, from its IP header on. */
  inject(octets: Uint8Array): void {
    this.waiting.push(octets);
    this.events?.readable();
  }

  receive(pool: PacketPool, into: Packet[], max: number): number {
    let n = 0;
    while (n < max && this.waiting.length > 0) {
      const octets = this.waiting[0] as Uint8Array;
      const packet = pool.from(HEADROOM + octets.length > SMALL_SLOT ? this.big : this.small);
      if (packet === null) break;
      this.waiting.shift();
      packet.bytes.set(octets, packet.head);
      packet.tail = packet.head + octets.length;
      packet.checksum = Checksum.Unverified;
      into[n++] = packet;
    }
    return n;
  }

  transmit(packets: Packet[], count: number): number {
    for (let i = 0; i < count; i++) {
      const packet = packets[i] as Packet;
      if (!this.swallows) {
        const octets = new Uint8Array(packet.length);
        copyPacket(packet, octets, 0);
        this.sent.push({ time: this.now(), octets });
      }
      packet.release();
    }
    return count;
  }

  close(): void {
    this.events = null;
    this.waiting.length = 0;
  }
}
