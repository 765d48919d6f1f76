import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compare, gen, type Report, replay, rr, search } from '#src/bench/index.js';
import * as pcapng from '#src/wire/pcapng.js';
import { concat, hex, ipv4, udp } from '../support/wire.js';

describe('bench engine', () => {
  const small = { count: 2_048, runs: 3 };

  for (const family of [4, 6] as const) {
    for (const path of ['sink', 'echo', 'forward'] as const) {
      it(`gen ${path} over IPv${family} moves every frame, and drops none`, () => {
        const report = gen(path, { ...small, family, flows: 7, sizes: 'imix' });
        assert.deepEqual(report.drops, {});
        assert.equal(report.runs, 3);
        assert((report.figures['packets/s']?.median ?? 0) > 1_000);
        assert((report.figures['CPU ns/packet']?.median ?? 0) > 0);
      });
    }
  }

  it('gen takes a function of one’s own', () => {
    const frame = concat(hex('ffffffffffff 020000000009 88b5'), new Uint8Array(46));
    const report = gen('sink', small, (_i, into, _view, at) => {
      into.set(frame, at);
      return frame.length;
    });
    assert.deepEqual(report.drops, { EthernetUnknownType: 2_048 * 3 + 512 });
  });

  it('rr counts latencies from when a request was due', () => {
    const { latency } = rr({ ...small, count: 200, rate: 2_000 });
    assert(latency !== undefined && (latency['p50'] as number) > 0 && (latency['p99'] as number) >= (latency['p50'] as number));
  });

  it('replay sends the frames of a capture', () => {
    const folder = mkdtempSync(join(tmpdir(), 'anystack-bench-'));
    try {
      const file = join(folder, 'x.pcapng');
      const octets = new Uint8Array(4_096);
      const view = new DataView(octets.buffer);
      const frame = concat(hex('020000000001 020000000009 0800'), ipv4({ dst: '10.0.1.2', payload: udp(1, 9, new Uint8Array(40)) }));
      let at = pcapng.putSection(view, 0, pcapng.text('test'));
      at = pcapng.putInterface(view, at, pcapng.LinkType.Ethernet, 0, pcapng.text('eth0'));
      for (let i = 0; i < 3; i++) {
        const data = pcapng.putPacket(view, at, 0, i, frame.length, frame.length);
        octets.set(frame, data);
        at = pcapng.putPacketEnd(view, at, pcapng.Direction.Inbound);
      }
      writeFileSync(file, octets.subarray(0, at));
      const report = replay(file, { count: 300, runs: 2 });
      assert.deepEqual(report.drops, {});
      assert((report.figures['packets/s']?.median ?? 0) > 0);
      assert.throws(() => replay(join(folder, 'none'), small), /there is no such file/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('search finds a rate without loss', () => {
    const { zeroLossRate } = search('forward', { count: 2_048, top: 50_000 });
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

  it('options out of range are one sentence', () => {
    assert.throws(() => gen('sink', { sizes: [9_000] }), /64 to 1518 octets, not 9000/);
    assert.throws(() => gen('sink', { count: 1 }), /packets, not 1/);
  });
});
