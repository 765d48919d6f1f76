import assert from 'node:assert/strict';
import { CaState } from '#src/net/tcp/info.js';
import type { TcpBench } from '../../support/tcp-bench.js';
import { both, type EstablishedOptions, established, ms } from '../../support/tcp-states.js';

/** A connection whose round trip is known to be 100 ms, with `segments` of 1,000 octets in flight, sent just now. */
function inFlight(segments: number, o: EstablishedOptions = {}): TcpBench {
  const t = established({ snd: { nxt: 1, wnd: 60_000 }, rtt: ms(100), ...o });
  t.write(1_000);
  t.after(ms(100));
  t.rx({ ack: 1_001 });
  t.sent.length = 0;
  t.write(segments * 1_000);
  assert.equal(t.sent.length, segments);
  t.sent.length = 0;
  t.after(ms(100));
  return t;
}

const seg = (n: number): number => 1_001 + n * 1_000;
const ca = (t: TcpBench): number => t.socket.info()?.ca_state ?? -1;

describe('TCP: loss recovery', () => {
  describe('with SACK: RACK (RFC 8985)', () => {
    both('three segments delivered beyond a hole: the hole is sent again at once', (family) => {
      const t = inFlight(8, { family });
      t.rx({ ack: seg(0), sack: [[seg(1), seg(4)]] });
      t.tx({ seq: seg(0), data: 1_000 });
      assert.equal(ca(t), CaState.Recovery);
      t.rx({ ack: seg(8) });
      assert.equal(ca(t), CaState.Open);
      assert.equal(t.socket.info()?.total_retrans, 1);
      t.end();
    });

    both('one segment delivered beyond a hole: a quarter of the round trip is waited first (§6.2)', (family) => {
      const t = inFlight(3, { family });
      t.rx({ ack: seg(0), sack: [[seg(2), seg(3)]] });
      t.quiet();
      assert.equal(ca(t), CaState.Disorder);
      t.after(ms(24));
      t.quiet();
      t.after(ms(3));
      t.tx({ seq: seg(0), data: 1_000 });
      t.quiet();
      assert.equal(ca(t), CaState.Recovery);
      t.rx({ ack: seg(1), sack: [[seg(2), seg(3)]] });
      t.tx({ seq: seg(1), data: 1_000 });
      t.end();
    });

    both('what comes late within the reordering window is no loss', (family) => {
      const t = inFlight(4, { family });
      t.rx({ ack: seg(0), sack: [[seg(1), seg(3)]] });
      t.after(ms(10));
      t.rx({ ack: seg(3) });
      t.after(ms(50));
      assert.equal(t.socket.info()?.total_retrans, 0);
      assert.equal(t.socket.info()?.reord_seen, 1);
      assert.equal(ca(t), CaState.Open);
      t.end();
    });

    both('once reordering was seen, three segments beyond a hole no longer mean loss', (family) => {
      const t = inFlight(8, { family });
      t.rx({ ack: seg(0), sack: [[seg(1), seg(2)]] });
      t.rx({ ack: seg(2) });
      t.rx({ ack: seg(2), sack: [[seg(3), seg(8)]] });
      t.quiet();
      t.after(ms(10));
      t.rx({ ack: seg(8) });
      assert.equal(t.socket.info()?.total_retrans, 0);
      t.end();
    });

    both('a retransmission that is lost is sent again without waiting for RTO', (family) => {
      const t = inFlight(8, { family });
      t.rx({ ack: seg(0), sack: [[seg(1), seg(4)]] });
      t.tx({ seq: seg(0), data: 1_000 });
      t.rx({ ack: seg(0), sack: [[seg(1), seg(8)]] });
      t.write(2_000);
      t.tx({ seq: seg(8), data: 1_000 });
      t.sent.length = 0;
      t.after(ms(130));
      t.rx({ ack: seg(0), sack: [[seg(1), seg(9)]] });
      t.after(ms(30));
      assert.ok(
        t.sent.some((s) => s.seq === seg(0)),
        'the hole once more',
      );
      t.end();
    });

    both('RFC 9937: half a window leaves in recovery, a window of ssthresh is left at its end', (family) => {
      const t = inFlight(10, { family });
      t.write(60_000);
      const before = t.socket.info()?.snd_cwnd as number;
      t.sent.length = 0;
      t.rx({ ack: seg(0), sack: [[seg(1), seg(4)]] });
      let acked = 4;
      for (; acked < 10; acked++) t.rx({ ack: seg(0), sack: [[seg(1), seg(acked + 1)]] });
      const sentInRecovery = t.sent.length;
      assert.ok(sentInRecovery <= 10, `${sentInRecovery} segments for 9 delivered`);
      t.rx({ ack: t.sent.reduce((end, s) => Math.max(end, s.seq + s.data.length), 0) });
      const info = t.socket.info();
      assert.equal(info?.ca_state, CaState.Open);
      assert.ok((info?.snd_cwnd as number) <= Math.ceil(before * 0.7) + 1, `${info?.snd_cwnd} of ${before}`);
      t.end();
    });

    both('§7: a tail that is lost is probed after two round trips, and mended by what that brings', (family) => {
      const t = inFlight(4, { family });
      t.rx({ ack: seg(1) });
      t.quiet();
      t.after(ms(190));
      t.quiet();
      t.after(ms(20));
      t.tx({ seq: seg(3), data: 1_000 });
      assert.equal(t.ctx.counters.get('TcpExtTCPLossProbes'), 1);
      t.after(ms(90));
      t.rx({ ack: seg(1), sack: [[seg(3), seg(4)]] });
      t.after(ms(40));
      // PRR lets one go for the one delivered; its ACK brings the other.
      t.tx({ seq: seg(1), data: 1_000 });
      t.quiet();
      t.after(ms(60));
      t.rx({ ack: seg(2), sack: [[seg(3), seg(4)]] });
      t.tx({ seq: seg(2), data: 1_000 });
      t.end();
    });

    both('RFC 2883, 8985 §7.4: a probe that was needless costs no window', (family) => {
      const t = inFlight(2, { family });
      t.after(ms(120));
      t.tx({ seq: seg(1), data: 1_000 });
      const before = t.socket.info()?.snd_cwnd;
      t.rx({ ack: seg(2) });
      t.rx({ ack: seg(2), sack: [[seg(1), seg(2)]] });
      assert.equal(t.socket.info()?.snd_cwnd, before);
      t.end();
    });
  });

  describe('RFC 6675, with RACK switched off', () => {
    both('IsLost: three segments reported above', (family) => {
      const t = inFlight(8, { family, sysctl: { 'net.ipv4.tcp_recovery': 0 } });
      t.rx({ ack: seg(0), sack: [[seg(1), seg(2)]] });
      t.rx({ ack: seg(0), sack: [[seg(1), seg(3)]] });
      assert.ok(!t.sent.some((s) => s.seq === seg(0)));
      t.rx({ ack: seg(0), sack: [[seg(1), seg(4)]] });
      assert.ok(t.sent.some((s) => s.seq === seg(0)));
      t.end();
    });
  });

  describe('without SACK: NewReno (RFC 5681, 6582)', () => {
    both('the third duplicate ACK sends the first segment again, partial ACKs the next', (family) => {
      const t = inFlight(8, { family, sack: false });
      t.rx({ ack: seg(0) });
      t.rx({ ack: seg(0) });
      t.quiet();
      t.rx({ ack: seg(0) });
      t.tx({ seq: seg(0), data: 1_000 });
      assert.equal(ca(t), CaState.Recovery);
      t.rx({ ack: seg(3) });
      t.tx({ seq: seg(3), data: 1_000 });
      t.rx({ ack: seg(8) });
      t.rx({ ack: seg(8) });
      assert.equal(t.socket.info()?.total_retrans, 2);
      t.end();
    });

    both('RFC 3042: the first two duplicate ACKs let new segments out', (family) => {
      const t = inFlight(10, { family, sack: false });
      t.tcb.snd.cwnd = 10_000;
      t.write(5_000);
      t.sent.length = 0;
      t.rx({ ack: seg(0) });
      t.tx({ seq: seg(10), data: 1_000 });
      t.rx({ ack: seg(0) });
      t.tx({ seq: seg(11), data: 1_000 });
      t.end();
    });

    both('a window update is no duplicate ACK (RFC 5681 §2)', (family) => {
      const t = inFlight(8, { family, sack: false });
      for (let i = 1; i <= 5; i++) t.rx({ ack: seg(0), wnd: 60_000 + i });
      t.quiet();
      assert.equal(ca(t), CaState.Open);
      t.end();
    });
  });

  describe('timeouts', () => {
    both('RFC 5681 §3.1, RFC 6298 §5.4: one segment, then slow start over what was lost', (family) => {
      const t = inFlight(8, { family, sysctl: { 'net.ipv4.tcp_early_retrans': 0 } });
      t.after(ms(400));
      assert.equal(t.sent.length, 1);
      t.tx({ seq: seg(0), data: 1_000 });
      assert.equal(ca(t), CaState.Loss);
      assert.equal(t.socket.info()?.snd_cwnd, 1);
      t.after(ms(100));
      t.rx({ ack: seg(1) });
      t.tx({ seq: seg(1), data: 1_000 });
      t.tx({ seq: seg(2), data: 1_000 });
      t.rx({ ack: seg(8) });
      assert.equal(ca(t), CaState.Open);
      t.end();
    });

    both('RFC 5682: the originals arrive after all: the timeout was spurious, the window comes back', (family) => {
      const t = inFlight(8, { family, sysctl: { 'net.ipv4.tcp_early_retrans': 0 } });
      t.write(20_000);
      const before = t.socket.info()?.snd_cwnd as number;
      t.after(ms(400));
      t.sent.length = 0;
      t.rx({ ack: seg(1) });
      t.sent.length = 0;
      t.rx({ ack: seg(2) });
      assert.equal(t.ctx.counters.get('TcpExtTCPSpuriousRTOs'), 1);
      assert.equal(ca(t), CaState.Open);
      assert.ok((t.socket.info()?.snd_cwnd as number) >= before);
      assert.ok(!t.sent.some((s) => s.seq < seg(8)), 'nothing is sent again needlessly');
      t.end();
    });

    both('RFC 3522: timestamps tell that the original was answered', (family) => {
      const t = inFlight(8, { family, timestamps: true, mss: 1_012 });
      const stamp = t.stamp;
      t.rx({ ack: seg(0), sack: [[seg(1), seg(4)]] });
      t.after(ms(20));
      assert.equal(ca(t), CaState.Recovery);
      const before = t.tcb.flight?.priorCwnd as number;
      t.rx({ ack: seg(4), ts: [1_000, stamp] });
      assert.ok(t.tcb.snd.cwnd >= before, 'undone');
      t.end();
    });

    both('RFC 3708: all retransmissions reported as duplicates: undone', (family) => {
      const t = inFlight(8, { family });
      t.rx({ ack: seg(0), sack: [[seg(1), seg(4)]] });
      const before = t.tcb.flight?.priorCwnd as number;
      t.rx({ ack: seg(4) });
      t.rx({ ack: seg(4), sack: [[seg(0), seg(1)]] });
      assert.ok(t.tcb.snd.cwnd >= before);
      t.end();
    });

    both('RFC 2018 §8: what was reported may be dropped by the peer again: after RTO it is all sent anew', (family) => {
      const t = inFlight(5, { family, sysctl: { 'net.ipv4.tcp_early_retrans': 0 } });
      t.rx({ ack: seg(0), sack: [[seg(1), seg(5)]] });
      t.tx({ seq: seg(0), data: 1_000 });
      t.rx({ ack: seg(1) });
      t.after(ms(1_000));
      assert.ok(t.sent.some((s) => s.seq === seg(1)));
      assert.equal(t.ctx.counters.get('TcpExtTCPSACKReneging'), 1);
      t.rx({ ack: seg(5) });
      t.sent.length = 0;
      t.end();
    });
  });

  describe('congestion windows', () => {
    both('RFC 6928: ten segments at first; RFC 5681 §3.1: slow start doubles', (family) => {
      const t = established({ family, snd: { wnd: 65_000 }, wscale: 4, options: { SO_SNDBUF: 500_000 } });
      t.write(100_000);
      assert.equal(t.sent.length, 10);
      t.sent.length = 0;
      t.after(ms(50));
      t.rx({ ack: 10_001 });
      assert.equal(t.sent.length, 20);
      t.sent.length = 0;
      t.end();
    });

    both('RFC 5681 §4.1: after an idle RTO the window is an initial one', (family) => {
      const t = established({ family, snd: { wnd: 65_000 }, wscale: 4, options: { SO_SNDBUF: 500_000 } });
      t.write(60_000);
      for (let acked = 10_000; acked <= 60_000; acked += 10_000) {
        t.after(ms(20));
        t.rx({ ack: 1 + acked });
      }
      assert.ok((t.socket.info()?.snd_cwnd as number) > 20);
      t.sent.length = 0;
      t.after(ms(20_000));
      t.write(60_000);
      assert.equal(t.sent.length, 10);
      t.sent.length = 0;
      t.end();
    });

    both('ECN (RFC 3168 §6.1): data is ECT, an echo halves once per round trip, CWR says so; marks are echoed until CWR', (family) => {
      const t = established({ family, ecn: true, rtt: ms(100), sysctl: { 'net.ipv4.tcp_ecn': 1 } });
      t.write(4_000);
      for (let i = 0; i < 4; i++) t.tx({ data: 1_000, ect: true, flags: i === 3 ? 'PA' : 'A' });
      t.after(ms(10));
      const before = t.tcb.snd.cwnd;
      t.rx({ ack: 1_001, flags: 'AE' });
      assert.equal(ca(t), CaState.Cwr);
      t.rx({ ack: 2_001, flags: 'AE' });
      t.rx({ ack: 4_001, flags: 'AE' });
      assert.ok(t.tcb.snd.cwnd < before && t.tcb.snd.cwnd >= before * 0.4);
      t.write(1_000);
      t.tx({ data: 1_000, flags: 'PAW' });
      t.rx({ ack: 5_001, data: 10, ce: true });
      t.tx({ flags: 'AE', ack: 11 });
      t.rx({ seq: 11, ack: 5_001, data: 10, ect: true });
      t.after(ms(40));
      t.tx({ flags: 'AE', ack: 21 });
      t.rx({ seq: 21, ack: 5_001, data: 10, ect: true, flags: 'AW' });
      t.after(ms(40));
      t.tx({ flags: 'A', ack: 31 });
      t.end();
    });
  });
});
