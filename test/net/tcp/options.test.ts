import assert from 'node:assert/strict';
import { both, established, ms } from '../../support/tcp-states.js';

describe('TCP: timestamps and windows (RFC 7323)', () => {
  both('§5.3 R1: a segment with an older timestamp draws an ACK and is dropped', (family) => {
    const t = established({ family, timestamps: true });
    t.rx({ ts: [1_010, 'echo'], data: 'a' });
    t.sent.length = 0;
    t.rx({ seq: 2, ts: [1_005, 'echo'], data: 'b' });
    t.tx({ ack: 2 });
    t.quiet();
    t.dropped('TcpPaws');
    t.end();
  });

  both('§5.3: a pure ACK that was overtaken draws no ACK', (family) => {
    const t = established({ family, timestamps: true });
    t.rx({ ts: [1_010, 'echo'], data: 'a' });
    t.sent.length = 0;
    t.rx({ seq: 2, ts: [1_005, 'echo'] });
    t.quiet();
    t.dropped('TcpPaws');
    t.end();
  });

  both('§5.2: RSTs are not checked', (family) => {
    const t = established({ family, timestamps: true });
    t.rx({ ts: [10, 'echo'], flags: 'R' });
    assert.equal(t.state, 'CLOSED');
    t.end();
  });

  both('§3.2: a segment without the option that was agreed upon is dropped, a RST is not', (family) => {
    const t = established({ family, timestamps: true });
    t.rx({ ts: null, data: 'a' });
    t.quiet();
    t.dropped('TcpNoTimestamp');
    t.rx({ ts: null, flags: 'R' });
    assert.equal(t.state, 'CLOSED');
    t.end();
  });

  both('§5.5: after 24 days of silence the old timestamp is forgotten', (family) => {
    const t = established({ family, timestamps: true });
    t.after(ms(24.1 * 24 * 3_600_000));
    t.sent.length = 0;
    t.rx({ ts: [5, 'echo'], data: 'a' });
    t.tx({ ack: 2 });
    t.end();
  });

  both('§4.3: TS.Recent is that of the segment that moved the left edge: a held ACK echoes the earlier', (family) => {
    const t = established({ family, timestamps: true, sysctl: { 'anystack.tcp_quick_acks': 0 } });
    t.rx({ seq: 1, ts: [1_001, 'echo'], data: 'a' });
    t.rx({ seq: 2, ts: [1_005, 'echo'], data: 'b' });
    t.after(ms(40));
    assert.equal(t.tx({ ack: 3 }).options.tsEcr, 1_001);
    t.rx({ seq: 9, ts: [1_009, 'echo'], data: 'z' });
    assert.equal(t.tx({ ack: 3 }).options.tsEcr, 1_001, 'neither lay at the left edge of what had been acknowledged');
    t.rx({ seq: 3, ts: [1_011, 'echo'], data: 'c' });
    assert.equal(t.tx({ ack: 4 }).options.tsEcr, 1_011);
    t.end();
  });

  both('§2.2: without the option in both SYNs no window is scaled; §2.3: more than 14 counts as 14', (family) => {
    const plain = established({ family });
    assert.equal(plain.socket.info()?.snd_wscale, 0);
    assert.equal(plain.socket.info()?.rcv_wscale, 0);
    plain.end();
    const t = established({ family, wscale: 20, snd: { wnd: 100 } });
    t.rx({ wnd: 2 });
    assert.equal(t.tcb.snd.wnd, 32_768);
    t.end();
  });
});

