/** Devices in tests: a context on virtual time, a recorder of events, frames in and out as octets. */
import { NetError } from '#src/base/errors.js';
import { type Packet, PacketPool } from '#src/base/packet.js';
import { Slab } from '#src/base/slab.js';
import type { DeviceContext } from '#src/hyper/device-context.js';
import type { Device, DeviceEvents } from '#src/hyper/hypercalls.js';
import { VirtualClock, VirtualHost } from '#src/hyper/virtual-host.js';

/** What a host lends its devices, without a loop. */
export function virtualContext(clock = new VirtualClock(0)): DeviceContext & { readonly clock: VirtualClock } {
  const host = new VirtualHost({ clock });
  return {
    clock,
    monotonic: () => clock.now,
    wallClock: () => host.wallClock(),
    alarm: (fire) => clock.alarm(fire),
    random: (into) => host.random(into),
    enter() {},
    leave() {},
    log() {},
    portIo() {
      throw new NetError('ENOSYS', 'open');
    },
  };
}

/** Counts what a device tells, and lets a test wait for it. */
export class Recorder implements DeviceEvents {
  readonly seen: string[] = [];
  private waiting: (() => void)[] = [];

  readable(): void {
    this.note('readable');
  }
  writable(): void {
    this.note('writable');
  }
  carrier(up: boolean): void {
    this.note(`carrier ${up}`);
  }
  mtu(octets: number): void {
    this.note(`mtu ${octets}`);
  }
  failed(error: NetError): void {
    this.note(`failed ${error.code}`);
  }

  /** Resolves when `what` has been told; what was told before it is forgotten. */
  async until(what: string): Promise<void> {
    while (!this.seen.includes(what)) await new Promise<void>((resolve) => this.waiting.push(resolve));
    this.seen.splice(0, this.seen.indexOf(what) + 1);
  }

  private note(what: string): void {
    this.seen.push(what);
    for (const resolve of this.waiting.splice(0)) resolve();
  }
}

/** One pool and slab to make frames from; `held` says whether all came back. */
export class FrameBench {
  readonly pool = new PacketPool(4_096);
  readonly slab = new Slab(69_632, 1, 64);
  private readonly into: Packet[] = [];

  packet(octets: Uint8Array): Packet {
    const packet = this.pool.from(this.slab) as Packet;
    packet.bytes.set(octets, packet.head);
    packet.tail = packet.head + octets.length;
    return packet;
  }

  /** Offers frames; those not taken are released. Says how many were. */
  send(device: Device, ...frames: Uint8Array[]): number {
    const packets = frames.map((frame) => this.packet(frame));
    const taken = device.transmit(packets, packets.length);
    for (const packet of packets.slice(taken)) packet.release();
    return taken;
  }

  /** All there is to receive, as octets. */
  receive(device: Device, max = 64): Buffer[] {
    const frames: Buffer[] = [];
    for (;;) {
      const n = device.receive(this.pool, this.into, max);
      for (let i = 0; i < n; i++) {
        const packet = this.into[i] as Packet;
        frames.push(Buffer.from(packet.bytes.slice(packet.head, packet.tail)));
        packet.release();
      }
      if (n < max) return frames;
    }
  }

  get held(): number {
    return this.pool.held + this.slab.held;
  }
}
