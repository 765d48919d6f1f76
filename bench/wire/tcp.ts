/**
 * TCP over a TAP against the Linux kernel, beside Linux on two TAPs joined in C and Linux over veth, all in one run: bulk both
 * ways, 1 and 16 connections, one-octet ping-pong, connect and close. `npm run bench -- wire/tcp [seconds] [rounds] [subjects] [rows]`, the last two
 * parts of a subject's name and of a call of tcp-load (`send 16`); needs root, ip and a C compiler. Medians of the rounds; ratios are to Linux on two TAPs with the vnet header (big frames) or
 * without it (plain). Core sockets.
 */
import { execFileSync } from 'node:child_process';
import { makeNetns, type Netns } from '../../test/support/netns.js';
import { compileLoad, median, openTap, PORT, servedStack } from './served.js';

const [seconds = '1', roundsText = '5', wantedSubjects = '', wantedRows = ''] = process.argv.slice(3);
const rounds = Number(roundsText);
const { path: load, remove } = compileLoad('tcp-load');

/** Title, how tcp-load is called, the service's port, and which of the figures it prints. */
const allRows: readonly (readonly [string, readonly string[], number, number?])[] = [
  ['in, 1 connection, MB/s', ['send', '1'], 0],
  ['out, 1 connection, MB/s', ['recv', '1'], 1],
  ['in, 16 connections, MB/s', ['send', '16'], 0],
  ['  least/greatest of them', ['send', '16'], 0, 1],
  ['out, 16 connections, MB/s', ['recv', '16'], 1],
  ['  least/greatest of them', ['recv', '16'], 1, 1],
  ['100 long, 100 short, MB/s', ['mixed', '100', '100'], 0],
  ['  p99 of the short, ms', ['mixed', '100', '100'], 0, 1],
  ['ping-pong, /s', ['ping'], 2],
  ['connect + close, 1, /s', ['open', '1'], 3],
  ['connect + close, 16, /s', ['open', '16'], 3],
];
const rows = allRows.filter(([, [mode, ...rest]]) => `${mode} ${rest.join(' ')}`.includes(wantedRows));

async function measure(ns: Netns, address: string): Promise<number[]> {
  const results: number[] = [];
  let line = '';
  for (const [, [mode, ...rest], port, field = 0] of rows) {
    if (field === 0) line = await ns.exec(load, mode as string, address, String(PORT + port), seconds, ...rest);
    results.push(Number(line.split(' ')[field]));
  }
  return results;
}

async function ours(offload: boolean, busyPollMicros = 0): Promise<number[]> {
  const ns = makeNetns('bench');
  const stack = servedStack(0, openTap(ns, 0, { offload, busyPollMicros }));
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

const allSubjects: readonly (readonly [string, () => Promise<number[]>])[] = [
  ['ours', () => ours(true)],
  ['Linux 2 TAPs', () => linux(joined('vnet'))],
  ['ours plain', () => ours(false)],
  ['Linux plain', () => linux(joined('plain'))],
  ['ours busy', () => ours(true, 50)],
  ['Linux veth', () => linux(veth)],
];

const subjects = allSubjects.filter(([name]) => name.includes(wantedSubjects));

const figures = subjects.map(() => rows.map((): number[] => []));
for (let round = 0; round < rounds; round++) {
  for (const [s, [, run]] of subjects.entries())
    for (const [r, figure] of (await run()).entries()) ((figures[s] as number[][])[r] as number[]).push(figure);
}
const medians = figures.map((subject) => subject.map(median));
const cell = (x: number): string => (x >= 100 ? x.toFixed(0) : x < 10 ? x.toFixed(2) : x.toFixed(1)).padStart(14);
console.log(`${''.padEnd(28)}${subjects.map(([name]) => name.padStart(14)).join('')}`);
for (const [r, [title]] of rows.entries()) console.log(`${title.padEnd(28)}${medians.map((m) => cell(m[r] as number)).join('')}`);
for (const [one, other] of [
  ['ours', 'Linux 2 TAPs'],
  ['ours plain', 'Linux plain'],
] as const) {
  const [a, b] = [one, other].map((name) => medians[subjects.findIndex((s) => s[0] === name)]);
  if (a !== undefined && b !== undefined) console.log(`${one} / ${other}: ${a.map((x, r) => (x / (b[r] as number)).toFixed(2)).join('  ')}`);
}
remove();
