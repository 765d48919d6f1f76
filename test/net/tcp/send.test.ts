import assert from 'node:assert/strict';
import { both, established, ms } from '../../support/tcp-states.js';

describe('TCP: sending', () => {
  describe('segments', () => {
    both('SHLD-28, MUST-60, MUST-61: full segments, PSH on the last octet written', (family) => {
      const t = established({ family, sysctl: { 'anystack.tcp_push_bursts': 0 } });
      t.write(2_500);
      for (const seq of [1, 1_001]) assert.ok(!t.tx({ seq, data: 1_000 }).flags.includes('P'));
      t.tx({ seq: 2_001, flags: 'PA', data: 500 });
      t.quiet();
      t.end();
    });

    both('MUST-16: Eff.snd.MSS is the least of the peer, the path and TCP_MAXSEG, timestamps taken off', (family) => {
      const byPeer = established({ family, mss: 600, timestamps: true });
      byPeer.write(2_000);
      byPeer.tx({ data: 588 });
      byPeer.end();
      const byPath = established({ family, mss: 9_000, mtu: 1_280 });
      byPath.write(5_000);
      byPath.tx({ data: 1_280 - (family === 4 ? 40 : 60) });
      byPath.end();
      const bySocket = established({ family, mss: 1_460, options: { TCP_MAXSEG: 700 } });
      bySocket.write(5_000);
      bySocket.tx({ data: 700 });
      bySocket.end();
    });

    both('MUST-15: without an MSS option it is 536, 1,220 with IPv6', (family) => {
      const t = established({ family, mss: 0 });
      t.write(5_000);
      t.tx({ data: family === 4 ? 536 : 1_220 });
      t.end();
    });

    both('ARCHITECTURE: segments larger than MSS go down whole, at most 64 KB', (family) => {
      const t = established({ family, snd: { wnd: 65_535 }, wscale: 4, mss: 1_000, options: { SO_SNDBUF: 500_000 } });
      let handed = 0;
      const { sink } = t.ip;
      t.ip.sink = (packet) => {
        handed++;
        if (packet.length > 1_100) assert.equal(packet.gsoSize, 1_000);
        sink(packet);
      };
      t.write(10_000);
      assert.equal(handed, 2, 'two bursts, so that the ACK of one lets the next out');
      assert.equal(t.sent.length, 10);
      t.sent.length = 0;
      t.end();
    });
  });

  describe('Nagle (RFC 9293 §3.7.4, MUST-17)', () => {
    both('a short segment waits while a short one is unacknowledged, and goes with its ACK', (family) => {
      const t = established({ family });
      t.write('a');
      t.tx({ flags: 'PA', data: 'a' });
      t.write('b');
      t.write('c');
      t.quiet();
      t.rx({ ack: 2 });
      t.tx({ flags: 'PA', seq: 2, data: 'bc' });
      t.end();
    });

    both('RFC 896, when the profile says so: it waits while anything is unacknowledged', (family) => {
      const t = established({ family, sysctl: { 'anystack.tcp_nagle': 'rfc896' } });
      t.write(1_100);
      t.tx({ data: 1_000 });
      t.quiet();
      t.rx({ ack: 1_001 });
      t.tx({ flags: 'PA', data: 100 });
      t.end();
    });

    both('TCP_NODELAY: every write goes', (family) => {
      const t = established({ family, options: { TCP_NODELAY: 1 } });
      t.write('a');
      t.write('b');
      t.tx({ flags: 'PA', data: 'a' });
      t.tx({ flags: 'PA', data: 'b' });
      t.end();
    });

    both('TCP_CORK holds short segments until it is pulled, or the connection is closed', (family) => {
      const t = established({ family, options: { TCP_CORK: 1 } });
      t.write(1_400);
      t.tx({ data: 1_000 });
      t.quiet();
      t.app(() => t.socket.setOption('TCP_CORK', 0));
      t.tx({ flags: 'PA', data: 400 });
      t.end();
    });

    both('writes of one turn become one segment', (family) => {
      const t = established({ family, options: { TCP_NODELAY: 1 } });
      t.app(() => {
        t.socket.write(Buffer.from('one '));
        t.socket.write(Buffer.from('two '));
        t.socket.write(Buffer.from('three'));
      });
      t.tx({ flags: 'PA', data: 'one two three' });
      t.quiet();
      t.end();
    });
  });

  describe("the peer's window", () => {
    both('§3.8.6.2.1: less than a segment and less than half of the greatest window is not worth sending', (family) => {
      const t = established({ family, snd: { wnd: 3_000 } });
      t.write(5_000);
      for (let i = 0; i < 3; i++) t.tx({ data: 1_000 });
      t.rx({ ack: 3_001, wnd: 400 });
      t.quiet();
      t.after(ms(190));
      t.quiet();
      t.end();
    });

    both('MUST-36, SHLD-29, SHLD-30, MUST-37: a shut window is probed after RTO, backing off, for ever', (family) => {
      const t = established({ family, snd: { wnd: 1_000 } });
      t.write(2_000);
      t.tx({ seq: 1, data: 1_000 });
      t.rx({ ack: 1_001, wnd: 0 });
      t.quiet();
      const { rto } = t.tcb.rtt;
      t.after(rto - 10);
      t.quiet();
      t.after(20);
      t.tx({ seq: 1_000 });
      t.rx({ ack: 1_001, wnd: 0 });
      t.after(2 * rto - 50);
      t.quiet();
      t.after(100);
      t.tx({ seq: 1_000 });
      for (let i = 0; i < 60; i++) {
        t.rx({ ack: 1_001, wnd: 0 });
        t.after(ms(121_000));
        assert.ok(t.sent.length > 0, 'the probing goes on');
        t.sent.length = 0;
      }
      t.rx({ ack: 1_001, wnd: 5_000 });
      t.tx({ seq: 1_001, flags: 'PA', data: 1_000 });
      t.end();
    });

    both('a window probe of one octet, when the profile says so', (family) => {
      const t = established({ family, snd: { wnd: 1_000 }, sysctl: { 'anystack.tcp_window_probe': 'octet' } });
      t.write(2_000);
      t.tx({ seq: 1, data: 1_000 });
      t.rx({ ack: 1_001, wnd: 0 });
      t.after(ms(1_500));
      t.tx({ seq: 1_001, data: 1 });
      t.rx({ ack: 1_001, wnd: 0 });
      t.sent.length = 0;
      t.after(ms(3_000));
      t.tx({ seq: 1_001, data: 1 });
      t.rx({ ack: 1_002, wnd: 3_000 });
      t.sent.length = 0;
      t.end();
    });

    both('SHLD-15, SHLD-16, MUST-34: a window that shrinks stops new data, not the retransmission of old', (family) => {
      const t = established({ family, snd: { wnd: 4_000 } });
      t.write(8_000);
      for (let i = 0; i < 4; i++) t.tx({ data: 1_000 });
      t.rx({ ack: 1_001, wnd: 1_000 });
      t.quiet();
      t.after(ms(3_000));
      assert.ok(t.sent.length > 0);
      assert.ok(t.sent.every((s) => s.seq < 5_001));
      t.end();
    });

    both('a peer that dies behind a shut window is given up when the application has closed', (family) => {
      const t = established({ family, snd: { wnd: 1_000 } });
      t.write(2_000);
      t.rx({ ack: 1_001, wnd: 0 });
      t.app(() => t.socket.close());
      t.after(ms(400_000));
      assert.equal(t.tcp.flows.count, 0);
      t.sent.length = 0;
      t.end();
    });
  });

  describe('ACKs', () => {
    both('MUST-58, SHLD-18: an ACK may wait 40 ms, and every second full segment draws one at once', (family) => {
      const t = established({ family, sysctl: { 'anystack.tcp_quick_acks': 0 } });
      t.rx({ seq: 1, data: 1_000 });
      t.quiet();
      t.rx({ seq: 1_001, data: 1_000 });
      t.tx({ ack: 2_001 });
      t.rx({ seq: 2_001, data: 10 });
      t.after(ms(39));
      t.quiet();
      t.after(ms(1));
      t.tx({ ack: 2_011 });
      t.quiet();
      t.end();
    });

    both('an answer carries the ACK', (family) => {
      const t = established({ family, sysctl: { 'anystack.tcp_quick_acks': 0 } });
      t.rx({ seq: 1, data: 'ask' });
      t.write('answer');
      t.tx({ ack: 4, flags: 'PA', data: 'answer' });
      t.after(ms(100));
      t.quiet();
      t.end();
    });

    both('reading tells the peer of a window that was shut', (family) => {
      const t = established({ family, rcv: { nxt: 1, wnd: 4_000 } });
      for (let i = 0; i < 4; i++) t.rx({ seq: 1 + 1_000 * i, data: 1_000 });
      assert.equal((t.sent.at(-1) as { wnd: number }).wnd, 0);
      t.sent.length = 0;
      t.read(500);
      t.quiet();
      t.read(3_500);
      t.tx({ ack: 4_001, wnd: 4_000 });
      t.end();
    });

    both('SHLD-14: the right edge never moves back', (family) => {
      const t = established({ family, rcv: { nxt: 1, wnd: 4_000 } });
      let edge = 0;
      for (let i = 0; i < 40; i++) {
        t.rx({ seq: 1 + 100 * i, data: 100 });
        t.after(ms(50));
        for (const s of t.sent.splice(0)) {
          assert.ok(s.ack + s.wnd >= edge, `${s.ack} + ${s.wnd} >= ${edge}`);
          edge = s.ack + s.wnd;
        }
      }
      t.end();
    });
  });

  describe('closing', () => {
    both('§3.6: FIN follows the last octet, with it where there is room', (family) => {
      const t = established({ family });
      t.write('bye');
      t.tx({ flags: 'PA', data: 'bye' });
      t.app(() => t.socket.shutdown('write'));
      t.tx({ flags: 'FA', seq: 4 });
      assert.equal(t.socket.write(Buffer.from('x')), -32);
      t.end();
      const u = established({ family });
      u.app(() => {
        u.socket.write(Buffer.from('bye'));
        u.socket.shutdown('write');
      });
      u.tx({ flags: 'FPA', data: 'bye' });
      u.end();
    });

    both('half-close: the peer goes on sending', (family) => {
      const t = established({ family });
      t.app(() => t.socket.shutdown('write'));
      t.tx({ flags: 'FA', seq: 1 });
      t.rx({ ack: 2 });
      for (let i = 0; i < 20; i++) t.rx({ seq: 1 + 100 * i, ack: 2, data: 100 });
      assert.equal(t.read().length, 2_000);
      t.end();
    });

    both('close leads through FIN-WAIT-2 to an end even when the peer never closes (tcp_fin_timeout)', (family) => {
      const t = established({ family });
      t.app(() => t.socket.close());
      t.tx({ flags: 'FA', seq: 1 });
      t.rx({ ack: 2 });
      t.after(ms(59_000));
      assert.equal(t.tcp.flows.count, 1);
      t.after(ms(2_000));
      assert.equal(t.tcp.flows.count, 0);
      t.quiet();
      t.end();
    });

    both('SO_LINGER 0 resets', (family) => {
      const t = established({ family, options: { SO_LINGER: 0 } });
      t.write(10);
      t.sent.length = 0;
      t.app(() => t.socket.close());
      t.tx({ flags: 'RA', seq: 11 });
      t.quiet();
      t.end();
    });

    both('a FIN is sent again when it is lost', (family) => {
      const t = established({ family });
      t.app(() => t.socket.close());
      t.tx({ flags: 'FA', seq: 1 });
      t.after(ms(1_100));
      assert.ok(t.sent.length >= 1);
      for (const s of t.sent.splice(0)) assert.deepEqual([s.flags, s.seq], ['FA', 1]);
      t.rx({ ack: 2, flags: 'FA' });
      t.tx({ ack: 2, seq: 2 });
      assert.equal(t.tcp.timeWaits.count, 1);
      t.after(ms(60_100));
      assert.equal(t.tcp.flows.count, 0);
      t.end();
    });
  });
});
