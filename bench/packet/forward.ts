/**
 * Forwarding in memory: the real stack between a device that makes frames out of nothing and one that swallows them.
 * Prints packets per CPU-second and heap octets allocated per packet. `npm run bench -- packet/forward [routes] [packets]`.
 */
import { parseAddress, parsePrefix, v4 } from '#src/base/address.js';
import { Checksum, HEADROOM, type Packet, type PacketPool, SMALL_SLOT } from '#src/base/packet.js';
import { Prng } from '#src/base/prng.js';
import { Slab } from '#src/base/slab.js';
import { type Device, Offload } from '#src/hyper/hypercalls.js';
import { VirtualHost } from '#src/hyper/virtual-host.js';
import { MAIN_TABLE } from '#src/net/ip/route.js';
import { Stack } from '#src/net/stack.js';
import { Sysctl } from '#src/net/sysctl.js';
import * as ipv4 from '#src/wire/ipv4.js';

const PAYLOAD = 18; // a 60-octet frame: 64 with its check sequence

/** Makes minimal UDP frames to the destinations in turn; swallows what it is given. */
class Endless implements Device {
  readonly kind = 'bench';
  readonly medium = 'ethernet';
  readonly mac: Uint8Array;
  readonly mtu = 1_500;
  readonly offloads = Offload.TxChecksum | Offload.RxBig;
  readonly carrier = true;
  /** Frames still to come. */
  left = 0;
  sent = 0;
  private readonly slab = new Slab(SMALL_SLOT, 32, 1_024);
  private readonly destinations: Int32Array;
  private next = 0;

  constructor(last: number, destinations: Int32Array) {
    this.mac = Uint8Array.of(2, 0, 0, 0, 0, last);
    this.destinations = destinations;
  }

  start(): void {}

  receive(pool: PacketPool, into: Packet[], max: number): number {
    let n = 0;
    for (; n < max && this.left > 0; n++, this.left--) {
      const packet = pool.from(this.slab);
      if (packet === null) break;
      const at = packet.slot.start + HEADROOM;
      const { view } = packet;
      view.setUint16(at - 14, 0x0200);
      view.setInt32(at - 12, this.mac[5] as number);
      view.setUint16(at - 8, 0x0200);
      view.setInt32(at - 6, 0x99);
      view.setUint16(at - 2, 0x0800);
      const to = this.destinations[this.next++ & (this.destinations.length - 1)] as number;
      ipv4.put(view, at, 0, 28 + PAYLOAD, 1, 0x4000, 64, 17, 0x0a000009, to);
      packet.head = at - 14;
      packet.tail = at + 28 + PAYLOAD;
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

const routes = Number(process.argv[3] ?? 1);
const packets = Number(process.argv[4] ?? 4_000_000);
const prng = new Prng(1);
const destinations = new Int32Array(65_536);
const host = new VirtualHost();
const stack = new Stack('bench', host, new Sysctl('linux', { 'net.ipv4.ip_forward': 1 }), {
  failed: (e) => {
    throw e;
  },
  conflict: () => {},
  link: () => {},
});
const inward = new Endless(1, destinations);
const outward = new Endless(2, destinations);
const eth0 = stack.addInterface('eth0', inward);
const eth1 = stack.addInterface('eth1', outward);
const at = (text: string) => parsePrefix(text) as NonNullable<ReturnType<typeof parsePrefix>>;
stack.addAddress(eth0, at('10.0.0.1/24'));
stack.addAddress(eth1, at('10.1.0.1/24'));
const gateway = parseAddress('10.1.0.2');
eth1.neighbors?.setPermanent(gateway as NonNullable<typeof gateway>, 0x0200, 0x77);
for (let i = 0; i < routes; i++) {
  const length = routes === 1 ? 0 : 17 + prng.below(8);
  const word = routes === 1 ? 0 : ((0x14000000 + prng.below(0x60000000)) & (-1 << (32 - length))) | 0;
  stack.ip.routes.add({
    family: 4,
    prefix: v4(word),
    length,
    type: 'unicast',
    index: eth1.index,
    gateway,
    source: null,
    metric: 0,
    mtu: 0,
    table: MAIN_TABLE,
    vrf: 0,
    protocol: 'static',
  });
  if (i < destinations.length) destinations[i] = word | 5;
}
for (let i = routes; i < destinations.length; i++) destinations[i] = (destinations[i % routes] as number) + (routes === 1 ? 0x14000000 + i : 0);

function run(count: number): { rate: number; allocated: number } {
  inward.left = count;
  outward.sent = 0;
  const heap = process.memoryUsage().heapUsed;
  const cpu = process.cpuUsage();
  while (inward.left > 0) stack.poll();
  const used = process.cpuUsage(cpu);
  const seconds = (used.user + used.system) / 1e6;
  if (outward.sent < count) throw new RangeError(`${outward.sent} of ${count} forwarded: ${JSON.stringify(stack.ctx.counters.dropped())}`);
  return { rate: count / seconds, allocated: Math.max(0, process.memoryUsage().heapUsed - heap) / count };
}

run(packets / 4);
const runs = Array.from({ length: 5 }, () => run(packets));
const median = (numbers: number[]): number => numbers.sort((a, b) => a - b)[2] as number;
console.log(
  `forwarding 64 B, ${routes} routes: ${(median(runs.map((r) => r.rate)) / 1e6).toFixed(2)} M packets per CPU-second, ${median(runs.map((r) => r.allocated)).toFixed(1)} octets of heap per packet`,
);
