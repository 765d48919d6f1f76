/**
 * ESP in memory: sealing and opening packets batch by batch, at 64 and 1,400 octets, through the addon and without it; and one
 * TCP connection through a tunnel between two stacks on a memory link. Medians of five, per CPU-second. `npm run bench -- packet/esp`.
 */
import { parseAddress, parsePrefix, v4 } from '#src/base/address.js';
import { HEADROOM, type Packet, PacketPool, SMALL_SLOT } from '#src/base/packet.js';
import { Slab } from '#src/base/slab.js';
import type { Crypto } from '#src/hyper/crypto.js';
import { memoryLink } from '#src/hyper/memory-link.js';
import { loadNative } from '#src/hyper/native.js';
import { nodeCrypto } from '#src/hyper/node-crypto.js';
import { VirtualClock, VirtualHost } from '#src/hyper/virtual-host.js';
import { MAIN_TABLE } from '#src/net/ip/route.js';
import { keyMaterial, parseSuite, transformSpec } from '#src/net/ipsec/algorithms.js';
import { BATCH_MAX, Batch } from '#src/net/ipsec/batch.js';
import { openEsp, sealEsp } from '#src/net/ipsec/esp.js';
import { Sa } from '#src/net/ipsec/sa.js';
import { selectorOf } from '#src/net/ipsec/selector.js';
import { Stack } from '#src/net/stack.js';
import { Sysctl } from '#src/net/sysctl.js';

const median = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1] as number;
const prefix = (text: string): NonNullable<ReturnType<typeof parsePrefix>> => parsePrefix(text) as NonNullable<ReturnType<typeof parsePrefix>>;

/** Packets per CPU-second of `work`, which does `n` of them. */
function rate(n: number, work: () => void): number {
  for (let i = 0; i < 200; i++) work();
  return median(
    Array.from({ length: 5 }, () => {
      const cpu = process.cpuUsage();
      const start = performance.now();
      let rounds = 0;
      while (performance.now() - start < 250) {
        for (let i = 0; i < 20; i++) work();
        rounds += 20;
      }
      const used = process.cpuUsage(cpu);
      return (rounds * n * 1e6) / (used.user + used.system);
    }),
  );
}

function memory(crypto: Crypto, name: string, octets: number, options: { esn?: boolean; replayWindow?: number } = {}): [number, number] {
  const suite = parseSuite(name);
  const keys = new Uint8Array(keyMaterial(suite)).fill(7);
  const make = (direction: 'in' | 'out'): Sa => {
    const transform = crypto.transform(transformSpec(suite, keys));
    if (transform === null) throw new RangeError(`no ${name} here`);
    return new Sa({ direction, spi: 4_097, mode: 'tunnel', source: v4(1), destination: v4(2), suite, keys, ...options }, transform, 0);
  };
  const [out, inward] = [make('out'), make('in')];
  const pool = new PacketPool(BATCH_MAX);
  const slab = new Slab(SMALL_SLOT, 16, BATCH_MAX);
  const packets = Array.from({ length: BATCH_MAX }, () => pool.from(slab) as Packet);
  const batch = new Batch();
  const ivs = { write: () => {} };
  const seal = (): void => {
    batch.count = 0;
    for (let i = 0; i < BATCH_MAX; i++) {
      const packet = packets[i] as Packet;
      packet.head = packet.slot.start + HEADROOM;
      packet.tail = packet.head + octets;
      sealEsp(batch, packet, out, 4, 0, ivs);
    }
    crypto.seal(batch);
  };
  const sealed = rate(BATCH_MAX, seal);
  // Opening needs fresh packets each time: both are measured and sealing is taken off.
  const both = rate(BATCH_MAX, () => {
    seal();
    batch.count = 0;
    for (let i = 0; i < BATCH_MAX; i++) {
      const packet = packets[i] as Packet;
      const sequence = out.sequence - BATCH_MAX + 1 + i;
      if (inward.replay.check(sequence)) openEsp(batch, packet, inward, sequence);
    }
    crypto.open(batch);
    for (let i = 0; i < batch.count; i++)
      if (!batch.ok(i) || !inward.replay.accept(batch.sequences[i] as number)) throw new RangeError('it opens what it sealed');
  });
  return [sealed, 1 / (1 / both - 1 / sealed)];
}

