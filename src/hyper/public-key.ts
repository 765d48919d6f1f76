/**
 * Slow public-key work by node:crypto, in the caller's turn: public-key-thread.ts has it done elsewhere. Algorithms and parameters:
 *
 * - generate, respond, derive: 'x25519', 'x448', 'ecp256', 'ecp384', 'ecp521', 'modp1024' … 'modp8192' (RFC 3526, 5903, 8031), and where OpenSSL has
 *   them 'ml-kem-512' … 'ml-kem-1024'. generate gives the public value as IKE sends it, then what derive needs; `publicLength` says where one ends.
 *   respond takes `public` (the peer's) and gives our own value, of `answerLength`, then the shared secret.
 *   derive takes `private` and `public` and gives the shared secret: of curves the x coordinate, of MODP groups padded to the group's length.
 * - sign: 'rsa-sha1', 'rsa-sha256' (…384, 512), 'rsa-pss-sha256' (…), 'ecdsa-sha256' (…), 'ed25519', 'ed448'; `key` (PKCS#8 as PEM or DER) and `data`.
 *   ECDSA signatures are DER (RFC 7427).
 * - validate: 'x509', see validate below.
 * - verify: the same with `key` (a certificate as PEM or DER, or SPKI), `data`, `signature`; gives one octet, 1 when it holds.
 */

import * as nodeCrypto from 'node:crypto';
import {
  constants,
  createDiffieHellman,
  createDiffieHellmanGroup,
  createECDH,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
  type SignKeyObjectInput,
  sign,
  verify,
  X509Certificate,
} from 'node:crypto';
import { ConfigError } from '../base/errors.js';
import type { Crypto, CryptoRequest } from './crypto.js';

const CURVES: Readonly<Record<string, { name: string; octets: number }>> = {
  ecp256: { name: 'prime256v1', octets: 64 },
  ecp384: { name: 'secp384r1', octets: 96 },
  ecp521: { name: 'secp521r1', octets: 132 },
};
const MODP: Readonly<Record<string, { name: string; octets: number }>> = {
  modp1024: { name: 'modp2', octets: 128 },
  modp1536: { name: 'modp5', octets: 192 },
  modp2048: { name: 'modp14', octets: 256 },
  modp3072: { name: 'modp15', octets: 384 },
  modp4096: { name: 'modp16', octets: 512 },
  modp6144: { name: 'modp17', octets: 768 },
  modp8192: { name: 'modp18', octets: 1_024 },
};
/** With what stands before the key itself in PKCS#8 and SPKI, RFC 8410 §4, §7: a tenth of the time that JWK takes. */
const MONTGOMERY: Readonly<Record<string, { octets: number; pkcs8: Buffer; spki: Buffer }>> = {
  x25519: { octets: 32, pkcs8: Buffer.from('302e020100300506032b656e04220420', 'hex'), spki: Buffer.from('302a300506032b656e032100', 'hex') },
  x448: { octets: 56, pkcs8: Buffer.from('3046020100300506032b656f043a0438', 'hex'), spki: Buffer.from('3042300506032b656f033900', 'hex') },
};
/** Octets of the encapsulation key and of what comes back: FIPS 203 §8, table 3. */
const KEMS: Readonly<Record<string, { octets: number; answer: number }>> = {
  'ml-kem-512': { octets: 800, answer: 768 },
  'ml-kem-768': { octets: 1_184, answer: 1_088 },
  'ml-kem-1024': { octets: 1_568, answer: 1_568 },
};
/** An SPKI of ML-KEM up to the key: two lengths of two octets each make it one size for all three. RFC 9935 §4. */
const KEM_SPKI_HEAD = 22;

/** A key pair of a curve, or of a KEM that Node's types do not know yet. */
const pairOf = (algorithm: string): { publicKey: Buffer; privateKey: Buffer } =>
  generateKeyPairSync(algorithm as 'ed448', {
    publicKeyEncoding: { type: 'spki', format: 'der' },
    privateKeyEncoding: { type: 'pkcs8', format: 'der' },
  });

/** What Node has from 24 on. */
interface Encapsulation {
  encapsulate(key: KeyObject): { sharedKey: Uint8Array; ciphertext: Uint8Array };
  decapsulate(key: KeyObject, ciphertext: Uint8Array): Uint8Array;
}
const kem = nodeCrypto as unknown as Partial<Encapsulation>;

/** Certificates between the peer's and an anchor. */
const CHAIN_MAX = 8;

/**
 * Does `certificate` lead by `intermediate0`… to one of `anchor0`…, all valid at `seconds` since the epoch, and does it name `identity`, unless that is empty?
 * Signatures, validity, basic constraints and the names of RFC 4945 §3.1; revocation is not looked up.
 */
