import assert from 'node:assert/strict';
import {
  Address,
  anyV4,
  anyV6,
  commonPrefix,
  formatAddress,
  formatPrefix,
  maskAddress,
  mixAddress,
  parseAddress,
  parsePrefix,
  samePrefix,
} from '#src/base/address.js';
import { Prng } from '#src/base/prng.js';

const parse = (text: string): Address => {
  const address = parseAddress(text);
  assert.ok(address !== null, `${text} is an address`);
  return address;
};

describe('Address', () => {
  const canonical: Record<string, string> = {
    // RFC 5952 §4.1, §4.3: no leading zeros, lower case.
    '2001:0DB8::0001': '2001:db8::1',
    '2001:db8::ABCD:1': '2001:db8::abcd:1',
    // RFC 5952 §4.2.1, §4.2.2, §4.2.3: the longest run, no single group, the first of two.
    '2001:db8:0:0:0:0:2:1': '2001:db8::2:1',
    '2001:db8:0:1:1:1:1:1': '2001:db8:0:1:1:1:1:1',
    '2001:0:0:1:0:0:0:1': '2001:0:0:1::1',
    '2001:db8:0:0:1:0:0:1': '2001:db8::1:0:0:1',
    '0:0:0:0:0:0:0:0': '::',
    '0:0:0:0:0:0:0:1': '::1',
    '1:0:0:0:0:0:0:0': '1::',
    'ff02::1:ff00:1': 'ff02::1:ff00:1',
    // RFC 4291 §2.2: the last 32 bits as IPv4.
    '64:ff9b::192.0.2.33': '64:ff9b::c000:221',
    '::13.1.68.3': '::d01:4403',
    '1:2:3:4:5:6:77.77.88.88': '1:2:3:4:5:6:4d4d:5858',
    '::ffff:192.0.2.1': '192.0.2.1',
    '255.255.255.255': '255.255.255.255',
    '0.0.0.0': '0.0.0.0',
  };
  for (const [text, expected] of Object.entries(canonical)) {
    it(`RFC 5952 §4: ${text} is written ${expected}`, () => {
      assert.equal(formatAddress(parse(text)), expected);
    });
  }

  const wrong = [
    '',
    ':',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7::8:9',
    '::1:2:3:4:5:6:7:8',
    '12345::',
    'g::',
    '1:',
    ':1',
    '1.2.3',
    '1.2.3.4.5',
    '1.2.3.256',
    '01.2.3.4',
    '1.2.3.4 ',
    ' ::1',
    '1.2.3.4::',
    '::1.2.3',
    '::1.2.3.4:5',
    '1:2:3:4:5:6:7:1.2.3.4',
    'fe80::1%eth0',
    '-1.2.3.4',
    '1e1.2.3.4',
  ];
  it('RFC 4291 §2.2: what is no address is null', () => {
    for (const text of wrong) assert.equal(parseAddress(text), null, JSON.stringify(text));
  });

  it('reads back what it writes', () => {
    const prng = new Prng(4291);
    for (let n = 0; n < 5_000; n++) {
      const word = (): number => (prng.below(3) === 0 ? 0 : prng.below(2) === 0 ? prng.uint32() : prng.below(65_536));
      const address = n % 4 === 0 ? new Address(0, 0, 0xffff, word()) : new Address(word(), word(), word(), word());
      assert.ok(parse(formatAddress(address)).equals(address), formatAddress(address));
    }
  });

  it('knows the kinds', () => {
    assert.ok(anyV4().isUnspecified && anyV4().isV4 && anyV6().isUnspecified && !anyV6().isV4);
    assert.ok(parse('224.0.0.1').isMulticast && parse('239.255.255.255').isMulticast && !parse('240.0.0.1').isMulticast);
    assert.ok(parse('ff02::1').isMulticast && !parse('fe80::1').isMulticast);
    assert.ok(parse('127.1.2.3').isLoopback && parse('::1').isLoopback && !parse('::2').isLoopback && !parse('128.0.0.1').isLoopback);
    assert.ok(parse('169.254.1.1').isLinkLocal && parse('fe80::1').isLinkLocal && parse('febf::1').isLinkLocal && !parse('fec0::1').isLinkLocal);
    assert.ok(parse('255.255.255.255').isLimitedBroadcast && !parse('ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff').isLimitedBroadcast);
  });

  it('compares and masks prefixes of every length as bit strings do', () => {
    const bits = (a: Address): string => [a.w0, a.w1, a.w2, a.w3].map((w) => (w >>> 0).toString(2).padStart(32, '0')).join('');
    const prng = new Prng(6724);
    for (let n = 0; n < 2_000; n++) {
      const a = new Address(prng.uint32(), prng.uint32(), prng.uint32(), prng.uint32());
      const b = a.clone();
      const flip = prng.below(130);
      if (flip < 128) {
        const w = `w${flip >> 5}` as 'w0' | 'w1' | 'w2' | 'w3';
        b[w] = b[w] ^ (1 << (31 - (flip & 31)));
      }
      assert.equal(commonPrefix(a, b), Math.min(flip, 128));
      for (const length of [0, 1, 31, 32, 33, 64, 96, 127, 128, prng.below(129)]) {
        assert.equal(samePrefix(a, b, length), length <= flip);
        assert.equal(bits(maskAddress(a, length)), bits(a).slice(0, length).padEnd(128, '0'));
      }
    }
  });

  it('parses prefixes with the length in the own bits of the family', () => {
    assert.equal(parsePrefix('10.1.0.0/16')?.length, 16);
    assert.equal(parsePrefix('10.1.2.3')?.length, 32);
    assert.equal(parsePrefix('fd00::/64')?.length, 64);
    assert.equal(parsePrefix('fd00::1')?.length, 128);
    for (const text of ['10.0.0.0/33', '10.0.0.0/', '10.0.0.0/-1', '10.0.0.0/1e1', 'fd00::/129', '/8', '10.0.0/8'])
      assert.equal(parsePrefix(text), null, text);
    assert.equal(formatPrefix(parse('10.1.0.0'), 16), '10.1.0.0/16');
  });

  it('mixes addresses into 32 bits that depend on every word', () => {
    const hashes = new Set([0, 1, 2, 3, 4].map((i) => mixAddress(7, new Address(...[0, 0, 0, 0].map((_, j) => (j === i ? 1 : 0)))) | 0));
    assert.equal(hashes.size, 5);
  });
});
