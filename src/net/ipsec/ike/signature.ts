/** Digital signatures of the AUTH payload: RFC 7427 with the algorithm named in ASN.1, RFC 8420, and the methods older than it. */
import { AuthMethod } from '../../../wire/ike-payload.js';

/** One way to sign. `hash` is its number in SIGNATURE_HASH_ALGORITHMS. */
interface Scheme {
  /** As Crypto.request has it. */
  readonly algorithm: string;
  readonly kind: 'rsa' | 'ecdsa' | 'ed25519';
  readonly hash: number;
  /** AlgorithmIdentifier, DER. */
  readonly der: Uint8Array;
}

const der = (hex: string): Uint8Array => Uint8Array.from(hex.match(/../g) ?? [], (x) => Number.parseInt(x, 16));

/**
 * RSASSA-PSS with its hash for the mask too, and a salt as long as the hash: RFC 8017 §A.2.3. `h` is the last octet of the hash's OID. With the
 * default trailer field left out, as DER has it, or written down, as RFC 7427 §A.4.3 does.
 */
const pss = (h: string, salt: string, trailer = false): Uint8Array =>
  der(
    `30${trailer ? '46' : '41'}06092a864886f70d01010a30${trailer ? '39' : '34'}a00f300d060960864801650304020${h}0500` +
      `a11c301a06092a864886f70d010108300d060960864801650304020${h}0500a2030201${salt}${trailer ? 'a303020101' : ''}`,
  );

/** Preferred first, per kind of key. */
const schemes: readonly Scheme[] = [
  { algorithm: 'ed25519', kind: 'ed25519', hash: 5, der: der('300506032b6570') },
  { algorithm: 'ecdsa-sha256', kind: 'ecdsa', hash: 2, der: der('300a06082a8648ce3d040302') },
  { algorithm: 'ecdsa-sha384', kind: 'ecdsa', hash: 3, der: der('300a06082a8648ce3d040303') },
  { algorithm: 'ecdsa-sha512', kind: 'ecdsa', hash: 4, der: der('300a06082a8648ce3d040304') },
  { algorithm: 'rsa-pss-sha256', kind: 'rsa', hash: 2, der: pss('1', '20') },
  { algorithm: 'rsa-pss-sha384', kind: 'rsa', hash: 3, der: pss('2', '30') },
  { algorithm: 'rsa-pss-sha512', kind: 'rsa', hash: 4, der: pss('3', '40') },
  { algorithm: 'rsa-pss-sha256', kind: 'rsa', hash: 2, der: pss('1', '20', true) },
  { algorithm: 'rsa-pss-sha384', kind: 'rsa', hash: 3, der: pss('2', '30', true) },
  { algorithm: 'rsa-pss-sha512', kind: 'rsa', hash: 4, der: pss('3', '40', true) },
  { algorithm: 'rsa-sha256', kind: 'rsa', hash: 2, der: der('300d06092a864886f70d01010b0500') },
  { algorithm: 'rsa-sha384', kind: 'rsa', hash: 3, der: der('300d06092a864886f70d01010c0500') },
  { algorithm: 'rsa-sha512', kind: 'rsa', hash: 4, der: der('300d06092a864886f70d01010d0500') },
];

/** Hash that goes with an ECDSA key: RFC 8247 §3 asks for a strength like the curve's. */
const ECDSA_HASH: Readonly<Record<string, number>> = { 'ecdsa-256': 2, 'ecdsa-384': 3, 'ecdsa-521': 4 };

/**
 * The scheme for a key of `kind` ('rsa', 'ecdsa-256', …, 'ed25519') towards a peer that verifies `hashes`; null when there is none. PKCS#1
 * v1.5 is preferred for RSA: peers that verify PSS take it too, the reverse is not so (RFC 8247 §3 has both).
 */
export function schemeFor(kind: string, hashes: ReadonlySet<number>): Scheme | null {
  const family = kind.split('-')[0];
  const wanted = ECDSA_HASH[kind];
  const fits = schemes.filter((s) => s.kind === family && hashes.has(s.hash) && !s.algorithm.startsWith('rsa-pss'));
  return fits.find((s) => s.hash === wanted) ?? fits[0] ?? null;
}

/** AUTH data of method 14: the identifier's length, the identifier, the signature. RFC 7427 §3. */
export function putSignature(scheme: { readonly der: Uint8Array }, signature: Uint8Array): Uint8Array {
  const out = new Uint8Array(1 + scheme.der.length + signature.length);
  out[0] = scheme.der.length;
  out.set(scheme.der, 1);
  out.set(signature, 1 + scheme.der.length);
  return out;
}

/** What a received AUTH payload asks to be verified: algorithm and signature; null when nothing here verifies it. */
export function readSignature(method: number, data: Uint8Array): { algorithm: string; signature: Uint8Array } | null {
  if (method === AuthMethod.Rsa) return { algorithm: 'rsa-sha1', signature: data };
  const plain = RAW_ECDSA.get(method);
  if (plain !== undefined) {
    const signature = derOfRaw(data, plain.octets);
    return signature === null ? null : { algorithm: plain.algorithm, signature };
  }
  const length = data[0];
  if (method !== AuthMethod.Signature || length === undefined || data.length < 1 + length) return null;
  const name = data.subarray(1, 1 + length);
  const scheme = schemes.find((s) => s.der.length === name.length && s.der.every((x, i) => x === name[i]));
  return scheme === undefined ? null : { algorithm: scheme.algorithm, signature: data.subarray(1 + length) };
}

/** RFC 4754: r and s one after the other. */
const RAW_ECDSA = new Map([
  [AuthMethod.Ecdsa256, { algorithm: 'ecdsa-sha256', octets: 32 }],
  [AuthMethod.Ecdsa384, { algorithm: 'ecdsa-sha384', octets: 48 }],
  [AuthMethod.Ecdsa521, { algorithm: 'ecdsa-sha512', octets: 66 }],
] as [number, { algorithm: string; octets: number }][]);

function derOfRaw(raw: Uint8Array, octets: number): Uint8Array | null {
  if (raw.length !== 2 * octets) return null;
  const integer = (value: Uint8Array): number[] => {
    let at = 0;
    while (at < value.length - 1 && value[at] === 0) at++;
    const body = [...value.subarray(at)];
    if ((body[0] as number) & 0x80) body.unshift(0);
    return [2, body.length, ...body];
  };
  const body = [...integer(raw.subarray(0, octets)), ...integer(raw.subarray(octets))];
  return Uint8Array.from(body.length < 128 ? [0x30, body.length, ...body] : [0x30, 0x81, body.length, ...body]);
}
