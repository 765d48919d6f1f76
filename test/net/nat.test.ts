import assert from 'node:assert/strict';
import { Errno } from '#src/base/errors.js';
import { seconds } from '#src/base/time.js';
import { DatagramInfo } from '#src/net/socket/datagram-queue.js';
import type { TcpSocket } from '#src/net/socket/tcp-socket.js';
import { chain, next, OUTSIDE, Site, send } from '../support/site.js';
import { address, prefix } from '../support/stacks.js';

describe('NAT', () => {
  let t: Site;
  beforeEach(() => {
    t = new Site();
  });
  afterEach(() => t.end());

  const masquerade = (): void => t.gateway.filter.set([chain('postrouting', [[{ outIndex: OUTSIDE }, { kind: 'masquerade' }]])]);

  it('RFC 4787 REQ-1: one internal endpoint has one external endpoint for all destinations, its port if that is free', () => {
    masquerade();
    const a = t.udp(t.inner, 4_000, '192.168.0.2');
    const b = t.udp(t.inner, 4_000, '192.168.0.3');
    const [s7, s8] = [t.udp(t.outer, 7), t.udp(t.outer, 8)];
    send(a, '203.0.113.9', 7);
    send(a, '203.0.113.9', 8);
    send(b, '203.0.113.9', 7);
    t.run();
    assert.equal(next(s7), '203.0.113.1:4000 x');
    assert.equal(next(s8), '203.0.113.1:4000 x');
    const other = next(s7);
    const port = Number(/:(\d+)/.exec(other)?.[1]);
    assert(port !== 4_000 && port >= 1_024 && port % 2 === 0, `RFC 4787 REQ-3, REQ-4: ${port} keeps range and parity`);
    send(s7, '203.0.113.1', port, 'back');
    t.run();
    assert.equal(next(b), '203.0.113.9:7 back');
    assert.equal(t.gateway.filter.conntrack.size, 3);
    for (const s of [a, b, s7, s8]) s.close();
  });

  it('RFC 4787 REQ-8: strangers pass by the filtering chosen', () => {
    masquerade();
    const a = t.udp(t.inner, 4_000, '192.168.0.2');
    const known = t.udp(t.outer, 7);
    const stranger = t.udp(t.outer, 8);
    send(a, '203.0.113.9', 7);
    t.run();
    send(stranger, '203.0.113.1', 4_000, 'no');
    t.run();
    assert.equal(next(a), '');
    t.gateway.filter.nat.filtering = 'address-dependent';
    t.gateway.filter.conntrack.flush((c) => c.original.sourcePort === 8);
    send(stranger, '203.0.113.1', 4_000, 'yes');
    t.run();
    assert.equal(next(a), '203.0.113.9:8 yes');
    for (const s of [a, known, stranger]) s.close();
  });

  it('RFC 4787 REQ-9: insiders reach each other by their outer endpoints (hairpinning)', () => {
    masquerade();
    const a = t.udp(t.inner, 4_000, '192.168.0.2');
    const sink = t.udp(t.outer, 7);
    send(a, '203.0.113.9', 7);
    t.run();
    const b = t.udp(t.inner, 5_000, '192.168.0.3');
    send(b, '203.0.113.1', 4_000, 'hello neighbour');
    t.run();
    assert.equal(next(a), '203.0.113.1:5000 hello neighbour');
    send(a, '203.0.113.1', 5_000, 'hello back');
    t.run();
    assert.equal(next(b), '203.0.113.1:4000 hello back');
    for (const s of [a, b, sink]) s.close();
  });

  it('a port forward reaches the inner server, TCP through its whole life', () => {
    t.gateway.filter.set([
      chain('prerouting', [
        [
          { inIndex: OUTSIDE, protocol: 6, destinationPort: [80, 80] },
          { kind: 'dnat', address: address('192.168.0.2'), ports: [8_080, 8_080] },
        ],
      ]),
    ]);
    const listener = t.inner.tcp.openSocket(4);
    listener.bind(null, 8_080);
    listener.listen(5);
    const client = t.outer.tcp.openSocket(4);
    client.connect(address('203.0.113.1'), 80);
    t.run();
    const server = listener.accept() as TcpSocket;
    assert(server !== null);
    assert.equal(`${server.remoteAddress}`, '203.0.113.9');
    const data = new Uint8Array(100_000).map((_, i) => i);
    assert.equal(client.write(data.subarray(0, 10_000), 0, 10_000), 10_000);
    t.run();
    const into = new Uint8Array(100_000);
    assert.equal(server.read(into, 0, into.length), 10_000);
    assert.deepEqual(into.subarray(0, 10_000), data.subarray(0, 10_000));
    client.close();
    server.close();
    listener.close();
    t.run(seconds(5));
    assert.deepEqual(t.dropped(), {});
    t.run(seconds(300));
    assert.equal(t.gateway.filter.conntrack.size, 0, 'RFC 5382 REQ-5: the entry goes after the transitory time');
  });

  it('RFC 5508 REQ-4: an error from outside reaches the inner socket, its quote turned back', () => {
    masquerade();
    const a = t.udp(t.inner, 4_000, '192.168.0.3');
    a.connect(address('203.0.113.9'), 99);
    send(a, '203.0.113.9', 99);
    t.run();
    assert.equal(a.takeError(), Errno.ECONNREFUSED);
    a.close();
  });

  it('RFC 5508 REQ-1: echo passes with its identifier mapped', () => {
    masquerade();
    const raw = t.inner.raw.openSocket(4, 1);
    const echo = Uint8Array.of(8, 0, 0, 0, 0x12, 0x34, 0, 1);
    const sum = ~(0x0800 + 0x1234 + 1) & 0xffff;
    echo.set([sum >> 8, sum & 255], 2);
    raw.sendTo(echo, 0, 8, address('203.0.113.9'));
    t.run();
    const into = new Uint8Array(100);
    assert.equal(raw.receive(into, 0, 100, new DatagramInfo()), 28);
    assert.deepEqual([...into.subarray(20, 28)], [0, 0, (~(0x1234 + 1) >> 8) & 255, ~(0x1234 + 1) & 255, 0x12, 0x34, 0, 1]);
    raw.close();
  });

  it('fragments are put together for tracking and cut again on the way out', () => {
    masquerade();
    const a = t.udp(t.inner, 4_000, '192.168.0.2');
    const s = t.udp(t.outer, 7);
    send(a, '203.0.113.9', 7);
    t.run();
    next(s);
    const data = 'z'.repeat(4_000);
    send(a, '203.0.113.9', 7, data);
    t.run();
    assert.equal(next(s), `203.0.113.1:4000 ${data}`);
    a.close();
    s.close();
  });

  it('the table is bounded: the longest idle goes, and when all are established the new one', () => {
    masquerade();
    t.gateway.ctx.sysctl.set('net.netfilter.nf_conntrack_max', 16);
    const a = t.udp(t.inner, 4_000, '192.168.0.2');
    send(a, '203.0.113.9', 1); // resolves the neighbours
    t.run();
    const lines: string[] = [];
    t.gateway.hyper.log = (level, message) => lines.push(`${level} ${message}`);
    for (let port = 1; port <= 40; port++) send(a, '203.0.113.9', port);
    t.run();
    assert.equal(t.gateway.filter.conntrack.size, 16);
    assert.equal(t.gateway.filter.nat.size, 1);
    assert.deepEqual(lines, ['warn tracking: 16 connections, as many as may be; the longest idle go'], 'once, however many go');
    t.run(seconds(200));
    assert.equal(t.gateway.filter.conntrack.size, 0);
    assert.equal(t.gateway.filter.nat.size, 0, 'the mapping goes with its last flow');
    a.close();
  });

  it('established connections are never displaced: a new one finds the table full', () => {
    masquerade();
    t.gateway.ctx.sysctl.set('net.netfilter.nf_conntrack_max', 16);
    const listener = t.outer.tcp.openSocket(4);
    listener.bind(null, 80);
    listener.listen(32);
    const clients = Array.from({ length: 16 }, () => t.inner.tcp.openSocket(4));
    for (const client of clients) {
      client.connect(address('203.0.113.9'), 80);
      t.run();
    }
    assert.equal(t.gateway.filter.conntrack.size, 16);
    const late = t.udp(t.inner, 0);
    send(late, '203.0.113.9', 9);
    t.run();
    assert.deepEqual(t.dropped(), { TrackFull: 1 });
    for (const socket of [...clients, late, listener]) socket.close();
  });

  it('a range of one port serves one flow; the next is refused and counted', () => {
    t.gateway.filter.set([chain('postrouting', [[{ outIndex: OUTSIDE }, { kind: 'snat', address: address('203.0.113.1'), ports: [6_000, 6_000] }]])]);
    const [a, b] = [t.udp(t.inner, 1_000), t.udp(t.inner, 1_001)];
    const server = t.udp(t.outer, 7);
    send(a, '203.0.113.9', 7);
    t.run();
    send(b, '203.0.113.9', 7);
    t.run();
    assert.equal(next(server), '203.0.113.1:6000 x');
    assert.equal(next(server), '');
    assert.deepEqual(t.dropped(), { NatNoPort: 1 });
    for (const socket of [a, b, server]) socket.close();
  });

  it('NETMAP: a machine appears under another prefix, statelessly', () => {
    t.gateway.filter.set([
      chain('prerouting', [
        [
          { inIndex: OUTSIDE, destination: prefix('10.1.0.0/24') },
          { kind: 'netmap', side: 'destination', to: prefix('192.168.0.0/24') },
        ],
      ]),
      chain('postrouting', [
        [
          { outIndex: OUTSIDE, source: prefix('192.168.0.0/24') },
          { kind: 'netmap', side: 'source', to: prefix('10.1.0.0/24') },
        ],
      ]),
    ]);
    t.routeBack('10.1.0.0/24');
    const machine = t.udp(t.inner, 502);
    const master = t.udp(t.outer, 0);
    send(master, '10.1.0.3', 502, 'poll');
    t.run();
    const asked = next(machine);
    assert.equal(asked, `203.0.113.9:${master.localPort} poll`);
    machine.close();
    const bound = t.udp(t.inner, 502, '192.168.0.3');
    send(bound, '203.0.113.9', master.localPort, 'value');
    t.run();
    assert.equal(next(master), '10.1.0.3:502 value');
    bound.close();
    master.close();
  });
});
