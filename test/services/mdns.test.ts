import assert from 'node:assert/strict';
import type { AnyStack } from '#src/index.js';
import type { MdnsFound } from '#src/services/mdns/browser.js';
import type { MdnsRecord } from '#src/services/mdns/bus.js';
import { additionalTo, answersTo, compareSets, known, serviceRecords } from '#src/services/mdns/records.js';
import { pair } from '../support/pair.js';
import { until } from '../support/until.js';

const boiler = { name: 'Boiler 2', type: '_http._tcp', port: 80, txt: { path: '/status', on: '' } } as const;

describe('multicast DNS: what answers what', () => {
  const own: MdnsRecord[] = [
    { name: 'plant.local', type: 'A', ttl: 120, flush: true, data: '10.0.0.1' },
    ...serviceRecords(boiler, 'Boiler 2', 'plant'),
  ];
  const types = (records: readonly MdnsRecord[]): string[] => records.map(({ name, type }) => `${type} ${name}`);

  it('RFC 6763 §4: a type has instances, an instance its place and its text, and what comes next is sent along', () => {
    const answers = answersTo({ name: '_HTTP._tcp.local', type: 'PTR' }, own);
    assert.deepEqual(types(answers), ['PTR _http._tcp.local']);
    assert.deepEqual(types(additionalTo(answers, own)), ['SRV Boiler 2._http._tcp.local', 'TXT Boiler 2._http._tcp.local', 'A plant.local']);
    assert.deepEqual(answersTo({ name: '_services._dns-sd._udp.local', type: 'PTR' }, own)[0]?.data, '_http._tcp.local');
    assert.equal(answersTo({ name: 'boiler 2._http._tcp.local', type: 'ANY' }, own).length, 2);
    assert.deepEqual(answersTo({ name: 'other.local', type: 'A' }, own), []);
  });

  it('RFC 6762 §6.1: a name of ours without the type has a record that says so', () => {
    const [nsec] = answersTo({ name: 'plant.local', type: 'AAAA' }, own);
    assert.deepEqual([nsec?.type, nsec?.data], ['NSEC', { nextDomain: 'plant.local', rrtypes: ['A'] }]);
  });

  it('RFC 6762 §7.1: an answer that the asker has, for half its life, is not sent', () => {
    const [a] = own as [MdnsRecord];
    assert.ok(known(a, [{ ...a, ttl: 60 }]));
    assert.ok(!known(a, [{ ...a, ttl: 59 }]));
    assert.ok(!known(a, [{ ...a, data: '10.0.0.9' }]));
  });

  it('RFC 6762 §8.2.1: of two claims the later in order wins', () => {
    const claim = (data: string): MdnsRecord[] => [{ name: 'plant.local', type: 'A', ttl: 120, data }];
    assert.ok(compareSets(claim('169.254.200.50'), claim('169.254.99.200')) > 0);
    assert.equal(compareSets(claim('10.0.0.1'), claim('10.0.0.1')), 0);
    assert.ok(compareSets(claim('10.0.0.1'), [...claim('10.0.0.1'), ...claim('10.0.0.2')]) < 0);
  });
});

describe('multicast DNS between stacks', () => {
  let one: AnyStack;
  let two: AnyStack;
  const close = async (): Promise<void> => {
    await two.close();
    await one.close();
    assert.deepEqual(
      [one, two].map((s) => s.nstat().held),
      Array.from({ length: 2 }, () => ({ packets: 0, slots: 0, chunks: 0 })),
    );
  };
  afterEach(close);

  it('a name and a service are found, by dns.lookup too, and their good-bye is heard', async () => {
    [one, two] = await pair({ services: { mdns: { host: 'plant', services: [boiler] } } });
    const seen: [string, MdnsFound][] = [];
    const browser = two.mdns.browse('_http._tcp', (event, service) => seen.push([event, service]));
    await until(() => seen.length === 1, 'a service');
    const [[event, found]] = seen as [[string, MdnsFound]];
    assert.equal(event, 'up');
    assert.deepEqual(
      { ...found, addresses: found.addresses.filter((a) => !a.includes(':')) },
      { name: 'Boiler 2', type: '_http._tcp', host: 'plant.local', port: 80, addresses: ['10.0.0.1'], txt: { path: '/status', on: '' }, dev: 'eth0' },
    );
    assert.deepEqual(await two.mdns.lookup('PLANT.local', 4), ['10.0.0.1']);
    assert.deepEqual(await two.dns.promises.lookup('plant.local', 4), { address: '10.0.0.1', family: 4 });
    one.services.stop('mdns');
    await until(() => seen.length === 2, 'its end');
    assert.deepEqual(seen[1], ['down', found]);
    browser.close();
  });

  it('RFC 6762 §9: of two with one name the second takes another', async () => {
    [one, two] = await pair({ services: { mdns: { host: 'plant' } } });
    assert.deepEqual(await two.mdns.lookup('plant.local', 4), ['10.0.0.1']);
    const said: string[] = [];
    two.events.on('log', (_level, text) => said.push(text));
    two.services.start('mdns', { host: 'plant' });
    await until(() => said.length > 0, 'another name');
    assert.match(said[0] ?? '', /plant-2\.local/);
    assert.deepEqual(await one.mdns.lookup('plant-2.local', 4), ['10.0.0.2']);
    assert.deepEqual(await one.mdns.lookup('plant.local', 4), ['10.0.0.1']);
  });

  it('what is no message, and who is not on the link, is counted', async () => {
    [one, two] = await pair({ services: { mdns: true } });
    const socket = two.dgram.createSocket('udp4');
    socket.send('no message', 5_353, '10.0.0.1');
    await until(() => one.nstat().drops['DnsMalformed'] === 1, 'DnsMalformed');
    two.addr.add('192.0.2.9/32', { dev: 'eth0' });
    one.route.add('192.0.2.9/32', { via: '10.0.0.2' });
    const far = two.dgram.createSocket('udp4');
    far.bind(0, '192.0.2.9');
    // A question for 'a.local', type A.
    far.send(Buffer.from('0000000000010000000000000161056c6f63616c0000010001', 'hex'), 5_353, '10.0.0.1');
    await until(() => one.nstat().drops['DnsNotAnswered'] === 1, 'DnsNotAnswered');
    socket.close();
    far.close();
  });
});
