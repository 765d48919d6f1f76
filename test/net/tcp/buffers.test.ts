import assert from 'node:assert/strict';
import { Address } from '#src/base/address.js';
import type { Packet } from '#src/base/packet.js';
import { Prng } from '#src/base/prng.js';
import { VirtualHost } from '#src/hyper/virtual-host.js';
import { Context } from '#src/net/context.js';
import { Sysctl } from '#src/net/sysctl.js';
import { Demux, Flowing } from '#src/net/tcp/demux.js';
import { Ranges } from '#src/net/tcp/ranges.js';
import { ReceiveBuffer } from '#src/net/tcp/receive-buffer.js';
import { SendBuffer } from '#src/net/tcp/send-buffer.js';
import { pattern } from '../../support/tcp-bench.js';

const context = (): Context => new Context('buffers', new VirtualHost(), new Sysctl('linux', {}));

describe('TCP: buffers, against slow twins', () => {
  it('receive buffer: octets in any order, each read once at its place', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const prng = new Prng(seed);
      const ctx = context();
      const base = -1_000 + prng.below(2_000);
      const buffer = new ReceiveBuffer(base);
      const total = 300_000;
      const have = new Uint8Array(total);
      let read = 0;
      const into = new Uint8Array(70_000);
      while (read < total) {
        const nxt = (buffer.nxt - base) | 0;
        const at = prng.below(3) === 0 ? nxt : Math.min(total - 1, nxt + prng.below(40_000));
        const length = Math.min(total - at, 1 + prng.below(prng.below(2) === 0 ? 100 : 1_400));
        if (at >= nxt && length > 0) {
          const packet = ctx.packet() as Packet;
          packet.bytes.set(pattern(at, length), packet.head);
          packet.tail = packet.head + length;
          if (buffer.insert(ctx, (base + at) | 0, packet, 0, length)) have.fill(1, at, at + length);
          packet.release();
        }
        buffer.check();
        let end = (buffer.head - base) | 0;
        while (end < total && have[end] === 1) end++;
        assert.equal((buffer.nxt - base) | 0, end, `seed ${seed}`);
        if (prng.below(4) === 0) {
          const n = buffer.read(into, 0, prng.below(into.length));
          assert.deepEqual(into.subarray(0, n), pattern(read, n));
          read += n;
        }
      }
      assert.equal(ctx.chunks.held + ctx.slab.held, 0, 'an empty buffer holds nothing');
    }
  });

  it('send buffer: any range is gathered as written, until it is acknowledged; what packets point to stays', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const prng = new Prng(seed);
      const ctx = context();
      const base = -5_000 + prng.below(10_000);
      const buffer = new SendBuffer(base);
      let written = 0;
      let acked = 0;
      const flying: { packet: Packet; at: number; length: number }[] = [];
      for (let i = 0; i < 400; i++) {
        const n = 1 + prng.below(prng.below(3) === 0 ? 90_000 : 3_000);
        written += buffer.write(ctx, pattern(written, n), 0, n);
        const at = acked + prng.below(Math.max(1, written - acked));
        const length = Math.min(65_000, written - at);
        const packet = ctx.packet() as Packet;
        assert.equal(buffer.gather(packet, (base + at) | 0, length), length, 'four pieces reach for 64 KB');
        flying.push({ packet, at, length });
        acked = at;
        buffer.release((base + acked) | 0);
        if (flying.length > 5) check(flying.shift() as (typeof flying)[number]);
      }
      buffer.release((base + written) | 0);
      for (const flight of flying) check(flight);
      assert.equal(ctx.chunks.held + ctx.slab.held, 0);
    }

    function check(f: { packet: Packet; at: number; length: number }): void {
      let at = f.at;
      for (let i = 0; i < f.packet.pieces; i++) {
        const start = f.packet.pieceStart[i] as number;
        const length = f.packet.pieceLength[i] as number;
        assert.deepEqual(f.packet.pieceSlot[i]?.page.bytes.slice(start, start + length), pattern(at, length));
        at += length;
      }
      assert.equal(at, f.at + f.length);
      f.packet.release();
    }
  });

  it('ranges: the same as a set of octets, across the wrap', () => {
    for (let seed = 1; seed <= 50; seed++) {
      const prng = new Prng(seed);
      const base = (0x7fffffff - prng.below(300)) | 0;
      const ranges = new Ranges(1_000);
      const set = new Uint8Array(1_000);
      for (let i = 0; i < 100; i++) {
        const at = prng.below(950);
        const length = 1 + prng.below(40);
        ranges.add((base + at) | 0, (base + at + length) | 0);
        set.fill(1, at, at + length);
        const blocks = new Int32Array(8);
        const n = ranges.blocks(blocks, 0, 4);
        assert.ok(n >= 1);
        assert.ok((blocks[0] as number) - base <= at && (((blocks[1] as number) - base) | 0) >= at + length, 'the first block holds what came last');
      }
      const runs: [number, number][] = [];
      for (let i = 0; i < 1_000; i++) {
        if (set[i] !== 1) continue;
        const from = i;
        while (set[i] === 1) i++;
        runs.push([from, i]);
      }
      assert.deepEqual(
        ranges.starts.map((s, i) => [(s - base) | 0, ((ranges.ends[i] as number) - base) | 0]),
        runs,
      );
      const first = runs[0] as [number, number];
      assert.equal((ranges.absorb((base + first[0]) | 0) - base) | 0, first[1]);
      assert.equal(ranges.count, runs.length - 1);
    }
  });

  it('demux: the same as a map of strings, while flows come and go', () => {
    class Probe extends Flowing {}
    const prng = new Prng(3);
    const demux = new Demux(Int32Array.from([1, 2, 3, 4]));
    const map = new Map<string, Probe>();
    const make = (): Probe => {
      const v6 = prng.below(2) === 0;
      const word = prng.below(50);
      const f = new Probe(new Address(0, 0, v6 ? 0 : 0xffff, 1), v6 ? new Address(0xfe800000, 0, 0, word) : new Address(0, 0, 0xffff, word));
      f.localPort = 80;
      f.remotePort = prng.below(200);
      f.vrf = prng.below(2);
      f.zone = v6 ? prng.below(2) : 0;
      return f;
    };
    const key = (f: Probe): string => `${f.remote}|${f.remotePort}|${f.vrf}|${f.zone}`;
    for (let i = 0; i < 50_000; i++) {
      const f = make();
      const found = demux.find(f.local, f.remote, f.localPort, f.remotePort, f.vrf, f.zone);
      assert.equal(found, map.get(key(f)) ?? null);
      if (found === null) {
        demux.add(f);
        map.set(key(f), f);
      } else if (prng.below(2) === 0 || map.size > 5_000) {
        demux.remove(found);
        map.delete(key(f));
      }
      assert.equal(demux.count, map.size);
    }
    for (const f of map.values()) demux.remove(f);
    assert.equal(demux.count, 0);
    assert.deepEqual(demux.all(), []);
  });
});
