import assert from 'node:assert/strict';
import { Address } from '#src/base/address.js';
import { Prng } from '#src/base/prng.js';
import { AddressMap, mapped } from '#src/net/nat64/address-map.js';
import { isHost4, PREFIX_LENGTHS, Prefix64, parsePrefix64, WELL_KNOWN } from '#src/net/nat64/prefix.js';
import { address } from '../../support/stacks.js';

/** The tables of RFC 6052 §2.4. */
const examples: readonly (readonly [string, string])[] = [
  ['2001:db8::/32', '2001:db8:c000:221::'],
  ['2001:db8:100::/40', '2001:db8:1c0:2:21::'],
  ['2001:db8:122::/48', '2001:db8:122:c000:2:2100::'],
  ['2001:db8:122:300::/56', '2001:db8:122:3c0:0:221::'],
  ['2001:db8:122:344::/64', '2001:db8:122:344:c0:2:2100::'],
  ['2001:db8:122:344::/96', '2001:db8:122:344::c000:221'],
  ['64:ff9b::/96', '64:ff9b::c000:221'],
];

const prefix64 = (text: string): Prefix64 => parsePrefix64(text, 'here');

describe('addresses of NAT64', () => {
  for (const [text, whole] of examples)
    it(`RFC 6052 §2.4: 192.0.2.33 behind ${text} is ${whole}`, () => {
      const into = new Address();
      prefix64(text).embed(address('192.0.2.33'), into);
      assert.equal(`${into}`, `${address(whole)}`);
      assert(prefix64(text).extract(into, into));
      assert.equal(`${into}`, '192.0.2.33');
    });

  it('any address comes back, of all six lengths; octet 8 is zero, or it is none of ours (RFC 6052 §2.2)', () => {
    const prng = new Prng(5);
    const into = new Address();
    for (const length of PREFIX_LENGTHS) {
      const p = new Prefix64(address('2001:db8::'), length);
      for (let i = 0; i < 100; i++) {
        const v4 = new Address(0, 0, 0xffff, prng.uint32());
        p.embed(v4, into);
        assert.equal(into.w2 >>> 24, 0);
        assert(p.extract(into, into) && into.equals(v4), `${v4} /${length}`);
      }
      p.embed(address('192.0.2.1'), into);
      if (length === 96) continue;
      into.w2 |= 0x01000000;
      assert.equal(p.extract(into, into), false);
    }
    assert.equal(prefix64(WELL_KNOWN).extract(address('2001:db8::1'), into), false);
  });

  it('what cannot be a prefix is refused with its place', () => {
    for (const text of ['2001:db8::/33', '10.0.0.0/8', 'fe80::/64', '2001:db8::100:0:0:0/96', 'x'])
      assert.throws(() => prefix64(text), { message: new RegExp(`^here '${text}' is`) });
  });

  it('RFC 6052 §3.1: the well-known prefix stands for no private address, one of your own does', () => {
    for (const text of ['10.0.0.1', '172.31.255.1', '192.168.1.1', '100.64.0.1', '169.254.1.1', '198.19.0.1'])
      assert.deepEqual([prefix64(WELL_KNOWN).mayHold(address(text)), prefix64('64:ff9b:1::/96').mayHold(address(text))], [false, true], text);
    assert(prefix64(WELL_KNOWN).mayHold(address('172.32.0.1')) && prefix64(WELL_KNOWN).wellKnown);
    for (const text of ['0.0.0.1', '127.0.0.1', '224.0.0.1', '255.255.255.255']) assert.equal(isHost4(address(text)), false, text);
  });

  it('RFC 7757: explicit mappings keep the host part, the longest prefix first', () => {
    const map = new AddressMap([mapped(address('2001:db8:1::'), address('192.0.2.0'), 8), mapped(address('2001:db8:2::7'), address('192.0.2.5'), 0)]);
    const into = new Address();
    assert(map.toIpv6(address('192.0.2.4'), into));
    assert.equal(`${into}`, '2001:db8:1::4');
    assert(map.toIpv6(address('192.0.2.5'), into));
    assert.equal(`${into}`, '2001:db8:2::7');
    assert(map.toIpv4(address('2001:db8:1::ff'), into));
    assert.equal(`${into}`, '192.0.2.255');
    assert.equal(map.toIpv4(address('2001:db8:1::1:0'), into), false);
  });
});
