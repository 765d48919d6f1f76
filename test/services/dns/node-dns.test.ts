import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AnyStack } from '#src/index.js';
import { type Data, IN, Type } from '#src/wire/dns.js';
import { a, cname, NameServerForTests, record, zoneOf } from '../../support/dns-server.js';
import { pair } from '../../support/pair.js';

const text = (s: string): Uint8Array => new TextEncoder().encode(s);
const name = (of: string): Data => ({ kind: 'name', name: of });
const records = [
  a('www.example.org', '10.0.0.2', 60),
  a('www.example.org', '2001:db8::80', 70),
  a('four.example.org', '10.0.0.2'),
  cname('alias.example.org', 'four.example.org'),
  record('example.org', Type.MX, { kind: 'mx', priority: 10, exchange: 'mail.example.org' }),
  record('example.org', Type.NS, name('ns.example.org')),
  record('example.org', Type.TXT, { kind: 'txt', strings: [text('one'), text('two')] }),
  record('example.org', Type.SOA, { kind: 'soa', nsname: 'ns.example.org', hostmaster: 'root.example.org', numbers: [1, 2, 3, 4, 5] }),
  record('_sip._tcp.example.org', Type.SRV, { kind: 'srv', priority: 1, weight: 2, port: 5_060, name: 'sip.example.org' }),
  record('2.0.0.10.in-addr.arpa', Type.PTR, name('www.example.org')),
  { name: 'example.org', type: 257, class: IN, ttl: 9, data: { kind: 'octets', octets: Uint8Array.of(0, 5, ...text('issueca.test')) } as Data },
  {
    name: 'example.org',
    type: 35,
    class: IN,
    ttl: 9,
    data: { kind: 'octets', octets: Uint8Array.of(0, 10, 0, 100, 1, ...text('s'), 3, ...text('SIP'), 0, 1, ...text('x'), 0) } as Data,
  },
];

