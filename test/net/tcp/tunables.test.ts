/** Tunables of TCP that no test of a mechanism sets: each, and what it changes. */
import assert from 'node:assert/strict';
import { errnoName } from '#src/base/errors.js';
import { millis } from '#src/base/time.js';
import { Ready } from '#src/net/socket/socket.js';
import { TcpBench } from '../../support/tcp-bench.js';
import { type EstablishedOptions, established } from '../../support/tcp-states.js';

type Values = Record<string, unknown>;

/** An established connection over a path of 100 ms, with these tunables. */
const open = (sysctl: Values, more: EstablishedOptions = {}): TcpBench => established({ rtt: millis(100), snd: { wnd: 60_000 }, sysctl, ...more });

/** What `look` finds with the default and with the value. */
function compare<T>(name: string, value: unknown, look: (t: TcpBench) => T, before: T, after: T, more: EstablishedOptions = {}): void {
  for (const [sysctl, expected] of [
    [{}, before],
    [{ [name]: value }, after],
  ] as const) {
    const t = open({ ...more.sysctl, ...sysctl }, { ...more, sysctl: { ...more.sysctl, ...sysctl } });
    assert.deepEqual(look(t), expected, JSON.stringify(sysctl));
    t.sent.length = 0;
    t.end();
  }
}

const sizes = (t: TcpBench): number[] => t.sent.splice(0).map((s) => s.data.length);

/** Both sides have closed, the peer first: ours is in TIME-WAIT when it closed first. */
function closed(t: TcpBench): void {
  t.app(() => t.socket.close());
  t.rx({ ack: 2 });
  t.rx({ flags: 'FA', ack: 2 });
  t.sent.length = 0;
}

