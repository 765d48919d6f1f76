import assert from 'node:assert/strict';
import { Prng } from '#src/base/prng.js';
import { millis, minutes, NEVER, seconds } from '#src/base/time.js';
import { Timer, TimerWheel } from '#src/base/timer-wheel.js';
import { TimerList } from '../support/slow/timer-list.js';

const DAY = minutes(24 * 60);

/** A wheel with everything that fired so far. */
function bench(now: number): { wheel: TimerWheel; fired: Timer[]; advance: (now: number) => void } {
  const wheel = new TimerWheel(now);
  const fired: Timer[] = [];
  return { wheel, fired, advance: (to) => wheel.advance(to, { expire: (t) => fired.push(t) }) };
}

describe('TimerWheel', () => {
  it('fires a timer in the advance that reaches its deadline, not before', () => {
    const { wheel, fired, advance } = bench(0);
    const timer = new Timer(1, null);
    wheel.arm(timer, 1_500);
    advance(1_499);
    assert.equal(fired.length, 0);
    assert.equal(timer.armed, true);
    advance(1_500);
    assert.deepEqual(fired, [timer]);
    assert.equal(timer.armed, false);
    assert.equal(wheel.armed, 0);
  });

  it('forgets a timer that is cancelled, and moves one that is armed again', () => {
    const { wheel, fired, advance } = bench(0);
    const gone = new Timer(1, null);
    const moved = new Timer(2, null);
    wheel.arm(gone, millis(5));
    wheel.arm(moved, millis(5));
    wheel.cancel(gone);
    wheel.cancel(gone);
    wheel.arm(moved, seconds(5));
    advance(seconds(4));
    assert.equal(fired.length, 0);
    advance(seconds(5));
    assert.deepEqual(fired, [moved]);
  });

  it('lets what expires arm and cancel others, those due in the same advance too', () => {
    const wheel = new TimerWheel(0);
    const order: number[] = [];
    const timers = [0, 1, 2, 3].map((n) => new Timer(n, null));
    const [first, second, victim, late] = timers as [Timer, Timer, Timer, Timer];
    wheel.arm(first, millis(1));
    wheel.arm(victim, millis(900));
    const sink = {
      expire(timer: Timer): void {
        order.push(timer.kind);
        if (timer !== first) return;
        wheel.cancel(victim);
        wheel.arm(second, 0);
        wheel.arm(late, seconds(2));
      },
    };
    wheel.advance(seconds(1), sink);
    assert.deepEqual(order, [0, 1]);
    wheel.advance(seconds(2), sink);
    assert.deepEqual(order, [0, 1, 3]);
  });

  it('ends the advance although a timer arms itself for the past each time', () => {
    const wheel = new TimerWheel(0);
    const timer = new Timer(0, null);
    let fired = 0;
    wheel.arm(timer, 0);
    wheel.advance(millis(1), {
      expire(t) {
        fired++;
        wheel.arm(t, 0);
      },
    });
    assert.ok(fired <= 2, `${fired}`);
    assert.equal(timer.armed, true);
  });

  it('keeps deadlines beyond its reach: NEVER does not fire, 40 and 400 days fire on time', () => {
    const start = seconds(1_000);
    const { wheel, fired, advance } = bench(start);
    const never = new Timer(0, null);
    const forty = new Timer(1, null);
    const year = new Timer(2, null);
    wheel.arm(never, NEVER);
    wheel.arm(forty, start + 40 * DAY + 12_345_678);
    wheel.arm(year, start + 400 * DAY + 12_345_678);
    for (const [at, expected] of [
      [40 * DAY + 12_345_677, []],
      [40 * DAY + 12_345_678, [forty]],
      [400 * DAY + 12_345_677, [forty]],
      [400 * DAY + 12_345_678, [forty, year]],
      [4_000 * DAY, [forty, year]],
    ] as const) {
      advance(start + at);
      assert.deepEqual(
        fired.map((t) => t.kind),
        expected.map((t) => t.kind),
        `after ${at / DAY} days`,
      );
    }
  });

  it('next() is the earliest deadline even when a timer a whole turn away lies in the current slot', () => {
    const tick = 1_024;
    const { wheel } = bench(63 * tick);
    const far = new Timer(0, null);
    const near = new Timer(1, null);
    wheel.arm(far, (63 + 64 * 63 + 60) * tick);
    wheel.arm(near, (63 + 64 * 5) * tick);
    assert.equal(wheel.next(), near.at);
  });

  const starts = {
    zero: 0,
    '2^31 µs': 2 ** 31 - seconds(3),
    '2^32 µs': 2 ** 32 - seconds(3),
    '2^31 ticks': 2 ** 31 * 1_024 - seconds(3),
    '2^32 ticks': 2 ** 32 * 1_024 - seconds(3),
  };
  for (const [name, start] of Object.entries(starts)) {
    it(`does as its slow twin from near ${name} on: nothing early, nothing late, next() never past the truth`, () => {
      const prng = new Prng(start / 1_000);
      const wheel = new TimerWheel(start);
      const list = new TimerList();
      const timers = Array.from({ length: 60 }, (_, n) => new Timer(n, null));
      const spans = [2_000, millis(70), seconds(5), minutes(6), minutes(400), 20 * DAY, 90 * DAY];
      const random = (): number => prng.float() * (spans[prng.below(spans.length)] as number);
      const deadline = (): number => (prng.below(20) === 0 ? NEVER : now + random());
      let now = start;
      for (let step = 0; step < 6_000; step++) {
        const timer = timers[prng.below(timers.length)] as Timer;
        const action = prng.below(10);
        if (action < 5) {
          const at = deadline() - (action === 0 ? 1_000 : 0);
          wheel.arm(timer, at);
          list.arm(timer, at);
        } else if (action < 6) {
          wheel.cancel(timer);
          list.cancel(timer);
        } else {
          assert.ok(wheel.next() <= list.next(), `step ${step}: the host would wake late`);
          // Either the host sleeps until asked to wake, or something else wakes it before.
          now = action < 8 && list.armed > 0 ? Math.max(now, Math.min(list.next(), now + 30 * DAY)) : now + random() / 10;
          const fired = new Set<Timer>();
          wheel.advance(now, { expire: (t) => fired.add(t) });
          assert.deepEqual(fired, list.advance(now), `step ${step}`);
        }
        assert.equal(wheel.armed, list.armed);
      }
    });
  }

  it('wakes the host a bounded number of times: sleeping until next() gets everywhere', () => {
    const { wheel, fired, advance } = bench(0);
    for (let i = 0; i < 20; i++) wheel.arm(new Timer(i, null), seconds(i * i) + i);
    let now = 0;
    let wakes = 0;
    while (wheel.armed > 0) {
      now = Math.max(now, wheel.next());
      advance(now);
      assert.ok(++wakes <= 20, 'one wake per deadline');
    }
    assert.equal(fired.length, 20);
  });
});
