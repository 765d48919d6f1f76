import assert from 'node:assert/strict';
import { Prng } from '#src/base/prng.js';
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

  both('challenge ACKs of the whole stack are limited (RFC 5961 §7)', (family) => {
    const t = established({ family, sysctl: { 'net.ipv4.tcp_challenge_ack_limit': 5, 'net.ipv4.tcp_invalid_ratelimit': 0 } });
    for (let i = 0; i < 20; i++) t.rx({ seq: 2, flags: 'R' });
    assert.equal(t.sent.length, 5);
    assert.equal(t.ctx.counters.dropped()['TcpChallengeLimited'], 15);
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
