/**
 * Cryptography of a page: the @noble libraries, audited and plain JavaScript, since WebCrypto answers with promises only. They are loaded by the
 * call and by nothing else; whoever wants IPsec in a browser installs @noble/ciphers, @noble/curves and @noble/hashes.
 * No CCM, no ICV of an AEAD but 16 octets, no certificates: ESP, AH and IKE with shared keys.
 */
import { ConfigError } from '../base/errors.js';
import { blockMac } from './block-mac.js';
import type { Crypto, CryptoBatch, CryptoRequest, HashAlgorithm, MacAlgorithm, MacContext, Transform, TransformSpec } from './crypto.js';
import { nonceOf, rangesOf, type SoftTransform, softBatches } from './crypto-job.js';

/** Loads the libraries. Rejects where they are not installed. */
export async function nobleCrypto(): Promise<Crypto> {
  const [aes, chacha, { hmac }, { sha1 }, { sha256, sha384, sha512 }, { x25519 }, { p256, p384, p521 }] = await Promise.all([
    import('@noble/ciphers/aes.js'),
    import('@noble/ciphers/chacha.js'),
    import('@noble/hashes/hmac.js'),
    import('@noble/hashes/legacy.js'),
    import('@noble/hashes/sha2.js'),
    import('@noble/curves/ed25519.js'),
    import('@noble/curves/nist.js'),
  ]);
  const hashes = { sha1, sha256, sha384, sha512 };
  const curves: Readonly<Record<string, typeof p256>> = { ecp256: p256, ecp384: p384, ecp521: p521 };

  function mac(algorithm: MacAlgorithm, key: Uint8Array): MacContext | null {
    if (algorithm === 'aes-cmac' || algorithm === 'aes-xcbc') {
      const block = (k: Uint8Array, octets: Uint8Array): Uint8Array => aes.ecb(k, { disablePadding: true }).encrypt(octets);
      return key.length === 16 ? blockMac(algorithm, key, block) : null;
    }
    const held = key.slice();
    const hash = hashes[algorithm.slice('hmac-'.length) as HashAlgorithm];
    return {
      compute(data) {
        const state = hmac.create(hash, held);
        for (const part of data) state.update(part);
        return state.digest();
      },
      close: () => void held.fill(0),
    };
  }

  function transform(spec: TransformSpec): Transform | null {
    const { cipher, mac: name } = spec;
    const keyLength = cipher.startsWith('aes') ? Number(cipher.split('-')[1]) / 8 : cipher === 'null' ? 0 : 32;
    if (spec.key.length !== keyLength || cipher.endsWith('ccm')) return null;
    const key = spec.key.slice();
    const gmac = cipher.endsWith('gmac');
    if (gmac || cipher.endsWith('gcm') || cipher === 'chacha20-poly1305') {
      const make = cipher.startsWith('aes') ? aes.gcm : chacha.chacha20poly1305;
      return spec.tagLength !== 16 || name !== undefined ? null : new Aead((nonce, aad) => make(key, nonce, aad), key, gmac);
    }
    const check = name === undefined ? null : mac(name, spec.macKey ?? new Uint8Array());
    if (check === null) return null;
    const stream = cipher.endsWith('ctr');
    const make = (iv: Uint8Array) => (stream ? aes.ctr(key, iv) : aes.cbc(key, iv, { disablePadding: true }));
    return new EncryptThenMac(cipher === 'null' ? null : make, check, key, spec.tagLength);
  }

  /** A key pair: public value, secret. */
  function generate(algorithm: string): [Uint8Array, Uint8Array] {
    const curve = curves[algorithm];
    const secret = algorithm === 'x25519' ? x25519.utils.randomSecretKey() : curve?.utils.randomSecretKey();
    if (secret === undefined) throw new ConfigError(`no group '${algorithm}'`);
    // Without the leading octet 4 of an uncompressed point. RFC 5903 §7.
    return [curve === undefined ? x25519.getPublicKey(secret) : curve.getPublicKey(secret, false).slice(1), secret];
  }

  function derive(algorithm: string, secret: Uint8Array, value: Uint8Array): Uint8Array {
    const curve = curves[algorithm];
    // Of a curve the x coordinate; both throw for points that give no secret.
    return curve === undefined ? x25519.getSharedSecret(secret, value) : curve.getSharedSecret(secret, Uint8Array.of(4, ...value), true).slice(1);
  }

  function perform({ operation, algorithm, parameters }: CryptoRequest): Uint8Array {
    const [value, secret] = [parameters['public'] as Uint8Array, parameters['private'] as Uint8Array];
    switch (operation) {
      case 'generate':
        return join(...generate(algorithm));
      case 'respond': {
        const [own, made] = generate(algorithm);
        return join(own, derive(algorithm, made, value));
      }
      case 'derive':
        return derive(algorithm, secret, value);
      default:
        throw new ConfigError('this host has no certificates: shared keys only');
    }
  }

  return {
    transform,
    ...softBatches,
    mac,
    hash: (algorithm, data) => hashes[algorithm](data),
    exchanges: (algorithm) => algorithm === 'x25519' || curves[algorithm] !== undefined,
    request(work, done) {
      setTimeout(() => {
        let result: Uint8Array;
        try {
          result = perform(work);
        } catch (error) {
          done(null, (error as Error).message);
          return;
        }
        done(result);
      });
    },
  };
}

