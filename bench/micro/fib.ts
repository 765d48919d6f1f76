/**
 * Longest prefix match: a million IPv4 prefixes of the lengths of the global table (random places, which is harder on caches
 * and memory than the real ones), a quarter of a million IPv6 ones; lookups of random addresses, of addresses that have a
 * route, and of 64 popular ones; changes. Octets of the tables beside.
 */
import { Prng } from '#src/base/prng.js';
import { Fib } from '#src/net/ip/fib.js';
import { LOOKUPS_MAX } from '#src/net/ip/prefix-trie.js';
import { measure } from './measure.js';

const prng = new Prng(1);
const PREFIXES = 1_000_000;
/** Lengths by their share in per cent: most of the table is /24, /22 and /23. */
const lengths = [24, 58, 22, 12, 23, 10, 21, 5, 20, 5, 19, 4, 18, 2, 17, 1, 16, 3];

function randomLength(): number {
  let x = prng.below(100);
  for (let i = 0; ; i += 2) {
    x -= lengths[i + 1] as number;
    if (x < 0) return lengths[i] as number;
  }
}

for (const topBits of [16, 24] as const) {
  const fib = new Fib(4, topBits);
  const words = new Int32Array(PREFIXES);
  const bits = new Uint8Array(PREFIXES);
  for (let i = 0; i < PREFIXES; i++) {
    const length = randomLength();
    words[i] = prng.uint32() & (-1 << (32 - length));
    bits[i] = length;
  }
  const before = process.cpuUsage();
  for (let i = 0; i < PREFIXES; i++) fib.set(words[i] as number, 0, 0, 0, bits[i] as number, 1 + (i & 0xffff));
  const used = process.cpuUsage(before);
  const took = (used.user + used.system) / 1e3;
  const { prefixes, lookup } = fib.octets;
  const small = topBits === 16 ? `, asked <= 16: ${lookup <= 16 * 2 ** 20 ? 'met' : 'MISSED'}` : '';
  console.log(
    `IPv4, ${topBits} bits first: ${fib.size} prefixes in ${took.toFixed(0)} ms of CPU, asked <= 3000: ${took <= 3_000 ? 'met' : 'MISSED'}; ` +
      `${(prefixes / 1e6).toFixed(0)} MB of prefixes, ${(lookup / 1e6).toFixed(0)} MB of lookup${small}`,
  );
  const random = Int32Array.from({ length: 1 << 20 }, () => prng.uint32() | 0);
  const routed = Int32Array.from({ length: 1 << 20 }, () => (words[prng.below(PREFIXES)] as number) | prng.below(256));
  const popular = Int32Array.from({ length: 1 << 20 }, () => routed[prng.below(64)] as number);
  for (const [what, addresses] of [
    ['random', random],
    ['routed', routed],
    ['64 popular', popular],
  ] as const) {
    const { median } = measure(`lookup, ${what}, ${topBits} bits first`, (i) => fib.lookup(addresses[i & 0xfffff] as number, 0, 0, 0));
    const asked = topBits === 16 ? 200 : 30;
    if (what === 'random') console.log(`  asked <= ${asked} ns: ${median <= asked ? 'met' : 'MISSED'}`);
  }
  // As the fast path asks: 64 at once, one call counted for each address.
  const words4 = new Int32Array(4 * LOOKUPS_MAX);
  const values = new Int32Array(LOOKUPS_MAX);
  measure(`lookup, random, 64 at once, ${topBits} bits first`, (i) => {
    const n = i & (LOOKUPS_MAX - 1);
    words4[4 * n] = random[i & 0xfffff] as number;
    if (n === LOOKUPS_MAX - 1) fib.lookupAll(words4, LOOKUPS_MAX, values);
    return values[n] as number;
  });
  measure(`change of a route, ${topBits} bits first`, (i) => {
    const n = i % PREFIXES;
    fib.set(words[n] as number, 0, 0, 0, bits[n] as number, 1 + (i & 1));
    return i;
  });
}

const six = new Fib(6);
const pairs = new Int32Array(500_000);
for (let i = 0; i < pairs.length; i += 2) {
  const length = [48, 48, 48, 32, 40, 44, 36, 29][prng.below(8)] as number;
  pairs[i] = (0x20000000 | (prng.uint32() >>> 4)) & (length < 32 ? -1 << (32 - length) : -1);
  pairs[i + 1] = length > 32 ? prng.uint32() & (-1 << (64 - length)) : 0;
  six.set(pairs[i] as number, pairs[i + 1] as number, 0, 0, length, 7);
}
console.log(`IPv6: ${six.size} prefixes; ${(six.octets.lookup / 1e6).toFixed(0)} MB of lookup`);
measure('lookup, IPv6, routed', (i) => {
  const at = ((i * 7_919) % 250_000) * 2;
  return six.lookup(pairs[at] as number, (pairs[at + 1] as number) | 1, 5, 6);
});
