/**
 * Two stacks on a memory link, core sockets, in virtual time: bulk TCP with and without offloads, ping-pong, UDP of 64 octets;
 * and what a stack costs: time to start, heap and buffers at 1,000 stacks; getsockopt. Rates are per CPU-second, medians of
 * five, IPv4 and IPv6 by turns. `npm run bench -- packet/memory`.
 */
import { parseAddress, parsePrefix } from '#src/base/address.js';
import { memoryLink } from '#src/hyper/memory-link.js';
import { VirtualClock, VirtualHost } from '#src/hyper/virtual-host.js';
import { DatagramInfo } from '#src/net/socket/datagram-queue.js';
import type { TcpSocket } from '#src/net/socket/tcp-socket.js';
import { Stack } from '#src/net/stack.js';
import { Sysctl } from '#src/net/sysctl.js';

const RUN_MS = 400;
type Family = 4 | 6;
const text = (family: Family, n: number): string => (family === 4 ? `10.0.0.${n}` : `fd00::${n}`);
const peer = (family: Family): NonNullable<ReturnType<typeof parseAddress>> =>
  parseAddress(text(family, 2)) as NonNullable<ReturnType<typeof parseAddress>>;
const events = {
  failed: (error: Error): never => {
    throw error;
  },
  conflict: () => {},
  link: () => {},
};

interface Pair {
  readonly family: Family;
  readonly clock: VirtualClock;
  readonly a: Stack;
  readonly b: Stack;
}

function pair(family: Family, offloads?: number): Pair {
  const clock = new VirtualClock();
  const devices = memoryLink({ ...(offloads === undefined ? {} : { offloads }), queueFrames: 4_096, queueOctets: 1 << 26 });
  const [a, b] = devices.map((device, n) => {
    const stack = new Stack(
      `bench${n}`,
      new VirtualHost({ clock, seed: n + 1 }),
      new Sysctl('linux', { 'net.ipv6.conf.all.disable_ipv6': family === 4 ? 1 : 0, 'net.ipv6.conf.all.dad_transmits': 0 }),
      events,
    );
    stack.addAddress(stack.addInterface('eth0', device), parsePrefix(`${text(family, n + 1)}/24`) as NonNullable<ReturnType<typeof parsePrefix>>);
    return stack;
  }) as [Stack, Stack];
  return { family, clock, a, b };
}

function connected({ family, clock, a, b }: Pair): [TcpSocket, TcpSocket] {
  const listener = b.tcp.openSocket(family);
  listener.bind(null, 9);
  listener.listen(1);
  const client = a.tcp.openSocket(family);
  client.setOption('TCP_NODELAY', 1);
  client.connect(peer(family), 9);
  clock.advance(100_000);
  const server = listener.accept() as TcpSocket;
  server.setOption('TCP_NODELAY', 1);
  return [client, server];
}

/** Steps the clock for a while and gives what `count` has grown by per CPU-second. */
function rate({ clock }: Pair, count: () => number): number {
  const span = (ms: number): void => {
    for (const end = performance.now() + ms; performance.now() < end; ) for (let i = 0; i < 200; i++) clock.step();
  };
  span(RUN_MS / 4);
  const rates = Array.from({ length: 5 }, () => {
    const before = count();
    const cpu = process.cpuUsage();
    span(RUN_MS);
    const used = process.cpuUsage(cpu);
    return ((count() - before) * 1e6) / (used.user + used.system);
  });
  return rates.sort((x, y) => x - y)[2] as number;
}

function bulk(family: Family, offloads?: number): number {
  const p = pair(family, offloads);
  const [client, server] = connected(p);
  const out = new Uint8Array(1 << 18);
  const into = new Uint8Array(1 << 20);
  let octets = 0;
  const pump = (): void => {
    while (client.write(out, 0, out.length) > 0);
  };
  client.onReady = pump;
  server.onReady = () => {
    for (let n = server.read(into, 0, into.length); n > 0; n = server.read(into, 0, into.length)) octets += n;
  };
  pump();
  return rate(p, () => octets);
}

