import assert from 'node:assert/strict';
import { Drop } from '#src/base/drops.js';
import { Prng } from '#src/base/prng.js';
import { seconds } from '#src/base/time.js';
import { DatagramInfo } from '#src/net/socket/datagram-queue.js';
import { DnsCache, ENTRIES_MAX } from '#src/services/dns/cache.js';
import type { DnsCode } from '#src/services/dns/codes.js';
import { type Found, QUERIES_MAX, StubResolver } from '#src/services/dns/resolver.js';
import { Flag, type Message, Type } from '#src/wire/dns.js';
import { write } from '#src/wire/dns-writer.js';
import { a, cname, NameServerForTests, soa, type Zone, zoneOf } from '../../support/dns-server.js';
import { address, Net } from '../../support/stacks.js';

const records = [
  a('www.example.org', '192.0.2.80', 60),
  cname('alias.example.org', 'www.example.org'),
  cname('loop.example.org', 'loop.example.org'),
];

describe('DNS stub resolver', () => {
  let net: Net;
  let server: NameServerForTests;
  let second: NameServerForTests;
  let resolver: StubResolver;
  const drops = (reason: number): number => net.hosts[0]?.stack.ctx.counters.drops[reason] as number;

  function begin(zone: Zone, servers = ['10.0.0.2']): void {
    net = new Net([['10.0.0.1/24'], ['10.0.0.2/24'], ['10.0.0.3/24']]);
    const [client, one, two] = net.hosts.map((h) => h.stack) as [never, never, never];
    server = new NameServerForTests(one, zone);
    second = new NameServerForTests(two, zoneOf(records));
    const list = servers.map((text) => ({ address: address(text), port: 53, zone: 0 }));
    resolver = new StubResolver(client, () => list);
  }
  afterEach(() => {
    resolver.close();
    net.end();
  });

  /** The addresses found, or the code. */
  function find(name: string, type: number = Type.A, span = seconds(30)): string[] | DnsCode | null {
    const results: (Found | DnsCode)[] = [];
    resolver.find(name, type, (result) => results.push(result));
    net.run(span);
    assert.ok(results.length <= 1);
    const [result] = results;
    if (result === undefined || typeof result === 'string') return result ?? null;
    return result.records.map(({ data }) => (data.kind === 'address' ? data.address.toString() : data.kind));
  }

  it('RFC 1034 §5.3.1: asks a server with RD and EDNS, and gives what it answers', () => {
    let question: Message | null = null;
    begin((asked) => {
      question = asked;
      return zoneOf(records)(asked, false);
    });
    assert.deepEqual(find('www.example.org'), ['192.0.2.80']);
    const { edns, flags } = question as unknown as Message;
    assert.equal(flags, Flag.Desired);
    assert.deepEqual(edns, { udpSize: 1_232, version: 0, dnssecOk: false });
  });

  it('RFC 1035 §3.2.1: an answer is kept for its TTL, case notwithstanding; RFC 2308 §5: that there is none for the SOA minimum', () => {
    begin(zoneOf(records, 30));
    const ask = (name: string): unknown => find(name, Type.A, seconds(1));
    ask('www.example.org');
    ask('WWW.example.ORG');
    assert.deepEqual(server.asked, ['A www.example.org']);
    net.run(seconds(60));
    ask('www.example.org');
    assert.equal(server.asked.length, 2);
    assert.equal(ask('none.example.org'), 'ENOTFOUND');
    net.run(seconds(20));
    assert.equal(ask('none.example.org'), 'ENOTFOUND');
    assert.equal(server.asked.length, 3);
    net.run(seconds(20));
    ask('none.example.org');
    assert.equal(server.asked.length, 4);
    assert.equal(find('www.example.org', Type.AAAA), 'ENODATA');
  });

  it('a cached TTL is aged, time in suspend counts; the cache is bounded', () => {
    begin(zoneOf(records));
    find('www.example.org', Type.A, seconds(1));
    const ttl = (): number | undefined => {
      let result: Message | null = null;
      resolver.query('www.example.org', Type.A, {}, (outcome) => (result = outcome as Message));
      net.run(seconds(0));
      return (result as unknown as Message)?.answers[0]?.ttl;
    };
    assert.equal(ttl(), 59);
    net.hosts[0]?.host.suspend(seconds(30));
    assert.equal(ttl(), 29);
    const cache = new DnsCache();
    for (let i = 0; i < ENTRIES_MAX + 10; i++) {
      const message = {
        id: 0,
        flags: 0,
        rcode: 0,
        questions: [{ name: `${i}`, type: 1, class: 1 }],
        answers: [a(`${i}`, '1.2.3.4')],
        authorities: [],
        additional: [],
        edns: null,
      };
      cache.put(`${i}`, message, 0);
    }
    assert.equal(cache.size, ENTRIES_MAX);
    assert.equal(cache.get('0', 0), null);
    assert.notEqual(cache.get(`${ENTRIES_MAX}`, 0), null);
  });

  it('RFC 5452 §9.2: ports and identifiers are drawn anew for each question', () => {
    begin(zoneOf([]));
    for (let i = 0; i < 20; i++) find(`n${i}.example.org`, Type.A, seconds(1));
    assert.equal(new Set(server.marks.map((m) => m.port)).size, 20);
    assert.equal(new Set(server.marks.map((m) => m.id)).size, 20);
  });

  it('RFC 5452 §9.1: wrong identifier, question, type or sender, and octets without sense, change nothing', () => {
    begin((asked) => {
      const into = new Uint8Array(512);
      const { port } = server.marks.at(-1) as { port: number };
      const flags = Flag.Response | Flag.Available;
      const [question] = asked.questions as [Message['questions'][number]];
      const forged = (change: Partial<Message>): number =>
        write(into, 0, { id: asked.id, flags, questions: [question], answers: [a('www.example.org', '6.6.6.6')], ...change }, 512);
      const to = address('10.0.0.1');
      for (const change of [
        { id: asked.id ^ 1 },
        { flags: 0 },
        { questions: [{ ...question, name: 'www.example.com' }] },
        { questions: [{ ...question, type: 28 }] },
        { questions: [] },
      ])
        server.socket.sendTo(into, 0, forged(change), to, port);
      server.socket.sendTo(into.fill(255), 0, 40, to, port);
      // The right words from the wrong mouth.
      second.socket.sendTo(into, 0, forged({}), to, port);
      return zoneOf(records)(asked, false);
    });
    assert.deepEqual(find('www.example.org'), ['192.0.2.80']);
    assert.equal(drops(Drop.DnsUnexpected), 5);
    assert.equal(drops(Drop.DnsMalformed) + drops(Drop.DnsTruncated), 1);
    assert.equal(drops(Drop.UdpNoPort), 1);
    assert.deepEqual(find('www.example.org'), ['192.0.2.80']);
  });

  it('many wrong answers at one port: the question goes over TCP', () => {
    begin((asked, overTcp) => {
      if (overTcp) return zoneOf(records)(asked, true);
      const into = new Uint8Array(512);
      const { port } = server.marks.at(-1) as { port: number };
      for (let i = 0; i < 20; i++) {
        const end = write(
          into,
          0,
          { id: asked.id ^ (i + 1), flags: Flag.Response, questions: asked.questions, answers: [a('www.example.org', '6.6.6.6')] },
          512,
        );
        server.socket.sendTo(into, 0, end, address('10.0.0.1'), port);
      }
      return null;
    });
    assert.deepEqual(find('www.example.org'), ['192.0.2.80']);
    assert.deepEqual(server.asked, ['A www.example.org', 'A www.example.org tcp']);
  });

  it('names in mixed case: the answer must repeat it exactly', () => {
    let fold = true;
    begin((asked) => {
      const [question] = asked.questions as [Message['questions'][number]];
      return { ...zoneOf(records)(asked, false), questions: [fold ? { ...question, name: question.name.toLowerCase() } : question] };
    });
    resolver.mixedCase = true;
    assert.equal(find('www.example.org'), 'ETIMEOUT');
    fold = false;
    assert.deepEqual(find('www.example.org'), ['192.0.2.80']);
    assert.ok(server.asked.some((line) => /[A-Z]/.test(line.slice(2))));
  });

  it('RFC 7766 §5: a truncated answer is asked for again over TCP', () => {
    const many = Array.from({ length: 200 }, (_, i) => a('many.example.org', `192.0.2.${i}`));
    begin(zoneOf(many));
    assert.equal((find('many.example.org') as string[]).length, 200);
    assert.deepEqual(server.asked, ['A many.example.org', 'A many.example.org tcp']);
  });

  it('RFC 6891 §7: a server that does not know EDNS is asked without', () => {
    begin((asked) => (asked.edns === null ? zoneOf(records)(asked, false) : { rcode: 1, edns: null, questions: [] }));
    assert.deepEqual(find('www.example.org'), ['192.0.2.80']);
    assert.equal(server.asked.length, 2);
  });

  it('a silent server: the next one is asked, then the first again, each longer; at last ETIMEOUT', () => {
    begin(() => null, ['10.0.0.2', '10.0.0.3']);
    assert.deepEqual(find('www.example.org', Type.A, seconds(3)), ['192.0.2.80']);
    second.zone = () => null;
    assert.equal(find('other.example.org', Type.A, seconds(27)), null);
    assert.equal(find('more.example.org', Type.A, seconds(29)), 'ETIMEOUT');
    assert.equal(server.asked.filter((line) => line === 'A more.example.org').length, 3);
    assert.equal(second.asked.filter((line) => line === 'A more.example.org').length, 3);
  });

  it('a server that refuses or fails: the next one; a closed port: the next one at once', () => {
    begin(() => ({ rcode: 2 }), ['10.0.0.2', '10.0.0.3']);
    assert.deepEqual(find('www.example.org', Type.A, seconds(1)), ['192.0.2.80']);
    server.socket.close();
    assert.equal(find('x.example.org', Type.A, seconds(1)), 'ENOTFOUND');
    second.zone = () => ({ rcode: 5 });
    assert.equal(find('y.example.org', Type.A, seconds(1)), 'EREFUSED');
  });

  it('aliases are followed, in one answer or by asking again, and a loop ends', () => {
    begin((asked, tcp) =>
      asked.questions[0]?.name === 'both.example.org'
        ? { answers: [cname('both.example.org', 'www.example.org'), records[0] as never] }
        : zoneOf(records)(asked, tcp),
    );
    assert.deepEqual(find('both.example.org', Type.A, seconds(1)), ['192.0.2.80']);
    assert.deepEqual(find('alias.example.org', Type.A, seconds(1)), ['192.0.2.80']);
    assert.equal(find('loop.example.org'), 'ESERVFAIL');
    assert.deepEqual(server.asked, ['A both.example.org', 'A alias.example.org', 'A www.example.org', 'A loop.example.org']);
  });

  it('records of other names in an answer are not taken', () => {
    begin(() => ({
      answers: [a('bank.example.com', '6.6.6.6'), records[0] as never],
      authorities: [soa('example.org', 5)],
      additional: [a('bank.example.com', '6.6.6.6')],
    }));
    assert.deepEqual(find('www.example.org', Type.A, seconds(1)), ['192.0.2.80']);
    assert.equal(find('bank.example.net', Type.A, seconds(1)), 'ENODATA');
  });

  it('RFC 5452 §5: the same question asked twice at once goes out once', () => {
    begin(zoneOf(records));
    let answered = 0;
    for (let i = 0; i < 5; i++) resolver.find('www.example.org', Type.A, () => answered++);
    net.run(seconds(1));
    assert.equal(answered, 5);
    assert.equal(server.asked.length, 1);
  });

  it('questions under way are bounded; cancel ends them, and one given up says nothing', () => {
    begin(() => null);
    const outcomes: unknown[] = [];
    for (let i = 0; i < QUERIES_MAX + 1; i++) resolver.find(`n${i}`, Type.A, (result) => outcomes.push(result));
    net.run(seconds(0));
    assert.deepEqual(outcomes, ['ENOMEM']);
    assert.equal(drops(Drop.DnsQueriesFull), 1);
    resolver.cancel();
    net.run(seconds(0));
    assert.equal(outcomes.filter((o) => o === 'ECANCELLED').length, QUERIES_MAX);
    const cancel = resolver.find('given.up', Type.A, () => assert.fail('given up'));
    assert.equal(resolver.pending, 1);
    cancel();
    assert.equal(resolver.pending, 0);
    net.run(seconds(20));
    assert.equal(find('not a name..'), 'EBADNAME');
  });

  it('mutated answers end in an answer, a code or a timeout, and leave nothing behind', () => {
    const prng = new Prng(53);
    begin(() => null);
    const info = new DatagramInfo();
    const octets = new Uint8Array(512);
    server.socket.onReady = () => {
      for (let n = server.socket.receive(octets, 0, 512, info); n > 2; n = server.socket.receive(octets, 0, 512, info)) {
        octets[2] = 0x81;
        for (let round = 0; round < 5; round++) {
          for (let i = 0; i < 2; i++) octets[2 + prng.below(n - 2)] = prng.below(256);
          server.socket.sendTo(octets, 0, n, info.address, info.port);
        }
      }
    };
    let ended = 0;
    for (let n = 0; n < 300; n++) {
      resolver.find(`n${n}.example.org`, Type.A, () => ended++);
      net.run(seconds(1));
    }
    net.run(seconds(30));
    assert.equal(ended, 300);
    assert.equal(resolver.pending, 0);
  });
});
