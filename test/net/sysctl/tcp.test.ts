import assert from 'node:assert/strict';
import { TcpBench } from '../../support/tcp-bench.js';
import { established, ms } from '../../support/tcp-states.js';

describe('tunables of TCP', () => {
  const connect = (sysctl: Record<string, unknown>): TcpBench => {
    const t = new TcpBench({ sysctl });
    t.app(() => t.socket.connect(t.remote, t.remotePort));
    t.localPort = t.socket.localPort;
    return t;
  };

  it('net.ipv4.tcp_sack, net.ipv4.tcp_window_scaling: what a SYN offers', () => {
    const t = connect({ 'net.ipv4.tcp_sack': 0, 'net.ipv4.tcp_window_scaling': 0 });
    t.syn({ flags: 'S', sackOk: false, wscale: -1 });
    t.end();
  });

  it('net.ipv4.tcp_syn_retries: how often a SYN is sent again', () => {
    const t = connect({ 'net.ipv4.tcp_syn_retries': 2 });
    t.after(ms(60_000));
    assert.equal(t.sent.length, 3);
    assert.equal(t.state, 'CLOSED');
    t.end();
  });

  it('net.ipv4.tcp_synack_retries: how often a SYN-ACK is sent again', () => {
    const t = new TcpBench({ sysctl: { 'net.ipv4.tcp_synack_retries': 1 } });
    t.listen();
    t.rx({ seq: 0, flags: 'S', mss: 1_000 });
    t.after(ms(60_000));
    assert.equal(t.sent.length, 2);
    t.end();
  });

  it('net.ipv4.tcp_retries2: how long data may stay unacknowledged', () => {
    const lives = (retries: number): boolean => {
      const t = established({ sysctl: { 'net.ipv4.tcp_retries2': retries } });
      t.write(100);
      t.after(ms(60_000));
      const open = t.state === 'ESTABLISHED';
      t.end();
      return open;
    };
    assert.deepEqual([lives(3), lives(15)], [false, true]);
  });

  it('net.ipv4.tcp_keepalive_time, net.ipv4.tcp_keepalive_intvl, net.ipv4.tcp_keepalive_probes: when an idle connection is asked, and given up', () => {
    const t = established({
      sysctl: { 'net.ipv4.tcp_keepalive_time': 10, 'net.ipv4.tcp_keepalive_intvl': 2, 'net.ipv4.tcp_keepalive_probes': 3 },
    });
    t.app(() => t.socket.setOption('SO_KEEPALIVE', 1));
    t.after(ms(9_900));
    assert.equal(t.sent.length, 0);
    t.after(ms(4_500));
    assert.equal(t.sent.length, 3);
    t.after(ms(5_000));
    assert.equal(t.state, 'CLOSED');
    t.end();
  });

  it('net.ipv4.tcp_fin_timeout: time in FIN-WAIT-2', () => {
    const t = established({ sysctl: { 'net.ipv4.tcp_fin_timeout': 3 } });
    t.app(() => t.socket.close());
    t.rx({ seq: 1, ack: 2 });
    assert.equal(t.tcp.flows.count, 1);
    t.after(ms(3_500));
    assert.equal(t.tcp.flows.count, 0);
    t.end();
  });

  it('net.ipv4.tcp_rto_min_us: least retransmission timeout', () => {
    const again = (least: number): number => {
      const t = established({ sysctl: { 'net.ipv4.tcp_rto_min_us': least, 'net.ipv4.tcp_early_retrans': 0 } });
      t.write(100);
      t.rx({ ack: 101 });
      t.write(100);
      t.sent.length = 0;
      t.after(ms(900));
      const { length } = t.sent;
      t.end();
      return length;
    };
    assert(again(100_000) > again(900_000));
  });
});
