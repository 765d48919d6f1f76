/**
 * Many connections: two stacks on a memory link with COUNT established connections on core sockets. What each end costs in heap
 * and buffers, idle as they were born and idle after data; how long it takes to find a segment's connection among them; connect and close,
 * 16 at once. `node --expose-gc build/bench/packet/connections.js [count]` (npm run bench -- packet/connections [count] forces no collection
 * and says so). 1,000,000 need `--max-old-space-size=8000`.
 */
import { type Address, parseAddress, parsePrefix } from '#src/base/address.js';
import { memoryLink } from '#src/hyper/memory-link.js';
import { VirtualClock, VirtualHost } from '#src/hyper/virtual-host.js';
import type { TcpSocket } from '#src/net/socket/tcp-socket.js';
import { Stack } from '#src/net/stack.js';
import { Sysctl } from '#src/net/sysctl.js';
import type { Tcb } from '#src/net/tcp/tcb.js';

const COUNT = Number(process.argv.slice(2).find((word) => /^\d+$/.test(word)) ?? 100_000);
/** Connections opened together, and to one port: ephemeral ones run out otherwise. */
const TOGETHER = 500;
const PER_PORT = 20_000;
const server = parseAddress('10.0.0.2') as Address;
const line = (what: string, figure: string): void => console.log(`${what.padEnd(52)}${figure.padStart(16)}`);

const clock = new VirtualClock();
const [a, b] = memoryLink({ queueFrames: 8_192, queueOctets: 1 << 26 }).map((device, n) => {
  const stack = new Stack(
    `bench${n}`,
    new VirtualHost({ clock, seed: n + 1 }),
    new Sysctl('linux', {
      'net.ipv6.conf.all.disable_ipv6': 1,
      'anystack.tcp_connections_max': 16_777_216,
      'net.core.somaxconn': 4_096,
      'net.ipv4.ip_local_port_range_low': 1_024,
    }),
    {
      failed: (error) => {
        throw error;
      },
      conflict: () => {},
      link: () => {},
    },
  );
  stack.addAddress(stack.addInterface('eth0', device), parsePrefix(`10.0.0.${n + 1}/24`) as NonNullable<ReturnType<typeof parsePrefix>>);
  return stack;
}) as [Stack, Stack];

const servers: TcpSocket[] = [];
for (let port = 1; port <= Math.ceil(COUNT / PER_PORT); port++) {
  const listener = b.tcp.openSocket(4);
  listener.bind(null, port);
  listener.listen(4_096);
  listener.onReady = () => {
    for (let socket = listener.accept(); socket !== null; socket = listener.accept()) servers.push(socket);
  };
}

function used(): number {
  globalThis.gc?.();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

const clients: TcpSocket[] = [];
const before = used();
let begin = process.cpuUsage();
while (clients.length < COUNT) {
  const port = 1 + Math.floor(clients.length / PER_PORT);
  for (let i = 0; i < TOGETHER && clients.length < COUNT; i++) {
    const socket = a.tcp.openSocket(4);
    socket.connect(server, port);
    clients.push(socket);
  }
  clock.advance(50_000);
}
clock.advance(1_000_000);
const spent = (since: NodeJS.CpuUsage): number => {
  const { user, system } = process.cpuUsage(since);
  return user + system;
};
const opening = spent(begin);
const established = (sockets: readonly TcpSocket[]): number => sockets.filter((socket) => socket.state === 'ESTABLISHED').length;
line(`established, of ${COUNT.toLocaleString('en')}`, `${Math.min(established(clients), established(servers)).toLocaleString('en')}`);
line('opened, CPU of both ends', `${(opening / COUNT).toFixed(1)} us`);
const each = (octets: number): string => `${octets.toFixed(0)} octets`;
const forced = globalThis.gc === undefined ? ' (not collected)' : '';
line(`an end costs before data${forced}`, each((used() - before) / (2 * COUNT)));

const into = new Uint8Array(2_000);
const data = new Uint8Array(1_000);
for (let round = 0; round < 2; round++) {
  for (const side of [clients, servers]) {
    for (let from = 0; from < COUNT; from += TOGETHER) {
      for (const socket of side.slice(from, from + TOGETHER)) socket.write(data);
      clock.advance(50_000); // the ACK may be delayed
      for (const socket of (side === clients ? servers : clients).slice(from, from + TOGETHER)) socket.read(into);
    }
  }
  clock.advance(1_000_000);
}
line(`an end costs after 2 KB each way${forced}`, each((used() - before) / (2 * COUNT)));

/** Finds them in an order that no cache has seen, by keys that are not their own objects. */
function finding(): number {
  const order = Int32Array.from({ length: COUNT }, (_, i) => i);
  for (let i = COUNT - 1, state = 1; i > 0; i--) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    const j = state % (i + 1);
    const k = order[i] as number;
    order[i] = order[j] as number;
    order[j] = k;
  }
  const ports = Int32Array.from(order, (i) => (servers[i] as TcpSocket).remotePort);
  const locals = Int32Array.from(order, (i) => (servers[i] as TcpSocket).localPort);
  const { flows } = b.tcp;
  const remote = parseAddress('10.0.0.1') as Address;
  let found = 0;
  const start = process.cpuUsage();
  for (let i = 0; i < COUNT; i++) if (flows.find(server, remote, locals[i] as number, ports[i] as number, 0, 0) !== null) found++;
  return found === COUNT ? (spent(start) * 1_000) / COUNT : Number.NaN;
}
finding();
line('a connection is found in', `${Math.min(finding(), finding(), finding()).toFixed(0)} ns`);

/** CPU of both ends per ACK that says nothing, to connections in turn: what a segment to a connection out of every cache costs. */
begin = process.cpuUsage();
let probes = 0;
for (let i = 0; i < COUNT; i += 7, probes++) {
  const tcb = (servers[i] as TcpSocket).tcb as Tcb;
  tcb.rcv.due = 2;
  tcb.tcp.touch(tcb);
  if (probes % TOGETHER === 0) clock.advance(100);
}
clock.advance(1_000);
line('an ACK sent and received, cold', `${((spent(begin) * 1_000) / probes).toFixed(0)} ns`);

begin = process.cpuUsage();
for (const socket of clients) socket.close();
for (const socket of servers) socket.close();
clock.advance(200_000_000);
line('closed, CPU of both ends', `${(spent(begin) / COUNT).toFixed(1)} us`);
line('left', `${a.tcp.flows.count + b.tcp.flows.count}`);

/** Connects, is accepted and closed by the other end, closes: 16 under way. */
function churn(): number {
  const listener = b.tcp.openSocket(4);
  listener.bind(null, 60_000);
  listener.listen(64);
  listener.onReady = () => {
    for (let socket = listener.accept(); socket !== null; socket = listener.accept()) socket.close();
  };
  let done = 0;
  const dial = (): void => {
    const socket = a.tcp.openSocket(4);
    socket.setOption('SO_LINGER', 0);
    socket.onReady = () => {
      if (socket.read(into) !== 0) return;
      socket.close();
      done++;
      dial();
    };
    socket.connect(server, 60_000);
  };
  for (let i = 0; i < 16; i++) dial();
  for (let i = 0; i < 20_000; i++) clock.step();
  const start = process.cpuUsage();
  const first = done;
  for (let i = 0; i < 100_000; i++) clock.step();
  return ((done - first) * 1e6) / spent(start);
}
line('connect and close, 16 at once, both ends', `${churn().toFixed(0)} /CPU-s`);
