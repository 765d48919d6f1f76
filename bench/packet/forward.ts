/**
 * Forwarding in memory: the real stack between devices that make frames out of nothing and swallow them. Packets per CPU-second, the
 * devices' own work included; medians of five. With a full table destinations are Zipf (s = 1) over its prefixes, as traffic is, and
 * uniform beside, which no cache likes. `npm run bench -- packet/forward`.
 */
import { Address, parseAddress, parsePrefix, v4 } from '#src/base/address.js';
import { Prng } from '#src/base/prng.js';
import { VirtualHost } from '#src/hyper/virtual-host.js';
import { TrackState } from '#src/net/filter/connection.js';
import { AddressSet, FilterRule } from '#src/net/filter/rule.js';
import type { Interface } from '#src/net/interface.js';
import { type Hop, MAIN_TABLE } from '#src/net/ip/route.js';
import { Stack } from '#src/net/stack.js';
import { Sysctl } from '#src/net/sysctl.js';
import { Protocol } from '#src/wire/protocol.js';
import { cpuSeconds, Endless, type Frames, frame4, median, row } from './measure.js';

const PACKETS = 600_000;
const RUNS = 5;
const ROUTES_4 = 1_000_000;
const ROUTES_6 = 250_000;
const GATEWAYS = 64;
const FLOWS = 100_000;
/** Frames made beforehand, which come round and round. */
const FRAMES = 1 << 18;
/** Prefix lengths by their share in per cent: most of the global table is /24, /22 and /23; of IPv6's /48 and /32. */
const LENGTHS_4 = [24, 58, 22, 12, 23, 10, 21, 5, 20, 5, 19, 4, 18, 2, 17, 1, 16, 3];
const LENGTHS_6 = [48, 47, 32, 13, 44, 10, 40, 10, 36, 6, 29, 6, 46, 4, 33, 4];

const prng = new Prng(1);
const address = (text: string): Address => parseAddress(text) as Address;
const prefix = (text: string) => parsePrefix(text) as NonNullable<ReturnType<typeof parsePrefix>>;

/** One router: frames come in by eth0 and leave by eth1, or the other way. */
class Router {
  readonly stack: Stack;
  readonly inward = new Endless(1);
  readonly outward = new Endless(2);
  readonly eth0: Interface;
  readonly eth1: Interface;
  readonly hops: { readonly 4: Hop[]; readonly 6: Hop[] } = { 4: [], 6: [] };

  constructor(values: Readonly<Record<string, unknown>> = {}) {
    const on = {
      'net.ipv4.ip_forward': 1,
      'net.ipv6.conf.all.forwarding': 1,
      'net.ipv6.conf.all.dad_transmits': 0,
      'net.ipv4.conf.all.rp_filter': 0,
    };
    this.stack = new Stack('bench', new VirtualHost(), new Sysctl('linux', { ...on, ...values }), {
      failed: (error) => {
        throw error;
      },
      conflict: () => {},
      link: () => {},
    });
    this.eth0 = this.stack.addInterface('eth0', this.inward);
    this.eth1 = this.stack.addInterface('eth1', this.outward);
    for (const [iface, n] of [
      [this.eth0, 0],
      [this.eth1, 1],
    ] as const) {
      this.stack.addAddress(iface, prefix(`10.${n}.0.1/16`));
      this.stack.addAddress(iface, prefix(`fd00:${n}::1/64`));
    }
    for (let n = 0; n < GATEWAYS; n++) {
      for (const family of [4, 6] as const) {
        const gateway = address(family === 4 ? `10.1.0.${n + 2}` : `fd00:1::${n + 2}`);
        this.eth1.neighbors?.setPermanent(gateway, 0x0200, 0x100 + n);
        const rest = { type: 'unicast', source: null, metric: 0, mtu: 0, protocol: 'zebra' } as const;
        this.hops[family].push(this.stack.ip.routes.intern({ ...rest, index: this.eth1.index, gateway }));
      }
    }
    this.eth0.neighbors?.setPermanent(address('10.0.0.9'), 0x0200, 0x99);
  }