/** MB/s of one TCP connection, both ends in this process; `protect` false: in clear, for comparison. */
function tcp(crypto: Crypto, suite: string | null, plain = false): number {
  const clock = new VirtualClock();
  const devices = memoryLink({ queueFrames: 4_096, queueOctets: 1 << 26, ...(plain ? { offloads: 0 } : {}) });
  const [a, b] = devices.map((device, n) => {
    const fail = (error: Error): never => {
      throw error;
    };
    const stack = new Stack(
      `bench${n}`,
      new VirtualHost({ clock, seed: n + 1, crypto }),
      new Sysctl('linux', { 'net.ipv6.conf.all.disable_ipv6': 1 }),
      {
        failed: fail,
        conflict: () => {},
        link: () => {},
      },
    );
    const eth0 = stack.addInterface('eth0', device);
    stack.addAddress(eth0, prefix(`192.0.2.${n + 1}/24`));
    stack.addAddress(eth0, prefix(`10.${n + 1}.0.1/24`));
    const far = 2 - n;
    const gateway = parseAddress(`192.0.2.${far}`);
    const source = parseAddress(`10.${n + 1}.0.1`);
    const to = prefix(`10.${far}.0.0/24`);
    const route = {
      family: 4,
      prefix: to.address,
      length: 24,
      type: 'unicast',
      index: eth0.index,
      gateway,
      source,
      metric: 0,
      mtu: 0,
      table: MAIN_TABLE,
      vrf: 0,
      protocol: 'static',
    } as const;
    stack.ip.routes.add(route);
    if (suite !== null) {
      const parsed = parseSuite(suite);
      const policy = stack.ipsec.addPolicy({ name: 'p', action: 'protect', selectors: [selectorOf(prefix(`10.${n + 1}.0.0/24`), to)] });
      const own = parseAddress(`192.0.2.${n + 1}`) as NonNullable<typeof gateway>;
      const peer = gateway as NonNullable<typeof gateway>;
      const common = { mode: 'tunnel', suite: parsed, keys: new Uint8Array(keyMaterial(parsed)).fill(9), replayWindow: 1_024 } as const;
      stack.ipsec.addSa({ ...common, direction: 'in', spi: 4_096 + n, source: peer, destination: own });
      stack.ipsec.addSa({ ...common, direction: 'out', spi: 4_096 + 1 - n, source: own, destination: peer }, policy);
    }
    return stack;
  }) as [Stack, Stack];
  const listener = b.tcp.openSocket(4);
  listener.bind(null, 9);
  listener.listen(1);
  const client = a.tcp.openSocket(4);
  client.connect(parseAddress('10.2.0.1') as NonNullable<ReturnType<typeof parseAddress>>, 9);
  clock.advance(3_000_000);
  const server = listener.accept();
  if (server === null || typeof server === 'number') throw new RangeError('no connection');
  const data = new Uint8Array(1 << 18);
  const into = new Uint8Array(1 << 20);
  let octets = 0;
  const pump = (): void => {
    while (client.write(data, 0, data.length) > 0);
  };
  client.onReady = pump;
  server.onReady = () => {
    for (let n = server.read(into, 0, into.length); n > 0; n = server.read(into, 0, into.length)) octets += n;
  };
  pump();
  const span = (ms: number): void => {
    for (const end = performance.now() + ms; performance.now() < end; ) for (let i = 0; i < 50; i++) clock.step();
  };
  span(2_000); // until V8 has settled: half a second gives half the rate
  return median(
    Array.from({ length: 5 }, () => {
      const before = octets;
      const cpu = process.cpuUsage();
      span(400);
      const used = process.cpuUsage(cpu);
      return (octets - before) / (used.user + used.system);
    }),
  );
}

const native = nodeCrypto(loadNative());
const k = (n: number): string =>
  `${Math.round(n / 1_000)
    .toString()
    .padStart(7)} k/s`;
const line = (name: string, crypto: Crypto, suite: string, options = {}): void => {
  for (const octets of [64, 1_400]) {
    const [sealed, opened] = memory(crypto, suite, octets, options);
    process.stdout.write(`${`${name} ${octets} octets`.padEnd(52)} seal ${k(sealed)}  open ${k(opened)}\n`);
  }
};
line('aes128gcm16', native, 'aes128gcm16');
line('aes128gcm16, ESN, window of 4,096', native, 'aes128gcm16', { esn: true, replayWindow: 4_096 });
line('chacha20poly1305', native, 'chacha20poly1305');
line('aes128-sha256', native, 'aes128-sha256');
line('aes128gcm16 by node:crypto', nodeCrypto(), 'aes128gcm16');
process.stdout.write(`${'TCP, memory link, in clear, frames of the MTU'.padEnd(52)} ${tcp(native, null, true).toFixed(0).padStart(7)} MB/s\n`);
for (const suite of [null, 'aes128gcm16', 'chacha20poly1305'])
  process.stdout.write(`${`TCP, memory link, ${suite ?? 'in clear'}`.padEnd(52)} ${tcp(native, suite).toFixed(0).padStart(7)} MB/s\n`);
