import assert from 'node:assert/strict';
import { Flow } from '#src/net/ip/path.js';
import { address } from '../../support/stacks.js';
import { concat, hex } from '../../support/wire.js';
import { Bench6, mtuOption, PEER, prefixOption, routeOption, targetLink, udp6 } from '../../support/wire6.js';

describe('tunables of IPv6', () => {
  let t: Bench6;
  const make = (sysctl: Record<string, unknown> = {}, addresses: readonly string[] = []): Bench6 => (t = new Bench6(sysctl, addresses));
  afterEach(() => t.end());
  const route = (to: string): string => {
    const flow = new Flow();
    flow.destination.copy(address(to));
    const hop = t.stack.ip.routes.lookup(flow);
    return hop === null ? 'none' : (hop.gateway?.toString() ?? 'on-link');
  };
  const prefix = (flags = 0xc0): Uint8Array => prefixOption('fd01::', 64, flags, 3_600, 3_600);
  const global = (): boolean => t.eth0.addresses.some((a) => a.address.toString().startsWith('fd01'));

  it('net.ipv6.conf.all.accept_ra_defrtr: default routers', () => {
    make({ 'net.ipv6.conf.all.accept_ra_defrtr': 0 });
    t.ra();
    assert.equal(route('2001:db8::1'), 'none');
    t.stack.ctx.sysctl.set('net.ipv6.conf.all.accept_ra_defrtr', 1);
    t.ra();
    assert.equal(route('2001:db8::1'), 'fe80::5');
  });

  it('net.ipv6.conf.all.accept_ra_pinfo, net.ipv6.conf.all.autoconf: prefixes, and addresses of them', () => {
    make({ 'net.ipv6.conf.all.accept_ra_pinfo': 0 });
    t.ra({ options: [prefix()] });
    assert.deepEqual([global(), route('fd01::9')], [false, 'fe80::5']);
    t.stack.ctx.sysctl.set('net.ipv6.conf.all.accept_ra_pinfo', 1);
    t.stack.ctx.sysctl.set('net.ipv6.conf.all.autoconf', 0);
    t.ra({ options: [prefix()] });
    assert.deepEqual([global(), route('fd01::9')], [false, 'on-link']);
    t.stack.ctx.sysctl.set('net.ipv6.conf.all.autoconf', 1);
    t.ra({ options: [prefix()] });
    assert.equal(global(), true);
  });

  it('net.ipv6.conf.all.accept_ra_rtr_pref: the better of two routers', () => {
    for (const [heed, better] of [
      [1, 'fe80::6'],
      [0, 'fe80::5'],
    ] as const) {
      make({ 'net.ipv6.conf.all.accept_ra_rtr_pref': heed });
      t.ra({ flags: 0x18 });
      t.ra({ src: 'fe80::6', flags: 0x08 }, '020000000006');
      assert.equal(route('2001:db8::1'), better);
      if (heed === 1) t.end();
    }
  });

  it('net.ipv6.conf.all.accept_ra_rt_info_max_plen: routes no longer than that', () => {
    make({ 'net.ipv6.conf.all.accept_ra_rt_info_max_plen': 40 });
    t.ra({ lifetime: 0, options: [routeOption('2001:db8::', 32, 0, 600), routeOption('fd09::', 48, 0, 600)] });
    assert.deepEqual([route('2001:db8::1'), route('fd09::1')], ['fe80::5', 'none']);
  });

  it('net.ipv6.conf.all.accept_ra_mtu: the MTU of the link', () => {
    make({ 'net.ipv6.conf.all.accept_ra_mtu': 0 });
    const before = t.eth0.mtu6;
    t.ra({ options: [mtuOption(1_300)] });
    assert.equal(t.eth0.mtu6, before);
    t.stack.ctx.sysctl.set('net.ipv6.conf.all.accept_ra_mtu', 1);
    t.ra({ options: [mtuOption(1_300)] });
    assert.equal(t.eth0.mtu6, 1_300);
  });

  it('net.ipv6.conf.all.hop_limit, net.ipv6.conf.all.accept_ra_min_hop_limit: of what we originate', () => {
    make({ 'net.ipv6.conf.all.hop_limit': 33, 'net.ipv6.conf.all.accept_ra_min_hop_limit': 50 }, ['fd00::1/64']);
    t.meet();
    const hops = (): number | undefined => {
      t.ip6({ payload: udp6(1, 99) });
      return t.seen()[0]?.hops;
    };
    assert.equal(hops(), 33);
    t.ra({ curHop: 49 });
    assert.equal(hops(), 33);
    t.ra({ curHop: 50 });
    assert.equal(hops(), 50);
  });

  it('net.ipv6.conf.all.router_solicitation_interval, net.ipv6.conf.all.router_solicitation_max_interval: how often routers are asked for', () => {
    make({
      'net.ipv6.conf.all.router_solicitations': 10,
      'net.ipv6.conf.all.router_solicitation_interval': 1,
      'net.ipv6.conf.all.router_solicitation_max_interval': 2,
    });
    const asked = (): number => {
      t.wait(10);
      return t.seen().filter((p) => p.payload[0] === 133).length;
    };
    const first = asked();
    assert(first >= 4 && first <= 9, `${first} in ten seconds`);
  });

  it('net.ipv6.conf.all.enhanced_dad: a nonce in probes', () => {
    for (const on of [1, 0]) {
      make({ 'net.ipv6.conf.all.enhanced_dad': on, 'net.ipv6.conf.all.dad_transmits': 1 });
      t.wait(2);
      const probe = t.seen().find((p) => p.payload[0] === 135 && p.src === '::');
      assert.equal(probe?.payload.length, on === 1 ? 32 : 24);
      if (on === 1) t.end();
    }
  });

  it('net.ipv6.conf.all.force_mld_version: the version that is spoken', () => {
    make({ 'net.ipv6.conf.all.force_mld_version': 1 });
    const socket = t.stack.udp.openSocket(6);
    socket.join(address('ff05::1234'), t.eth0.index, null);
    t.wait(2);
    assert.deepEqual([...new Set(t.mld().map((p) => p.payload[0]))], [131]);
    socket.close();
    t.wait(1);
    t.mld();
  });

  it('net.ipv6.ip6frag_time: how long a datagram may stay unfinished', () => {
    make({ 'net.ipv6.ip6frag_time': 3 }, ['fd00::1/64']);
    t.meet();
    t.ip6({ next: 44, payload: concat(hex('11 00 0001 00000007'), new Uint8Array(16)) });
    t.wait(2.5);
    t.dropped({});
    t.wait(1);
    t.dropped({ FragmentTimeout: 1 });
    assert.deepEqual(
      t.seen().map((p) => [p.dst, p.payload[0], p.payload[1]]),
      [[PEER, 3, 1]],
    );
  });

  it('anystack.redirect_lifetime: how long a redirect is believed', () => {
    make({ 'anystack.redirect_lifetime': 5 }, ['fd00::1/64']);
    t.ra();
    t.seen();
    const quoted = hex(`60000000 0000 11 40 fd000000000000000000000000000001 20010db8000000000000000000000001`);
    const target = [hex('fe800000000000000000000000000006'), hex('20010db8000000000000000000000001')];
    const header = concat(Uint8Array.from([4, 6, 0, 0, 0, 0, 0, 0]), quoted);
    const link = targetLink('020000000006');
    t.icmp(137, 0, 0, concat(...target, link, header), { src: 'fe80::5', dst: Bench6.LL, hops: 255 }, '020000000005');
    assert.equal(route('2001:db8::1'), 'fe80::6');
    t.wait(6);
    assert.equal(route('2001:db8::1'), 'fe80::5');
    t.seen();
  });
});
