/**
 * The algorithms of ESP and AH by the requirements of RFC 8221, under the names swanctl gives them: 'aes128gcm16', 'aes256-sha256'.
 * What it marks MUST NOT is refused by name, so that nobody gets it by leaving something out.
 */
import { ConfigError } from '../../base/errors.js';
import type { MacAlgorithm, TransformSpec } from '../../hyper/crypto.js';

/** How an IV becomes the cipher's nonce. */
export const NonceKind = {
  /** The IV itself: CBC. */
  Iv: 0,
  /** Salt and IV: RFC 4106 §4, 4309 §4, 7634 §2. */
  Salted: 1,
  /** Salt, IV and a block counter of 1: RFC 3686 §4. */
  Counter: 2,
} as const;

/** An encryption algorithm. `encr` is its number in IKE (IANA "Transform Type 1"). */
export interface Cipher {
  readonly name: string;
  readonly encr: number;
  readonly cipher: TransformSpec['cipher'];
  /** Octets, salt not counted. */
  readonly keyLength: number;
  readonly saltLength: number;
  /** Octets of IV in the packet; 0 where it is implied (RFC 8750). */
  readonly ivLength: number;
  readonly nonce: number;
  /** Octets the encrypted part is a multiple of. */
  readonly block: number;
  /** Octets of the ICV of an AEAD; 0 for a cipher that needs a MAC. */
  readonly icvLength: number;
  /** It authenticates and does not encrypt. */
  readonly clear: boolean;
}

/** An integrity algorithm. `auth` is its number in IKE (IANA "Transform Type 3"). */
export interface Integrity {
  readonly name: string;
  readonly auth: number;
  readonly mac: MacAlgorithm;
  readonly keyLength: number;
  readonly icvLength: number;
}

/** What protects the packets of one SA. `cipher` is null in AH. */
export interface Suite {
  readonly name: string;
  readonly cipher: Cipher | null;
  /** Null with an AEAD. */
  readonly integrity: Integrity | null;
}

const aead = (
  name: string,
  encr: number,
  cipher: TransformSpec['cipher'],
  bits: number,
  saltLength: number,
  icvLength: number,
  ivLength = 8,
): Cipher => ({
  name,
  encr,
  cipher,
  keyLength: bits / 8,
  saltLength,
  ivLength,
  nonce: NonceKind.Salted,
  block: 4,
  icvLength,
  clear: name.endsWith('gmac'),
});

const plain = (
  name: string,
  encr: number,
  cipher: TransformSpec['cipher'],
  bits: number,
  saltLength: number,
  ivLength: number,
  nonce: number,
  block: number,
): Cipher => ({
  name,
  encr,
  cipher,
  keyLength: bits / 8,
  saltLength,
  ivLength,
  nonce,
  block,
  icvLength: 0,
  clear: name === 'null',
});

/** Transform Type 1 numbers that name three key lengths. */
function sizes(bits: 128 | 192 | 256): Cipher[] {
  return [
    aead(`aes${bits}gcm16`, 20, `aes-${bits}-gcm`, bits, 4, 16),
    aead(`aes${bits}gcm12`, 19, `aes-${bits}-gcm`, bits, 4, 12),
    aead(`aes${bits}gcm8`, 18, `aes-${bits}-gcm`, bits, 4, 8),
    aead(`aes${bits}ccm16`, 16, `aes-${bits}-ccm`, bits, 3, 16),
    aead(`aes${bits}ccm12`, 15, `aes-${bits}-ccm`, bits, 3, 12),
    aead(`aes${bits}ccm8`, 14, `aes-${bits}-ccm`, bits, 3, 8),
    aead(`aes${bits}gmac`, 21, `aes-${bits}-gmac`, bits, 4, 16),
    aead(`aes${bits}gcm16iiv`, 30, `aes-${bits}-gcm`, bits, 4, 16, 0),
    aead(`aes${bits}ccm8iiv`, 29, `aes-${bits}-ccm`, bits, 3, 8, 0),
    plain(`aes${bits}`, 12, `aes-${bits}-cbc`, bits, 0, 16, NonceKind.Iv, 16),
    plain(`aes${bits}ctr`, 13, `aes-${bits}-ctr`, bits, 4, 8, NonceKind.Counter, 4),
  ];
}

