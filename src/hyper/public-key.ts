/**
 * Slow public-key work by node:crypto, one request per turn of the loop. Algorithms and parameters:
 *
 * - generate, derive: 'x25519', 'x448', 'ecp256', 'ecp384', 'ecp521', 'modp1024' … 'modp8192' (RFC 3526, 5903, 8031).
 *   generate gives the public value as IKE sends it, then the private key; `publicLength` says where one ends.
 *   derive takes `private` and `public` (the peer's) and gives the shared secret: of curves the x coordinate, of MODP groups padded to the group's length.
 * - sign: 'rsa-sha1', 'rsa-sha256' (…384, 512), 'rsa-pss-sha256' (…), 'ecdsa-sha256' (…), 'ed25519', 'ed448'; `key` (PKCS#8 as PEM or DER) and `data`.
 *   ECDSA signatures are DER (RFC 7427).
 * - validate: 'x509', see validate below.
 * - verify: the same with `key` (a certificate as PEM or DER, or SPKI), `data`, `signature`; gives one octet, 1 when it holds.
 */
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
const MONTGOMERY: Readonly<Record<string, { crv: string; octets: number }>> = {
  x25519: { crv: 'X25519', octets: 32 },
  x448: { crv: 'X448', octets: 56 },
};

/** Certificates between the peer's and an anchor. */
const CHAIN_MAX = 8;

/**
 * Does `certificate` lead by `intermediate0`… to one of `anchor0`…, all valid at `seconds` since the epoch, and does it name `identity`?
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
  const named = leaf.checkHost(identity, { subject: 'never' }) ?? leaf.checkEmail(identity, { subject: 'never' }) ?? leaf.checkIP(identity);
  if (named === undefined) throw new ConfigError(`the certificate of ${leaf.subject} does not name ${identity}`);
  return Uint8Array.of(1);
}

const issued = (by: X509Certificate, certificate: X509Certificate): boolean =>
  by.ca && certificate.checkIssued(by) && certificate.verify(by.publicKey);

/** Octets of a group's public value; 0 for none that we know. */
export function publicLength(algorithm: string): number {
  return (CURVES[algorithm] ?? MODP[algorithm] ?? MONTGOMERY[algorithm])?.octets ?? 0;
}

/** Crypto.request of Node. Answers in a later turn, always. */
export const publicKeyWork: Crypto['request'] = (work, done) => {
  setImmediate(() => performNow(work, done));
};

/** The same in the caller's turn: for the simulator, whose time does not wait for the loop. */
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
  if (montgomery === undefined) throw new ConfigError(`no group '${algorithm}'`);
  const pair = montgomery.crv === 'X25519' ? generateKeyPairSync('x25519') : generateKeyPairSync('x448');
  const { x, d } = pair.privateKey.export({ format: 'jwk' });
  return Buffer.concat([Buffer.from(x as string, 'base64url'), Buffer.from(d as string, 'base64url')]);
}

function derive(algorithm: string, own: Uint8Array, peer: Uint8Array): Uint8Array {
  if (peer.length !== publicLength(algorithm)) throw new ConfigError(`a public value of ${algorithm} has ${publicLength(algorithm)} octets`);
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
  const { crv } = MONTGOMERY[algorithm] as { crv: string };
  const x = Buffer.from(peer).toString('base64url');
  const publicHalf = createPublicKey({ key: { kty: 'OKP', crv, x }, format: 'jwk' });
  const privateHalf = createPrivateKey({ key: { kty: 'OKP', crv, x: '', d: Buffer.from(own).toString('base64url') }, format: 'jwk' });
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
