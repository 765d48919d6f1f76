/** The little of X.509 that IKE itself reads: where a certificate's public key is, for CERTREQ (RFC 7296 §3.7). */
import type { Crypto } from '../../../hyper/crypto.js';
import { CertEncoding, join } from '../../../wire/ike-payload.js';
import type { Auth } from './connection.js';

/** DER's tag of an ordered list. */
export const SEQUENCE = 0x30;
const VERSION = 0xa0;

/** One DER element at `at`: its tag, where its value begins and where it ends; null when it runs past `end`. */
export function element(der: Uint8Array, at: number, end: number): { tag: number; value: number; end: number } | null {
  if (end - at < 2) return null;
  let length = der[at + 1] as number;
  let value = at + 2;
  if (length & 0x80) {
    const octets = length & 0x7f;
    if (octets === 0 || octets > 3 || end - value < octets) return null;
    length = 0;
    for (let i = 0; i < octets; i++) length = (length << 8) | (der[value++] as number);
  }
  return length > end - value ? null : { tag: der[at] as number, value, end: value + length };
}

/** The SubjectPublicKeyInfo of a certificate in DER (RFC 5280 §4.1), or null when it is none. */
export const publicKeyInfo = (certificate: Uint8Array): Uint8Array | null => field(certificate, 5);

/** Its subject, a Name. */
export const subjectOf = (certificate: Uint8Array): Uint8Array | null => field(certificate, 4);

/** The sequence that stands behind `before` others: serial number, signature, issuer, validity, subject, key. */
function field(certificate: Uint8Array, before: number): Uint8Array | null {
  const whole = element(certificate, 0, certificate.length);
  const tbs = whole?.tag === SEQUENCE ? element(certificate, whole.value, whole.end) : null;
  if (tbs?.tag !== SEQUENCE) return null;
  let at = tbs.value;
  // An optional version; then serial number, signature, issuer, validity, subject.
  const first = element(certificate, at, tbs.end);
  for (let skip = first?.tag === VERSION ? before + 1 : before; skip > 0; skip--) {
    const next = element(certificate, at, tbs.end);
    if (next === null) return null;
    at = next.end;
  }
  const key = element(certificate, at, tbs.end);
  return key?.tag === SEQUENCE ? certificate.slice(at, key.end) : null;
}

/** The body of a CERTREQ payload that names the authorities we accept: SHA-1 of their keys. Null when no certificate is wanted. */
export function certificateRequest(crypto: Crypto, auths: readonly Auth[]): Uint8Array | null {
  const wanted = auths.filter((auth) => auth.method === 'pubkey');
  if (wanted.length === 0) return null;
  const keys = wanted.flatMap((auth) => auth.anchors).flatMap((anchor) => publicKeyInfo(anchor) ?? []);
  return join(Uint8Array.of(CertEncoding.X509), ...keys.map((key) => crypto.hash('sha1', key)));
}
