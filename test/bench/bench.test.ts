import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compare, gen, type Report, replay, rr, search } from '#src/bench/index.js';
import type { Config } from '#src/config/config.js';
import { captureFile } from '../support/capture-file.js';
import { concat, hex, ipv4, udp } from '../support/wire.js';

describe('bench engine', () => {
  const small = { count: 2_048, runs: 3 };

  for (const family of [4, 6] as const) {
    for (const path of ['sink', 'echo', 'forward'] as const) {
      it(`gen ${path} over IPv${family} moves every frame, and drops none`, async () => {
        const report = await gen(path, { ...small, family, flows: 7, sizes: 'imix' });
        assert.deepEqual(report.drops, {});
        assert.equal(report.runs, 3);
        assert((report.figures['packets/s']?.median ?? 0) > 1_000);
        assert((report.figures['CPU ns/packet']?.median ?? 0) > 0);
      });
    }
  }

  it('gen takes a function of one’s own', async () => {
    const frame = concat(hex('ffffffffffff 020000000009 88b5'), new Uint8Array(46));
    const report = await gen('sink', small, (_i, into, _view, at) => {
      into.set(frame, at);
      return frame.length;
    });
    assert.deepEqual(report.drops, { EthernetUnknownType: 2_048 * 3 + 512 });
  });

  it('rr counts latencies from when a request was due', async () => {
    const { latency } = await rr({ ...small, count: 200, rate: 2_000 });
    assert(latency !== undefined && (latency['p50'] as number) > 0 && (latency['p99'] as number) >= (latency['p50'] as number));
  });

  it('replay sends the frames of a capture', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'anystack-bench-'));
    try {
      const file = join(folder, 'x.pcapng');
      const frame = concat(hex('020000000001 020000000009 0800'), ipv4({ dst: '10.0.1.2', payload: udp(1, 9, new Uint8Array(40)) }));
      writeFileSync(file, captureFile([0, 1, 2].map((time) => ({ time, bytes: frame }))));
      const report = await replay(file, { count: 300, runs: 2 });
      assert.deepEqual(report.drops, {});
      assert((report.figures['packets/s']?.median ?? 0) > 0);
      await assert.rejects(replay(join(folder, 'none'), small), /there is no such file/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('search finds a rate without loss', async () => {
    const { zeroLossRate } = await search('forward', { count: 2_048, top: 50_000 });
    assert(zeroLossRate > 100 && zeroLossRate <= 50_000, `${zeroLossRate}`);
  });

  it('compare: within noise while the spreads overlap, else faster or slower', () => {
    const at = (rate: number, cost: number): Report => ({
      ...({ version: 1, bench: 'x', path: '', node: '', cpu: '', kernel: '', seed: 1, options: {}, runs: 3, drops: {} } as const),
      figures: {
        'packets/s': { median: rate, least: rate - 1, greatest: rate + 1 },
        'CPU ns/packet': { median: cost, least: cost - 1, greatest: cost + 1 },
      },
    });
    const verdicts = (a: Report, b: Report): string[] => compare(a, b).map((c) => c.verdict);
    assert.deepEqual(verdicts(at(100, 50), at(101, 49)), ['within noise', 'within noise']);
    assert.deepEqual(verdicts(at(100, 50), at(200, 90)), ['faster', 'slower']);
  });

  it('gen through a configuration: its rules count, its routes decide, and what goes out is what came in', async () => {
    const config: Config = {
      interfaces: {
        lan: { device: { type: 'tap', name: 'unused' }, addresses: ['192.168.7.1/24'] },
        wan: { device: { type: 'tap', name: 'unused2' }, addresses: ['203.0.113.2/30'] },
      },
      routes: [{ to: 'default', via: '203.0.113.1' }],
      sysctl: { 'net.ipv4.ip_forward': 1 },
      filter: { chains: [{ name: 'no', hook: 'forward', rules: [{ protocol: 'udp', dport: 9, verdict: 'drop' }] }] },
    };
    const passed = await gen('forward', { ...small, config: { ...config, filter: {} }, to: '198.51.100.1' });
    assert.deepEqual([passed.drops, passed.path], [{}, 'memory link, Ethernet, IP forwarding, memory link, as configured']);
    assert.ok((passed.figures['packets/s']?.median ?? 0) > 1_000);
    const refused = await gen('forward', { ...small, config, to: '198.51.100.1' });
    assert.equal(refused.figures['packets/s']?.greatest, 0);
    assert.deepEqual(refused.drops, { FilterDrop: 2_048 * 3 + 512 });
    await assert.rejects(gen('forward', { ...small, config, in: 'eth9' }), /'eth9' is no interface with a device; there is lan, wan/);
    await assert.rejects(gen('forward', { ...small, config, to: 'nowhere' }), /'nowhere' is no address/);
  });

  it('options out of range are one sentence', async () => {
    await assert.rejects(gen('sink', { sizes: [9_000] }), /64 to 1518 octets, not 9000/);
    await assert.rejects(gen('sink', { count: 1 }), /packets, not 1/);
  });
});
