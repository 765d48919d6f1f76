/** RFC 2525 lists what implementations have done wrong, each with a name and a section: none of it here. */
import assert from 'node:assert/strict';
import { CaState } from '#src/net/tcp/info.js';
import { TcpBench } from '../../support/tcp-bench.js';
import { both, type EstablishedOptions, established, ms } from '../../support/tcp-states.js';

/** Round trip of 100 ms, windows that hold 60 segments of 1,000 octets. */
const path = (family: 4 | 6, more: EstablishedOptions = {}): TcpBench => established({ family, rtt: ms(100), snd: { wnd: 60_000 }, ...more });

/** Octets sent since the last look, and forgets them. */
function sent(t: TcpBench): number {
  const octets = t.sent.reduce((sum, s) => sum + s.data.length, 0);
  t.sent.length = 0;
  return octets;
}

/** `segments` in flight and lost; the first has timed out. */
function timedOut(t: TcpBench, segments: number): void {
  t.write(segments * 1_000);
  t.sent.length = 0;
  // Past the tail probe, to the retransmission timeout.
  for (let i = 0; i < 200 && t.socket.info()?.ca_state !== CaState.Loss; i++) t.after(ms(10));
  assert.equal(t.socket.info()?.ca_state, CaState.Loss);
}

describe('TCP: known problems (RFC 2525)', () => {
  both('§2.1 no initial slow start: ten segments at first, not the whole window', (family) => {
    const t = path(family);
    t.write(60_000);
    assert.equal(sent(t), 10_000);
    t.end();
  });

  both('§2.2 no slow start after a timeout: one segment, then two', (family) => {
    const t = path(family);
    t.write(1_000);
    t.after(ms(100));
    t.rx({ ack: 1_001 });
    t.sent.length = 0;
    t.write(10_000);
    t.sent.length = 0;
    for (let i = 0; i < 200 && t.socket.info()?.ca_state !== CaState.Loss; i++) {
      t.sent.length = 0;
      t.after(ms(10));
    }
    assert.equal(sent(t), 1_000);
    t.after(ms(50));
    t.rx({ ack: 2_001 });
    // F-RTO (RFC 5682) tries up to two segments of new data first, of which there are none.
    assert.equal(sent(t), 2_000);
    t.end();
  });

  both('§2.3 uninitialised cwnd: the side that listened begins with ten segments too', (family) => {
    const t = new TcpBench({ family });
    t.listen();
    t.rx({ seq: 0, flags: 'S', mss: 1_000, wnd: 60_000 });
    t.syn({ flags: 'SA', ack: 1 });
    t.rx({ seq: 1, ack: 1, wnd: 60_000 });
    t.accepted();
    t.write(60_000);
    assert.equal(sent(t), 10_000);
    t.end();
  });

  both('§2.4 inconsistent retransmission: the same place of the stream always carries the same octets', (family) => {
    const t = path(family);
    t.write(3_000);
    const first = t.sent.map((s) => Buffer.from(s.data));
    t.sent.length = 0;
    t.write(500);
    timedOut(t, 1);
    t.rx({ ack: 1, sack: [[1_001, 3_501]] });
    for (const again of t.sent)
      if (again.seq === 1 && again.data.length > 0) assert.deepEqual(Buffer.from(again.data), first[0]?.subarray(0, again.data.length));
    assert.ok(t.sent.length > 0);
    t.sent.length = 0;
    t.end();
  });

  both('§2.5 failure to retain above-sequence data: a hole filled brings all of it', (family) => {
    const t = established({ family });
    t.rx({ seq: 1_001, data: 1_000 });
    t.rx({ seq: 2_001, data: 1_000 });
    t.sent.length = 0;
    t.rx({ seq: 1, data: 1_000 });
    t.tx({ ack: 3_001 });
    t.end();
  });

  both('§2.6 extra additive constant: in congestion avoidance a window of ACKs opens one segment', (family) => {
    const t = path(family, { sysctl: { 'net.ipv4.tcp_congestion_control': 'reno' } });
    t.write(50_000);
    const { snd } = t.tcb;
    snd.ssthresh = 10_000;
    for (let i = 1; i <= 10; i++) t.rx({ ack: 1 + 1_000 * i });
    assert.equal(snd.cwnd, 11_000);
    t.sent.length = 0;
    t.end();
  });

  both('§2.7 initial RTO too low: one second before a round trip is known', (family) => {
    const t = established({ family });
    assert.ok(t.tcb.rtt.rto >= ms(200));
    const fresh = established({ family, rtt: ms(100) });
    assert.ok(fresh.tcb.rtt.rto >= ms(300), `${fresh.tcb.rtt.rto}`);
    t.end();
    fresh.end();
  });

  both('§2.8 failure of window deflation after recovery: it ends at ssthresh', (family) => {
    const t = path(family, { sack: false });
    t.write(40_000);
    t.after(ms(100));
    for (let i = 0; i < 9; i++) t.rx({ ack: 1 });
    assert.equal(t.socket.info()?.ca_state, CaState.Recovery);
    t.rx({ ack: 20_001 });
    t.rx({ ack: 20_001 });
    assert.ok(t.tcb.snd.cwnd <= t.tcb.snd.ssthresh, `${t.tcb.snd.cwnd} > ${t.tcb.snd.ssthresh}`);
    t.sent.length = 0;
    t.end();
  });

  both('§2.9, §2.11 keep-alives: two hours before the first, 75 s between, and not for nothing', (family) => {
    const t = established({ family, options: { SO_KEEPALIVE: 1 } });
    t.after(ms(7_190_000));
    t.quiet();
    t.after(ms(20_000));
    t.tx({ seq: 0, ack: 1 });
    t.after(ms(60_000));
    t.quiet();
    t.after(ms(10_000));
    t.tx({ seq: 0, ack: 1 });
    t.end();
  });

  both('§2.10 failure to back off: the wait doubles', (family) => {
    const t = path(family);
    timedOut(t, 1);
    const times: number[] = [];
    t.sent.length = 0;
    t.after(ms(30_000));
    for (const s of t.sent) times.push(s.time);
    const waits = times.slice(1).map((at, i) => at - (times[i] as number));
    for (let i = 1; i < waits.length; i++) assert.ok(Math.abs((waits[i] as number) / (waits[i - 1] as number) - 2) < 0.02, waits.join(' '));
    assert.ok(waits.length >= 3);
    t.sent.length = 0;
    t.end();
  });

  both('§2.12 window probe deadlock: a probe that is taken while the window stays shut does not end the probing', (family) => {
    const t = established({ family, rtt: ms(100), snd: { wnd: 1_000 }, sysctl: { 'anystack.tcp_window_probe': 'octet' } });
    t.write(3_000);
    t.tx({ seq: 1, data: 1_000 });
    for (let taken = 1_001; taken < 1_005; taken++) {
      t.rx({ ack: taken, wnd: 0 });
      for (let i = 0; i < 100 && t.sent.length === 0; i++) t.after(ms(100));
      t.tx({ seq: taken, data: 1 });
    }
    t.rx({ ack: 1_005, wnd: 5_000 });
    t.tx({ seq: 1_005, data: 1_000 });
    t.tx({ seq: 2_005, data: 996 });
    t.end();
  });

  both('§2.13 stretch ACK violation: every second full segment is acknowledged', (family) => {
    const t = established({ family, sysctl: { 'anystack.tcp_quick_acks': 0 } });
    for (let i = 0; i < 8; i++) t.rx({ seq: 1 + 1_000 * i, data: 1_000 });
    assert.deepEqual(
      t.sent.map((s) => s.ack),
      [2_001, 4_001, 6_001, 8_001],
    );
    t.sent.length = 0;
    t.end();
  });

  both('§2.14 retransmission sends multiple packets: the timeout sends one', (family) => {
    const t = path(family);
    t.write(10_000);
    t.sent.length = 0;
    for (let i = 0; i < 200 && t.socket.info()?.ca_state !== CaState.Loss; i++) {
      t.sent.length = 0;
      t.after(ms(10));
    }
    assert.equal(t.sent.length, 1);
    t.sent.length = 0;
    t.end();
  });

  both('§2.15 failure to send the FIN promptly: with the last data, and at once', (family) => {
    const t = established({ family });
    t.app(() => {
      t.socket.write(new Uint8Array(10));
      return t.socket.shutdown('write');
    });
    assert.deepEqual(
      t.sent.map((s) => [s.flags.includes('F'), s.data.length]),
      [[true, 10]],
    );
    t.sent.length = 0;
    t.end();
  });

  both('§2.16 failure to send a RST after half-duplex close: text for nobody is refused', (family) => {
    const t = established({ family });
    t.app(() => t.socket.close());
    t.tx({ seq: 1, ack: 1, flags: 'FA' });
    t.rx({ ack: 2 });
    t.rx({ seq: 1, ack: 2, data: 100 });
    t.tx({ seq: 2, flags: 'R' });
    t.dropped('TcpAfterClose');
    t.end();
  });

  both('§2.17 failure to RST on close with data pending', (family) => {
    const t = established({ family });
    t.rx({ data: 100 });
    t.sent.length = 0;
    t.app(() => t.socket.close());
    assert.ok(t.sent.some((s) => s.flags.includes('R')));
    t.sent.length = 0;
    t.end();
  });

  both('§2.18 options missing from the MSS calculation: timestamps and SACK blocks leave room for less', (family) => {
    const t = established({ family, timestamps: true, snd: { wnd: 60_000 } });
    t.rx({ seq: 501, data: 100, ack: 1 });
    t.sent.length = 0;
    t.write(5_000);
    // 12 octets of timestamps, 12 of a SACK block with its padding.
    assert.equal(t.sent[0]?.data.length, 1_000 - 12 - 12);
    t.sent.length = 0;
    t.end();
  });
});
