/** CryptoBatch one job at a time: for libraries that know arrays of octets and no batches. */
import { type CryptoBatch, JOB_WORDS, Job, type Transform } from './crypto.js';

/** One algorithm with its key. */
export interface SoftTransform extends Transform {
  seal(batch: CryptoBatch, job: number): void;
  /** False when the tag is wrong. */
  open(batch: CryptoBatch, job: number): boolean;
}

/** The octets of job `i`, as views. */
export function rangesOf(
  batch: CryptoBatch,
  i: number,
  tagLength: number,
): { data: Uint8Array; tag: Uint8Array; aad: Uint8Array; suffix: Uint8Array } {
  const word = (n: number): number => batch.words[i * JOB_WORDS + n] as number;
  const page = (batch.pages[i] as (typeof batch.pages)[number]).bytes;
  const scratch = batch.scratch.bytes;
  const behind = word(Job.Aad) + word(Job.AadLength);
  return {
    data: page.subarray(word(Job.Offset), word(Job.Offset) + word(Job.Length)),
    tag: page.subarray(word(Job.Tag), word(Job.Tag) + tagLength),
    aad: scratch.subarray(word(Job.Aad), behind),
    suffix: scratch.subarray(behind, behind + word(Job.SuffixLength)),
  };
}

/** Its nonce. */
export function nonceOf(batch: CryptoBatch, i: number, length: number): Uint8Array {
  const at = batch.words[i * JOB_WORDS + Job.Nonce] as number;
  return batch.scratch.bytes.subarray(at, at + length);
}

/** Seals job `i`, whose transform is a soft one. */
export function sealOne(batch: CryptoBatch, i: number): void {
  (batch.transforms[i] as SoftTransform).seal(batch, i);
  batch.words[i * JOB_WORDS + Job.Ok] = 1;
}

/** The same the other way. */
export function openOne(batch: CryptoBatch, i: number): void {
  batch.words[i * JOB_WORDS + Job.Ok] = (batch.transforms[i] as SoftTransform).open(batch, i) ? 1 : 0;
}

/** Crypto.seal and Crypto.open of a host whose transforms are all soft. */
export const softBatches = {
  seal(batch: CryptoBatch): void {
    for (let i = 0; i < batch.count; i++) sealOne(batch, i);
  },
  open(batch: CryptoBatch): void {
    for (let i = 0; i < batch.count; i++) openOne(batch, i);
  },
};