describe('TCP: tunables', () => {
  it('net.ipv4.tcp_dsack: a segment that came twice is reported', () => {
    const look = (t: TcpBench): number => {
      t.rx({ seq: 1, data: 100 });
      t.sent.length = 0;
      t.rx({ seq: 1, data: 100 });
      return t.sent[0]?.options.sackCount ?? -1;
    };
    compare('net.ipv4.tcp_dsack', 0, look, 1, 0);
  });

  it('net.ipv4.tcp_wmem: the size of the send buffer, and how far it grows', () => {
    compare('net.ipv4.tcp_wmem', [4_096, 8_192, 8_192], (t) => t.write(1_000_000) <= 8_192, false, true);
  });

  it('net.ipv4.tcp_moderate_rcvbuf: the window follows what the application reads per round trip', () => {
    const look = (t: TcpBench): boolean => {
      const { space } = t.tcb.rcv;
      for (let i = 0, seq = 1; i < 40; i++) {
        for (let k = 0; k < 20; k++, seq += 1_000) t.rx({ seq, data: 1_000 });
        t.read();
        t.after(millis(100));
      }
      return t.tcb.rcv.space > space;
    };
    const rmem = { 'net.ipv4.tcp_rmem': [4_096, 60_000, 6_000_000] };
    compare('net.ipv4.tcp_moderate_rcvbuf', 0, look, true, false, { sysctl: rmem, wscale: 7, timestamps: true });
  });

  it('net.ipv4.tcp_retries1: timeouts before the next hop is doubted', () => {
    const look = (t: TcpBench): number => {
      t.write(100);
      t.after(millis(1_500));
      return t.ip.suspected.length;
    };
    compare('net.ipv4.tcp_retries1', 1, look, 0, 1);
  });

  it('net.ipv4.tcp_orphan_retries: how long a connection without application is tried', () => {
    const look = (t: TcpBench): number => {
      t.write(100);
      t.app(() => t.socket.close());
      t.after(millis(20_000));
      return t.tcp.flows.count;
    };
    compare('net.ipv4.tcp_orphan_retries', 2, look, 1, 0);
  });

  it('net.ipv4.tcp_frto: after the first ACK new data is tried before what may be lost', () => {
    const look = (t: TcpBench): number => {
      t.write(5_000);
      t.after(millis(100));
      t.rx({ ack: 5_001 });
      t.write(5_000);
      for (let i = 0; i < 100 && t.socket.info()?.ca_state !== 4; i++) t.after(millis(10));
      t.write(10_000);
      t.sent.length = 0;
      t.rx({ ack: 6_001 });
      return t.sent[0]?.seq ?? 0;
    };
    compare('net.ipv4.tcp_frto', 0, look, 10_001, 6_001);
  });

  it('net.ipv4.tcp_reordering: segments beyond a hole that are no loss yet', () => {
    const look = (t: TcpBench): boolean => {
      t.write(8_000);
      t.sent.length = 0;
      t.rx({ ack: 1, sack: [[1_001, 4_001]] });
      return t.sent.some((s) => s.seq === 1);
    };
    compare('net.ipv4.tcp_reordering', 5, look, true, false, { sysctl: { 'net.ipv4.tcp_recovery': 0 } });
  });

  it('net.ipv4.tcp_limited_transmit: new segments on the first duplicate ACKs', () => {
    const look = (t: TcpBench): number[] => {
      t.write(20_000);
      t.sent.length = 0;
      t.rx({ ack: 1 });
      t.rx({ ack: 1 });
      return sizes(t);
    };
    compare('net.ipv4.tcp_limited_transmit', 0, look, [1_000, 1_000], [], { sack: false });
  });

  it('net.ipv4.tcp_slow_start_after_idle: a window that was not used is forgotten', () => {
    const look = (t: TcpBench): number => {
      for (let i = 0, acked = 1; i < 3; i++) {
        t.write(10_000 << i);
        t.after(millis(100));
        acked += 10_000 << i;
        t.rx({ ack: acked });
      }
      t.sent.length = 0;
      t.after(millis(10_000));
      t.write(30_000);
      return sizes(t).length;
    };
    compare('net.ipv4.tcp_slow_start_after_idle', 0, look, 10, 30);
  });

  it('net.ipv4.tcp_notsent_lowat: with more unsent a socket is not writable', () => {
    const look = (t: TcpBench): boolean => {
      t.write(15_000);
      return (t.socket.readiness() & Ready.Writable) !== 0;
    };
    compare('net.ipv4.tcp_notsent_lowat', 1_000, look, true, false, { options: { SO_SNDBUF: 100_000 } });
  });

  it('net.ipv4.tcp_max_tw_buckets: connections in TIME-WAIT', () => {
    const look = (t: TcpBench): number => {
      closed(t);
      return t.tcp.timeWaits.count;
    };
    compare('net.ipv4.tcp_max_tw_buckets', 0, look, 1, 0);
  });

  it('anystack.tcp_time_wait: how long', () => {
    const look = (t: TcpBench): number => {
      closed(t);
      t.after(millis(6_000));
      return t.tcp.timeWaits.count;
    };
    compare('anystack.tcp_time_wait', 5, look, 1, 0);
  });

  it('net.ipv4.tcp_tw_reuse: a connection may take over its port in TIME-WAIT', () => {
    const look = (t: TcpBench): string => {
      closed(t);
      t.after(millis(2_000));
      const next = t.tcp.openSocket(t.family);
      next.setOption('SO_REUSEADDR', 1);
      next.bind(null, t.localPort);
      const result = errnoName(next.connect(t.remote, t.remotePort));
      next.abort();
      return result;
    };
    compare('net.ipv4.tcp_tw_reuse', 1, look, 'EADDRNOTAVAIL', 'EINPROGRESS', { timestamps: true });
  });

  it('net.ipv4.tcp_min_snd_mss: a peer that asks for less is not obeyed', () => {
    compare('net.ipv4.tcp_min_snd_mss', 300, (t) => t.tcb.snd.mss, 100, 300, { mss: 100 });
  });

  it('anystack.tcp_buffers: what a size counts', () => {
    const look = (t: TcpBench): unknown => {
      const socket = t.tcp.openSocket(t.family);
      socket.setOption('SO_RCVBUF', 20_000);
      return socket.getOption('SO_RCVBUF');
    };
    compare('anystack.tcp_buffers', 'bsd', look, 40_000, 20_000);
  });

  it('anystack.tcp_ack_second: every second segment, however short', () => {
    const look = (t: TcpBench): number => {
      t.rx({ seq: 1, data: 2 });
      t.rx({ seq: 3, data: 2 });
      return t.sent.length;
    };
    compare('anystack.tcp_ack_second', 1, look, 0, 1, { sysctl: { 'anystack.tcp_quick_acks': 0 } });
  });

  it('net.ipv4.tcp_min_tso_segs: the least burst', () => {
    const look = (t: TcpBench): number[] => {
      t.write(8_000);
      return t.sent.splice(0).flatMap((s, i) => (s.flags.includes('P') ? [i] : []));
    };
    compare('net.ipv4.tcp_min_tso_segs', 4, look, [1, 3, 5, 7], [3, 7]);
  });

  it('anystack.tcp_ack_repeats_fin: an ACK carries the FIN that is not acknowledged', () => {
    const look = (t: TcpBench): string => {
      t.app(() => t.socket.shutdown('write'));
      t.sent.length = 0;
      t.rx({ flags: 'FA', ack: 1 });
      return t.sent[0]?.flags.includes('F') === true ? 'FIN' : '';
    };
    compare('anystack.tcp_ack_repeats_fin', 1, look, '', 'FIN');
  });

  it('anystack.tcp_reset_error: what a RST is called after the FIN of the peer', () => {
    const look = (t: TcpBench): string => {
      t.rx({ flags: 'FA' });
      t.rx({ seq: 2, flags: 'R' });
      return errnoName(-t.socket.takeError());
    };
    compare('anystack.tcp_reset_error', 'bsd', look, 'EPIPE', 'ECONNRESET');
  });

  it('anystack.tcp_drop_synfin: SYN with FIN is no SYN', () => {
    for (const drop of [1, 0]) {
      const t = new TcpBench({ sysctl: { 'anystack.tcp_drop_synfin': drop } });
      t.listen();
      t.rx({ seq: 0, flags: 'SF', mss: 1_000 });
      assert.equal(t.sent.length, drop === 1 ? 0 : 1);
      t.sent.length = 0;
      t.end();
    }
  });

  it('a SYN-ACK with FIN is taken in any case (RFC 9293 §3.10.7.3)', () => {
    const t = new TcpBench();
    t.socket.onReady = () => {};
    t.socket.connect(t.remote, t.remotePort);
    t.localPort = t.socket.localPort;
    t.clock.run(t.clock.now);
    t.syn({ flags: 'S' });
    t.rx({ seq: 0, ack: 1, flags: 'SFA', mss: 1_000 });
    t.tx({ seq: 1, ack: 2 });
    assert.equal(t.state, 'CLOSE-WAIT');
    t.end();
  });

  it('anystack.tcp_delayed_ack: how long an ACK waits', () => {
    const look = (t: TcpBench): number => {
      t.rx({ data: 10 });
      t.after(millis(15));
      return t.sent.length;
    };
    compare('anystack.tcp_delayed_ack', 10, look, 0, 1, { sysctl: { 'anystack.tcp_quick_acks': 0 } });
  });

  it('anystack.tcp_pacing: a window is spread over the round trip', () => {
    const look = (t: TcpBench): number => {
      t.write(1_000);
      t.after(millis(100));
      t.rx({ ack: 1_001 });
      t.sent.length = 0;
      t.write(10_000);
      const atOnce = t.sent.length;
      t.after(millis(60));
      return t.sent.length - atOnce > 3 ? atOnce : -atOnce;
    };
    compare('anystack.tcp_pacing', 1, look, -10, 2);
  });
});
