/** Cryptography on Node: packets by the addon where it is there, else by node:crypto; the rest by node:crypto. */
import { createCipheriv, createHash, createHmac } from 'node:crypto';
import { Page } from '../base/page.js';
import { blockMac } from './block-mac.js';
import {
  type Crypto,
  type CryptoBatch,
  type HashAlgorithm,
  JOB_WORDS,
  Job,
  type MacAlgorithm,
  type MacContext,
  type Transform,
  type TransformSpec,
} from './crypto.js';
import { openOne, type SoftTransform, sealOne, softBatches } from './crypto-job.js';
import type { NativeCrypto } from './native.js';
import { nodeTransform } from './node-transform.js';
import { exchangeKnown } from './public-key.js';
import { publicKeyThread } from './public-key-thread.js';

/** What the addon brings; without it (null), or where it lacks OpenSSL or gives a wrong answer to a known question, node:crypto does its work. */
export function nodeCrypto(native: (Partial<NativeCrypto> & PageRegistry) | null = null): Crypto {
  const rest = {
    mac: nodeMac,
    hash: (algorithm: HashAlgorithm, data: Uint8Array) => new Uint8Array(createHash(algorithm).update(data).digest()),
    request: publicKeyThread(),
    exchanges: exchangeKnown,
  };
  if (native?.transform === undefined) return { ...rest, ...plain };
  const batched = new NativeBatches(native as NativeCrypto & PageRegistry);
  if (!knownAnswer(batched)) return { ...rest, ...plain };
  return { ...rest, transform: (spec) => batched.transform(spec), seal: (batch) => batched.seal(batch), open: (batch) => batched.open(batch) };
}

interface PageRegistry {
  page(bytes: Uint8Array): number;
}

const slowTransform = (spec: TransformSpec): SoftTransform | null => {
  const mac = spec.mac === undefined ? null : nodeMac(spec.mac, spec.macKey ?? new Uint8Array());
  return spec.mac !== undefined && mac === null ? null : nodeTransform(spec, mac);
};

const plain = { transform: slowTransform, ...softBatches };

/** Batches through the addon; transforms it lacks (id −1) are done one by one. */
class NativeBatches {
  private readonly native: NativeCrypto & PageRegistry;

  constructor(native: NativeCrypto & PageRegistry) {
    this.native = native;
  }

  transform(spec: TransformSpec): Transform | null {
    const { native } = this;
    const id = native.transform(spec.cipher, spec.key, spec.mac ?? '', spec.macKey ?? EMPTY, spec.tagLength);
    if (id < 0) return slowTransform(spec);
    return new NativeTransform(native, id);
  }

  seal(batch: CryptoBatch): void {
    const slow = this.prepare(batch);
    this.native.seal(batch.words, batch.count, this.handle(batch.scratch));
    if (!slow) return;
    for (let i = 0; i < batch.count; i++) if ((batch.transforms[i] as Transform).id < 0) sealOne(batch, i);
  }

  open(batch: CryptoBatch): void {
    const slow = this.prepare(batch);
    this.native.open(batch.words, batch.count, this.handle(batch.scratch));
    if (!slow) return;
    for (let i = 0; i < batch.count; i++) if ((batch.transforms[i] as Transform).id < 0) openOne(batch, i);
  }

  /** Writes the numbers of pages and transforms; true when some job is not for the addon. */
  private prepare(batch: CryptoBatch): boolean {
    const { words, pages, transforms, count } = batch;
    let slow = false;
    for (let i = 0; i < count; i++) {
      const { id } = transforms[i] as Transform;
      words[i * JOB_WORDS + Job.Transform] = id;
      words[i * JOB_WORDS + Job.Handle] = this.handle(pages[i] as Page);
      if (id < 0) slow = true;
    }
    return slow;
  }

  private handle(page: Page): number {
    if (page.handle < 0) page.handle = this.native.page(page.bytes);
    return page.handle;
  }
}

class NativeTransform implements Transform {
  readonly id: number;
  private readonly native: NativeCrypto;

  constructor(native: NativeCrypto, id: number) {
    this.native = native;
    this.id = id;
  }

  close(): void {
    this.native.transformClose(this.id);
  }
}

const EMPTY = new Uint8Array();

/** Case 2 of the GCM specification (McGrew, Viega, appendix B): an addon that computes something else must not seal packets. */
function knownAnswer(batched: NativeBatches): boolean {
  const transform = batched.transform({ cipher: 'aes-128-gcm', key: new Uint8Array(16), tagLength: 16 });
  if (transform === null) return false;
  const data = new Page(new Uint8Array(32));
  const words = new Int32Array(JOB_WORDS);
  words[Job.Length] = words[Job.Tag] = 16;
  batched.seal({ count: 1, words, pages: [data], transforms: [transform], scratch: new Page(new Uint8Array(64)) });
  transform.close();
  return Buffer.from(data.bytes).toString('hex') === '0388dace60b6a392f328c2b971b2fe78ab6e47d42cec13bdf53a67b21257bddf';
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
