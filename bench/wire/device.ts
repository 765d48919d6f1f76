/**
 * What a TAP costs without a stack: packets in, packets out, echo and round trip against the Linux kernel in a namespace
 * of its own. `npm run bench -- wire/device [seconds]`; needs root, ip and a C compiler. Per line the rate and the CPU
 * of this process per packet.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseAddress } from '#src/base/address.js';
import { finish, sum } from '#src/base/checksum.js';
import { type Packet, SMALL_SLOT } from '#src/base/packet.js';
import { Slab } from '#src/base/slab.js';
import { createNodeHost } from '#src/hyper/node-host.js';
import { makeNetns } from '../../test/support/netns.js';
import { Responder } from './responder.js';

const seconds = process.argv[3] ?? '2';
const folder = mkdtempSync(join(tmpdir(), 'anystack-bench-'));
const load = join(folder, 'load');
const here = dirname(fileURLToPath(import.meta.url));
execFileSync('cc', ['-O2', '-o', load, join(here, '../../../bench/wire/load.c')]);
const ns = makeNetns('bench');

interface Setup {
  readonly host: ReturnType<typeof createNodeHost>;
  readonly responder: Responder;
}

async function withTap(spec: Record<string, unknown>, native: boolean, run: (setup: Setup) => Promise<void>): Promise<void> {
  const host = createNodeHost({ native, log: () => {} });
  const device = host.open({ type: 'tap', name: 'bench0', hostAddress: '10.9.0.1/24', netns: ns.path, ...spec });
  const responder = new Responder(host, device, '10.9.0.2');
  await ns.exec('ping', '-c', '1', '-W', '2', '10.9.0.2');
  await run({ host, responder });
  device.close();
  await new Promise((resolve) => setTimeout(resolve, 100));
}

async function measured(title: string, packets: () => number, work: () => Promise<string>): Promise<void> {
  const cpu = process.cpuUsage();
  const before = packets();
  const result = (await work()).trim();
  const { user, system } = process.cpuUsage(cpu);
  const n = packets() - before;
  process.stdout.write(
    `${title.padEnd(44)} ${result.padStart(16)}  ${Math.round(n / Number(seconds))
      .toString()
      .padStart(9)}/s here ${Math.round(((user + system) * 1_000) / n)
      .toString()
      .padStart(6)} ns CPU each\n`,
  );
}

/** Frames of UDP towards the sink for as long as it lasts. */
async function out({ host, responder }: Setup, octets: number): Promise<void> {
  const { device, pool } = responder;
  const slab = new Slab(SMALL_SLOT, 32, 256);
  const batch: Packet[] = [];
  const source = parseAddress('10.9.0.2')?.w3 as number;
  const mac = /link\/ether (\S+)/
    .exec(ns.run('ip', 'link', 'show', 'bench0'))?.[1]
    ?.split(':')
    .map((x) => Number.parseInt(x, 16)) as number[];
  const template = new Uint8Array(42 + octets);
  const view = new DataView(template.buffer);
  template.set([...mac, ...device.mac, 8, 0, 0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17]);
  view.setUint16(16, 28 + octets);
  view.setInt32(26, source);
  template.set([10, 9, 0, 1], 30);
  view.setUint16(24, finish(sum(view, 14, 20)));
  view.setUint16(34, 9);
  view.setUint16(36, 9);
  view.setUint16(38, 8 + octets);
  let running = true;
  let sent = 0;
  const burst = (): void => {
    for (let k = 0; k < 4; k++) {
      for (let i = 0; i < 64; i++) {
        const packet = pool.from(slab) as Packet;
        packet.head -= 14;
        packet.bytes.set(template, packet.head);
        packet.tail = packet.head + template.length;
        batch[i] = packet;
      }
      const taken = device.transmit(batch, 64);
      for (let i = taken; i < 64; i++) batch[i]?.release();
      sent += taken;
    }
    if (running) setImmediate(burst);
  };
  await measured(
    `UDP out, ${octets} octets`,
    () => sent,
    async () => {
      const result = ns.exec(load, 'sink', '10.9.0.1', '9', seconds);
      setTimeout(burst, 100);
      const rate = await result;
      running = false;
      return rate;
    },
  );
  host.monotonic();
}

try {
  for (const [title, native, spec] of [
    ['addon', true, {}],
    ['addon, busy poll 50 µs', true, { busyPollMicros: 50 }],
    ['addon, no offloads', true, { offload: false }],
    ['koffi', false, {}],
  ] as const) {
    process.stdout.write(`-- ${title}\n`);
    await withTap(spec, native, async (setup) => {
      const { responder } = setup;
      responder.sink = true;
      for (const octets of ['18', '1472']) {
        await measured(
          `UDP in, ${octets} octets (offered/s)`,
          () => responder.frames,
          () => ns.exec(load, 'flood', '10.9.0.2', '7', octets, seconds),
        );
      }
      await out(setup, 18);
      await out(setup, 1_472);
      responder.sink = false;
      await measured(
        'UDP echo 64, 64 under way (answers/s, µs)',
        () => responder.frames,
        () => ns.exec(load, 'echo', '10.9.0.2', '7', '64', seconds, '64'),
      );
      await measured(
        'UDP echo 64, 1 under way (answers/s, µs)',
        () => responder.frames,
        () => ns.exec(load, 'echo', '10.9.0.2', '7', '64', seconds, '1'),
      );
    });
  }
} finally {
  ns.remove();
  rmSync(folder, { recursive: true });
}
