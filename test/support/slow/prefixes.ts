import { type Address, samePrefix } from '#src/base/address.js';

/** Longest prefix match as one would write it down: the slow twin of net/ip/fib. Lengths count from the first of 128 bits. */
export class SlowPrefixes {
  private readonly entries = new Map<string, { prefix: Address; length: number; value: number }>();

  set(prefix: Address, length: number, value: number): void {
    const key = `${prefix.w0} ${prefix.w1} ${prefix.w2} ${prefix.w3} ${length}`;
    if (value === 0) this.entries.delete(key);
    else this.entries.set(key, { prefix: prefix.clone(), length, value });
  }

  lookup(address: Address): number {
    let best = -1;
    let value = 0;
    for (const e of this.entries.values()) {
      if (e.length > best && samePrefix(address, e.prefix, e.length)) {
        best = e.length;
        value = e.value;
      }
    }
    return value;
  }
}
