/**
 * Public-key work in a thread of its own: a signature by RSA or a modp4096 secret takes longer than many packets may wait. The thread comes with the
 * first request and goes when nothing has been asked for a while; one per host, since a stack asks seldom.
 */
import { Worker } from 'node:worker_threads';
import type { Crypto, CryptoRequest } from './crypto.js';
import { performNow } from './public-key.js';

/** One request on its way to the thread. */
export interface Job {
  readonly id: number;
  readonly work: CryptoRequest;
}

/** And its answer. */
export interface Result {
  readonly id: number;
  readonly result: Uint8Array | null;
  readonly error: string | undefined;
}

type Done = Parameters<Crypto['request']>[1];

/** The thread goes after so long without work. */
const IDLE_MS = 2_000;

/** Crypto.request of Node. Answers in a later turn, always. */
export function publicKeyThread(): Crypto['request'] {
  const thread = new Thread();
  return (work, done) => thread.add(work, done);
}

class Thread {
  private worker: Worker | null = null;
  private readonly pending = new Map<number, { readonly work: CryptoRequest; readonly done: Done }>();
  /** Asked for in this turn: they go in one message. */
  private jobs: Job[] = [];
  private nextId = 0;
  private idle: ReturnType<typeof setTimeout> | undefined;
  /** No thread is to be had (a bundle without its file, a limit of the process): the work is done here. */
  private broken = false;

  add(work: CryptoRequest, done: Done): void {
    if (this.broken) {
      setImmediate(() => performNow(work, done));
      return;
    }
    const id = this.nextId++;
    this.pending.set(id, { work, done });
    this.jobs.push({ id, work });
    if (this.jobs.length === 1) queueMicrotask(() => this.send());
  }

  private send(): void {
    clearTimeout(this.idle);
    const { jobs } = this;
    this.jobs = [];
    this.worker ??= this.start();
    this.worker.ref();
    this.worker.postMessage(jobs);
  }

  private start(): Worker {
    const worker = new Worker(new URL('./public-key-worker.js', import.meta.url), { execArgv: [] });
    worker.on('message', (results: readonly Result[]) => this.answered(results));
    worker.on('error', () => this.failed());
    return worker;
  }

  private answered(results: readonly Result[]): void {
    for (const { id, result, error } of results) {
      const asked = this.pending.get(id);
      this.pending.delete(id);
      asked?.done(result, error);
    }
    if (this.pending.size > 0) return;
    this.worker?.unref();
    clearTimeout(this.idle);
    this.idle = setTimeout(() => this.stop(), IDLE_MS).unref();
  }

  private stop(): void {
    void this.worker?.terminate();
    this.worker = null;
  }

  private failed(): void {
    this.broken = true;
    this.worker = null;
    const left = [...this.pending.values()];
    this.pending.clear();
    this.jobs = [];
    for (const { work, done } of left) performNow(work, done);
  }
}
