import assert from 'node:assert/strict';
import { Errno } from '#src/base/errors.js';
import { DatagramInfo } from '#src/net/socket/datagram-queue.js';
import type { UdpSocket } from '#src/net/socket/udp-socket.js';
import { address } from '../../support/stacks.js';
import { concat, hex, toHex } from '../../support/wire.js';
import { Bench6, icmp6, ipv6, PEER, PEER_LL, ROUTER_LL, udp6 } from '../../support/wire6.js';

describe('ICMPv6', () => {
  let t: Bench6;
  let socket: UdpSocket;
  beforeEach(() => {
    t = new Bench6();
    t.meet();
    socket = t.stack.udp.openSocket(6);
    socket.bind(null, 7);
    t.dropped({});
  });
  afterEach(() => {
    socket.close();
    t.end();
  });
  /** A packet we are said to have sent, for errors to quote. */
  const ours = (payload: Uint8Array, fields: Parameters<typeof ipv6>[0] = {}): Uint8Array => ipv6({ src: 'fd00::1', dst: PEER, payload, ...fields });
  const error = (type: number, code: number, rest: number, quoted: Uint8Array): void =>
    t.icmp(type, code, rest, quoted, { src: ROUTER_LL, dst: 'fd00::1' });
  const connect = (): void => assert.equal(socket.connect(address(PEER), 9), 0);

  describe('echo', () => {
    it('RFC 4443 §4.2: answered with its data from the address it was for', () => {
      t.icmp(128, 0, 0x00070001, hex('61626364'));
      const m = t.message();
      assert.deepEqual([m.type, m.rest, m.src, m.dst, m.hops, toHex(m.body)], [129, 0x00070001, 'fd00::1', PEER, 64, '61626364']);
      t.icmp(128, 0, 1, new Uint8Array(0), { src: PEER_LL, dst: Bench6.LL });
      assert.deepEqual(
        [t.message()].map((x) => [x.src, x.dst]),
        [[Bench6.LL, PEER_LL]],
      );
    });

    it('RFC 4443 §4.2: to a group it is answered from an address of ours, unless that is off', () => {
      t.icmp(128, 0, 1, new Uint8Array(0), { src: PEER_LL, dst: 'ff02::1' });
      assert.equal(t.message().src, Bench6.LL);
      t.icmp(128, 0, 1, new Uint8Array(0), { src: PEER, dst: 'ff02::1' });
      assert.equal(t.message().src, 'fd00::1');
      t.stack.ctx.sysctl.set('net.ipv6.icmp.echo_ignore_multicast', 1);
      t.icmp(128, 0, 1, new Uint8Array(0), { dst: 'ff02::1' });
      t.stack.ctx.sysctl.set('net.ipv6.icmp.echo_ignore_all', 1);
      t.icmp(128, 0, 1, new Uint8Array(0));
      t.icmp(128, 0, 1, new Uint8Array(0), { src: '::' });
      t.quiet();
      t.dropped({ IcmpEchoIgnored: 3 });
    });

    it('a raw socket that holds a request keeps a request', () => {
      const raw = t.stack.raw.openSocket(6, 58);
      t.icmp(128, 0, 0x00070001, hex('6162'));
      assert.equal(t.message().type, 129);
      const into = new Uint8Array(100);
      assert.equal(raw.receive(into, 0, 100, new DatagramInfo()), 10);
      assert.equal(into[0], 128);
      raw.close();
    });

    it('RFC 8201, a long one is answered in fragments once the path is known to be narrow', () => {
      const data = new Uint8Array(1_400).fill(7);
      t.icmp(128, 0, 1, data);
      const reply = t.message();
      t.icmp(2, 0, 1_300, ipv6({ src: 'fd00::1', dst: PEER, next: 58, payload: reply.payload }).subarray(0, 1_200), {
        src: ROUTER_LL,
        dst: 'fd00::1',
      });
      t.icmp(128, 0, 1, data);
      const pieces = t.seen();
      assert.deepEqual(
        pieces.map((p) => [p.next, p.payload.length <= 1_260]),
        [
          [44, true],
          [44, true],
        ],
      );
      t.wait(601);
      t.meet();
      t.icmp(128, 0, 1, data);
      assert.equal(t.message().type, 129);
    });
  });

  describe('errors out', () => {
    it('RFC 4443 §3.1: nobody at the port draws code 4 with as much of the packet as fits 1,280 octets', () => {
      const packet = udp6(1, 99, new Uint8Array(1_300));
      t.ip6({ payload: packet });
      const m = t.message();
      assert.deepEqual([m.type, m.code, m.rest, m.src, m.dst, m.payload.length], [1, 4, 0, 'fd00::1', PEER, 1_240]);
      assert.equal(toHex(m.body), toHex(ipv6({ payload: packet }).subarray(0, 1_232)));
      t.dropped({ UdpNoPort: 1 });
    });

    const never: [string, () => void][] = [
      [
        'e.1: about an error',
        () => t.ip6({ next: 60, payload: concat(hex('3a 00 9f 04 00000000'), icmp6(1, 4, 0, ours(udp6(7, 9)), PEER, 'fd00::1')) }),
      ],
      [
        'e.2: about a redirect',
        () => t.ip6({ next: 60, payload: concat(hex('3a 00 9f 04 00000000'), icmp6(137, 0, 0, new Uint8Array(32), PEER, 'fd00::1')) }),
      ],
      ['e.3: to a group', () => t.ip6({ dst: 'ff02::1', payload: udp6(1, 99, 'x', PEER, 'ff02::1') }, hex('333300000001'))],
      ['e.4: in a frame to a group', () => t.ip6({ payload: udp6(1, 99) }, hex('333300000001'))],
      ['e.5: in a frame to everybody', () => t.ip6({ payload: udp6(1, 99) }, hex('ffffffffffff'))],
      ['e.6: from nobody', () => t.ip6({ src: '::', payload: udp6(1, 99, 'x', '::') })],
    ];
    for (const [what, act] of never) {
      it(`RFC 4443 §2.4 ${what}: none`, () => {
        act();
        t.quiet();
      });
    }

    it('RFC 4443 §2.4f: they are rate-limited', () => {
      t.stack.ctx.sysctl.set('net.ipv4.icmp_msgs_burst', 5);
      t.stack.ctx.sysctl.set('net.ipv4.icmp_msgs_per_sec', 1);
      for (let i = 0; i < 20; i++) t.ip6({ payload: udp6(1, 99) });
      assert.equal(t.seen().length, 5);
      t.dropped({ UdpNoPort: 20, IcmpRateLimited: 15 });
    });
  });

  describe('errors in', () => {
    const codes: [number, number, number][] = [
      [1, 1, Errno.EACCES],
      [1, 4, Errno.ECONNREFUSED],
      [1, 5, Errno.EACCES],
      [1, 6, Errno.EACCES],
      [1, 99, Errno.EPROTO],
      [4, 1, Errno.EPROTO],
    ];
    for (const [type, code, errno] of codes) {
      it(`RFC 4443 §2.4d: type ${type} code ${code} is told to the socket that sent the packet quoted`, () => {
        connect();
        error(type, code, 0, ours(udp6(7, 9, 'x', 'fd00::1', PEER)));
        assert.equal(socket.takeError(), errno);
      });
    }

    it('soft errors are not: no route, address unreachable, hop limit, and ones nobody knows (RFC 4443 §2.4a)', () => {
      connect();
      for (const [type, code] of [
        [1, 0],
        [1, 3],
        [3, 0],
        [99, 0],
      ] as const)
        error(type, code, 0, ours(udp6(7, 9, 'x', 'fd00::1', PEER)));
      assert.equal(socket.takeError(), 0);
      t.dropped({});
    });

    it('RFC 4443 §2.4d: quoted extension headers are passed', () => {
      connect();
      error(1, 4, 0, ours(concat(hex('11 00 0104 00000000'), udp6(7, 9, 'x', 'fd00::1', PEER)), { next: 60 }));
      assert.equal(socket.takeError(), Errno.ECONNREFUSED);
    });

    it('RFC 5927: what we did not send changes nothing', () => {
      connect();
      error(1, 4, 0, ours(udp6(8, 9, 'x', 'fd00::1', PEER)));
      error(1, 4, 0, ipv6({ src: 'fd00::2', dst: PEER, payload: udp6(7, 9) }));
      error(1, 4, 0, ours(udp6(7, 9), { next: 200 }));
      error(2, 0, 1_300, ours(udp6(7, 10, 'x', 'fd00::1', PEER), { dst: 'fd00::a' }));
      error(1, 4, 0, ours(new Uint8Array(4)));
      assert.equal(socket.takeError(), 0);
      assert.equal(t.stack.ip.pathMtu.list().length, 0);
      t.dropped({ IcmpErrorUnmatched: 3 });
    });

    it('an error cut short of a quoted header', () => {
      t.icmp(1, 4, 0, new Uint8Array(30));
      t.dropped({ IcmpTruncated: 1 });
    });
  });

  describe('path MTU', () => {
    const big = (mtu: number): void => error(2, 0, mtu, ours(udp6(7, 9, 'x', 'fd00::1', PEER)));
    const mtu = (): number => t.stack.ip.pathMtu.get(address(PEER), 0);

    it('RFC 8201 §4: it is lowered, not below 1,280, and never raised', () => {
      connect();
      big(1_400);
      assert.equal(mtu(), 1_400);
      socket.takeError();
      big(1_450);
      assert.equal(mtu(), 1_400);
      big(1_279);
      t.dropped({ IcmpBadMtu: 1 });
      assert.equal(mtu(), 1_400);
      big(1_280);
      assert.equal(mtu(), 1_280);
    });

    it('RFC 8201 §5.1: a group has a path MTU too', () => {
      const to = 'ff0e::1234';
      const group = address(to);
      socket.setOption('IPV6_MULTICAST_IF', t.eth0.index);
      assert.equal(socket.sendTo(new Uint8Array(1_400), 0, 1_400, group, 9), 1_400);
      const [sent] = t.seen();
      assert.ok(sent);
      t.icmp(2, 0, 1_300, ipv6({ src: sent.src, dst: to, payload: sent.payload }).subarray(0, 1_200), { src: ROUTER_LL, dst: sent.src });
      assert.equal(socket.sendTo(new Uint8Array(1_400), 0, 1_400, group, 9), 1_400);
      assert.deepEqual(
        t.seen().map((p) => p.next),
        [44, 44],
      );
    });

    it('RFC 8200 §4.5: what is too long then is cut, fragments carry one identification and a multiple of 8', () => {
      connect();
      big(1_280);
      socket.takeError();
      const octets = Uint8Array.from({ length: 3_000 }, (_, i) => i);
      assert.equal(socket.sendTo(octets, 0, 3_000, null, 0), 3_000);
      const pieces = t.seen();
      assert.equal(pieces.length, 3);
      const ids = new Set(pieces.map((p) => toHex(p.payload.subarray(4, 8))));
      assert.equal(ids.size, 1);
      const labels = new Set(pieces.map((p) => p.flow));
      assert.equal(labels.size, 1);
      const whole = concat(...pieces.map((p) => p.payload.subarray(8)));
      assert.equal(toHex(whole.subarray(8)), toHex(octets));
      assert.deepEqual(
        pieces.map((p) => [p.payload[0], (((p.payload[2] as number) << 8) | (p.payload[3] as number)) & 0xfff8, (p.payload[3] as number) & 1]),
        [
          [17, 0, 1],
          [17, 1_232, 1],
          [17, 2_464, 0],
        ],
      );
      socket.sendTo(octets, 0, 3_000, null, 0);
      const [next] = t.seen();
      assert.ok(!ids.has(toHex((next as { payload: Uint8Array }).payload.subarray(4, 8))), 'the next datagram has another identification');
    });
  });

  describe('output', () => {
    it('RFC 6437 §3: a flow has one label, flows have different ones; off there is none', () => {
      const label = (port: number): number => {
        const s = t.stack.udp.openSocket(6);
        s.bind(null, 5_000);
        s.sendTo(new Uint8Array(1), 0, 1, address(PEER), port);
        s.close();
        return t.one().flow;
      };
      const first = label(9);
      assert.notEqual(first, 0);
      assert.equal(label(9), first);
      assert.notEqual(label(10), first);
      t.stack.ctx.sysctl.set('net.ipv6.auto_flowlabels', 0);
      assert.equal(label(9), 0);
    });

    it('hop limit and traffic class are what the socket says, or the router, or 64', () => {
      const hops = (): number => {
        socket.sendTo(new Uint8Array(1), 0, 1, address(PEER), 9);
        return t.one().hops;
      };
      assert.equal(hops(), 64);
      t.ra({ curHop: 33 });
      assert.equal(hops(), 33);
      socket.setOption('IPV6_UNICAST_HOPS', 5);
      socket.setOption('IPV6_TCLASS', 0xb8);
      assert.equal(hops(), 5);
      socket.sendTo(new Uint8Array(1), 0, 1, address(PEER), 9);
      assert.equal(t.one().tclass, 0xb8);
    });

    it('a next hop that does not answer is told to the connected socket', () => {
      const s = t.stack.udp.openSocket(6);
      s.connect(address('fd00::dead'), 9);
      s.sendTo(new Uint8Array(1), 0, 1, null, 0);
      t.wait(4);
      t.dropped({ NeighborFailed: 1 });
      s.close();
    });

    it('::1 and our own addresses go through the loopback queue', () => {
      const info = new DatagramInfo();
      for (const to of ['::1', 'fd00::1', Bench6.LL]) {
        assert.equal(socket.sendTo(hex('6869'), 0, 2, address(to), 7, to === Bench6.LL ? t.eth0.index : 0), 2);
        t.run();
        assert.equal(socket.receive(new Uint8Array(10), 0, 10, info), 2);
        assert.equal(info.address.toString(), to);
      }
      t.quiet();
    });
  });
});
