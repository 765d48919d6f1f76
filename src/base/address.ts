/**
 * An address of either family in one shape: four int32 words, the first the most significant, IPv4 as IPv4-mapped
 * (RFC 4291 §2.5.5.2: ::ffff:a.b.c.d). Strings exist only at the API. Mutable so that packets and connections embed
 * theirs without allocating: whoever keeps an address of a packet copies it.
 */
export class Address {
  w0 = 0;
  w1 = 0;
  w2 = 0;
  w3 = 0;

  constructor(w0 = 0, w1 = 0, w2 = 0, w3 = 0) {
    this.w0 = w0 | 0;
    this.w1 = w1 | 0;
    this.w2 = w2 | 0;
    this.w3 = w3 | 0;
  }

  set(w0: number, w1: number, w2: number, w3: number): void {
    this.w0 = w0;
    this.w1 = w1;
    this.w2 = w2;
    this.w3 = w3;
  }

  setV4(word: number): void {
    this.w0 = 0;
    this.w1 = 0;
    this.w2 = MAPPED;
    this.w3 = word;
  }

  copy(from: Address): void {
    this.w0 = from.w0;
    this.w1 = from.w1;
    this.w2 = from.w2;
    this.w3 = from.w3;
  }

  clone(): Address {
    return new Address(this.w0, this.w1, this.w2, this.w3);
  }

  equals(other: Address): boolean {
    return this.w3 === other.w3 && this.w2 === other.w2 && this.w1 === other.w1 && this.w0 === other.w0;
  }

  /** True for IPv4-mapped, i.e. for every IPv4 address. */
  get isV4(): boolean {
    return this.w2 === MAPPED && this.w1 === 0 && this.w0 === 0;
  }

  /** True for :: and for 0.0.0.0. */
  get isUnspecified(): boolean {
    return this.w3 === 0 && this.w1 === 0 && this.w0 === 0 && (this.w2 === 0 || this.w2 === MAPPED);
  }

  get isMulticast(): boolean {
    return this.isV4 ? this.w3 >>> 28 === 14 : this.w0 >>> 24 === 0xff;
  }

  get isLoopback(): boolean {
    if (this.isV4) return this.w3 >>> 24 === 127;
    return this.w0 === 0 && this.w1 === 0 && this.w2 === 0 && this.w3 === 1;
  }

  /** fe80::/10 or 169.254.0.0/16: needs a zone where several interfaces exist. */
  get isLinkLocal(): boolean {
    return this.isV4 ? this.w3 >>> 16 === 0xa9fe : this.w0 >>> 22 === 0x3fa;
  }

  /** 255.255.255.255. */
  get isLimitedBroadcast(): boolean {
    return this.w3 === -1 && this.isV4;
  }

  toString(): string {
    return formatAddress(this);
  }
}

/** Third word of an IPv4-mapped address. */
export const MAPPED = 0x0000ffff;

export const anyV4 = (): Address => new Address(0, 0, MAPPED, 0);
export const anyV6 = (): Address => new Address(0, 0, 0, 0);
export const v4 = (word: number): Address => new Address(0, 0, MAPPED, word);

/** Mixes an address into 32 bits. Not secret: tables a stranger can fill use SipHash instead. */
export function mixAddress(h: number, a: Address): number {
  h = Math.imul(h ^ a.w3, 0x9e3779b1);
  h = Math.imul(h ^ (h >>> 15) ^ a.w2, 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13) ^ a.w1, 0xc2b2ae35);
  return Math.imul(h ^ (h >>> 16) ^ a.w0, 0x27d4eb2f);
}

/** True when the first `length` bits agree. IPv4 prefixes are given as 96 + n. Range of `length` [0, 128]. */
export function samePrefix(a: Address, b: Address, length: number): boolean {
  return sameBits(a.w0, b.w0, length) && sameBits(a.w1, b.w1, length - 32) && sameBits(a.w2, b.w2, length - 64) && sameBits(a.w3, b.w3, length - 96);
}

function sameBits(a: number, b: number, bits: number): boolean {
  if (bits <= 0) return true;
  return bits >= 32 ? a === b : (a ^ b) >>> (32 - bits) === 0;
}

/** Clears all bits behind the first `length` (IPv4: 96 + n). A new address. */
export function maskAddress(a: Address, length: number): Address {
  return new Address(maskWord(a.w0, length), maskWord(a.w1, length - 32), maskWord(a.w2, length - 64), maskWord(a.w3, length - 96));
}

function maskWord(word: number, bits: number): number {
  if (bits <= 0) return 0;
  return bits >= 32 ? word : word & (-1 << (32 - bits));
}

