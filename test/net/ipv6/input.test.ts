import assert from 'node:assert/strict';
import { seconds } from '#src/base/time.js';
import { DatagramInfo } from '#src/net/socket/datagram-queue.js';
import type { UdpSocket } from '#src/net/socket/udp-socket.js';
import { prefix } from '../../support/stacks.js';
import { concat, hex } from '../../support/wire.js';
import { Bench6, type Ipv6Fields, icmp6, ipv6, PEER, PEER_LL, udp6 } from '../../support/wire6.js';

/** A fragment header. */
const fragment = (next: number, offset: number, more: boolean, id = 1): Uint8Array =>
  Uint8Array.from([next, 0, offset >> 8, (offset & 0xf8) | (more ? 1 : 0), id >>> 24, (id >>> 16) & 255, (id >>> 8) & 255, id & 255]);

describe('IPv6 input', () => {
  let t: Bench6;
  let socket: UdpSocket;
  const received = (): string[] => {
    const all: string[] = [];
    const info = new DatagramInfo();
    const into = new Uint8Array(65_536);
    for (let n = socket.receive(into, 0, 65_536, info); n >= 0; n = socket.receive(into, 0, 65_536, info))
      all.push(new TextDecoder().decode(into.subarray(0, n)));
    return all;
  };
  beforeEach(() => {
    t = new Bench6();
    t.meet();
    socket = t.stack.udp.openSocket(6);
    socket.bind(null, 7);
  });
  afterEach(() => {
    socket.close();
    t.end();
  });

  const silent: [string, Record<string, number>, Ipv6Fields][] = [
    ['another version', { IpBadVersion: 1 }, { version: 4 }],
    ['a payload length past the frame', { IpBadLength: 1 }, { length: 600, payload: udp6(1, 7) }],
    ['a group as source (RFC 4291 §2.7)', { IpBadSource: 1 }, { src: 'ff02::9', payload: udp6(1, 7) }],
    ['our own source', { IpBadSource: 1 }, { src: 'fd00::1', payload: udp6(1, 7) }],
    ['a loopback source (RFC 4291 §2.5.3)', { IpMartian: 1 }, { src: '::1', payload: udp6(1, 7) }],
    ['a loopback destination', { IpMartian: 1 }, { dst: '::1', payload: udp6(1, 7) }],
    ['the unspecified destination (RFC 4291 §2.5.2)', { IpMartian: 1 }, { dst: '::', payload: udp6(1, 7) }],
    ['an IPv4-mapped source', { IpMartian: 1 }, { src: '10.0.0.9', payload: udp6(1, 7) }],
    ['an IPv4-mapped destination', { IpMartian: 1 }, { dst: '10.0.0.1', payload: udp6(1, 7) }],
    ['an interface-local group from a wire (RFC 4291 §2.7)', { IpMartian: 1 }, { dst: 'ff01::1', payload: udp6(1, 7) }],
    ['a destination that is not ours', { IpNotForUs: 1 }, { dst: 'fd00::77', payload: udp6(1, 7) }],
    ['a group nobody joined', { IpGroupNotJoined: 1 }, { dst: 'ff02::1234', payload: udp6(1, 7) }],
    ['no next header (RFC 8200 §4.7)', {}, { next: 59, payload: hex('00') }],
    ['a UDP checksum of zero (RFC 8200 §8.1)', { UdpBadChecksum: 1 }, { payload: hex('0001 0007 0009 0000 78') }],
    ['an ICMPv6 cut short', { IcmpTruncated: 1 }, { next: 58, payload: hex('8000') }],
    ['an ICMPv6 with a wrong checksum', { IcmpBadChecksum: 1 }, { next: 58, payload: hex('80001234 00010001') }],
    [
      'an informational ICMPv6 nobody knows (RFC 4443 §2.4b)',
      { IcmpUnknownType: 1 },
      { next: 58, payload: icmp6(200, 0, 0, new Uint8Array(0), PEER, 'fd00::1') },
    ],
    [
      'an option that asks for it (RFC 8200 §4.2, action 01)',
      { IpUnknownOption: 1 },
      { next: 60, payload: concat(hex('11 00 7f 04 00000000'), udp6(1, 7)) },
    ],
    [
      'more options than the limit (RFC 8504 §5.3)',
      { IpExtensionsTooMany: 1 },
      { next: 60, payload: concat(hex('11 02 1e00 1e00 1e00 1e00 1e00 1e00 1e00 1e00 1e00 00 00 00 00'), udp6(1, 7)) },
    ],
    ['an extension header past the packet', { IpTruncated: 1 }, { next: 60, payload: hex('11 05 00 00 00 00 00 00') }],
    ['a fragment of no octets', { FragmentMalformed: 1 }, { next: 44, payload: fragment(17, 8, true) }],
  ];
  for (const [what, drops, fields] of silent) {
    it(`RFC 8200: ${what} is dropped without an answer`, () => {
      t.dropped({});
      t.ip6(fields);
      t.dropped(drops);
      t.quiet();
      assert.deepEqual(received(), []);
    });
  }

  it('a frame shorter than the header is dropped', () => {
    t.ether(0x86dd, hex('6000 0000 0000'));
    t.dropped({ IpTruncated: 1 });
    t.quiet();
  });

  it('RFC 8200 §3: what lies past the payload length is padding', () => {
    t.ether(0x86dd, concat(ipv6({ payload: udp6(1, 7, 'hi') }), new Uint8Array(20)));
    assert.deepEqual(received(), ['hi']);
  });

  it('RFC 8200 §3: a hop limit of zero is no matter for the destination', () => {
    t.ip6({ hops: 0, payload: udp6(1, 7, 'zero') });
    assert.deepEqual(received(), ['zero']);
  });

  it('the strong host model: an address of another interface is not ours here', () => {
    t.stack.addAddress(t.stack.ip.loopback, prefix('fd00:1::1/128'));
    t.ip6({ dst: 'fd00:1::1' });
    t.dropped({ IpNotForUs: 1 });
  });

  describe('extension headers', () => {
    const options: [string, string, string, number[] | null][] = [
      ['00 (skip)', '11 00 1f 04 00000000', 'fd00::1', null],
      ['10 (report)', '11 00 9f 04 00000000', 'fd00::1', [4, 2, 42]],
      ['11 (report unless to a group)', '11 00 df 04 00000000', 'fd00::1', [4, 2, 42]],
    ];
    for (const [action, header, dst, error] of options) {
      for (const [name, next] of [
        ['hop-by-hop', 0],
        ['destination', 60],
      ] as const) {
        it(`RFC 8200 §4.2: an unknown ${name} option with action ${action}`, () => {
          t.ip6({ next, dst, payload: concat(hex(header), udp6(1, 7, 'through')) });
          if (error === null) {
            assert.deepEqual(received(), ['through']);
            t.quiet();
            return;
          }
          const m = t.message();
          assert.deepEqual([m.type, m.code, m.rest], error);
          assert.equal(m.src, 'fd00::1');
          assert.equal(m.dst, PEER);
          t.dropped({ IpUnknownOption: 1 });
        });
      }
    }

    it('RFC 8200 §4.2: actions 10 and 11 differ for groups: 10 is reported (RFC 4443 §2.4e.3), 11 is not', () => {
      const echo = icmp6(128, 0, 1, new Uint8Array(0), PEER, 'ff02::1');
      const to = hex('333300000001');
      t.ip6({ next: 60, dst: 'ff02::1', payload: concat(hex('3a 00 df 04 00000000'), echo) }, to);
      t.quiet();
      t.ip6({ next: 60, dst: 'ff02::1', payload: concat(hex('3a 00 9f 04 00000000'), echo) }, to);
      assert.deepEqual(
        [t.message()].map((m) => [m.type, m.code, m.rest, m.src]),
        [[4, 2, 42, 'fd00::1']],
      );
    });

    it('RFC 8200 §4: hop-by-hop options stand only behind the fixed header', () => {
      t.ip6({ next: 60, payload: concat(hex('00 00 0104 00000000'), hex('11 00 0104 00000000'), udp6(1, 7)) });
      const m = t.message();
      assert.deepEqual([m.type, m.code, m.rest], [4, 1, 40]);
      t.dropped({ IpBadExtension: 1 });
    });

    it('RFC 8200 §4.1: destination options, routing with nothing left, and destination options again', () => {
      t.ip6({
        next: 0,
        payload: concat(
          hex('3c 00 0104 00000000'),
          hex('2b 00 0104 00000000'),
          hex('3c 00 00 00 00000000'),
          hex('11 00 0104 00000000'),
          udp6(1, 7, 'all'),
        ),
      });
      assert.deepEqual(received(), ['all']);
    });

    for (const type of [0, 99]) {
      it(`RFC 5095 §3, RFC 8200 §4.4: routing type ${type} with segments left is refused at its type`, () => {
        t.ip6({ next: 43, payload: concat(hex(`11 02 ${type.toString(16).padStart(2, '0')} 01 00000000`), new Uint8Array(16), udp6(1, 7)) });
        const m = t.message();
        assert.deepEqual([m.type, m.code, m.rest], [4, 0, 42]);
        t.dropped({ IpRoutingHeader: 1 });
      });
    }

    it('RFC 4443 §3.4: an unknown next header draws code 1 at the octet that names it', () => {
      t.ip6({ next: 60, payload: concat(hex('fd 00 0104 00000000'), hex('0102030405060708')) });
      const m = t.message();
      assert.deepEqual([m.type, m.code, m.rest], [4, 1, 40]);
      t.dropped({ IpUnknownProtocol: 1 });
    });

    it('ICMP of IPv4 means nothing here, nor ICMPv6 in IPv4', () => {
      t.ip6({ next: 1, payload: hex('0800 f7ff 0000 0000') });
      assert.deepEqual(
        [t.message()].map((m) => [m.type, m.code, m.rest]),
        [[4, 1, 6]],
      );
    });
  });

  describe('fragments', () => {
    const whole = udp6(1, 7, 'abcdefghijklmnop');
    it('RFC 8200 §4.5: in any order they make one datagram', () => {
      t.ip6({ next: 44, payload: concat(fragment(17, 16, false), whole.subarray(16)) });
      t.ip6({ next: 44, payload: concat(fragment(17, 0, true), whole.subarray(0, 16)) });
      assert.deepEqual(received(), ['abcdefghijklmnop']);
      t.dropped({});
    });

    it('RFC 8200 §4.5: the first one names the next header and brings the headers before', () => {
      const options = hex('2c 00 0104 00000000');
      t.ip6({ next: 60, payload: concat(options, fragment(99, 16, false), whole.subarray(16)) });
      t.ip6({ next: 60, payload: concat(options, fragment(17, 0, true), whole.subarray(0, 16)) });
      assert.deepEqual(received(), ['abcdefghijklmnop']);
    });

    it('RFC 6946 §4: an atomic fragment is whole by itself and disturbs none', () => {
      t.ip6({ next: 44, payload: concat(fragment(17, 0, true), whole.subarray(0, 16)) });
      t.ip6({ next: 44, payload: concat(fragment(17, 0, false), udp6(1, 7, 'atom')) });
      t.ip6({ next: 44, payload: concat(fragment(17, 16, false), whole.subarray(16)) });
      assert.deepEqual(received(), ['atom', 'abcdefghijklmnop']);
    });

    it('RFC 5722 §4: an overlap ends the datagram and what still comes of it', () => {
      t.ip6({ next: 44, payload: concat(fragment(17, 0, true), whole.subarray(0, 16)) });
      t.ip6({ next: 44, payload: concat(fragment(17, 8, false), whole.subarray(8)) });
      t.ip6({ next: 44, payload: concat(fragment(17, 16, false), whole.subarray(16)) });
      assert.deepEqual(received(), []);
      t.dropped({ FragmentOverlap: 3 });
      t.quiet();
      t.wait(61);
      assert.deepEqual(
        t.seen().filter((p) => p.payload[0] !== 135),
        [],
      );
    });

    it('RFC 8200 §4.5: a length that is no multiple of 8 draws a parameter problem at the payload length', () => {
      t.ip6({ next: 44, payload: concat(fragment(17, 0, true), whole.subarray(0, 15)) });
      assert.deepEqual(
        [t.message()].map((m) => [m.type, m.code, m.rest]),
        [[4, 0, 4]],
      );
      t.dropped({ FragmentMalformed: 1 });
    });

    it('RFC 8200 §4.5: one past 65,535 draws a parameter problem at the fragment offset', () => {
      t.ip6({ next: 44, payload: concat(fragment(17, 0xfff8, false), new Uint8Array(16)) });
      assert.deepEqual(
        [t.message()].map((m) => [m.type, m.code, m.rest]),
        [[4, 0, 42]],
      );
      t.dropped({ FragmentTooLong: 1 });
    });

    it('RFC 7112 §5, RFC 8200 §4.5: a first fragment without all headers draws code 3', () => {
      t.ip6({ next: 44, payload: concat(fragment(60, 0, true), hex('11 01 0104 00000000')) });
      assert.deepEqual(
        [t.message()].map((m) => [m.type, m.code, m.rest]),
        [[4, 3, 0]],
      );
      t.ip6({ next: 44, payload: concat(fragment(6, 0, true, 2), new Uint8Array(8)) });
      assert.deepEqual(
        [t.message()].map((m) => [m.type, m.code, m.rest]),
        [[4, 3, 0]],
      );
      t.dropped({ IpTruncated: 1, IpBadExtension: 1 });
    });

    it('a fragment header in a datagram of fragments is refused', () => {
      const inner = concat(fragment(17, 0, false, 9), udp6(1, 7));
      t.ip6({ next: 44, payload: concat(fragment(44, 0, true), inner.subarray(0, 16)) });
      t.ip6({ next: 44, payload: concat(fragment(44, 16, false), inner.subarray(16)) });
      assert.deepEqual(received(), []);
      t.dropped({ IpBadExtension: 1 });
    });

    it('RFC 8200 §4.5: after 60 s time exceeded is told when the first fragment had come, and only then', () => {
      t.ip6({ next: 44, payload: concat(fragment(17, 0, true, 1), whole.subarray(0, 16)) });
      t.ip6({ next: 44, payload: concat(fragment(17, 16, false, 2), whole.subarray(16)) });
      t.run(seconds(59));
      t.meet();
      t.run(seconds(2));
      const errors = t.seen().filter((p) => p.payload[0] === 3);
      assert.deepEqual(
        errors.map((p) => [p.dst, p.payload[1]]),
        [[PEER, 1]],
      );
      t.dropped({ FragmentTimeout: 2 });
    });

    it('RFC 6980: neighbour discovery in fragments is refused, atomic ones too', () => {
      const ns = icmp6(135, 0, 0, hex('fd000000000000000000000000000001'), PEER_LL, 'fd00::1');
      t.ip6({ src: PEER_LL, next: 44, hops: 255, payload: concat(fragment(58, 0, false), ns) });
      t.quiet();
      t.dropped({ FragmentAtomicNd: 1 });
    });
  });

  it('RFC 2464 §7: groups arrive under 33:33', () => {
    t.ip6({ dst: 'ff02::1', payload: udp6(1, 7, 'all', PEER, 'ff02::1') }, hex('333300000001'));
    assert.deepEqual(received(), ['all']);
  });
});
