import assert from 'node:assert/strict';
import { TcpBench } from '../../support/tcp-bench.js';
import { both, ms } from '../../support/tcp-states.js';

/** The bench plays peer number `n`: another port, another ISN. */
function peer(t: TcpBench, n: number): void {
  t.remotePort = 4_000 + n;
  t.irs = (-50 + n * 100_000) | 0;
}

/** A SYN of peer `n` and the SYN-ACK it gets; leaves the ISN set. */
function syn(t: TcpBench, n: number, more: object = {}): void {
  peer(t, n);
  t.iss = 0;
  t.rx({ seq: 0, flags: 'S', mss: 1_000, sackOk: true, ...more });
}

function connect(t: TcpBench, n: number): void {
  syn(t, n);
  t.syn({ flags: 'SA', ack: 1 });
  t.rx({ seq: 1, ack: 1 });
}

describe('TCP: listeners', () => {
  both('a backlog: connections wait for accept, in order; one too many is dropped, and tries again', (family) => {
    const t = new TcpBench({ family });
    t.listen(2);
    for (let n = 0; n < 3; n++) connect(t, n);
    t.quiet();
    assert.equal(t.socket.listener?.waiting, 3);
    syn(t, 3);
    t.quiet();
    t.dropped('TcpListenOverflow');
    assert.equal(t.ctx.counters.get('TcpExtListenOverflows'), 1);
    const first = t.socket.accept();
    assert.equal(first?.remotePort, 4_000);
    connect(t, 3);
    assert.deepEqual(
      [t.socket.accept(), t.socket.accept(), t.socket.accept(), t.socket.accept()].map((s) => s?.remotePort),
      [4_001, 4_002, 4_003, undefined],
    );
    t.end();
  });

  both('the last ACK of a handshake is dropped while the accept queue is full, and counts when it comes again', (family) => {
    const t = new TcpBench({ family });
    t.listen(0);
    syn(t, 0);
    t.syn({ flags: 'SA', ack: 1 });
    const iss = t.iss;
    connect(t, 1);
    peer(t, 0);
    t.iss = iss;
    t.rx({ seq: 1, ack: 1 });
    t.quiet();
    t.dropped('TcpListenOverflow');
    assert.notEqual(t.socket.accept(), null);
    t.rx({ seq: 1, ack: 1 });
    assert.equal(t.socket.accept()?.remotePort, 4_000);
    t.end();
  });

  both('net.ipv4.tcp_abort_on_overflow: RST instead', (family) => {
    const t = new TcpBench({ family, sysctl: { 'net.ipv4.tcp_abort_on_overflow': 1 } });
    t.listen(0);
    syn(t, 0);
    t.syn({ flags: 'SA', ack: 1 });
    const iss = t.iss;
    connect(t, 1);
    peer(t, 0);
    t.iss = iss;
    t.rx({ seq: 1, ack: 1 });
    t.tx({ seq: 1, flags: 'R' });
    t.dropped('TcpListenOverflow');
    t.end();
  });

  both('a SYN-ACK is sent again after 1, 2, 4, 8, 16 s, then the half-open connection is forgotten', (family) => {
    const t = new TcpBench({ family });
    t.listen();
    syn(t, 0);
    t.syn({ flags: 'SA', ack: 1 });
    for (let i = 0; i < 5; i++) {
      t.after(ms(1_000 * 2 ** i - 1));
      t.quiet();
      t.after(ms(1));
      t.tx({ flags: 'SA', seq: 0, ack: 1 });
    }
    t.after(ms(32_100));
    t.quiet();
    assert.equal(t.tcp.flows.count, 0);
    t.end();
  });

  both('the SYN again draws the SYN-ACK again', (family) => {
    const t = new TcpBench({ family });
    t.listen();
    syn(t, 0);
    t.syn({ flags: 'SA', ack: 1 });
    t.rx({ seq: 0, flags: 'S', mss: 1_000, sackOk: true });
    t.tx({ flags: 'SA', seq: 0, ack: 1 });
    t.dropped('TcpDuplicate');
    t.end();
  });

  both('text with the last ACK of the handshake is there at accept', (family) => {
    const t = new TcpBench({ family });
    t.listen();
    syn(t, 0);
    t.syn({ flags: 'SA', ack: 1 });
    t.rx({ seq: 1, ack: 1, data: 'early' });
    t.tx({ ack: 6 });
    t.accepted();
    assert.equal(Buffer.from(t.read()).toString(), 'early');
    t.end();
  });

  both('a closed listener resets what nobody has accepted, and its half-open connections are gone', (family) => {
    const t = new TcpBench({ family });
    t.listen();
    connect(t, 0);
    syn(t, 1);
    t.sent.length = 0;
    t.app(() => t.socket.close());
    assert.equal(t.sent.length, 1);
    assert.ok(t.sent[0]?.flags.includes('R'));
    t.sent.length = 0;
    assert.equal(t.tcp.flows.count, 0);
    t.end();
  });

  both('TCP_DEFER_ACCEPT: handed over when data comes', (family) => {
    const t = new TcpBench({ family });
    t.socket.setOption('TCP_DEFER_ACCEPT', 5);
    t.listen();
    syn(t, 0);
    t.syn({ flags: 'SA', ack: 1 });
    t.rx({ seq: 1, ack: 1 });
    assert.equal(t.socket.accept(), null);
    t.rx({ seq: 1, ack: 1, data: 'x' });
    t.tx({ ack: 2 });
    t.accepted();
    assert.equal(t.read().length, 1);
    t.end();
  });

  it('a dual-stack listener takes both families, an IPv6-only one does not', () => {
    for (const family of [4, 6] as const) {
      const t = new TcpBench({ family });
      t.socket = t.tcp.openSocket(46);
      t.listen();
      connect(t, 0);
      t.accepted();
      assert.equal(t.socket.remoteAddress.isV4, family === 4);
      t.end();
    }
    const t = new TcpBench({ family: 4 });
    t.socket = t.tcp.openSocket(6);
    t.listen();
    t.rx({ seq: 0, flags: 'S', mss: 1_000 });
    t.tx({ seq: 0, ack: 1, flags: 'RA' });
    t.dropped('TcpNoPort');
    t.end();
  });

  describe('SYN cookies (RFC 4987 §3.6)', () => {
    both('beyond the SYN queue nothing is kept, and the ACK that brings the cookie back opens with all options', (family) => {
      const t = new TcpBench({ family, sysctl: { 'net.ipv4.tcp_max_syn_backlog': 2 } });
      t.listen();
      for (let n = 0; n < 2; n++) syn(t, n);
      t.sent.length = 0;
      assert.equal(t.tcp.flows.count, 2);
      syn(t, 9, { mss: 1_380, wscale: 5, ts: [500, 0] });
      const answer = t.syn({ flags: 'SA', ack: 1 });
      assert.equal(answer.options.timestamps, true);
      assert.equal(t.tcp.flows.count, 2);
      assert.equal(t.ctx.counters.get('TcpExtSyncookiesSent'), 1);
      t.after(ms(30));
      t.rx({ seq: 1, ack: 1, ts: [510, 'echo'], wnd: 100 });
      assert.equal(t.ctx.counters.get('TcpExtSyncookiesRecv'), 1);
      t.accepted();
      assert.equal(t.tcb.agreed.sack, true);
      assert.equal(t.tcb.snd.wscale, 5);
      assert.equal(t.tcb.snd.wnd, 3_200);
      assert.ok(t.tcb.snd.peerMss <= 1_380 && t.tcb.snd.peerMss >= 1_360);
      t.peer.timestamps = true;
      t.peer.ts = 520;
      t.write(100);
      t.tx({ seq: 1, flags: 'PA', data: 100 });
      t.end();
    });

    both('a cookie without timestamps opens without options; a forged or stale one is reset', (family) => {
      const t = new TcpBench({ family, sysctl: { 'net.ipv4.tcp_syncookies': 2 } });
      t.listen();
      syn(t, 0, { wscale: 7 });
      t.syn({ flags: 'SA', ack: 1, sackOk: false, wscale: -1 });
      t.rx({ seq: 1, ack: 2 });
      t.tx({ seq: 2, flags: 'R' });
      t.dropped('TcpBadCookie');
      t.after(ms(181_000));
      t.rx({ seq: 1, ack: 1 });
      t.tx({ seq: 1, flags: 'R' });
      t.dropped('TcpListenNoSyn');
      t.iss = 0;
      syn(t, 1);
      t.syn({ flags: 'SA', ack: 1 });
      t.rx({ seq: 1, ack: 1, data: 'go' });
      t.tx({ ack: 3 });
      t.accepted();
      assert.equal(Buffer.from(t.read()).toString(), 'go');
      t.end();
    });

    both('switched off: a SYN too many is dropped', (family) => {
      const t = new TcpBench({ family, sysctl: { 'net.ipv4.tcp_max_syn_backlog': 1, 'net.ipv4.tcp_syncookies': 0 } });
      t.listen();
      syn(t, 0);
      t.sent.length = 0;
      syn(t, 1);
      t.quiet();
      t.dropped('TcpSynQueueFull');
      t.end();
    });
  });

  describe('ports', () => {
    it('EADDRINUSE, SO_REUSEADDR, SO_REUSEPORT and families, as Linux has them', () => {
      const t = new TcpBench();
      const open = (family: 4 | 6 | 46, o: Record<string, number> = {}) => {
        const s = t.tcp.openSocket(family);
        for (const [name, value] of Object.entries(o)) s.setOption(name, value);
        return s;
      };
      const a = open(4);
      assert.equal(a.bind(null, 80), 0);
      assert.equal(open(4).bind(null, 80), -98);
      assert.equal(open(46).bind(null, 80), -98);
      assert.equal(open(6).bind(null, 80), 0);
      assert.equal(open(4).bind(t.remote, 81), -99);
      const r1 = open(4, { SO_REUSEADDR: 1 });
      const r2 = open(4, { SO_REUSEADDR: 1 });
      assert.equal(r1.bind(null, 82), 0);
      assert.equal(r2.bind(null, 82), 0);
      assert.equal(r1.listen(1), 0);
      assert.equal(r2.listen(1), -98);
      const p1 = open(4, { SO_REUSEPORT: 1 });
      const p2 = open(4, { SO_REUSEPORT: 1 });
      assert.equal(p1.bind(null, 83), 0);
      assert.equal(p2.bind(null, 83), 0);
      assert.equal(p1.listen(1), 0);
      assert.equal(p2.listen(1), 0);
      a.close();
      assert.equal(open(4).bind(null, 80), 0);
      t.end();
    });

    it('RFC 6056: ephemeral ports lie in their range and differ; when all are taken, EADDRNOTAVAIL', () => {
      const t = new TcpBench({ sysctl: { 'net.ipv4.ip_local_port_range_low': 40_000, 'net.ipv4.ip_local_port_range_high': 40_099 } });
      const ports = new Set<number>();
      for (let i = 0; i < 100; i++) {
        const s = t.tcp.openSocket(4);
        assert.equal(s.connect(t.remote, 80), -115);
        ports.add(s.localPort);
      }
      assert.equal(ports.size, 100);
      for (const port of ports) assert.ok(port >= 40_000 && port <= 40_099);
      assert.equal(t.tcp.openSocket(4).connect(t.remote, 80), -99);
      assert.equal(t.tcp.openSocket(4).connect(t.remote, 81), -115);
      t.end();
    });

    it('RFC 6191, MAY-2: a SYN with a later timestamp takes the place of a TIME-WAIT, with a later ISN', () => {
      for (const newer of [true, false]) {
        const t = new TcpBench();
        t.peer.timestamps = true;
        t.listen();
        syn(t, 0, { ts: [100, 0] });
        t.syn({ flags: 'SA', ack: 1 });
        t.rx({ seq: 1, ack: 1, ts: [101, 'echo'] });
        const listener = t.accepted();
        t.app(() => t.socket.shutdown('write'));
        t.tx({ flags: 'FA', seq: 1 });
        t.rx({ seq: 1, ack: 2, flags: 'FA', ts: [102, 'echo'] });
        t.tx({ ack: 2 });
        assert.equal(t.tcp.timeWaits.count, 1);
        t.rx({ seq: newer ? -1_000 : 0, flags: 'S', mss: 1_000, ts: [newer ? 103 : 90, 0] });
        const answer = t.sent.shift();
        assert.equal(answer?.flags, newer ? 'SA' : 'A');
        assert.equal(t.tcp.timeWaits.count, newer ? 0 : 1);
        if (newer) assert.ok((answer?.seq as number) > 2, 'the new ISN lies behind all that was sent');
        listener.close();
        t.sent.length = 0;
        t.end();
      }
    });
  });
});
