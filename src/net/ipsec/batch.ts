// hot: bench/packet/esp
import type { Packet } from '../../base/packet.js';
import { Page } from '../../base/page.js';
import { type CryptoBatch, JOB_WORDS, Job, type Transform } from '../../hyper/crypto.js';
import type { Sa } from './sa.js';

/** Packets per crypto call: measured to be past the knee (a call costs 100 ns, a small packet 200). */
export const BATCH_MAX = 64;
/** Scratch octets of one job: a nonce, and what is authenticated in front of the data. */
const ROW = 512;
const AAD = 16;
/** Octets of associated data and suffix that one job has room for: AH's headers need most of it. */
export const AAD_MAX = ROW - AAD;

const NO_WORDS = new Int32Array(0);

/** Packets on their way through one crypto call, with the SA and the sequence number of each. */
export class Batch implements CryptoBatch {
  count = 0;
  words: Int32Array = NO_WORDS;
  readonly pages: Page[] = [];
  readonly transforms: Transform[] = [];
  readonly packets: Packet[] = [];
  readonly sas: Sa[] = [];
  readonly sequences: number[] = [];
  private made: Page | null = null;

  /** Nonces and associated data. Made with the first job: a stack without SAs pays nothing for its batches. */
  get scratch(): Page {
    return this.made ?? this.make();
  }

  private make(): Page {
    this.words = new Int32Array(BATCH_MAX * JOB_WORDS);
    for (let i = 0; i < BATCH_MAX; i++) {
      this.words[i * JOB_WORDS + Job.Nonce] = i * ROW;
      this.words[i * JOB_WORDS + Job.Aad] = i * ROW + AAD;
    }
    this.made = new Page(new Uint8Array(BATCH_MAX * ROW));
    return this.made;
  }

  get full(): boolean {
    return this.count === BATCH_MAX;
  }

  /** Where the next job's nonce goes in the scratch page. */
  get nonceAt(): number {
    return this.count * ROW;
  }

  /** Where its associated data go. */
  get aadAt(): number {
    return this.count * ROW + AAD;
  }

  /** Adds a job whose nonce and associated data have been written. Takes the packet over until `clear`. */
  add(packet: Packet, sa: Sa, sequence: number, offset: number, length: number, tag: number, aadLength: number, suffixLength: number): void {
    const { words } = this;
    const i = this.count++;
    const w = i * JOB_WORDS;
    words[w + Job.Offset] = offset;
    words[w + Job.Length] = length;
    words[w + Job.Tag] = tag;
    words[w + Job.AadLength] = aadLength;
    words[w + Job.SuffixLength] = suffixLength;
    this.pages[i] = packet.slot.page;
    this.transforms[i] = sa.transform;
    this.packets[i] = packet;
    this.sas[i] = sa;
    this.sequences[i] = sequence;
  }

  ok(i: number): boolean {
    return this.words[i * JOB_WORDS + Job.Ok] === 1;
  }

  /** First octet of job i's data, and how many. */
  offset(i: number): number {
    return this.words[i * JOB_WORDS + Job.Offset] as number;
  }

  length(i: number): number {
    return this.words[i * JOB_WORDS + Job.Length] as number;
  }
}
