// hot: bench/packet/forward
import type { Interfaces } from '../interfaces.js';

/** Bits of the filter for each address: one in 64 packets of others goes the long road for nothing. */
const BITS_EACH = 64;
const BITS_MIN = 8_192;

/**
 * Our own addresses and the broadcast addresses of our subnets, of all interfaces and VRFs, as a filter of one bit each: "no" is
 * certain, "yes" means that somebody has to look. IPv4 addresses are given in the first word.
 */
export class SpecialAddresses {
  /** Routes.epoch it was made at. */
  epoch = 0;
  private readonly interfaces: Interfaces;
  private bits = new Int32Array(BITS_MIN >>> 5);
  private shift = 32 - Math.log2(BITS_MIN);

  constructor(interfaces: Interfaces) {
    this.interfaces = interfaces;
  }

  has(a: number, b: number, c: number, d: number): boolean {
    const n = this.place(a, b, c, d);
    return ((this.bits[n >>> 5] as number) & (1 << (n & 31))) !== 0;
  }

  /** Either of two IPv4 addresses: one call where a forwarded packet had two. */
  either(a: number, b: number): boolean {
    const { bits, shift } = this;
    const m = mix4(a) >>> shift;
    const n = mix4(b) >>> shift;
    return ((((bits[m >>> 5] as number) >>> (m & 31)) | ((bits[n >>> 5] as number) >>> (n & 31))) & 1) !== 0;
  }

  /** Makes it anew. */
  renew(epoch: number): void {
    this.epoch = epoch;
    let count = 0;
    for (const { addresses } of this.interfaces.all) count += addresses.length;
    const size = Math.max(BITS_MIN, 2 ** Math.ceil(Math.log2(count * BITS_EACH + 1)));
    if (size >>> 5 === this.bits.length) this.bits.fill(0);
    else this.bits = new Int32Array(size >>> 5);
    this.shift = 32 - Math.log2(size);
    for (const { addresses } of this.interfaces.all) {
      for (const { address, broadcast } of addresses) {
        if (address.isV4) this.add(address.w3, 0, 0, 0);
        else this.add(address.w3, address.w2, address.w1, address.w0);
        if (broadcast !== 0) this.add(broadcast, 0, 0, 0);
      }
    }
  }

  private add(a: number, b: number, c: number, d: number): void {
    const n = this.place(a, b, c, d);
    this.bits[n >>> 5] = (this.bits[n >>> 5] as number) | (1 << (n & 31));
  }

  private place(a: number, b: number, c: number, d: number): number {
    return mix4(a ^ Math.imul(b ^ Math.imul(c ^ Math.imul(d, 0x27d4eb2f), 0xc2b2ae35), 0x85ebca6b)) >>> this.shift;
  }
}

/** Of an IPv4 address, and of what the words of an IPv6 address make. */
const mix4 = (word: number): number => Math.imul(word, 0x9e3779b1);
