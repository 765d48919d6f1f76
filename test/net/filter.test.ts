import assert from 'node:assert/strict';
import { Errno } from '#src/base/errors.js';
import { seconds } from '#src/base/time.js';
import { memoryLink } from '#src/hyper/memory-link.js';
import { VirtualClock } from '#src/hyper/virtual-host.js';
import { TrackState } from '#src/net/filter/connection.js';
import type { Chain } from '#src/net/filter/filter.js';
import { AddressSet, FilterRule, type HookName, type Match, type Verdict } from '#src/net/filter/rule.js';
import { MAIN_TABLE } from '#src/net/ip/route.js';
import { DatagramInfo } from '#src/net/socket/datagram-queue.js';
import type { TcpSocket } from '#src/net/socket/tcp-socket.js';
import type { UdpSocket } from '#src/net/socket/udp-socket.js';
import type { Stack } from '#src/net/stack.js';
import { address, assertEmpty, lone, prefix } from '../support/stacks.js';

const INSIDE = 2; // index of the gateway's inner interface; lo is 1
const OUTSIDE = 3;
const accept: Verdict = { kind: 'accept' };

function chain(hook: HookName, rules: readonly [Match, Verdict][], policy: 'accept' | 'drop' = 'accept'): Chain {
  return { name: hook, hook, policy, rules: rules.map(([match, verdict]) => new FilterRule(match, verdict)) };
}

/** inner hosts 192.168.0.2 and .3 – gateway 192.168.0.1 / 203.0.113.1 – outer host 203.0.113.9. */
class Site {
  readonly clock = new VirtualClock();
  readonly inner: Stack;
  readonly gateway: Stack;
  readonly outer: Stack;

  constructor() {
    const make = (name: string, n: number): Stack => lone(this.clock, name, {}, n).stack;
    [this.inner, this.gateway, this.outer] = [make('inner', 1), make('gateway', 2), make('outer', 3)];
    const [i0, g0] = memoryLink();
    const [g1, o0] = memoryLink();
    const eth0 = this.inner.addInterface('eth0', i0);
    this.inner.addAddress(eth0, prefix('192.168.0.2/24'));
    this.inner.addAddress(eth0, prefix('192.168.0.3/24'));
    this.gateway.addAddress(this.gateway.addInterface('lan', g0), prefix('192.168.0.1/24'));
    this.gateway.addAddress(this.gateway.addInterface('wan', g1), prefix('203.0.113.1/24'));
    this.outer.addAddress(this.outer.addInterface('eth0', o0), prefix('203.0.113.9/24'));
    this.inner.ip.routes.add({
      family: 4,
      prefix: address('0.0.0.0'),
      length: 0,
      type: 'unicast',
      index: eth0.index,
      gateway: address('192.168.0.1'),
      source: null,
      metric: 0,
      mtu: 0,
      table: MAIN_TABLE,
      vrf: 0,
      protocol: 'static',
    });
    this.gateway.ctx.sysctl.set('net.ipv4.ip_forward', 1);
  }

  run(span = seconds(0.5)): void {
    this.clock.advance(span);
  }

  udp(stack: Stack, port: number, at: string | null = null): UdpSocket {
    const socket = stack.udp.openSocket(4);
    assert.equal(socket.bind(at === null ? null : address(at), port), 0);
    return socket;
  }

  end(): void {
    for (const stack of [this.inner, this.gateway, this.outer]) stack.close();
    this.run();
    for (const stack of [this.inner, this.gateway, this.outer]) assertEmpty(stack);
  }
}

const send = (socket: UdpSocket, to: string, port: number, data = 'x'): number => {
  const octets = new TextEncoder().encode(data);
  return socket.sendTo(octets, 0, octets.length, address(to), port);
};
/** "address:port data" of the next datagram, or '' */
const next = (socket: UdpSocket): string => {
  const info = new DatagramInfo();
  const into = new Uint8Array(65_536);
  const n = socket.receive(into, 0, into.length, info);
  return n < 0 ? '' : `${info.address}:${info.port} ${new TextDecoder().decode(into.subarray(0, n))}`;
};

