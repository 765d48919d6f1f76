import assert from 'node:assert/strict';
import { createRequire } from 'node:module';

interface Koffi {
  load(path: null): { func(definition: string): (...values: unknown[]) => number };
}

const SOCK_NONBLOCK = 0o4000;

/** Both ends of a seqpacket pair: what a device reads and writes whole frames of. Neither blocks. Needs koffi. */
export function frameSocketPair(): [number, number] {
  const fds = new Int32Array(2);
  const libc = (createRequire(import.meta.url)('koffi') as Koffi).load(null);
  assert.equal(libc.func('int socketpair(int domain, int type, int protocol, void *fds)')(1, 5 | SOCK_NONBLOCK, 0, fds), 0);
  return [fds[0] as number, fds[1] as number];
}