describe('TCP: ICMP and path MTU', () => {
  both('RFC 9293 MUST-56, RFC 5927 §4.1: errors are believed when they quote what is in flight', (family) => {
    const t = established({ family });
    t.icmp({ seq: 1, hard: true, errno: 111 });
    t.dropped('IcmpErrorForged');
    t.write(100);
    t.icmp({ seq: 1, hard: true, errno: 111 });
    t.dropped();
    assert.equal(t.state, 'ESTABLISHED', 'RFC 5927 §5.2: an open connection outlives hard errors');
    t.end();
  });

  both('a hard error ends an attempt to connect, a soft one does not', (family) => {
    const t = established({ family });
    t.end();
    for (const hard of [false, true]) {
      const u = established({ family });
      u.socket.close();
      u.socket = u.tcp.openSocket(family);
      u.socket.onReady = () => {};
      u.app(() => u.socket.connect(u.remote, 5_000));
      u.localPort = u.socket.localPort;
      u.remotePort = 5_000;
      u.sent.splice(0, u.sent.length - 1);
      u.syn({ flags: 'S' });
      u.icmp({ seq: 0, hard, errno: 111 });
      assert.equal(u.state, hard ? 'CLOSED' : 'SYN-SENT');
      if (hard) assert.equal(u.socket.takeError(), 111);
      u.sent.length = 0;
      u.end();
    }
  });

  both('RFC 1191 §6.4, RFC 8201: too big: what was too long goes out again at once, shorter', (family) => {
    const t = established({ family, mss: 1_400 });
    t.write(4_200);
    for (let i = 0; i < 3; i++) t.tx({ data: 1_400, flags: i === 2 ? 'PA' : 'A' });
    t.icmp({ seq: 1, kind: 'too-big', mtu: 1_280 });
    const mss = 1_280 - (family === 4 ? 40 : 60);
    assert.equal(t.tcb.snd.mss, mss);
    assert.equal(
      t.sent.reduce((n, s) => n + s.data.length, 0),
      4_200,
    );
    assert.ok(t.sent.every((s) => s.data.length <= mss));
    t.rx({ ack: 4_201 });
    t.sent.length = 0;
    t.end();
  });

  both('a too-big that names no smaller MTU is forged', (family) => {
    const t = established({ family });
    t.write(1_000);
    t.icmp({ seq: 1, kind: 'too-big', mtu: 1_500 });
    t.dropped('IcmpErrorForged');
    t.sent.length = 0;
    t.end();
  });

  both('RFC 4821 §7.7: when large segments vanish in silence, smaller ones are tried', (family) => {
    const t = established({ family, mss: 1_400 });
    t.write(2_800);
    t.sent.length = 0;
    t.after(ms(10_000));
    const sizes = t.sent.map((s) => s.data.length);
    assert.ok(sizes.includes(1_400));
    assert.ok(sizes.includes(1_024), `${sizes}`);
    t.sent.length = 0;
    t.end();
  });
});

describe('TCP: socket options', () => {
  it('what is set is what is got, ranges are checked, names unknown are ENOPROTOOPT', () => {
    const t = established();
    const { socket } = t;
    for (const [name, value] of [
      ['TCP_NODELAY', 1],
      ['TCP_KEEPIDLE', 77],
      ['TCP_USER_TIMEOUT', 5_000],
      ['IP_TOS', 16],
      ['IP_TTL', 9],
      ['SO_LINGER', 3],
    ] as const) {
      assert.equal(socket.setOption(name, value), 0);
      assert.equal(socket.getOption(name), value);
    }
    assert.equal(socket.setOption('TCP_KEEPCNT', 1_000), -22);
    assert.equal(socket.setOption('TCP_SPEED', 1), -92);
    assert.equal(socket.getOption('TCP_SPEED'), -92);
    assert.equal(socket.getOption('TCP_CONGESTION'), 'cubic');
    assert.equal(socket.setOption('TCP_CONGESTION', 'reno'), 0);
    assert.equal(socket.getOption('TCP_CONGESTION'), 'reno');
    assert.equal(socket.setOption('TCP_CONGESTION', 'warp'), -2);
    assert.equal(socket.setOption('SO_RCVBUF', 50_000), 0);
    assert.equal(socket.getOption('SO_RCVBUF'), 100_000);
    assert.equal(socket.getOption('TCP_MAXSEG'), 1_000);
    t.write('x');
    assert.equal(t.sent.at(-1)?.trafficClass, 16);
    assert.equal(t.tcp.openSocket(4).getOption('TCP_NODELAY'), 0, 'other sockets keep the defaults');
    t.sent.length = 0;
    t.end();
  });
});
