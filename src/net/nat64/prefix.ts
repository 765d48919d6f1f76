import { type Address, maskAddress, parsePrefix, samePrefix } from '../../base/address.js';
import { ConfigError } from '../../base/errors.js';

/** Prefix lengths that translation knows: RFC 6052 §2.2. */
export const PREFIX_LENGTHS: readonly number[] = [32, 40, 48, 56, 64, 96];

/** RFC 6052 §2.1. */
export const WELL_KNOWN = '64:ff9b::/96';

/** A prefix from its text. Throws ConfigError, a sentence that begins with `place`, for what RFC 6052 §2.2 does not allow. */
export function parsePrefix64(text: string, place: string): Prefix64 {
  const prefix = parsePrefix(text);
  if (prefix === null || prefix.address.isV4 || !PREFIX_LENGTHS.includes(prefix.length))
    throw new ConfigError(
      `${place} '${text}' is no IPv6 prefix of ${PREFIX_LENGTHS.slice(0, -1).join(', ')} or ${PREFIX_LENGTHS.at(-1)} bits (RFC 6052 §2.2)`,
    );
  const { address, length } = prefix;
  if (length === 96 && address.w2 >>> 24 !== 0) throw new ConfigError(`${place} '${text}' is to have zeros in bits 64 to 71 (RFC 6052 §2.2)`);
  if (address.isMulticast || address.isLinkLocal) throw new ConfigError(`${place} '${text}' is not routed`);
  return new Prefix64(maskAddress(address, length), length);
}

/**
 * IPv4 addresses in IPv6 ones, behind a prefix: RFC 6052 §2.2. Octet 8 (u) is zero and is stepped over.
 *
 * ```
 *   32 | prefix  | v4(32)            | u | suffix …          64 | prefix               | u | v4(32) | suffix
 *   40 | prefix    | v4(24)          | u | (8)| suffix …     96 | prefix                             | v4(32) |
 * ```
 */
export class Prefix64 {
  readonly address: Address;
  /** One of PREFIX_LENGTHS. */
  readonly length: number;
  readonly wellKnown: boolean;

  constructor(address: Address, length: number) {
    this.address = address.clone();
    this.length = length;
    this.wellKnown = length === 96 && address.w0 === 0x0064ff9b && address.w1 === 0 && address.w2 === 0;
  }

  holds(a: Address): boolean {
    return samePrefix(a, this.address, this.length);
  }

  /** Puts the IPv6 form of an IPv4 address into `into`. */
  embed({ w3: v }: Address, into: Address): void {
    const { w0, w1, w2 } = this.address;
    switch (this.length) {
      case 32:
        return into.set(w0, v, 0, 0);
      case 40:
        return into.set(w0, w1 | (v >>> 8), (v & 0xff) << 16, 0);
      case 48:
        return into.set(w0, w1 | (v >>> 16), (v & 0xffff) << 8, 0);
      case 56:
        return into.set(w0, w1 | (v >>> 24), v & 0xffffff, 0);
      case 64:
        return into.set(w0, w1, v >>> 8, v << 24);
      default:
        return into.set(w0, w1, w2, v);
    }
  }

  /** The IPv4 address in an IPv6 one. False when it is none of this prefix, or octet 8 is not zero. What stands behind is not looked at. */
  extract(a: Address, into: Address): boolean {
    if (!this.holds(a) || (this.length < 96 && a.w2 >>> 24 !== 0)) return false;
    into.setV4(this.word(a));
    return true;
  }

  private word({ w1, w2, w3 }: Address): number {
    switch (this.length) {
      case 32:
        return w1;
      case 40:
        return (w1 << 8) | (w2 >>> 16);
      case 48:
        return (w1 << 16) | (w2 >>> 8);
      case 56:
        return (w1 << 24) | w2;
      case 64:
        return (w2 << 8) | (w3 >>> 24);
      default:
        return w3;
    }
  }

  /** May it stand for this address? Not behind the well-known prefix if it means another host elsewhere: RFC 6052 §3.1. */
  mayHold(v4: Address): boolean {
    return !this.wellKnown || isGlobal4(v4.w3);
  }
}

const range = (a: number, b: number, c: number, length: number): readonly [number, number] => [(a << 24) | (b << 16) | (c << 8) | 0, 32 - length];

/** RFC 5735 §3, which RFC 6052 §3.1 names, and RFC 6598. The documentation prefixes are among them in the RFC; here they are as good as any. */
const special = [
  range(0, 0, 0, 8),
  range(10, 0, 0, 8),
  range(100, 64, 0, 10),
  range(127, 0, 0, 8),
  range(169, 254, 0, 16),
  range(172, 16, 0, 12),
  range(192, 0, 0, 24),
  range(192, 168, 0, 16),
  range(198, 18, 0, 15),
];

/** Is a unicast IPv4 address one that means the same host everywhere? */
function isGlobal4(word: number): boolean {
  return !special.some(([base, shift]) => (word ^ base) >>> shift === 0);
}

/** May a packet be for or from this IPv4 host? */
export const isHost4 = ({ w3 }: Address): boolean => w3 >>> 24 !== 0 && w3 >>> 24 !== 127 && w3 >>> 28 < 14;
