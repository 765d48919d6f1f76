/**
 * What one SYN of a flood costs a stack, in CPU time from the device to the answer handed to it: `npm run bench -- packet/synflood`.
 * Sources and ports are random. Answered by a cookie (the SYN queue is full), dropped where there are no cookies, kept as half open while
 * there is room, and refused where nobody listens. Medians of five.
 */
import { parseAddress, parsePrefix } from '#src/base/address.js';
import { finish, sum } from '#src/base/checksum.js';
import { type Packet, type PacketPool, SMALL_SLOT } from '#src/base/packet.js';
import { Prng } from '#src/base/prng.js';
import { Slab } from '#src/base/slab.js';
import type { Device, DeviceEvents } from '#src/hyper/hypercalls.js';
import { VirtualClock, VirtualHost } from '#src/hyper/virtual-host.js';
import { Stack } from '#src/net/stack.js';
import { Sysctl } from '#src/net/sysctl.js';

const BATCH = 64;
const BATCHES = 1_500;

/** An endless queue of SYNs; what is sent is counted and forgotten. */
class Flood implements Device {
  readonly kind = 'flood';
  readonly medium = 'ip';
  readonly mac = new Uint8Array(6);
  readonly mtu = 1_500;
  readonly offloads = 1;
  readonly carrier = true;
  sent = 0;
  port = 80;
  /** Frames still to be given; 0 between batches. */
  left = 0;
  private readonly slab = new Slab(SMALL_SLOT, 64, 256);
  private readonly prng = new Prng(1);
  private readonly syn: Uint8Array;

  constructor() {
    // MSS, SACK permitted, timestamps, window scale: what Linux's SYN carries.
    this.syn = Uint8Array.from([
      ...[0x45, 0, 0, 60, 0, 0, 0x40, 0, 64, 6, 0, 0, 0, 0, 0, 0, 10, 0, 0, 1],
      ...[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xa0, 2, 0xfa, 0xf0, 0, 0, 0, 0],
      ...[2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7],
    ]);
  }

  start(_events: DeviceEvents): void {}
  close(): void {}

  receive(pool: PacketPool, into: Packet[], max: number): number {
    let n = 0;
    for (; n < max && this.left > 0; n++, this.left--) {
      const packet = pool.from(this.slab) as Packet;
      const { view, head } = packet;
      packet.bytes.set(this.syn, head);
      packet.tail = head + this.syn.length;
      view.setInt32(head + 12, (198 << 24) | (18 << 16) | this.prng.below(0x20000));
      view.setUint16(head + 20, 1_024 + this.prng.below(60_000));
      view.setUint16(head + 22, this.port);
      view.setInt32(head + 24, this.prng.below(0x7fffffff));
      view.setUint16(head + 10, finish(sum(view, head, 20)));
      view.setUint16(head + 36, finish(sum(view, head + 12, 8) + sum(view, head + 20, 40) + 6 + 40));
      into[n] = packet;
    }
    return n;
  }

  transmit(packets: Packet[], count: number): number {
    for (let i = 0; i < count; i++) (packets[i] as Packet).release();
    this.sent += count;
    return count;
  }
}

/** CPU per SYN in ns, less what making it costs, and answers per SYN. */
function flood(sysctl: Record<string, number>, port: number): { nanos: number; answered: number } {
  const clock = new VirtualClock();
  const device = new Flood();
  device.port = port;
  const stack = new Stack('flood', new VirtualHost({ clock, seed: 1 }), new Sysctl('linux', { 'net.ipv6.conf.all.disable_ipv6': 1, ...sysctl }), {
    failed: (error) => {
      throw error;
    },
    conflict: () => {},
    link: () => {},
  });
  const iface = stack.addInterface('tun0', device);
  stack.addAddress(iface, parsePrefix('10.0.0.1/8') as NonNullable<ReturnType<typeof parsePrefix>>);
  stack.addAddress(iface, parsePrefix('198.19.255.254/15') as NonNullable<ReturnType<typeof parsePrefix>>);
  const listener = stack.tcp.openSocket(4);
  listener.bind(parseAddress('10.0.0.1'), 80);
  listener.listen(128);
  const into: Packet[] = [];
  const rates: number[] = [];
  for (let run = 0; run < 6; run++) {
    let begin = process.cpuUsage();
    for (let i = 0; i < BATCHES; i++) {
      device.left = BATCH;
      const n = device.receive(stack.ctx.pool, into, BATCH);
      for (let k = 0; k < n; k++) into[k]?.release();
    }
    const made = process.cpuUsage(begin);
    begin = process.cpuUsage();
    for (let i = 0; i < BATCHES; i++) {
      device.left = BATCH;
      clock.advance(640);
      stack.poll();
    }
    const took = process.cpuUsage(begin);
    rates.push(((took.user + took.system - made.user - made.system) * 1_000) / (BATCH * BATCHES));
  }
  return { nanos: rates.slice(1).sort((x, y) => x - y)[2] as number, answered: device.sent / (6 * BATCH * BATCHES) };
}

for (const [title, sysctl, port] of [
  ['answered by a cookie', { 'net.ipv4.tcp_syncookies': 2 }, 80],
  ['dropped, the queue is full', { 'net.ipv4.tcp_syncookies': 0 }, 80],
  ['queue of 65,536, cookies behind it', { 'net.ipv4.tcp_syncookies': 1, 'net.ipv4.tcp_max_syn_backlog': 65_536 }, 80],
  ['refused, nobody listens', {}, 81],
] as const) {
  const { nanos, answered } = flood(sysctl, port);
  console.log(`${title.padEnd(44)}${nanos.toFixed(0).padStart(8)} ns a SYN, ${(100 * answered).toFixed(0)} % answered`);
}
