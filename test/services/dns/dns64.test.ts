import assert from 'node:assert/strict';
import { seconds } from '#src/base/time.js';
import { DatagramInfo } from '#src/net/socket/datagram-queue.js';
import { startForwarder } from '#src/services/dns/forwarder.js';
import { StubResolver } from '#src/services/dns/resolver.js';
import type { Running } from '#src/services/small.js';
import { Flag, IN, type Message, parse, type ResourceRecord, Type } from '#src/wire/dns.js';
import { write } from '#src/wire/dns-writer.js';
import { a, cname, NameServerForTests, record, zoneOf } from '../../support/dns-server.js';
import { address, Net } from '../../support/stacks.js';

const reverse = (digits: string): string => `${[...digits].reverse().join('.')}.ip6.arpa`;
const hex = (n: number): string => n.toString(16).padStart(2, '0');
const behind = (...octets: number[]): string => reverse(`0064ff9b${'0'.repeat(16)}${octets.map(hex).join('')}`);

const zone = zoneOf(
  [
    a('four.example.org', '198.51.100.4', 300),
    a('brief.example.org', '198.51.100.5', 20),
    a('both.example.org', '198.51.100.6'),
    a('both.example.org', '2001:db8::6'),
    a('mapped.example.org', '::ffff:198.51.100.7'),
    a('mapped.example.org', '198.51.100.7'),
    a('private.example.org', '10.0.0.7'),
    record('4.100.51.198.in-addr.arpa', Type.PTR, { kind: 'name', name: 'four.example.org' }),
  ],
  30,
);

