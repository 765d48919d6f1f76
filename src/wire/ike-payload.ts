/** The bodies of IKEv2 payloads other than SA: RFC 7296 §3.4 to §3.15. Readers answer null for what does not fit its own bounds. */
import { Address } from '../base/address.js';
import { viewOf } from './ike.js';

/** Traffic selectors of one payload; more are refused. */
const SELECTORS_MAX = 64;
/** Attributes of one configuration payload. */
const ATTRIBUTES_MAX = 64;

/** Joins octets. */
export function join(...parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((n, part) => n + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** | group | 0 | value … RFC 7296 §3.4. */
export function readKe(body: Uint8Array): { group: number; value: Uint8Array } | null {
  return body.length < 4 ? null : { group: viewOf(body).getUint16(0), value: body.subarray(4) };
}

export const putKe = (group: number, value: Uint8Array): Uint8Array => join(Uint8Array.of(group >> 8, group & 255, 0, 0), value);

/** RFC 7296 §3.9: 16 to 256 octets. */
export const soundNonce = (body: Uint8Array): boolean => body.length >= 16 && body.length <= 256;

/** Identification types. RFC 7296 §3.5. */
export const IdType = { Ipv4: 1, Fqdn: 2, Email: 3, Ipv6: 5, Dn: 9, Gn: 10, KeyId: 11 } as const;

/** | type | 0 0 0 | data … RFC 7296 §3.5. */
export function readId(body: Uint8Array): { type: number; data: Uint8Array } | null {
  return body.length < 4 ? null : { type: body[0] as number, data: body.subarray(4) };
}

export const putId = (type: number, data: Uint8Array): Uint8Array => join(Uint8Array.of(type, 0, 0, 0), data);

/** Authentication methods. RFC 7296 §3.8, RFC 7427 §3. */
export const AuthMethod = { Rsa: 1, SharedKey: 2, Ecdsa256: 9, Ecdsa384: 10, Ecdsa521: 11, Signature: 14 } as const;

/** | method | 0 0 0 | data … */
export function readAuth(body: Uint8Array): { method: number; data: Uint8Array } | null {
  return body.length < 4 ? null : { method: body[0] as number, data: body.subarray(4) };
}

export const putAuth = (method: number, data: Uint8Array): Uint8Array => join(Uint8Array.of(method, 0, 0, 0), data);

/** Certificate encodings. RFC 7296 §3.6. */
export const CertEncoding = { X509: 4 } as const;

/** A Notify payload: RFC 7296 §3.10. */
export interface Notify {
  readonly protocol: number;
  readonly spi: Uint8Array;
  readonly type: number;
  readonly data: Uint8Array;
}

/** | protocol | SPI size | type | SPI … | data … RFC 7296 §3.10. */
export function readNotify(body: Uint8Array): Notify | null {
  if (body.length < 4) return null;
  const spiSize = body[1] as number;
  if (4 + spiSize > body.length) return null;
  return { protocol: body[0] as number, type: viewOf(body).getUint16(2), spi: body.subarray(4, 4 + spiSize), data: body.subarray(4 + spiSize) };
}

export const putNotify = (type: number, data: Uint8Array = new Uint8Array(), protocol = 0, spi: Uint8Array = new Uint8Array()): Uint8Array =>
  join(Uint8Array.of(protocol, spi.length, type >> 8, type & 255), spi, data);

/** | protocol | SPI size | count | SPIs … RFC 7296 §3.11. */
export function readDelete(body: Uint8Array): { protocol: number; spis: Uint8Array[] } | null {
  if (body.length < 4) return null;
  const size = body[1] as number;
  const count = viewOf(body).getUint16(2);
  if (4 + size * count !== body.length) return null;
  return {
    protocol: body[0] as number,
    spis: size === 0 ? [] : Array.from({ length: count }, (_, i) => body.subarray(4 + i * size, 4 + (i + 1) * size)),
  };
}

/** A Delete payload (RFC 7296 §3.11): SPIs of one protocol, all of one length; none for the IKE SA itself. */
export function putDelete(protocol: number, spis: readonly Uint8Array[]): Uint8Array {
  const size = spis[0]?.length ?? 0;
  return join(Uint8Array.of(protocol, size, spis.length >> 8, spis.length & 255), ...spis);
}

/** One traffic selector. Addresses of one family; ports as in RFC 7296 §3.13.1. */
export interface TrafficSelector {
  readonly protocol: number;
  readonly firstPort: number;
  readonly lastPort: number;
  readonly first: Address;
  readonly last: Address;
}

const TS_IPV4 = 7;
const TS_IPV6 = 8;

/** | count | 0 0 0 | selectors: | type | protocol | length | first port | last port | first | last | RFC 7296 §3.13. Unknown types are left out. */
export function readTrafficSelectors(body: Uint8Array): TrafficSelector[] | null {
  if (body.length < 4) return null;
  const view = viewOf(body);
  const count = view.getUint8(0);
  if (count > SELECTORS_MAX) return null;
  const selectors: TrafficSelector[] = [];
  let at = 4;
  for (let i = 0; i < count; i++) {
    if (body.length - at < 8) return null;
    const type = view.getUint8(at);
    const length = view.getUint16(at + 2);
    if (length < 8 || length > body.length - at) return null;
    if ((type === TS_IPV4 && length !== 16) || (type === TS_IPV6 && length !== 40)) return null;
    if (type === TS_IPV4 || type === TS_IPV6) {
      const octets = type === TS_IPV4 ? 4 : 16;
      selectors.push({
        protocol: view.getUint8(at + 1),
        firstPort: view.getUint16(at + 4),
        lastPort: view.getUint16(at + 6),
        first: readAddress(body.subarray(at + 8, at + 8 + octets)),
        last: readAddress(body.subarray(at + 8 + octets, at + 8 + 2 * octets)),
      });
    }
    at += length;
  }
  return at === body.length ? selectors : null;
}

/** A TSi or TSr payload (RFC 7296 §3.13). */
export function putTrafficSelectors(selectors: readonly TrafficSelector[]): Uint8Array {
  const parts = selectors.map((s) => {
    const first = addressOctets(s.first);
    const length = 8 + 2 * first.length;
    const type = s.first.isV4 ? TS_IPV4 : TS_IPV6;
    const head = Uint8Array.of(type, s.protocol, 0, length, s.firstPort >> 8, s.firstPort & 255, s.lastPort >> 8, s.lastPort & 255);
    return join(head, first, addressOctets(s.last));
  });
  return join(Uint8Array.of(selectors.length, 0, 0, 0), ...parts);
}

/** An address of 4 or 16 octets. */
export function readAddress(octets: Uint8Array): Address {
  const view = viewOf(octets);
  const address = new Address();
  if (octets.length === 4) address.setV4(view.getInt32(0));
  else address.set(view.getInt32(0), view.getInt32(4), view.getInt32(8), view.getInt32(12));
  return address;
}

/** Its 4 or 16 octets. */
export function addressOctets(a: Address): Uint8Array {
  const words = a.isV4 ? [a.w3] : [a.w0, a.w1, a.w2, a.w3];
  const out = new Uint8Array(4 * words.length);
  for (const [i, word] of words.entries()) viewOf(out).setInt32(4 * i, word);
  return out;
}

/** Configuration payload types and attributes. RFC 7296 §3.15. */
export const ConfigType = { Request: 1, Reply: 2, Set: 3, Ack: 4 } as const;
export const ConfigAttribute = { Ipv4Address: 1, Ipv4Netmask: 2, Ipv4Dns: 3, Ipv6Address: 8, Ipv6Dns: 10, Ipv4Subnet: 13, Ipv6Subnet: 15 } as const;

/** | type | 0 0 0 | attributes: | 0 type(15) | length | value … */
export function readConfig(body: Uint8Array): { type: number; attributes: { type: number; value: Uint8Array }[] } | null {
  if (body.length < 4) return null;
  const view = viewOf(body);
  const attributes: { type: number; value: Uint8Array }[] = [];
  for (let at = 4; at < body.length; ) {
    if (body.length - at < 4 || attributes.length === ATTRIBUTES_MAX) return null;
    const length = view.getUint16(at + 2);
    if (length > body.length - at - 4) return null;
    attributes.push({ type: view.getUint16(at) & 0x7fff, value: body.subarray(at + 4, at + 4 + length) });
    at += 4 + length;
  }
  return { type: view.getUint8(0), attributes };
}

/** A Configuration payload (RFC 7296 §3.15). */
export function putConfig(type: number, attributes: readonly { readonly type: number; readonly value: Uint8Array }[]): Uint8Array {
  const parts = attributes.map((a) => join(Uint8Array.of(a.type >> 8, a.type & 255, a.value.length >> 8, a.value.length & 255), a.value));
  return join(Uint8Array.of(type, 0, 0, 0), ...parts);
}
