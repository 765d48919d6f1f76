import assert from 'node:assert/strict';
import { Prng } from '#src/base/prng.js';
import type { TcpSocket } from '#src/net/socket/tcp-socket.js';
import { Simulation } from '#src/sim/index.js';
import { pattern, TcpBench } from '../../support/tcp-bench.js';
import { both, established, ms } from '../../support/tcp-states.js';

describe('TCP: hostile peers', () => {
  both('ACK division: a hundred ACKs of ten octets open the window no further than one of a thousand', (family) => {
    const grown = (step: number): number => {
      const t = established({ family, rtt: ms(50), snd: { wnd: 65_000 }, wscale: 4 });
      t.write(50_000);
      t.after(ms(50));
      for (let acked = step; acked <= 1_000; acked += step) t.rx({ ack: 1 + acked });
      const { cwnd } = t.tcb.snd;
      t.sent.length = 0;
      t.end();
      return cwnd;
    };
    assert.equal(grown(10), grown(1_000));
  });

  both('optimistic ACKs: of what was never sent, they change nothing', (family) => {
    const t = established({ family, snd: { wnd: 65_000 }, wscale: 4 });
    t.write(50_000);
    const { cwnd } = t.tcb.snd;
    for (let i = 0; i < 100; i++) t.rx({ ack: 20_000 + i });
    assert.equal(t.tcb.snd.cwnd, cwnd);
    assert.equal(t.tcb.snd.una, (t.iss + 1) | 0);
    t.end();
  });

  both('SACKs of single octets do not split the scoreboard into octets', (family) => {
    const t = established({ family, rtt: ms(50), snd: { wnd: 65_000 }, wscale: 4 });
    t.write(10_000);
    for (let i = 0; i < 1_000; i++) {
      const at = 2 + ((i * 37) % 9_900);
      t.rx({
        ack: 1,
        sack: [
          [at, at + 1],
          [at + 20, at + 21],
          [at + 40, at + 41],
        ],
      });
    }
    assert.ok(t.tcp.sentPool.used <= 11, `${t.tcp.sentPool.used} records`);
    t.rx({ ack: 10_001 });
    t.end();
  });

  both('SACKs outside of what was sent, turned round or below SND.UNA are ignored', (family) => {
    const t = established({ family, rtt: ms(50) });
    t.write(5_000);
    t.rx({ ack: 1, sack: [[9_000, 10_000]] });
    t.rx({ ack: 1, sack: [[3_001, 2_001]] });
    t.rx({ ack: 1, sack: [[-5_000, -4_000]] });
    t.rx({ ack: 1, sack: [[1, 2_000_000_000]] });
    assert.equal(t.tcb.flight?.sacked, 0);
    t.end();
  });

  both('tiny segments out of order: gaps are bounded, memory too', (family) => {
    const t = established({ family });
    for (let i = 0; i < 2_000; i++) t.rx({ seq: 3 + 2 * i, data: 'x' });
    assert.ok((t.tcb.receiveBuffer?.ranges?.count as number) <= 512);
    assert.ok((t.tcb.receiveBuffer?.charged as number) <= 2 * 65_536);
    assert.ok((t.ctx.counters.dropped()['TcpReceiveMemory'] as number) > 0);
    t.end();
  });

  both('a byte here and there in a large window takes no more memory than the window', (family) => {
    const t = established({ family, options: { SO_RCVBUF: 1_000_000 }, wscale: 7 });
    t.tcb.rcv.edge = (t.tcb.rcv.edge + 900_000) | 0;
    for (let i = 1; i < 30; i++) t.rx({ seq: 1 + i * 30_000, data: 'x' });
    assert.ok((t.tcb.receiveBuffer?.charged as number) <= 15 * 65_536);
    t.sent.length = 0;
    t.end();
  });

  both('silly windows: an octet at a time makes no segment of an octet', (family) => {
    const t = established({ family, snd: { wnd: 4_000 } });
    t.write(20_000);
    t.sent.length = 0;
    let acked = 4_000;
    for (let i = 0; i < 50; i++) t.rx({ ack: 1 + acked, wnd: i });
    assert.ok(t.sent.every((s) => s.data.length === 0 || s.data.length >= 1_000));
    acked = 0;
    t.sent.length = 0;
    t.end();
  });

  both('a flood of SYNs costs bounded memory, and an open connection does not notice', (family) => {
    const t = new TcpBench({ family, sysctl: { 'net.ipv4.tcp_max_syn_backlog': 100, 'anystack.slots_max': 512 } });
    t.listen(200);
    t.rx({ seq: 0, flags: 'S', mss: 1_000 });
    t.syn({ flags: 'SA', ack: 1 });
    t.rx({ seq: 1, ack: 1 });
    const { iss } = t;
    const port = t.remotePort;
    const prng = new Prng(7);
    for (let i = 0; i < 5_000; i++) {
      t.remotePort = 1_024 + prng.below(60_000);
      t.irs = prng.uint32() | 0;
      if (t.remotePort === port) continue;
      t.rx({ seq: 0, flags: 'S', mss: 1_460 });
    }
    assert.ok(t.tcp.flows.count <= 101, `${t.tcp.flows.count}`);
    assert.ok(t.ctx.counters.get('TcpExtSyncookiesSent') > 4_000);
    t.sent.length = 0;
    t.remotePort = port;
    t.iss = iss;
    t.irs = -50;
    t.rx({ seq: 1, ack: 1, data: 'hello' });
    t.tx({ ack: 6 });
    t.accepted();
    assert.equal(Buffer.from(t.read()).toString(), 'hello');
    t.end();
  });

  both('SACK reneging: what was reported and then thrown away is sent again (RFC 2018 §8)', (family) => {
    const t = established({ family, rtt: ms(50) });
    t.write(5_000);
    t.sent.length = 0;
    t.rx({ ack: 1, sack: [[1_001, 5_001]] });
    t.sent.length = 0;
    t.after(ms(3_000));
    // The peer has nothing but the first segment now.
    t.rx({ ack: 1_001 });
    for (let acked = 1_001, i = 0; acked < 5_001 && i < 100; i++) {
      for (const s of t.sent.splice(0)) if (s.seq <= acked) acked = Math.max(acked, s.seq + s.data.length);
      t.rx({ ack: acked });
      t.after(ms(200));
    }
    assert.equal(t.socket.unackedOctets, 0);
    assert.ok(t.ctx.counters.get('TcpExtTCPSACKReneging') > 0);
    t.end();
  });

  both('a window shut for ever: MUST-37 keeps the connection while the peer answers, and nothing when its program has gone', (family) => {
    const t = established({ family, snd: { wnd: 1_000 } });
    t.write(20_000);
    t.rx({ ack: 1_001, wnd: 0 });
    const day = 24 * 3_600;
    const { held } = t.ctx.chunks;
    for (let s = 0; s < day; s += 60) {
      t.after(ms(60_000));
      for (let n = t.sent.splice(0).length; n > 0; n--) t.rx({ ack: 1_001, wnd: 0 });
    }
    assert.equal(t.state, 'ESTABLISHED');
    assert.equal(t.ctx.chunks.held, held);
    t.app(() => t.socket.close());
    for (let s = 0; s < 1_200 && t.tcp.flows.count > 0; s += 10) {
      t.after(ms(10_000));
      for (let n = t.sent.splice(0).length; n > 0; n--) t.rx({ ack: 1_001, wnd: 0 });
    }
    assert.equal(t.tcp.flows.count, 0, 'an orphan is given up');
    t.sent.length = 0;
    t.end();
  });

  both('blind injection (RFC 5961 §5): text with an ACK outside of what was sent changes nothing', (family) => {
    const t = established({ family, snd: { wnd: 20_000 } });
    const prng = new Prng(3);
    for (let i = 0; i < 1_000; i++) t.rx({ seq: 1, ack: 70_000 + prng.below(2_000_000_000), data: 'evil' });
    assert.equal(t.tcb.rcv.nxt, (t.irs + 1) | 0);
    assert.ok(t.sent.length <= 2, 'and is answered no more than every half second');
    t.sent.length = 0;
    t.rx({ seq: 1, ack: 1, data: 'good' });
    assert.equal(Buffer.from(t.read()).toString(), 'good');
    t.sent.length = 0;
    t.end();
  });

  it('the sequence number wraps under load, on a path that loses and reorders: every octet arrives in its place', () => {
    const sim = new Simulation({ seed: 9 });
    const [a, b] = [sim.stack('a'), sim.stack('b')];
    const to = sim.link(a, b, { forward: { delay: ms(5), rate: 50_000_000, loss: 0.005, reorder: 0.01, reorderBy: 2_000 } }).ends[1].v4;
    assert.ok(to !== null);
    const open = (): TcpSocket => {
      const socket = a.core.tcp.openSocket(4);
      assert.equal(socket.bind(null, 4_000), 0);
      socket.connect(to, 5_000);
      return socket;
    };
    // ISS of a flow grows by one in 4 µs (RFC 9293 §3.4.1): the connection is made 100,000 octets before it wraps.
    const first = open();
    const left = 2 ** 32 - ((first.tcb?.snd.iss ?? 0) >>> 0) - 100_000;
    first.abort();
    sim.runSync(4 * (left < 0 ? left + 2 ** 32 : left));
    const listener = b.core.tcp.openSocket(4);
    assert.equal(listener.bind(null, 5_000) || listener.listen(1), 0);
    const into = new Uint8Array(65_536);
    let got = 0;
    let wrong = 0;
    listener.onReady = () => {
      const socket = listener.accept();
      if (socket === null) return;
      socket.onReady = () => {
        for (let n = socket.read(into); n > 0; n = socket.read(into)) {
          for (let i = 0; i < n; i++) if (into[i] !== ((got + i) * 7 + ((got + i) >>> 8)) % 256) wrong++;
          got += n;
        }
      };
    };
    const socket = open();
    const iss = (socket.tcb?.snd.iss ?? 0) >>> 0;
    assert.ok(iss > 2 ** 32 - 110_000, `${iss}`);
    const data = pattern(0, 500_000);
    let written = 0;
    socket.onReady = () => {
      while (socket.state === 'ESTABLISHED' && written < data.length) {
        const n = socket.write(data, written, data.length - written);
        if (n <= 0) return;
        written += n;
      }
    };
    assert.ok(sim.runUntil(() => got === data.length));
    assert.equal(wrong, 0);
    assert.ok((socket.tcb?.snd.nxt ?? -1) >>> 0 < 500_000, 'it has wrapped');
    sim.close();
  });

  it('one connection that does its worst leaves another as it was', () => {
    const alone = worst(false);
    const beside = worst(true);
    // In virtual time work costs nothing: what is shared (memory, buffers, challenge ACKs) is what could be taken away.
    assert.ok(beside <= 1.05 * alone, `${beside} µs instead of ${alone}`);
  });

  both('challenge ACKs of the whole stack are limited (RFC 5961 §7)', (family) => {
    const t = established({ family, sysctl: { 'net.ipv4.tcp_challenge_ack_limit': 5, 'net.ipv4.tcp_invalid_ratelimit': 0 } });
    for (let i = 0; i < 20; i++) t.rx({ seq: 2, flags: 'R' });
    assert.equal(t.sent.length, 5);
    assert.equal(t.ctx.counters.dropped()['TcpChallengeLimited'], 15);
    t.sent.length = 0;
    t.end();
  });

  both('answers to segments of no connection are limited: cookies and RSTs together', (family) => {
    const t = new TcpBench({ family, sysctl: { 'net.ipv4.tcp_syncookies': 2, 'anystack.tcp_answers_limit': 5 } });
    t.listen(1);
    for (let n = 0; n < 20; n++) {
      t.remotePort = 4_000 + n;
      if (n % 2 === 0) t.rx({ seq: 0, flags: 'S', mss: 1_000 });
      else t.rx({ seq: 0, ack: 77 }); // of nothing
    }
    assert.equal(t.sent.length, 5);
    assert.equal(t.ctx.counters.dropped()['TcpAnswerLimited'], 15);
    t.after(ms(1_000));
    t.rx({ seq: 0, flags: 'S', mss: 1_000 });
    assert.equal(t.sent.length, 6);
    t.sent.length = 0;
    t.end();
  });

  it('a hundred thousand mutated segments: nothing is thrown, nothing is left', () => {
    const prng = new Prng(42);
    let t = established({ timestamps: true, wscale: 3 });
    const letters = ['A', 'PA', 'FA', 'SA', 'S', 'R', 'RA', 'UA', 'AE', 'AW', ''];
    for (let i = 0; i < 100_000; i++) {
      if (t.state === 'CLOSED' || prng.below(2_000) === 0) {
        t.sent.length = 0;
        t.end();
        t = established({ timestamps: prng.below(2) === 0, wscale: 3, sack: prng.below(4) > 0, seed: i });
      }
      const near = (x: number): number => x + (prng.below(3) === 0 ? prng.below(70_000) - 35_000 : prng.below(40) - 20);
      t.rx({
        seq: prng.below(2) === 0 ? (t.tcb.rcv.nxt - t.irs) | 0 : near((t.tcb.rcv.nxt - t.irs) | 0),
        ack: near((t.tcb.snd.una - t.iss) | 0),
        flags: letters[prng.below(20)] ?? 'A',
        wnd: prng.below(65_536),
        data: pattern(0, prng.below(4) === 0 ? prng.below(1_400) : 0),
        up: prng.below(100),
        ts: prng.below(3) > 0 ? [1_000 + prng.below(10), prng.below(2) === 0 ? 'echo' : prng.below(1 << 30)] : null,
        ...(prng.below(4) === 0 ? { sack: [[near(t.tcb.snd.una - t.iss), near(t.tcb.snd.nxt - t.iss)]] as [number, number][] } : {}),
      });
      t.sent.length = 0;
      if (prng.below(5) === 0) t.write(prng.below(5_000) + 1);
      if (prng.below(7) === 0) t.read();
      if (prng.below(20) === 0) t.after(ms(prng.below(500)));
      if (prng.below(3_000) === 0) t.app(() => t.socket.shutdown('write'));
      t.sent.length = 0;
      t.tcb.receiveBuffer?.check();
    }
    t.end();
  }).timeout(60_000);
});

