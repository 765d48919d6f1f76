import { type Address, maskAddress, samePrefix } from '../../base/address.js';

/** IPv6 prefix and IPv4 prefix whose hosts are the same, one for one: RFC 7757 §3.1. Both have equally many addresses. */
export interface Mapped {
  readonly v6: Address;
  readonly v4: Address;
  /** Bits of the host part, [0, 32]. */
  readonly bits: number;
}

/** Explicit address mappings, longest prefix first. */
export class AddressMap {
  readonly all: readonly Mapped[];

  constructor(all: readonly Mapped[]) {
    this.all = [...all].sort((a, b) => a.bits - b.bits);
  }

  /** The IPv4 address of an IPv6 one. False: it has none. */
  toIpv4(a: Address, into: Address): boolean {
    const found = this.all.find(({ v6, bits }) => samePrefix(a, v6, 128 - bits));
    if (found === undefined) return false;
    into.setV4(found.v4.w3 | hostPart(a.w3, found.bits));
    return true;
  }

  /** The opposite. */
  toIpv6(a: Address, into: Address): boolean {
    const found = this.all.find(({ v4, bits }) => samePrefix(a, v4, 128 - bits));
    if (found === undefined) return false;
    const { v6, bits } = found;
    into.set(v6.w0, v6.w1, v6.w2, v6.w3 | hostPart(a.w3, bits));
    return true;
  }
}

/** A mapping with its host parts cleared. */
export const mapped = (v6: Address, v4: Address, bits: number): Mapped => ({
  v6: maskAddress(v6, 128 - bits),
  v4: maskAddress(v4, 128 - bits),
  bits,
});

const hostPart = (word: number, bits: number): number => (bits === 32 ? word : word & ((1 << bits) - 1));
