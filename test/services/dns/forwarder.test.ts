import assert from 'node:assert/strict';
import type { Address } from '#src/base/address.js';
import { Drop } from '#src/base/drops.js';
import { seconds } from '#src/base/time.js';
import { DatagramInfo } from '#src/net/socket/datagram-queue.js';
import { startForwarder } from '#src/services/dns/forwarder.js';
import { StubResolver } from '#src/services/dns/resolver.js';
import type { Running } from '#src/services/small.js';
import { Flag, IN, type Message, parse, Type } from '#src/wire/dns.js';
import { type Draft, write } from '#src/wire/dns-writer.js';
import { a, NameServerForTests, zoneOf } from '../../support/dns-server.js';
import { address, Net } from '../../support/stacks.js';

const records = [a('www.example.org', '192.0.2.80', 60), ...Array.from({ length: 200 }, (_, i) => a('many.example.org', `192.0.2.${i}`))];

describe('DNS forwarder', () => {
  let net: Net;
  let server: NameServerForTests;
  let forwarder: Running;
  let stub: StubResolver;

  beforeEach(() => {
    net = new Net([['10.0.0.1/24'], ['10.0.0.2/24'], ['10.0.0.3/24', '10.9.0.3/24']]);
    const [router, upstream] = net.hosts.map((h) => h.stack) as [never, never];
    server = new NameServerForTests(upstream, zoneOf(records));
    stub = new StubResolver(router, () => [{ address: address('10.0.0.2'), port: 53, zone: 0 }]);
    forwarder = startForwarder(router, stub, { interfaces: ['eth0'], rate: 50 });
  });
  afterEach(() => {
    forwarder.close();
    stub.close();
    net.end();
  });

  const drops = (reason: number): number => net.hosts[0]?.stack.ctx.counters.drops[reason] as number;
  const question = (name: string, change: Partial<Draft> = {}): Draft => ({
    id: 77,
    flags: Flag.Desired,
    questions: [{ name, type: Type.A, class: IN }],
    ...change,
  });

  /** Sends from the third host and gives what comes back within `span`. */
  function ask(drafts: readonly (Draft | Uint8Array)[], from: Address | null = null, span = seconds(1)): Message[] {
    const stack = net.hosts[2]?.stack as NonNullable<(typeof net.hosts)[0]>['stack'];
    const socket = stack.udp.openSocket(4);
    socket.bind(from, 0);
    const octets = new Uint8Array(65_535);
    for (const draft of drafts) {
      const end = draft instanceof Uint8Array ? draft.length : write(octets, 0, draft, 512);
      socket.sendTo(draft instanceof Uint8Array ? draft : octets, 0, end, address('10.0.0.1'), 53, from === null ? 0 : 2);
    }
    net.run(span);
    const got: Message[] = [];
    const info = new DatagramInfo();
    for (let n = socket.receive(octets, 0, octets.length, info); n >= 0; n = socket.receive(octets, 0, octets.length, info))
      got.push(parse(octets, 0, n) as Message);
    socket.close();
    return got;
  }

  it('RFC 5625: a question is passed on, the answer comes with its identifier and name as asked, the next from the cache', () => {
    const [first] = ask([question('WWW.example.org')]);
    assert.deepEqual(
      [first?.id, first?.questions[0]?.name, first?.answers.length, first?.flags],
      [77, 'WWW.example.org', 1, Flag.Response | Flag.Desired | Flag.Available],
    );
    assert.equal(first?.edns, null);
    const [second] = ask([question('www.example.org', { edns: { udpSize: 4_096, version: 0, dnssecOk: false } })]);
    assert.ok((second?.answers[0]?.ttl ?? 99) < 60);
    assert.equal(second?.edns?.udpSize, 1_232);
    assert.equal(server.asked.length, 1);
  });

  it('negative answers pass with their SOA; a dead server is SERVFAIL', () => {
    const [none] = ask([question('none.example.org')]);
    assert.deepEqual([none?.rcode, none?.authorities.length], [3, 1]);
    server.zone = () => null;
    assert.deepEqual(
      ask([question('dead.example.org')], null, seconds(20)).map((m) => m.rcode),
      [2],
    );
  });

  it('what does not fit 512 octets is truncated, and whole over TCP', () => {
    const [short] = ask([question('many.example.org')]);
    assert.ok(((short?.flags ?? 0) & Flag.Truncated) !== 0 && (short?.answers.length ?? 99) < 30);
    const stack = net.hosts[2]?.stack as NonNullable<(typeof net.hosts)[0]>['stack'];
    const socket = stack.tcp.openSocket(4);
    socket.connect(address('10.0.0.1'), 53);
    net.run(seconds(0.1));
    const octets = new Uint8Array(65_535);
    for (let round = 0; round < 2; round++) {
      const end = write(octets, 2, question('many.example.org'), 512);
      octets.set([0, end - 2]);
      socket.write(octets, 0, end);
      net.run(seconds(1));
      const n = socket.read(octets);
      assert.equal((parse(octets, 2, n) as Message).answers.length, 200);
    }
    // RFC 7766 §6.2.3: who asks no more is hung up on.
    net.run(seconds(11));
    assert.equal(socket.read(octets), 0);
    socket.close();
    net.run(seconds(1));
  });

  it('only stations on the link, only questions, only one a message, and no transfers', () => {
    assert.deepEqual(ask([question('www.example.org')], address('10.9.0.3')), []);
    assert.equal(drops(Drop.DnsNotAnswered), 1);
    assert.deepEqual(ask([question('www.example.org', { flags: Flag.Response })]), []);
    assert.deepEqual(ask([question('x', { questions: [] })]), []);
    assert.equal(drops(Drop.DnsNotAnswered), 3);
    assert.deepEqual(ask([Uint8Array.of(1, 2, 3)]), []);
    assert.equal(drops(Drop.DnsTruncated), 1);
    assert.deepEqual(
      ask([question('x', { questions: [{ name: 'x', type: 252, class: IN }] })]).map((m) => m.rcode),
      [5],
    );
    assert.deepEqual(
      ask([question('x', { questions: [{ name: 'x', type: 1, class: 3 }] })]).map((m) => m.rcode),
      [5],
    );
    assert.deepEqual(
      ask([question('x', { flags: 0x2000 })]).map((m) => m.rcode),
      [4],
    );
    assert.deepEqual(
      ask([question('x', { edns: { udpSize: 512, version: 1, dnssecOk: false } })]).map((m) => m.rcode),
      [16],
    );
    assert.deepEqual(server.asked, []);
  });

  it('questions a second and questions under way are bounded', () => {
    ask([question('www.example.org')]); // the neighbours know each other from now on
    server.zone = () => null;
    const many = Array.from({ length: 60 }, (_, i) => question(`n${i}.example.org`));
    ask(many, null, seconds(1));
    assert.equal(drops(Drop.DnsNotAnswered), 10);
    for (let round = 0; round < 2; round++) ask(many.map((m, i) => ({ ...m, questions: [{ name: `r${round}-${i}`, type: 1, class: 1 }] })));
    assert.equal(drops(Drop.DnsQueriesFull), 150 - 128);
  });
});
