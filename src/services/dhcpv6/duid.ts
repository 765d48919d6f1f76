import { halfSipHash } from '../../base/siphash.js';
import type { Hypercalls } from '../../hyper/hypercalls.js';

/** Where a host keeps its DUID. */
const KEY = 'dhcp6-duid';
/** DUID-UUID: RFC 6355, RFC 9915 §11.5. Octets with its type. */
const TYPE_UUID = 4;
const LENGTH = 18;
/** RFC 9915 §11.1: at most 128 octets and the type. */
export const DUID_MAX = 130;

/** The DHCP unique identifier of this host, for clients and servers alike: random once, then the store's. */
export function duidOf(hyper: Hypercalls): Uint8Array {
  const kept = hyper.store.get(KEY);
  if (kept !== null && kept.length === LENGTH) return kept;
  const duid = new Uint8Array(LENGTH);
  hyper.random(duid);
  duid[0] = 0;
  duid[1] = TYPE_UUID;
  duid[8] = ((duid[8] as number) & 0x0f) | 0x40; // RFC 9562 §5.4: version 4, variant 10
  duid[10] = ((duid[10] as number) & 0x3f) | 0x80;
  hyper.store.set(KEY, duid);
  return duid;
}

/** An identity association's number: the same for an interface's name over restarts (RFC 9915 §12). */
export function iaidOf(name: string): number {
  const words = Int32Array.from({ length: Math.ceil(name.length / 2) }, (_, i) => (name.charCodeAt(2 * i) << 16) | (name.charCodeAt(2 * i + 1) || 0));
  return halfSipHash(Int32Array.of(0, 0), words, words.length) >>> 0;
}

/** A DUID as a key and for people: hexadecimal. */
export const duidText = (duid: Uint8Array): string => Array.from(duid, (octet) => octet.toString(16).padStart(2, '0')).join('');
