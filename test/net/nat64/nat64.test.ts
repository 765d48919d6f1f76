import assert from 'node:assert/strict';
import { FilterApi } from '#src/api/filter.js';
import { seconds } from '#src/base/time.js';
import { type Nat64Config, openNat64 } from '#src/config/nat64.js';
import type { Nat64Device } from '#src/net/nat64/nat64.js';
import { MTU_MIN } from '#src/wire/ipv6.js';
import { TwoWires } from '../../support/two-wires.js';
import { checksum, concat, icmp, ipv4, udp } from '../../support/wire.js';
import { icmp6, ipv6, octets6, sum6, udp6 } from '../../support/wire6.js';

const HOST = '2001:db8:1::2';
const PREFIX = '64:ff9b::';
const SERVER = '203.0.113.9';
const SERVER6NAME = '64:ff9b::cb00:7109';
const SERVER6 = `${PREFIX}${SERVER}`;
const POOL = '192.0.2.64';

const text4 = (bytes: Uint8Array, at: number): string => [...bytes.subarray(at, at + 4)].join('.');
const port = (bytes: Uint8Array, at: number): number => ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
/** Zero when the sum over pseudo header and message is right. */
const sum4 = (packet: Uint8Array): number =>
  checksum(
    concat(
      packet.subarray(12, 20),
      Uint8Array.from([0, packet[9] as number, (packet.length - 20) >> 8, (packet.length - 20) & 255]),
      packet.subarray(20),
    ),
  );

/** A TCP segment of 20 octets and data, its checksum right. */
function tcp6(from: number, to: number, flags: number, src: string, dst: string): Uint8Array {
  const message = Uint8Array.from([from >> 8, from & 255, to >> 8, to & 255, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, flags, 1, 0, 0, 0, 0, 0]);
  const sum = sum6(src, dst, 6, message);
  message.set([sum >> 8, sum & 255], 16);
  return message;
}

function tcp4(from: number, to: number, flags: number, src: string, dst: string): Uint8Array {
  return tcp6(from, to, flags, `::ffff:${src}`, `::ffff:${dst}`); // the mapped words sum up to zero
}