describe('names in the shape of node:dns', () => {
  let one: AnyStack;
  let two: AnyStack;
  let server: NameServerForTests;
  beforeEach(async () => {
    [one, two] = await pair({ dns: { servers: ['10.0.0.2'], search: ['example.org'] } });
    server = new NameServerForTests(two.core, zoneOf(records));
  });
  afterEach(async () => {
    await one.close();
    await two.close();
    assert.deepEqual(one.nstat().held, { packets: 0, slots: 0, chunks: 0 });
  });

  it('every question has the shape Node gives it', async () => {
    const dns = one.dns.promises;
    assert.deepEqual(await dns.resolve('four.example.org'), ['10.0.0.2']);
    assert.deepEqual(await dns.resolve4('www.example.org', { ttl: true }), [{ address: '10.0.0.2', ttl: 60 }]);
    assert.deepEqual(await dns.resolve6('www.example.org'), ['2001:db8::80']);
    assert.deepEqual(await dns.resolveCname('alias.example.org'), ['four.example.org']);
    assert.deepEqual(await dns.resolve4('alias.example.org'), ['10.0.0.2']);
    assert.deepEqual(await dns.resolveMx('example.org'), [{ exchange: 'mail.example.org', priority: 10 }]);
    assert.deepEqual(await dns.resolveNs('example.org'), ['ns.example.org']);
    assert.deepEqual(await dns.resolveTxt('example.org'), [['one', 'two']]);
    assert.deepEqual(await dns.resolveSrv('_sip._tcp.example.org'), [{ name: 'sip.example.org', port: 5_060, priority: 1, weight: 2 }]);
    assert.deepEqual(await dns.resolvePtr('2.0.0.10.in-addr.arpa'), ['www.example.org']);
    assert.deepEqual(await dns.resolveCaa('example.org'), [{ critical: 0, issue: 'ca.test' }]);
    assert.deepEqual(await dns.resolveNaptr('example.org'), [
      { flags: 's', service: 'SIP', regexp: '', replacement: 'x', order: 10, preference: 100 },
    ]);
    const soa = { nsname: 'ns.example.org', hostmaster: 'root.example.org', serial: 1, refresh: 2, retry: 3, expire: 4, minttl: 5 };
    assert.deepEqual(await dns.resolveSoa('example.org'), soa);
    assert.deepEqual(await dns.resolve('example.org', 'SOA'), soa);
    assert.deepEqual(await dns.reverse('10.0.0.2'), ['www.example.org']);
    assert.deepEqual(await dns.lookupService('10.0.0.2', 80), { hostname: 'www.example.org', service: '80' });
    const any = [...(await dns.resolveMx('example.org'))];
    assert.equal(any.length, 1);
  });

  it('all that node:dns and its promises have is here', async () => {
    const host = await import('node:dns');
    const missing = (ours: object, theirs: object): string[] =>
      Object.entries(theirs)
        .filter(([key, value]) => key !== 'default' && typeof (ours as Record<string, unknown>)[key] !== typeof value)
        .map(([key]) => key);
    assert.deepEqual(missing(one.dns, host), []);
    assert.deepEqual(missing(one.dns.promises, host.promises), []);
    const methods = (c: { prototype: object }): string[] => [
      ...Object.getOwnPropertyNames(c.prototype),
      ...Object.getOwnPropertyNames(Object.getPrototypeOf(c.prototype) as object),
    ];
    const have = new one.dns.Resolver() as unknown as Record<string, unknown>;
    for (const name of methods(host.Resolver)) assert.equal(typeof have[name], 'function', name);
    assert.equal(one.dns.promises.NOTFOUND, 'ENOTFOUND');
  });

  it('hosts of the configuration are asked of nobody, by name, by search list and by address', async () => {
    one.reload({
      ...one.config,
      dns: { ...one.config.dns, hosts: { 'Plant.example.org': ['10.0.0.7', '2001:db8::7'], 'four.example.org.': ['10.0.0.4'] } },
    });
    const { lookup, lookupService, resolve4, reverse } = one.dns.promises;
    assert.deepEqual(await lookup('plant.EXAMPLE.org'), { address: '10.0.0.7', family: 4 });
    assert.deepEqual(await lookup('plant', { family: 6 }), { address: '2001:db8::7', family: 6 });
    assert.deepEqual(await lookup('four'), { address: '10.0.0.4', family: 4 });
    assert.deepEqual(await reverse('2001:db8::7'), ['plant.example.org']);
    assert.deepEqual(await lookupService('10.0.0.7', 80), { hostname: 'plant.example.org', service: '80' });
    assert.deepEqual(server.asked, []);
    // Questions of a type go to servers, as in Node.
    assert.deepEqual(await resolve4('four.example.org'), ['10.0.0.2']);
    for (const hosts of [{ 'a..b': ['10.0.0.1'] }, { a: ['10.0.0.300'] }])
      assert.throws(() => one.reload({ ...one.config, dns: { hosts } }), /dns\.hosts/);
  });

  it('a Resolver asks from the address it is told to', async () => {
    one.addr.add('10.0.0.99/24', { dev: 'eth0' });
    const resolver = new one.dns.promises.Resolver();
    const from = new Promise((resolve) => (server.heard = resolve));
    resolver.setLocalAddress('10.0.0.99');
    assert.deepEqual(await resolver.resolve4('four.example.org'), ['10.0.0.2']);
    assert.equal(await from, '10.0.0.99');
    assert.throws(() => resolver.setLocalAddress('here'), { code: 'ERR_INVALID_ARG_VALUE' });
  });

  it('callbacks too, and errors as Node words them', async () => {
    const error = await new Promise<NodeJS.ErrnoException>((resolve) =>
      one.dns.resolve4('no.example.org', (e) => resolve(e as NodeJS.ErrnoException)),
    );
    assert.equal(error.message, 'queryA ENOTFOUND no.example.org');
    assert.deepEqual([error.code, error.syscall], ['ENOTFOUND', 'queryA']);
    await assert.rejects(one.dns.promises.resolve6('four.example.org'), { code: 'ENODATA', syscall: 'queryAaaa' });
    assert.throws(() => one.dns.reverse('nobody', () => {}), { code: 'EINVAL' });
    assert.throws(() => one.dns.resolve('x', 'NONE' as never, () => {}), { code: 'ERR_INVALID_ARG_VALUE' });
    assert.throws(() => one.dns.resolve4(1 as never, () => {}), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(() => one.dns.lookup('x', undefined as never), { code: 'ERR_INVALID_ARG_TYPE' });
  });

  it('lookup: one, all, a family, the search list, an order, addresses and localhost without a server', async () => {
    const { lookup } = one.dns.promises;
    assert.deepEqual(await lookup('four'), { address: '10.0.0.2', family: 4 });
    // RFC 6724 §6 rule 1: no way leads to IPv6.
    const both = [
      { address: '10.0.0.2', family: 4 },
      { address: '2001:db8::80', family: 6 },
    ];
    assert.deepEqual(await lookup('www.example.org', { all: true }), both);
    assert.deepEqual(await lookup('www', { family: 6 }), both[1]);
    one.dns.setDefaultResultOrder('ipv6first');
    assert.deepEqual(await lookup('www', { all: true }), [...both].reverse());
    assert.deepEqual(await lookup('www', { order: 'ipv4first' }), both[0]);
    const asked = server.asked.length;
    assert.deepEqual(await lookup('192.0.2.7'), { address: '192.0.2.7', family: 4 });
    assert.deepEqual(await lookup('localhost', 4), { address: '127.0.0.1', family: 4 });
    await assert.rejects(lookup('x.invalid'), { code: 'ENOTFOUND' });
    assert.equal(server.asked.length, asked);
    await assert.rejects(lookup('nobody'), { code: 'ENOTFOUND', message: 'getaddrinfo ENOTFOUND nobody', errno: -3_008 });
    assert.throws(() => void lookup('four.example.org', 5 as never), { code: 'ERR_INVALID_ARG_VALUE' });
  });

  it('net.connect and dgram take names', async () => {
    const listening = two.net.createServer((socket) => socket.end('hello')).listen(80);
    await once(listening, 'listening');
    const socket = one.net.connect(80, 'www');
    const [data] = (await once(socket, 'data')) as [Buffer];
    assert.equal(String(data), 'hello');
    listening.close();
    const to = two.dgram.createSocket('udp4');
    to.bind(9);
    await once(to, 'listening');
    const from = one.dgram.createSocket('udp4');
    from.send('ping', 9, 'alias.example.org');
    const [message] = (await once(to, 'message')) as [Buffer];
    assert.equal(String(message), 'ping');
    from.close();
    to.close();
  });

  it('RFC 8305 §3: a family whose server is silent holds no connection up', async () => {
    const listening = two.net.createServer((socket) => socket.end()).listen(80);
    await once(listening, 'listening');
    const answers = zoneOf(records);
    server.zone = (question, tcp) => (question.questions[0]?.type === Type.AAAA ? null : answers(question, tcp));
    const socket = one.net.connect(80, 'www.example.org');
    await once(socket, 'connect'); // the stub would ask for AAAA for seconds
    assert.equal(socket.remoteAddress, '10.0.0.2');
    socket.destroy();
    listening.close();
  });

  it('RFC 6724 §6: a destination with an address of its own kind before one of another', async () => {
    one.sysctl.set('net.ipv6.conf.all.dad_transmits', 0);
    one.addr.add('fd00::1/64', { dev: 'eth0' });
    server.zone = zoneOf([a('two.example.org', '2001:db8::80'), a('two.example.org', 'fd00::80'), a('two.example.org', '10.0.0.80')]);
    one.route.add('2001:db8::/32', { via: 'fd00::2' });
    const found = await one.dns.promises.lookup('two.example.org', { all: true });
    assert.deepEqual(
      found.map(({ address }) => address),
      ['10.0.0.80', 'fd00::80', '2001:db8::80'], // rule 5: the label of what would be the source; rule 6: precedence,
    );
  });

  it('a Resolver has servers of its own, and cancels what it asked', async () => {
    const resolver = new one.dns.promises.Resolver({ timeout: 500, tries: 1 });
    assert.deepEqual(resolver.getServers(), ['10.0.0.2']);
    resolver.setServers(['10.0.0.2:54', '[2001:db8::1]:5353', '2001:db8::1']);
    assert.deepEqual(resolver.getServers(), ['10.0.0.2:54', '[2001:db8::1]:5353', '2001:db8::1']);
    await assert.rejects(resolver.resolve4('www.example.org'), { code: 'ECONNREFUSED' });
    resolver.setServers(['10.0.0.2']);
    server.zone = () => null;
    const asked = resolver.resolve4('www.example.org');
    resolver.cancel();
    await assert.rejects(asked, { code: 'ECANCELLED' });
    assert.throws(() => resolver.setServers(['nonsense']), { code: 'ERR_INVALID_IP_ADDRESS' });
    const callbacks = new one.dns.Resolver();
    server.zone = zoneOf(records);
    assert.deepEqual(await new Promise((resolve) => callbacks.resolve4('four.example.org', (_error, found) => resolve(found))), ['10.0.0.2']);
  });

  it('close ends what is asked; without servers nothing is found', async () => {
    server.zone = () => null;
    const asked = one.dns.promises.resolve4('www.example.org');
    const looked = one.dns.promises.lookup('www.example.org');
    setImmediate(() => void one.close());
    await assert.rejects(asked, { code: 'ECANCELLED' });
    await assert.rejects(looked, { code: 'EAI_AGAIN' });
    await assert.rejects(two.dns.promises.lookup('www.example.org'), { code: 'ENOTFOUND' });
    await assert.rejects(two.dns.promises.resolve4('www.example.org'), { code: 'ECONNREFUSED' });
  });

  it('a reload changes servers; wrong ones are refused with their place', async () => {
    const { interfaces } = one.config;
    const change = (dns: object): void => one.reload({ name: 'one', ...(interfaces === undefined ? {} : { interfaces }), dns });
    assert.throws(() => change({ servers: ['nonsense'] }), /dns\.servers\[0\]/);
    assert.throws(() => change({ servers: ['fe80::1%eth9'] }), /dns.*names no interface/);
    assert.throws(() => change({ search: ['a..b'] }), /dns\.search\[0\]/);
    assert.throws(() => change({ forwarder: { interfaces: ['eth9'] } }), /dns\.forwarder\.interfaces\[0\]/);
    assert.deepEqual(one.dns.getServers(), ['10.0.0.2']);
    change({ servers: ['10.0.0.9'] });
    assert.deepEqual(one.names.status().servers, ['10.0.0.9']);
    one.dns.setServers(['10.0.0.2']);
    assert.deepEqual(await one.dns.promises.resolve4('four.example.org'), ['10.0.0.2']);
  });
});
