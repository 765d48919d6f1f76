/** Devices that are Duplex streams of whole frames: one a program brings along, or a TAP of the npm package tuntap2. */
import { ConfigError, NetError } from '../base/errors.js';
import { copyPacket, type Packet } from '../base/packet.js';
import type { DeviceContext } from './device-context.js';
import { checkKeys, optional } from './device-spec.js';
import type { Device, DeviceEvents, DeviceSpec } from './hypercalls.js';
import { randomMac } from './mac.js';
import { QueuedDevice, type QueuedDeviceOptions } from './queued-device.js';

/** As much of a Duplex as is used: each chunk and each write is one frame. */
export interface FrameStream {
  on(event: 'data', listener: (frame: Uint8Array) => void): unknown;
  on(event: 'drain' | 'close' | 'end', listener: () => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
  /** False when it would rather have no more before 'drain'. */
  write(frame: Uint8Array): boolean;
  destroy?(): unknown;
  /** Of tuntap2, in place of destroy. */
  release?(): void;
}

/** A stream that the program made. */
export interface DuplexSpec extends DeviceSpec {
  readonly type: 'duplex';
  readonly stream: FrameStream;
  /** Default 'ethernet'. */
  readonly medium?: 'ethernet' | 'ip';
  readonly mtu?: number;
  readonly mac?: string;
}

/** A device of the npm package tuntap2, which is to be installed by who wants it. */
export interface Tuntap2Spec extends DeviceSpec {
  readonly type: 'tuntap2';
  /** Default false: a TAP. */
  readonly tun?: boolean;
  /** The host's own addresses on it, with their prefix length. */
  readonly ipv4?: string;
  readonly ipv6?: string;
  readonly mtu?: number;
  readonly mac?: string;
}

/** Carrier comes with the next turn. Throws ConfigError. */
export function openDuplex(spec: DeviceSpec, context: DeviceContext): Device {
  checkKeys(spec, ['type', 'stream', 'medium', 'mtu', 'mac']);
  const stream = spec['stream'] as FrameStream | undefined;
  if (typeof stream?.write !== 'function') throw new ConfigError("duplex device: 'stream' is to be a Duplex of whole frames");
  const medium = optional(spec, 'medium', 'string') ?? 'ethernet';
  if (medium !== 'ethernet' && medium !== 'ip') throw new ConfigError(`duplex device: medium '${medium}' is neither ethernet nor ip`);
  return new DuplexDevice(optionsOf(spec, medium, context), () => Promise.resolve(stream));
}

interface Tuntap2 extends FrameStream {
  mtu: number;
  ipv4: string;
  ipv6: string;
  isUp: boolean;
}

/** Where the addon and koffi both are not to be had. The package reads by libuv's thread pool: 12 µs a frame. */
export function openTuntap2(spec: DeviceSpec, context: DeviceContext, load: () => Promise<unknown> = () => import(PACKAGE)): Device {
  checkKeys(spec, ['type', 'tun', 'ipv4', 'ipv6', 'mtu', 'mac']);
  const tun = optional(spec, 'tun', 'boolean') ?? false;
  const mtu = optional(spec, 'mtu', 'number');
  const ipv4 = optional(spec, 'ipv4', 'string');
  const ipv6 = optional(spec, 'ipv6', 'string');
  return new DuplexDevice(optionsOf(spec, tun ? 'ip' : 'ethernet', context), async () => {
    const { Tap, Tun } = (await load()) as { Tap: new () => Tuntap2; Tun: new () => Tuntap2 };
    const device = tun ? new Tun() : new Tap();
    if (mtu !== undefined) device.mtu = mtu;
    if (ipv4 !== undefined) device.ipv4 = ipv4;
    if (ipv6 !== undefined) device.ipv6 = ipv6;
    device.isUp = true;
    return device;
  });
}

/** Not a literal in import(): the package is nobody's dependency, and its types are not ours. */
const PACKAGE: string = 'tuntap2';

function optionsOf(spec: DeviceSpec, medium: 'ethernet' | 'ip', context: DeviceContext): QueuedDeviceOptions {
  return {
    kind: spec.type,
    medium,
    mac: medium === 'ethernet' ? randomMac(spec, context) : undefined,
    mtu: optional(spec, 'mtu', 'number'),
    context,
  };
}

class DuplexDevice extends QueuedDevice {
  private readonly opening: () => Promise<FrameStream>;
  private stream: FrameStream | null = null;
  private full = false;
  private closed = false;

  constructor(options: QueuedDeviceOptions, opening: () => Promise<FrameStream>) {
    super(options);
    this.opening = opening;
  }

  /** False while opening. */
  get carrier(): boolean {
    return this.stream !== null;
  }

  override start(events: DeviceEvents): void {
    super.start(events);
    this.opening().then(
      (stream) => this.opened(stream),
      (error: NodeJS.ErrnoException) => this.failed(new NetError((error.code ?? 'ENODEV') as 'ENODEV', 'open', this.kind, undefined, error.message)),
    );
  }

  transmit(packets: Packet[], count: number): number {
    let n = 0;
    for (; n < count && !this.full; n++) {
      const packet = packets[n] as Packet;
      if (this.stream === null) {
        this.txDropped++;
      } else {
        const frame = new Uint8Array(packet.length);
        copyPacket(packet, frame, 0);
        this.full = !this.stream.write(frame);
        this.txFrames++;
        this.txOctets += frame.length;
      }
      packet.release();
    }
    return n;
  }

  override close(): void {
    super.close();
    this.closed = true;
    const { stream } = this;
    this.stream = null;
    end(stream);
  }

  private opened(stream: FrameStream): void {
    if (this.closed) {
      end(stream);
      return;
    }
    this.stream = stream;
    stream.on('data', (frame) => this.arrived(frame));
    stream.on('drain', () => {
      this.full = false;
      this.tell((events) => events.writable());
    });
    stream.on('error', (error) => this.ended(error));
    stream.on('end', () => this.ended(null));
    stream.on('close', () => this.ended(null));
    this.tell((events) => events.carrier(true));
  }

  private ended(error: NodeJS.ErrnoException | null): void {
    if (this.stream === null) return;
    this.stream = null;
    this.full = false;
    this.failed(new NetError((error?.code ?? 'EPIPE') as 'EPIPE', 'read', this.kind, undefined, error?.message ?? 'the stream ended'));
  }
}

function end(stream: FrameStream | null): void {
  if (stream?.release !== undefined) stream.release();
  else stream?.destroy?.();
}
