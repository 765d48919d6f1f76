/** The hashes of tables and secrets, over a flow of each family. */
import { halfSipHash, SipHash } from '#src/base/siphash.js';
import { measure } from './measure.js';

const key = Int32Array.from([1, 2, 3, 4]);
const words = Int32Array.from({ length: 16 }, (_, i) => i * 0x9e3779b1);
const hash = new SipHash(key, 16);
hash.input.set(words);

for (const count of [3, 9]) {
  measure(`HalfSipHash-1-3, ${count} words`, (i) => {
    words[0] = i;
    return halfSipHash(key, words, count);
  });
  measure(`SipHash-2-4, ${count} words`, (i) => {
    hash.input[0] = i;
    return hash.words(count);
  });
}
