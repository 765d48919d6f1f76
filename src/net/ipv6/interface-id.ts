import { Address } from '../../base/address.js';
import { SipHash } from '../../base/siphash.js';
import type { Hypercalls } from '../../hyper/hypercalls.js';
import type { Interface } from '../interface.js';

/** Where the secret of stable identifiers is kept. */
const SECRET_KEY = 'ipv6-stable-secret';
const SECRET_LEN = 16;
/** Longest interface name that counts in full, in 4-octet words. */
const NAME_WORDS = 16;

/** The two words of an interface identifier: an address's low half. */
export interface InterfaceId {
  readonly high: number;
  readonly low: number;
}

/** Modified EUI-64 of the station address: RFC 4291 appendix A, RFC 2464 §4. */
export const eui64 = (iface: Interface): InterfaceId => ({
  high: ((iface.macHigh ^ 0x0200) << 16) | ((iface.macLow >>> 16) & 0xff00) | 0xff,
  low: 0xfe000000 | (iface.macLow & 0xffffff),
});

/** Identifiers nobody may take: the subnet-router anycast, IANA's block and reserved anycasts (RFC 5453, RFC 2526). */
export function isReserved(id: InterfaceId): boolean {
  if (id.high === 0 && id.low === 0) return true;
  if (id.high === 0x02005eff && id.low >>> 24 === 0xfe) return true;
  return id.high === (0xfdffffff | 0) && id.low >>> 0 >= 0xffffff80;
}

export const withPrefix = (prefix: Address, id: InterfaceId): Address => new Address(prefix.w0, prefix.w1, id.high, id.low);

/**
 * Semantically opaque identifiers: RFC 7217 §5 with SipHash-2-4 as F, whose key lives in the host's store, so that an interface
 * has the same addresses on the same network after a restart, and others on another. Net_Iface is the interface's name: it
 * outlives the card.
 */
export class StableIds {
  private readonly hash: SipHash;

  constructor(hyper: Hypercalls) {
    let secret = hyper.store.get(SECRET_KEY);
    if (secret === null || secret.length !== SECRET_LEN) {
      secret = new Uint8Array(SECRET_LEN);
      hyper.random(secret);
      hyper.store.set(SECRET_KEY, secret);
    }
    const view = new DataView(secret.buffer, secret.byteOffset, SECRET_LEN);
    this.hash = new SipHash(
      Int32Array.of(view.getInt32(0, true), view.getInt32(4, true), view.getInt32(8, true), view.getInt32(12, true)),
      4 + NAME_WORDS,
    );
  }

  /** The identifier for a prefix on an interface after `dadCounter` duplicates. */
  of(iface: Interface, prefix: Address, dadCounter: number): InterfaceId {
    const { input } = this.hash;
    for (let counter = dadCounter; ; counter += 256) {
      input.fill(0);
      input[0] = prefix.w0;
      input[1] = prefix.w1;
      input[2] = counter;
      input[3] = iface.name.length;
      for (let i = 0; i < Math.min(iface.name.length, 4 * NAME_WORDS); i++)
        input[4 + (i >> 2)] = (input[4 + (i >> 2)] as number) | ((iface.name.charCodeAt(i) & 255) << (8 * (i & 3)));
      const low = this.hash.words(input.length);
      const id = { high: this.hash.hi, low };
      if (!isReserved(id)) return id;
    }
  }
}

/** A random identifier: RFC 8981 §3.3.1. */
export function randomId(hyper: Hypercalls): InterfaceId {
  const octets = new Uint8Array(8);
  const view = new DataView(octets.buffer);
  for (;;) {
    hyper.random(octets);
    const id = { high: view.getInt32(0), low: view.getInt32(4) };
    if (!isReserved(id)) return id;
  }
}
