import assert from 'node:assert/strict';
import { finish, fold, sum, swap, update16, update32 } from '#src/base/checksum.js';
import { Prng } from '#src/base/prng.js';
import { view } from '../support/octets.js';
import { slowChecksum } from '../support/slow/checksum.js';

describe('checksum', () => {
  const prng = new Prng(1071);
  const bytes = Uint8Array.from({ length: 70_000 }, () => prng.below(256));
  const v = new DataView(bytes.buffer);

  it('RFC 1071 §3: the example gives ddf2', () => {
    assert.equal(fold(sum(view('0001 f203 f4f5 f6f7'), 0, 8)), 0xddf2);
  });

  it('agrees with its slow twin at every start and length', () => {
    for (let n = 0; n < 3_000; n++) {
      const at = prng.below(64);
      const length = n < 200 ? n : prng.below(1_600);
      assert.equal(finish(sum(v, at, length)), slowChecksum(bytes.subarray(at, at + length)), `${length} octets at ${at}`);
    }
    assert.equal(finish(sum(v, 0, 65_535)), slowChecksum(bytes.subarray(0, 65_535)));
  });

  it('adds ranges, and those behind an odd length swapped (RFC 1071 §2)', () => {
    for (let n = 0; n < 500; n++) {
      const first = prng.below(300);
      const second = prng.below(300);
      const part = sum(v, 1_000, second);
      const total = sum(v, 0, first) + (first % 2 === 0 ? part : swap(fold(part)));
      assert.equal(finish(total), slowChecksum(bytes.subarray(0, first), bytes.subarray(1_000, 1_000 + second)));
    }
  });

  it('folds the greatest sums', () => {
    assert.equal(fold(0), 0);
    assert.equal(fold(0xffff), 0xffff);
    assert.equal(fold(0x10000), 1);
    assert.equal(fold(0xffff_ffff), 0xffff);
    assert.equal(fold(2 ** 53 - 1), Number((2n ** 53n - 1n) % 65_535n) || 0xffff);
    for (let n = 0; n < 1_000; n++) {
      const total = Math.floor(prng.float() * 2 ** 53);
      assert.equal(fold(total) % 0xffff, Number(BigInt(total) % 65_535n));
    }
  });

  it('RFC 1624 §3: an update equals a fresh sum', () => {
    const header = bytes.slice(0, 40);
    const h = new DataView(header.buffer);
    for (let n = 0; n < 500; n++) {
      const at = 2 * prng.below(18);
      const before = slowChecksum(header);
      const old = h.getUint32(at);
      const now = prng.uint32();
      h.setUint32(at, now);
      assert.equal(update32(before, old, now) % 0xffff, slowChecksum(header) % 0xffff);
      h.setUint16(at, now & 0xffff);
      assert.equal(update16(update32(before, old, now), now >>> 16, now & 0xffff) % 0xffff, slowChecksum(header) % 0xffff);
    }
    assert.equal(update16(0xdd2f, 0x5555, 0x3285), 0x0000, 'RFC 1624 §4: the example in which RFC 1141 fails');
  });
});
