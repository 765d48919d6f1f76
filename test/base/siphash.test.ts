import assert from 'node:assert/strict';
import { halfSipHash, SipHash } from '#src/base/siphash.js';

describe('SipHash-2-4', () => {
  const key = Int32Array.from([0x03020100, 0x07060504, 0x0b0a0908, 0x0f0e0d0c]);
  const message = (n: number): Uint8Array => Uint8Array.from({ length: n }, (_, i) => i);
  const hash = (n: number): string => {
    const s = new SipHash(key, 32);
    s.octets(message(n));
    return ((BigInt(s.hi >>> 0) << 32n) | BigInt(s.lo >>> 0)).toString(16).padStart(16, '0');
  };

  it('gives the published vectors (SipHash paper, appendix A, and its reference table)', () => {
    assert.equal(hash(15), 'a129ca6149be45e5');
    assert.equal(hash(0), '726fdb47dd0e0e31');
    assert.equal(hash(1), '74f839c593dc67fd');
    assert.equal(hash(8), '93f5f5799a932462');
    assert.equal(hash(7), 'ab0200f58b01d137');
    assert.equal(hash(12), '751e8fbc860ee5fb');
    assert.equal(hash(63), '958a324ceb064572');
  });

  it('words() and octets() agree where both can be asked', () => {
    for (const count of [1, 2, 3, 4, 5, 10]) {
      const octets = new SipHash(key, 32);
      octets.octets(message(4 * count));
      const words = new SipHash(key, 32);
      const view = new DataView(message(4 * count).buffer);
      for (let i = 0; i < count; i++) words.input[i] = view.getInt32(4 * i, true);
      words.words(count);
      assert.deepEqual([words.lo, words.hi], [octets.lo, octets.hi]);
    }
  });
});

describe('HalfSipHash', () => {
  const key = Int32Array.from([0x03020100, 0x07060504]);
  const view = new DataView(Uint8Array.from({ length: 64 }, (_, i) => i).buffer);
  const words = Int32Array.from({ length: 16 }, (_, i) => view.getInt32(4 * i, true));
  const octets = (value: number): string => [0, 8, 16, 24].map((n) => ((value >>> n) & 255).toString(16).padStart(2, '0')).join('');

  it('2-4 gives the 32-bit vectors of its reference table at whole words', () => {
    const vectors = ['a9359f5b', '2a6e4689', 'd0b8848f', '57f0872f', 'd9b5ac84', 'e34d1045', '27400c63', 'b0644000'];
    const longer = ['fee72112', 'e75cc6ec', 'b6bc1840', '7705d548', '69e12ce3', '3b85f3d4', 'a5c5b940', 'd4e76c73'];
    for (const [n, expected] of [...vectors, ...longer].entries())
      assert.equal(octets(halfSipHash(key, words, n, 2, 4)), expected, `${4 * n} octets`);
  });

  it('1-3 depends on every word, on the length and on the key', () => {
    const seen = new Set<number>([halfSipHash(key, words, 8)]);
    for (let i = 0; i < 8; i++) {
      const other = words.slice();
      other[i] = (other[i] as number) ^ 1;
      seen.add(halfSipHash(key, other, 8));
    }
    seen.add(halfSipHash(key, words, 7));
    seen.add(halfSipHash(Int32Array.from([1, 2]), words, 8));
    assert.equal(seen.size, 11);
  });
});
