import type { Packet, PacketPool } from '../base/packet.js';
import { Page } from '../base/page.js';
import type { Micros } from '../base/time.js';
import type { Device, DeviceEvents } from '../hyper/hypercalls.js';
import { locate } from '../hyper/plain-frames.js';
import * as pcapng from '../wire/pcapng.js';
import { segmentLength, segments, writeSegment } from '../wire/segment.js';

/** Greatest block: a frame of 64 KB. */
const BLOCK_MAX = 131_072;
/** Octets a capture keeps; what comes later is counted and left out. */
const CAPTURE_MAX = 268_435_456;

/** One pcapng of a whole simulation: an interface for each end of each link, frames as plain ones. The same run writes the same octets. */
export class SimCapture {
  /** Frames that did not fit any more. */
  missed = 0;
  private readonly now: () => Micros;
  private readonly page = new Page(new Uint8Array(BLOCK_MAX));
  private readonly blocks: Uint8Array[] = [];
  private octets = 0;
  private interfaces = 0;

  /** `now` is the wall clock of all. */
  constructor(now: () => Micros) {
    this.now = now;
    this.keep(pcapng.putSection(this.page.view, 0, pcapng.text('anystack/sim')));
  }

  /** Everything `device` receives and sends is written under `name` from now on. */
  watch(device: Device, name: string): Device {
    const link = device.medium === 'ethernet' ? pcapng.LinkType.Ethernet : pcapng.LinkType.Raw;
    this.keep(pcapng.putInterface(this.page.view, 0, link, 0, pcapng.text(name)));
    return new Watched(device, this, this.interfaces++);
  }

  /** For watched devices: the packet stays its holder's. */
  write(packet: Packet, medium: 'ethernet' | 'ip', index: number, direction: number): void {
    locate(packet, medium);
    const { view } = this.page;
    const count = segments(packet);
    for (let i = 0; i < count; i++) {
      const length = segmentLength(packet, i);
      if (pcapng.packetLength(length) > BLOCK_MAX) continue;
      writeSegment(packet, i, this.page, pcapng.putPacket(view, 0, index, this.now(), length, length));
      this.keep(pcapng.putPacketEnd(view, 0, direction));
    }
  }

  /** The file so far. */
  file(): Uint8Array {
    const file = new Uint8Array(this.octets);
    let at = 0;
    for (const block of this.blocks) {
      file.set(block, at);
      at += block.length;
    }
    return file;
  }

  private keep(end: number): void {
    if (this.octets + end > CAPTURE_MAX) {
      this.missed++;
      return;
    }
    this.blocks.push(this.page.bytes.slice(0, end));
    this.octets += end;
  }
}

/** A device whose frames are written down on their way. */
class Watched implements Device {
  readonly kind: string;
  readonly medium: 'ethernet' | 'ip';
  readonly mac: Uint8Array;
  readonly offloads: number;
  private readonly inner: Device;
  private readonly capture: SimCapture;
  private readonly index: number;

  constructor(inner: Device, capture: SimCapture, index: number) {
    this.kind = inner.kind;
    this.medium = inner.medium;
    this.mac = inner.mac;
    this.offloads = inner.offloads;
    this.inner = inner;
    this.capture = capture;
    this.index = index;
  }

  get mtu(): number {
    return this.inner.mtu;
  }

  get carrier(): boolean {
    return this.inner.carrier;
  }

  start(events: DeviceEvents): void {
    this.inner.start(events);
  }

  receive(pool: PacketPool, into: Packet[], max: number): number {
    const n = this.inner.receive(pool, into, max);
    for (let i = 0; i < n; i++) this.capture.write(into[i] as Packet, this.medium, this.index, pcapng.Direction.Inbound);
    return n;
  }

  /** Devices of a simulation take all they are offered. */
  transmit(packets: Packet[], count: number): number {
    for (let i = 0; i < count; i++) this.capture.write(packets[i] as Packet, this.medium, this.index, pcapng.Direction.Outbound);
    return this.inner.transmit(packets, count);
  }

  statistics(): Record<string, number> {
    return this.inner.statistics?.() ?? {};
  }

  close(): void {
    this.inner.close();
  }
}
