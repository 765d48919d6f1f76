/**
 * Long and bad paths, CUBIC and BBR: Linux to Linux through our fault injector between two TAPs, then ours to Linux through the same. The same
 * seeds lose the same frames for both, runs alternate. Linux's BBR is the first version, as in its mainline. `npm run bench -- wire/paths [seconds] [seeds]`; needs root, ip and iperf3. Per path the medians
 * of what arrived, their ratio, and what was sent again.
 */
import type { ChildProcess } from 'node:child_process';
import { parseAddress, parsePrefix } from '#src/base/address.js';
import { type Packet, PacketPool } from '#src/base/packet.js';
import { millis } from '#src/base/time.js';
import { FaultInjector, type Faults } from '#src/hyper/fault-injector.js';
import type { Device } from '#src/hyper/hypercalls.js';
import { memoryLink } from '#src/hyper/memory-link.js';
import { createNodeHost } from '#src/hyper/node-host.js';
import { Stack } from '#src/net/stack.js';
import { Sysctl } from '#src/net/sysctl.js';
import { makeNetns, type Netns } from '../../test/support/netns.js';

const seconds = Number(process.argv[3] ?? 5);
const seeds = Number(process.argv[4] ?? 3);
const only = process.argv[5];
const PORT = '5201';
const BATCH = 256;
const mbit = 1e6;

interface Path {
  readonly name: string;
  readonly faults: Faults;
}

const paths: readonly Path[] = [
  {
    name: '66 ms, 100 Mbit/s, 0.003 % lost, 0.05 % late by 300 µs',
    faults: { rate: 100 * mbit, delay: millis(33), loss: 0.000_03, reorder: 0.000_5, reorderBy: 300 },
  },
  { name: '20 ms, 100 Mbit/s, 2 % lost', faults: { rate: 100 * mbit, delay: millis(10), loss: 0.02 } },
  { name: '20 ms, 50 Mbit/s, 1 % late by 3 segments', faults: { rate: 50 * mbit, delay: millis(10), reorder: 0.01, reorderBy: 3 * 240 } },
  { name: '100 ms, 100 Mbit/s', faults: { rate: 100 * mbit, delay: millis(50) } },
];

interface Run {
  /** Bit/s that arrived. */
  readonly rate: number;
  readonly retransmitted: number;
  /** Of these, sent again although they had arrived; Linux does not say. */
  readonly needless: number;
}

type Host = ReturnType<typeof createNodeHost>;

/** A wire between two devices, with the faults of the path in each direction. */
function join(host: Host, ends: readonly [Device, Device], faults: Faults, seed: number): () => void {
  const bad = ends.map((device, i) => new FaultInjector(device, host, { seed: seed + 1_000 * i, rx: faults }));
  bad.forEach((device, i) => {
    const pool = new PacketPool(20_000);
    const into: Packet[] = [];
    let pulling = false;
    device.start({
      readable: () => {
        // A receive that leaves frames behind announces them from inside.
        if (pulling) return;
        pulling = true;
        for (let n = device.receive(pool, into, BATCH); n > 0; n = device.receive(pool, into, BATCH)) (bad[1 - i] as FaultInjector).transmit(into, n);
        pulling = false;
      },
      writable: () => {},
      carrier: () => {},
      mtu: () => {},
      failed: (error) => {
        throw error;
      },
    });
  });
  return () => {
    for (const device of bad) device.close();
  };
}

async function listening(ns: Netns): Promise<ChildProcess> {
  const server = ns.start('iperf3', '-s', '-p', PORT, '--forceflush');
  await new Promise<void>((resolve) => server.stdout?.on('data', (text) => String(text).includes('listening') && resolve()));
  return server;
}