  route(family: 4 | 6, at: Address, length: number, n: number): void {
    this.stack.ip.routes.put({ family, prefix: at, length, table: MAIN_TABLE, vrf: 0 }, [this.hops[family][n % GATEWAYS] as Hop], () => true);
  }

  /** Sends `count` frames through and gives the packets per CPU-second, in millions. `beside` runs with each poll. */
  rate(from: Endless, to: Endless, count: number, beside: () => void = () => {}): number {
    from.left = count;
    to.sent = 0;
    const seconds = cpuSeconds(() => {
      while (from.left > 0) {
        this.stack.poll();
        beside();
      }
    });
    if (to.sent < count) throw new RangeError(`${to.sent} of ${count} forwarded: ${JSON.stringify(this.stack.ctx.counters.dropped())}`);
    return count / seconds / 1e6;
  }

  measure(frames: Frames, beside?: () => void): number {
    this.inward.frames = frames;
    this.rate(this.inward, this.outward, PACKETS / 2, beside);
    return median(RUNS, () => this.rate(this.inward, this.outward, PACKETS, beside));
  }
}

function lengthOf(shares: readonly number[]): number {
  let x = prng.below(100);
  for (let i = 0; ; i += 2) {
    x -= shares[i + 1] as number;
    if (x < 0) return shares[i] as number;
  }
}

const uniform = (n: number): number => prng.below(n);
/** P(k) ~ 1/k: the inverse of ln k / ln n. */
const zipf = (n: number): number => Math.max(0, Math.min(n - 1, Math.floor(n ** prng.float()) - 1));

/** Frames whose words are those of `from`, of `step` each, as `choose` says. */
function choose(family: 4 | 6, from: Int32Array, which: (n: number) => number): Frames {
  const step = family === 4 ? 4 : 8;
  const words = new Int32Array(step * FRAMES);
  for (let i = 0; i < words.length; i += step) {
    const n = step * which(from.length / step);
    words.set(from.subarray(n, n + step), i);
  }
  return { family, words };
}

function oneRoute(): void {
  const router = new Router();
  router.route(4, v4(0), 0, 0);
  const words = new Int32Array(4 * 65_536);
  for (let i = 0; i < 65_536; i++) frame4(words, i, 0x0a000009, 0x14000000 + i, 0x00010009);
  const frames = choose(4, words, uniform);
  row('64 B, one route', router.measure(frames), 'M/s', 4);
  const before = process.memoryUsage().heapUsed;
  router.rate(router.inward, router.outward, PACKETS);
  row('  heap octets per packet', Math.max(0, process.memoryUsage().heapUsed - before) / PACKETS, 'octets', 1, false);
  router.stack.ctx.sysctl.set('anystack.fast_path', 0);
  row('  by the long road (anystack.fast_path 0)', router.measure(frames), 'M/s');
}

