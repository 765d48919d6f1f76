import assert from 'node:assert/strict';
import { type Packet, PacketPool, SMALL_SLOT } from '#src/base/packet.js';
import { Slab } from '#src/base/slab.js';
import { type MemoryDevice, memoryLink } from '#src/hyper/memory-link.js';
import { address, prefix } from '../../support/stacks.js';
import { concat, hex, toHex } from '../../support/wire.js';
import { Bench6, ipv6, PEER, PEER_LL, ROUTER_LL, ROUTER_MAC, sourceLink, udp6 } from '../../support/wire6.js';

describe('IPv6 forwarding', () => {
  let t: Bench6;
  const forward = (fields: Parameters<Bench6['ip6']>[0] = {}): void =>
    t.ip6({ dst: '2001:db8::9', payload: udp6(1, 2, 'x', fields.src ?? PEER, '2001:db8::9'), ...fields });
  beforeEach(() => {
    t = new Bench6();
    t.meet();
    t.stack.ctx.sysctl.set('net.ipv6.conf.all.forwarding', 1);
    t.stack.ip.routes.add({
      family: 6,
      prefix: address('2001:db8::'),
      length: 32,
      type: 'unicast',
      index: t.eth0.index,
      gateway: address(ROUTER_LL),
      source: null,
      metric: 1,
      mtu: 0,
      table: 254,
      vrf: 0,
      protocol: 'static',
    });
    t.ns(Bench6.LL, [sourceLink(ROUTER_MAC)], { src: ROUTER_LL });
    t.seen();
    t.dropped({});
  });
  afterEach(() => t.end());

  it('RFC 8200 §3: the hop limit falls by one; RFC 4861 §8.2: the neighbour hears of the better first hop', () => {
    forward({ hops: 9 });
    const [redirect, packet] = t.seen();
    assert.deepEqual([packet?.hops, packet?.dst, packet?.toMac, packet?.src], [8, '2001:db8::9', ROUTER_MAC, PEER]);
    assert.deepEqual([redirect?.payload[0], redirect?.src, redirect?.dst, redirect?.hops], [137, Bench6.LL, PEER, 255]);
    assert.ok(redirect);
    assert.equal(toHex(redirect.payload.subarray(8, 24)), 'fe800000000000000000000000000005');
    assert.equal(toHex(redirect.payload.subarray(40, 48)), `0201${ROUTER_MAC}`);
    assert.ok(redirect.payload.length + 40 <= 1_280);
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
      else
        assert.deepEqual(
          [t.message()].map((m) => [m.type, m.code]),
          [told],
        );
    });
  }

  for (const [type, code, drop] of [
    ['prohibit', 1, 'IpRouteProhibit'],
    ['unreachable', 0, 'IpRouteUnreachable'],
    ['blackhole', null, 'IpRouteBlackhole'],
  ] as const) {
    it(`a route of type ${type}`, () => {
      t.stack.ip.routes.add({
        family: 6,
        prefix: address('2001:db8:5::'),
        length: 48,
        type,
        index: 0,
        gateway: null,
        source: null,
        metric: 1,
        mtu: 0,
        table: 254,
        vrf: 0,
        protocol: 'static',
      });
      forward({ dst: '2001:db8:5::1' });
      t.dropped({ [drop]: 1 });
      if (code === null) t.quiet();
      else
        assert.deepEqual(
          [t.message()].map((m) => [m.type, m.code]),
          [[1, code]],
        );
    });
  }

  it('RFC 4443 §3.2: what is longer than the next link draws packet too big with its MTU, to groups too', () => {
    t.stack.ip.routes.add({
      family: 6,
      prefix: address('2001:db8:6::'),
      length: 48,
      type: 'unicast',
      index: t.eth0.index,
      gateway: address(ROUTER_LL),
      source: null,
      metric: 1,
      mtu: 1_300,
      table: 254,
      vrf: 0,
      protocol: 'static',
    });
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
    assert.deepEqual(
      [t.message()].map((m) => [m.type, m.code, m.rest]),
      [[4, 2, 42]],
    );
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
    assert.deepEqual(
      told.map((p) => [p.payload[1], p.dst]),
      [[3, PEER]],
    );
  });

  describe('between two links', () => {
    const second = (medium: 'ethernet' | 'ip'): MemoryDevice => {
      const [near, far] = memoryLink({ offloads: 0, medium, macs: [hex('0200000000a1'), hex('0200000000a2')] });
      far.start({ readable: () => {}, writable: () => {}, carrier: () => {}, mtu: () => {}, failed: () => {} });
      const eth1 = t.stack.addInterface('eth1', near);
      t.stack.addAddress(eth1, prefix('2001:db8:1::1/64'));
      t.run();
      return far;
    };

    it('RFC 4443 §3.1: a link-local source does not leave its link, and draws code 2', () => {
      second('ethernet');
      t.meet(PEER_LL);
      t.dropped({});
      forward({ src: PEER_LL, dst: '2001:db8:1::9' });
      assert.deepEqual(
        [t.message()].map((m) => [m.type, m.code]),
        [[1, 2]],
      );
      t.dropped({ IpMartian: 1 });
    });

    it('RFC 4443 §3.1: a packet does not bounce on a point-to-point link, and draws code 3', () => {
      const far = second('ip');
      const pool = new PacketPool(8);
      const packet = pool.from(new Slab(SMALL_SLOT, 8, 8));
      assert.ok(packet);
      const octets = ipv6({ src: '2001:db8:1::7', dst: '2001:db8:1::9', payload: udp6(1, 2, 'x', '2001:db8:1::7', '2001:db8:1::9') });
      packet.bytes.set(octets, packet.head);
      packet.tail = packet.head + octets.length;
      far.transmit([packet], 1);
      t.run();
      const into: Packet[] = [];
      assert.equal(far.receive(pool, into, 8), 1);
      const [answer] = into as [Packet];
      assert.deepEqual([...answer.bytes.subarray(answer.head + 40, answer.head + 42)], [1, 3]);
      answer.release();
      t.dropped({ IpRouteUnreachable: 1 });
    });
  });

  it('RFC 4861 §8.2: redirects are sent at a limited rate', () => {
    for (let i = 0; i < 60; i++) forward();
    const redirects = t.seen().filter((p) => p.payload[0] === 137).length;
    assert.ok(redirects >= 20 && redirects < 40, `${redirects}`);
  });
});
