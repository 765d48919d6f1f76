import assert from 'node:assert/strict';
import { createBrowserHost } from '#src/hyper/browser-host.js';
import type { Crypto, CryptoRequest } from '#src/hyper/crypto.js';
import { nobleCrypto } from '#src/hyper/noble-crypto.js';
import { nodeCrypto } from '#src/hyper/node-crypto.js';
import { answerLength, publicLength } from '#src/hyper/public-key.js';
import { IkeNet } from '../support/ike.js';
import { ProtectedNet } from '../support/ipsec.js';

const crypto = await nobleCrypto();

const work = (
  by: Crypto,
  operation: CryptoRequest['operation'],
  algorithm: string,
  parameters: CryptoRequest['parameters'] = {},
): Promise<Uint8Array> =>
  new Promise((resolve, reject) => {
    by.request({ operation, algorithm, parameters }, (result, error) => (result === null ? reject(new Error(error)) : resolve(result)));
  });

describe('IPsec in a browser, by the noble libraries', () => {
  it('a browser host takes them', () => {
    assert.equal(createBrowserHost({ crypto }).crypto, crypto);
  });

  for (const [suite, protocol] of [
    ['aes128gcm16', 'esp'],
    ['chacha20poly1305', 'esp'],
    ['aes256-sha256', 'esp'],
    ['aes128ctr-sha512', 'esp'],
    ['aes128gmac', 'esp'],
    ['null-sha1', 'esp'],
    ['sha384', 'ah'],
    ['aesxcbc', 'ah'],
  ] as const) {
    it(`${protocol} ${suite}: through a tunnel, ESN included`, () => {
      const t = new ProtectedNet({ suite, protocol, crypto, sa: { esn: true } });
      for (const n of [0, 1, 100, 1_300]) assert.deepEqual(t.echo(new Uint8Array(n).fill(n)), new Uint8Array(n).fill(n));
      t.end();
    });
  }

  it('IKE with a shared key: its messages are sealed, and its children', () => {
    const t = new IkeNet({ crypto });
    const [ca] = t.both();
    t.up(ca);
    assert(t.ping());
    t.end();
  });

  for (const algorithm of ['x25519', 'ecp256', 'ecp384', 'ecp521']) {
    it(`${algorithm}: the same secret as OpenSSL’s, from either end`, async () => {
      assert(crypto.exchanges(algorithm));
      const node = nodeCrypto();
      for (const [first, second] of [
        [crypto, node],
        [node, crypto],
      ] as const) {
        const made = await work(first, 'generate', algorithm);
        const length = publicLength(algorithm);
        const answer = await work(second, 'respond', algorithm, { public: made.slice(0, length) });
        const own = answer.slice(0, answerLength(algorithm));
        assert.deepEqual(await work(first, 'derive', algorithm, { private: made.slice(length), public: own }), answer.slice(own.length));
      }
    });
  }

  it('what they lack is said: CCM, a short ICV, certificates, small points', async () => {
    assert.equal(crypto.transform({ cipher: 'aes-128-ccm', key: new Uint8Array(16), tagLength: 16 }), null);
    assert.equal(crypto.transform({ cipher: 'aes-128-gcm', key: new Uint8Array(16), tagLength: 8 }), null);
    assert.equal(crypto.exchanges('modp2048'), false);
    await assert.rejects(work(crypto, 'sign', 'ed25519', {}), /no certificates/);
    await assert.rejects(work(crypto, 'derive', 'x25519', { private: new Uint8Array(32).fill(8), public: new Uint8Array(32) }));
  });
});
