/** What the packet benchmarks share: a device that makes frames out of nothing and swallows those it is given, rates, and rows that say what was asked. */
import { fold } from '#src/base/checksum.js';
import { Checksum, HEADROOM, type Packet, type PacketPool, SMALL_SLOT } from '#src/base/packet.js';
import { Slab } from '#src/base/slab.js';
import { type Device, Offload } from '#src/hyper/hypercalls.js';

/** Payload of the UDP datagrams: an IPv4 frame of 60 octets, 64 with its check sequence. */
const PAYLOAD = 18;

/**
 * Frames to be made one after the other, a power of two of them. For IPv4 four words each (TTL, protocol and checksum; source; destination;
 * ports), for IPv6 eight (both addresses). In their order, so that the device reads ahead where a network card would have written.
 */
export interface Frames {
  readonly family: 4 | 6;
  readonly words: Int32Array;
}

/** An IPv4 frame's four words. */
export function frame4(words: Int32Array, n: number, source: number, destination: number, ports: number): void {
  const rest = 0x4500 + 28 + PAYLOAD + 1 + 0x4000 + 0x4011;
  const sum = ~fold(rest + (source >>> 0) + (destination >>> 0)) & 0xffff;
  words.set([0x40110000 | sum, source, destination, ports], 4 * n);
}

/** The ends of a router's wires. */
export class Endless implements Device {
  readonly kind = 'bench';
  readonly medium = 'ethernet';
  readonly mac: Uint8Array;
  readonly mtu = 1_500;
  readonly offloads = Offload.TxChecksum | Offload.RxBig;
  readonly carrier = true;
  /** Frames still to come. */
  left = 0;
  sent = 0;
  frames: Frames = { family: 4, words: new Int32Array(4) };
  private readonly slab = new Slab(SMALL_SLOT, 32, 1_024);
  private next = 0;

  /** `last` octet of its address, 02:00:00:00:00:last. */
  constructor(last: number) {
    this.mac = Uint8Array.of(2, 0, 0, 0, 0, last);
  }

  start(): void {}

  receive(pool: PacketPool, into: Packet[], max: number): number {
    const { words, family } = this.frames;
    const mask = words.length - 1;
    const step = family === 4 ? 4 : 8;
    const station = ((this.mac[5] as number) << 16) | 0x0200;
    const type = family === 4 ? 0x0800 : 0x86dd;
    let n = 0;
    for (; n < max && this.left > 0; n++, this.left--) {
      const packet = pool.from(this.slab);
      if (packet === null) break;
      const at = packet.slot.start + HEADROOM;
      const { view } = packet;
      const first = this.next & mask;
      this.next = first + step;
      view.setInt32(at - 14, 0x02000000);
      view.setInt32(at - 10, station);
      view.setInt32(at - 6, 0x99);
      view.setInt16(at - 2, type);
      packet.head = at - 14;
      packet.tail = at + (family === 4 ? put4(view, at, words, first) : put6(view, at, words, first));
      packet.checksum = Checksum.Verified;
      into[n] = packet;
    }
    return n;
  }

  transmit(packets: Packet[], count: number): number {
    for (let i = 0; i < count; i++) (packets[i] as Packet).release();
    this.sent += count;
    return count;
  }

  close(): void {}
}

function put4(view: DataView, at: number, words: Int32Array, n: number): number {
  view.setInt32(at, 0x45000000 | (28 + PAYLOAD));
  view.setInt32(at + 4, 0x00014000);
  view.setInt32(at + 8, words[n] as number);
  view.setInt32(at + 12, words[n + 1] as number);
  view.setInt32(at + 16, words[n + 2] as number);
  view.setInt32(at + 20, words[n + 3] as number);
  view.setInt32(at + 24, (8 + PAYLOAD) << 16);
  return 28 + PAYLOAD;
}

function put6(view: DataView, at: number, words: Int32Array, n: number): number {
  view.setInt32(at, 0x60000000);
  view.setInt32(at + 4, (8 << 16) | 0x1140);
  for (let i = 0; i < 8; i++) view.setInt32(at + 8 + 4 * i, words[n + i] as number);
  view.setInt32(at + 40, 0x00010009);
  view.setInt32(at + 44, 8 << 16);
  return 48;
}

/** Median over `times` runs. */
export function median(times: number, run: () => number): number {
  const all = Array.from({ length: times }, run).sort((a, b) => a - b);
  return all[times >> 1] as number;
}

/** CPU time of a piece of work in seconds. */
export function cpuSeconds(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const used = process.cpuUsage(before);
  return (used.user + used.system) / 1e6;
}

/** Prints a figure beside what was asked; `asked` undefined: it stands for itself. */
export function row(what: string, figure: number, unit: string, asked?: number, least = true): void {
  const verdict =
    asked === undefined ? '' : `   asked ${least ? '>=' : '<='} ${asked}: ${(least ? figure >= asked : figure <= asked) ? 'met' : 'MISSED'}`;
  console.log(`${what.padEnd(62)}${figure.toFixed(2).padStart(8)} ${unit}${verdict}`);
}