/** What all ciphers of the library look like. */
interface Cipher {
  encrypt(data: Uint8Array): Uint8Array;
  decrypt(data: Uint8Array): Uint8Array;
}

const NONCE_LEN = 12;
const BLOCK = 16;

class Aead implements SoftTransform {
  readonly id = -1;
  private readonly make: (nonce: Uint8Array, aad: Uint8Array) => Cipher;
  private readonly key: Uint8Array;
  /** GMAC: what would be encrypted is only authenticated. */
  private readonly clear: boolean;

  constructor(make: (nonce: Uint8Array, aad: Uint8Array) => Cipher, key: Uint8Array, clear: boolean) {
    this.make = make;
    this.key = key;
    this.clear = clear;
  }

  seal(batch: CryptoBatch, i: number): void {
    const { data, tag, aad } = rangesOf(batch, i, BLOCK);
    const nonce = nonceOf(batch, i, NONCE_LEN).slice();
    const sealed = this.clear ? this.make(nonce, join(aad, data)).encrypt(new Uint8Array()) : this.make(nonce, aad.slice()).encrypt(data.slice());
    if (!this.clear) data.set(sealed.subarray(0, data.length));
    tag.set(sealed.subarray(sealed.length - BLOCK));
  }

  open(batch: CryptoBatch, i: number): boolean {
    const { data, tag, aad } = rangesOf(batch, i, BLOCK);
    const nonce = nonceOf(batch, i, NONCE_LEN).slice();
    // A wrong tag is thrown.
    try {
      if (this.clear) this.make(nonce, join(aad, data)).decrypt(tag.slice());
      else data.set(this.make(nonce, aad.slice()).decrypt(join(data, tag)));
      return true;
    } catch {
      return false;
    }
  }

  close(): void {
    this.key.fill(0);
  }
}

/** A cipher or none, and a MAC over what it made. */
class EncryptThenMac implements SoftTransform {
  readonly id = -1;
  private readonly make: ((iv: Uint8Array) => Cipher) | null;
  private readonly mac: MacContext;
  private readonly key: Uint8Array;
  private readonly tagLength: number;

  constructor(make: ((iv: Uint8Array) => Cipher) | null, mac: MacContext, key: Uint8Array, tagLength: number) {
    this.make = make;
    this.mac = mac;
    this.key = key;
    this.tagLength = tagLength;
  }

  seal(batch: CryptoBatch, i: number): void {
    const { data, tag, aad, suffix } = rangesOf(batch, i, this.tagLength);
    if (this.make !== null) data.set(this.make(nonceOf(batch, i, BLOCK).slice()).encrypt(data.slice()));
    tag.set(this.mac.compute([aad, data, suffix]).subarray(0, this.tagLength));
  }

  open(batch: CryptoBatch, i: number): boolean {
    const { data, tag, aad, suffix } = rangesOf(batch, i, this.tagLength);
    const right = this.mac.compute([aad, data, suffix]);
    let wrong = 0; // no early exit: the time tells nothing
    for (let n = 0; n < this.tagLength; n++) wrong |= (right[n] as number) ^ (tag[n] as number);
    if (wrong !== 0) return false;
    if (this.make !== null) data.set(this.make(nonceOf(batch, i, BLOCK).slice()).decrypt(data.slice()));
    return true;
  }

  close(): void {
    this.key.fill(0);
    this.mac.close();
  }
}

function join(a: Uint8Array, b: Uint8Array): Uint8Array {
  const out = new Uint8Array(a.length + b.length);
  out.set(a);
  out.set(b, a.length);
  return out;
}
