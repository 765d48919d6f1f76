import assert from 'node:assert/strict';
import { Errno } from '#src/base/errors.js';
import { seconds } from '#src/base/time.js';
import { DatagramInfo } from '#src/net/socket/datagram-queue.js';
import type { UdpSocket } from '#src/net/socket/udp-socket.js';
import { address, type Host, Net } from '../../support/stacks.js';

describe('both families on one socket', () => {
  let net: Net;
  const host = (n: number): Host => net.hosts[n] as Host;
  const opened: { close(): void }[] = [];
  const udp = (n: number, family: 4 | 6 | 46): UdpSocket => {
    const socket = host(n).stack.udp.openSocket(family);
    opened.push(socket);
    return socket;
  };
  beforeEach(() => {
    net = new Net(
      [
        ['10.0.0.1/24', 'fd00::1/64'],
        ['10.0.0.2/24', 'fd00::2/64'],
      ],
      { sysctl: { 'net.ipv6.conf.all.disable_ipv6': 0, 'net.ipv6.conf.all.dad_transmits': 0 } },
    );
    net.run();
  });
  afterEach(() => {
    for (const socket of opened.splice(0)) socket.close();
    net.end();
  });
  const take = (socket: UdpSocket): string => {
    const info = new DatagramInfo();
    return socket.receive(new Uint8Array(10), 0, 10, info) < 0 ? 'none' : `${info.address}`;
  };

  it('RFC 3493 §3.7: :: takes IPv4 too, unless it is for IPv6 only', () => {
    const dual = udp(0, 46);
    dual.bind(null, 7);
    const only = udp(0, 6);
    only.bind(null, 8);
    const sender = udp(1, 46);
    for (const port of [7, 8]) for (const to of ['10.0.0.1', 'fd00::1']) sender.sendTo(new Uint8Array(1), 0, 1, address(to), port);
    net.run();
    assert.deepEqual([take(dual), take(dual), take(dual)], ['10.0.0.2', 'fd00::2', 'none']);
    assert.deepEqual([take(only), take(only)], ['fd00::2', 'none']);
  });

  it('the reply goes out in the family the question came in', () => {
    const dual = udp(0, 46);
    dual.bind(null, 7);
    const asker = udp(1, 4);
    asker.bind(null, 9);
    asker.sendTo(new Uint8Array(1), 0, 1, address('10.0.0.1'), 7);
    net.run();
    const info = new DatagramInfo();
    assert.equal(dual.receive(new Uint8Array(1), 0, 1, info), 1);
    assert.equal(dual.sendTo(new Uint8Array(1), 0, 1, info.address, info.port), 1);
    net.run();
    assert.equal(take(asker), '10.0.0.1');
  });

  it('a port is free in the other family; :: for both takes both', () => {
    assert.equal(udp(0, 4).bind(null, 7), 0);
    assert.equal(udp(0, 6).bind(null, 7), 0);
    assert.equal(udp(0, 46).bind(null, 7), -Errno.EADDRINUSE);
    assert.equal(udp(0, 46).bind(address('fd00::1'), 8), 0);
    assert.equal(udp(0, 4).bind(null, 8), 0);
    assert.equal(udp(0, 46).bind(address('10.0.0.1'), 8), -Errno.EADDRINUSE);
  });

  it('a socket of one family does not speak to the other', () => {
    assert.equal(udp(0, 6).sendTo(new Uint8Array(1), 0, 1, address('10.0.0.2'), 7), -Errno.EAFNOSUPPORT);
    assert.equal(udp(0, 4).sendTo(new Uint8Array(1), 0, 1, address('fd00::2'), 7), -Errno.EAFNOSUPPORT);
    const bound = udp(0, 46);
    bound.bind(address('fd00::1'), 0);
    assert.equal(bound.sendTo(new Uint8Array(1), 0, 1, address('10.0.0.2'), 7), -Errno.ENETUNREACH);
  });

  for (const [to, zoned] of [
    ['fd00::1', false],
    ['10.0.0.1', false],
    ['link-local', true],
  ] as const) {
    it(`TCP connects to ${to}, carries octets and ends`, () => {
      const listener = host(0).stack.tcp.openSocket(46);
      listener.bind(null, 80);
      assert.equal(listener.listen(5), 0);
      const target = zoned ? host(0).eth0.addresses.find((a) => a.address.isLinkLocal && !a.address.isV4)?.address : address(to);
      assert.ok(target);
      const client = host(1).stack.tcp.openSocket(46);
      const result = client.connect(target, 80, zoned ? host(1).eth0.index : 0);
      assert.ok(result === 0 || result === -Errno.EINPROGRESS);
      net.run();
      const server = listener.accept();
      assert.ok(server !== null && typeof server !== 'number');
      const sent = Uint8Array.from({ length: 100_000 }, (_, i) => i);
      let done = 0;
      let got = 0;
      const into = new Uint8Array(65_536);
      for (let turn = 0; turn < 400 && got < sent.length; turn++) {
        const n = client.write(sent, done, sent.length - done);
        if (n > 0) done += n;
        net.run(seconds(0.01));
        for (let m = server.read(into, 0, into.length); m > 0; m = server.read(into, 0, into.length)) {
          for (let i = 0; i < m; i++) if (into[i] !== ((got + i) & 255)) assert.fail(`octet ${got + i}`);
          got += m;
        }
      }
      assert.equal(got, sent.length);
      client.close();
      server.close();
      listener.close();
      net.run(seconds(130));
    });
  }
});
