/** The thread of public-key-thread.ts: does what it is sent, in order. Secrets it was sent are zeros afterwards. */
import { parentPort } from 'node:worker_threads';
import { performNow } from './public-key.js';
import type { Job, Result } from './public-key-thread.js';

parentPort?.on('message', (jobs: readonly Job[]) => {
  const results: Result[] = [];
  for (const { id, work } of jobs) {
    performNow(work, (result, error) => results.push({ id, result, error }));
    for (const value of Object.values(work.parameters)) if (value instanceof Uint8Array) value.fill(0);
  }
  parentPort?.postMessage(results);
});
