import assert from 'node:assert/strict';
import { millis, seconds } from '#src/base/time.js';
import { SHAPER_PACKETS_MAX } from '#src/net/link/shaper.js';
import type { UdpSocket } from '#src/net/socket/udp-socket.js';
import { address } from '../support/stacks.js';
import { Bench } from '../support/wire.js';

/** One megabit a second, frames of 1,042 octets: 8.3 ms each. */
const RATE = 1_000_000;

describe('shaper: a token bucket and FQ-CoDel (RFC 8290)', () => {
  let t: Bench;
  let sockets: UdpSocket[];
  beforeEach(() => {
    t = new Bench();
    t.introduce();
    t.eth0.neighbors?.setPermanent(address('10.0.0.9'), 0x0200, 9);
    t.eth0.shape({ bits: RATE, burst: 3_000 });
    sockets = [];
  });
  afterEach(() => {
    for (const socket of sockets) socket.close();
    t.end();
  });
  const opened = (tos = 0): UdpSocket => {
    const socket = t.stack.udp.openSocket(4);
    socket.setOption('IP_TOS', tos);
    sockets.push(socket);
    return socket;
  };
  const send = (socket: UdpSocket, port: number, octets = 1_000): void =>
    void socket.sendTo(new Uint8Array(octets), 0, octets, address('10.0.0.9'), port);
  /** Ports the frames went to that leave in a span, in their order. */
  const left = (span: number): number[] => {
    t.run(span);
    return t.packets().map((p) => ((p[22] as number) << 8) | (p[23] as number));
  };

  it('sends no faster than the rate, but for a burst after a pause', () => {
    const socket = opened();
    for (let i = 0; i < 60; i++) send(socket, 7);
    const first = left(0).length;
    assert.ok(first >= 3 && first <= 4, `${first} at once: 3,000 octets`);
    const rest = left(millis(400)).length;
    assert.ok(rest >= 46 && rest <= 50, `${rest} in 400 ms: 50,000 octets`);
    left(seconds(2));
    for (let i = 0; i < 10; i++) send(socket, 7);
    assert.equal(left(0).length, first, 'the bucket is full again, and no fuller');
  });

  it('§1.2: a sparse flow passes before one that has built a queue', () => {
    const bulk = opened();
    for (let i = 0; i < 20; i++) send(bulk, 7);
    left(0);
    send(opened(), 9, 20);
    const ports = left(millis(20));
    assert.ok(ports.includes(9) && ports.indexOf(9) <= 1, `${ports}: at most one was on its way already, and 17 waited`);
    left(seconds(1));
  });

  it('flows share evenly, frame by frame', () => {
    const [a, b] = [opened(), opened()];
    for (let i = 0; i < 30; i++) send(a as UdpSocket, 7);
    for (let i = 0; i < 30; i++) send(b as UdpSocket, 9);
    const ports = left(millis(250));
    const [sevens, nines] = [7, 9].map((port) => ports.filter((p) => p === port).length) as [number, number];
    assert.ok(Math.abs(sevens - nines) <= 4, `${sevens} and ${nines}`);
    left(seconds(1));
  });

  it('RFC 8289 §5: a flow that keeps a queue standing loses packets, ever more often; one that knows ECN is marked instead', () => {
    const socket = opened();
    const flood = (of: UdpSocket): void => {
      for (let ms = 0; ms < 1_000; ms += 5) {
        send(of, 7);
        t.run(millis(5));
      }
    };
    flood(socket);
    const { ShaperLate = 0, ...others } = t.stack.ctx.counters.dropped();
    assert.ok(ShaperLate > 3, `${ShaperLate}`);
    assert.deepEqual(others, {});
    left(seconds(4));
    t.stack.ctx.counters.drops.fill(0);
    flood(opened(2));
    const marked = t.packets().filter((p) => ((p[1] as number) & 3) === 3).length;
    assert.ok(marked > 3, `${marked}`);
    t.dropped({});
    left(seconds(4));
  });

  it('is bounded: past 1,024 packets the longest flow loses its oldest', () => {
    const [fat, thin] = [opened(), opened()];
    send(thin as UdpSocket, 9, 10);
    for (let i = 0; i < SHAPER_PACKETS_MAX + 50; i++) send(fat as UdpSocket, 7, 100);
    const dropped = t.stack.ctx.counters.dropped();
    assert.ok((dropped['ShaperFull'] ?? 0) >= 20, JSON.stringify(dropped));
    t.eth0.shape(null);
    assert.ok((t.stack.ctx.counters.dropped()['DeviceDown'] ?? 0) > 900, 'what waits goes with it');
    send(thin as UdpSocket, 9);
    assert.equal(left(0).at(-1), 9, 'and the next passes at once');
  });
});