/** All ciphers by name. */
export const ciphers: ReadonlyMap<string, Cipher> = new Map(
  [
    ...sizes(128),
    ...sizes(192),
    ...sizes(256),
    aead('chacha20poly1305', 28, 'chacha20-poly1305', 256, 4, 16),
    aead('chacha20poly1305iiv', 31, 'chacha20-poly1305', 256, 4, 16, 0),
    plain('null', 11, 'null', 0, 0, 0, NonceKind.Iv, 4),
  ].map((c) => [c.name, c]),
);

const integrity = (name: string, auth: number, mac: MacAlgorithm, keyLength: number, icvLength: number): [string, Integrity] => [
  name,
  { name, auth, mac, keyLength, icvLength },
];

/** All integrity algorithms by name: RFC 2404, 4868 §2.1, 3566. */
export const integrities: ReadonlyMap<string, Integrity> = new Map([
  integrity('sha256', 12, 'hmac-sha256', 32, 16),
  integrity('sha384', 13, 'hmac-sha384', 48, 24),
  integrity('sha512', 14, 'hmac-sha512', 64, 32),
  integrity('sha1', 2, 'hmac-sha1', 20, 12),
  integrity('aesxcbc', 5, 'aes-xcbc', 16, 12),
]);

/** RFC 8221 §5, §6; RFC 8247 §2.1, §2.3. */
const refused: Readonly<Record<string, string>> = {
  des: 'DES is MUST NOT (RFC 8221 §5)',
  '3des': 'Triple DES is SHOULD NOT (RFC 8221 §5): birthday attacks on 64-bit blocks',
  blowfish: 'Blowfish is MUST NOT (RFC 8221 §5)',
  cast128: 'CAST is not among the algorithms of RFC 8221',
  md5: 'HMAC-MD5 is MUST NOT (RFC 8221 §6)',
  none: 'ESP without integrity is MUST NOT (RFC 8221 §4)',
};

/** The cipher or integrity algorithm of a name; throws ConfigError for one that is unknown or refused. */
export function algorithm(name: string): Cipher | Integrity {
  const found = ciphers.get(name === 'aes' ? 'aes128' : name) ?? integrities.get(name);
  if (found !== undefined) return found;
  throw new ConfigError(`algorithm ${name}: ${refused[name] ?? 'no such algorithm'}`);
}

/** 'aes128gcm16', 'aes256-sha256', 'null-sha256' for ESP, 'sha256' for AH. Throws ConfigError. */
export function parseSuite(text: string): Suite {
  let cipher: Cipher | null = null;
  let check: Integrity | null = null;
  for (const name of text.split('-')) {
    const found = algorithm(name);
    if ('encr' in found) {
      if (cipher !== null) throw new ConfigError(`suite ${text}: two ciphers`);
      cipher = found;
    } else {
      if (check !== null) throw new ConfigError(`suite ${text}: two integrity algorithms`);
      check = found;
    }
  }
  return suiteOf(cipher, check);
}

/** Puts the two together; throws ConfigError when they do not make a suite. */
export function suiteOf(cipher: Cipher | null, check: Integrity | null): Suite {
  const name = [cipher?.name, check?.name].filter((part) => part !== undefined).join('-');
  if (cipher !== null && cipher.icvLength > 0 && check !== null) throw new ConfigError(`suite ${name}: ${cipher.name} authenticates by itself`);
  // RFC 8221 §4: encryption without integrity is not offered, not accepted, not configurable.
  if (check === null && (cipher === null || cipher.icvLength === 0)) throw new ConfigError(`suite ${name}: ${refused['none']}`);
  return { name, cipher, integrity: check };
}

/** Octets of the key material of one direction: cipher key, salt, integrity key, in this order (RFC 7296 §2.17). */
export const keyMaterial = (suite: Suite): number =>
  (suite.cipher?.keyLength ?? 0) + (suite.cipher?.saltLength ?? 0) + (suite.integrity?.keyLength ?? 0);

/** Octets of the ICV. */
export const icvLength = (suite: Suite): number => suite.integrity?.icvLength ?? suite.cipher?.icvLength ?? 0;

/** The host's transform for a suite, of key material laid out as keyMaterial says. */
export function transformSpec(suite: Suite, keys: Uint8Array): TransformSpec {
  const { cipher, integrity: check } = suite;
  const keyEnd = cipher?.keyLength ?? 0;
  const macKey = keys.subarray(keyEnd + (cipher?.saltLength ?? 0));
  const spec = { cipher: cipher?.cipher ?? ('null' as const), key: keys.subarray(0, keyEnd), tagLength: icvLength(suite) };
  return check === null ? spec : { ...spec, mac: check.mac, macKey };
}
