import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import type { AeadAlgorithm, Crypto, MacAlgorithm, TransformSpec } from '#src/hyper/crypto.js';
import { loadNative } from '#src/hyper/native.js';
import { nobleCrypto } from '#src/hyper/noble-crypto.js';
import { nodeCrypto } from '#src/hyper/node-crypto.js';
import { performNow } from '#src/hyper/public-key.js';
import { once } from '../support/crypto-batch.js';
import { octets } from '../support/octets.js';

/** Key, nonce, associated data, clear text, cipher text, tag; whether it is right. */
type Aead = [string, string, string, string, string, string, boolean];
/** Key, message, tag, perhaps cut short. */
type Mac = [string, string, string, boolean];
/** Secret, the peer's value, what they share. */
type Exchange = [string, string, string, boolean];

const file = readFileSync(new URL('../../../test/vectors/wycheproof.json', import.meta.url), 'utf8');
const vectors = JSON.parse(file) as Readonly<Record<string, unknown>>;
const noble = await nobleCrypto();
const hosts: readonly [string, Crypto][] = [
  ['the addon', nodeCrypto(loadNative())],
  ['node:crypto', nodeCrypto()],
  ['noble', noble],
];

describe('known answers and known attacks: Wycheproof', () => {
  for (const [by, crypto] of hosts) {
    for (const name of ['aes-gcm', 'aes-ccm', 'aes-gmac', 'chacha20-poly1305']) {
      if (by === 'noble' && name === 'aes-ccm') continue; // it has none
      it(`${name} by ${by}`, () => {
        for (const [i, [key, nonce, aad, clear, sealed, tag, right]] of (vectors[name] as Aead[]).entries()) {
          const k = octets(key);
          const cipher = (name.startsWith('aes') ? name.replace('aes', `aes-${k.length * 8}`) : name) as AeadAlgorithm;
          const spec: TransformSpec = { cipher, key: k, tagLength: tag.length / 2 };
          const job = { nonce: octets(nonce), aad: octets(aad) };
          const gmac = name === 'aes-gmac';
          const opened = once(crypto, spec, 'open', { ...job, data: octets(gmac ? clear : sealed), tag: octets(tag) });
          assert.equal(opened !== null, right, `case ${i}`);
          if (!right) continue;
          assert.deepEqual(opened?.subarray(0, clear.length / 2), octets(clear), `case ${i}`);
          assert.deepEqual(once(crypto, spec, 'seal', { ...job, data: octets(clear) }), octets((gmac ? clear : sealed) + tag), `case ${i}`);
        }
      });
    }

    for (const name of ['hmac-sha1', 'hmac-sha256', 'hmac-sha384', 'hmac-sha512', 'aes-cmac'] as MacAlgorithm[]) {
      it(`${name} by ${by}`, () => {
        for (const [i, [key, message, tag, right]] of (vectors[name] as Mac[]).entries()) {
          const made = crypto.mac(name, octets(key))?.compute([octets(message)]);
          assert.equal(
            Buffer.from(made ?? [])
              .toString('hex')
              .startsWith(tag),
            right,
            `case ${i}`,
          );
        }
      });
    }
  }

  for (const [by, request] of [
    ['node:crypto', performNow],
    ['noble', noble.request],
  ] as const) {
    for (const algorithm of by === 'noble' ? ['x25519', 'ecp256'] : ['x25519', 'ecp256', 'ecp384', 'ecp521']) {
      it(`${algorithm} by ${by}: no secret from points of small order, or off the curve`, async () => {
        for (const [i, [secret, value, shared, right]] of (vectors[algorithm] as Exchange[]).entries()) {
          const parameters = { private: octets(secret), public: octets(value) };
          const made = await new Promise<Uint8Array | null>((resolve) => request({ operation: 'derive', algorithm, parameters }, resolve));
          // Of a NIST curve x may be 0; of X25519 that is what points of small order give.
          const expected = right && (algorithm !== 'x25519' || !/^0*$/.test(shared)) ? octets(shared) : null;
          assert.deepEqual(made, expected, `case ${i}`);
        }
      });
    }
  }
});
