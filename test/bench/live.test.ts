import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { genLive, type LiveOptions, type Report, reflect, replayLive, rrLive, searchLive } from '#src/bench/index.js';
import type { Config } from '#src/config/config.js';
import { memoryLink } from '#src/index.js';
import { captureFile } from '../support/capture-file.js';
import { Bench } from '../support/command.js';
import { makeNetns } from '../support/netns.js';
import { needs } from '../support/requirements.js';
import { concat, hex, ipv4, udp } from '../support/wire.js';

describe('bench engine on devices', () => {
  const few = { count: 200, runs: 2, seconds: 10 };
  const folder = mkdtempSync(join(tmpdir(), 'anystack-live-'));
  after(() => rmSync(folder, { recursive: true }));

  /** Runs `body` with a configuration whose other end reflects; what it answered, and what was reflected. */
  async function beside<T>(body: (config: Config) => Promise<T>): Promise<[T, Report]> {
    const [a, b] = memoryLink();
    const sysctl = { 'net.ipv6.conf.all.dad_transmits': 0 };
    const near: Config = { name: 'near', interfaces: { eth0: { device: a, addresses: ['10.0.0.1/24', 'fd00::1/64'] } }, sysctl };
    const far: Config = { name: 'far', interfaces: { eth0: { device: b, addresses: ['10.0.0.2/24', 'fd00::2/64'] } }, sysctl };
    const over = new AbortController();
    const reflected = reflect({ config: far, seconds: 15, signal: over.signal });
    try {
      return [await body(near), await (over.abort(), reflected)];
    } finally {
      over.abort();
      await reflected;
    }
  }

  for (const [family, to] of [
    [4, '10.0.0.2'],
    [6, 'fd00::2'],
  ] as const) {
    it(`rr asks the reflector over IPv${family}; every answer is counted, with when its request was due`, async () => {
      const [asked, reflected] = await beside((config) => rrLive({ ...few, count: 20, config, to }));
      assert.equal(asked.lost, 0);
      assert.ok((asked.latency?.['p50'] ?? 0) > 0);
      assert.equal(asked.path, 'UDP socket, packet socket, interface queue, eth0, and back');
      assert.ok((reflected.figures['packets/s']?.median ?? 0) > 0);
    });
  }

  it('gen sends what was asked at the rate asked; with an address that nobody has it says so', async () => {
    const [sent, reflected] = await beside((config) => genLive({ ...few, rate: 4_000, sizes: [64, 1_518], config, to: '10.0.0.2' }));
    // 200 at 4,000 a second take 50 ms at least, on whatever machine.
    assert.ok((sent.figures['packets/s']?.greatest ?? 9e9) <= 4_020, `${sent.figures['packets/s']?.greatest}`);
    assert.deepEqual(sent.drops['InterfaceQueueFull'], undefined);
    assert.ok((reflected.figures['MB/s']?.median ?? 0) > 0);
    const nobody = beside((config) => genLive({ ...few, config, to: '10.0.0.9' }));
    await assert.rejects(nobody, /no station answers for 10\.0\.0\.9 on eth0/);
  });

  it('replay keeps the times of the recording, or goes as fast as it may', async () => {
    const file = join(folder, 'three.pcapng');
    const frame = concat(hex('020000000001 020000000009 0800'), ipv4({ src: '10.0.0.1', dst: '10.0.0.2', payload: udp(1, 9, new Uint8Array(40)) }));
    writeFileSync(file, captureFile([0, 20_000, 60_000].map((time) => ({ time, bytes: frame }))));
    const seconds = (report: Report): number => (report.figures['packets/s'] as { greatest: number }).greatest ** -1 * 3;
    const options = (config: Config): LiveOptions => ({ config, to: '10.0.0.2', runs: 1, seconds: 10 });
    const [recorded] = await beside((config) => replayLive(file, options(config)));
    assert.ok(seconds(recorded) >= 0.06, `${seconds(recorded)} s`);
    const [doubled, reflected] = await beside((config) => replayLive(file, { ...options(config), speed: 2 }));
    assert.ok(seconds(doubled) >= 0.03, `${seconds(doubled)} s`);
    assert.ok((reflected.figures['packets/s']?.median ?? 0) >= 5, 'two runs of three frames, within a second');
    await assert.rejects(replayLive(file, { ...options({}), speed: -1 }), /a speed of 0 or more, not -1/);
  });

  it('search ends at a rate whose requests are all answered', async () => {
    const [found] = await beside((config) => searchLive({ runs: 1, seconds: 0.02, top: 500, config, to: '10.0.0.2' }));
    assert.ok(found.zeroLossRate >= 0 && found.zeroLossRate <= 500, `${found.zeroLossRate}`);
    await assert.rejects(
      beside((config) => rrLive({ ...few, count: 1, port: 10, config, to: '10.0.0.2' })),
      /nobody answers on UDP port 10 of 10\.0\.0\.2/,
    );
  });

  it('on a TAP: the kernel is who the frames are for, and answers where its echo runs', async function () {
    this.timeout(60_000);
    needs(this, 'tap', 'netns', 'tools:python3');
    const ns = makeNetns('bench');
    const bench = new Bench();
    try {
      const tap = ['--tap', 'tapbench', '--netns', ns.path, '--json'];
      const { out, err, code } = await bench.run(['bench', 'gen', ...tap, '--count', '500', '--runs', '1', '--seconds', '5']);
      assert.equal(code, 0, err);
      const report = JSON.parse(out) as Report;
      assert.match(report.path, /^template, packet socket, interface queue, tap eth0$/);
      assert.ok((report.figures['packets/s']?.median ?? 0) > 0);
      ns.start(
        'python3',
        '-c',
        'import socket\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\ns.bind(("",7))\nwhile True:\n d,a=s.recvfrom(2048)\n s.sendto(d,a)',
      );
      const answered = await bench.run(['bench', 'rr', ...tap, '--port', '7', '--count', '20', '--runs', '3', '--seconds', '5']);
      assert.equal(answered.code, 0, answered.err);
      assert.ok(((JSON.parse(answered.out) as Report).latency?.['p50'] ?? 0) > 0);
    } finally {
      await bench.close();
      ns.remove();
    }
  });
});
