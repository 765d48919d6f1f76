import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { Prng } from '#src/base/prng.js';
import type { CipherAlgorithm, MacAlgorithm, TransformSpec } from '#src/hyper/crypto.js';
import { loadNative } from '#src/hyper/native.js';
import { nobleCrypto } from '#src/hyper/noble-crypto.js';
import { nodeCrypto } from '#src/hyper/node-crypto.js';
import { once } from '../support/crypto-batch.js';
import { octets } from '../support/octets.js';
import { needs } from '../support/requirements.js';

const vectors = (name: string): unknown => JSON.parse(readFileSync(new URL(`../../../test/vectors/${name}.json`, import.meta.url), 'utf8'));
const toHex = (bytes: Uint8Array | null): string | null => (bytes === null ? null : Buffer.from(bytes).toString('hex'));

interface Kats {
  rfc3602_esp: { case: number; key: string; iv: string; pt: string; ct: string }[];
  rfc3686: { key: string; nonce: string; iv: string; pt: string; ct: string }[];
  rfc7634_A: { keymat: string; nonce: string; aad: string; pt: string; ct: string; tag: string };
  rfc4868_auth: { alg: string; key: string; data: string; icv: string }[];
}

const noble = await nobleCrypto();

for (const name of ['addon', 'node:crypto', 'noble'] as const) {
  describe(`cryptography by ${name}: known answers`, () => {
    const crypto = name === 'noble' ? noble : nodeCrypto(name === 'addon' ? loadNative() : null);
    const kats = vectors('rfc-esp-kats') as Kats;
    before(function () {
      if (name === 'addon') needs(this, 'addon');
    });

    it('AES-GCM in ESP (RFC 4106), draft-mcgrew-gcm-test-01', () => {
      const { cases } = vectors('gcm-esp-mcgrew') as { cases: [string, string, string, string, string, string][] };
      for (const [key, nonce, aad, plain, sealed, tag] of cases) {
        const k = octets(key);
        const spec: TransformSpec = { cipher: `aes-${(k.length * 8) as 128 | 192 | 256}-gcm`, key: k, tagLength: 16 };
        const job = { nonce: octets(nonce), aad: octets(aad), data: octets(plain) };
        assert.equal(toHex(once(crypto, spec, 'seal', job)), sealed + tag);
        const opened = once(crypto, spec, 'open', { ...job, data: octets(sealed), tag: octets(tag) });
        assert.equal(toHex(opened?.subarray(0, plain.length / 2) ?? null), plain);
      }
    });

    it('AES-GMAC in ESP (RFC 4543): the IV and the payload are authenticated and not encrypted', () => {
      const v = vectors('gmac-esp') as Record<'key' | 'salt' | 'iv' | 'aad_spi_seq' | 'payload' | 'icv', string>;
      const spec: TransformSpec = { cipher: 'aes-128-gmac', key: octets(v.key), tagLength: 16 };
      const job = { nonce: octets(v.salt + v.iv), aad: octets(v.aad_spi_seq + v.iv), data: octets(v.payload) };
      assert.equal(toHex(once(crypto, spec, 'seal', job)), v.payload + v.icv);
      assert.notEqual(once(crypto, spec, 'open', { ...job, tag: octets(v.icv) }), null);
    });

    it('ChaCha20-Poly1305 in ESP: RFC 7634 appendix A', () => {
      const v = kats.rfc7634_A;
      const spec: TransformSpec = { cipher: 'chacha20-poly1305', key: octets(v.keymat).subarray(0, 32), tagLength: 16 };
      assert.equal(toHex(once(crypto, spec, 'seal', { nonce: octets(v.nonce), aad: octets(v.aad), data: octets(v.pt) })), v.ct + v.tag);
    });

    it('AES-CBC: RFC 3602 §4', () => {
      for (const v of kats.rfc3602_esp) {
        const spec: TransformSpec = { cipher: 'aes-128-cbc', key: octets(v.key), mac: 'hmac-sha256', macKey: new Uint8Array(32), tagLength: 16 };
        const sealed = once(crypto, spec, 'seal', { nonce: octets(v.iv), data: octets(v.pt) });
        assert.equal(toHex(sealed?.subarray(0, -16) ?? null), v.ct, `case ${v.case}`);
      }
    });

    it('AES-CTR: RFC 3686 §6', () => {
      for (const v of kats.rfc3686) {
        const key = octets(v.key);
        const cipher = `aes-${key.length * 8}-ctr` as CipherAlgorithm;
        const spec: TransformSpec = { cipher, key, mac: 'hmac-sha256', macKey: new Uint8Array(32), tagLength: 16 };
        const sealed = once(crypto, spec, 'seal', { nonce: octets(`${v.nonce}${v.iv}00000001`), data: octets(v.pt) });
        assert.equal(toHex(sealed?.subarray(0, -16) ?? null), v.ct);
      }
    });

    it('HMAC-SHA2 truncated to half: RFC 4868 §2.7', () => {
      for (const v of kats.rfc4868_auth) {
        const spec: TransformSpec = {
          cipher: 'null',
          key: new Uint8Array(),
          mac: `hmac-${v.alg}` as MacAlgorithm,
          macKey: octets(v.key),
          tagLength: v.icv.length / 2,
        };
        // In three parts: the tag is over them as one.
        const data = octets(v.data);
        const job = { nonce: new Uint8Array(16), aad: data.subarray(0, 3), data: data.subarray(3, -2), suffix: data.subarray(-2) };
        assert.equal(toHex(once(crypto, spec, 'seal', job)?.subarray(job.data.length) ?? null), v.icv);
      }
    });

    it('AES-XCBC-MAC: RFC 3566 §4.6, in parts of any length', () => {
      const key = octets('000102030405060708090a0b0c0d0e0f');
      const answers: [number, string][] = [
        [0, '75f0251d528ac01c4573dfd584d79f29'],
        [3, '5b376580ae2f19afe7219ceef172756f'],
        [16, 'd2a246fa349b68a79998a4394ff7a263'],
        [20, '47f51b4564966215b8985c63055ed308'],
        [32, 'f54f0ec8d2b9f3d36807734bd5283fd4'],
        [34, 'becbb3bccdb518a30677d5481fb6b4d8'],
      ];
      for (const [length, answer] of answers) {
        const message = Uint8Array.from({ length }, (_, i) => i);
        for (const cut of new Set([0, length >> 1, length])) {
          const spec: TransformSpec = { cipher: 'null', key: new Uint8Array(), mac: 'aes-xcbc', macKey: key, tagLength: 16 };
          const job = { nonce: new Uint8Array(16), aad: message.subarray(0, cut), data: message.subarray(cut) };
          assert.equal(toHex(once(crypto, spec, 'seal', job)?.subarray(job.data.length) ?? null), answer, `${length} octets, cut at ${cut}`);
        }
      }
    });

    it('lengths that are not the algorithm’s are refused', () => {
      assert.equal(crypto.transform({ cipher: 'aes-128-gcm', key: new Uint8Array(17), tagLength: 16 }), null);
      assert.equal(crypto.transform({ cipher: 'aes-128-cbc', key: new Uint8Array(16), tagLength: 16 }), null, 'a cipher without MAC');
      const both: TransformSpec = { cipher: 'aes-128-gcm', key: new Uint8Array(16), mac: 'hmac-sha256', macKey: new Uint8Array(32), tagLength: 16 };
      assert.equal(crypto.transform(both), null, 'an AEAD with one');
    });
  });
}

