import assert from 'node:assert/strict';
import { Address, parseAddress } from '#src/base/address.js';
import { Drop } from '#src/base/drops.js';
import { icmpv6, nd, ndOptions as option } from '#src/wire/index.js';
import { hex, octets, view, viewOf } from '../support/octets.js';

const host = parseAddress('fe80::1') as Address;
const prefix = parseAddress('2001:db8:1::') as Address;
const read = (get: (into: Address) => void): string => {
  const address = new Address();
  get(address);
  return `${address}`;
};

describe('wire/nd', () => {
  it('RFC 4861 §4.3: neighbour solicitation with a source link-layer address', () => {
    const v = viewOf(new Uint8Array(32));
    const end = option.putLink(v, nd.putSolicitation(v, 0, host), option.Kind.SourceLink, 0x0200, 1);
    assert.equal(hex(v), '8700000000000000fe800000000000000000000000000001' + '0101020000000001');
    assert.equal(end, 32);
    assert.equal(nd.check(v, 0, 32), 0);
    assert.equal(
      read((into) => nd.target(v, 0, into)),
      'fe80::1',
    );
    assert.equal(nd.options(v, 0), 24);
    assert.equal(option.find(v, 24, 32, option.Kind.SourceLink), 24);
    assert.equal(option.find(v, 24, 32, option.Kind.TargetLink), -1);
    assert.deepEqual([option.linkHigh(v, 24), option.linkLow(v, 24)], [0x0200, 1]);
    assert.equal(nd.format(v, 0, 32), 'nd who has fe80::1');
  });

  it('RFC 4861 §4.4: neighbour advertisement and its flags', () => {
    const v = viewOf(new Uint8Array(24));
    nd.putAdvertisement(v, 0, nd.NaFlag.Solicited | nd.NaFlag.Override, host);
    assert.equal(nd.check(v, 0, 24), 0);
    assert.equal(nd.naFlags(v, 0), 0x60);
    assert.equal(nd.format(v, 0, 24), 'nd advertisement of fe80::1');
  });

  it('RFC 4861 §4.1, §4.5: router solicitation and redirect', () => {
    const v = viewOf(new Uint8Array(40));
    assert.equal(nd.putRouterSolicitation(v, 0), 8);
    assert.equal(nd.check(v, 0, 8), 0);
    assert.equal(nd.format(v, 0, 8), 'nd router solicitation');
    assert.equal(nd.putRedirect(v, 0, host, prefix), 40);
    assert.equal(nd.check(v, 0, 40), 0);
    assert.equal(
      read((into) => nd.destination(v, 0, into)),
      '2001:db8:1::',
    );
    assert.equal(nd.format(v, 0, 40), 'nd redirect to fe80::1');
  });

  it('RFC 4861 §4.2 and all its options: a router advertisement', () => {
    const v = viewOf(new Uint8Array(400));
    let at = nd.putRouterAdvertisement(v, 0, 64, nd.RaFlag.Other | nd.preferenceBits(1), 1800, 30_000, 1_000);
    at = option.putLink(v, at, option.Kind.SourceLink, 0x0200, -1);
    at = option.putMtu(v, at, 1400);
    at = option.putPrefix(v, at, 64, option.PrefixFlag.OnLink | option.PrefixFlag.Autonomous, 86_400, option.FOREVER, prefix);
    at = option.putRoute(v, at, 0, nd.preferenceBits(-1), 600, new Address());
    at = option.putRoute(v, at, 48, nd.preferenceBits(0), 600, prefix);
    at = option.putRoute(v, at, 128, nd.preferenceBits(1), 600, host);
    at = option.putRdnss(v, at, 1200, [host, prefix]);
    at = option.putDnssl(v, at, 1200, octets('07657861 6d706c65 03636f6d 00'));
    at = option.putPref64(v, at, 96, 601, parseAddress('64:ff9b::') as Address);
    at = option.putNonce(v, at, 0x0102, 0x03040506);
    assert.equal(nd.check(v, 0, at), 0);
    assert.deepEqual(
      [nd.raHopLimit(v, 0), nd.raFlags(v, 0), nd.raPreference(v, 0), nd.raLifetime(v, 0), nd.raReachable(v, 0), nd.raRetrans(v, 0)],
      [64, 0x48, 1, 1800, 30_000, 1_000],
    );
    assert.equal(nd.format(v, 0, at), 'nd router advertisement lifetime 1800');

    const kinds: number[] = [];
    for (let o = nd.options(v, 0); o < at; o = option.next(v, o)) kinds.push(option.kind(v, o));
    assert.deepEqual(kinds, [1, 5, 3, 24, 24, 24, 25, 31, 38, 14]);

    const find = (kind: number): number => option.find(v, 16, at, kind);
    assert.equal(option.mtu(v, find(option.Kind.Mtu)), 1400);
    const p = find(option.Kind.Prefix);
    assert.deepEqual(
      [option.prefixLength(v, p), option.prefixFlags(v, p), option.prefixValid(v, p), option.prefixPreferred(v, p)],
      [64, 0xc0, 86_400, option.FOREVER],
    );
    assert.equal(
      read((into) => option.prefix(v, p, into)),
      '2001:db8:1::',
    );

    const routes: string[] = [];
    for (let o = find(option.Kind.Route); option.kind(v, o) === option.Kind.Route; o = option.next(v, o)) {
      routes.push(
        `${read((into) => option.routePrefix(v, o, into))}/${option.prefixLength(v, o)} ${nd.preference(option.routeFlags(v, o))} ${option.lifetime(v, o)} ${option.length(v, o)}`,
      );
    }
    assert.deepEqual(routes, ['::/0 -1 600 8', '2001:db8:1::/48 0 600 16', 'fe80::1/128 1 600 24']);

    const r = find(option.Kind.Rdnss);
    assert.deepEqual([option.lifetime(v, r), option.resolvers(v, r)], [1200, 2]);
    assert.equal(
      read((into) => option.resolver(v, r, 1, into)),
      '2001:db8:1::',
    );
    const d = find(option.Kind.Dnssl);
    assert.equal(hex(v, option.domains(d), option.next(v, d)), '076578616d706c6503636f6d00000000');
    const n = find(option.Kind.Pref64);
    assert.deepEqual([option.pref64Length(v, n), option.pref64Lifetime(v, n)], [96, 608]);
    assert.equal(
      read((into) => option.pref64Prefix(v, n, into)),
      '64:ff9b::',
    );
    assert.equal(hex(v, option.nonce(find(option.Kind.Nonce)), at), '010203040506');
  });

  it('RFC 8781 §4: the six prefix lengths', () => {
    const v = viewOf(new Uint8Array(16));
    for (const bits of [96, 64, 56, 48, 40, 32]) {
      option.putPref64(v, 0, bits, 65_535, prefix);
      assert.deepEqual([option.kind(v, 0), option.pref64Length(v, 0), option.pref64Lifetime(v, 0)], [option.Kind.Pref64, bits, 65_528]);
    }
  });

  it('RFC 4191 §2.2: the reserved preference counts as medium', () => {
    assert.deepEqual([0x00, 0x08, 0x10, 0x18].map(nd.preference), [0, 1, 0, -1]);
  });

  it('RFC 4861 §4.6: options of a length that does not fit their type are skipped', () => {
    const cases: Record<string, string> = {
      'link address of 16': `0102${'00'.repeat(14)}`,
      'prefix of 24': `0303${'00'.repeat(22)}`,
      'prefix longer than 128 bits': `030481${'00'.repeat(29)}`,
      'MTU of 16': `0502${'00'.repeat(14)}`,
      'route /64 without prefix': '180140000000003c',
      'route /65 in 16': `180241${'00'.repeat(13)}`,
      'route of 32': `180440${'00'.repeat(29)}`,
      'Rdnss without resolver': '1901000000000000',
      'Rdnss of half a resolver': `1902${'00'.repeat(14)}`,
      'Dnssl without domain': '1f01000000000000',
      'Pref64 of 8': '2601000000000000',
      'Pref64 of code 6': `26020006${'00'.repeat(12)}`,
    };
    for (const [name, text] of Object.entries(cases)) {
      const v = view(`8500000000000000${text}`);
      assert.equal(nd.check(v, 0, v.byteLength), 0, name);
      assert.equal(option.kind(v, 8), 0, name);
      assert.equal(option.find(v, 8, v.byteLength, v.getUint8(8)), -1, name);
    }
  });

  it('NdTruncated: shorter than the type needs, or of no such type', () => {
    for (const [type, least] of [
      [133, 8],
      [134, 16],
      [135, 24],
      [136, 24],
      [137, 40],
    ] as const) {
      const v = viewOf(new Uint8Array(48));
      v.setUint8(0, type);
      for (let end = 0; end < least; end++) assert.equal(nd.check(v, 0, end), Drop.NdTruncated);
      assert.equal(nd.check(v, 0, least), 0);
    }
    assert.equal(nd.check(view('8000000000000000'), 0, 8), Drop.NdTruncated);
  });

  it('NdMalformed: a code, an option of length 0 or past the end, a group as target', () => {
    assert.equal(nd.check(view('8501000000000000'), 0, 8), Drop.NdMalformed);
    assert.equal(nd.check(view('8500000000000000 0100000000000000'), 0, 16), Drop.NdMalformed);
    assert.equal(nd.check(view('8500000000000000 0102000000000000'), 0, 16), Drop.NdMalformed);
    assert.equal(nd.check(view('8500000000000000 01010000'), 0, 12), Drop.NdMalformed);
    for (const type of ['87', '88', '89']) {
      const v = view(`${type}00000000000000ff02${'00'.repeat(30)}`);
      assert.equal(nd.check(v, 0, type === '89' ? 40 : 24), Drop.NdMalformed);
    }
    assert.equal(nd.format(view('8501000000000000'), 0, 8), 'nd malformed');
    assert.equal(icmpv6.Type.Redirect, 137);
  });
});
