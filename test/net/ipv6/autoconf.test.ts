import assert from 'node:assert/strict';
import { VirtualHost } from '#src/hyper/virtual-host.js';
import { Flow } from '#src/net/ip/path.js';
import { eui64, isReserved, StableIds } from '#src/net/ipv6/interface-id.js';
import { linkLocalOf } from '#src/net/ipv6/solicitation.js';
import { address } from '../../support/stacks.js';
import { hex, toHex } from '../../support/wire.js';
import { Bench6, mtuOption, prefixOption, ROUTER_LL, ROUTER_MAC, rdnssOption, routeOption, sourceLink, targetLink } from '../../support/wire6.js';

const SECOND_LL = 'fe80::6';
const SECOND_MAC = '020000000006';
const FOREVER = 0xffffffff;

describe('autoconfiguration', () => {
  let t: Bench6;
  const make = (sysctl: Record<string, unknown> = {}): Bench6 => (t = new Bench6(sysctl, []));
  afterEach(() => t.end());
  const pio = (valid: number, preferred: number, flags = 0xc0, prefix = 'fd01::', length = 64): { options: Uint8Array[] } => ({
    options: [prefixOption(prefix, length, flags, valid, preferred)],
  });
  const global = 'fd01::ff:fe00:1';
  const nextHop = (to: string): string => {
    const flow = new Flow();
    flow.destination.copy(address(to));
    const hop = t.stack.ip.routes.lookup(flow);
    return hop === null ? 'none' : (hop.gateway?.toString() ?? 'on-link');
  };
  const left = (text: string): [number, number] => {
    const a = t.eth0.addresses.find((x) => x.address.toString() === text);
    assert.ok(a, `${text} is there`);
    return [Math.round((a.validUntil - t.stack.ctx.now) / 1e6), Math.round((a.preferredUntil - t.stack.ctx.now) / 1e6)];
  };

  describe('interface identifiers', () => {
    it('RFC 4291 appendix A: EUI-64 of the station address', () => {
      make();
      const id = eui64(t.eth0);
      assert.deepEqual([id.high >>> 0, id.low >>> 0], [0x000000ff, 0xfe000001]);
    });

    it('RFC 7217 §5: stable over a restart, another on each network, interface and after a duplicate', () => {
      make();
      const first = new VirtualHost({ seed: 7 });
      const again = new VirtualHost({ seed: 8, store: first.store });
      const [p, q] = [address('fd01::'), address('fd02::')];
      const ids = new StableIds(first);
      const id = ids.of(t.eth0, p, 0);
      assert.deepEqual(new StableIds(again).of(t.eth0, p, 0), id);
      assert.notDeepEqual(ids.of(t.eth0, q, 0), id);
      assert.notDeepEqual(ids.of(t.eth0, p, 1), id);
      assert.notDeepEqual(ids.of(t.stack.ip.loopback, p, 0), id);
      assert.notDeepEqual(new StableIds(new VirtualHost({ seed: 9 })).of(t.eth0, p, 0), id);
    });

    it('RFC 5453: reserved identifiers are none', () => {
      make();
      assert.ok(isReserved({ high: 0, low: 0 }));
      assert.ok(isReserved({ high: 0xfdffffff | 0, low: 0xffffff80 | 0 }));
      assert.ok(isReserved({ high: 0x02005eff, low: 0xfe005213 | 0 }));
      assert.ok(!isReserved({ high: 0xfdffffff | 0, low: 0xffffff7f | 0 }));
    });

    it('RFC 7217 §6: a duplicate link-local address is replaced, three times at most', () => {
      make({ 'net.ipv6.conf.all.addr_gen_mode': 2, 'net.ipv6.conf.all.dad_transmits': 1 });
      const seen = new Set<string>();
      for (let i = 0; i < 6; i++) {
        t.wait(1.1);
        const [a] = t.eth0.addresses;
        assert.ok(a);
        seen.add(a.address.toString());
        if (a.state === 'tentative') t.na(a.address.toString(), 0x20, [targetLink()], { dst: 'ff02::1' });
      }
      assert.equal(seen.size, 4);
      assert.equal(t.eth0.addresses[0]?.state, 'duplicate');
      assert.equal(linkLocalOf(t.eth0), null);
    });
  });

  describe('router solicitations', () => {
    it('RFC 7559 §2: from the link-local address to all routers, pauses doubling, until an advertisement', () => {
      make({ 'net.ipv6.conf.all.router_solicitations': -1, 'net.ipv6.conf.all.dad_transmits': 1 });
      const at: number[] = [];
      for (let i = 0; i < 400; i++) {
        t.wait(0.1);
        for (const p of t.seen()) {
          if (p.payload[0] !== 133) continue;
          assert.deepEqual([p.src, p.dst, p.hops, toHex(p.payload.subarray(8))], [Bench6.LL, 'ff02::2', 255, '0101020000000001']);
          at.push(i / 10);
        }
      }
      assert.equal(at.length, 4);
      const pauses = at.slice(1).map((x, i) => x - (at[i] as number));
      pauses.forEach((pause, i) => assert.ok(Math.abs(pause - 4 * 2 ** i) <= 0.25 * 4 * 2 ** i, `pause ${i} is ${pause}`));
      t.ra();
      t.wait(400);
      assert.deepEqual(
        t.seen().filter((p) => p.payload[0] === 133),
        [],
      );
    });
  });

  describe('addresses of prefixes', () => {
    it('RFC 4862 §5.5.3: an autonomous prefix makes an address, on-link only by its own flag', () => {
      make();
      t.ra(pio(3_600, 1_800, 0x40));
      assert.ok(t.addresses().includes(`${global}/64 preferred`));
      assert.deepEqual(left(global), [3_600, 1_800]);
      assert.equal(nextHop('fd01::9'), ROUTER_LL); // RFC 5942 §4
      t.ra(pio(3_600, 1_800));
      assert.equal(nextHop('fd01::9'), 'on-link');
    });

    it('it becomes deprecated, then goes, with its on-link prefix', () => {
      make();
      t.ra(pio(3_600, 1_800));
      t.wait(1_801);
      assert.ok(t.addresses().includes(`${global}/64 deprecated`));
      t.wait(1_800);
      assert.deepEqual(t.addresses(), [`${Bench6.LL}/64 preferred`]);
      assert.equal(nextHop('fd01::9'), 'none');
    });

    const refused: [string, ReturnType<typeof pio>][] = [
      ['a: without the A flag', pio(3_600, 1_800, 0x80)],
      ['b: the link-local prefix', pio(3_600, 1_800, 0xc0, 'fe80::')],
      ['c: preferred longer than valid', pio(1_800, 3_600)],
      ['d: valid for no time', pio(0, 0)],
      ['d: a prefix that leaves no 64 bits', pio(3_600, 1_800, 0xc0, 'fd01::', 80)],
    ];
    for (const [what, fields] of refused) {
      it(`RFC 4862 §5.5.3 ${what} makes none`, () => {
        make();
        t.ra(fields);
        assert.equal(t.addresses().length, 1);
      });
    }

    // Valid before, advertised, valid after.
    const hours: [number, number, number][] = [
      [3_600, 7_201, 7_201],
      [3_600, 3_601, 3_601],
      [3_600, 60, 3_600],
      [10_000, 60, 7_200],
      [10_000, 9_000, 9_000],
      [3_600, FOREVER, Number.POSITIVE_INFINITY],
    ];
    for (const [before, told, after] of hours) {
      it(`RFC 4862 §5.5.3 e: ${before} s left and ${told} advertised make ${after}; the preferred time is believed at once`, () => {
        make();
        t.ra(pio(before, before));
        t.ra(pio(told, Math.min(told, 30)));
        const [valid, preferred] = left(global);
        assert.equal(valid, after);
        assert.equal(preferred, 30);
      });
    }

    it('RFC 9096, RFC 8978: a prefix whose preferred time is set to 0 starts nothing new, and another takes over', () => {
      make();
      t.ra(pio(7_200, 3_600));
      t.ra({ options: [...pio(7_200, 0).options, prefixOption('fd02::', 64, 0xc0, 7_200, 3_600)] });
      assert.ok(t.addresses().includes(`${global}/64 deprecated`));
      const flow = new Flow();
      flow.destination.copy(address('2001:db8::1'));
      const path = t.stack.ip.path(flow);
      assert.equal(typeof path === 'number' ? path : path.source.toString(), 'fd02::ff:fe00:1');
    });

    it('addresses and prefixes are bounded', () => {
      make({ 'net.ipv6.conf.all.max_addresses': 4, 'anystack.ra_prefixes_max': 8 });
      for (let i = 1; i <= 20; i++) t.ra(pio(3_600, 1_800, 0xc0, `fd01:${i}::`));
      assert.equal(t.addresses().length, 5);
      assert.equal(t.stack.ip.routes.list().filter((r) => r.protocol === 'ra' && r.gateway === null).length, 8);
    });

    it('RFC 8981: a temporary address is preferred, renewed before its end, and goes in time', () => {
      make({ 'net.ipv6.conf.all.use_tempaddr': 2, 'net.ipv6.conf.all.temp_prefered_lft': 1_000, 'net.ipv6.conf.all.temp_valid_lft': 3_000 });
      t.ra(pio(FOREVER, FOREVER));
      const temporary = (): string[] => t.eth0.addresses.filter((a) => a.temporary).map((a) => `${a.address} ${a.state}`);
      const [first] = temporary();
      assert.equal(temporary().length, 1);
      const flow = new Flow();
      flow.destination.copy(address('2001:db8::1'));
      const path = t.stack.ip.path(flow);
      assert.equal(`${typeof path === 'number' ? path : path.source} preferred`, first);
      t.wait(1_100);
      assert.ok(temporary().length >= 2);
      assert.ok(temporary().some((a) => a === first?.replace('preferred', 'deprecated')));
      t.wait(2_000);
      assert.ok(!temporary().some((a) => a.startsWith(first?.split(' ')[0] as string)));
      assert.ok(temporary().length <= 5);
    });
  });

  describe('routers', () => {
    it('RFC 4861 §6.3.4: hop limit, reachable time, retransmit timer, MTU and link address are taken', () => {
      make();
      t.ra({ curHop: 77, reachable: 12_345, retrans: 567, options: [sourceLink(ROUTER_MAC), mtuOption(1_400)] });
      assert.deepEqual([t.eth0.hopLimit, t.eth0.neighbors?.reachableMs6, t.eth0.neighbors?.retransMs6, t.eth0.mtu6], [77, 12_345, 567, 1_400]);
      const router = t.eth0.neighbors?.find(address(ROUTER_LL));
      assert.deepEqual([router?.isRouter, router?.usable], [true, true]);
      t.ra({ curHop: 0, reachable: 0, retrans: 0, options: [mtuOption(1_279), mtuOption(1_501)] });
      assert.deepEqual([t.eth0.hopLimit, t.eth0.neighbors?.reachableMs6, t.eth0.neighbors?.retransMs6, t.eth0.mtu6], [77, 12_345, 567, 1_400]);
    });

    it('RFC 4861 §6.3.4, §6.3.5: a default router for its lifetime; lifetime 0 ends it at once', () => {
      make();
      assert.equal(nextHop('2001:db8::1'), 'none');
      t.ra({ lifetime: 100 });
      assert.equal(nextHop('2001:db8::1'), ROUTER_LL);
      t.wait(60);
      t.ra({ lifetime: 100 });
      t.wait(60);
      assert.equal(nextHop('2001:db8::1'), ROUTER_LL);
      t.wait(41);
      assert.equal(nextHop('2001:db8::1'), 'none');
      t.ra();
      t.ra({ lifetime: 0 });
      assert.equal(nextHop('2001:db8::1'), 'none');
    });

    it('RFC 4191 §3.2: the preferred router first, the first of equals', () => {
      make();
      t.ra();
      t.ra({ src: SECOND_LL });
      assert.equal(nextHop('2001:db8::1'), ROUTER_LL);
      t.ra({ src: SECOND_LL, flags: 0x08 });
      assert.equal(nextHop('2001:db8::1'), SECOND_LL);
      t.ra({ src: SECOND_LL, flags: 0x18 });
      assert.equal(nextHop('2001:db8::1'), ROUTER_LL);
    });

    it('RFC 4191 §2.3: routes of a router; a reserved preference voids one, a length 0 is the default', () => {
      make();
      t.ra({ lifetime: 0, options: [routeOption('2001:db8:1::', 48, 0, 600), routeOption('2001:db8:2::', 48, 2, 600)] });
      assert.equal(nextHop('2001:db8:1::9'), ROUTER_LL);
      assert.equal(nextHop('2001:db8:2::9'), 'none');
      t.ra({ lifetime: 0, options: [routeOption('::', 0, 1, 600)] });
      assert.equal(nextHop('2001:db8:2::9'), ROUTER_LL);
      t.ra({ src: SECOND_LL, options: [routeOption('2001:db8:1::', 48, 1, 600)] });
      assert.equal(nextHop('2001:db8:1::9'), SECOND_LL);
      assert.equal(nextHop('2001:db8:2::9'), ROUTER_LL);
      t.wait(601);
      assert.equal(nextHop('2001:db8:1::9'), SECOND_LL); // by default
    });

    it('RFC 4861 §6.3.6: one that does not answer gives way, and comes back when it is heard of', () => {
      make();
      t.ra({ flags: 0x08, options: [sourceLink(ROUTER_MAC)] });
      t.ra({ src: SECOND_LL, options: [sourceLink(SECOND_MAC)] });
      t.stack.addAddress(t.eth0, { address: address('fd00::1'), length: 64 });
      assert.equal(nextHop('2001:db8::1'), ROUTER_LL);
      const socket = t.stack.udp.openSocket(6);
      socket.sendTo(new Uint8Array(1), 0, 1, address('2001:db8::1'), 9);
      t.wait(9);
      assert.equal(nextHop('2001:db8::1'), SECOND_LL);
      assert.deepEqual(
        t.stack.v6.routers.list().map((r) => r.reachable),
        [false, true],
      );
      t.ra({ flags: 0x08, options: [sourceLink(ROUTER_MAC)] });
      t.ns(Bench6.LL, [sourceLink(ROUTER_MAC)], { src: ROUTER_LL });
      assert.equal(nextHop('2001:db8::1'), ROUTER_LL);
      socket.close();
    });

    it('RFC 4861 §7.2.5: one that says it is none is none', () => {
      make();
      t.ra({ options: [sourceLink(ROUTER_MAC)] });
      t.na(ROUTER_LL, 0x20, [targetLink(ROUTER_MAC)], { src: ROUTER_LL });
      assert.equal(nextHop('2001:db8::1'), 'none');
    });

    it('routers and routes are bounded', () => {
      make({ 'anystack.ra_routers_max': 4, 'anystack.ra_routes_max': 5 });
      for (let i = 1; i < 20; i++) t.ra({ src: `fe80::${i}`, options: [routeOption(`2001:db8:${i}::`, 48, 0, 600)] });
      assert.equal(t.stack.v6.routers.list().length, 4);
      assert.equal(t.stack.ip.routes.list().filter((r) => r.protocol === 'ra').length, 9);
    });

    it('RFC 4861 §6.2.2: a router believes none, unless told to', () => {
      make();
      t.ra(pio(3_600, 1_800));
      t.stack.ctx.sysctl.set('net.ipv6.conf.all.forwarding', 1);
      assert.equal(nextHop('2001:db8::1'), 'none');
      assert.equal(t.addresses().length, 1);
      t.dropped({});
      t.ra();
      t.dropped({ NdRefused: 1 });
      t.stack.ctx.sysctl.set('net.ipv6.conf.all.accept_ra', 2);
      t.ra();
      assert.equal(nextHop('2001:db8::1'), ROUTER_LL);
    });
  });

  it('RFC 8106 §5: resolvers and search domains, for their time, the one that ends first giving way', () => {
    make({ 'anystack.ra_resolvers_max': 3 });
    let changes = 0;
    t.stack.v6.names.onChange = () => changes++;
    const { names } = t.stack.v6;
    const domains = hex('1f04 0000 00000064 076578616d706c65036f726700 024c4e0361626300 000000'.replaceAll(' ', ''));
    domains[1] = domains.length / 8;
    t.ra({ options: [rdnssOption(100, 'fd00::53', 'fd00::54'), domains] });
    assert.deepEqual(
      names.resolvers.map((r) => r.value.toString()),
      ['fd00::53', 'fd00::54'],
    );
    assert.deepEqual(
      names.domains.map((r) => r.value),
      ['example.org', 'ln.abc'],
    );
    t.ra({ options: [rdnssOption(50, 'fd00::55'), rdnssOption(200, 'fd00::56')] });
    assert.deepEqual(
      names.resolvers.map((r) => r.value.toString()),
      ['fd00::53', 'fd00::54', 'fd00::56'],
    );
    t.ra({ options: [rdnssOption(0, 'fd00::54')] });
    t.wait(101);
    assert.deepEqual(
      names.resolvers.map((r) => r.value.toString()),
      ['fd00::56'],
    );
    assert.equal(names.domains.length, 0);
    assert.ok(changes > 3);
    t.wait(200);
    assert.equal(names.resolvers.length, 0);
  });

  it('RFC 8781 §4: a NAT64 prefix', () => {
    make();
    t.ra({ options: [hex('2602 0708 0064ff9b 0000000000000000')] });
    assert.deepEqual(
      t.stack.v6.names.nat64.map((n) => `${n.value.prefix}/${n.value.length}`),
      ['64:ff9b::/96'],
    );
  });
});
