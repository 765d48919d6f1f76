import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { Prng } from '#src/base/prng.js';
import { type AnyStack, createStack, memoryLink } from '#src/index.js';
import { FpmSession, FpmStats } from '#src/services/fpm-session.js';
import { pair } from '../support/pair.js';
import { until } from '../support/until.js';
import { concat, hex } from '../support/wire.js';

const le32 = (n: number): string => hex32(n).match(/../g)?.reverse().join('') ?? '';
const hex32 = (n: number): string => (n >>> 0).toString(16).padStart(8, '0');
const le16 = (n: number): string => `${hex32(n).slice(6)}${hex32(n).slice(4, 6)}`;
/** A netlink attribute. */
const attribute = (type: number, value: string): string => {
  const octets = value.replace(/ /g, '').length / 2;
  return `${le16(octets + 4)}${le16(type)}${value.replace(/ /g, '')}${'00'.repeat((4 - (octets % 4)) % 4)}`;
};
/** A netlink message. */
const message = (type: number, body: string): string => `${le32(body.length / 2 + 16)}${le16(type)}0105 0000000000000000${body}`.replace(/ /g, '');
/** An FPM frame of netlink messages. */
const frame = (...messages: string[]): Uint8Array => {
  const body = hex(messages.join(''));
  return concat(hex(`0101${hex32(body.length + 4).slice(4)}`), body);
};
const route4 = (prefix: string, length: number, rest: string, type = 24, kind = '01'): string =>
  message(type, `02${hex32(length).slice(6)}0000feba00${kind}00000000${attribute(1, prefix)}${rest}`);
const nexthop = (id: number, rest: string, family = '02'): string => message(104, `${family}000b0000000000${attribute(1, le32(id))}${rest}`);
const group = (id: number, ...members: number[]): string => nexthop(id, attribute(2, members.map((m) => `${le32(m)}00000000`).join('')), '00');

/** As recorded from FRR 8.4.4. */
const RECORDED = {
  nexthop: '01010034 30000000 6800 0105 00000000 49aa3aed 02000b00 00000000 08000100 19000000 08000600 0a000c02 08000500 02000000',
  route: '01010038 34000000 1800 0105 00000000 49aa3aed 02180000 feba0001 00000000 08000100 ac100200 08000600 14000000 08001e00 19000000',
  plain:
    '01010040 3c000000 1800 0105 00000000 49aa3aed 02180000 febc0001 00000000 08000100 cb007100 08000600 14000000 08000500 0a000c02 08000400 02000000',
};

