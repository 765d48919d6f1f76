import assert from 'node:assert/strict';
import { Address, maskAddress } from '#src/base/address.js';
import { Prng } from '#src/base/prng.js';
import { Fib } from '#src/net/ip/fib.js';
import { SlowPrefixes } from '../../support/slow/prefixes.js';

for (const [family, topBits] of [
  [4, 16],
  [4, 24],
  [6, 16],
] as const) {
  describe(`longest prefix match, IPv${family}, first level of ${topBits} bits`, () => {
    const bits = family === 4 ? 32 : 128;
    // Few distinct bits, so that prefixes nest and addresses hit.
    const random = (prng: Prng): Address => {
      const word = (): number => (prng.below(4) === 0 ? prng.uint32() : [0, 0x0a000000, 0x0a0a0a0a, 0x0a0a0a00, -1][prng.below(5)]) as number;
      return new Address(word(), family === 6 ? word() : 0, family === 6 ? word() : 0, family === 6 ? word() : 0);
    };

    // A short prefix fills up to 2^24 entries of the larger first level: fewer of them there.
    const steps = topBits === 24 ? 400 : 4_000;
    it(`agrees with its slow twin through ${steps} random changes`, () => {
      const prng = new Prng(family * 100 + topBits);
      const fib = new Fib(family, topBits);
      const slow = new SlowPrefixes();
      const kept: { prefix: Address; length: number }[] = [];
      for (let i = 0; i < steps; i++) {
        const remove = kept.length > 0 && prng.below(100) < (i < steps / 2 ? 35 : 60);
        if (remove) {
          const [{ prefix, length }] = kept.splice(prng.below(kept.length), 1) as [{ prefix: Address; length: number }];
          fib.set(prefix.w0, prefix.w1, prefix.w2, prefix.w3, length, 0);
          slow.set(prefix, length, 0);
        } else {
          const length = topBits === 24 ? 8 + prng.below(25) : prng.below(bits + 1);
          const prefix = maskAddress(random(prng), length);
          const value = 1 + prng.below(0xffffff);
          if (fib.get(prefix.w0, prefix.w1, prefix.w2, prefix.w3, length) === 0) kept.push({ prefix, length });
          fib.set(prefix.w0, prefix.w1, prefix.w2, prefix.w3, length, value);
          slow.set(prefix, length, value);
        }
        for (let n = 0; n < 4; n++) {
          const a = n === 0 && kept.length > 0 ? (kept[prng.below(kept.length)] as { prefix: Address }).prefix : random(prng);
          assert.equal(fib.lookup(a.w0, a.w1, a.w2, a.w3), slow.lookup(a), `step ${i}`);
        }
      }
      for (const { prefix, length } of kept) fib.set(prefix.w0, prefix.w1, prefix.w2, prefix.w3, length, 0);
      assert.equal(fib.size, 0);
      for (let n = 0; n < 1_000; n++) {
        const a = random(prng);
        assert.equal(fib.lookup(a.w0, a.w1, a.w2, a.w3), 0);
      }
    });
  });
}
