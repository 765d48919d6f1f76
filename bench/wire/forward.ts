/**
 * Forwarding between two TAPs: datagrams of 18 octets (frames of 64 with their check sequence) from a sender that never rests to a receiver that drops
 * them at ingress, and TCP with its offloads. Beside the stack: a bare forwarder on our devices, which is what they bound; a loop of
 * read and write in C, which is what a TAP bounds; Linux as router between TAPs joined so, and between veths. All in one run, rounds
 * interleaved: `npm run bench -- wire/forward [seconds] [rounds] [subjects]`, the last a part of their names. Needs root, ip, nft, iperf3 and a C compiler.
 * Beside each rate stands what the forwarding process spends: on a shared machine it says more.
 */
import type { ChildProcess } from 'node:child_process';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { type Prefix, parsePrefix } from '#src/base/address.js';
import { type Packet, PacketPool } from '#src/base/packet.js';
import type { Device, DeviceEvents } from '#src/hyper/hypercalls.js';
import { createNodeHost } from '#src/hyper/node-host.js';
import { Stack } from '#src/net/stack.js';
import { Sysctl } from '#src/net/sysctl.js';
import * as ethernet from '#src/wire/ethernet.js';
import { makeNetns, type Netns } from '../../test/support/netns.js';
import { compileLoad, median } from './served.js';

const [seconds = '1', roundsText = '3', wanted = ''] = process.argv.slice(3);
const rounds = Number(roundsText);
const BATCH = 64;
/** Seconds before each measurement: compilers, caches, windows. */
const WARM = '1';
const load = compileLoad('load');
const tcpLoad = compileLoad('tcp-load');

/** What joins two hosts: CPU it has spent so far in µs (NaN: the kernel's own, which nobody accounts), and its end. */
interface Path {
  cpu(): number;
  close(): void;
}

type Make = (left: Netns, right: Netns) => Path | Promise<Path>;

const ownCpu = (): number => {
  const { user, system } = process.cpuUsage();
  return user + system;
};

/** User and system time of a process and its children that have ended, from /proc: 10 ms apart. */
const cpuOf = (pid: number): number => {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10_000;
};

const left = '10.9.1';
const right = '10.9.2';
const hostRoutes = (a: Netns, b: Netns): void => {
  a.run('ip', 'route', 'add', 'default', 'via', `${left}.1`);
  b.run('ip', 'route', 'add', 'default', 'via', `${right}.1`);
};

/** Two of our devices whose other ends are `bench0` of the two hosts, 10.9.1.2 and 10.9.2.2. */
function taps(a: Netns, b: Netns): { host: ReturnType<typeof createNodeHost>; devices: [Device, Device] } {
  const host = createNodeHost({ log: () => {} });
  const open = (ns: Netns, net: string): Device => host.open({ type: 'tap', name: 'bench0', netns: ns.path, hostAddress: `${net}.2/24` });
  return { host, devices: [open(a, left), open(b, right)] };
}

function ours(a: Netns, b: Netns): Path {
  const { host, devices } = taps(a, b);
  const stack = new Stack('forward', host, new Sysctl('linux', { 'net.ipv4.ip_forward': 1 }), {
    failed: (error) => {
      throw error;
    },
    conflict: () => {},
    link: () => {},
  });
  for (const [i, net] of [left, right].entries())
    stack.addAddress(stack.addInterface(`eth${i}`, devices[i] as Device), parsePrefix(`${net}.1/24`) as Prefix);
  hostRoutes(a, b);
  return { cpu: ownCpu, close: () => stack.close() };
}

/** Gives each frame the station addresses of the other link, and no more. */
function bare(a: Netns, b: Netns): Path {
  const { devices } = taps(a, b);
  const stations = [a, b].map((ns) => ethernet.parseMac(ns.run('cat', '/sys/class/net/bench0/address').trim()) as Uint8Array);
  for (const [i, ns] of [a, b].entries()) {
    const mac = Buffer.from((devices[i] as Device).mac)
      .toString('hex')
      .replace(/(..)(?!$)/g, '$1:');
    ns.run('ip', 'neigh', 'add', `${i === 0 ? left : right}.1`, 'lladdr', mac, 'dev', 'bench0');
  }
  hostRoutes(a, b);
  const pool = new PacketPool(4_096);
  const into: Packet[] = [];
  for (const [i, device] of devices.entries()) {
    const out = devices[1 - i] as Device;
    const pull = (): void => {
      for (let n = device.receive(pool, into, BATCH); n > 0; n = device.receive(pool, into, BATCH)) {
        for (let k = 0; k < n; k++) {
          const { bytes, head } = into[k] as Packet;
          bytes.set(stations[1 - i] as Uint8Array, head);
          bytes.set(out.mac, head + 6);
        }
        for (let k = out.transmit(into, n); k < n; k++) (into[k] as Packet).release();
        if (n < BATCH) break;
      }
    };
    const events: DeviceEvents = { readable: pull, writable: () => {}, carrier: () => {}, mtu: () => {}, failed: () => {} };
    device.start(events);
  }
  return { cpu: ownCpu, close: () => devices.forEach((device) => device.close()) };
}

