import assert from 'node:assert/strict';
import { Drop, dropNames, drops } from '#src/base/drops.js';
import { Errno, errnoName, NetError } from '#src/base/errors.js';
import { Prng } from '#src/base/prng.js';
import { seqAdd, seqDiff, seqGt, seqGte, seqInWindow, seqLt, seqLte, seqMax, seqMin } from '#src/base/sequence.js';
import { minutes } from '#src/base/time.js';
import { TokenBucket } from '#src/base/token-bucket.js';

describe('sequence numbers', () => {
  it('RFC 9293 §3.4: compare modulo 2^32 over every wrap', () => {
    for (const base of [0, 1, 2 ** 31 - 2, -(2 ** 31), -1, 0x7fffffff]) {
      const a = base | 0;
      const b = seqAdd(a, 5);
      assert.ok(seqLt(a, b) && seqLte(a, b) && !seqGt(a, b) && !seqGte(a, b) && seqLte(a, a) && seqGte(a, a));
      assert.equal(seqDiff(b, a), 5);
      assert.equal(seqMax(a, b), b);
      assert.equal(seqMin(a, b), a);
      assert.equal(b, b | 0);
    }
  });

  it('a window holds its first octet and not the one behind its last', () => {
    const low = seqAdd(-1, 0);
    assert.ok(seqInWindow(low, low, 1) && !seqInWindow(low, low, 0) && !seqInWindow(seqAdd(low, 1), low, 1) && seqInWindow(seqAdd(low, 9), low, 10));
    assert.ok(!seqInWindow(seqAdd(low, -1), low, 1_000));
  });
});

describe('TokenBucket', () => {
  it('gives its burst at once, then its rate, and saves no more than the burst', () => {
    const bucket = new TokenBucket(0, 3);
    const taken = (now: number, asked: number): number => Array.from({ length: asked }, () => bucket.take(now, 10, 3)).filter(Boolean).length;
    assert.equal(taken(0, 5), 3);
    assert.equal(taken(99_999, 1), 0);
    assert.equal(taken(100_001, 2), 1);
    assert.equal(taken(minutes(1), 9), 3);
  });
});

describe('Drop', () => {
  it('numbers every reason from 1 on, by name, with cause and remedy', () => {
    assert.equal(dropNames[0], 'None');
    for (const [i, name] of Object.keys(drops).entries()) {
      assert.equal(Drop[name as keyof typeof Drop], i + 1);
      assert.equal(dropNames[i + 1], name);
      assert.match(drops[name as keyof typeof drops].cause, /\.$/);
      assert.match(drops[name as keyof typeof drops].remedy, /[.,;:]?\w/);
    }
  });
});

describe('NetError', () => {
  it('has the shape of a system error of Node', () => {
    const error = new NetError('EADDRINUSE', 'bind', '10.0.0.1', 53);
    assert.deepEqual({ ...error }, { code: 'EADDRINUSE', errno: -98, syscall: 'bind', address: '10.0.0.1', port: 53, name: 'Error' });
    assert.equal(error.message, 'bind EADDRINUSE 10.0.0.1:53');
    assert.equal(new NetError('ERR_SOCKET_BAD_PORT', 'connect').errno, 0);
    assert.equal(errnoName(-Errno.ECONNREFUSED), 'ECONNREFUSED');
  });
});

describe('Prng', () => {
  it('gives the same numbers for the same seed and stays in its ranges', () => {
    const a = new Prng(42);
    const b = new Prng(42);
    const seen = new Set<number>();
    for (let i = 0; i < 1_000; i++) {
      const x = a.uint32();
      assert.equal(x, b.uint32());
      assert.ok(Number.isInteger(x) && x >= 0 && x < 2 ** 32);
      seen.add(x);
    }
    assert.ok(seen.size > 990);
    for (let i = 0; i < 1_000; i++) {
      assert.ok(a.below(6) < 6);
      assert.ok(a.float() < 1);
    }
    assert.notEqual(new Prng(0).uint32(), new Prng(1).uint32());
  });
});
