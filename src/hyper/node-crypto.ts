/** Cryptography by node:crypto: every algorithm of the contract that this Node's OpenSSL has. */
import { type CipherCCM, type CipherCCMTypes, createCipheriv, createDecipheriv, createHash, createHmac, type DecipherCCM } from 'node:crypto';
import { blockMac } from './block-mac.js';
import type { AeadAlgorithm, AeadContext, AeadJob, CipherAlgorithm, CipherContext, Crypto, HashAlgorithm, MacAlgorithm, MacContext } from './hypercalls.js';
import { publicKeyWork } from './public-key.js';

export function nodeCrypto(): Crypto {
  return {
    aead: (algorithm, key, tagLength) => (available(() => new NodeAead(algorithm, key, tagLength).probe()) ? new NodeAead(algorithm, key, tagLength) : null),
    mac: nodeMac,
    cipher: (algorithm, key) => (available(() => createCipheriv(algorithm, key, ivOf(algorithm))) ? new NodeCipher(algorithm, key) : null),
    hash: (algorithm: HashAlgorithm, data) => new Uint8Array(createHash(algorithm).update(data).digest()),
    request: publicKeyWork,
  };
}

const ivOf = (algorithm: CipherAlgorithm): Uint8Array | null => (algorithm.endsWith('ecb') ? null : new Uint8Array(16));

/** False where OpenSSL was built without the algorithm, or the key's length is not its. */
function available(attempt: () => void): boolean {
  try {
    attempt();
    return true;
  } catch {
    return false;
  }
}

/** One key. A job costs some 7 µs, most of it OpenSSL's key schedule and Node's objects. */
class NodeAead implements AeadContext {
  private readonly algorithm: AeadAlgorithm;
  private readonly key: Uint8Array;
  private readonly options: { readonly authTagLength: number };

  constructor(algorithm: AeadAlgorithm, key: Uint8Array, tagLength: number) {
    this.algorithm = algorithm;
    this.key = key.slice();
    this.options = { authTagLength: tagLength };
  }

  /** Throws when the algorithm or the lengths do not work. */
  probe(): void {
    const nonce = new Uint8Array(this.algorithm.endsWith('ccm') ? 11 : 12);
    createCipheriv(this.algorithm as CipherCCMTypes, this.key, nonce, this.options);
  }

  seal(jobs: AeadJob[], count: number): void {
    for (let i = 0; i < count; i++) {
      const job = jobs[i] as AeadJob;
      const { aad, input, output } = job;
      const cipher = createCipheriv(this.algorithm as CipherCCMTypes, this.key, job.nonce, this.options) as CipherCCM;
      cipher.setAAD(aad, { plaintextLength: input.length });
      output.set(cipher.update(input), 0);
      cipher.final();
      output.set(cipher.getAuthTag(), input.length);
      job.ok = true;
    }
  }

  open(jobs: AeadJob[], count: number): void {
    const { authTagLength } = this.options;
    for (let i = 0; i < count; i++) {
      const job = jobs[i] as AeadJob;
      const length = job.input.length - authTagLength;
      job.ok = length >= 0 && this.openOne(job, length);
    }
  }

  close(): void {
    this.key.fill(0);
  }

  private openOne(job: AeadJob, length: number): boolean {
    const decipher = createDecipheriv(this.algorithm as CipherCCMTypes, this.key, job.nonce, this.options) as DecipherCCM;
    decipher.setAuthTag(job.input.subarray(length));
    decipher.setAAD(job.aad, { plaintextLength: length });
    // A wrong tag is thrown by final, of CCM by update; both mean the same.
    try {
      const clear = decipher.update(job.input.subarray(0, length));
      decipher.final();
      job.output.set(clear, 0);
      return true;
    } catch {
      return false;
    }
  }
}

class NodeCipher implements CipherContext {
  private readonly algorithm: CipherAlgorithm;
  private readonly key: Uint8Array;

  constructor(algorithm: CipherAlgorithm, key: Uint8Array) {
    this.algorithm = algorithm;
    this.key = key.slice();
  }

  encrypt(iv: Uint8Array, input: Uint8Array): Uint8Array {
    const cipher = createCipheriv(this.algorithm, this.key, this.algorithm.endsWith('ecb') ? null : iv).setAutoPadding(false);
    return new Uint8Array(Buffer.concat([cipher.update(input), cipher.final()]));
  }

  decrypt(iv: Uint8Array, input: Uint8Array): Uint8Array {
    const decipher = createDecipheriv(this.algorithm, this.key, this.algorithm.endsWith('ecb') ? null : iv).setAutoPadding(false);
    return new Uint8Array(Buffer.concat([decipher.update(input), decipher.final()]));
  }

  close(): void {
    this.key.fill(0);
  }
}

function nodeMac(algorithm: MacAlgorithm, key: Uint8Array): MacContext | null {
  if (algorithm === 'aes-cmac' || algorithm === 'aes-xcbc') return key.length === 16 ? blockMac(algorithm, key, aesBlock) : null;
  const held = key.slice();
  const hash = algorithm.slice('hmac-'.length);
  return {
    compute(data) {
      const hmac = createHmac(hash, held);
      for (const part of data) hmac.update(part);
      return new Uint8Array(hmac.digest());
    },
    close: () => void held.fill(0),
  };
}

/** AES-128 of whole blocks. */
function aesBlock(key: Uint8Array, input: Uint8Array): Uint8Array {
  return createCipheriv('aes-128-ecb', key, null).setAutoPadding(false).update(input);
}
