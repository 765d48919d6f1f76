import assert from 'node:assert/strict';
import { seconds } from '#src/base/time.js';
import { TrackState } from '#src/net/filter/connection.js';
import { DatagramInfo } from '#src/net/socket/datagram-queue.js';
import { accept, chain } from '../../support/site.js';
import { Bench, checksum, concat, hex, icmp, udp } from '../../support/wire.js';

/** Idle connections are looked for this often. */
const SWEEP = 2;

/** A TCP segment from 10.0.0.9 port 5 to 10.0.0.1 port 80. */
function tcp(flags: number, seq: number, ack = 0): Uint8Array {
  const segment = new Uint8Array(20);
  const view = new DataView(segment.buffer);
  view.setUint16(0, 5);
  view.setUint16(2, 80);
  view.setUint32(4, seq);
  view.setUint32(8, ack);
  view.setUint16(12, 0x5000 | flags);
  view.setUint16(14, 60_000);
  view.setUint16(16, checksum(concat(hex('0a000009 0a000001 0006 0014'), segment)));
  return segment;
}

const [SYN, ACK] = [2, 16];

describe('tunables of connection tracking', () => {
  let t: Bench;
  const tracked = (): number => t.stack.filter.conntrack.size;
  const set = (name: string, value: unknown): void => t.stack.ctx.sysctl.set(name, value);
  beforeEach(() => {
    t = new Bench();
    t.introduce();
    t.stack.filter.set([chain('input', [[{ state: [TrackState.Established] }, accept]])]);
  });
  afterEach(() => t.end());
  /** Asserts that what is tracked now is so for `span` seconds more, and not much longer. */
  const lasts = (span: number): void => {
    assert.equal(tracked(), 1);
    t.run(seconds(span - 1));
    assert.equal(tracked(), 1, `for ${span} s`);
    t.run(seconds(1 + SWEEP));
    assert.equal(tracked(), 0, `after ${span} s`);
    t.frames();
  };

  it('net.netfilter.nf_conntrack_udp_timeout, net.netfilter.nf_conntrack_udp_timeout_stream: without an answer, and with one', () => {
    const socket = t.stack.udp.openSocket(4);
    socket.bind(null, 7);
    set('net.netfilter.nf_conntrack_udp_timeout', 20);
    set('net.netfilter.nf_conntrack_udp_timeout_stream', 40);
    t.ip({ payload: udp(1, 7) });
    lasts(20);
    t.ip({ payload: udp(1, 7) });
    const info = new DatagramInfo();
    socket.receive(new Uint8Array(10), 0, 10, info);
    socket.sendTo(new Uint8Array(1), 0, 1, info.address, 1);
    t.ip({ payload: udp(1, 7) });
    lasts(40);
    socket.close();
  });

  it('net.netfilter.nf_conntrack_icmp_timeout: echoes', () => {
    set('net.netfilter.nf_conntrack_icmp_timeout', 15);
    t.ip({ protocol: 1, payload: icmp(8, 0, 0x10001) });
    lasts(15);
  });

  it('net.netfilter.nf_conntrack_generic_timeout: other protocols', () => {
    const raw = t.stack.raw.openSocket(4, 99);
    set('net.netfilter.nf_conntrack_generic_timeout', 12);
    t.ip({ protocol: 99, payload: new Uint8Array(8) });
    lasts(12);
    raw.close();
  });

  it('anystack.conntrack_tcp_timeout_transitory, net.netfilter.nf_conntrack_tcp_timeout_established: being opened, and open', () => {
    set('anystack.conntrack_tcp_timeout_transitory', 30);
    set('net.netfilter.nf_conntrack_tcp_timeout_established', 300);
    const listener = t.stack.tcp.openSocket(4);
    listener.bind(null, 80);
    listener.listen(1);
    t.ip({ protocol: 6, payload: tcp(SYN, 100) });
    const [answer] = t.packets() as [Uint8Array];
    const iss = new DataView(answer.buffer, answer.byteOffset).getUint32(24);
    t.ip({ protocol: 6, payload: tcp(ACK, 101, iss + 1) });
    lasts(300);
    t.ip({ protocol: 6, payload: tcp(SYN, 9_000) });
    lasts(30);
    listener.close();
    t.frames();
  });

  it('net.netfilter.nf_conntrack_tcp_loose: connections whose beginning was not seen', () => {
    set('net.netfilter.nf_conntrack_tcp_loose', 0);
    t.ip({ protocol: 6, payload: tcp(ACK, 100, 1) });
    assert.equal(tracked(), 0);
    set('net.netfilter.nf_conntrack_tcp_loose', 1);
    t.ip({ protocol: 6, payload: tcp(ACK, 100, 1) });
    assert.equal(tracked(), 1);
    t.frames();
  });

  it('net.netfilter.nf_conntrack_max: the longest idle goes', () => {
    set('net.netfilter.nf_conntrack_max', 16);
    for (let port = 1; port <= 20; port++) t.ip({ payload: udp(port, 99) });
    assert.equal(tracked(), 16);
    t.frames();
  });
});
