import assert from 'node:assert/strict';
import { Errno } from '#src/base/errors.js';
import { seconds } from '#src/base/time.js';
import { type MemoryLinkOptions, memoryLink } from '#src/hyper/memory-link.js';
import { VirtualClock } from '#src/hyper/virtual-host.js';
import { MAIN_TABLE, type Route } from '#src/net/ip/route.js';
import { DatagramInfo } from '#src/net/socket/datagram-queue.js';
import type { Stack } from '#src/net/stack.js';
import { address, assertEmpty, lone, prefix } from '../support/stacks.js';

/** host a – router – host b: 10.0.1.2 – 10.0.1.1, 10.0.2.1 – 10.0.2.2. */
class Line {
  readonly clock = new VirtualClock();
  readonly a: Stack;
  readonly router: Stack;
  readonly b: Stack;

  constructor(left: MemoryLinkOptions = {}, right: MemoryLinkOptions = {}) {
    const stacks = ['a', 'router', 'b'].map((name, n) => lone(this.clock, name, {}, n + 1).stack) as [Stack, Stack, Stack];
    [this.a, this.router, this.b] = stacks;
    const [a0, r0] = memoryLink(left);
    const [r1, b0] = memoryLink(right);
    this.a.addAddress(this.a.addInterface('eth0', a0), prefix('10.0.1.2/24'));
    this.router.addAddress(this.router.addInterface('eth0', r0), prefix('10.0.1.1/24'));
    this.router.addAddress(this.router.addInterface('eth1', r1), prefix('10.0.2.1/24'));
    this.b.addAddress(this.b.addInterface('eth0', b0), prefix('10.0.2.2/24'));
    this.route(this.a, '0.0.0.0/0', '10.0.1.1');
    this.route(this.b, '0.0.0.0/0', '10.0.2.1');
    this.router.ctx.sysctl.set('net.ipv4.ip_forward', 1);
  }

  route(stack: Stack, to: string, via: string | null, extra: Partial<Route> = {}): void {
    const { address: at, length } = prefix(to);
    const iface = stack.interfaces.named('eth0');
    stack.ip.routes.add({
      family: 4,
      prefix: at,
      length,
      type: 'unicast',
      index: iface?.index ?? 0,
      gateway: via === null ? null : address(via),
      source: null,
      metric: 0,
      mtu: 0,
      table: MAIN_TABLE,
      vrf: 0,
      protocol: 'static',
      ...extra,
    });
  }

  /** Sends from a to an address and lets time pass; the errno the connected socket has afterwards. */
  send(to: string, octets = 1, ttl = 0, port = 9): number {
    const socket = this.a.udp.openSocket(4);
    assert.equal(socket.connect(address(to), port), 0);
    if (ttl > 0) socket.setOption('IP_TTL', ttl);
    socket.sendTo(new Uint8Array(octets), 0, octets, null, 0);
    this.clock.advance(seconds(4));
    const error = socket.takeError();
    socket.close();
    return error;
  }

  end(): void {
    for (const stack of [this.a, this.router, this.b]) stack.close();
    this.clock.advance(seconds(1));
    for (const stack of [this.a, this.router, this.b]) assertEmpty(stack);
  }
}

