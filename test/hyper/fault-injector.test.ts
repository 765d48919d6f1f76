import assert from 'node:assert/strict';
import { ConfigError } from '#src/base/errors.js';
import { Checksum, Gso } from '#src/base/packet.js';
import { FaultInjector, type FaultOptions, type Faults } from '#src/hyper/fault-injector.js';
import { type MemoryDevice, memoryLink } from '#src/hyper/memory-link.js';
import { VirtualClock } from '#src/hyper/virtual-host.js';
import { bigTcp } from '../support/big-frames.js';
import { FrameBench, Recorder } from '../support/devices.js';

describe('fault injector', () => {
  let bench: FrameBench;
  beforeEach(() => {
    bench = new FrameBench();
  });
  afterEach(() => assert.equal(bench.held, 0));

  interface Line {
    clock: VirtualClock;
    /** The injector, and the plain end. */
    near: FaultInjector;
    far: MemoryDevice;
    ofNear: Recorder;
    ofFar: Recorder;
  }
  const line = (options: FaultOptions): Line => {
    const clock = new VirtualClock(0);
    const [inner, far] = memoryLink({ queueFrames: 20_000, smallSlots: 30_000 });
    const near = new FaultInjector(inner, clock, options);
    const [ofNear, ofFar] = [new Recorder(), new Recorder()];
    near.start(ofNear);
    far.start(ofFar);
    return { clock, near, far, ofNear, ofFar };
  };
  const numbered = (n: number, length = 60): Buffer => {
    const frame = Buffer.alloc(length, 1);
    frame.writeUInt32BE(n, 20);
    return frame;
  };
  const numberOf = (frame: Buffer): number => frame.readUInt32BE(20);
  /** Sends `count` frames 100 µs apart and gives [number, arrival] of what comes out. */
  const run = (tx: Faults, count: number, seed = 1, length = 60): [number, number][] => {
    const { clock, near, far } = line({ seed, tx });
    const arrivals: [number, number][] = [];
    for (let i = 0; i < count || clock.pending > 0; i++) {
      if (i < count) bench.send(near, numbered(i, length));
      for (const frame of bench.receive(far)) arrivals.push([numberOf(frame), clock.now]);
      clock.advance(100);
      for (const frame of bench.receive(far)) arrivals.push([numberOf(frame), clock.now]);
    }
    near.close();
    far.close();
    return arrivals;
  };

  it('without faults passes everything at once, both ways', () => {
    const { near, far, ofNear, ofFar } = line({});
    bench.send(near, numbered(1), numbered(2));
    assert.deepEqual(bench.receive(far).map(numberOf), [1, 2]);
    assert.deepEqual(
      ofFar.seen.filter((e) => e === 'readable'),
      ['readable'],
    );
    bench.send(far, numbered(3));
    assert.ok(ofNear.seen.includes('readable'));
    assert.deepEqual(bench.receive(near).map(numberOf), [3]);
    near.close();
  });

  it('takes from a device that announces again while it is being read', () => {
    const { near, far } = line({});
    const frames = Array.from({ length: 300 }, (_, i) => numbered(i));
    for (let i = 0; i < 300; i += 50) bench.send(far, ...frames.slice(i, i + 50));
    assert.deepEqual(bench.receive(near).map(numberOf), frames.map(numberOf));
    near.close();
  });

  it('one seed gives the same faults, another gives others', () => {
    const all: Faults = { loss: 0.1, burst: { enter: 0.02, leave: 0.3 }, delay: 500, jitter: 700, reorder: 0.05, duplicate: 0.05, corrupt: 0.1 };
    assert.deepEqual(run(all, 500, 7), run(all, 500, 7));
    assert.notDeepEqual(run(all, 500, 7), run(all, 500, 8));
  });

  it('loses about what it is told, in bursts when told so', () => {
    const survivors = run({ loss: 0.2 }, 2_000).length;
    assert.ok(survivors > 1_500 && survivors < 1_700, `${survivors}`);
    const burst = run({ burst: { enter: 0.01, leave: 0.25 } }, 5_000).map(([n]) => n);
    const gaps = burst
      .slice(1)
      .map((n, i) => n - (burst[i] as number) - 1)
      .filter((gap) => gap > 0);
    const mean = gaps.reduce((a, b) => a + b, 0) / gaps.length;
    assert.ok(mean > 3 && mean < 5.5, `mean burst ${mean}`);
  });

  it('delays exactly, and jitters without reordering', () => {
    for (const [, at] of run({ delay: 10_000 }, 3).slice(0, 1)) assert.equal(at, 10_000);
    const arrivals = run({ delay: 1_000, jitter: 5_000 }, 500);
    assert.deepEqual(
      arrivals.map(([n]) => n),
      Array.from({ length: 500 }, (_, i) => i),
    );
  });

  it('reorders when told to', () => {
    const order = run({ reorder: 0.1, reorderBy: 350 }, 200).map(([n]) => n);
    assert.equal(order.length, 200);
    assert.notDeepEqual(
      order,
      [...order].sort((a, b) => a - b),
    );
  });

  it('duplicates, and flips exactly one bit', () => {
    const twice = run({ duplicate: 1 }, 10).map(([n]) => n);
    assert.deepEqual(twice, [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9]);
    const { near, far } = line({ tx: { corrupt: 1 } });
    bench.send(near, numbered(0));
    const [got] = bench.receive(far);
    let bits = 0;
    numbered(0).forEach((octet, i) => {
      for (let x = octet ^ (got?.[i] as number); x !== 0; x &= x - 1) bits++;
    });
    assert.equal(bits, 1);
    assert.equal(near.statistics()['txCorrupted'], 1);
    near.close();
  });

  it('limits the rate, with a bounded queue', () => {
    const { clock, near, far } = line({ tx: { rate: 8_000_000, queueFrames: 5 } });
    bench.send(near, ...Array.from({ length: 10 }, (_, i) => numbered(i, 1000)));
    assert.deepEqual(bench.receive(far), []);
    for (let i = 0; i < 6; i++) {
      clock.advance(999);
      assert.equal(bench.receive(far).length, 0);
      clock.advance(1);
      assert.deepEqual(bench.receive(far).map(numberOf), [i]);
    }
    assert.equal(near.statistics()['txQueueFull'], 4);
    near.close();
  });

  it('swallows what a path MTU black hole swallows', () => {
    const { near, far } = line({ tx: { mtu: 1_400 } });
    bench.send(near, numbered(1, 1_414), numbered(2, 1_415));
    assert.deepEqual(bench.receive(far).map(numberOf), [1]);
    assert.equal(near.statistics()['txOversize'], 1);
    near.close();
  });

  it('partitions and heals, per direction', () => {
    const { near, far } = line({});
    near.set('rx', { partitioned: true });
    bench.send(near, numbered(1));
    bench.send(far, numbered(2));
    assert.equal(bench.receive(far).length, 1);
    assert.equal(bench.receive(near).length, 0);
    near.set('both', { partitioned: false });
    bench.send(far, numbered(3));
    assert.deepEqual(bench.receive(near).map(numberOf), [3]);
    assert.throws(() => near.set('tx', { loss: 2 }), ConfigError);
    near.close();
  });

  it('splits big frames first, in both directions, and finishes their checksums', () => {
    const { near, far } = line({});
    const big = bigTcp(bench, 10_000, 1_000);
    near.transmit([big], 1);
    const frames = bench.receive(far);
    assert.equal(frames.length, 10);
    frames.forEach((frame, i) => {
      assert.equal(frame.length, 54 + 1_000);
      assert.equal(frame.readUInt32BE(14 + 20 + 4), 1 + 1_000 * i);
    });
    // From the wire: nobody has looked at its headers yet.
    const raw = bigTcp(bench, 3_000, 1_000);
    raw.network = raw.transport = -1;
    assert.deepEqual([raw.checksum, raw.gsoType], [Checksum.Partial, Gso.Tcp4]);
    far.transmit([raw], 1);
    assert.equal(bench.receive(near).length, 3);
    near.close();
  });

  it('close gives back what was under way', () => {
    const { near, far } = line({ tx: { delay: 1_000 }, rx: { delay: 1_000 } });
    bench.send(near, numbered(1));
    bench.send(far, numbered(2));
    near.close();
  });
});
