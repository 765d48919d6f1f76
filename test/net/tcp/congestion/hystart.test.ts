import assert from 'node:assert/strict';
import { millis } from '#src/base/time.js';
import { established } from '../../../support/tcp-states.js';

/** Slow start on a path whose round trip jumps from 100 to `later` ms: cwnd in segments after each ACK of the second round. */
function grow(mode: number, later: number): { windows: number[]; ssthresh: number } {
  const t = established({ rtt: millis(100), sysctl: { 'anystack.tcp_hystart': mode }, wscale: 7, snd: { wnd: 60_000 } });
  const { snd } = t.tcb;
  t.write(60_000);
  t.after(millis(100));
  t.rx({ ack: 10_001 });
  t.after(millis(later));
  const windows: number[] = [];
  for (let i = 1; i <= 10; i++) {
    t.rx({ ack: 10_001 + 2_000 * i });
    windows.push(snd.cwnd / snd.mss);
  }
  const { ssthresh } = snd;
  t.sent.length = 0;
  t.end();
  return { windows, ssthresh };
}

describe('TCP: leaving slow start by delay', () => {
  const steady = [22, 24, 26, 28, 30, 32, 34, 36, 38, 40];

  it('no growth of the round trip, no end of slow start', () => {
    for (const mode of [0, 1, 2]) assert.deepEqual(grow(mode, 102).windows, steady);
  });

  it('anystack.tcp_hystart 0: growth of the round trip means nothing', () => {
    assert.deepEqual(grow(0, 140).windows, steady);
  });

  it('RFC 9406 §4.2: with eight samples of a longer round trip a quarter of what is acknowledged opens the window', () => {
    const { windows, ssthresh } = grow(1, 140);
    assert.deepEqual(windows, [22, 24, 26, 28, 30, 32, 34, 34.5, 35, 35.5]);
    assert.equal(ssthresh, 0x7fffffff);
  });

  it('anystack.tcp_hystart 2: slow start is over at once', () => {
    const { windows, ssthresh } = grow(2, 140);
    assert.deepEqual(windows.slice(0, 8), steady.slice(0, 8));
    assert.ok((windows[9] as number) < 37);
    assert.equal(ssthresh / 1_000, 36);
  });
});
