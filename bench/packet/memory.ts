/**
 * Two stacks on a memory link, core sockets, in virtual time: bulk TCP with and without offloads, ping-pong, UDP of 64 octets;
 * and what a stack costs: time to start, heap and buffers at 1,000 stacks; getsockopt. Rates are per CPU-second, medians of
 * five. `npm run bench -- packet/memory`.
 */
import { parseAddress, parsePrefix } from '#src/base/address.js';
import { memoryLink } from '#src/hyper/memory-link.js';
import { VirtualClock, VirtualHost } from '#src/hyper/virtual-host.js';
import { DatagramInfo } from '#src/net/socket/datagram-queue.js';
import type { TcpSocket } from '#src/net/socket/tcp-socket.js';
import { Stack } from '#src/net/stack.js';
import { Sysctl } from '#src/net/sysctl.js';

const RUN_MS = 400;
const to = parseAddress('10.0.0.2') as NonNullable<ReturnType<typeof parseAddress>>;
const events = {
  failed: (error: Error): never => {
    throw error;
  },
  conflict: () => {},
  link: () => {},
};

interface Pair {
  readonly clock: VirtualClock;
  readonly a: Stack;
  readonly b: Stack;
}

function pair(offloads?: number): Pair {
  const clock = new VirtualClock();
  const devices = memoryLink({ ...(offloads === undefined ? {} : { offloads }), queueFrames: 4_096, queueOctets: 1 << 26 });
  const [a, b] = devices.map((device, n) => {
    const stack = new Stack(
      `bench${n}`,
      new VirtualHost({ clock, seed: n + 1 }),
      new Sysctl('linux', { 'net.ipv6.conf.all.disable_ipv6': 1 }),
      events,
    );
    stack.addAddress(stack.addInterface('eth0', device), parsePrefix(`10.0.0.${n + 1}/24`) as NonNullable<ReturnType<typeof parsePrefix>>);
    return stack;
  }) as [Stack, Stack];
  return { clock, a, b };
}

function connected({ clock, a, b }: Pair): [TcpSocket, TcpSocket] {
  const listener = b.tcp.openSocket(4);
  listener.bind(null, 9);
  listener.listen(1);
  const client = a.tcp.openSocket(4);
  client.setOption('TCP_NODELAY', 1);
  client.connect(to, 9);
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

function bulk(offloads?: number): number {
  const p = pair(offloads);
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

function pingPong(): number {
  const p = pair();
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

function datagrams(): number {
  const p = pair();
  const server = p.b.udp.openSocket(4);
  server.bind(null, 9);
  server.setOption('SO_RCVBUF', 4 << 20);
  const client = p.a.udp.openSocket(4);
  client.connect(to, 9);
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
  const p = pair();
  const [client] = connected(p);
  const count = 5_000_000;
  let sum = 0;
  const begin = performance.now();
  for (let i = 0; i < count; i++) sum += client.getOption('TCP_NODELAY') as number;
  return sum === count ? ((performance.now() - begin) * 1e6) / count : Number.NaN;
}

const line = (what: string, figure: string): void => console.log(`${what.padEnd(44)}${figure.padStart(16)}`);
line('bulk TCP, one connection, offloads', `${(bulk() / 1e6).toFixed(0)} MB/s`);
line('bulk TCP, one connection, plain frames', `${(bulk(0) / 1e6).toFixed(0)} MB/s`);
line('one octet there and back', `${(pingPong() / 1e3).toFixed(0)} k/s`);
line('UDP, 64 octets', `${(datagrams() / 1e6).toFixed(2)} M/s`);
const { micros, octets } = start();
line('a stack with one memory link starts in', `${micros.toFixed(0)} us`);
line('and costs, at 1,000 stacks', `${(octets / 1_024).toFixed(1)} KB`);
line('getsockopt on the core socket', `${getOption().toFixed(0)} ns`);