function pingPong(family: Family): number {
  const p = pair(family);
  const [client, server] = connected(p);
  const one = new Uint8Array(1);
  let trips = 0;
  server.onReady = () => {
    while (server.read(one, 0, 1) > 0) server.write(one, 0, 1);
  };
  client.onReady = () => {
    while (client.read(one, 0, 1) > 0) {
      trips++;
      client.write(one, 0, 1);
    }
  };
  client.write(one, 0, 1);
  return rate(p, () => trips);
}

function datagrams(family: Family): number {
  const p = pair(family);
  const server = p.b.udp.openSocket(p.family);
  server.bind(null, 9);
  server.setOption('SO_RCVBUF', 4 << 20);
  const client = p.a.udp.openSocket(p.family);
  client.connect(peer(family), 9);
  const data = new Uint8Array(64);
  const into = new Uint8Array(64);
  const info = new DatagramInfo();
  let received = 0;
  server.onReady = () => {
    while (server.receive(into, 0, 64, info) >= 0) received++;
  };
  client.sendTo(data, 0, 64, null, 0);
  p.clock.advance(100_000);
  const burst = p.clock.alarm(() => {
    for (let i = 0; i < 64; i++) client.sendTo(data, 0, 64, null, 0);
    burst.set(p.clock.now + 1);
  });
  burst.set(p.clock.now + 1);
  return rate(p, () => received);
}

function start(): { micros: number; octets: number } {
  const make = (): Stack => {
    const stack = new Stack('many', new VirtualHost({ clock: new VirtualClock(), seed: 1 }), new Sysctl('linux'), events);
    stack.addAddress(stack.addInterface('eth0', memoryLink()[0]), parsePrefix('10.0.0.1/24') as NonNullable<ReturnType<typeof parsePrefix>>);
    stack.poll();
    return stack;
  };
  const used = (): number => {
    globalThis.gc?.();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return heapUsed + arrayBuffers;
  };
  for (let i = 0; i < 200; i++) make();
  const before = used();
  const times: number[] = [];
  const kept = Array.from({ length: 1_000 }, () => {
    const begin = performance.now();
    const stack = make();
    times.push((performance.now() - begin) * 1_000);
    return stack;
  });
  const octets = (used() - before) / kept.length;
  return { micros: times.sort((x, y) => x - y)[500] as number, octets };
}

function getOption(): number {
  const p = pair(4);
  const [client] = connected(p);
  const count = 5_000_000;
  let sum = 0;
  const begin = performance.now();
  for (let i = 0; i < count; i++) sum += client.getOption('TCP_NODELAY') as number;
  return sum === count ? ((performance.now() - begin) * 1e6) / count : Number.NaN;
}

const line = (what: string, figure: string): void => console.log(`${what.padEnd(44)}${figure.padStart(34)}`);
/** One row: IPv4 and IPv6 by turns, three times each, and the medians with what the second is of the first. */
function both(what: string, unit: string, by: number, run: (family: Family) => number): void {
  const figures = { 4: [] as number[], 6: [] as number[] };
  for (let i = 0; i < 3; i++) for (const family of [4, 6] as const) figures[family].push(run(family) / by);
  const [four, six] = [figures[4], figures[6]].map((all) => all.sort((x, y) => x - y)[1] as number) as [number, number];
  const digits = four < 100 ? 2 : 0;
  line(what, `${four.toFixed(digits)} ${unit}, IPv6 ${six.toFixed(digits)} (${(six / four).toFixed(3)})`);
}

both('bulk TCP, one connection, offloads', 'MB/s', 1e6, (family) => bulk(family));
both('bulk TCP, one connection, plain frames', 'MB/s', 1e6, (family) => bulk(family, 0));
both('one octet there and back', 'k/s', 1e3, pingPong);
both('UDP, 64 octets', 'M/s', 1e6, datagrams);
const { micros, octets } = start();
line('a stack with one memory link starts in', `${micros.toFixed(0)} us`);
line('and costs, at 1,000 stacks', `${(octets / 1_024).toFixed(1)} KB`);
line('getsockopt on the core socket', `${getOption().toFixed(0)} ns`);
