import assert from 'node:assert/strict';
import { Errno } from '#src/base/errors.js';
import { DatagramInfo } from '#src/net/socket/datagram-queue.js';
import type { UdpSocket } from '#src/net/socket/udp-socket.js';
import { address, type Host, Net } from '../support/stacks.js';
import { both } from '../support/tcp-states.js';

const text = (socket: UdpSocket, info = new DatagramInfo()): string => {
  const into = new Uint8Array(65_536);
  const n = socket.receive(into, 0, into.length, info);
  return n < 0 ? `errno ${-n}` : new TextDecoder().decode(into.subarray(0, n));
};
const send = (socket: UdpSocket, data: string, to: string, port: number): number => {
  const octets = new TextEncoder().encode(data);
  return socket.sendTo(octets, 0, octets.length, address(to), port);
};

const sysctl = {
  'net.ipv6.conf.all.disable_ipv6': 0,
  'net.ipv6.conf.all.dad_transmits': 0,
  'net.ipv6.conf.all.router_solicitations': 0,
  'net.ipv6.conf.all.ndisc_notify': 0,
};
/** The n-th host of the subnet. */
const at = (family: 4 | 6, n: number): string => (family === 4 ? `10.0.0.${n}` : `fd00::${n}`);

describe('UDP', () => {
  let net: Net;
  let a: Host;
  let b: Host;
  beforeEach(() => {
    net = new Net(
      [1, 2].map((n) => [`10.0.0.${n}/24`, `fd00::${n}/64`]),
      { sysctl },
    );
    [a, b] = net.hosts as [Host, Host];
  });
  afterEach(() => net.end());

  both('RFC 768: a datagram arrives with its source, and the answer finds its way', (family) => {
    const server = b.stack.udp.openSocket(family);
    assert.equal(server.bind(null, 7), 0);
    const client = a.stack.udp.openSocket(family);
    assert.equal(send(client, 'hello', at(family, 2), 7), 5);
    net.run();
    const info = new DatagramInfo();
    assert.equal(text(server, info), 'hello');
    assert.equal(`${info.address}:${info.port}`, `${at(family, 1)}:${client.localPort}`);
    assert.equal(`${info.destination}`, at(family, 2));
    assert.equal(info.ttl, 64);
    assert.equal(send(server, 'hello yourself', at(family, 1), info.port), 14);
    net.run();
    assert.equal(text(client), 'hello yourself');
    assert.equal(text(client), `errno ${Errno.EAGAIN}`);
    server.close();
    client.close();
  });

  both('RFC 1122 §4.1.3.1: nobody at the port draws port unreachable, a connected socket hears of it', (family) => {
    const client = a.stack.udp.openSocket(family);
    assert.equal(client.connect(address(at(family, 2)), 9), 0);
    send(client, 'x', at(family, 2), 9);
    net.run();
    assert.equal(b.stack.ctx.counters.dropped()['UdpNoPort'], 1);
    assert.equal(text(client), `errno ${Errno.ECONNREFUSED}`);
    client.close();
  });

  both('RFC 791 §3.2, RFC 8200 §4.5: as much as a datagram holds travels in fragments and arrives whole', (family) => {
    const server = b.stack.udp.openSocket(family);
    server.bind(null, 7);
    server.setOption('SO_RCVBUF', 1 << 20);
    const client = a.stack.udp.openSocket(family);
    const most = family === 4 ? 65_507 : 65_527;
    const data = new Uint8Array(most).map((_, i) => i * 7);
    // Its fragments wait for resolution: NEIGHBOR_PENDING_MAX is more than they are.
    assert.equal(client.sendTo(data, 0, data.length, address(at(family, 2)), 7), data.length);
    net.run();
    const into = new Uint8Array(65_536);
    assert.equal(server.receive(into, 0, into.length, new DatagramInfo()), data.length);
    assert.deepEqual(into.subarray(0, data.length), data);
    assert.equal(b.stack.ctx.counters.get(family === 4 ? 'IpReasmOKs' : 'Ip6ReasmOKs'), 1);
    assert.equal(client.sendTo(new Uint8Array(most + 1), 0, most + 1, address(at(family, 2)), 7), -Errno.EMSGSIZE);
    client.close();
    server.close();
  });

  both('a port bound twice is in use unless both agree to share', (family) => {
    const one = b.stack.udp.openSocket(family);
    const two = b.stack.udp.openSocket(family);
    assert.equal(one.bind(null, 53), 0);
    assert.equal(two.bind(address(at(family, 2)), 53), -Errno.EADDRINUSE);
    assert.equal(two.bind(address(at(family, 9)), 53), -Errno.EADDRNOTAVAIL);
    one.close();
    assert.equal(two.bind(address(at(family, 2)), 53), 0);
    two.close();
  });

  both('a full receive buffer drops the newest and counts it', (family) => {
    const server = b.stack.udp.openSocket(family);
    server.bind(null, 7);
    server.setOption('SO_RCVBUF', 4_096);
    const client = a.stack.udp.openSocket(family);
    send(client, 'x', at(family, 2), 7);
    net.run();
    for (let i = 0; i < 4; i++) send(client, 'y', at(family, 2), 7);
    net.run();
    assert.equal(b.stack.ctx.counters.dropped()['UdpReceiveBufferFull'], 3);
    client.close();
    server.close();
  });

  it('RFC 1122 §4.1.3.6: a broadcast needs SO_BROADCAST and reaches every socket of the port', () => {
    const servers = [1, 2].map(() => {
      const socket = b.stack.udp.openSocket(4);
      socket.setOption('SO_REUSEADDR', 1);
      assert.equal(socket.bind(null, 67), 0);
      return socket;
    });
    const client = a.stack.udp.openSocket(4);
    assert.equal(send(client, 'x', '10.0.0.255', 67), -Errno.EACCES);
    client.setOption('SO_BROADCAST', 1);
    assert.equal(send(client, 'x', '10.0.0.255', 67), 1);
    assert.equal(send(client, 'y', '255.255.255.255', 67), 1);
    net.run();
    for (const server of servers) {
      assert.equal(text(server), 'x');
      assert.equal(text(server), 'y');
      server.close();
    }
    client.close();
  });

  both('a datagram to ourselves goes through the loopback queue', (family) => {
    const server = a.stack.udp.openSocket(family);
    server.bind(null, 7);
    assert.equal(send(server, 'me', family === 4 ? '127.0.0.1' : '::1', 7), 2);
    assert.equal(send(server, 'too', at(family, 1), 7), 3);
    net.run();
    assert.equal(text(server), 'me');
    assert.equal(text(server), 'too');
    server.close();
  });
});
