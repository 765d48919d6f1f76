/** What devices share whose frames arrive as JavaScript values: the queue, the events, the counters. */
import { ConfigError, type NetError } from '../base/errors.js';
import type { Packet, PacketPool } from '../base/packet.js';
import { FrameQueue, type FrameQueueLimits } from './frame-queue.js';
import type { Device, DeviceEvents } from './hypercalls.js';

/** What such a device counts. */
export interface DeviceStatistics extends Record<string, number> {
  rxFrames: number;
  rxOctets: number;
  /** Frames that arrived and found the queue full. */
  rxDropped: number;
  txFrames: number;
  txOctets: number;
  txDropped: number;
}

/** What a device says of itself. */
export interface QueuedDeviceOptions extends FrameQueueLimits {
  readonly kind: string;
  readonly medium: 'ethernet' | 'ip';
  readonly mac?: Uint8Array | undefined;
  /** Default 1,500. */
  readonly mtu?: number | undefined;
  /** Default none. */
  readonly offloads?: number | undefined;
  /** Brackets for calls from the host's loop; see DeviceContext. Default: none. */
  readonly context?: { enter(): void; leave(): void } | undefined;
}

/** A subclass brings `transmit` and `carrier`, and calls `arrived` for each frame. */
export abstract class QueuedDevice implements Device {
  readonly kind: string;
  readonly medium: 'ethernet' | 'ip';
  readonly mac: Uint8Array;
  readonly offloads: number;
  mtu: number;
  protected events: DeviceEvents | null = null;
  protected readonly queue: FrameQueue;
  protected rxFrames = 0;
  protected rxOctets = 0;
  protected rxDropped = 0;
  protected txFrames = 0;
  protected txOctets = 0;
  protected txDropped = 0;
  private readonly context: { enter(): void; leave(): void } | null;
  /** A readable() has not been answered by a receive yet. */
  private announced = false;

  constructor(options: QueuedDeviceOptions) {
    this.kind = options.kind;
    this.medium = options.medium;
    this.mac = options.mac ?? new Uint8Array(6);
    if (this.mac.length !== 6) throw new ConfigError('a station address has 6 octets');
    this.mtu = options.mtu ?? 1_500;
    this.offloads = options.offloads ?? 0;
    this.context = options.context ?? null;
    this.queue = new FrameQueue(options.medium, options);
  }

  abstract readonly carrier: boolean;
  abstract transmit(packets: Packet[], count: number): number;

  start(events: DeviceEvents): void {
    this.events = events;
  }

  receive(pool: PacketPool, into: Packet[], max: number): number {
    this.announced = false;
    const n = this.queue.receive(pool, into, max);
    for (let i = 0; i < n; i++) this.rxOctets += (into[i] as Packet).length;
    this.rxFrames += n;
    // Short of max, the pool was empty: the next frame announces, not this one again and again.
    if (n === max) this.announce();
    return n;
  }

  statistics(): DeviceStatistics {
    const { rxFrames, rxOctets, rxDropped, txFrames, txOctets, txDropped } = this;
    return { rxFrames, rxOctets, rxDropped, txFrames, txOctets, txDropped };
  }

  close(): void {
    this.queue.clear();
    this.events = null;
    this.announced = false;
  }

  /** A frame came from outside; it is copied. */
  protected arrived(frame: Uint8Array): void {
    if (this.events === null || !this.queue.putBytes(frame)) {
      this.rxDropped++;
      return;
    }
    this.announce();
  }

  protected announce(): void {
    if (this.queue.frames === 0 || this.announced || this.events === null) return;
    this.announced = true;
    this.context?.enter();
    try {
      this.events.readable();
    } finally {
      this.context?.leave();
    }
  }

  /** An event to the stack, from the host's loop. */
  protected tell(what: (events: DeviceEvents) => void): void {
    if (this.events === null) return;
    this.context?.enter();
    try {
      what(this.events);
    } finally {
      this.context?.leave();
    }
  }

  protected failed(error: NetError): void {
    this.tell((events) => events.failed(error));
  }
}