describe('Forwarding Plane Manager', () => {
  let stack: AnyStack;
  let stats: FpmStats;
  let session: FpmSession;
  beforeEach(() => {
    const cables = [memoryLink(), memoryLink()];
    for (const [, far] of cables) far.start({ readable: () => {}, writable: () => {}, carrier: () => {}, mtu: () => {}, failed: () => {} });
    stack = createStack({
      interfaces: {
        eth0: { device: cables[0]?.[0] as never, addresses: ['10.0.12.1/24', 'fd12::1/64'] },
        eth1: { device: cables[1]?.[0] as never, addresses: ['10.0.13.1/24'] },
      },
    });
    stats = new FpmStats();
    session = new FpmSession(stack.core, { ports: new Map([[7, 'eth1']]), vrf: 0, routesMax: 100_000, session: 1 }, stats);
  });
  afterEach(() => stack.close());

  /** Routes of the engine: "172.16.2.0/24 via 10.0.12.2 dev eth0 metric 20". */
  const zebra = (): string[] =>
    stack.route
      .show()
      .filter((r) => r.protocol === 'zebra')
      .map((r) =>
        `${r.type ?? ''} ${r.to} via ${r.via} dev ${r.dev} metric ${r.metric ?? 0}${r.table === undefined ? '' : ` table ${r.table}`}`.trim(),
      )
      .sort();

  it('takes the frames zebra sends, with next hop groups and without, in whatever pieces TCP cuts them', () => {
    const all = concat(hex(RECORDED.nexthop), hex(RECORDED.route), hex(RECORDED.plain));
    for (let i = 0; i < all.length; i++) assert.ok(session.input(all.subarray(i, i + 1)));
    assert.deepEqual(zebra(), ['172.16.2.0/24 via 10.0.12.2 dev eth0 metric 20', '203.0.113.0/24 via 10.0.12.2 dev eth0 metric 20']);
    assert.equal(stack.route.get('172.16.2.9').protocol, 'zebra');
    assert.deepEqual({ ...stats }, { routes: 2, added: 2, deleted: 0, swept: 0, skipped: 0, refused: 0, malformed: 0 });
  });

  it('a change is a deletion and an addition in one frame; a deletion takes the engine’s own route only', () => {
    stack.route.add('172.16.2.0/24', { via: '10.0.13.9', metric: 20 });
    session.input(concat(hex(RECORDED.nexthop), hex(RECORDED.route)));
    const moved = route4('ac100200', 24, attribute(6, le32(20)) + attribute(5, '0a000d07'));
    session.input(frame(route4('ac100200', 24, attribute(6, le32(20)), 25), moved));
    assert.deepEqual(zebra(), ['172.16.2.0/24 via 10.0.13.7 dev eth1 metric 20']);
    session.input(frame(route4('ac100200', 24, '', 25), route4('ac100300', 24, '', 25)));
    assert.deepEqual(zebra(), []);
    assert.ok(stack.route.show().some((r) => r.to === '172.16.2.0/24'));
    assert.equal(stats.routes, 0);
  });

  it('shares flows over several ways: RTA_MULTIPATH, and groups of next hops', () => {
    const way = (gateway: string): string => `10000000${le32(2)}${attribute(5, gateway)}`;
    session.input(frame(route4('c6336400', 24, attribute(9, way('0a000c02') + way('0a000d02')))));
    session.input(frame(nexthop(1, attribute(6, '0a000c02')), nexthop(2, attribute(6, '0a000d02')), group(3, 1, 2)));
    session.input(frame(route4('c6336500', 24, attribute(30, le32(3)))));
    assert.deepEqual(zebra(), [
      '198.51.100.0/24 via 10.0.12.2 dev eth0 metric 0',
      '198.51.100.0/24 via 10.0.13.2 dev eth1 metric 0',
      '198.51.101.0/24 via 10.0.12.2 dev eth0 metric 0',
      '198.51.101.0/24 via 10.0.13.2 dev eth1 metric 0',
    ]);
    assert.equal(stack.route.get('198.51.101.1').ways, 2);
  });

  it('a next hop told anew moves all routes that use it, and the groups it is in, at once', () => {
    session.input(frame(nexthop(1, attribute(6, '0a000c02')), nexthop(2, attribute(6, '0a000d02')), group(3, 1, 2)));
    for (let i = 0; i < 1_000; i++) session.input(frame(route4(hex32(0xac100000 + (i << 8)), 24, attribute(30, le32(i % 2 === 0 ? 1 : 3)))));
    const generation = stack.core.ip.routes.generation;
    session.input(frame(nexthop(1, attribute(6, '0a000d63'))));
    assert.ok(stack.core.ip.routes.generation - generation <= 2, 'two groups, not a thousand routes');
    assert.equal(stack.route.get('172.16.0.1').via, '10.0.13.99');
    assert.ok(!zebra().some((line) => line.includes('10.0.12.2')));
    session.input(frame(nexthop(1, attribute(5, le32(99)))));
    assert.throws(() => stack.route.get('172.16.0.1'), { code: 'EHOSTUNREACH' });
    session.input(frame(nexthop(1, attribute(6, '0a000c02'))));
    assert.equal(stack.route.get('172.16.0.1').via, '10.0.12.2');
  });

  it('IPv6, tables, kinds, interfaces by number; the kernel’s own prefixes and ways that are none of ours are left out', () => {
    const six = (rest: string, kind = '01'): string =>
      message(24, `0a200000feba00${kind}00000000${attribute(1, 'fd770000000000000000000000000000')}${rest}`);
    session.input(frame(six(attribute(5, 'fd120000000000000000000000000009') + attribute(15, le32(1_000)))));
    session.input(frame(route4('cb007200', 24, '', 24, '06'), route4('cb007300', 24, '', 24, '07'), route4('cb007400', 24, '', 24, '08')));
    session.input(frame(route4('cb007500', 24, attribute(4, le32(7)))));
    session.input(frame(nexthop(9, attribute(4, '')), route4('cb007600', 24, attribute(30, le32(9)))));
    assert.deepEqual(zebra(), [
      '203.0.117.0/24 via undefined dev eth1 metric 0',
      'blackhole 203.0.114.0/24 via undefined dev undefined metric 0',
      'blackhole 203.0.118.0/24 via undefined dev undefined metric 0',
      'fd77::/32 via fd12::9 dev eth0 metric 0 table 1000',
      'prohibit 203.0.116.0/24 via undefined dev undefined metric 0',
      'unreachable 203.0.115.0/24 via undefined dev undefined metric 0',
    ]);
    const kernel = message(
      24,
      `0218000000fe0200 01 00000000${attribute(1, '0a000c00')}${attribute(4, le32(2))}`.replace('0218000000fe0200 01', '02180000fe02fd01'),
    );
    session.input(frame(kernel, route4('cb007700', 24, attribute(5, '09090909')), route4('cb007800', 24, attribute(30, le32(404)))));
    assert.equal(stats.skipped, 3);
  });

  it('RFC 8950: IPv4 over an IPv6 next hop, as BGP without numbered links has it', async () => {
    const [a, b] = memoryLink();
    const sysctl = { 'net.ipv6.conf.all.dad_transmits': 0 };
    const one = createStack({ sysctl, interfaces: { eth0: { device: a, addresses: ['fd00::1/64', '10.1.1.1/32'] } } });
    const two = createStack({ sysctl, interfaces: { eth0: { device: b, addresses: ['fd00::2/64', '10.1.1.2/32'] } } });
    for (const [{ core }, to, gateway] of [
      [one, '0a010102', 'fd000000000000000000000000000002'],
      [two, '0a010101', 'fd000000000000000000000000000001'],
    ] as const) {
      const told = new FpmSession(core, { ports: new Map(), vrf: 0, routesMax: 10, session: 1 }, new FpmStats());
      assert.ok(told.input(frame(route4(to, 32, attribute(18, `0a00${gateway}`)))));
    }
    await Promise.all([one.ready, two.ready]);
    assert.equal(one.route.get('10.1.1.2').via, 'fd00::2');
    const { received } = await one.ping('10.1.1.2', { count: 1 }).done;
    assert.equal(received, 1);
    await Promise.all([one.close(), two.close()]);
  });

  it('what makes no sense ends the session and is counted', () => {
    const cases: Uint8Array[] = [
      hex('02010010 000000000000000000000000'), // version
      hex('01020010 000000000000000000000000'), // not netlink
      hex('01010003'), // shorter than its own header
      hex('01010008 00000000'), // shorter than a message
      frame(`${le32(15)}${le16(24)}0000 0000000000000000`.replace(/ /g, '')),
      frame(`${le32(200)}${le16(24)}0000 0000000000000000`.replace(/ /g, '')),
      frame(message(24, '0218')),
      frame(message(24, '0318000000000000 00000000'.replace(' ', ''))), // family
      frame(route4('ac100200', 33, '')), // prefix length
      frame(route4('ac1002', 24, '')), // address length
      frame(route4('ac100200', 24, '0300 0500'.replace(' ', ''))), // attribute below its header
      frame(route4('ac100200', 24, '4000 0500'.replace(' ', ''))), // past the message
      frame(route4('ac100200', 24, attribute(9, '0400000000000000'))),
      frame(message(104, '02000b0000000000')), // a next hop without a number
      frame(nexthop(5, attribute(2, '010203'))),
      frame(nexthop(5, attribute(6, '0a0b'))),
    ];
    for (const [i, octets] of cases.entries()) {
      const fresh = new FpmSession(stack.core, { ports: new Map(), vrf: 0, routesMax: 10, session: 1 }, stats);
      assert.equal(fresh.input(octets), false, `case ${i}`);
      assert.equal(stats.malformed, i + 1);
    }
    assert.deepEqual(zebra(), []);
  });

  it('survives any octets: 5,000 damaged streams', () => {
    const prng = new Prng(7);
    const sound = concat(
      hex(RECORDED.nexthop),
      hex(RECORDED.route),
      hex(RECORDED.plain),
      frame(nexthop(1, attribute(6, '0a000c02')), group(3, 1, 25), route4('c6336500', 24, attribute(30, le32(3)))),
    );
    for (let i = 0; i < 5_000; i++) {
      const bad = sound.slice();
      for (let n = 1 + prng.below(4); n > 0; n--) bad[prng.below(bad.length)] = prng.below(256);
      const fresh = new FpmSession(stack.core, { ports: new Map(), vrf: 0, routesMax: 1_000, session: 1 }, stats);
      fresh.input(bad);
    }
  });

  it('a new session’s routes take the place of the old one’s; what it has not told when it sweeps goes', () => {
    session.input(
      frame(nexthop(1, attribute(6, '0a000c02')), ...['ac100100', 'ac100200', 'ac100300'].map((p) => route4(p, 24, attribute(30, le32(1))))),
    );
    const next = new FpmSession(stack.core, { ports: new Map(), vrf: 0, routesMax: 3, session: 2 }, stats);
    next.input(frame(nexthop(1, attribute(6, '0a000d02')), route4('ac100100', 24, attribute(30, le32(1)))));
    assert.equal(stack.route.get('172.16.1.1').via, '10.0.13.2');
    assert.equal(stack.route.get('172.16.2.1').via, '10.0.12.2', 'the same number is another next hop in another session');
    next.input(frame(nexthop(1, attribute(6, '0a000d03'))));
    assert.equal(stack.route.get('172.16.2.1').via, '10.0.12.2');
    next.input(frame(route4('ac100300', 24, '', 25)));
    assert.deepEqual([stats.routes, next.routes], [2, 1], 'also what the old one told can be taken back');
    next.input(frame(route4('ac100400', 24, attribute(30, le32(1))), route4('ac100500', 24, attribute(30, le32(1)))));
    assert.deepEqual([stats.routes, stats.refused], [3, 1], 'stale ones count until they go');
    next.sweep();
    assert.deepEqual(zebra(), ['172.16.1.0/24 via 10.0.13.3 dev eth1 metric 0', '172.16.4.0/24 via 10.0.13.3 dev eth1 metric 0']);
    assert.deepEqual([stats.routes, stats.swept], [2, 1]);
    next.sweep();
    assert.equal(stats.swept, 1);
  });

  it('routes are bounded; a full table comes fast and leaves nothing behind', () => {
    const small = new FpmSession(stack.core, { ports: new Map(), vrf: 0, routesMax: 2, session: 1 }, stats);
    for (const prefix of ['ac100100', 'ac100200', 'ac100300']) small.input(frame(route4(prefix, 24, attribute(5, '0a000c02'))));
    assert.equal(zebra().length, 2);
    assert.equal(stats.refused, 1);
    session.input(frame(nexthop(1, attribute(6, '0a000c02')), nexthop(2, attribute(6, '0a000d02')), group(3, 1, 2)));
    stats.routes = 0;
    const many = concat(
      ...Array.from({ length: 50_000 }, (_, i) => frame(route4(hex32(0x14000000 + (i << 8)), 24, attribute(30, le32(1 + (i % 3)))))),
    );
    session.input(many);
    assert.equal(stats.routes, 50_000);
    assert.equal(
      stack.core.ip.routes.removeHops((h) => h.protocol === 'zebra'),
      50_000 + 16_666 + 2,
    );
    assert.deepEqual(zebra(), []);
  });
});

