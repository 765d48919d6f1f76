/**
 * A device that writes what passes to a pcapng file: a wrapper. Frames are written as plain ones, checksums finished in
 * the file's own copy, so that a reader sees what a wire would have carried.
 */
import type { Packet, PacketPool } from '../base/packet.js';
import { Page } from '../base/page.js';
import type { Micros } from '../base/time.js';
import * as pcapng from '../wire/pcapng.js';
import { segmentLength, segments, writeSegment } from '../wire/segment.js';
import type { Device, DeviceEvents } from './hypercalls.js';
import { locate } from './plain-frames.js';

/** Greatest block: a frame of 64 KB with its comment. */
const BLOCK_MAX = 131_072;

/** Writes one interface's packets. `sink` gets whole blocks and copies what it keeps. */
export class PcapWriter {
  private readonly sink: (octets: Uint8Array) => void;
  private readonly medium: 'ethernet' | 'ip';
  private readonly page = new Page(new Uint8Array(BLOCK_MAX));
  /** Blocks written. */
  packets = 0;

  /** Writes the file's header at once. */
  constructor(sink: (octets: Uint8Array) => void, medium: 'ethernet' | 'ip', name: string) {
    this.sink = sink;
    this.medium = medium;
    const { view } = this.page;
    let end = pcapng.putSection(view, 0, pcapng.text('anystack'));
    end = pcapng.putInterface(view, end, medium === 'ethernet' ? pcapng.LinkType.Ethernet : pcapng.LinkType.Raw, 0, pcapng.text(name));
    this.flush(end);
  }

  /** Writes a packet, which stays its holder's. `time` is since the epoch; a dropped one carries its reason as comment. */
  write(packet: Packet, time: Micros, direction: number, comment = ''): void {
    locate(packet, this.medium);
    const note = pcapng.text(comment.slice(0, 1_000));
    const count = segments(packet);
    for (let i = 0; i < count; i++) {
      const length = segmentLength(packet, i);
      if (pcapng.packetLength(length, note) > BLOCK_MAX) return;
      const { view } = this.page;
      const at = pcapng.putPacket(view, 0, 0, time, length, length);
      writeSegment(packet, i, this.page, at);
      this.flush(pcapng.putPacketEnd(view, 0, direction, note));
      this.packets++;
    }
  }

  private flush(end: number): void {
    this.sink(this.page.bytes.subarray(0, end));
  }
}

/** `device` with everything it receives and takes written to `writer`. `wallClock` stamps the frames, `closed` is told the end. */
export function capturing(device: Device, writer: PcapWriter, wallClock: () => Micros, closed: () => void = () => {}): Device {
  return new CapturingDevice(device, writer, wallClock, closed);
}

class CapturingDevice implements Device {
  readonly kind: string;
  readonly medium: 'ethernet' | 'ip';
  readonly mac: Uint8Array;
  readonly offloads: number;
  private readonly inner: Device;
  private readonly writer: PcapWriter;
  private readonly wallClock: () => Micros;
  private readonly closed: () => void;
  /** Frames at the front of the next transmit that were written in the last. */
  private offered = 0;

  constructor(inner: Device, writer: PcapWriter, wallClock: () => Micros, closed: () => void) {
    this.inner = inner;
    this.kind = inner.kind;
    this.medium = inner.medium;
    this.mac = inner.mac;
    this.offloads = inner.offloads;
    this.writer = writer;
    this.wallClock = wallClock;
    this.closed = closed;
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
    const time = n === 0 ? 0 : this.wallClock();
    for (let i = 0; i < n; i++) this.writer.write(into[i] as Packet, time, pcapng.Direction.Inbound);
    return n;
  }

  /** What is offered again after a short transmit was written already. */
  transmit(packets: Packet[], count: number): number {
    const time = this.wallClock();
    // Before the device has them: it ends each packet it takes.
    for (let i = this.offered; i < count; i++) this.writer.write(packets[i] as Packet, time, pcapng.Direction.Outbound);
    const taken = this.inner.transmit(packets, count);
    this.offered = Math.max(0, Math.max(this.offered, count) - taken);
    return taken;
  }

  statistics(): Record<string, number> {
    return { ...this.inner.statistics?.(), captured: this.writer.packets };
  }

  close(): void {
    this.inner.close();
    this.closed();
  }
}