describe('addon and node:crypto', () => {
  before(function () {
    needs(this, 'addon');
  });

  it('agree on 2,000 random jobs, and neither opens what was changed in any octet', () => {
    const prng = new Prng(7);
    const random = (n: number): Uint8Array => Uint8Array.from({ length: n }, () => prng.below(256));
    const [fast, slow] = [nodeCrypto(loadNative()), nodeCrypto()];
    const ciphers = ['aes-128-gcm', 'aes-256-gcm', 'chacha20-poly1305', 'aes-128-ccm', 'aes-192-gmac', 'aes-128-cbc', 'aes-256-ctr', 'null'] as const;
    const macs = ['hmac-sha1', 'hmac-sha256', 'hmac-sha384', 'hmac-sha512', 'aes-xcbc'] as const;
    for (let i = 0; i < 2_000; i++) {
      const cipher = ciphers[i % ciphers.length] as (typeof ciphers)[number];
      const separate = cipher === 'null' || cipher.endsWith('cbc') || cipher.endsWith('ctr');
      const mac = macs[prng.below(macs.length)] as (typeof macs)[number];
      const bits = /\d{3}/.exec(cipher)?.[0];
      const key = random(cipher === 'null' ? 0 : bits === undefined || cipher.startsWith('chacha') ? 32 : Number(bits) / 8);
      const base = { cipher, key, tagLength: separate ? 12 : 16 } as const;
      const spec: TransformSpec = separate ? { ...base, mac, macKey: random(mac === 'aes-xcbc' ? 16 : 20 + prng.below(40)) } : base;
      const length = cipher.endsWith('cbc') ? 16 * (1 + prng.below(20)) : 1 + prng.below(400);
      const job = {
        nonce: random(16),
        aad: random(8 + prng.below(30)),
        suffix: separate ? random(prng.below(2) * 4) : new Uint8Array(),
        data: random(length),
      };
      const sealed = once(fast, spec, 'seal', job) as Uint8Array;
      assert.deepEqual(sealed, once(slow, spec, 'seal', job), cipher);
      const back = { ...job, data: sealed.slice(0, length), tag: sealed.slice(length) };
      assert.deepEqual(once(fast, spec, 'open', back)?.subarray(0, length), job.data);
      assert.deepEqual(once(slow, spec, 'open', back)?.subarray(0, length), job.data);
      const at = prng.below(sealed.length);
      const changed = sealed.slice();
      changed[at] = (changed[at] as number) ^ (1 << prng.below(8));
      const forged = { ...job, data: changed.slice(0, length), tag: changed.slice(length) };
      assert.equal(once(fast, spec, 'open', forged), null);
      assert.equal(once(slow, spec, 'open', forged), null);
    }
  });
});
