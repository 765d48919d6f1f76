import type { Packet, PacketPool } from '../../base/packet.js';
import type { Device, DeviceEvents } from '../../hyper/hypercalls.js';
import type { Interface } from '../interface.js';

/**
 * A device made of what the stack has itself: VLANs, bridges, tunnels. What an interface sends by it goes on down at once instead of waiting
 * for a flush, and what it receives comes by `iface.input`; `packet.depth` bounds how often.
 */
export abstract class StackedDevice implements Device {
  abstract readonly kind: string;
  abstract readonly medium: 'ethernet' | 'ip';
  abstract readonly mac: Uint8Array;
  abstract readonly mtu: number;
  abstract readonly offloads: number;
  abstract readonly carrier: boolean;
  protected events: DeviceEvents | null = null;
  /** The interface that stands on it. Set by Stack.startDevice. */
  iface: Interface | null = null;

  /** One frame on its way down, head at its first octet. Owns it. */
  abstract output(packet: Packet): void;

  /** Does it stand on this interface? */
  abstract standsOn(lower: Interface): boolean;

  /** Carrier, MTU or device of an interface it stands on have changed. */
  abstract lowerChanged(lower: Interface): void;

  /** An interface it stands on goes away. */
  abstract lowerGone(lower: Interface): void;

  start(events: DeviceEvents): void {
    this.events = events;
  }

  receive(_pool: PacketPool, _into: Packet[], _max: number): number {
    return 0;
  }

  transmit(packets: Packet[], count: number): number {
    for (let i = 0; i < count; i++) this.output(packets[i] as Packet);
    return count;
  }

  close(): void {
    this.events = null;
  }
}
