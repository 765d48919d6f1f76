import assert from 'node:assert/strict';
import { Errno } from '#src/base/errors.js';
import { DatagramInfo } from '#src/net/socket/datagram-queue.js';
import type { UdpSocket } from '#src/net/socket/udp-socket.js';
import { address } from '../../support/stacks.js';
import { concat, hex, toHex } from '../../support/wire.js';
import { Bench6, icmp6, ipv6, PEER, PEER_LL, ROUTER_LL, ROUTER_MAC, sourceLink, targetLink, udp6 } from '../../support/wire6.js';

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
  const error = (type: number, code: number, rest: number, quoted: Uint8Array): void => t.icmp(type, code, rest, quoted, { src: ROUTER_LL, dst: 'fd00::1' });
  const connect = (): void => assert.equal(socket.connect(address(PEER), 9), 0);

  describe('echo', () => {
    it('RFC 4443 §4.2: answered with its data from the address it was for', () => {
      t.icmp(128, 0, 0x00070001, hex('61626364'));
      const m = t.message();
      assert.deepEqual([m.type, m.rest, m.src, m.dst, m.hops, toHex(m.body)], [129, 0x00070001, 'fd00::1', PEER, 64, '61626364']);
      t.icmp(128, 0, 1, new Uint8Array(0), { src: PEER_LL, dst: Bench6.LL });
      assert.deepEqual([t.message()].map((x) => [x.src, x.dst]), [[Bench6.LL, PEER_LL]]);
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
      t.icmp(2, 0, 1_300, ipv6({ src: 'fd00::1', dst: PEER, next: 58, payload: reply.payload }).subarray(0, 1_200), { src: ROUTER_LL, dst: 'fd00::1' });
      t.icmp(128, 0, 1, data);
      const pieces = t.seen();
      assert.deepEqual(pieces.map((p) => [p.next, p.payload.length <= 1_260]), [[44, true], [44, true]]);
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
      ['e.1: about an error', () => t.ip6({ next: 60, payload: concat(hex('3a 00 9f 04 00000000'), icmp6(1, 4, 0, ours(udp6(7, 9)), PEER, 'fd00::1')) })],
      ['e.2: about a redirect', () => t.ip6({ next: 60, payload: concat(hex('3a 00 9f 04 00000000'), icmp6(137, 0, 0, new Uint8Array(32), PEER, 'fd00::1')) })],
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
      for (const [type, code] of [[1, 0], [1, 3], [3, 0], [99, 0]] as const) error(type, code, 0, ours(udp6(7, 9, 'x', 'fd00::1', PEER)));
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
      assert.deepEqual(pieces.map((p) => [p.payload[0], (((p.payload[2] as number) << 8) | (p.payload[3] as number)) & 0xfff8, (p.payload[3] as number) & 1]), [[17, 0, 1], [17, 1_232, 1], [17, 2_464, 0]]);
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

  describe('as a router', () => {
    let out: Bench6;
    // The stack has a second interface whose far end is quiet; its routes decide.
    const forward = (fields: Parameters<Bench6['ip6']>[0] = {}): void => t.ip6({ dst: '2001:db8::9', payload: udp6(1, 2, 'x', fields.src ?? PEER, '2001:db8::9'), ...fields });
    beforeEach(() => {
      out = new Bench6();
      t.stack.ctx.sysctl.set('net.ipv6.conf.all.forwarding', 1);
      t.stack.ip.routes.add({ family: 6, prefix: address('2001:db8::'), length: 32, type: 'unicast', index: t.eth0.index, gateway: address(ROUTER_LL), source: null, metric: 1, mtu: 0, table: 254, vrf: 0, protocol: 'static' });
      t.ns(Bench6.LL, [sourceLink(ROUTER_MAC)], { src: ROUTER_LL });
      t.seen();
      t.dropped({});
    });
    afterEach(() => out.end());

    it('RFC 8200 §3: the hop limit falls by one; RFC 4861 §8.2: the neighbour hears of the better first hop', () => {
      forward({ hops: 9 });
      const [redirect, packet] = t.seen();
      assert.deepEqual([packet?.hops, packet?.dst, packet?.toMac, packet?.src], [8, '2001:db8::9', ROUTER_MAC, PEER]);
      assert.deepEqual([redirect?.payload[0], redirect?.src, redirect?.dst, redirect?.hops], [137, Bench6.LL, PEER, 255]);
      assert.equal(toHex((redirect?.payload as Uint8Array).subarray(8, 24)), 'fe800000000000000000000000000005');
      assert.equal(toHex((redirect?.payload as Uint8Array).subarray(40, 48)), `0201${ROUTER_MAC}`);
      assert.ok((redirect?.payload.length as number) + 40 <= 1_280);
    });

    const refused: [string, Parameters<Bench6['ip6']>[0], Record<string, number>, [number, number] | null][] = [
      ['RFC 4443 §3.3: hop limit 1', { hops: 1 }, { IpTtlExceeded: 1 }, [3, 0]],
      ['RFC 4443 §3.3: hop limit 0', { hops: 0 }, { IpTtlExceeded: 1 }, [3, 0]],
      ['RFC 4443 §3.1: no route', { dst: '2001:dead::1' }, { IpNoRoute: 1 }, [1, 0]],
      ['RFC 4291 §2.5.6: a link-local destination', { dst: 'fe80::77' }, { IpMartian: 1 }, null],
      ['RFC 4291 §2.5.2: from nobody', { src: '::' }, { IpMartian: 1 }, null],
      ['a group (no multicast routing)', { dst: 'ff0e::1' }, { IpGroupNotJoined: 1 }, null],
    ];
    for (const [what, fields, drops, told] of refused) {
      it(`${what}`, () => {
        forward(fields);
        t.dropped(drops);
        if (told === null) t.quiet();
        else assert.deepEqual([t.message()].map((m) => [m.type, m.code]), [told]);
      });
    }

    for (const [type, code, drop] of [['prohibit', 1, 'IpRouteProhibit'], ['unreachable', 0, 'IpRouteUnreachable'], ['blackhole', null, 'IpRouteBlackhole']] as const) {
      it(`a route of type ${type}`, () => {
        t.stack.ip.routes.add({ family: 6, prefix: address('2001:db8:5::'), length: 48, type, index: 0, gateway: null, source: null, metric: 1, mtu: 0, table: 254, vrf: 0, protocol: 'static' });
        forward({ dst: '2001:db8:5::1' });
        t.dropped({ [drop]: 1 });
        if (code === null) t.quiet();
        else assert.deepEqual([t.message()].map((m) => [m.type, m.code]), [[1, code]]);
      });
    }

    it('RFC 4443 §3.2: what is longer than the next link draws packet too big with its MTU, to groups too', () => {
      t.stack.ip.routes.add({ family: 6, prefix: address('2001:db8:6::'), length: 48, type: 'unicast', index: t.eth0.index, gateway: address(ROUTER_LL), source: null, metric: 1, mtu: 1_300, table: 254, vrf: 0, protocol: 'static' });
      t.stack.ctx.sysctl.set('net.ipv6.conf.all.send_redirects', 0);
      forward({ dst: '2001:db8:6::1', payload: udp6(1, 2, new Uint8Array(1_300)) });
      const m = t.message();
      assert.deepEqual([m.type, m.code, m.rest], [2, 0, 1_300]);
      t.dropped({ IpTooBig: 1 });
    });

    it('RFC 8200 §4: a router judges hop-by-hop options and nothing behind them', () => {
      t.stack.ctx.sysctl.set('net.ipv6.conf.all.send_redirects', 0);
      forward({ next: 60, payload: concat(hex('11 00 9f 04 00000000'), udp6(1, 2)) });
      assert.equal(t.one().next, 60);
      forward({ next: 43, payload: concat(hex('11 02 00 01 00000000'), new Uint8Array(16), udp6(1, 2)) });
      assert.equal(t.one().next, 43);
      forward({ next: 0, payload: concat(hex('11 00 9f 04 00000000'), udp6(1, 2)) });
      assert.deepEqual([t.message()].map((m) => [m.type, m.code, m.rest]), [[4, 2, 42]]);
      t.dropped({ IpUnknownOption: 1 });
    });

    it('a frame to a group with a unicast packet is not forwarded', () => {
      t.ip6({ dst: '2001:db8::9', payload: udp6(1, 2) }, hex('333300000001'));
      t.dropped({ IpBroadcastForward: 1 });
    });

    it('RFC 4443 §3.1: a next hop that does not answer draws code 3', () => {
      t.stack.ctx.sysctl.set('net.ipv6.conf.all.send_redirects', 0);
      t.ip6({ dst: 'fd00::77', payload: udp6(1, 2, 'x', PEER, 'fd00::77') });
      t.wait(4);
      const told = t.seen().filter((p) => p.payload[0] === 1);
      assert.deepEqual(told.map((p) => [p.payload[1], p.dst]), [[3, PEER]]);
    });
  });

  it('the peer is found by its advertisement', () => {
    t.na(PEER, 0x60, [targetLink()]);
    t.quiet();
  });
});