function validate(work: CryptoRequest): Uint8Array {
  const of = (prefix: string): X509Certificate[] =>
    Object.keys(work.parameters)
      .filter((key) => key.startsWith(prefix))
      .map((key) => new X509Certificate(octets(work, key)));
  const leaf = new X509Certificate(octets(work, 'certificate'));
  const anchors = of('anchor');
  const between = of('intermediate');
  const at = Number(work.parameters['seconds']) * 1_000;
  let current = leaf;
  for (let depth = 0; ; depth++) {
    if (at < Date.parse(current.validFrom) || at > Date.parse(current.validTo))
      throw new ConfigError(`the certificate of ${current.subject} is not valid now`);
    if (anchors.some((a) => a.raw.equals(current.raw) || (issued(a, current) && at >= Date.parse(a.validFrom) && at <= Date.parse(a.validTo)))) break;
    const next = between.find((c) => issued(c, current));
    if (next === undefined || depth === CHAIN_MAX) throw new ConfigError(`the certificate of ${leaf.subject} leads to no authority of ours`);
    current = next;
  }
  const identity = String(work.parameters['identity']);
  if (identity === '') return Uint8Array.of(1);
  const named = leaf.checkHost(identity, { subject: 'never' }) ?? leaf.checkEmail(identity, { subject: 'never' }) ?? leaf.checkIP(identity);
  if (named === undefined) throw new ConfigError(`the certificate of ${leaf.subject} does not name ${identity}`);
  return Uint8Array.of(1);
}

const issued = (by: X509Certificate, certificate: X509Certificate): boolean =>
  by.ca && certificate.checkIssued(by) && certificate.verify(by.publicKey);

/** Octets of a group's public value; 0 for none that we know. */
export function publicLength(algorithm: string): number {
  return (CURVES[algorithm] ?? MODP[algorithm] ?? MONTGOMERY[algorithm] ?? KEMS[algorithm])?.octets ?? 0;
}

/** Octets of what goes back: of a KEM another length. */
export const answerLength = (algorithm: string): number => KEMS[algorithm]?.answer ?? publicLength(algorithm);

/** Does OpenSSL have the key exchange? */
export const exchangeKnown = (algorithm: string): boolean =>
  publicLength(algorithm) > 0 && (KEMS[algorithm] === undefined || kem.encapsulate !== undefined);

/** Crypto.request in the caller's turn: for the simulator, whose time does not wait for the loop, and for the thread. */
export const performNow: Crypto['request'] = (work, done) => {
  let result: Uint8Array;
  try {
    result = new Uint8Array(perform(work));
  } catch (error) {
    done(null, (error as Error).message);
    return;
  }
  done(result);
};

function perform(work: CryptoRequest): Uint8Array {
  switch (work.operation) {
    case 'generate':
      return generate(work.algorithm);
    case 'respond':
      return respond(work.algorithm, octets(work, 'public'));
    case 'derive':
      return derive(work.algorithm, octets(work, 'private'), octets(work, 'public'));
    case 'validate':
      return validate(work);
    case 'sign':
      return sign(digestOf(work.algorithm), octets(work, 'data'), keyOf(work.algorithm, privateKey(work.parameters['key'])));
    case 'verify': {
      const key = keyOf(work.algorithm, publicKey(work.parameters['key']));
      return Uint8Array.of(verify(digestOf(work.algorithm), octets(work, 'data'), key, octets(work, 'signature')) ? 1 : 0);
    }
  }
}

function octets(work: CryptoRequest, name: string): Uint8Array {
  const value = work.parameters[name];
  if (!(value instanceof Uint8Array)) throw new ConfigError(`${work.operation} ${work.algorithm}: '${name}' is missing`);
  return value;
}

function generate(algorithm: string): Uint8Array {
  const curve = CURVES[algorithm];
  if (curve !== undefined) {
    const ecdh = createECDH(curve.name);
    // Without the leading octet 4 of an uncompressed point. RFC 5903 §7.
    return Buffer.concat([ecdh.generateKeys().subarray(1), ecdh.getPrivateKey()]);
  }
  const modp = MODP[algorithm];
  if (modp !== undefined) {
    const group = createDiffieHellmanGroup(modp.name);
    return Buffer.concat([leftPad(group.generateKeys(), modp.octets), group.getPrivateKey()]);
  }
  const montgomery = MONTGOMERY[algorithm];
  if (montgomery !== undefined) {
    const pair = pairOf(algorithm);
    return Buffer.concat([pair.publicKey.subarray(-montgomery.octets), pair.privateKey.subarray(-montgomery.octets)]);
  }
  if (!exchangeKnown(algorithm)) throw new ConfigError(`no group '${algorithm}'`);
  const pair = pairOf(algorithm);
  return Buffer.concat([pair.publicKey.subarray(KEM_SPKI_HEAD), pair.privateKey]);
}