function fullTable(values: Readonly<Record<string, unknown>>, kind: string): void {
  const router = new Router(values);
  const at4 = new Int32Array(2 * ROUTES_4);
  const words4 = new Int32Array(4 * ROUTES_4);
  const words6 = new Int32Array(8 * ROUTES_6);
  for (let i = 0; i < ROUTES_4; i++) {
    const length = lengthOf(LENGTHS_4);
    const word = ((0x14000000 + prng.below(0x60000000)) & (-1 << (32 - length))) | 0; // 20.0.0.0 and up
    at4.set([word, length], 2 * i);
    frame4(words4, i, 0x0a000009, word | 5, 0x00010009);
  }
  const seconds = cpuSeconds(() => {
    for (let i = 0; i < ROUTES_4; i++) router.route(4, v4(at4[2 * i] as number), at4[2 * i + 1] as number, i);
  });
  row(`${kind}: inserting 1,000,000 routes`, seconds, 's', 3, false);
  router.route(4, v4(0), 0, 0); // what is sent while its route is away goes by this one
  const source = address('fd00::9');
  for (let i = 0; i < ROUTES_6; i++) {
    const length = lengthOf(LENGTHS_6);
    const w0 = (0x20000000 | (prng.uint32() >>> 4)) & (length < 32 ? -1 << (32 - length) : -1);
    const w1 = length > 32 ? prng.uint32() & (-1 << (64 - length)) : 0;
    router.route(6, new Address(w0, w1, 0, 0), length, i);
    words6.set([source.w0, source.w1, source.w2, source.w3, w0, w1, 5, 6], 8 * i);
  }
  const tables = router.stack.ip.routes.statistics();
  row('  octets of both tables', tables.reduce((sum, { octets }) => sum + octets, 0) / 1e6, 'MB');
  const zipf4 = choose(4, words4, zipf);
  const quiet = router.measure(zipf4);
  row('  IPv4, Zipf destinations', quiet, 'M/s', 8);
  row('  IPv4, random destinations', router.measure(choose(4, words4, uniform)), 'M/s');
  row('  IPv6, Zipf destinations', router.measure(choose(6, words6, zipf)), 'M/s', 4);
  row('  IPv6, random destinations', router.measure(choose(6, words6, uniform)), 'M/s');
  // Ten thousand changes in each second of CPU time, of routes all over the table: every other one goes and comes back.
  let done = 0;
  const begin = process.cpuUsage();
  const changing = router.measure(zipf4, () => {
    const used = process.cpuUsage(begin);
    for (const due = (used.user + used.system) / 100; done < due; done++) {
      const i = ((done >>> 1) * 7_919) % ROUTES_4;
      const [word, length] = [at4[2 * i] as number, at4[2 * i + 1] as number];
      if ((done & 1) === 0) router.stack.ip.routes.delete({ family: 4, prefix: v4(word), length, table: MAIN_TABLE, vrf: 0 });
      else router.route(4, v4(word), length, i + done);
    }
  });
  row('  IPv4, Zipf, 10,000 routes changed a second', changing, 'M/s', 8);
  row('    of the rate without changes', (100 * changing) / quiet, '%', 95);
}

function filtered(): void {
  const router = new Router({ 'net.netfilter.nf_conntrack_max': 200_000 });
  router.route(4, v4(0), 0, 0);
  const allowed = new AddressSet();
  for (let i = 0; i < 1_000; i++) allowed.add({ address: v4(0x14000000 + (i << 8)), length: 24 });
  const state = [TrackState.Established, TrackState.Related];
  router.stack.filter.set([
    {
      name: 'forward',
      hook: 'forward',
      policy: 'drop',
      rules: [
        new FilterRule({ state }, { kind: 'accept' }),
        new FilterRule({ destination: allowed, inIndex: router.eth0.index }, { kind: 'accept' }),
      ],
    },
    { name: 'out', hook: 'postrouting', policy: 'accept', rules: [new FilterRule({ outIndex: router.eth1.index }, { kind: 'masquerade' })] },
  ]);
  // Each flow once out, and its answer back to the port it was given.
  const out = new Int32Array(4 * FLOWS);
  const back = new Int32Array(4 * FLOWS);
  let turn = 0;
  const each = (): number => turn++ % FLOWS;
  for (let i = 0; i < FLOWS; i++) frame4(out, i, 0x0a000009, 0x14000000 + (i % 250_000), ((1_024 + (i % 50_000)) << 16) | 9);
  router.inward.frames = choose(4, out, each);
  router.rate(router.inward, router.outward, FLOWS);
  let n = 0;
  for (const { original, reply } of router.stack.filter.conntrack.entries())
    if (original.protocol === Protocol.Udp)
      frame4(back, n++, original.destination.w3, reply.destination.w3, (reply.sourcePort << 16) | reply.destinationPort);
  turn = 0;
  router.outward.frames = choose(4, back, each);
  router.rate(router.outward, router.inward, FLOWS);
  row('1,000 rules in a set, NAT, 100,000 flows', router.measure(choose(4, out, uniform)), 'M/s', 2);
  router.outward.frames = choose(4, back, uniform);
  row(
    '  answers',
    median(RUNS, () => router.rate(router.outward, router.inward, PACKETS)),
    'M/s',
  );
}

console.log('Forwarded packets per CPU-second');
oneRoute();
fullTable({}, 'full table');
filtered();