/** Order of addresses as 128-bit numbers; IPv4 lies within ::ffff:0:0/96. Negative, 0 or positive. */
export function compareAddresses(a: Address, b: Address): number {
  if (a.w0 !== b.w0) return a.w0 >>> 0 < b.w0 >>> 0 ? -1 : 1;
  if (a.w1 !== b.w1) return a.w1 >>> 0 < b.w1 >>> 0 ? -1 : 1;
  if (a.w2 !== b.w2) return a.w2 >>> 0 < b.w2 >>> 0 ? -1 : 1;
  if (a.w3 !== b.w3) return a.w3 >>> 0 < b.w3 >>> 0 ? -1 : 1;
  return 0;
}

/** Length of the common prefix in bits, [0, 128]. RFC 6724 §2.2. */
export function commonPrefix(a: Address, b: Address): number {
  if (a.w0 !== b.w0) return Math.clz32(a.w0 ^ b.w0);
  if (a.w1 !== b.w1) return 32 + Math.clz32(a.w1 ^ b.w1);
  if (a.w2 !== b.w2) return 64 + Math.clz32(a.w2 ^ b.w2);
  return 96 + Math.clz32(a.w3 ^ b.w3);
}

/** Text to address: dotted quad, or RFC 4291 §2.2 in all its forms without a zone. Null when it is neither. */
export function parseAddress(text: string): Address | null {
  if (!text.includes(':')) {
    const word = parseDotted(text);
    return word === null ? null : v4(word);
  }
  return parseV6(text);
}

function parseDotted(text: string): number | null {
  const parts = text.split('.');
  if (parts.length !== 4) return null;
  let word = 0;
  for (const part of parts) {
    if (!/^(0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return null;
    word = (word << 8) | Number(part);
  }
  return word | 0;
}

function parseV6(text: string): Address | null {
  const halves = text.split('::');
  if (halves.length > 2) return null;
  const head = parseGroups(halves[0] as string, halves.length === 1);
  const tail = halves.length === 2 ? parseGroups(halves[1] as string, true) : [];
  if (head === null || tail === null) return null;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return null;
  const g = [...head, ...new Array<number>(missing).fill(0), ...tail] as number[];
  const word = (i: number): number => ((g[i] as number) << 16) | (g[i + 1] as number);
  return new Address(word(0), word(2), word(4), word(6));
}

/** A dotted quad may stand only where the whole address ends. */
function parseGroups(text: string, ends: boolean): number[] | null {
  if (text === '') return [];
  const groups: number[] = [];
  const parts = text.split(':');
  for (const [i, part] of parts.entries()) {
    if (part.includes('.')) {
      const word = ends && i === parts.length - 1 ? parseDotted(part) : null;
      if (word === null) return null;
      groups.push(word >>> 16, word & 0xffff);
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(part)) return null;
      groups.push(Number.parseInt(part, 16));
    }
  }
  return groups;
}

/** Canonical text: dotted quad for IPv4, RFC 5952 for IPv6. */
export function formatAddress(a: Address): string {
  if (a.isV4) return `${a.w3 >>> 24}.${(a.w3 >>> 16) & 255}.${(a.w3 >>> 8) & 255}.${a.w3 & 255}`;
  const g = [a.w0 >>> 16, a.w0 & 0xffff, a.w1 >>> 16, a.w1 & 0xffff, a.w2 >>> 16, a.w2 & 0xffff, a.w3 >>> 16, a.w3 & 0xffff];
  let best = -1;
  let bestLength = 1;
  for (let i = 0; i < 8; i++) {
    let n = 0;
    while (i + n < 8 && g[i + n] === 0) n++;
    if (n > bestLength) [best, bestLength] = [i, n];
  }
  const hex = (from: number, to: number): string =>
    g
      .slice(from, to)
      .map((x) => x.toString(16))
      .join(':');
  return best < 0 ? hex(0, 8) : `${hex(0, best)}::${hex(best + bestLength, 8)}`;
}

/** An address with the length of its prefix, counted in the family's own bits: 24 for 10.0.0.1/24. */
export interface Prefix {
  readonly address: Address;
  readonly length: number;
}

/** "10.0.0.1/24" or "fd00::1/64"; a missing length means a host. Null when it is no prefix. */
export function parsePrefix(text: string): Prefix | null {
  const slash = text.indexOf('/');
  const address = parseAddress(slash < 0 ? text : text.slice(0, slash));
  if (address === null) return null;
  const bits = address.isV4 ? 32 : 128;
  if (slash < 0) return { address, length: bits };
  const length = text.slice(slash + 1);
  return /^\d{1,3}$/.test(length) && Number(length) <= bits ? { address, length: Number(length) } : null;
}

export const formatPrefix = (a: Address, length: number): string => `${formatAddress(a)}/${length}`;
