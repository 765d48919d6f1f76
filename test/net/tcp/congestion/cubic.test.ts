import assert from 'node:assert/strict';
import { millis, seconds } from '#src/base/time.js';
import type { Delivery } from '#src/net/tcp/congestion/controller.js';
import { Cubic } from '#src/net/tcp/congestion/cubic.js';
import type { TcpBench } from '../../../support/tcp-bench.js';
import { established } from '../../../support/tcp-states.js';

const MSS = 1_000;

/** The engine alone, in congestion avoidance: each `round` acknowledges a window. */
class Engine {
  readonly bench: TcpBench;
  readonly cubic: Cubic;
  private readonly rtt: number;
  now = seconds(10);

  constructor(window: number, rtt = millis(100)) {
    this.rtt = rtt;
    this.bench = established({ rtt });
    const { snd } = this.bench.tcb;
    snd.mss = MSS;
    snd.cwnd = window * MSS;
    snd.ssthresh = MSS;
    this.cubic = new Cubic(this.bench.tcb, 0);
  }

  /** In segments. */
  get window(): number {
    return this.bench.tcb.snd.cwnd / MSS;
  }

  reduce(): number {
    const { snd } = this.bench.tcb;
    snd.ssthresh = this.cubic.loss(this.bench.tcb, this.now);
    snd.cwnd = snd.ssthresh;
    return this.window;
  }

  round(): void {
    const window = this.window;
    for (let i = 0; i < window; i++) {
      this.now += this.rtt / window;
      const delivery: Delivery = {
        delivered: MSS,
        acked: MSS,
        rtt: this.rtt,
        lost: 0,
        rate: -1,
        appLimited: false,
        priorDelivered: 0,
        priorLost: 0,
        txInFlight: 0,
      };
      this.cubic.acked(this.bench.tcb, delivery, this.now);
    }
  }
}

describe('TCP: CUBIC (RFC 9438)', () => {
  it('§4.2: after a reduction the window comes back to where it was along the cubic function', () => {
    const e = new Engine(400);
    assert.equal(e.reduce(), 280);
    // K = cbrt(120 / 0.4) = 6.69 s.
    const k = Math.cbrt(120 / 0.4);
    const began = e.now;
    while (e.now - began < seconds(10)) {
      e.round();
      const t = (e.now - began) / 1e6;
      const expected = 0.4 * (t - k) ** 3 + 400;
      assert.ok(Math.abs(e.window - expected) < 6, `${e.window} after ${t} s, ${expected} expected`);
    }
    assert.ok(e.window > 410);
    e.bench.end();
  });

  it('§4.3: on a short path the window is at least what Reno would have', () => {
    const e = new Engine(20, millis(2));
    e.reduce();
    const from = e.window;
    for (let i = 0; i < 10; i++) e.round();
    // 3·(1 − 0.7)/(1 + 0.7) of a segment each round trip; the cubic function has not moved in 20 ms.
    assert.ok(e.window - from > 4.5 && e.window - from < 6.5, `${e.window - from}`);
    e.bench.end();
  });

  it('§4.6: a reduction leaves seven tenths, §4.7: a flow that did not come back gives room', () => {
    const e = new Engine(100);
    assert.equal(e.reduce(), 70);
    for (let i = 0; i < 5; i++) e.round();
    const lower = e.window;
    assert.ok(lower < 100);
    e.reduce();
    // W_max is now 0.85 of the window at the second loss: the plateau lies there.
    for (let i = 0; i < 200 && e.window < 0.85 * lower; i++) e.round();
    const at = e.window;
    for (let i = 0; i < 5; i++) e.round();
    assert.ok(e.window - at < 0.05 * at, `a plateau at ${at}: ${e.window}`);
    e.bench.end();
  });

  it('§5.8: idle time is no growth', () => {
    const busy = new Engine(400);
    const idle = new Engine(400);
    for (const e of [busy, idle]) {
      e.reduce();
      for (let i = 0; i < 10; i++) e.round();
    }
    idle.now += seconds(30);
    busy.round();
    idle.round();
    assert.ok(Math.abs(idle.window - busy.window) < 3, `${idle.window}, ${busy.window} without the pause`);
    busy.bench.end();
    idle.bench.end();
  });
});
