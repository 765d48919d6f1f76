/**
 * Keys of ESP and IKE SAs in Wireshark's own files (esp_sa, ikev2_decryption_table), so that a capture can be read. Whoever has these
 * lines reads the traffic: they are made only where somebody asks, and the stack keeps none of them.
 */
import { formatAddress } from '../base/address.js';
import type { Suite } from '../net/ipsec/algorithms.js';
import type { IkeSa } from '../net/ipsec/ike/ike-sa.js';
import { formatSpi, type Ipsec } from '../net/ipsec/ipsec.js';
import type { SaOptions } from '../net/ipsec/sa.js';

const hex = (bytes: Uint8Array): string => Array.from(bytes, (x) => x.toString(16).padStart(2, '0')).join('');

/** Wireshark's names, ESP first. It decodes neither ChaCha20-Poly1305 nor CCM nor implicit IVs. */
function espNames(suite: Suite): readonly [string, string] | null {
  const { cipher, integrity } = suite;
  if (cipher === null) return null;
  const icv = { 16: '16', 12: '12', 8: '8' }[cipher.icvLength];
  if (cipher.cipher.endsWith('gcm') && cipher.ivLength > 0) return [`AES-GCM with ${icv} octet ICV [RFC4106]`, 'NULL'];
  const check = {
    sha1: 'HMAC-SHA-1-96 [RFC2404]',
    sha256: 'HMAC-SHA-256-128 [RFC4868]',
    sha384: 'HMAC-SHA-384-192 [RFC4868]',
    sha512: 'HMAC-SHA-512-256 [RFC4868]',
  }[integrity?.name ?? ''];
  if (check === undefined) return null;
  if (cipher.name === 'null') return ['NULL', check];
  if (cipher.cipher.endsWith('cbc')) return ['AES-CBC [RFC3602]', check];
  return cipher.cipher.endsWith('ctr') ? ['AES-CTR [RFC3686]', check] : null;
}

/** One line of esp_sa; null for what Wireshark cannot decode. */
export function espLine(options: SaOptions): string | null {
  const names = espNames(options.suite);
  if (names === null || options.protocol === 'ah') return null;
  const { cipher } = options.suite;
  const end = (cipher?.keyLength ?? 0) + (cipher?.saltLength ?? 0);
  const key = (bytes: Uint8Array): string => (bytes.length === 0 ? '' : `0x${hex(bytes)}`);
  const family = options.source.isV4 ? 'IPv4' : 'IPv6';
  const fields = [
    family,
    formatAddress(options.source),
    formatAddress(options.destination),
    formatSpi(options.spi),
    names[0],
    key(options.keys.subarray(0, end)),
  ];
  return [...fields, names[1], key(options.keys.subarray(end))].map((field) => `"${field}"`).join(',');
}

const IKE_ENCR: Readonly<Record<string, string>> = {
  aes128gcm16: 'AES-GCM-128 with 16 octet ICV [RFC5282]',
  aes192gcm16: 'AES-GCM-192 with 16 octet ICV [RFC5282]',
  aes256gcm16: 'AES-GCM-256 with 16 octet ICV [RFC5282]',
  aes128: 'AES-CBC-128 [RFC3602]',
  aes192: 'AES-CBC-192 [RFC3602]',
  aes256: 'AES-CBC-256 [RFC3602]',
};
const IKE_INTEG: Readonly<Record<string, string>> = {
  sha1: 'HMAC_SHA1_96 [RFC2404]',
  sha256: 'HMAC_SHA2_256_128 [RFC4868]',
  sha384: 'HMAC_SHA2_384_192 [RFC4868]',
  sha512: 'HMAC_SHA2_512_256 [RFC4868]',
};

/** One line of ikev2_decryption_table; null for what Wireshark cannot decode. */
export function ikeLine(sa: IkeSa): string | null {
  const { keys, suite } = sa;
  const encr = IKE_ENCR[suite?.suite.cipher?.name ?? ''];
  if (keys === null || suite === null || encr === undefined) return null;
  const { cipher, integrity } = suite.suite;
  const end = (cipher?.keyLength ?? 0) + (cipher?.saltLength ?? 0);
  const [ei, er] = [keys.ei, keys.er].map((k) => hex(k.subarray(0, end)));
  const [ai, ar] = [keys.ei, keys.er].map((k) => hex(k.subarray(end)));
  const check = integrity === null ? 'NONE [RFC4306]' : IKE_INTEG[integrity.name];
  return `${hex(sa.spiI)},${hex(sa.spiR)},${ei},${er},"${encr}",${ai},${ar},"${check}"`;
}

/** From now on `line` gets each ESP SA's line as it is made; the return value ends that. IKE's go by IkeEvents.keys. */
export function exportEspKeys(ipsec: Ipsec, line: (text: string) => void): () => void {
  ipsec.onKeys = (options) => {
    const text = espLine(options);
    if (text !== null) line(text);
  };
  return () => {
    ipsec.onKeys = null;
  };
}
