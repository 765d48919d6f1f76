import assert from 'node:assert/strict';
import { Checksum, HEADROOM, type Packet, PacketPool, SMALL_SLOT } from '#src/base/packet.js';
import { Slab } from '#src/base/slab.js';
import { seconds } from '#src/base/time.js';
import { type MemoryDevice, memoryLink } from '#src/hyper/memory-link.js';
import { VirtualClock } from '#src/hyper/virtual-host.js';
import type { Interface } from '#src/net/interface.js';
import type { Stack } from '#src/net/stack.js';
import { finishChecksum } from '#src/wire/segment.js';
import { assertEmpty, lone, type NetOptions, prefix } from './stacks.js';

/** Octets from hex text; blanks are for people. */
export const hex = (text: string): Uint8Array => Uint8Array.from(text.replace(/\s+/g, '').match(/../g) ?? [], (x) => Number.parseInt(x, 16));
export const toHex = (bytes: Uint8Array): string => Array.from(bytes, (x) => x.toString(16).padStart(2, '0')).join('');

/** Sum of 16-bit words, complemented: the slow twin of base/checksum for frames made by hand. */
export function checksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += ((bytes[i] as number) << 8) | (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** Fields of an IPv4 packet as a test writes them; what is missing is right. */
export interface Ipv4Fields {
  src?: string;
  dst?: string;
  ttl?: number;
  protocol?: number;
  id?: number;
  /** Flags and offset word. */
  fragment?: number;
  tos?: number;
  options?: string;
  payload?: Uint8Array;
  /** Overrides. */
  version?: number;
  ihl?: number;
  length?: number;
  checksum?: number;
}

const octets = (dotted: string): number[] => dotted.split('.').map(Number);

export function ipv4(fields: Ipv4Fields): Uint8Array {
  const options = hex(fields.options ?? '');
  const payload = fields.payload ?? new Uint8Array(0);
  const header = new Uint8Array(20 + options.length);
  const length = fields.length ?? header.length + payload.length;
  header.set([((fields.version ?? 4) << 4) | (fields.ihl ?? header.length / 4), fields.tos ?? 0, length >> 8, length & 255]);
  header.set(
    [
      (fields.id ?? 0) >> 8,
      (fields.id ?? 0) & 255,
      (fields.fragment ?? 0) >> 8,
      (fields.fragment ?? 0) & 255,
      fields.ttl ?? 64,
      fields.protocol ?? 17,
    ],
    4,
  );
  header.set(octets(fields.src ?? '10.0.0.9'), 12);
  header.set(octets(fields.dst ?? '10.0.0.1'), 16);
  header.set(options, 20);
  const sum = fields.checksum ?? checksum(header);
  header.set([sum >> 8, sum & 255], 10);
  return concat(header, payload);
}

export function concat(...parts: Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** UDP without checksum. */
export function udp(from: number, to: number, data: Uint8Array | string = 'x', length?: number): Uint8Array {
  const payload = typeof data === 'string' ? new TextEncoder().encode(data) : data;
  const n = length ?? 8 + payload.length;
  return concat(new Uint8Array([from >> 8, from & 255, to >> 8, to & 255, n >> 8, n & 255, 0, 0]), payload);
}

/** ICMP with its checksum; `rest` is the second word. */
export function icmp(type: number, code: number, rest: number, data: Uint8Array = new Uint8Array(0)): Uint8Array {
  const message = concat(new Uint8Array([type, code, 0, 0, rest >>> 24, (rest >>> 16) & 255, (rest >>> 8) & 255, rest & 255]), data);
  const sum = checksum(message);
  message.set([sum >> 8, sum & 255], 2);
  return message;
}

const STATION = hex('020000000009');
const BROADCAST = hex('ffffffffffff');

/** A stack and, on the other end of its link, the test: frames by hand in, frames out as octets. */
export class Bench {
  readonly clock = new VirtualClock();
  readonly stack: Stack;
  readonly eth0: Interface;
  readonly events: string[];
  readonly mac: Uint8Array;
  private readonly device: MemoryDevice;
  private readonly pool = new PacketPool(4_096);
  private readonly slab = new Slab(SMALL_SLOT, 16, 4_096);

  constructor(addresses: readonly string[] = ['10.0.0.1/24'], options: NetOptions = {}) {
    const { stack, events } = lone(this.clock, 'bench', { ...options, sysctl: { 'net.ipv4.conf.all.arp_announce_count': 0, ...options.sysctl } });
    const [near, far] = memoryLink({ offloads: 0, ...options.link });
    this.stack = stack;
    this.events = events;
    this.eth0 = stack.addInterface('eth0', near);
    this.device = far;
    far.start({ readable: () => {}, writable: () => {}, carrier: () => {}, mtu: () => {}, failed: () => {} });
    this.mac = this.eth0.mac;
    for (const text of addresses) stack.addAddress(this.eth0, prefix(text));
    this.run();
    this.frames();
    events.length = 0;
  }

  /** Pulls the cable, or plugs it in. */
  cable(plugged: boolean): void {
    this.device.setCarrier(plugged);
    this.run();
  }

  run(span = seconds(0.001)): void {
    this.clock.advance(span);
  }

  /** Puts a frame on the wire, whole. */
  frame(bytes: Uint8Array): void {
    const packet = this.pool.from(this.slab) as Packet;
    packet.head = packet.slot.start + HEADROOM - 14;
    packet.bytes.set(bytes, packet.head);
    packet.tail = packet.head + bytes.length;
    packet.checksum = Checksum.Unverified;
    assert.equal(this.device.transmit([packet], 1), 1);
    this.run();
  }

  /** A frame for the stack from 02:00:00:00:00:09, with the given EtherType. */
  ether(type: number, payload: Uint8Array, to: Uint8Array = this.mac, from: Uint8Array = STATION): void {
    this.frame(concat(to, from, new Uint8Array([type >> 8, type & 255]), payload));
  }

  /** An IPv4 packet for the stack. */
  ip(fields: Ipv4Fields, to: Uint8Array = this.mac): void {
    this.ether(0x0800, ipv4(fields), to);
  }

  /** The same, to everybody on the link. */
  broadcast(fields: Ipv4Fields): void {
    this.ip(fields, BROADCAST);
  }

  /** Makes 10.0.0.9 known by its own ARP request, and takes the answer. */
  introduce(word = '0a000009', target = '0a000001'): void {
    this.ether(0x0806, hex(`0001 0800 06 04 0001 020000000009 ${word} 000000000000 ${target}`), BROADCAST);
    this.frames();
  }

  /** Frames the stack has sent since the last look. */
  frames(): Uint8Array[] {
    this.run();
    const into: Packet[] = [];
    const out: Uint8Array[] = [];
    for (let n = this.device.receive(this.pool, into, 64); n > 0; n = this.device.receive(this.pool, into, 64)) {
      for (let i = 0; i < n; i++) {
        const p = into[i] as Packet;
        if (p.checksum === Checksum.Partial) finishChecksum(p);
        out.push(p.bytes.slice(p.head, p.tail));
        p.release();
      }
    }
    return out;
  }

  /** IPv4 packets among them, without the Ethernet header and padding. */
  packets(): Uint8Array[] {
    return this.frames()
      .filter((f) => f[12] === 8 && f[13] === 0)
      .map((f) => f.subarray(14, 14 + (((f[16] as number) << 8) | (f[17] as number))));
  }

  /** Asserts that exactly these drops were counted since the last look, e.g. { UdpNoPort: 1 }. */
  dropped(expected: Readonly<Record<string, number>>): void {
    const { drops } = this.stack.ctx.counters;
    assert.deepEqual(this.stack.ctx.counters.dropped(), expected);
    drops.fill(0);
  }

  /** Asserts silence. */
  quiet(): void {
    assert.deepEqual(this.frames().map(toHex), []);
  }

  /** Closes and asserts that nothing is left. */
  end(): void {
    this.stack.close();
    this.frames();
    assertEmpty(this.stack);
    assert.equal(this.pool.held, 0, 'the test holds no packet');
  }
}