/** Our value and the secret shared with the peer's: of a KEM both are made by encapsulation. */
function respond(algorithm: string, peer: Uint8Array): Uint8Array {
  if (KEMS[algorithm] === undefined) {
    const pair = generate(algorithm);
    const length = publicLength(algorithm);
    const shared = derive(algorithm, pair.subarray(length), peer);
    return Buffer.concat([pair.subarray(0, length), shared]);
  }
  if (!exchangeKnown(algorithm) || peer.length !== publicLength(algorithm)) throw new ConfigError(`no key of ${algorithm}`);
  // What stands before the key tells the parameters: taken from a key of our own.
  const head = pairOf(algorithm).publicKey.subarray(0, KEM_SPKI_HEAD);
  const key = createPublicKey({ key: Buffer.concat([head, peer]), format: 'der', type: 'spki' });
  const { sharedKey, ciphertext } = (kem as Encapsulation).encapsulate(key);
  return Buffer.concat([ciphertext, sharedKey]);
}

function derive(algorithm: string, own: Uint8Array, peer: Uint8Array): Uint8Array {
  if (peer.length !== answerLength(algorithm)) throw new ConfigError(`a public value of ${algorithm} has ${answerLength(algorithm)} octets`);
  const curve = CURVES[algorithm];
  if (curve !== undefined) {
    const ecdh = createECDH(curve.name);
    ecdh.setPrivateKey(own);
    return ecdh.computeSecret(Buffer.concat([Uint8Array.of(4), peer]));
  }
  const modp = MODP[algorithm];
  if (modp !== undefined) {
    // A named group takes no private key of ours; a plain one over the same prime does.
    const group = createDiffieHellmanGroup(modp.name);
    const plain = createDiffieHellman(group.getPrime(), group.getGenerator());
    plain.setPrivateKey(own);
    return leftPad(plain.computeSecret(peer), modp.octets);
  }
  const montgomery = MONTGOMERY[algorithm];
  if (montgomery === undefined)
    return (kem as Encapsulation).decapsulate(createPrivateKey({ key: Buffer.from(own), format: 'der', type: 'pkcs8' }), peer);
  const publicHalf = createPublicKey({ key: Buffer.concat([montgomery.spki, peer]), format: 'der', type: 'spki' });
  const privateHalf = createPrivateKey({ key: Buffer.concat([montgomery.pkcs8, own]), format: 'der', type: 'pkcs8' });
  const secret = diffieHellman({ privateKey: privateHalf, publicKey: publicHalf });
  if (secret.every((octet) => octet === 0)) throw new ConfigError('the public value is a point of small order'); // RFC 8031 §2.3
  return secret;
}

/** Both sides of a secret have the group's length, leading zeros included. RFC 7296 §2.14. */
function leftPad(value: Uint8Array, octets: number): Uint8Array {
  const out = new Uint8Array(octets);
  out.set(value, octets - value.length);
  return out;
}

/** 'rsa-pss-sha384' → 'sha384'; null for the Edwards curves, which bring their own. */
function digestOf(algorithm: string): string | null {
  const [, family, digest] = /^(rsa|rsa-pss|ecdsa|ed25519|ed448)(?:-(sha1|sha256|sha384|sha512))?$/.exec(algorithm) ?? [];
  if (family === undefined || family.startsWith('ed') === (digest !== undefined)) throw new ConfigError(`no signature scheme '${algorithm}'`);
  return digest ?? null;
}

/** The key must be of the scheme's kind: an RSA key offered for 'ecdsa' is refused, not used. */
function keyOf(algorithm: string, key: KeyObject): SignKeyObjectInput {
  const kind = algorithm.startsWith('rsa') ? 'rsa' : algorithm.startsWith('ecdsa') ? 'ec' : algorithm;
  if (key.asymmetricKeyType !== kind) throw new ConfigError(`a key of kind ${key.asymmetricKeyType} for ${algorithm}`);
  if (!algorithm.startsWith('rsa-pss')) return { key };
  return { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST };
}

function privateKey(value: Uint8Array | string | undefined): KeyObject {
  if (value === undefined) throw new ConfigError("sign: 'key' is missing");
  return typeof value === 'string' ? createPrivateKey(value) : createPrivateKey({ key: Buffer.from(value), format: 'der', type: 'pkcs8' });
}

/** A certificate's key, or a bare one. */
function publicKey(value: Uint8Array | string | undefined): KeyObject {
  if (value === undefined) throw new ConfigError("verify: 'key' is missing");
  if (typeof value === 'string') return createPublicKey(value);
  try {
    return new X509Certificate(value).publicKey;
  } catch {
    return createPublicKey({ key: Buffer.from(value), format: 'der', type: 'spki' });
  }
}
