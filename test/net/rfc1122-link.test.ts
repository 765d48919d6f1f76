import assert from 'node:assert/strict';
import { seconds } from '#src/base/time.js';
import type { UdpSocket } from '#src/net/socket/udp-socket.js';
import { address } from '../support/stacks.js';
import { Bench, hex, ipv4, toHex, udp } from '../support/wire.js';

const answer = hex('0001 0800 06 04 0002 020000000009 0a000009 020000000001 0a000001');

describe('RFC 1122 §2: the link', () => {
  let t: Bench;
  let socket: UdpSocket;
  const begin = (sysctl: Record<string, unknown> = {}): void => {
    t = new Bench(['10.0.0.1/24'], { sysctl });
    socket = t.stack.udp.openSocket(4);
  };
  const send = (): number => socket.sendTo(new Uint8Array(1), 0, 1, address('10.0.0.9'), 9);
  afterEach(() => {
    socket.close();
    t.end();
  });

  it('§2.3.2.2: a packet that waited for ARP leaves with the answer', () => {
    begin();
    send();
    assert.deepEqual(t.packets(), []);
    t.ether(0x0806, answer);
    const [frame, ...more] = t.frames() as [Uint8Array];
    assert.equal(toHex(frame.subarray(0, 14)), `020000000009${toHex(t.mac)}0800`, 'RFC 894: EtherType 0800');
    assert.equal(more.length, 0);
  });

  it('§2.3.2.1: an entry nobody uses is forgotten', () => {
    begin({ 'net.ipv4.neigh.default.gc_stale_time': 20 });
    t.introduce();
    t.run(seconds(19));
    assert.notEqual(t.eth0.neighbors?.find(address('10.0.0.9')), null);
    send();
    t.ether(0x0806, answer);
    t.run(seconds(15));
    assert.notEqual(t.eth0.neighbors?.find(address('10.0.0.9')), null, 'it was used');
    t.run(seconds(60));
    t.frames();
    assert.equal(t.eth0.neighbors?.find(address('10.0.0.9')), null);
  });

  it('§2.3.3: a frame whose type is a length (RFC 1042) is dropped', () => {
    begin();
    t.ether(40, ipv4({ payload: udp(1, 9) }));
    t.dropped({ EthernetUnknownType: 1 });
    t.quiet();
  });

  it('§2.4: a missing ARP entry alone is no unreachable destination', () => {
    begin();
    socket.connect(address('10.0.0.9'), 9);
    assert.equal(socket.sendTo(new Uint8Array(1), 0, 1, null, 0), 1);
    t.run(seconds(2));
    assert.equal(socket.takeError(), 0);
    t.run(seconds(2));
    t.frames();
  });

  it('§3.3.1.4: a neighbour to whom nothing is sent is not asked', () => {
    begin();
    t.introduce();
    t.run(seconds(600));
    t.quiet();
  });

  it('RFC 826: what is known of the sender is brought up to date before the opcode is looked at, whoever is asked', () => {
    begin();
    t.introduce();
    for (const [op, low, target] of [
      ['0001', '21', '0a000005'],
      ['0002', '22', '0a000005'],
      ['0002', '23', '0a000009'],
    ] as const) {
      t.ether(0x0806, hex(`0001 0800 06 04 ${op} 0200000000${low} 0a000009 000000000000 ${target}`), hex('ffffffffffff'));
      const entry = t.eth0.neighbors?.find(address('10.0.0.9'));
      assert.equal((entry?.macLow ?? 0) & 255, Number.parseInt(low, 16));
    }
    t.quiet();
  });
});