describe('filter', () => {
  let t: Site;
  const dropped = (): Record<string, number> => {
    const d = t.gateway.ctx.counters.dropped();
    t.gateway.ctx.counters.drops.fill(0);
    return d;
  };
  beforeEach(() => {
    t = new Site();
  });
  afterEach(() => t.end());

  describe('rules', () => {
    it('drop, reject and accept by address, port and interface, and count', () => {
      const inner = t.udp(t.inner, 1_000);
      inner.connect(address('203.0.113.9'), 7);
      // No NAT here: the outer host needs the way back.
      t.outer.ip.routes.add({
        family: 4,
        prefix: address('192.168.0.0'),
        length: 24,
        type: 'unicast',
        index: 2,
        gateway: address('203.0.113.1'),
        source: null,
        metric: 0,
        mtu: 0,
        table: MAIN_TABLE,
        vrf: 0,
        protocol: 'static',
      });
      const outer = t.udp(t.outer, 7);
      const rules = chain('forward', [
        [{ protocol: 17, destinationPort: [7, 7], inIndex: INSIDE, outIndex: OUTSIDE }, accept],
        [{ protocol: 17, destinationPort: [8, 9] }, { kind: 'reject' }],
        [{ source: prefix('192.168.0.3/32') }, { kind: 'drop' }],
      ]);
      t.gateway.filter.set([rules]);
      send(inner, '203.0.113.9', 7);
      t.run();
      assert.equal(next(outer), '192.168.0.2:1000 x');
      inner.disconnect();
      inner.connect(address('203.0.113.9'), 8);
      send(inner, '203.0.113.9', 8);
      t.run();
      assert.equal(inner.takeError(), Errno.ECONNREFUSED);
      const third = t.udp(t.inner, 0, '192.168.0.3');
      send(third, '203.0.113.9', 70);
      t.run();
      assert.deepEqual(dropped(), { FilterReject: 1, FilterDrop: 1 });
      assert.deepEqual(
        rules.rules.map((r) => r.packets),
        [1, 1, 1],
      );
      for (const socket of [inner, outer, third]) socket.close();
    });

    it('a stateful policy lets answers in and nothing else', () => {
      const g = t.gateway;
      g.filter.set([
        chain(
          'input',
          [
            [{ state: [TrackState.Established, TrackState.Related] }, accept],
            [{ protocol: 17, destinationPort: [53, 53] }, accept],
          ],
          'drop',
        ),
      ]);
      const client = t.udp(g, 0);
      const server = t.udp(t.outer, 7);
      send(client, '203.0.113.9', 7, 'ask');
      t.run();
      assert.equal(next(server), `203.0.113.1:${client.localPort} ask`);
      send(server, '203.0.113.1', client.localPort, 'answer');
      t.run();
      assert.equal(next(client), '203.0.113.9:7 answer');
      send(server, '203.0.113.1', 99, 'intruder');
      t.run();
      assert.deepEqual(dropped(), { FilterDrop: 1 });
      client.close();
      server.close();
    });

    it('a set of 1,000 prefixes is one condition; limits hold; jumps return', () => {
      const set = new AddressSet();
      for (let i = 0; i < 1_000; i++) set.add(prefix(`198.${i >> 8}.${i & 255}.0/24`));
      const limited: Chain = {
        name: 'limited',
        hook: null,
        policy: 'accept',
        rules: [new FilterRule({ limit: { perSecond: 1, burst: 2 } }, accept)],
      };
      t.gateway.filter.set([
        limited,
        chain(
          'input',
          [
            [{ source: set, protocol: 17 }, { kind: 'drop' }],
            [{ protocol: 17 }, { kind: 'jump', chain: 'limited' }],
          ],
          'accept',
        ),
      ]);
      const outer = t.udp(t.outer, 0);
      const sink = t.udp(t.gateway, 9);
      send(outer, '203.0.113.1', 9);
      t.run();
      assert.deepEqual(dropped(), {});
      set.add(prefix('203.0.113.0/24'));
      send(outer, '203.0.113.1', 9);
      t.run();
      assert.deepEqual(dropped(), { FilterDrop: 1 });
      outer.close();
      sink.close();
    });

    it('a jump to nowhere and a circle are refused with the chain named', () => {
      assert.throws(() => t.gateway.filter.set([chain('input', [[{}, { kind: 'jump', chain: 'nowhere' }]])]), /chain input jumps to nowhere/);
      assert.throws(
        () => t.gateway.filter.set([{ name: 'a', hook: null, policy: 'accept', rules: [new FilterRule({}, { kind: 'jump', chain: 'a' })] }]),
        /chain a jumps in a circle/,
      );
    });
  });

  describe('NAT', () => {
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
      assert.deepEqual(dropped(), {});
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
      for (let port = 1; port <= 40; port++) send(a, '203.0.113.9', port);
      t.run();
      assert.equal(t.gateway.filter.conntrack.size, 16);
      assert.equal(t.gateway.filter.nat.size, 1);
      t.run(seconds(200));
      assert.equal(t.gateway.filter.conntrack.size, 0);
      assert.equal(t.gateway.filter.nat.size, 0, 'the mapping goes with its last flow');
      a.close();
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
      t.outer.ip.routes.add({
        family: 4,
        prefix: address('10.1.0.0'),
        length: 24,
        type: 'unicast',
        index: 2,
        gateway: address('203.0.113.1'),
        source: null,
        metric: 0,
        mtu: 0,
        table: MAIN_TABLE,
        vrf: 0,
        protocol: 'static',
      });
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
});