describe('NAT64 (RFC 6146, RFC 7915)', () => {
  let t: TwoWires;
  let device: Nat64Device;
  const start = (config: Partial<Nat64Config> = {}, sysctl: Readonly<Record<string, unknown>> = {}): void => {
    t = new TwoWires(['2001:db8:1::1/64'], ['203.0.113.1/24'], sysctl);
    device = openNat64(t.stack, 'xlat', { pool: [`${POOL}/31`], ...config }, 0).device as Nat64Device;
    t.route('198.51.100.0/24', t.b);
  };
  const from6 = (payload: Uint8Array, more: { next?: number; hops?: number; tclass?: number; dst?: string; src?: string } = {}): Uint8Array =>
    ipv6({ src: HOST, dst: SERVER6, payload, ...more });
  const to6 = (message: (src: string, dst: string) => Uint8Array): Uint8Array => message(HOST, SERVER6);
  /** A datagram from inside, as it leaves. */
  const open = (at = 4_000, dst = 53): Uint8Array => {
    t.put('a', from6(udp6(at, dst, 'x', HOST, SERVER6)));
    return t.one('b');
  };
  beforeEach(() => start());
  afterEach(() => t.end());

  it('§5.1: UDP out and back: addresses, ports, one hop less, traffic class, checksums', () => {
    t.put(
      'a',
      from6(
        to6((s, d) => udp6(4_000, 53, 'question', s, d)),
        { hops: 9, tclass: 0xb9 },
      ),
    );
    const out = t.one('b');
    assert.equal(checksum(out.subarray(0, 20)), 0);
    assert.deepEqual([out[1], out[8], port(out, 6)], [0xb9, 8, 0], 'class, hops, and DF off: it is short');
    assert.notEqual(port(out, 4), 0);
    assert.deepEqual([text4(out, 16), port(out, 22), port(out, 20)], [SERVER, 53, 4_000]);
    assert(text4(out, 12).startsWith('192.0.2.6'));
    assert.equal(sum4(out), 0);
    t.put('b', ipv4({ src: SERVER, dst: text4(out, 12), ttl: 9, tos: 0x28, payload: udp(53, 4_000, 'answer!') }));
    const back = t.one('a');
    assert.deepEqual(back.subarray(8, 40), concat(octets6(SERVER6), octets6(HOST)));
    assert.deepEqual([back[7], (port(back, 0) >> 4) & 255, port(back, 40), port(back, 42)], [8, 0x28, 53, 4_000]);
    assert.notEqual(port(back, 46), 0, 'RFC 6146 §3.4: the checksum that IPv4 left out is there');
    assert.equal(sum6(SERVER6, HOST, 17, back.subarray(40)), 0);
    assert.deepEqual(t.dropped(), {});
  });

  it('a wrong checksum stays wrong', () => {
    const message = udp6(4_000, 53, 'x', HOST, SERVER6);
    message[8] = (message[8] as number) ^ 1;
    t.put('a', from6(message));
    assert.notEqual(sum4(t.one('b')), 0);
  });

  it('RFC 6146 §3.5.3: echo, its identifier mapped, ICMP without and ICMPv6 with pseudo header', () => {
    t.put('a', from6(icmp6(128, 0, 0x1234_0007, Uint8Array.of(1, 2, 3), HOST, SERVER6), { next: 58 }));
    const out = t.one('b');
    assert.deepEqual([out[9], out[20], port(out, 26)], [1, 8, 7]);
    assert.equal(checksum(out.subarray(20)), 0);
    const id = port(out, 24);
    t.put('b', ipv4({ src: SERVER, dst: text4(out, 12), protocol: 1, payload: icmp(0, 0, ((id << 16) | 7) >>> 0, Uint8Array.of(1, 2, 3)) }));
    const back = t.one('a');
    assert.deepEqual([back[6], back[40], port(back, 44), port(back, 46)], [58, 129, 0x1234, 7]);
    assert.equal(sum6(SERVER6, HOST, 58, back.subarray(40)), 0);
  });

  it('RFC 6146 §3.5.2: TCP; what opens nothing is refused, sessions end by their time', () => {
    t.put('a', from6(tcp6(4_000, 80, 16, HOST, SERVER6), { next: 6 }));
    assert.deepEqual(t.one('a').subarray(40, 42), Uint8Array.of(1, 1), 'RFC 6146 §3.5.2: the sender is told');
    assert.deepEqual(t.dropped(), { Nat64NoSession: 1 });
    t.put('a', from6(tcp6(4_000, 80, 2, HOST, SERVER6), { next: 6 }));
    const syn = t.one('b');
    assert.equal(sum4(syn), 0);
    const [at, n] = [text4(syn, 12), port(syn, 20)];
    t.put('b', ipv4({ src: SERVER, dst: at, protocol: 6, payload: tcp4(80, n, 0x12, SERVER, at) }));
    const answer = t.one('a');
    const [session] = new FilterApi(t.stack).connections();
    assert.equal(`${session?.state} ${session?.original} ${session?.nat}`, `ESTABLISHED ${HOST}:4000 > ${SERVER6NAME}:80 source,destination`);
    assert.equal(sum6(SERVER6, HOST, 6, answer.subarray(40)), 0);
    t.run(seconds(7_000));
    assert.equal(device.sessions.size, 1, 'RFC 5382 REQ-5: 2 h 4 min');
    t.put('b', ipv4({ src: SERVER, dst: at, protocol: 6, payload: tcp4(80, n, 4, SERVER, at) }));
    t.one('a');
    t.run(seconds(250));
    assert.equal(device.sessions.size, 0, 'TCP_TRANS: four minutes after a RST');
  });

  it("RFC 6146 §1.2.3: endpoint independent mapping; who comes in is the filtering's choice", () => {
    const out = open();
    const at = text4(out, 12);
    t.put('a', ipv6({ src: HOST, dst: `${PREFIX}198.51.100.7`, payload: udp6(4_000, 99, 'x', HOST, `${PREFIX}198.51.100.7`) }));
    const other = t.one('b');
    assert.deepEqual([text4(other, 12), port(other, 20)], [at, 4_000], 'one mapping for all destinations');
    const stranger = (src: string): void => t.put('b', ipv4({ src, dst: at, payload: udp(9, 4_000) }));
    stranger(SERVER);
    assert.equal(t.one('b')[20], 3, 'told that it is prohibited');
    assert.deepEqual(t.dropped(), { Nat64NoSession: 1 });
    device.nat.filtering = 'address-dependent';
    stranger(SERVER);
    assert.equal(port(t.one('a'), 40), 9);
    stranger('203.0.113.77');
    assert.equal(t.take('b').length, 1);
    assert.deepEqual(t.dropped(), { Nat64NoSession: 1 });
    device.nat.filtering = 'endpoint-independent';
    stranger('203.0.113.77');
    const in6 = t.one('a');
    assert.deepEqual(in6.subarray(8, 24), octets6(`${PREFIX}203.0.113.77`));
    t.put('b', ipv4({ src: SERVER, dst: at, payload: udp(9, 4_001) }));
    assert.deepEqual(t.dropped(), { Nat64NoSession: 1 }, 'no mapping, whatever the filtering');
    t.take('b');
  });

  it('RFC 6146 §3.8: two hosts inside reach each other by their outer endpoints', () => {
    const at = text4(open(4_000), 12);
    const second = '2001:db8:1::3';
    const outer = `${PREFIX}${at}`;
    t.put('a', ipv6({ src: second, dst: outer, hops: 9, payload: udp6(5_000, 4_000, 'hello', second, outer) }));
    const there = t.one('a');
    assert.deepEqual(there.subarray(24, 40), octets6(HOST));
    assert.equal(there[7], 8, 'one router, however it turns them');
    const source = `${PREFIX}${text4(there, 20)}`;
    assert.deepEqual([port(there, 40), port(there, 42)], [5_000, 4_000]);
    t.put('a', ipv6({ src: HOST, dst: source, payload: udp6(4_000, 5_000, 'back', HOST, source) }));
    const back = t.one('a');
    assert.deepEqual(back.subarray(8, 40), concat(octets6(outer), octets6(second)));
    assert.equal(sum6(outer, second, 17, back.subarray(40)), 0);
  });

  it('§4: fragments from IPv4 are put together, and cut again to 1,280 octets', () => {
    const at = text4(open(), 12);
    const message = udp(53, 4_000, new Uint8Array(2_600).fill(5));
    const piece = (o: number, n: number, more: boolean): Uint8Array =>
      ipv4({ src: SERVER, dst: at, id: 7, fragment: (more ? 0x2000 : 0) | (o >> 3), payload: message.subarray(o, o + n) });
    t.put('b', piece(1_400, 1_208, false), piece(0, 1_400, true));
    const out = t.take('a');
    assert(out.length === 3 && out.every((p) => p.length <= MTU_MIN && p[6] === 44));
    const whole = concat(...out.map((p) => p.subarray(48)));
    assert.equal(sum6(SERVER6, HOST, 17, whole), 0);
    assert.deepEqual(whole.subarray(8), message.subarray(8));
  });

  it('§5.1.1: fragments from IPv6 leave as fragments, or whole without DF where they fit', () => {
    const message = udp6(4_000, 53, new Uint8Array(1_600).fill(6), HOST, SERVER6);
    const piece = (o: number, n: number, more: number): Uint8Array =>
      from6(concat(Uint8Array.from([17, 0, o >> 8, (o & 255) | more, 0, 0, 0, 9]), message.subarray(o, o + n)), { next: 44 });
    t.put('a', piece(0, 1_200, 1), piece(1_200, 408, 0));
    const out = t.take('b');
    assert.equal(out.length, 2);
    const whole = concat(...out.map((p) => p.subarray(20)));
    assert.deepEqual(whole.subarray(8), message.subarray(8));
    assert.equal(new Set(out.map((p) => port(p, 4))).size, 1);
    assert.equal(sum4(concat((out[0] as Uint8Array).subarray(0, 20), whole)), 0);
  });

  it('§4.1, §5.1: above 1,280 octets DF says what it said; shorter ones may be cut', () => {
    t.put('a', from6(udp6(4_000, 53, new Uint8Array(1_300), HOST, SERVER6)));
    const out = t.one('b');
    assert.equal(port(out, 6), 0x4000);
    t.put('b', ipv4({ src: SERVER, dst: text4(out, 12), fragment: 0x4000, payload: udp(53, 4_000, new Uint8Array(1_300)) }));
    assert.equal(t.one('a').length, 1_300 + 48, 'DF: whole');
    t.put('b', ipv4({ src: SERVER, dst: text4(out, 12), payload: udp(53, 4_000, new Uint8Array(1_300)) }));
    assert.equal(t.take('a').length, 2, 'without DF: cut here, for nobody can further on');
  });

  it('§4.2, §5.2: a smaller link on either side is told with 20 octets more or less', () => {
    const out = open();
    t.b.mtu = 1_400;
    t.put('a', from6(udp6(4_000, 53, new Uint8Array(1_400), HOST, SERVER6)));
    const big = t.one('a');
    assert.deepEqual([big[40], port(big, 46)], [2, 1_420]);
    assert.deepEqual(big.subarray(48 + 8, 48 + 40), concat(octets6(HOST), octets6(SERVER6)));
    assert.deepEqual([port(big, 88), port(big, 90)], [4_000, 53]);
    assert.equal(sum6(`${PREFIX}203.0.113.1`, HOST, 58, big.subarray(40)), 0, 'from the router that it met');
    t.b.mtu = 1_500;
    t.a.mtu = 1_400;
    t.put('b', ipv4({ src: SERVER, dst: text4(out, 12), fragment: 0x4000, payload: udp(53, 4_000, new Uint8Array(1_440)) }));
    const needed = t.one('b');
    assert.deepEqual([needed[20], needed[21], port(needed, 26)], [3, 4, 1_380]);
    assert.equal(checksum(needed.subarray(20)), 0);
    assert.deepEqual([text4(needed, 28 + 12), text4(needed, 28 + 16)], [SERVER, text4(out, 12)]);
  });

  it('§4.2: the MTU of a router that does not tell is a plateau below the packet (RFC 1191 §7.1), and never less than 1,280', () => {
    const out = open();
    const error = (mtu: number, length: number): Uint8Array => {
      const quote = Uint8Array.from(out.subarray(0, 28));
      quote.set([length >> 8, length & 255], 2);
      t.put('b', ipv4({ src: '198.51.100.1', dst: text4(out, 12), protocol: 1, payload: icmp(3, 4, mtu, quote) }));
      return t.one('a');
    };
    assert.equal(port(error(0, 1_500), 46), 1_512);
    assert.equal(port(error(600, 1_500), 46), 1_280);
    assert.equal(port(error(1_450, 1_500), 46), 1_470);
  });

  it('§4.3, §5.3: errors of all kinds cross with what they quote', () => {
    const out = open();
    const at = text4(out, 12);
    const from4 = (type: number, code: number, rest = 0): string => {
      t.put('b', ipv4({ src: '198.51.100.1', dst: at, protocol: 1, payload: icmp(type, code, rest, out.subarray(0, 28)) }));
      const [error] = t.take('a');
      if (error === undefined) return 'nothing';
      assert.equal(sum6(`${PREFIX}198.51.100.1`, HOST, 58, error.subarray(40)), 0);
      assert.deepEqual([port(error, 88), port(error, 90)], [4_000, 53]);
      return `${error[40]}/${error[41]} ${port(error, 46)}`;
    };
    assert.equal(from4(3, 0), '1/0 0');
    assert.equal(from4(3, 1), '1/0 0');
    assert.equal(from4(3, 2), '4/1 6');
    assert.equal(from4(3, 3), '1/4 0');
    assert.equal(from4(3, 13), '1/1 0');
    assert.equal(from4(3, 14), 'nothing');
    assert.equal(from4(11, 0), '3/0 0');
    assert.equal(from4(11, 1), '3/1 0');
    assert.equal(from4(12, 0, 9 << 24), '4/0 6');
    assert.equal(from4(12, 0, 6 << 24), 'nothing');
    assert.equal(from4(4, 0), 'nothing');
    assert.equal(t.dropped()['Nat64Unsupported'], 3);
    t.take('b');
    t.put('b', ipv4({ src: SERVER, dst: at, payload: udp(53, 4_000) }));
    const in6 = t.one('a');
    const router = '2001:db8:1::77';
    const from6side = (type: number, code: number, rest = 0): string => {
      t.put('a', ipv6({ src: router, dst: SERVER6, next: 58, payload: icmp6(type, code, rest, in6, router, SERVER6) }));
      const [error] = t.take('b');
      if (error === undefined) return 'nothing';
      assert.equal(checksum(error.subarray(20)), 0);
      assert.deepEqual([text4(error, 12), text4(error, 16)], [POOL, SERVER], 'RFC 6791 §3: a router without an IPv4 address');
      assert.deepEqual([text4(error, 40), text4(error, 44), port(error, 48), port(error, 50)], [SERVER, at, 53, 4_000]);
      assert.equal(checksum(error.subarray(28, 48)), 0);
      return `${error[20]}/${error[21]} ${port(error, 24)}:${port(error, 26)}`;
    };
    assert.equal(from6side(1, 0), '3/1 0:0');
    assert.equal(from6side(1, 1), '3/10 0:0');
    assert.equal(from6side(1, 4), '3/3 0:0');
    assert.equal(from6side(1, 5), 'nothing');
    assert.equal(from6side(2, 0, 1_300), '3/4 0:1280');
    assert.equal(from6side(3, 0), '11/0 0:0');
    assert.equal(from6side(4, 0, 7), '12/0 2048:0');
    assert.equal(from6side(4, 1, 6), '3/2 0:0');
    assert.equal(from6side(4, 2, 40), 'nothing');
  });

  it('a forged error, of no session or with a wrong checksum, tells nobody anything', () => {
    const out = open();
    const message = icmp(3, 3, 0, out.subarray(0, 28));
    message[2] = (message[2] as number) ^ 1;
    t.put('b', ipv4({ src: '198.51.100.1', dst: text4(out, 12), protocol: 1, payload: message }));
    const other = Uint8Array.from(out.subarray(0, 28));
    other[21] = (other[21] as number) ^ 1;
    t.put('b', ipv4({ src: '198.51.100.1', dst: text4(out, 12), protocol: 1, payload: icmp(3, 3, 0, other) }));
    t.quiet();
    assert.deepEqual(t.dropped(), { IcmpBadChecksum: 1, IcmpErrorUnmatched: 1 });
  });

  it('what has no counterpart is refused: other protocols, timestamps, bad addresses, sources behind the prefix', () => {
    t.put('a', from6(new Uint8Array(8), { next: 132 }));
    assert.deepEqual(t.one('a').subarray(40, 42), Uint8Array.of(1, 4));
    t.put('a', from6(icmp6(139, 0, 0, new Uint8Array(8), HOST, SERVER6), { next: 58 }));
    for (const dst of [`${PREFIX}10.0.0.1`, `${PREFIX}127.0.0.1`, `${PREFIX}224.0.0.1`]) t.put('a', from6(udp6(1, 2, 'x', HOST, dst), { dst }));
    t.put('a', from6(udp6(1, 2, 'x', SERVER6, SERVER6), { src: SERVER6 }));
    t.quiet();
    assert.deepEqual(t.dropped(), { Nat64Unsupported: 1, IcmpUnknownType: 1, Nat64BadAddress: 4 });
  });

  it('the table is bounded: the longest idle session goes, its mapping with it', () => {
    t.end();
    start({}, { 'net.netfilter.nf_conntrack_max': 16 });
    for (let i = 0; i < 40; i++) {
      open(4_000 + i);
      t.run(seconds(0.01));
    }
    assert.equal(device.sessions.size, 16);
    assert.equal(device.nat.size, 16);
    t.run(seconds(130));
    assert.deepEqual([device.sessions.size, device.nat.size], [0, 0], 'UDP without an answer: two minutes');
  });

  it('ports of one address run out before the next of the pool is used; a host keeps its address', () => {
    const seen = new Set<string>();
    for (let i = 0; i < 20; i++) {
      const host = `2001:db8:1::${(i + 16).toString(16)}`;
      t.put('a', ipv6({ src: host, dst: SERVER6, payload: udp6(1, 2, 'x', host, SERVER6) }));
      t.put('a', ipv6({ src: host, dst: SERVER6, payload: udp6(3, 2, 'x', host, SERVER6) }));
      const [one, two] = t.take('b') as [Uint8Array, Uint8Array];
      assert.equal(text4(one, 12), text4(two, 12), 'RFC 4787 REQ-2');
      seen.add(`${text4(one, 12)}:${port(one, 20)}`).add(`${text4(two, 12)}:${port(two, 20)}`);
    }
    assert.equal(seen.size, 40);
  });

  it('routed into itself it ends', () => {
    t.route('203.0.113.0/25', device.iface as NonNullable<typeof device.iface>);
    t.put('a', from6(udp6(4_000, 53, 'x', HOST, SERVER6)));
    assert.deepEqual(Object.keys(t.dropped()), ['Nat64NoSession'], 'an IPv4 packet for no mapping');
    t.take('a');
  });

  for (const prefix of ['2001:db9::/32', '2001:db8:64::/48', '2001:db8:64:100::/56', '2001:db8:64:1::/64', '64:ff9b:1::/96'])
    it(`a prefix of one's own, ${prefix}, stands for private hosts too`, () => {
      t.end();
      start({ prefix });
      t.route('10.0.0.0/8', t.b);
      const dst = (() => {
        const into = device.options.prefix.address.clone();
        device.options.prefix.embed({ w3: 0x0a010203 } as typeof into, into);
        return `${into}`;
      })();
      t.put('a', from6(udp6(4_000, 53, 'x', HOST, dst), { dst }));
      const out = t.one('b');
      assert.equal(text4(out, 16), '10.1.2.3');
      t.put('b', ipv4({ src: '10.1.2.3', dst: text4(out, 12), payload: udp(53, 4_000) }));
      assert.deepEqual(t.one('a').subarray(8, 24), octets6(dst));
    });

  it('RFC 7757: hosts in a map are translated without a session, both ways, errors too', () => {
    t.end();
    start({ pool: [], maps: [{ v6: '2001:db8:1::/120', v4: '192.0.2.0/24' }] });
    t.put('b', ipv4({ src: SERVER, dst: '192.0.2.2', protocol: 6, payload: tcp4(1_000, 80, 2, SERVER, '192.0.2.2') }));
    const there = t.one('a');
    assert.deepEqual(there.subarray(8, 40), concat(octets6(SERVER6), octets6(HOST)));
    assert.equal(sum6(SERVER6, HOST, 6, there.subarray(40)), 0);
    t.put('a', from6(tcp6(80, 1_000, 0x12, HOST, SERVER6), { next: 6 }));
    const back = t.one('b');
    assert.deepEqual([text4(back, 12), text4(back, 16)], ['192.0.2.2', SERVER]);
    assert.equal(sum4(back), 0);
    t.put('a', ipv6({ src: HOST, dst: SERVER6, next: 58, payload: icmp6(1, 4, 0, there, HOST, SERVER6) }));
    const error = t.one('b');
    assert.deepEqual([error[20], error[21], text4(error, 12), text4(error, 40), text4(error, 44)], [3, 3, POOL_OF_NONE, SERVER, '192.0.2.2']);
    t.put('a', ipv6({ src: '2001:db8:1:0:1::1', dst: SERVER6, payload: udp6(1, 2, 'x', '2001:db8:1:0:1::1', SERVER6) }));
    assert.deepEqual(t.dropped(), { Nat64BadAddress: 1 });
    assert.equal(device.sessions.size, 0);
  });
});

/** The error of a mapped host shows that host. */
const POOL_OF_NONE = '192.0.2.2';
