import assert from 'node:assert/strict';
import { Drop, dropNames } from '#src/base/drops.js';
import { Prng } from '#src/base/prng.js';
import * as dns from '#src/wire/dns.js';
import { canonicalName, labelsOf, readName } from '#src/wire/dns-name.js';
import { write } from '#src/wire/dns-writer.js';
import { mutated, octets } from '../support/octets.js';
import { address } from '../support/stacks.js';

const { Type, IN } = dns;
const parse = (hex: string): dns.Message | number => dns.parse(octets(hex), 0, octets(hex).length);

function good(bytes: Uint8Array): dns.Message {
  const message = dns.parse(bytes, 0, bytes.length);
  assert.ok(typeof message === 'object', dropNames[message as number]);
  return message;
}

const record = (name: string, type: number, data: dns.Data, ttl = 60): dns.ResourceRecord => ({ name, type, class: IN, ttl, data });
const everything: dns.ResourceRecord[] = [
  record('www.example.org', Type.CNAME, { kind: 'name', name: 'web.example.org' }),
  record('web.example.org', Type.A, { kind: 'address', address: address('192.0.2.1') }),
  record('web.example.org', Type.AAAA, { kind: 'address', address: address('2001:db8::1') }),
  record('example.org', Type.MX, { kind: 'mx', priority: 10, exchange: 'mail.example.org' }),
  record('example.org', Type.NS, { kind: 'name', name: 'ns.example.org' }),
  record('_sip._tcp.example.org', Type.SRV, { kind: 'srv', priority: 1, weight: 2, port: 5060, name: 'sip.example.org' }),
  record('example.org', Type.TXT, { kind: 'txt', strings: [octets('6162'), octets('')] }),
  record('1.2.0.192.in-addr.arpa', Type.PTR, { kind: 'name', name: 'web.example.org' }),
  record('example.org', 257, { kind: 'octets', octets: octets('0005697373756563612e74657374') }),
];
const soa = record('example.org', Type.SOA, { kind: 'soa', nsname: 'ns.example.org', hostmaster: 'root\\.1.example.org', numbers: [1, 2, 3, 4, 5] });
const draft = {
  id: 0x1234,
  flags: dns.Flag.Response | dns.Flag.Available,
  rcode: 3,
  questions: [{ name: 'www.example.org', type: Type.A, class: IN }],
  answers: everything,
  authorities: [soa],
  edns: { udpSize: 1232, version: 0, dnssecOk: true },
};

function written(max = 65_535, given: Parameters<typeof write>[2] = draft): Uint8Array {
  const into = new Uint8Array(65_535);
  return into.slice(0, write(into, 0, given, max));
}

describe('DNS messages', () => {
  it('RFC 1035 §4.1: what is written is read again, every type', () => {
    const message = good(written());
    assert.deepEqual({ ...message, additional: undefined }, { ...draft, additional: undefined });
  });

  it('RFC 1035 §4.1.4: a pointer leads to a name before; one to itself, forward or round is refused', () => {
    const head = '0001 8000 0001 0000 0000 0000';
    assert.equal((parse(`${head} 016100 0001 0001`) as dns.Message).questions[0]?.name, 'a');
    for (const name of ['c00c', 'c00e', 'c0ff', '0161c00c', '3f6161', '8000'])
      assert.equal(parse(`${head} ${name} 0001 0001`), Drop.DnsMalformed, name);
    const two = octets('0161 c000');
    assert.deepEqual(readName(octets('016200 0161c000'), 0, 3, 7), { name: 'a.b', end: 7 });
    assert.equal(readName(two, 0, 0, 4), null);
  });

  it('RFC 1035 §2.3.4: 255 octets of name pass and 256 do not; labels of 63 and 64', () => {
    const long = [63, 63, 63, 61].map((n) => 'a'.repeat(n)).join('.');
    assert.equal(labelsOf(long)?.length, 4);
    assert.equal(labelsOf(`${long}a`), null);
    assert.equal(labelsOf('a'.repeat(64)), null);
    for (const bad of ['a..b', '.a', 'a\\', 'ä', 'a\\999']) assert.equal(labelsOf(bad), null, bad);
    const bytes = Uint8Array.from([63, 63, 63, 62].flatMap((n) => [n, ...new Array(n).fill(97)]).concat(0));
    assert.equal(readName(bytes, 0, 0, bytes.length), null);
  });

  it('RFC 1035 §5.1: dots, backslashes and what does not print are escaped in text; RFC 4343: case does not count', () => {
    const read = readName(octets('05 612e5c0aff 00'), 0, 0, 7);
    assert.equal(read?.name, 'a\\.\\\\\\010\\255');
    assert.deepEqual(labelsOf(read.name), [octets('612e5c0aff')]);
    assert.equal(canonicalName('WwW.Example.ORG.'), 'www.example.org');
  });

  it('RFC 2181 §9: what does not fit is left out and TC set; nothing is written past the end', () => {
    for (let max = 512; max > 60; max -= 7) {
      const bytes = written(max);
      assert.ok(bytes.length <= max);
      const message = good(bytes);
      assert.equal((message.flags & dns.Flag.Truncated) !== 0, message.answers.length < everything.length || message.authorities.length === 0);
      assert.deepEqual(message.answers, everything.slice(0, message.answers.length));
      assert.notEqual(message.edns, null);
    }
  });

  it('RFC 6891 §6.1.1: two OPT records, or one with a name, are refused; the high bits of the response code are there', () => {
    const opt = '00 0029 04d0 01000000 0000';
    assert.equal((parse(`0001 8000 0000 0000 0000 0001 ${opt}`) as dns.Message).rcode, dns.Rcode.BadVers);
    assert.equal(parse(`0001 8000 0000 0000 0000 0002 ${opt} ${opt}`), Drop.DnsMalformed);
    assert.equal(parse(`0001 8000 0000 0000 0000 0001 0161${opt}`), Drop.DnsMalformed);
  });

  it('RFC 2181 §8: a TTL with its top bit set is 0', () => {
    const message = parse('0001 8000 0000 0001 0000 0000 016100 0001 0001 80000001 0004 01020304') as dns.Message;
    assert.equal(message.answers[0]?.ttl, 0);
  });

  it('a record that runs past the message, an address of the wrong length, a header cut short', () => {
    assert.equal(parse('0001 8000 0000 0001 0000 0000 016100 0001 0001 00000001 0005 01020304'), Drop.DnsTruncated);
    assert.equal(parse('0001 8000 0000 0001 0000 0000 016100 0001 0001 00000001 0003 010203'), Drop.DnsMalformed);
    assert.equal(parse('0001 8000 0000 0001 0000 0000 016100 0010 0001 00000001 0003 030203'), Drop.DnsMalformed);
    assert.equal(parse('0001 8000 0000'), Drop.DnsTruncated);
    assert.match(dns.format(written(), 0, written().length), /^dns answer 4660 A www\.example\.org rcode 3, 9 records$/);
  });

  it('100,000 mutations: parse answers a message or a reason, and what it reads can be written', () => {
    const seed = written();
    const prng = new Prng(35);
    let parsed = 0;
    const into = new Uint8Array(65_535);
    for (let n = 0; n < 100_000; n++) {
      const bytes = mutated(seed, prng);
      const message = dns.parse(bytes, 0, bytes.length);
      if (typeof message === 'number') {
        assert.ok(message === Drop.DnsTruncated || message === Drop.DnsMalformed);
        continue;
      }
      parsed++;
      if (n % 20 === 0 && message.questions.length < 2) write(into, 0, message, 65_535);
    }
    assert.ok(parsed > 5_000, `${parsed}`);
  });
});
