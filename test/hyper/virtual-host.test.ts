import assert from 'node:assert/strict';
import { AssertionError } from '#src/base/assert.js';
import { ConfigError } from '#src/base/errors.js';
import { Prng } from '#src/base/prng.js';
import { NEVER } from '#src/base/time.js';
import { memoryLink } from '#src/hyper/memory-link.js';
import { VirtualClock, VirtualHost } from '#src/hyper/virtual-host.js';

describe('virtual clock', () => {
  it('runs by time, and by order of asking at one instant', () => {
    const clock = new VirtualClock(100);
    const seen: string[] = [];
    for (const [name, at] of [
      ['c', 300],
      ['a', 150],
      ['d', 300],
      ['b', 150],
      ['late', 301],
      ['past', 1],
    ] as const) {
      clock.alarm(() => seen.push(`${name}@${clock.now}`)).set(at);
    }
    clock.run(300);
    assert.deepEqual(seen, ['past@100', 'a@150', 'b@150', 'c@300', 'd@300']);
    assert.equal(clock.now, 300);
    assert.equal(clock.next(), 301);
    assert.ok(clock.step());
    assert.ok(!clock.step());
    clock.advance(99);
    assert.equal(clock.now, 400);
  });

  it('moves and cancels like a sorted list, on random input', () => {
    const prng = new Prng(7);
    const clock = new VirtualClock(0);
    const fired: number[] = [];
    const expected = new Map<number, { at: number; order: number }>();
    const alarms = Array.from({ length: 50 }, (_, i) => clock.alarm(() => fired.push(i)));
    for (let order = 0; order < 2000; order++) {
      const i = prng.below(50);
      if (prng.below(4) === 0) {
        alarms[i]?.cancel();
        expected.delete(i);
      } else {
        const at = prng.below(40);
        alarms[i]?.set(at);
        expected.set(i, { at, order });
      }
    }
    assert.equal(clock.pending, expected.size);
    clock.run(NEVER);
    const sorted = [...expected].sort(([, x], [, y]) => x.at - y.at || x.order - y.order).map(([i]) => i);
    assert.deepEqual(fired, sorted);
  });

  it('names a livelock instead of hanging', () => {
    const clock = new VirtualClock();
    const again = clock.alarm(() => again.set(0));
    again.set(0);
    assert.throws(() => clock.run(NEVER), AssertionError);
  });

  it('runAsync moves time only when promises have settled', async () => {
    const clock = new VirtualClock(0);
    const seen: string[] = [];
    const sleep = (span: number): Promise<void> => new Promise((resolve) => clock.alarm(resolve).set(clock.now + span));
    const program = (async () => {
      for (let i = 0; i < 3; i++) {
        await sleep(10);
        for (let k = 0; k < 20; k++) await null;
        seen.push(`a@${clock.now}`);
      }
    })();
    clock.alarm(() => seen.push(`b@${clock.now}`)).set(11);
    await clock.runAsync(100);
    await program;
    assert.deepEqual(seen, ['a@10', 'b@11', 'a@20', 'a@30']);
    assert.equal(clock.now, 100);
  });
});

describe('virtual host', () => {
  it('polls once for many soon, at wakeAt as it was asked last, and never for NEVER', () => {
    const host = new VirtualHost({ clock: new VirtualClock(0) });
    const at: number[] = [];
    host.attach(() => at.push(host.monotonic()));
    host.soon();
    host.soon();
    host.wakeAt(50);
    host.wakeAt(70);
    host.clock.run(60);
    assert.deepEqual(at, [0]);
    host.clock.run(70);
    assert.deepEqual(at, [0, 70]);
    host.wakeAt(80);
    host.wakeAt(NEVER);
    host.clock.run(100);
    assert.deepEqual(at, [0, 70]);
  });

  it('gives the same random octets for the same seed, others for another', () => {
    const draw = (seed: number): string => {
      const into = new Uint8Array(32);
      new VirtualHost({ seed }).random(into);
      return Buffer.from(into).toString('hex');
    };
    assert.equal(draw(5), draw(5));
    assert.notEqual(draw(5), draw(6));
  });

  it('suspend moves boot time and wall clock, a jump only the wall clock', () => {
    const host = new VirtualHost({ clock: new VirtualClock(10), epoch: 1000 });
    host.suspend(5);
    host.jumpWallClock(100);
    assert.deepEqual([host.monotonic(), host.bootTime(), host.wallClock()], [10, 15, 1115]);
  });

  it('starts near 2^31 µs, opens memory devices, and keeps a store of copies', () => {
    const host = new VirtualHost();
    assert.ok(Math.abs(host.monotonic() - 2 ** 31) < 10_000_000);
    const [a] = memoryLink();
    assert.equal(host.open({ type: 'memory', device: a }), a);
    assert.throws(() => host.open({ type: 'tap' }), ConfigError);
    const value = new Uint8Array([1, 2]);
    host.store.set('duid', value);
    value[0] = 9;
    assert.deepEqual(host.store.get('duid'), new Uint8Array([1, 2]));
    host.store.delete('duid');
    assert.equal(host.store.get('duid'), null);
  });

  it('two hosts over a link run the same twice', () => {
    const run = (): string[] => {
      const clock = new VirtualClock();
      const log: string[] = [];
      const [a, b] = memoryLink();
      for (const [name, device] of [
        ['a', a],
        ['b', b],
      ] as const) {
        const host = new VirtualHost({ clock });
        device.start({ readable: () => host.soon(), writable() {}, carrier() {}, mtu() {}, failed() {} });
        host.attach(() => {
          log.push(`${name} ${clock.now}`);
          if (log.length < 20) host.wakeAt(clock.now + (name === 'a' ? 3 : 5));
        });
        host.soon();
      }
      clock.run(NEVER);
      return log;
    };
    assert.deepEqual(run(), run());
    assert.equal(run().length, 21);
  });
});
