/** A capture file as a device: its frames arrive as they were recorded, faster, or as fast as the stack takes them. What the stack sends is counted and forgotten. */
import { readFileSync } from 'node:fs';
import { ConfigError, NetError } from '../base/errors.js';
import type { Packet, PacketPool } from '../base/packet.js';
import type { Micros } from '../base/time.js';
import { CapturedFrame, type CaptureReader, LinkType } from '../wire/pcap.js';
import { openCapture } from '../wire/pcapng.js';
import type { DeviceContext } from './device-context.js';
import { checkKeys, optional } from './device-spec.js';
import type { DeviceEvents, DeviceSpec } from './hypercalls.js';
import { randomMac } from './mac.js';
import { QueuedDevice, type QueuedDeviceOptions } from './queued-device.js';
import type { Alarm, Timing } from './timing.js';

export interface PcapReplaySpec extends DeviceSpec {
  readonly type: 'pcap-replay';
  /** pcap or pcapng, read whole; or `bytes`, its octets. */
  readonly path?: string;
  readonly bytes?: Uint8Array;
  /** A multiple of the recorded speed, or 'max'. Default 1. */
  readonly speed?: number | 'max';
  readonly mtu?: number;
  /** The station the replay is for: frames to others are of no use to a stack. Default: random. */
  readonly mac?: string;
}

/** Frames waiting at 'max'. */
const AHEAD = 256;

/** Reads the whole file now. Throws ConfigError for what is no capture of Ethernet or IP, NetError of the file system. */
export function openPcapReplay(spec: DeviceSpec, context: DeviceContext): PcapReplay {
  checkKeys(spec, ['type', 'path', 'bytes', 'speed', 'mtu', 'mac']);
  const { speed = 1 } = spec as PcapReplaySpec;
  if (speed !== 'max' && !(typeof speed === 'number' && speed > 0))
    throw new ConfigError(`pcap-replay device: speed is a number above 0, or 'max', not ${String(speed)}`);
  const bytes = read(spec);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const reader = openCapture(view);
  const frame = new CapturedFrame();
  if (reader === null || !reader.next(frame))
    throw new ConfigError(`pcap-replay device: no packets, or no capture file: ${reader?.problem ?? 'it begins like none'}`);
  const medium = mediumOf(frame.linkType);
  const mac = medium === 'ethernet' ? randomMac(spec, context) : undefined;
  const options = { kind: spec.type, medium, mac, mtu: optional(spec, 'mtu', 'number') ?? 65_535, context } as const;
  return new PcapReplay(options, context, bytes, reader, frame, speed === 'max' ? 0 : speed);
}

function read(spec: DeviceSpec): Uint8Array {
  const bytes = spec['bytes'];
  if (bytes instanceof Uint8Array) return bytes;
  const path = optional(spec, 'path', 'string');
  if (path === undefined) throw new ConfigError("pcap-replay device: 'path' is missing");
  try {
    return readFileSync(path);
  } catch (error) {
    throw new NetError(((error as NodeJS.ErrnoException).code ?? 'EIO') as 'EIO', 'open', path);
  }
}

function mediumOf(linkType: number): 'ethernet' | 'ip' {
  if (linkType === LinkType.Ethernet) return 'ethernet';
  if (linkType === LinkType.Raw || linkType === LinkType.Ipv4 || linkType === LinkType.Ipv6) return 'ip';
  throw new ConfigError(`pcap-replay device: frames of link type ${linkType} are neither Ethernet nor IP`);
}

/** The device; `done` when the last frame has arrived, which its carrier tells too. */
export class PcapReplay extends QueuedDevice {
  private readonly timing: Timing;
  private readonly bytes: Uint8Array;
  private readonly reader: CaptureReader;
  /** The next frame to arrive. */
  private readonly frame: CapturedFrame;
  private readonly linkType: number;
  private readonly speed: number;
  private readonly alarm: Alarm;
  /** Time of the first frame, here and in the file. */
  private began: Micros = 0;
  private readonly recorded: Micros;
  private filling = false;
  /** All frames have arrived. */
  done = false;
  /** Frames that were cut by the capture or are of another link type. */
  skipped = 0;

  /** `frame` is the first; `speed` 0 is as fast as the stack takes them. */
  constructor(options: QueuedDeviceOptions, timing: Timing, bytes: Uint8Array, reader: CaptureReader, frame: CapturedFrame, speed: number) {
    super(options);
    this.timing = timing;
    this.bytes = bytes;
    this.reader = reader;
    this.frame = frame;
    this.linkType = frame.linkType;
    this.recorded = frame.time;
    this.speed = speed;
    this.alarm = timing.alarm(() => this.play());
  }

  /** Lost with the last frame. */
  get carrier(): boolean {
    return !this.done && this.events !== null;
  }

  override start(events: DeviceEvents): void {
    super.start(events);
    this.began = this.timing.monotonic();
    this.alarm.set(this.began);
  }

  override receive(pool: PacketPool, into: Packet[], max: number): number {
    const n = super.receive(pool, into, max);
    if (this.speed === 0 && !this.done) this.alarm.set(this.timing.monotonic());
    return n;
  }

  transmit(packets: Packet[], count: number): number {
    for (let i = 0; i < count; i++) {
      const packet = packets[i] as Packet;
      this.txFrames++;
      this.txOctets += packet.length;
      packet.release();
    }
    return count;
  }

  override statistics(): ReturnType<QueuedDevice['statistics']> {
    return { ...super.statistics(), skipped: this.skipped };
  }

  override close(): void {
    super.close();
    this.alarm.cancel();
  }

  private play(): void {
    if (this.filling) return;
    this.filling = true;
    const now = this.timing.monotonic();
    while (!this.done) {
      const due = this.speed === 0 ? now : this.began + Math.max(0, this.frame.time - this.recorded) / this.speed;
      if (due > now) {
        this.alarm.set(due);
        break;
      }
      // At full speed the next receive goes on.
      if (this.speed === 0 && this.queue.frames >= AHEAD) break;
      this.arrive();
    }
    this.filling = false;
  }

  private arrive(): void {
    const { frame } = this;
    if (frame.linkType !== this.linkType || frame.end - frame.start < frame.originalLength) this.skipped++;
    else this.arrived(this.bytes.subarray(frame.start, frame.end));
    if (this.reader.next(frame)) return;
    this.done = true;
    this.tell((events) => events.carrier(false));
  }
}
