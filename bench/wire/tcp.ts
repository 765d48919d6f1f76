/**
 * TCP over a TAP against the Linux kernel, beside Linux on two TAPs joined in C and Linux over veth, all in one run: bulk both
 * ways, 1 and 16 connections, one-octet ping-pong, connect and close. `npm run bench -- wire/tcp [seconds] [rounds]`; needs
 * root, ip and a C compiler. Medians of the rounds; ratios are to Linux on two TAPs with the vnet header (big frames) or
 * without it (plain). Core sockets.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parsePrefix } from '#src/base/address.js';
import { createNodeHost } from '#src/hyper/node-host.js';
import type { TcpSocket } from '#src/net/socket/tcp-socket.js';
import { Stack } from '#src/net/stack.js';
import { Sysctl } from '#src/net/sysctl.js';
import { makeNetns, type Netns } from '../../test/support/netns.js';

const seconds = process.argv[3] ?? '1';
const rounds = Number(process.argv[4] ?? 5);
const PORT = 9_000;
const folder = mkdtempSync(join(tmpdir(), 'anystack-bench-'));
const load = join(folder, 'tcp-load');
execFileSync('cc', ['-O2', '-o', load, join(dirname(fileURLToPath(import.meta.url)), '../../../bench/wire/tcp-load.c')]);

const rows: readonly (readonly [string, readonly string[], number])[] = [
  ['in, 1 connection, MB/s', ['send', '1'], 0],
  ['out, 1 connection, MB/s', ['recv', '1'], 1],
  ['in, 16 connections, MB/s', ['send', '16'], 0],
  ['out, 16 connections, MB/s', ['recv', '16'], 1],
  ['ping-pong, /s', ['ping'], 2],
  ['connect + close, 1, /s', ['open', '1'], 3],
  ['connect + close, 16, /s', ['open', '16'], 3],
];

/** The services of `tcp-load serve`, on core sockets. */
function serve(stack: Stack): void {
  const into = new Uint8Array(1 << 20);
  const out = new Uint8Array(1 << 18);
  const drain = (socket: TcpSocket): void => {
    let n = 0;
    do n = socket.read(into, 0, into.length);
    while (n > 0);
    if (n !== -11) socket.close();
  };
  const fill = (socket: TcpSocket): void => {
    let n = 0;
    do n = socket.write(out, 0, out.length);
    while (n > 0);
    if (n !== -11) socket.close();
  };
  const echo = (socket: TcpSocket): void => {
    let n = 0;
    while ((n = socket.read(into, 0, into.length)) > 0) socket.write(into, 0, n);
    if (n !== -11) socket.close();
  };
  for (const [i, ready] of [drain, fill, echo, (socket: TcpSocket) => socket.close()].entries()) {
    const listener = stack.tcp.openSocket(4);
    listener.bind(null, PORT + i);
    listener.listen(1_024);
    listener.onReady = () => {
      for (let socket = listener.accept(); socket !== null; socket = listener.accept()) {
        const one = socket;
        one.setOption('TCP_NODELAY', 1);
        one.onReady = () => ready(one);
        ready(one);
      }
    };
  }
}

async function measure(ns: Netns, address: string): Promise<number[]> {
  const results: number[] = [];
  for (const [, [mode, ...rest], port] of rows) {
    const out = await ns.exec(load, mode as string, address, String(PORT + port), seconds, ...rest);
    results.push(Number(out.split(' ')[0]));
  }
  return results;
}

async function ours(offload: boolean, busyPollMicros = 0): Promise<number[]> {
  const ns = makeNetns('bench');
  const host = createNodeHost({ log: () => {} });
  const stack = new Stack('bench', host, new Sysctl(), {
    failed: (error) => {
      throw error;
    },
    conflict: () => {},
    link: () => {},
  });
  const eth0 = stack.addInterface(
    'eth0',
    host.open({ type: 'tap', name: 'bench0', hostAddress: '10.9.0.1/24', netns: ns.path, offload, busyPollMicros }),
  );
  stack.addAddress(eth0, parsePrefix('10.9.0.2/24') as NonNullable<ReturnType<typeof parsePrefix>>);
  serve(stack);
  try {
    await ns.exec('ping', '-c', '1', '-W', '2', '10.9.0.2');
    return await measure(ns, '10.9.0.2');
  } finally {
    stack.close();
    ns.remove();
  }
}

async function linux(make: (a: Netns, b: Netns) => Promise<void>): Promise<number[]> {
  const a = makeNetns('bench');
  const b = makeNetns('bench');
  try {
    await make(a, b);
    for (const [ns, address] of [
      [a, '10.9.0.1/24'],
      [b, '10.9.0.2/24'],
    ] as const) {
      ns.run('ip', 'addr', 'add', address, 'dev', 'bench0');
      ns.run('ip', 'link', 'set', 'bench0', 'up');
    }
    b.start(load, 'serve', String(PORT));
    await new Promise((resolve) => setTimeout(resolve, 200));
    return await measure(a, '10.9.0.2');
  } finally {
    a.remove();
    b.remove();
  }
}

const veth = async (a: Netns, b: Netns): Promise<void> => {
  execFileSync('ip', ['link', 'add', 'bench0', 'netns', a.name, 'type', 'veth', 'peer', 'name', 'bench0', 'netns', b.name]);
};
const joined =
  (kind: string) =>
  (a: Netns, b: Netns): Promise<void> =>
    new Promise((resolve, reject) => {
      const child = a.start(load, 'join', a.name, 'bench0', b.name, 'bench0', kind);
      child.stdout?.once('data', () => resolve());
      child.once('exit', (code) => reject(new RangeError(`tcp-load join ended with ${code}`)));
    });

const subjects: readonly (readonly [string, () => Promise<number[]>])[] = [
  ['ours', () => ours(true)],
  ['Linux 2 TAPs', () => linux(joined('vnet'))],
  ['ours plain', () => ours(false)],
  ['Linux plain', () => linux(joined('plain'))],
  ['ours busy', () => ours(true, 50)],
  ['Linux veth', () => linux(veth)],
];

const figures = subjects.map(() => rows.map((): number[] => []));
for (let round = 0; round < rounds; round++) {
  for (const [s, [, run]] of subjects.entries())
    for (const [r, figure] of (await run()).entries()) ((figures[s] as number[][])[r] as number[]).push(figure);
}
const median = (numbers: readonly number[]): number => [...numbers].sort((a, b) => a - b)[numbers.length >> 1] as number;
const medians = figures.map((subject) => subject.map(median));
const cell = (x: number): string => (x >= 100 ? x.toFixed(0) : x.toFixed(1)).padStart(13);
console.log(`${''.padEnd(26)}${subjects.map(([name]) => name.padStart(13)).join('')}   ours/Linux  plain/plain`);
for (const [r, [name]] of rows.entries()) {
  const values = medians.map((m) => m[r] as number) as [number, number, number, number, number, number];
  console.log(
    `${name.padEnd(26)}${values.map(cell).join('')}${(values[0] / values[1]).toFixed(2).padStart(13)}${(values[2] / values[3]).toFixed(2).padStart(13)}`,
  );
}
rmSync(folder, { recursive: true });
