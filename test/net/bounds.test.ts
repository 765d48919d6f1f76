import assert from 'node:assert/strict';
import { Errno } from '#src/base/errors.js';
import { Checksum, Gso } from '#src/base/packet.js';
import { DatagramInfo } from '#src/net/socket/datagram-queue.js';
import { address, type Host, Net } from '../support/stacks.js';
import { Bench, icmp, udp } from '../support/wire.js';

describe('bounds: what is lost when something is full', () => {
  describe('of a stack on a wire', () => {
    let t: Bench;
    const begin = (sysctl: Record<string, unknown>): void => {
      t = new Bench(['10.0.0.1/24'], { sysctl });
      t.introduce();
    };
    afterEach(() => t.end());

    it('NoBuffer: without a slot an answer is not made, and the next one is', () => {
      begin({ 'anystack.slots_max': 64 });
      const held = Array.from({ length: 64 }, () => t.stack.ctx.slab.take());
      t.ip({ payload: udp(1, 99) });
      t.dropped({ UdpNoPort: 1, NoBuffer: 1 });
      t.quiet();
      for (const slot of held) slot?.release();
      t.ip({ payload: udp(1, 99) });
      assert.equal(t.packets().length, 1);
    });

    it('DeviceQueueFull: what a stalled device does not take waits up to txqueuelen', () => {
      begin({ 'anystack.txqueuelen': 8 });
      const socket = t.stack.udp.openSocket(4);
      const device = t.eth0.device as { transmit: unknown };
      const { transmit } = device;
      device.transmit = () => 0;
      for (let i = 0; i < 12; i++) {
        const result = socket.sendTo(new Uint8Array(1), 0, 1, address('10.0.0.9'), 9);
        assert.equal(result, i < 8 ? 1 : -Errno.EAGAIN, 'a socket looks at the backlog first');
      }
      t.ip({ protocol: 1, payload: icmp(8, 0, 1) });
      t.dropped({ DeviceQueueFull: 1 });
      device.transmit = transmit;
      t.eth0.writable();
      assert.equal(t.packets().length, 8);
      socket.close();
    });

    it('SegmentMalformed: a big frame that makes no plain ones is dropped', () => {
      begin({});
      const packet = t.stack.ctx.packet();
      assert(packet !== null);
      packet.network = packet.transport = packet.link = packet.head;
      packet.tail = packet.head + 10;
      packet.gsoType = Gso.Tcp4;
      packet.gsoSize = 1_000;
      packet.checksum = Checksum.Partial;
      t.eth0.transmit(packet);
      t.dropped({ SegmentMalformed: 1 });
    });

    it('RawReceiveBufferFull: a raw socket that does not read loses the newest', () => {
      begin({});
      const raw = t.stack.raw.openSocket(4, 1);
      raw.setOption('SO_RCVBUF', 2_048);
      for (let i = 0; i < 3; i++) t.ip({ protocol: 1, payload: icmp(0, 0, i) });
      t.dropped({ RawReceiveBufferFull: 2 });
      assert(raw.receive(new Uint8Array(100), 0, 100, new DatagramInfo()) > 0);
      raw.close();
    });

    it('NeighborTableFull: with every entry set by hand the packet goes', () => {
      begin({ 'anystack.neighbors_max': 4, 'net.ipv4.ip_forward': 1 });
      for (let i = 0; i < 4; i++) t.eth0.neighbors?.setPermanent(address(`10.0.0.${20 + i}`), 0x0200, i);
      t.ip({ dst: '10.0.0.100', payload: udp(1, 99) });
      t.dropped({ NeighborTableFull: 1 });
      t.quiet();
    });
  });

  it('LoopbackQueueFull: more to ourselves in one turn than the queue holds', () => {
    const net = new Net([['10.0.0.1/24']]);
    const [{ stack }] = net.hosts as [Host];
    const socket = stack.udp.openSocket(4);
    socket.bind(null, 7);
    for (let i = 0; i < 1_010; i++) socket.sendTo(new Uint8Array(1), 0, 1, address('127.0.0.1'), 7);
    assert.equal(stack.ctx.counters.dropped()['LoopbackQueueFull'], 10);
    net.run();
    socket.close();
    net.end();
  });
});
