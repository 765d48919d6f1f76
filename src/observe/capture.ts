import { ConfigError } from '../base/errors.js';
import { Checksum, Gso, type Packet } from '../base/packet.js';
import { Page } from '../base/page.js';
import type { Interface } from '../net/interface.js';
import type { Stack } from '../net/stack.js';
import * as pcapng from '../wire/pcapng.js';
import { segmentLength, segments, writeSegment } from '../wire/segment.js';
import { type Filter, parseFilter } from './filter.js';
import { FrameFields } from './frame-fields.js';
import type { Observers } from './observers.js';
import { frameStart } from './packet-log.js';
import { dropComment, interfaceBlock, linkTypeOf, sectionBlock } from './pcapng-file.js';

/** Where a capture goes: a Node Writable has this shape. Octets are the sink's once written. */
export interface CaptureSink {
  /** `done` is called when the octets are out. */
  write(octets: Uint8Array, done: (error?: Error | null) => void): unknown;
}

export interface CaptureOptions {
  /** Only this interface. Default: all. */
  readonly iface?: string;
  /** See parseFilter. Default: everything. */
  readonly filter?: string;
  /** Octets kept of each frame. Default 262,144: all. */
  readonly snapLength?: number;
  /** Octets that may wait for the sink; frames beyond are lost and counted. Default 8 MB. */
  readonly bufferMax?: number;
  /** Stops by itself after so many frames. Default: never. */
  readonly count?: number;
}

/** What a capture has done so far. */
export interface CaptureStats {
  frames: number;
  /** Frames the buffer had no room for. */
  lost: number;
}

const CHUNK = 262_144;
const EPB_HEAD = 28;
/** Room a frame may need in a chunk besides its octets: block, flags, longest comment. */
const OVERHEAD = 128;

/** A frame of the open chunk that came in, to know it again when it dies. */
interface Written {
  readonly packet: Packet;
  readonly frame: number;
  at: number;
}

/**
 * Writes what passes an interface as pcapng: frames as they would look on a cable, i.e. checksums finished and big frames cut
 * in the capture's own copy, with their direction, and why they were dropped as comment. Never waits: what its sink does not
 * take in time is lost and counted.
 */
export class Capture {
  readonly stats: CaptureStats = { frames: 0, lost: 0 };
  /** Resolves when it has stopped and everything is written; rejects with the sink's error. */
  readonly done: Promise<CaptureStats>;
  private readonly core: Stack;
  private readonly sink: CaptureSink;
  private readonly options: CaptureOptions;
  private readonly filter: Filter;
  private readonly fields = new FrameFields();
  private readonly unwatch: () => void;
  private readonly ids = new Map<number, number>();
  private page = new Page(new Uint8Array(CHUNK));
  private at = 0;
  private written: Written[] = [];
  /** Octets handed to the sink and not out yet. */
  private waiting = 0;
  private flushing = false;
  private stopped = false;
  private settle: (error?: Error | null) => void = () => {};

  constructor(core: Stack, observers: Observers, sink: CaptureSink, options: CaptureOptions = {}) {
    if (options.iface !== undefined && core.interfaces.named(options.iface) === null)
      throw new ConfigError(`capture: there is no interface '${options.iface}'`);
    this.core = core;
    this.sink = sink;
    this.options = options;
    this.filter = parseFilter(options.filter ?? '');
    this.done = new Promise((resolve, reject) => {
      this.settle = (error) => (error ? reject(error) : resolve(this.stats));
    });
    this.done.catch(() => {});
    this.block(sectionBlock('anystack'));
    this.unwatch = observers.watch({
      rx: (iface, packet) => this.frame(iface, packet, packet.head, pcapng.Direction.Inbound, 0),
      // The loopback shows each packet twice; once is enough, as it comes in.
      tx: (iface, packet) => iface.medium !== 'loopback' && this.frame(iface, packet, packet.head, pcapng.Direction.Outbound, 0),
      drop: (packet, reason) => this.dropped(packet, reason),
    });
    this.flushSoon();
  }

  /** Ends it; `done` resolves when the sink has everything. */
  stop(): Promise<CaptureStats> {
    if (!this.stopped) {
      this.stopped = true;
      this.unwatch();
      this.flush();
      if (this.waiting === 0) this.settle();
    }
    return this.done;
  }

  private dropped(packet: Packet, reason: number): void {
    if (packet.inIndex !== 0 && this.comment(packet, reason)) return;
    const framed = packet.link >= 0;
    const head = framed ? packet.link : packet.network;
    const iface = this.core.interfaces.at(packet.outIndex || packet.inIndex);
    // Without a link header it can be shown only where frames have none.
    if (iface === null || head < 0 || (!framed && iface.medium === 'ethernet')) return;
    this.frame(iface, packet, head, pcapng.Direction.Unknown, reason);
  }

