import assert from 'node:assert/strict';
import { millis, seconds } from '#src/base/time.js';
import { Simulation } from '#src/sim/index.js';
import type { TcpBench } from '../../support/tcp-bench.js';
import { both, established } from '../../support/tcp-states.js';

/** A connection that believes in segments of 500 octets, with a window of 12 of them and a round trip of 50 ms. */
function searching(family: 4 | 6, sysctl: Record<string, unknown> = {}): TcpBench {
  const t = established({
    family,
    mss: 1_460,
    rtt: millis(50),
    sysctl: { 'net.ipv4.tcp_mtu_probing': 2, 'net.ipv4.tcp_base_mss': 500, 'anystack.tcp_initial_window': 12, ...sysctl },
  });
  assert.equal(t.tcb.snd.mss, 500);
  return t;
}

/** The middle between `low` and the greatest payload of the bench's path. */
const middle = (family: 4 | 6, low: number): number => {
  const headers = family === 4 ? 40 : 60;
  return ((1_500 + low + headers + 1) >> 1) - headers;
};

describe('TCP: the search for an MTU (RFC 4821)', () => {
  both('§7.3: a longer segment is risked ahead of others; when it arrives, segments are that long', (family) => {
    const t = searching(family);
    const probe = middle(family, 500);
    t.write(6_000);
    t.tx({ seq: 1, data: probe });
    for (let i = 0; t.sent.length > 0; i++) t.tx({ seq: 1 + probe + 500 * i, data: Math.min(500, t.sent[0]?.data.length ?? 0) });
    t.after(millis(50));
    t.rx({ ack: 6_001 });
    assert.equal(t.tcb.snd.mss, probe);
    assert.equal(t.ctx.counters.get('TcpExtTCPMTUPSuccess'), 1);
    t.end();
  });

  both('§7.6.2: a probe that is lost is no congestion: it goes again in segments known to arrive, and the search looks lower', (family) => {
    const t = searching(family);
    const probe = middle(family, 500);
    t.write(6_000);
    t.sent.length = 0;
    const { cwnd } = t.tcb.snd;
    t.after(millis(50));
    t.rx({ ack: 1, sack: [[1 + probe, 3_001 + probe]] });
    t.tx({ seq: 1, data: 500 });
    t.tx({ seq: 501, data: probe - 500 });
    assert.equal(t.socket.info()?.ca_state, 1, 'disorder, no recovery');
    assert.ok(t.tcb.snd.cwnd >= cwnd);
    assert.equal(t.tcb.snd.mss, 500);
    assert.equal(t.tcb.search?.high, probe + (family === 4 ? 40 : 60) - 1);
    t.sent.length = 0;
    t.end();
  });

  both('§7.4: not without enough to follow it', (family) => {
    const t = searching(family);
    t.write(1_500);
    for (let i = 0; i < 3; i++) t.tx({ seq: 1 + 500 * i, data: 500 });
    t.end();
  });

  both('net.ipv4.tcp_probe_threshold: near enough is the end; net.ipv4.tcp_probe_interval: later the path is asked again', (family) => {
    const t = searching(family, { 'net.ipv4.tcp_probe_threshold': 1_000, 'net.ipv4.tcp_probe_interval': 60 });
    const round = (): number => {
      t.write(6_000);
      const first = t.sent[0]?.data.length ?? 0;
      while (t.sent.length > 0) {
        const last = t.sent[t.sent.length - 1];
        t.sent.length = 0;
        t.after(millis(50));
        t.rx({ ack: (last?.seq ?? 0) + (last?.data.length ?? 0) });
      }
      return first;
    };
    assert.equal(round(), 500);
    t.ctx.sysctl.set('net.ipv4.tcp_probe_threshold', 8);
    assert.equal(round(), middle(family, 500), 'the threshold is felt at once');
    t.ctx.sysctl.set('net.ipv4.tcp_probe_threshold', 1_000);
    const mss = t.tcb.snd.mss;
    assert.equal(round(), mss);
    t.ctx.sysctl.set('net.ipv4.tcp_probe_threshold', 8);
    t.after(seconds(61));
    assert.ok(round() > mss);
    t.end();
  });

  for (const mode of [1, 2]) {
    it(`net.ipv4.tcp_mtu_probing ${mode}: a path that swallows more than 1,400 octets is found out to 8 octets`, () => {
      const sim = new Simulation();
      const [a, b] = [sim.stack('a', { sysctl: { 'net.ipv4.tcp_mtu_probing': mode } }), sim.stack('b')];
      const { ends } = sim.link(a, b, { forward: { delay: millis(10), mtu: 1_400, rate: 20_000_000 } });
      const into = new Uint8Array(65_536);
      const listener = b.core.tcp.openSocket(4);
      assert.equal(listener.bind(null, 80) || listener.listen(1), 0);
      listener.onReady = () => {
        const socket = listener.accept();
        if (socket !== null) socket.onReady = () => void socket.read(into);
      };
      const socket = a.core.tcp.openSocket(4);
      const data = new Uint8Array(65_536);
      socket.onReady = () => {
        if (socket.state === 'ESTABLISHED') while (socket.write(data, 0, data.length) > 0);
      };
      assert.ok(ends[1].v4 !== null);
      socket.connect(ends[1].v4, 80);
      const mtu = (): number => (socket.tcb?.snd.mss ?? 0) + 52;
      assert.ok(
        sim.runUntil(() => mtu() > 1_392 && mtu() <= 1_400, seconds(60)),
        `${mtu()}`,
      );
      sim.runSync(seconds(2));
      assert.ok(mtu() > 1_392 && mtu() <= 1_400);
      sim.close();
    });
  }
});
