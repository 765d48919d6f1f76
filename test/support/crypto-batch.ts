import { Page } from '#src/base/page.js';
import { type Crypto, type CryptoBatch, JOB_WORDS, Job, type TransformSpec } from '#src/hyper/crypto.js';

/** One job: what the transform makes of it, tag behind the data; null when the host lacks it, or opening failed. */
export function once(
  crypto: Crypto,
  spec: TransformSpec,
  operation: 'seal' | 'open',
  job: { nonce: Uint8Array; aad?: Uint8Array; suffix?: Uint8Array; data: Uint8Array; tag?: Uint8Array },
): Uint8Array | null {
  const transform = crypto.transform(spec);
  if (transform === null) return null;
  const { aad = new Uint8Array(), suffix = new Uint8Array(), data } = job;
  const page = new Page(new Uint8Array(data.length + spec.tagLength));
  page.bytes.set(data);
  if (job.tag !== undefined) page.bytes.set(job.tag, data.length);
  const scratch = new Page(new Uint8Array(512));
  scratch.bytes.set(job.nonce);
  scratch.bytes.set(aad, 16);
  scratch.bytes.set(suffix, 16 + aad.length);
  const words = new Int32Array(JOB_WORDS);
  words[Job.Length] = data.length;
  words[Job.Tag] = data.length;
  words[Job.Aad] = 16;
  words[Job.AadLength] = aad.length;
  words[Job.SuffixLength] = suffix.length;
  const batch: CryptoBatch = { count: 1, words, pages: [page], transforms: [transform], scratch };
  crypto[operation](batch);
  transform.close();
  return words[Job.Ok] === 1 ? page.bytes : null;
}
