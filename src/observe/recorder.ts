import type { Packet } from '../base/packet.js';
import type { Stack } from '../net/stack.js';
import { Direction } from '../wire/pcapng.js';
import type { Observers } from './observers.js';
import { frameStart, PacketLog, Way } from './packet-log.js';
import { interfaceBlock, linkTypeOf, packetBlock, sectionBlock } from './pcapng-file.js';

/** Frames a stack remembers for the case that it fails, and octets of each: all headers and a little more. */
export const RECORDED = 1_000;
const SNAP = 128;

/** The last frames of one stack, as a capture for whoever asks why it failed. Costs nothing before the first frame, 140 KB when full. */
export class Recorder {
  private readonly core: Stack;
  private readonly log: PacketLog;
  private readonly seen = new Map<number, { readonly name: string; readonly linkType: number }>();
  private readonly stop: () => void;

  constructor(core: Stack, observers: Observers, frames = RECORDED) {
    this.core = core;
    this.log = new PacketLog(frames, SNAP);
    const { ctx } = core;
    this.stop = observers.watch({
      rx: (iface, packet) => this.log.add(ctx.now, iface.index, Way.Rx, packet, packet.head),
      tx: (iface, packet) => this.log.add(ctx.now, iface.index, Way.Tx, packet, packet.head),
      drop: (packet, reason) => this.dropped(packet, reason),
    });
  }

  /** Frames it holds. */
  get size(): number {
    return this.log.size;
  }

  /** What was not logged as it came in dies on its way down: then from its network header on. */
  private dropped(packet: Packet, reason: number): void {
    if (packet.inIndex !== 0 && this.log.note(packet, reason)) return;
    const head = packet.link >= 0 || packet.network < 0 ? frameStart(packet) : packet.network;
    const iface = this.core.interfaces.at(packet.outIndex || packet.inIndex) ?? this.core.ip.loopback;
    const room = head !== packet.link && iface.medium === 'ethernet' ? 14 : 0;
    this.log.add(this.core.ctx.now, iface.index, Way.Dropped, packet, head, room, reason);
  }

  /** What it holds, as a pcapng file. */
  pcapng(): Uint8Array {
    const { core, log } = this;
    const epoch = core.hyper.wallClock() - core.hyper.monotonic();
    const blocks = [sectionBlock('anystack')];
    const ids = new Map<number, number>();
    for (const { index } of log) {
      if (ids.has(index)) continue;
      ids.set(index, ids.size);
      const { name, linkType } = this.describe(index);
      blocks.push(interfaceBlock(name, linkType, SNAP));
    }
    for (const { index, time, bytes, length, way, reason } of log) {
      const direction = way === Way.Rx ? Direction.Inbound : way === Way.Tx ? Direction.Outbound : Direction.Unknown;
      blocks.push(packetBlock(ids.get(index) as number, time + epoch, bytes, length, direction, reason));
    }
    return joined(blocks);
  }

  /** Names are learned when asked, and kept for interfaces that go away afterwards. */
  private describe(index: number): { readonly name: string; readonly linkType: number } {
    const iface = this.core.interfaces.at(index);
    if (iface !== null) this.seen.set(index, { name: iface.name, linkType: linkTypeOf(iface) });
    return this.seen.get(index) ?? { name: `removed ${index}`, linkType: linkTypeOf({ medium: 'ethernet' }) };
  }

  close(): void {
    this.stop();
  }
}

function joined(blocks: readonly Uint8Array[]): Uint8Array {
  const file = new Uint8Array(blocks.reduce((n, b) => n + b.length, 0));
  let at = 0;
  for (const block of blocks) {
    file.set(block, at);
    at += block.length;
  }
  return file;
}
