// hot: bench/micro/siphash
/**
 * SipHash (Aumasson, Bernstein 2012) for tables a stranger can fill, and for what a stranger must not guess: sequence numbers,
 * cookies, ports. 64-bit words are pairs of int32, since BigInt allocates. HalfSipHash is its 32-bit sister with a 64-bit key:
 * good enough to keep chains short, not to keep secrets.
 */

/**
 * SipHash-2-4 with one key, copied. What is hashed goes into `input`, or is given as octets; the hash is left in `lo` and `hi`,
 * as a pair returned would allocate. Owned by one stack.
 */
export class SipHash {
  /** Words to hash; the caller fills it before `words`. */
  readonly input: Int32Array;
  /** The hash of the last call: int32 halves. */
  lo = 0;
  hi = 0;
  private readonly k0: number;
  private readonly k1: number;
  private readonly k2: number;
  private readonly k3: number;
  // v0 … v3 of the paper, low and high halves.
  private a = 0;
  private A = 0;
  private b = 0;
  private B = 0;
  private c = 0;
  private C = 0;
  private d = 0;
  private D = 0;

  /** `key` has four words; `wordsMax` is the length of `input`. */
  constructor(key: Int32Array, wordsMax: number) {
    this.input = new Int32Array(wordsMax);
    this.k0 = key[0] as number;
    this.k1 = key[1] as number;
    this.k2 = key[2] as number;
    this.k3 = key[3] as number;
  }

  /** Hashes input[0..count): the same as their octets in little-endian order. Returns the low half. */
  words(count: number): number {
    const { input } = this;
    this.start();
    const pairs = count & ~1;
    for (let i = 0; i < pairs; i += 2) this.absorb(input[i] as number, input[i + 1] as number);
    this.absorb(pairs < count ? (input[pairs] as number) : 0, count << 26); // the top octet holds the length in octets
    return this.finish();
  }

  /** Hashes bytes[at, at + length). Returns the low half. */
  octets(bytes: Uint8Array, at = 0, length = bytes.length - at): number {
    this.start();
    const end = at + (length & ~7);
    for (; at < end; at += 8) this.absorb(word(bytes, at), word(bytes, at + 4));
    let low = 0;
    let high = length << 24;
    for (let i = 0; i < (length & 7); i++) {
      const octet = bytes[at + i] as number;
      if (i < 4) low |= octet << (8 * i);
      else high |= octet << (8 * i - 32);
    }
    this.absorb(low, high);
    return this.finish();
  }

  private start(): void {
    this.a = this.k0 ^ 0x70736575;
    this.A = this.k1 ^ 0x736f6d65;
    this.b = this.k2 ^ 0x6e646f6d;
    this.B = this.k3 ^ 0x646f7261;
    this.c = this.k0 ^ 0x6e657261;
    this.C = this.k1 ^ 0x6c796765;
    this.d = this.k2 ^ 0x79746573;
    this.D = this.k3 ^ 0x74656462;
  }

  private absorb(low: number, high: number): void {
    this.d ^= low;
    this.D ^= high;
    this.rounds(2);
    this.a ^= low;
    this.A ^= high;
  }

  private finish(): number {
    this.c ^= 0xff;
    this.rounds(4);
    this.lo = this.a ^ this.b ^ this.c ^ this.d;
    this.hi = this.A ^ this.B ^ this.C ^ this.D;
    return this.lo;
  }

  /** SipRound: additions carry from the low half where the sum is below an operand, unsigned. */
  private rounds(count: number): void {
    let { a, A, b, B, c, C, d, D } = this;
    for (let i = 0; i < count; i++) {
      let t = 0;
      // v0 += v1; v1 = v1 <<< 13 ^ v0; v0 <<<= 32
      t = (a + b) | 0;
      A = (A + B + (t >>> 0 < b >>> 0 ? 1 : 0)) | 0;
      a = t;
      t = (b << 13) | (B >>> 19);
      B = ((B << 13) | (b >>> 19)) ^ A;
      b = t ^ a;
      t = a;
      a = A;
      A = t;
      // v2 += v3; v3 = v3 <<< 16 ^ v2
      t = (c + d) | 0;
      C = (C + D + (t >>> 0 < d >>> 0 ? 1 : 0)) | 0;
      c = t;
      t = (d << 16) | (D >>> 16);
      D = ((D << 16) | (d >>> 16)) ^ C;
      d = t ^ c;
      // v0 += v3; v3 = v3 <<< 21 ^ v0
      t = (a + d) | 0;
      A = (A + D + (t >>> 0 < d >>> 0 ? 1 : 0)) | 0;
      a = t;
      t = (d << 21) | (D >>> 11);
      D = ((D << 21) | (d >>> 11)) ^ A;
      d = t ^ a;
      // v2 += v1; v1 = v1 <<< 17 ^ v2; v2 <<<= 32
      t = (c + b) | 0;
      C = (C + B + (t >>> 0 < b >>> 0 ? 1 : 0)) | 0;
      c = t;
      t = (b << 17) | (B >>> 15);
      B = ((B << 17) | (b >>> 15)) ^ C;
      b = t ^ c;
      t = c;
      c = C;
      C = t;
    }
    this.a = a;
    this.A = A;
    this.b = b;
    this.B = B;
    this.c = c;
    this.C = C;
    this.d = d;
    this.D = D;
  }
}

const word = (b: Uint8Array, i: number): number =>
  (b[i] as number) | ((b[i + 1] as number) << 8) | ((b[i + 2] as number) << 16) | ((b[i + 3] as number) << 24);

/**
 * HalfSipHash over words[0..count), the same as their octets in little-endian order: int32. Of `key` two words count. `compress` and `finalize` are the
 * rounds per word and at the end: 1 and 3 for tables, 2 and 4 for the conservative variant.
 */
export function halfSipHash(key: Int32Array, words: Int32Array, count: number, compress = 1, finalize = 3): number {
  const k0 = key[0] as number;
  const k1 = key[1] as number;
  let a = k0;
  let b = k1;
  let c = k0 ^ 0x6c796765;
  let d = k1 ^ 0x74656462;
  for (let i = 0; i <= count; i++) {
    const word = i < count ? (words[i] as number) : count << 26; // the last holds the length in octets
    d ^= word;
    for (let r = 0; r < compress; r++) {
      a = (a + b) | 0;
      b = ((b << 5) | (b >>> 27)) ^ a;
      a = (a << 16) | (a >>> 16);
      c = (c + d) | 0;
      d = ((d << 8) | (d >>> 24)) ^ c;
      a = (a + d) | 0;
      d = ((d << 7) | (d >>> 25)) ^ a;
      c = (c + b) | 0;
      b = ((b << 13) | (b >>> 19)) ^ c;
      c = (c << 16) | (c >>> 16);
    }
    a ^= word;
  }
  c ^= 0xff;
  for (let r = 0; r < finalize; r++) {
    a = (a + b) | 0;
    b = ((b << 5) | (b >>> 27)) ^ a;
    a = (a << 16) | (a >>> 16);
    c = (c + d) | 0;
    d = ((d << 8) | (d >>> 24)) ^ c;
    a = (a + d) | 0;
    d = ((d << 7) | (d >>> 25)) ^ a;
    c = (c + b) | 0;
    b = ((b << 13) | (b >>> 19)) ^ c;
    c = (c << 16) | (c >>> 16);
  }
  return b ^ d;
}
