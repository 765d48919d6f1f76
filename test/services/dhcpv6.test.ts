import assert from 'node:assert/strict';
import { seconds } from '#src/base/time.js';
import { memoryLink } from '#src/hyper/memory-link.js';
import type { Interface } from '#src/net/interface.js';
import { Dhcp6Client, type Dhcp6ClientOptions } from '#src/services/dhcpv6/client.js';
import { Dhcp6Clients } from '#src/services/dhcpv6/clients.js';
import { Delegation } from '#src/services/dhcpv6/delegation.js';
import { duidOf, duidText } from '#src/services/dhcpv6/duid.js';
import { Dhcp6Server, type Dhcp6ServerSpec } from '#src/services/dhcpv6/server.js';
import { startAdvertising } from '#src/services/router-advertisement.js';
import * as wire from '#src/wire/dhcpv6.js';
import { address, type Host, Net } from '../support/stacks.js';

const sysctl = { 'net.ipv6.conf.all.disable_ipv6': 0, 'net.ipv6.conf.all.dad_transmits': 1, 'net.ipv6.conf.all.router_solicitations': -1 };

describe('DHCPv6', () => {
  let net: Net;
  let server: Dhcp6Server | null;
  let client: Dhcp6Client | null;
  const spec: Dhcp6ServerSpec = {
    pool: { from: 'fd00::100', to: 'fd00::1ff' },
    delegate: { prefix: '2001:db8:8000::/40', length: 56 },
    dns: ['fd00::53'],
    search: ['example.org'],
  };
  const host = (n: number): Host => net.hosts[n] as Host;
  const begin = (options: Dhcp6ClientOptions = {}, over: Partial<Dhcp6ServerSpec> = {}): Dhcp6Client => {
    server = new Dhcp6Server(host(0).stack, host(0).eth0, { ...spec, ...over });
    client = new Dhcp6Client(host(1).stack, host(1).eth0, options);
    net.run(seconds(4));
    return client;
  };
  const held = (c: Dhcp6Client): string[] => c.leases.map((l) => `${l.address}/${l.length}`);
  const dhcpAddresses = (): string[] =>
    host(1)
      .eth0.addresses.filter((a) => a.origin === 'dhcp')
      .map((a) => `${a.address} ${a.state}`);
  beforeEach(() => {
    net = new Net([['fd00::1/64'], []], { sysctl });
    net.run(seconds(3));
    server = client = null;
  });
  afterEach(() => {
    client?.close();
    server?.close();
    net.end();
  });

  it('RFC 9915 §18.2.1: with rapid commit two messages give an address, probed for, with resolvers and domains', () => {
    const c = begin();
    assert.equal(c.state, 'bound');
    const [lease] = held(c);
    assert.match(lease as string, /^fd00::1[0-9a-f]{2}\/128$/);
    assert.deepEqual(dhcpAddresses(), [`${(lease as string).split('/')[0]} preferred`]);
    assert.deepEqual(c.told.resolvers.map(String), ['fd00::53']);
    assert.deepEqual(c.told.domains, ['example.org']);
    assert.equal(
      host(1)
        .stack.ip.routes.list()
        .some((r) => r.protocol === 'kernel' && r.length === 128),
      false,
    );
    assert.equal(server?.bindings.length, 1);
  });

  it('RFC 9915 §18.2.2: without it four, and two servers are chosen between by preference', () => {
    net.end();
    net = new Net([['fd00::1/64'], [], ['fd00::2/64']], { sysctl });
    net.run(seconds(3));
    const better = new Dhcp6Server(host(2).stack, host(2).eth0, { pool: { from: 'fd00::200', to: 'fd00::2ff' }, rapidCommit: false, preference: 9 });
    const c = begin({}, { rapidCommit: false });
    assert.equal(c.state, 'bound');
    assert.match(held(c)[0] as string, /^fd00::2/);
    assert.equal(better.bindings.length, 1);
    better.close();
  });

  it('RFC 9915 §18.2.4: renewed at half of the preferred time; RFC 9915 §18.2.5: without an answer rebound, then lost', () => {
    const c = begin();
    const [lease] = c.leases;
    const first = lease?.validUntil as number;
    net.run(seconds(1_810));
    assert.equal(c.state, 'bound');
    assert.ok((c.leases[0]?.validUntil as number) > first + 1_700e6);
    server?.close();
    server = null;
    net.run(seconds(1_850));
    assert.equal(c.state, 'renewing');
    net.run(seconds(1_100));
    assert.equal(c.state, 'rebinding');
    net.run(seconds(4_500));
    assert.equal(c.state, 'soliciting');
    assert.deepEqual(dhcpAddresses(), []);
  });

  it('RFC 9915 §18.2.7: given back, the address is free', () => {
    const c = begin();
    c.release();
    net.run(seconds(2));
    assert.equal(c.state, 'stopped');
    assert.deepEqual(server?.bindings, []);
    assert.deepEqual(dhcpAddresses(), []);
  });

  it('RFC 9915 §18.2.8: an address another station has is declined, and another one asked for', () => {
    const clients = new Dhcp6Clients(host(1).stack);
    startAdvertising(host(0).stack, host(0).eth0, { managed: true, prefixes: [], lifetime: 0 });
    server = new Dhcp6Server(host(0).stack, host(0).eth0, { pool: { from: 'fd00::100', to: 'fd00::101' } });
    clients.want(host(1).eth0, 'test', { automatic: true });
    let taken = '';
    for (let i = 0; i < 2_000 && taken === ''; i++) {
      net.run(seconds(0.01));
      const tentative = host(1).eth0.addresses.find((a) => a.origin === 'dhcp' && a.state === 'tentative');
      if (tentative === undefined) continue;
      taken = tentative.address.toString();
      host(1).stack.v6.dad.duplicate(tentative, '02:00:00:00:00:aa');
    }
    net.run(seconds(10));
    const [now] = dhcpAddresses();
    assert.ok(now?.endsWith('preferred') && !now.startsWith(`${taken} `), `${taken} then ${now}`);
    clients.close();
    host(0).stack.v6.advertiser.stop(host(0).eth0);
  });

  it('RFC 9915 §18.2.3: after the link came back the lease is confirmed', () => {
    const c = begin();
    const [lease] = held(c);
    c.linkUp();
    assert.equal(c.state, 'confirming');
    net.run(seconds(3));
    assert.equal(c.state, 'bound');
    assert.deepEqual(held(c), [lease]);
  });

  it('RFC 9915 §18.2.6: stateless: parameters alone', () => {
    const c = begin({ stateless: true });
    assert.equal(c.state, 'informed');
    assert.deepEqual(c.told.resolvers.map(String), ['fd00::53']);
    assert.deepEqual(held(c), []);
    assert.equal(server?.bindings.length, 0);
  });

  it('RFC 9915 §6.3, RFC 7084 WPD-5, L-2: a delegated prefix goes on to downstream links, routed at the server, its rest unreachable', () => {
    const { stack } = host(1);
    stack.ctx.sysctl.set('net.ipv6.conf.all.forwarding', 1);
    const [near] = memoryLink();
    const lan = stack.addInterface('lan0', near);
    server = new Dhcp6Server(host(0).stack, host(0).eth0, spec);
    const clients = new Dhcp6Clients(stack);
    const delegation = new Delegation(stack, clients, host(1).eth0, [{ iface: lan, subnet: 3 }], 60);
    net.run(seconds(5));
    const [own] = lan.addresses.filter((a) => a.origin === 'dhcp');
    assert.match(`${own?.address}/${own?.length}`, /^2001:db8:80[0-9a-f]{2}:[0-9a-f]*03::1\/64$/);
    const routes = (s: typeof stack): string[] =>
      s.ip.routes
        .list()
        .filter((r) => r.protocol === 'dhcp')
        .map((r) => `${r.prefix}/${r.length} ${r.type}`);
    assert.match(routes(stack)[0] as string, /\/56 unreachable$/);
    assert.match(routes(host(0).stack)[0] as string, /\/56 unicast$/);
    delegation.close();
    net.run(seconds(2));
    assert.deepEqual([routes(stack), routes(host(0).stack), lan.addresses.filter((a) => a.origin === 'dhcp')], [[], [], []]);
    clients.close();
  });

  it('RFC 9915 §18.3: a full pool says so, and the lease of a restarted server is known again', () => {
    const small = { pool: { from: 'fd00::100', to: 'fd00::100' } };
    const solicit = (duid: number): wire.Dhcp6Ia[] =>
      wire.associations(
        send(host(1).eth0, {
          type: wire.Type.Solicit,
          xid: 5,
          options: [{ code: 1, data: Uint8Array.of(0, 3, 0, 1, duid) }, ia(7), { code: 14, data: new Uint8Array(0) }],
        })?.options ?? [],
      );
    server = new Dhcp6Server(host(0).stack, host(0).eth0, small);
    assert.deepEqual(
      solicit(1).map((x) => x.leases.map((l) => `${l.address}`)),
      [['fd00::100']],
    );
    server.close();
    server = new Dhcp6Server(host(0).stack, host(0).eth0, small);
    assert.equal(server.bindings.length, 1);
    assert.deepEqual(
      solicit(2).map((x) => [x.leases.length, x.status]),
      [[0, wire.Status.NoAddresses]],
    );
    assert.equal(host(0).stack.ctx.counters.dropped()['DhcpPoolFull'], 1);
  });

  const ia = (iaid: number): wire.Dhcp6Option => wire.association({ delegation: false, iaid, t1: 0, t2: 0, leases: [], status: 0 });
  /** Sends a message by hand and takes the answer. */
  function send(iface: Interface, message: wire.Dhcp6Message): wire.Dhcp6Message | null {
    const { stack } = host(1);
    client?.close();
    client = null;
    const socket = stack.udp.openSocket(6);
    socket.bind(null, wire.CLIENT_PORT, iface.index);
    const octets = wire.write(message);
    socket.sendTo(octets, 0, octets.length, wire.ALL_SERVERS, wire.SERVER_PORT, iface.index);
    net.run(seconds(1));
    const into = new Uint8Array(1_500);
    const n = socket.receive(into, 0, 1_500, { address: address('::'), destination: address('::') } as never);
    socket.close();
    const read = n < 0 ? null : wire.parse(into, 0, n);
    return typeof read === 'number' ? null : read;
  }

  const refused: [string, wire.Dhcp6Message][] = [
    [
      'a solicit with a server identifier',
      {
        type: 1,
        xid: 1,
        options: [
          { code: 1, data: Uint8Array.of(0, 3, 0, 1) },
          { code: 2, data: Uint8Array.of(1, 2, 3) },
        ],
      },
    ],
    ['a solicit without a client identifier', { type: 1, xid: 1, options: [] }],
    [
      'a request for another server',
      {
        type: 3,
        xid: 1,
        options: [
          { code: 1, data: Uint8Array.of(0, 3, 0, 1) },
          { code: 2, data: Uint8Array.of(1, 2, 3) },
        ],
      },
    ],
    ['a reply', { type: 7, xid: 1, options: [{ code: 1, data: Uint8Array.of(0, 3, 0, 1) }] }],
    ['an information request with an association', { type: 11, xid: 1, options: [ia(1)] }],
  ];
  for (const [what, message] of refused) {
    it(`RFC 9915 §16: ${what} is not answered`, () => {
      server = new Dhcp6Server(host(0).stack, host(0).eth0, spec);
      assert.equal(send(host(1).eth0, message), null);
      assert.equal(host(0).stack.ctx.counters.dropped()['DhcpUnexpected'], 1);
    });
  }

  describe('reservations', () => {
    const mine = (): string => duidText(duidOf(host(1).stack.hyper));
    it('a client by its DUID has the address and the prefix kept for it, in the pool or not', () => {
      const reservations = [
        {
          duid: mine()
            .replace(/..(?=.)/g, '$&:')
            .toUpperCase(),
          address: 'fd00::77',
          prefix: '2001:db8:9000::/52',
        },
      ];
      assert.deepEqual(held(begin({ delegation: { length: 56 } }, { reservations })).sort(), ['2001:db8:9000::/52', 'fd00::77/128']);
    });

    it('nobody else has it, nor a prefix it lies in', () => {
      const reservations = [{ duid: '0004aabb', address: 'fd00::100', prefix: '2001:db8:8000:10::/60' }];
      const pool = { from: 'fd00::100', to: 'fd00::101' };
      const c = begin({ delegation: { length: 56 } }, { reservations, pool, delegate: { prefix: '2001:db8:8000::/55', length: 56 } });
      assert.deepEqual(held(c).sort(), ['2001:db8:8000:100::/56', 'fd00::101/128']);
    });

    it('made later it takes the place of the lease there is, when that is renewed', () => {
      const c = begin();
      const [before] = held(c);
      server?.close();
      server = new Dhcp6Server(host(0).stack, host(0).eth0, { ...spec, reservations: [{ duid: mine(), address: 'fd00::77' }] });
      net.run(seconds(1_810));
      assert.notEqual(before, 'fd00::77/128');
      assert.deepEqual(held(c), ['fd00::77/128']);
      assert.deepEqual(dhcpAddresses(), ['fd00::77 preferred']);
    });

    for (const [what, reservation] of [
      ['duid', { duid: 'nonsense', address: 'fd00::77' }],
      ['neither address nor prefix', { duid: '0004aabb' }],
      ['address', { duid: '0004aabb', address: '10.0.0.1' }],
      ['prefix', { duid: '0004aabb', prefix: '2001:db8::/80' }],
    ] as const)
      it(`one that is wrong is refused: ${what}`, () => {
        assert.throws(() => begin({}, { reservations: [reservation] }), new RegExp(`reservations\\[0\\].*${what}`));
      });
    it('one given twice is refused', () => {
      const reservations = ['0004aabb', '0004aacc'].map((duid) => ({ duid, address: 'fd00::77' }));
      assert.throws(() => begin({}, { reservations }), /fd00::77\/128 is reserved twice/);
    });
  });

  it('messages cut short or of no type are counted', () => {
    for (let n = 0; n < 40; n++) {
      const whole = wire.write({ type: 1, xid: 1, options: [ia(1)] }).subarray(0, n);
      const read = wire.parse(whole, 0, whole.length);
      assert.ok(typeof read === 'number' || n === 4 || n >= 20);
    }
    assert.equal(typeof wire.parse(Uint8Array.of(99, 0, 0, 0), 0, 4), 'number');
    assert.equal(wire.format(Uint8Array.of(1, 0, 0, 9), 0, 4), 'dhcpv6 solicit 000009');
  });
});
