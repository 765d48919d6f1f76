/**
 * The hypercall contract's cryptography. Bulk work goes in batches described by integers: one call drains one stage,
 * whatever keys its packets have. Slow public-key work is a request whose answer comes in a later turn.
 */
import type { Page } from '../base/page.js';

export interface Crypto {
  /** Keys made ready for a batch; null when the host lacks an algorithm or a length is not its. The keys are copied; the caller may zero them. */
  transform(spec: TransformSpec): Transform | null;
  /** Encrypts jobs[0..count) where they stand, writes their tags and sets Job.Ok. Jobs of one batch may have different keys and do not overlap. */
  seal(batch: CryptoBatch): void;
  /** Checks and decrypts where they stand; sets Job.Ok. What a job with a wrong tag leaves in its range is undefined. */
  open(batch: CryptoBatch): void;
  /** A keyed hash; null when the host lacks it. The key is copied. */
  mac(algorithm: MacAlgorithm, key: Uint8Array): MacContext | null;
  hash(algorithm: HashAlgorithm, data: Uint8Array): Uint8Array;
  /** Does `request` know this key exchange? */
  exchanges(algorithm: string): boolean;
  /** Starts slow work; `done` is called from a later turn with the result or an error's text. */
  request(work: CryptoRequest, done: (result: Uint8Array | null, error?: string) => void): void;
}

export type AeadAlgorithm = `aes-${128 | 192 | 256}-${'gcm' | 'ccm'}` | 'chacha20-poly1305';
export type CipherAlgorithm = `aes-${128 | 192 | 256}-${'cbc' | 'ctr'}`;
export type MacAlgorithm = 'hmac-sha1' | 'hmac-sha256' | 'hmac-sha384' | 'hmac-sha512' | 'aes-cmac' | 'aes-xcbc';
export type HashAlgorithm = 'sha1' | 'sha256' | 'sha384' | 'sha512';

/**
 * What protects a packet: an AEAD; GMAC, which only authenticates (RFC 4543: `aad`, data and `suffix` in this order); or
 * a cipher ('null' for none) followed by a MAC over `aad`, the encrypted data and `suffix`.
 */
export interface TransformSpec {
  readonly cipher: AeadAlgorithm | `aes-${128 | 192 | 256}-gmac` | CipherAlgorithm | 'null';
  readonly key: Uint8Array;
  /** With a cipher that does not authenticate. */
  readonly mac?: MacAlgorithm;
  readonly macKey?: Uint8Array;
  /** Octets of the tag, which may be a truncated MAC (RFC 4868 §2.1.2). */
  readonly tagLength: number;
}

/** One set of keys on the host's side. */
export interface Transform {
  /** The host's number for it. */
  readonly id: number;
  /** Zeroes the keys. */
  close(): void;
}

/** Words of one job in CryptoBatch.words. Offsets are in the page, or in the scratch page where it says so. */
export const Job = {
  /** Host's: the page's handle and the transform's id, written by who crosses into native code. */
  Handle: 0,
  Transform: 1,
  Offset: 2,
  /** Octets of the data, tag not counted; of CBC a multiple of 16. */
  Length: 3,
  /** Where in the page the tag is. */
  Tag: 4,
  /** In the scratch page: 12 octets (GCM, GMAC, ChaCha20), 11 (CCM), 16 (CBC's IV, CTR's first counter block). */
  Nonce: 5,
  /** In the scratch page: authenticated before the data, and, in MACs only, right behind it after the data. */
  Aad: 6,
  AadLength: 7,
  SuffixLength: 8,
  /** Out: 1 when it was sealed, or the tag was right. */
  Ok: 9,
} as const;

/** Words per job: a power of two. */
export const JOB_WORDS = 16;

/** A batch: made once, filled again and again by its owner. */
export interface CryptoBatch {
  count: number;
  readonly words: Int32Array;
  readonly pages: Page[];
  readonly transforms: Transform[];
  /** Nonces and associated data. */
  readonly scratch: Page;
}

export interface MacContext {
  /** The whole tag of all parts one after the other. */
  compute(data: readonly Uint8Array[]): Uint8Array;
  /** Zeroes the key. */
  close(): void;
}

export interface CryptoRequest {
  /** 'validate': does a certificate lead to an anchor, now, and name an identity? */
  readonly operation: 'generate' | 'respond' | 'derive' | 'sign' | 'verify' | 'validate';
  readonly algorithm: string;
  readonly parameters: Readonly<Record<string, Uint8Array | string>>;
}