/** Two TAPs of two namespaces, joined by a program in C. */
async function join(a: Netns, aName: string, b: Netns, bName: string): Promise<ChildProcess> {
  const child = a.start(tcpLoad.path, 'join', a.name, aName, b.name, bName, 'vnet');
  await new Promise<void>((resolve, reject) => {
    child.stdout?.once('data', () => resolve());
    child.once('exit', (code) => reject(new RangeError(`tcp-load join ended with ${code}`)));
  });
  return child;
}

function addressed(ns: Netns, name: string, address: string): void {
  ns.run('ip', 'addr', 'add', address, 'dev', name);
  ns.run('ip', 'link', 'set', name, 'up');
}

/** One link from host to host: what moving frames between two TAPs costs at least. */
async function inC(a: Netns, b: Netns): Promise<Path> {
  const child = await join(a, 'bench0', b, 'bench0');
  addressed(a, 'bench0', `${right}.1/24`);
  addressed(b, 'bench0', `${right}.2/24`);
  return { cpu: () => cpuOf(child.pid as number), close: () => child.kill('SIGKILL') };
}

async function linux(a: Netns, b: Netns, link: (host: Netns, router: Netns, name: string) => Promise<() => number>): Promise<Path> {
  const router = makeNetns('router');
  router.run('sysctl', '-q', 'net.ipv4.ip_forward=1');
  const cpus = [await link(a, router, 'left'), await link(b, router, 'right')];
  for (const [host, name, net] of [
    [a, 'left', left],
    [b, 'right', right],
  ] as const) {
    addressed(host, 'bench0', `${net}.2/24`);
    addressed(router, name, `${net}.1/24`);
  }
  hostRoutes(a, b);
  return { cpu: () => cpus.reduce((sum, cpu) => sum + cpu(), 0), close: () => router.remove() };
}

const overTaps: Make = (a, b) =>
  linux(a, b, async (host, router, name) => {
    const child = await join(router, name, host, 'bench0');
    return () => cpuOf(child.pid as number);
  });

const overVeth: Make = (a, b) =>
  linux(a, b, async (host, router, name) => {
    execFileSync('ip', ['link', 'add', name, 'netns', router.name, 'type', 'veth', 'peer', 'name', 'bench0', 'netns', host.name]);
    return () => Number.NaN;
  });

const subjects = (
  [
    ['ours', ours],
    ['bare, our devices', bare],
    ['one link, in C', inC],
    ['Linux, TAPs', overTaps],
    ['Linux, veth', overVeth],
  ] as const satisfies readonly (readonly [string, Make])[]
).filter(([name]) => name.includes(wanted));

/** Titles of the figures of one round. */
const rows = ['packets of 64, k/s', '  CPU of the forwarder, ns each', 'TCP, MB/s', '  MB per CPU-second', 'TCP back, MB/s', '  MB per CPU-second'];

async function round(make: Make): Promise<number[]> {
  const [a, b] = [makeNetns('left'), makeNetns('right')];
  const path = await make(a, b);
  try {
    await a.exec('ping', '-c', '1', '-W', '2', `${right}.2`);
    const rules =
      'table netdev t { counter n { }; chain c { type filter hook ingress device "bench0" priority 0; ip protocol udp udp dport 9 counter name n drop; }; }';
    b.run('nft', rules);
    const flood = async (span: string): Promise<number> => {
      await a.exec(load.path, 'flood', `${right}.2`, '9', '18', span);
      return Number(/packets (\d+)/.exec(b.run('nft', 'reset', 'counter', 'netdev', 't', 'n'))?.[1]);
    };
    await flood(WARM);
    let cpu = path.cpu();
    const packets = await flood(seconds);
    const figures = [packets / Number(seconds) / 1_000, ((path.cpu() - cpu) * 1_000) / packets];
    b.run('nft', 'delete', 'table', 'netdev', 't');
    const server = b.start('iperf3', '-s', '--forceflush');
    await new Promise<void>((resolve) => server.stdout?.on('data', (text) => String(text).includes('listening') && resolve()));
    for (const flags of [[], ['-R']]) {
      await a.exec('iperf3', '-c', `${right}.2`, '-t', WARM, ...flags);
      cpu = path.cpu();
      const report = JSON.parse(await a.exec('iperf3', '-c', `${right}.2`, '-t', seconds, '-J', ...flags));
      const { bytes, bits_per_second: rate } = report.end.sum_received;
      figures.push(rate / 8e6, bytes / (path.cpu() - cpu));
    }
    return figures;
  } finally {
    path.close();
    a.remove();
    b.remove();
  }
}

const figures = subjects.map(() => rows.map((): number[] => []));
for (let n = 0; n < rounds; n++)
  for (const [s, [, make]] of subjects.entries())
    for (const [r, figure] of (await round(make)).entries()) ((figures[s] as number[][])[r] as number[]).push(figure);
const cell = (x: number): string => (Number.isNaN(x) ? '-' : x.toFixed(x < 100 ? 1 : 0)).padStart(20);
console.log(`${''.padEnd(34)}${subjects.map(([name]) => name.padStart(20)).join('')}`);
for (const [r, title] of rows.entries()) console.log(`${title.padEnd(34)}${figures.map((f) => cell(median(f[r] as number[]))).join('')}`);
load.remove();
tcpLoad.remove();