async function linux(path: Path, congestion: string, seed: number): Promise<Run> {
  const host = createNodeHost({ log: () => {} });
  const [a, b] = [makeNetns('path'), makeNetns('path')];
  const open = (ns: Netns, address: string): Device =>
    host.open({ type: 'tap', name: 'path0', hostAddress: address, netns: ns.path, offload: false });
  const end = join(host, [open(a, '10.9.0.1/24'), open(b, '10.9.0.2/24')], path.faults, seed);
  try {
    await listening(b);
    const out = JSON.parse(await a.exec('iperf3', '-c', '10.9.0.2', '-p', PORT, '-t', String(seconds), '-C', congestion, '-J'));
    return { rate: out.end.sum_received.bits_per_second, retransmitted: out.end.sum_sent.retransmits, needless: Number.NaN };
  } finally {
    end();
    a.remove();
    b.remove();
  }
}

async function ours(path: Path, congestion: string, seed: number): Promise<Run> {
  const host = createNodeHost({ log: () => {} });
  const b = makeNetns('path');
  const [port, near] = memoryLink({ medium: 'ethernet', macs: [Uint8Array.of(2, 0, 0, 9, 0, 1), Uint8Array.of(2, 0, 0, 9, 0, 2)] });
  const far = host.open({ type: 'tap', name: 'path0', hostAddress: '10.9.0.2/24', netns: b.path, offload: false });
  const end = join(host, [near, far], path.faults, seed);
  const stack = new Stack('path', host, new Sysctl(), {
    failed: (error) => {
      throw error;
    },
    conflict: () => {},
    link: () => {},
  });
  stack.addAddress(stack.addInterface('eth0', port), parsePrefix('10.9.0.1/24') as NonNullable<ReturnType<typeof parsePrefix>>);
  try {
    b.start('socat', '-u', `TCP-LISTEN:${PORT},reuseaddr`, 'OPEN:/dev/null');
    await new Promise((resolve) => setTimeout(resolve, 500));
    const socket = stack.tcp.openSocket(4);
    socket.setOption('TCP_CONGESTION', congestion);
    const data = new Uint8Array(131_072);
    const connected = new Promise<void>((resolve) => {
      socket.onReady = () => {
        if (socket.state !== 'ESTABLISHED') return;
        resolve();
        while (socket.write(data, 0, data.length) > 0);
      };
    });
    socket.connect(parseAddress('10.9.0.2') as NonNullable<ReturnType<typeof parseAddress>>, Number(PORT));
    await connected;
    const began = host.monotonic();
    await new Promise((resolve) => setTimeout(resolve, seconds * 1_000));
    const info = socket.info();
    const rate = ((info?.bytes_acked ?? 0) * 8e6) / (host.monotonic() - began);
    socket.abort();
    return { rate, retransmitted: info?.total_retrans ?? 0, needless: info?.dsack_dups ?? 0 };
  } finally {
    stack.close();
    end();
    b.remove();
  }
}

const median = (values: number[]): number => values.sort((x, y) => x - y)[values.length >> 1] as number;

for (const path of paths.filter(({ name }) => only === undefined || name.includes(only))) {
  for (const congestion of ['cubic', 'bbr']) {
    const runs: { linux: Run[]; ours: Run[] } = { linux: [], ours: [] };
    for (let seed = 1; seed <= seeds; seed++) {
      runs.linux.push(await linux(path, congestion, seed));
      runs.ours.push(await ours(path, congestion, seed));
    }
    const of = (name: 'linux' | 'ours', what: keyof Run): number => median(runs[name].map((run) => run[what]));
    const line = (name: 'linux' | 'ours'): string =>
      `${name} ${(of(name, 'rate') / mbit).toFixed(1)} Mbit/s, ${of(name, 'retransmitted')} sent again`;
    const ratio = of('ours', 'rate') / of('linux', 'rate');
    process.stdout.write(
      `${path.name}, ${congestion}: ${line('linux')}; ${line('ours')}, ${of('ours', 'needless')} needlessly; ratio ${ratio.toFixed(3)}\n`,
    );
  }
}
process.exit(0);
