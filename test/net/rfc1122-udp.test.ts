import assert from 'node:assert/strict';
import { Errno } from '#src/base/errors.js';
import { DatagramInfo } from '#src/net/socket/datagram-queue.js';
import { address } from '../support/stacks.js';
import { Bench, concat, hex, udp } from '../support/wire.js';

describe('RFC 1122 §4.1: UDP', () => {
  let t: Bench;
  const into = new Uint8Array(100);
  beforeEach(() => {
    t = new Bench();
    t.introduce();
  });
  afterEach(() => t.end());

  it('§4.1.3.4: a datagram without a checksum is taken, one with a wrong one dropped in silence', () => {
    const socket = t.stack.udp.openSocket(4);
    socket.bind(null, 7);
    t.ip({ payload: udp(1, 7) });
    assert.equal(socket.receive(into, 0, 100, new DatagramInfo()), 1);
    t.ip({ payload: concat(hex('0001 0007 0009 0001'), hex('78')) });
    t.dropped({ UdpBadChecksum: 1 });
    t.quiet();
    socket.close();
  });

  it('§4.1.3.5: the local address is the given one, the one IP chooses otherwise, and is told', () => {
    const socket = t.stack.udp.openSocket(4);
    assert.equal(socket.connect(address('10.0.0.9'), 9), 0);
    assert.equal(`${socket.localAddress}`, '10.0.0.1');
    assert.notEqual(socket.localPort, 0);
    const other = t.stack.udp.openSocket(4);
    assert.equal(other.bind(address('10.0.0.1'), 5_000), 0);
    assert.equal(`${other.localAddress}:${other.localPort}`, '10.0.0.1:5000');
    assert.equal(other.bind(null, 0), -Errno.EINVAL, 'once');
    socket.close();
    other.close();
  });

  it('RFC 768: source port zero is a datagram like any other, to which no answer can be sent', () => {
    const socket = t.stack.udp.openSocket(4);
    socket.bind(null, 7);
    t.ip({ payload: udp(0, 7) });
    const info = new DatagramInfo();
    assert.equal(socket.receive(into, 0, 100, info), 1);
    assert.equal(info.port, 0);
    assert.equal(socket.sendTo(into, 0, 1, info.address, info.port), -Errno.EINVAL);
    socket.close();
  });

  it('RFC 768: port and address choose the receiver, the closest fit first', () => {
    const sockets = [null, address('10.0.0.1'), null].map((at, n) => {
      const socket = t.stack.udp.openSocket(4);
      socket.setOption('SO_REUSEADDR', 1);
      assert.equal(socket.bind(at, n === 2 ? 8 : 7), 0);
      return socket;
    });
    t.ip({ payload: udp(1, 7) });
    t.ip({ payload: udp(1, 8) });
    assert.deepEqual(
      sockets.map((socket) => socket.queue.count),
      [0, 1, 1],
    );
    for (const socket of sockets) socket.close();
  });
});
