import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { seconds } from '#src/base/time.js';
import { type Auth, parseIdentity, readIdentity, sameIdentity } from '#src/net/ipsec/ike/connection.js';
import { readSignature, schemeFor } from '#src/net/ipsec/ike/signature.js';
import { AuthMethod } from '#src/wire/ike-payload.js';
import { cert, key } from '../../support/certificate.js';
import { IkeNet } from '../../support/ike.js';
import { octets } from '../../support/octets.js';

describe('IKEv2: who somebody is', () => {
  for (const id of ['anystack.test', 'CN=anystack.test'] as const) {
    it(`RFC 4945 §3.1: certificates, by the identity ${id}; another is refused`, () => {
      const certificate = new Uint8Array(new X509Certificate(cert).raw);
      const auth: Auth = { method: 'pubkey', certificates: [certificate], key, kind: 'ecdsa-256', anchors: [certificate] };
      for (const [theirs, outcome] of [
        [id, 'established'],
        [id.replace('anystack', 'other'), 'dead'],
      ] as const) {
        const t = new IkeNet();
        for (const { host } of [t.a, t.b]) host.host.jumpWallClock(seconds(Date.UTC(2027, 0) / 1_000) - host.host.wallClock());
        const [ca] = t.both({ auth }, { localId: theirs, remoteId: id }, { localId: id, remoteId: theirs });
        const sa = t.a.service.ike.initiate(ca);
        t.run();
        assert.equal(sa?.state, outcome, sa?.error);
        t.end();
      }
    });
  }

  it('RFC 8247 §3.1, §3.2: no DSS, and no SHA-1 under RFC 7427', () => {
    const sha1WithRsa = octets('300d06092a864886f70d0101050500');
    const ecdsaWithSha1 = octets('300906072a8648ce3d0401');
    for (const name of [sha1WithRsa, ecdsaWithSha1]) assert.equal(readSignature(AuthMethod.Signature, Uint8Array.of(name.length, ...name, 1)), null);
    assert.equal(readSignature(3, new Uint8Array(40)), null, 'method 3 is DSS');
    assert.equal(schemeFor('ecdsa-256', new Set([1])), null, 'a peer that verifies SHA-1 alone gets no signature');
  });

  it('RFC 7296 §3.5: a distinguished name in text and in DER, whatever its strings are stored as', () => {
    const [own, read] = [parseIdentity('C=CH, O=Example & Söhne, CN=gw'), readIdentity(9, new Uint8Array())];
    assert.equal(own.type, 9);
    assert.equal(own.text, 'C=CH, O=Example & Söhne, CN=gw');
    assert.equal(read.text, '', 'no name: its octets');
    const utf8 = own.data.slice();
    utf8[utf8.indexOf(0x13)] = 0x0c; // C as UTF8String
    assert(sameIdentity(own, readIdentity(9, utf8)));
    assert(!sameIdentity(own, parseIdentity('C=CH, O=Example, CN=gw')));
    assert.throws(() => parseIdentity('X=1'), /no attribute 'X'/);
  });
});