describe('IPv4 forwarding', () => {
  let t: Line;
  const dropped = (): Record<string, number> => {
    const counted = t.router.ctx.counters.dropped();
    t.router.ctx.counters.drops.fill(0);
    return counted;
  };
  beforeEach(() => {
    t = new Line();
  });
  afterEach(() => t.end());

  it('RFC 1812 §5.2.1: packets pass both ways with one hop less', () => {
    const server = t.b.udp.openSocket(4);
    server.bind(null, 7);
    const info = new DatagramInfo();
    const client = t.a.udp.openSocket(4);
    client.sendTo(new Uint8Array(100), 0, 100, address('10.0.2.2'), 7);
    t.clock.advance(seconds(1));
    assert.equal(server.receive(new Uint8Array(100), 0, 100, info), 100);
    assert.equal(info.ttl, 63);
    assert.equal(`${info.address}`, '10.0.1.2');
    server.sendTo(new Uint8Array(50), 0, 50, info.address, info.port);
    t.clock.advance(seconds(1));
    assert.equal(client.receive(new Uint8Array(100), 0, 100, info), 50);
    assert.equal(t.router.ctx.counters.get('IpForwDatagrams'), 2);
    client.close();
    server.close();
  });

  it('RFC 1812 §5.3.1: a packet whose TTL runs out draws time exceeded', () => {
    const raw = t.a.raw.openSocket(4, 1);
    const socket = t.a.udp.openSocket(4);
    socket.setOption('IP_TTL', 1);
    socket.sendTo(new Uint8Array(1), 0, 1, address('10.0.2.2'), 9);
    t.clock.advance(seconds(1));
    const into = new Uint8Array(600);
    assert(raw.receive(into, 0, 600, new DatagramInfo()) > 0);
    assert.deepEqual([into[12], into[13], into[14], into[15], into[20], into[21]], [10, 0, 1, 1, 11, 0]);
    assert.deepEqual(dropped(), { IpTtlExceeded: 1 });
    socket.close();
    raw.close();
  });

  it('RFC 1812 §5.2.7.1: no route draws net unreachable, prohibit and unreachable say so, a blackhole nothing', () => {
    assert.equal(t.send('192.0.2.1'), 0, 'net unreachable is a soft error');
    t.route(t.router, '192.0.2.0/24', null, { type: 'prohibit', index: 0 });
    assert.equal(t.send('192.0.2.1'), Errno.EHOSTUNREACH);
    t.route(t.router, '192.0.3.0/24', null, { type: 'unreachable', index: 0 });
    t.send('192.0.3.1');
    t.route(t.router, '192.0.4.0/24', null, { type: 'blackhole', index: 0 });
    assert.equal(t.send('192.0.4.1'), 0);
    assert.deepEqual(dropped(), { IpNoRoute: 1, IpRouteProhibit: 1, IpRouteUnreachable: 1, IpRouteBlackhole: 1 });
  });

  it('a host that does not answer ARP draws host unreachable', () => {
    t.send('10.0.2.77');
    assert.deepEqual(dropped(), { NeighborFailed: 1 });
    assert.equal(t.a.ctx.counters.get('IcmpInDestUnreachs'), 1);
  });

  it('RFC 1191: a smaller link on the way draws fragmentation needed with its MTU; without DF the router cuts', () => {
    t.end();
    t = new Line({}, { mtu: 1_000 });
    const server = t.b.udp.openSocket(4);
    server.bind(null, 7);
    assert.equal(t.send('10.0.2.2', 1_400, 0, 7), Errno.EMSGSIZE);
    assert.deepEqual(dropped(), { IpTooBig: 1 });
    t.send('10.0.2.2', 1_400, 0, 7); // cut by the sender, who knows now
    const socket = t.a.udp.openSocket(4);
    socket.setOption('IP_MTU_DISCOVER', 0);
    t.a.ip.pathMtu.purge();
    t.a.ip.routes.invalidate();
    socket.sendTo(new Uint8Array(1_401), 0, 1_401, address('10.0.2.2'), 7);
    t.clock.advance(seconds(1));
    assert.equal(t.router.ctx.counters.get('IpFragOKs'), 1);
    assert.equal(server.receive(new Uint8Array(2_000), 0, 2_000, new DatagramInfo()), 1_400);
    assert.equal(server.receive(new Uint8Array(2_000), 0, 2_000, new DatagramInfo()), 1_401);
    socket.close();
    server.close();
  });

  it('RFC 2644: a directed broadcast is not forwarded unless asked for', () => {
    const socket = t.a.udp.openSocket(4);
    socket.sendTo(new Uint8Array(1), 0, 1, address('10.0.2.255'), 9);
    t.clock.advance(seconds(1));
    assert.deepEqual(dropped(), { IpBroadcastForward: 1 });
    t.router.ctx.sysctl.set('net.ipv4.conf.all.bc_forwarding', 1);
    socket.sendTo(new Uint8Array(1), 0, 1, address('10.0.2.255'), 9);
    t.clock.advance(seconds(1));
    assert.equal(t.b.ctx.counters.get('UdpNoPorts'), 1);
    socket.close();
  });

  it('RFC 3704: with a strict filter a source must be reachable where it comes from', () => {
    t.router.ctx.sysctl.set('net.ipv4.conf.all.rp_filter', 1);
    t.a.addAddress(t.a.interfaces.named('eth0') as never, prefix('192.0.2.2/32'));
    const socket = t.a.udp.openSocket(4);
    socket.bind(address('192.0.2.2'), 0);
    socket.sendTo(new Uint8Array(1), 0, 1, address('10.0.2.2'), 9);
    t.clock.advance(seconds(1));
    assert.deepEqual(dropped(), { IpReversePath: 1 });
    socket.close();
  });

  it('RFC 1812 §5.2.7.2: out where it came in draws a redirect, and the packet goes on', () => {
    t.route(t.router, '192.0.2.0/24', '10.0.1.9');
    t.send('192.0.2.1');
    assert.equal(t.a.ctx.counters.get('IcmpInRedirects'), 1);
  });

  it('RFC 3927 §7: link-local addresses do not pass', () => {
    t.a.addAddress(t.a.interfaces.named('eth0') as never, prefix('169.254.0.5/16'));
    const socket = t.a.udp.openSocket(4);
    socket.bind(address('169.254.0.5'), 0);
    socket.sendTo(new Uint8Array(1), 0, 1, address('10.0.2.2'), 9);
    t.clock.advance(seconds(1));
    assert.deepEqual(dropped(), { IpMartian: 1 });
    socket.close();
  });
});