  private frame(iface: Interface, packet: Packet, head: number, direction: number, reason: number): void {
    const { options, fields } = this;
    if (packet.tail <= head || (options.iface !== undefined && iface.name !== options.iface)) return;
    fields.read(packet, head, iface.name, iface.medium);
    if (!this.filter(fields)) return;
    if (this.waiting >= (options.bufferMax ?? 8 * 1_048_576)) {
      this.stats.lost++;
      return;
    }
    const id = this.idOf(iface);
    withOffsets(packet, head, fields, () => this.plain(packet, id, direction, reason));
    this.flushSoon();
    if (options.count !== undefined && this.stats.frames >= options.count) void this.stop();
  }

  /** The frames a cable would have carried. */
  private plain(packet: Packet, id: number, direction: number, reason: number): void {
    const count = segments(packet);
    const time = this.core.hyper.wallClock();
    for (let i = 0; i < count; i++) {
      const length = segmentLength(packet, i);
      this.room(length + OVERHEAD);
      const { page, at } = this;
      if (direction === pcapng.Direction.Inbound && i === 0) this.written.push({ packet, frame: packet.head, at });
      writeSegment(packet, i, page, at + EPB_HEAD);
      pcapng.putPacket(page.view, at, id, time, Math.min(length, this.options.snapLength ?? CHUNK), length);
      this.at = pcapng.putPacketEnd(page.view, at, direction, dropComment(reason));
      this.stats.frames++;
    }
  }

  /** Puts the reason to a frame of the open chunk, moving what stands behind. False when it is not there any more. */
  private comment(packet: Packet, reason: number): boolean {
    const start = frameStart(packet);
    const i = this.written.findLastIndex((w) => w.packet === packet && w.frame === start);
    if (i < 0) return false;
    const { at } = this.written[i] as Written;
    this.written.splice(i, 1);
    const { page } = this;
    const comment = dropComment(reason);
    const old = page.view.getUint32(at + 4, true);
    const grown = pcapng.packetLength(page.view.getUint32(at + 20, true), comment) - old;
    if (this.at + grown > page.bytes.length) return true;
    page.bytes.copyWithin(at + old + grown, at + old, this.at);
    pcapng.putPacketEnd(page.view, at, pcapng.Direction.Inbound, comment);
    this.at += grown;
    for (const later of this.written) if (later.at > at) later.at += grown;
    return true;
  }

  private idOf(iface: Interface): number {
    let id = this.ids.get(iface.index);
    if (id === undefined) {
      id = this.ids.size;
      this.ids.set(iface.index, id);
      this.block(interfaceBlock(iface.name, linkTypeOf(iface), this.options.snapLength ?? 0));
    }
    return id;
  }

  private block(octets: Uint8Array): void {
    this.room(octets.length);
    this.page.bytes.set(octets, this.at);
    this.at += octets.length;
  }

  private room(octets: number): void {
    if (this.at + octets <= this.page.bytes.length) return;
    this.flush();
    this.page = new Page(new Uint8Array(Math.max(CHUNK, octets)));
  }

  private flushSoon(): void {
    if (this.flushing || this.stopped) return;
    this.flushing = true;
    setImmediate(() => {
      this.flushing = false;
      this.flush();
    });
  }

  /** Hands the open chunk to the sink. */
  private flush(): void {
    this.written = [];
    if (this.at === 0) return;
    const octets = this.page.bytes.slice(0, this.at);
    this.at = 0;
    this.waiting += octets.length;
    this.sink.write(octets, (error) => {
      this.waiting -= octets.length;
      if (error) {
        this.stopped = true;
        this.unwatch();
        this.settle(error);
      } else if (this.stopped && this.waiting === 0) this.settle();
    });
  }
}

/**
 * Runs `look` with the packet's offsets as a segmenter needs them, and puts them back: observers come before the layers that
 * set them, and the packet is not ours to change.
 */
function withOffsets(packet: Packet, head: number, fields: FrameFields, look: () => void): void {
  const { head: h, network, transport, checksum, gsoType } = packet;
  packet.head = head;
  if (network < 0) packet.network = fields.network;
  if (transport < 0) packet.transport = fields.transport;
  const placed = packet.csumStart >= head && packet.csumStart + packet.csumOffset + 2 <= packet.tail;
  if (checksum === Checksum.Partial && !placed) packet.checksum = Checksum.Unverified;
  // A big frame whose headers make no sense is shown as it is.
  if (segments(packet) === 0) packet.gsoType = Gso.None;
  look();
  packet.head = h;
  packet.network = network;
  packet.transport = transport;
  packet.checksum = checksum;
  packet.gsoType = gsoType;
}