/** Time in µs that 300,000 octets take on a lossy path, alone or beside a peer that sends an octet here and there, 20,000 segments in all. */
function worst(attacked: boolean): number {
  const sim = new Simulation({ seed: 4 });
  const [server, good, bad] = [sim.stack('server'), sim.stack('good'), sim.stack('bad')];
  const at = sim.link(good, server, { forward: { delay: ms(10), rate: 20_000_000, loss: 0.01 } }).ends[1].v4;
  const back = sim.link(bad, server, {}).ends[1].v4;
  assert.ok(at !== null && back !== null);
  const into = new Uint8Array(65_536);
  let got = 0;
  const listener = server.core.tcp.openSocket(4);
  assert.equal(listener.bind(null, 80) || listener.listen(8), 0);
  listener.onReady = () => {
    for (let socket = listener.accept(); socket !== null; socket = listener.accept()) {
      const one = socket;
      // The bad one's octets are never read.
      if (one.localAddress.equals(back)) continue;
      one.onReady = () => {
        for (let n = one.read(into); n > 0; n = one.read(into)) got += n;
      };
    }
  };
  if (attacked) {
    const socket = bad.core.tcp.openSocket(4);
    socket.setOption('TCP_NODELAY', 1);
    socket.connect(back, 80);
    sim.runSync(ms(10));
    const octet = new Uint8Array(1);
    const drip = (left: number): void => {
      for (let i = 0; i < 20; i++) socket.write(octet, 0, 1);
      if (left > 0) sim.clock.setTimeout(() => drip(left - 1), 0.05);
    };
    drip(1_000);
  }
  const began = sim.now;
  const socket = good.core.tcp.openSocket(4);
  const data = new Uint8Array(300_000);
  let written = 0;
  socket.onReady = () => {
    while (socket.state === 'ESTABLISHED' && written < data.length) {
      const n = socket.write(data, written, data.length - written);
      if (n <= 0) return;
      written += n;
    }
  };
  socket.connect(at, 80);
  assert.ok(sim.runUntil(() => got === data.length));
  const took = sim.now - began;
  sim.close();
  return took;
}
