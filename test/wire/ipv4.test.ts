import assert from 'node:assert/strict';
import { Address } from '#src/base/address.js';
import { Drop } from '#src/base/drops.js';
import { Prng } from '#src/base/prng.js';
import { ipv4 } from '#src/wire/index.js';
import { hex, octets, view, viewOf } from '../support/octets.js';
import { slowChecksum } from '../support/slow/checksum.js';

const good = '4500 0073 0000 4000 4011 b861 c0a80001 c0a800c7';
const packet = (): DataView => view(good + '00'.repeat(0x73 - 20));

/** A packet with these options and no payload, its checksum right. */
function withOptions(options: string): DataView {
  const bytes = octets(options);
  const header = 20 + bytes.length;
  const v = viewOf(Uint8Array.from([...octets(good), ...bytes]));
  v.setUint8(0, 0x40 | (header >> 2));
  ipv4.setTotalLength(v, 0, header);
  ipv4.finishHeader(v, 0);
  return v;
}

describe('wire/ipv4', () => {
  it('RFC 791 §3.1: reads a header whose checksum is known', () => {
    const v = packet();
    assert.equal(ipv4.check(v, 0, v.byteLength), 0);
    assert.deepEqual(
      [
        ipv4.version(v, 0),
        ipv4.headerLength(v, 0),
        ipv4.trafficClass(v, 0),
        ipv4.totalLength(v, 0),
        ipv4.identification(v, 0),
        ipv4.ttl(v, 0),
        ipv4.protocol(v, 0),
        ipv4.checksum(v, 0),
      ],
      [4, 20, 0, 0x73, 0, 64, 17, 0xb861],
    );
    assert.ok(ipv4.dontFragment(v, 0) && !ipv4.moreFragments(v, 0) && !ipv4.isFragment(v, 0));
    assert.equal(ipv4.fragmentWord(v, 0), ipv4.Flag.DontFragment);
    const address = new Address();
    ipv4.source(v, 0, address);
    assert.equal(`${address}`, '192.168.0.1');
    ipv4.destination(v, 0, address);
    assert.equal(`${address}`, '192.168.0.199');
    assert.deepEqual([ipv4.sourceWord(v, 0) >>> 0, ipv4.destinationWord(v, 0) >>> 0], [0xc0a80001, 0xc0a800c7]);
    assert.equal(ipv4.format(v, 0, v.byteLength), '192.168.0.1 > 192.168.0.199 udp length 115 ttl 64');
  });

  it('writes what it reads', () => {
    const out = view('ee'.repeat(20));
    ipv4.put(out, 0, 0, 0x73, 0, ipv4.Flag.DontFragment, 64, 17, 0xc0a80001 | 0, 0xc0a800c7 | 0);
    assert.equal(hex(out), good.replaceAll(' ', ''));
  });

  it('what lies past the total length is padding', () => {
    const v = view(`${good}${'00'.repeat(0x73 - 20)}deadbeef`);
    assert.equal(ipv4.check(v, 0, v.byteLength), 0);
  });

  it('IpTruncated, IpBadVersion, IpBadHeaderLength, IpBadLength, IpBadChecksum', () => {
    for (let end = 0; end < 20; end++) assert.equal(ipv4.check(packet(), 0, end), Drop.IpTruncated);
    for (let end = 20; end < 0x73; end++) assert.equal(ipv4.check(packet(), 0, end), Drop.IpBadLength);
    const damaged = (at: number, value: number): number => {
      const v = packet();
      v.setUint8(at, value);
      return ipv4.check(v, 0, v.byteLength);
    };
    assert.equal(damaged(0, 0x65), Drop.IpBadVersion);
    assert.equal(damaged(0, 0x44), Drop.IpBadHeaderLength);
    assert.equal(ipv4.check(view(`4f${good.slice(2)}`), 0, 20), Drop.IpBadHeaderLength, 'past the packet');
    assert.equal(damaged(3, 19), Drop.IpBadLength);
    assert.equal(damaged(2, 1), Drop.IpBadLength);
    for (let at = 8; at < 20; at++) assert.equal(damaged(at, packet().getUint8(at) ^ 0x10), Drop.IpBadChecksum);
  });

  it('tells fragments', () => {
    for (const [word, offset, more] of [
      [0x2000, 0, true],
      [0x20b9, 1480, true],
      [0x00b9, 1480, false],
      [0x1fff, 65528, false],
    ] as const) {
      const v = packet();
      ipv4.setFragmentWord(v, 0, word);
      assert.ok(ipv4.isFragment(v, 0));
      assert.deepEqual([ipv4.fragmentOffset(v, 0), ipv4.moreFragments(v, 0)], [offset, more]);
    }
    const v = packet();
    ipv4.setFragmentWord(v, 0, 0x20b9);
    assert.match(ipv4.format(v, 0, 0x73), /id 0 offset 1480\+$/);
  });

  it('RFC 1624 §3: one hop less keeps the checksum right over the whole range, and never makes it ones', () => {
    const prng = new Prng(1624);
    for (let n = 0; n < 70_000; n++) {
      const v = viewOf(octets(good));
      ipv4.put(v, 0, 0, 20, prng.below(65_536), 0, 1 + prng.below(255), 6, prng.uint32() | 0, n | 0);
      ipv4.decrementTtl(v, 0);
      if (ipv4.check(v, 0, 20) !== 0 || ipv4.checksum(v, 0) === 0xffff) assert.fail(hex(v));
    }
  });

  describe('options', () => {
    const cases: [string, string, number][] = [
      ['end', '00000000', 0],
      ['nops', '01010101', 0],
      ['record route', '0707040a0000 0100', ipv4.Seen.RecordRoute],
      ['loose source route', '8307040a00000100', ipv4.Seen.SourceRoute],
      ['strict source route', '8907040a00000100', ipv4.Seen.SourceRoute],
      ['router alert', '94040000', ipv4.Seen.RouterAlert],
      ['timestamp', '4408050000000000', ipv4.Seen.Timestamp],
      ['security', '820b00000000000000000000', ipv4.Seen.Other],
      ['alert behind nops', '0101019404000000', ipv4.Seen.RouterAlert],
      ['two', '9404000007070400 00000000', ipv4.Seen.RouterAlert | ipv4.Seen.RecordRoute],
      ['nothing counts behind the end', '00940400', 0],
    ];
    for (const [name, text, seen] of cases) {
      it(`RFC 791 §3.1: ${name}`, () => {
        const v = withOptions(text);
        assert.equal(ipv4.check(v, 0, v.byteLength), 0);
        assert.equal(ipv4.seenOptions(v, 0), seen);
      });
    }

    const broken: [string, string, number][] = [
      ['length 0', '94000000', 20],
      ['length 1', '94010000', 20],
      ['a length past the header', '01940500', 21],
      ['a kind without room for its length', '01010194', 23],
      ['a record route pointer below 4', '0707030000000000', 20],
      ['a record route pointer off its entries', '0707050000000000', 20],
      ['a record route of a length off its entries', '0706040000000000', 20],
      ['a timestamp pointer below 5', '4408040000000000', 20],
      ['two source routes (RFC 1122 §3.2.1.8)', '8303048303040000', 23],
      ['a router alert of another length (RFC 2113 §2.1)', '9403000000000000', 20],
    ];
    for (const [name, text, where] of broken) {
      it(`IpBadOptions: ${name}`, () => {
        const v = withOptions(text);
        assert.equal(ipv4.check(v, 0, v.byteLength), Drop.IpBadOptions);
        assert.equal(ipv4.badOption(v, 0), where);
      });
    }

    it('are walked one by one, padding passed over', () => {
      const v = withOptions('01 94040000 01 0703040000000000');
      const places: number[] = [];
      for (let o = ipv4.firstOption(v, 0); o >= 0; o = ipv4.nextOption(v, 0, o)) places.push(o);
      assert.deepEqual(places, [21, 26]);
    });

    it('are covered by the checksum', () => {
      const v = withOptions('94040000');
      assert.equal(slowChecksum(new Uint8Array(v.buffer)), 0);
      v.setUint8(23, 1);
      assert.equal(ipv4.check(v, 0, 24), Drop.IpBadChecksum);
    });
  });
});
