/** Key derivation: RFC 7296 §2.13, §2.14, §2.17, §2.18. */
import type { Crypto } from '../../../hyper/crypto.js';
import { join } from '../../../wire/ike-payload.js';
import { keyMaterial, type Suite } from '../algorithms.js';
import type { IkeSuite, Prf } from './proposal.js';

/** The keys of an IKE SA. `ei`, `er`: cipher key and salt, then integrity key, as keyMaterial says. */
export interface IkeKeys {
  readonly d: Uint8Array;
  readonly ei: Uint8Array;
  readonly er: Uint8Array;
  readonly pi: Uint8Array;
  readonly pr: Uint8Array;
}

/** prf(key, data). The host has the PRF: it was asked when the proposal was chosen. */
export function prf(crypto: Crypto, algorithm: Prf, key: Uint8Array, ...data: readonly Uint8Array[]): Uint8Array {
  const mac = crypto.mac(algorithm.mac, key);
  if (mac === null) return new Uint8Array();
  const out = mac.compute(data);
  mac.close();
  return out;
}

/** prf+ of RFC 7296 §2.13. */
export function prfPlus(crypto: Crypto, algorithm: Prf, key: Uint8Array, seed: Uint8Array, octets: number): Uint8Array {
  const out = new Uint8Array(octets);
  let block = new Uint8Array();
  for (let at = 0, n = 1; at < octets; n++) {
    block = new Uint8Array(prf(crypto, algorithm, key, block, seed, Uint8Array.of(n)));
    out.set(block.subarray(0, octets - at), at);
    at += block.length;
  }
  return out;
}

/** SKEYSEED of a new IKE SA, RFC 7296 §2.14. */
export const firstSeed = (crypto: Crypto, algorithm: Prf, nonceI: Uint8Array, nonceR: Uint8Array, secret: Uint8Array): Uint8Array =>
  prf(crypto, algorithm, join(nonceI, nonceR), secret);

/** SKEYSEED of a rekeyed one, by the old PRF: RFC 7296 §2.18. */
export const nextSeed = (crypto: Crypto, old: Prf, d: Uint8Array, secret: Uint8Array, nonceI: Uint8Array, nonceR: Uint8Array): Uint8Array =>
  prf(crypto, old, d, secret, nonceI, nonceR);

/** The seven keys, in the order of RFC 7296 §2.14. */
export function ikeKeys(
  crypto: Crypto,
  suite: IkeSuite,
  seed: Uint8Array,
  nonceI: Uint8Array,
  nonceR: Uint8Array,
  spiI: Uint8Array,
  spiR: Uint8Array,
): IkeKeys {
  const { cipher, integrity } = suite.suite;
  const p = suite.prf.length;
  const a = integrity?.keyLength ?? 0;
  const e = (cipher?.keyLength ?? 0) + (cipher?.saltLength ?? 0);
  const all = prfPlus(crypto, suite.prf, seed, join(nonceI, nonceR, spiI, spiR), 3 * p + 2 * a + 2 * e);
  let at = 0;
  const take = (octets: number): Uint8Array => all.slice(at, (at += octets));
  // In this order: SK_d, SK_ai, SK_ar, SK_ei, SK_er, SK_pi, SK_pr.
  const d = take(p);
  const [ai, ar, ei, er] = [take(a), take(a), take(e), take(e)];
  const keys = { d, ei: join(ei, ai), er: join(er, ar), pi: take(p), pr: take(p) };
  all.fill(0);
  return keys;
}

/** KEYMAT of a child: the initiator's direction first. `secret` is empty without a key exchange of its own. RFC 7296 §2.17. */
export function childKeys(
  crypto: Crypto,
  algorithm: Prf,
  d: Uint8Array,
  suite: Suite,
  secret: Uint8Array,
  nonceI: Uint8Array,
  nonceR: Uint8Array,
): [Uint8Array, Uint8Array] {
  const octets = keyMaterial(suite);
  const all = prfPlus(crypto, algorithm, d, join(secret, nonceI, nonceR), 2 * octets);
  return [all.subarray(0, octets), all.subarray(octets)];
}

/** They are of no use afterwards. */
export function zeroKeys(keys: IkeKeys): void {
  for (const key of [keys.d, keys.ei, keys.er, keys.pi, keys.pr]) key.fill(0);
}