describe('DNS64 (RFC 6147)', () => {
  let net: Net;
  let server: NameServerForTests;
  let forwarder: Running;
  let stub: StubResolver;
  const start = (dns64: boolean | string): void => {
    forwarder = startForwarder((net.hosts[0] as (typeof net.hosts)[0]).stack, stub, { interfaces: ['eth0'], dns64 });
  };

  beforeEach(() => {
    net = new Net([['10.0.0.1/24'], ['10.0.0.2/24'], ['10.0.0.3/24']]);
    const [router, upstream] = net.hosts.map((h) => h.stack) as [never, never];
    server = new NameServerForTests(upstream, (question, tcp) => {
      const { name, type } = question.questions[0] as { name: string; type: number };
      if (name === 'mapped.example.org' && type === Type.AAAA) return { answers: [MAPPED] };
      if (name === 'broken.example.org') return type === Type.AAAA ? { rcode: 2 } : { answers: [a(name, '198.51.100.8')] };
      if (name === 'deaf.example.org') return type === Type.AAAA ? null : { answers: [a(name, '198.51.100.9')] };
      if (name === 'alias.example.org')
        return { answers: [cname(name, 'four.example.org', 300), ...(type === Type.A ? [a('four.example.org', '198.51.100.4', 300)] : [])] };
      if (name === 'bare.example.org') return type === Type.AAAA ? {} : { answers: [a(name, '198.51.100.10', 5_000)] };
      return zone(question, tcp);
    });
    stub = new StubResolver(router, () => [{ address: address('10.0.0.2'), port: 53, zone: 0 }]);
  });
  afterEach(() => {
    forwarder.close();
    stub.close();
    net.end();
  });

  /** Asks from the third host. */
  function ask(name: string, type: number, flags = 0, dnssecOk = false, span = seconds(1)): Message {
    const stack = (net.hosts[2] as (typeof net.hosts)[0]).stack;
    const socket = stack.udp.openSocket(4);
    socket.bind(null, 0);
    const octets = new Uint8Array(1_232);
    const edns = dnssecOk ? { udpSize: 1_232, version: 0, dnssecOk } : null;
    const end = write(octets, 0, { id: 7, flags: Flag.Desired | flags, questions: [{ name, type, class: IN }], edns }, 512);
    socket.sendTo(octets, 0, end, address('10.0.0.1'), 53);
    net.run(span);
    const n = socket.receive(octets, 0, octets.length, new DatagramInfo());
    socket.close();
    assert(n > 0, `an answer about ${name}`);
    return parse(octets, 0, n) as Message;
  }
  const shown = ({ answers }: Message): string[] =>
    answers.map(({ name, ttl, data }) => `${name} ${ttl} ${data.kind === 'address' ? data.address : data.kind === 'name' ? data.name : data.kind}`);

  it('§5.1.7: a host without IPv6 addresses gets them behind the prefix, no longer than either answer holds', () => {
    start(true);
    assert.deepEqual(shown(ask('four.example.org', Type.AAAA)), ['four.example.org 30 64:ff9b::c633:6404']);
    assert.deepEqual(shown(ask('brief.example.org', Type.AAAA)), ['brief.example.org 20 64:ff9b::c633:6405']);
    assert.deepEqual(shown(ask('bare.example.org', Type.AAAA)), ['bare.example.org 600 64:ff9b::c633:640a'], 'without an SOA');
    assert.deepEqual(shown(ask('four.example.org', Type.A)), ['four.example.org 297 198.51.100.4'], 'its own address is what it was');
  });

  it('§5.1.5: aliases come along', () => {
    start(true);
    assert.deepEqual(shown(ask('alias.example.org', Type.AAAA)), [
      'alias.example.org 300 four.example.org',
      'four.example.org 300 64:ff9b::c633:6404',
    ]);
  });

  it('§5.1.1, §5.1.4: what has its own is left alone; mapped addresses do not count', () => {
    start(true);
    assert.deepEqual(shown(ask('both.example.org', Type.AAAA)), ['both.example.org 60 2001:db8::6']);
    assert.deepEqual(server.asked, ['AAAA both.example.org'], 'nobody asks further');
    assert.deepEqual(shown(ask('mapped.example.org', Type.AAAA)), ['mapped.example.org 60 64:ff9b::c633:6407']);
  });

  it('§5.1.2, §5.1.3: no name is no name; a server that fails on AAAA counts as one without', () => {
    start(true);
    assert.equal(ask('none.example.org', Type.AAAA).rcode, 3);
    assert.deepEqual(server.asked, ['AAAA none.example.org']);
    assert.deepEqual(shown(ask('broken.example.org', Type.AAAA, 0, false, seconds(60))), ['broken.example.org 60 64:ff9b::c633:6408']);
    assert.deepEqual(shown(ask('deaf.example.org', Type.AAAA, 0, false, seconds(60))), ['deaf.example.org 60 64:ff9b::c633:6409']);
  });

  it('§5.1.6: nothing to make one of, the answer is that there is none', () => {
    start(true);
    const none = ask('4.100.51.198.in-addr.arpa', Type.AAAA);
    assert.deepEqual([none.rcode, none.answers.length, none.authorities.length], [0, 0, 1]);
  });

  it('§5.5: who asks for signatures and checks them himself sees what is there', () => {
    start(true);
    assert.deepEqual(shown(ask('four.example.org', Type.AAAA, Flag.Unchecked, true)), []);
    const made = ask('four.example.org', Type.AAAA, Flag.Authentic, true);
    assert.equal(made.answers.length, 1);
    assert.equal(made.flags & Flag.Authentic, 0, 'never authentic');
  });

  it('RFC 6052 §3.1: a private address is not shown behind the well-known prefix, and is behind another', () => {
    start(true);
    assert.deepEqual(shown(ask('private.example.org', Type.AAAA)), []);
    forwarder.close();
    start('2001:db8:64::/96');
    assert.deepEqual(shown(ask('private.example.org', Type.AAAA)), ['private.example.org 30 2001:db8:64::a00:7']);
  });

  it('RFC 7050, RFC 8880: ipv4only.arpa tells the prefix, and nobody else is asked', () => {
    start('2001:db8:64:1::/64');
    assert.deepEqual(shown(ask('IPv4Only.arpa', Type.AAAA)), [
      'IPv4Only.arpa 86400 2001:db8:64:1:c0:0:aa00:0',
      'IPv4Only.arpa 86400 2001:db8:64:1:c0:0:ab00:0',
    ]);
    assert.deepEqual(shown(ask('ipv4only.arpa', Type.A)), ['ipv4only.arpa 86400 192.0.0.170', 'ipv4only.arpa 86400 192.0.0.171']);
    assert.deepEqual([ask('ipv4only.arpa', Type.TXT).rcode, server.asked], [0, []]);
  });

  it('§5.3.1: the name of an address behind the prefix is that of the IPv4 host', () => {
    start(true);
    const name = behind(198, 51, 100, 4);
    assert.deepEqual(shown(ask(name, Type.PTR)), [`${name} 600 4.100.51.198.in-addr.arpa`, '4.100.51.198.in-addr.arpa 60 four.example.org']);
    assert.equal(ask(reverse(`20010db8${'0'.repeat(24)}`), Type.PTR).rcode, 3);
    assert.equal(server.asked.at(-1), `PTR ${reverse(`20010db8${'0'.repeat(24)}`)}`);
  });
});

const MAPPED: ResourceRecord = record('mapped.example.org', Type.AAAA, { kind: 'address', address: address('::ffff:198.51.100.7') });