describe('Forwarding Plane Manager: the server', () => {
  it('on the host’s TCP: one connection, whose routes go when nobody comes back', async () => {
    const [device, far] = memoryLink();
    far.start({ readable: () => {}, writable: () => {}, carrier: () => {}, mtu: () => {}, failed: () => {} });
    const logged: string[] = [];
    const port = 20_000 + (process.pid % 20_000);
    const stack = createStack({ interfaces: { eth0: { device, addresses: ['10.0.12.1/24'] } }, services: { fpm: { port, grace: 0.6 } } });
    stack.events.on('log', (_level, text) => logged.push(text));
    await new Promise((resolve) => setTimeout(resolve, 50));
    const routes = (): number => stack.route.show().filter((r) => r.protocol === 'zebra').length;
    const zebra = connect(port, '127.0.0.1');
    zebra.write(concat(hex(RECORDED.nexthop), hex(RECORDED.route)));
    await until(() => routes() === 1, 'the route');
    const second = connect(port, '127.0.0.1');
    await new Promise((resolve) => zebra.once('close', resolve));
    assert.deepEqual(logged, ['fpm: a new connection takes over']);
    assert.equal(routes(), 1, 'until the new one has had time to tell its own');
    second.write(hex(RECORDED.plain));
    await until(() => routes() === 2, 'what it tells comes beside what was told');
    await until(() => routes() === 1, 'what it has not told again goes');
    assert.equal(stack.route.get('203.0.113.1').protocol, 'zebra');
    second.destroy();
    await until(() => routes() === 0, 'the route goes after its grace');
    const third = connect(port, '127.0.0.1');
    third.on('error', () => {});
    third.write(concat(hex(RECORDED.plain), hex('ffffffff')));
    await new Promise((resolve) => third.once('close', resolve));
    assert.match(logged[1] ?? '', /malformed/);
    await stack.close();
  });

  it('on the stack’s own TCP', async () => {
    const [one, two] = await pair({ services: { fpm: { on: 'stack', grace: 0 } } });
    const routes = (): number => one.route.show().filter((r) => r.protocol === 'zebra').length;
    const zebra = two.net.connect({ host: '10.0.0.1', port: 2_620 });
    zebra.write(frame(route4('ac100100', 24, attribute(5, '0a000002'))));
    await until(() => routes() === 1, 'the route');
    zebra.end();
    await until(() => routes() === 0, 'the route goes');
    await Promise.all([one.close(), two.close()]);
  });
});
