import assert from 'node:assert/strict';
import { Errno } from '#src/base/errors.js';
import { CHUNK } from '#src/base/packet.js';
import type { Slot } from '#src/base/slab.js';
import { address } from '../../support/stacks.js';
import { Bench, icmp, udp } from '../../support/wire.js';

describe('tunables of the stack', () => {
  let t: Bench;
  const begin = (sysctl: Record<string, unknown>): void => {
    t = new Bench(['10.0.0.1/24'], { sysctl });
    t.introduce();
  };
  afterEach(() => t.end());

  it('anystack.packets_max: descriptors end there', () => {
    begin({ 'anystack.packets_max': 64 });
    const { ctx } = t.stack;
    const held = Array.from({ length: 64 }, () => ctx.packet());
    assert(held.every((packet) => packet !== null));
    assert.equal(ctx.packet(), null);
    for (const packet of held) packet?.release();
  });

  it('anystack.big_slots_max: so many datagrams longer than a frame at one time', () => {
    begin({ 'anystack.big_slots_max': 4 });
    const socket = t.stack.udp.openSocket(4);
    socket.bind(null, 7);
    const results = Array.from({ length: 5 }, () => socket.sendTo(new Uint8Array(9_000), 0, 9_000, address('127.0.0.1'), 7));
    assert.deepEqual(results, [9_000, 9_000, 9_000, 9_000, -Errno.ENOBUFS]);
    socket.close();
  });

  it('anystack.socket_memory: chunks of all buffers end there', () => {
    begin({ 'anystack.socket_memory': 4 * CHUNK });
    const { chunks } = t.stack.ctx;
    const held: Slot[] = [];
    for (let slot = chunks.take(); slot !== null; slot = chunks.take()) held.push(slot);
    assert.equal(held.length * chunks.slotSize, 4 * CHUNK);
    for (const slot of held) slot.release();
  });

  it('anystack.txqueuelen: what a device does not take waits up to it', () => {
    begin({});
    t.stack.ctx.sysctl.set('anystack.txqueuelen', 2);
    const device = t.eth0.device as { transmit: unknown };
    const { transmit } = device;
    device.transmit = () => 0;
    for (let i = 0; i < 5; i++) t.ip({ protocol: 1, payload: icmp(8, 0, i) });
    t.dropped({ DeviceQueueFull: 3 });
    device.transmit = transmit;
    t.eth0.writable();
    assert.equal(t.packets().length, 2);
  });

  it('anystack.ingress_batch: a device is asked for no more at once', () => {
    begin({});
    t.stack.ctx.sysctl.set('anystack.ingress_batch', 3);
    const device = t.eth0.device as { receive(pool: unknown, into: unknown, max: number): number };
    const { receive } = device;
    const asked: number[] = [];
    device.receive = (pool, into, max) => {
      asked.push(max);
      return receive.call(device, pool, into, max);
    };
    t.ip({ payload: udp(1, 99) });
    device.receive = receive;
    assert.deepEqual(new Set(asked), new Set([3]));
  });

  it('net.core.rmem_default, net.core.rmem_max, net.core.wmem_default: buffers of new sockets, and what they may ask for', () => {
    begin({ 'net.core.rmem_default': 10_000, 'net.core.rmem_max': 20_000, 'net.core.wmem_default': 30_000 });
    for (const socket of [t.stack.udp.openSocket(4), t.stack.raw.openSocket(4, 1)]) {
      assert.equal(socket.getOption('SO_RCVBUF'), 10_000);
      socket.setOption('SO_RCVBUF', 1 << 20);
      assert.equal(socket.getOption('SO_RCVBUF'), 20_000);
      if (socket.kind === 'udp') assert.equal(socket.getOption('SO_SNDBUF'), 30_000);
      socket.close();
    }
  });

  it('net.core.wmem_max, net.core.rmem_max: what a TCP socket may ask for', () => {
    begin({ 'net.core.wmem_max': 40_000, 'net.core.rmem_max': 50_000 });
    const socket = t.stack.tcp.openSocket(4);
    const asked = ['SO_SNDBUF', 'SO_RCVBUF'].map((name) => {
      socket.setOption(name, 1 << 24);
      return Number(socket.getOption(name));
    });
    t.stack.ctx.sysctl.set('net.core.wmem_max', 400_000);
    t.stack.ctx.sysctl.set('net.core.rmem_max', 500_000);
    ['SO_SNDBUF', 'SO_RCVBUF'].forEach((name, i) => {
      socket.setOption(name, 1 << 24);
      assert.equal(Number(socket.getOption(name)), 10 * (asked[i] as number));
    });
    socket.close();
  });

  it('net.core.somaxconn: no backlog is greater', () => {
    begin({ 'net.core.somaxconn': 3 });
    const listener = t.stack.tcp.openSocket(4);
    listener.bind(null, 80);
    listener.listen(100);
    assert.equal(listener.listener?.backlog, 3);
    listener.close();
  });
});
