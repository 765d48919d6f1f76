/** Distinguished names (RFC 5280 §4.1.2.4): 'C=CH, O=Example, CN=gw' and its DER, as ID_DER_ASN1_DN carries it. */
import { ConfigError } from '../../../base/errors.js';
import { join } from '../../../wire/ike-payload.js';
import { element, SEQUENCE } from './certificate.js';

const SET = 0x31;
const OID = 0x06;
const Text = { Utf8: 0x0c, Printable: 0x13, Teletex: 0x14, Ia5: 0x16 } as const;

/** Attribute types by their short names: RFC 4519, and the two of PKCS#9 and RFC 2247 that are seen. */
const TYPES: Readonly<Record<string, string>> = {
  C: '550406',
  ST: '550408',
  L: '550407',
  O: '55040a',
  OU: '55040b',
  CN: '550403',
  SERIALNUMBER: '550405',
  DC: '0992268993f22c640119',
  EMAILADDRESS: '2a864886f70d010901',
};
const NAMES = new Map(Object.entries(TYPES).map(([name, oid]) => [oid, name]));

const hex = (octets: Uint8Array): string => Array.from(octets, (octet) => octet.toString(16).padStart(2, '0')).join('');

/** One line in the order of the DER, types in capitals: equal for names that differ only in how their strings are stored. Null for what is no name. */
export function formatName(der: Uint8Array): string | null {
  const whole = element(der, 0, der.length);
  if (whole?.tag !== SEQUENCE || whole.end !== der.length) return null;
  const parts: string[] = [];
  for (let at = whole.value; at < whole.end; ) {
    const set = element(der, at, whole.end);
    const pair = set?.tag === SET ? element(der, set.value, set.end) : null;
    const type = pair?.tag === SEQUENCE ? element(der, pair.value, pair.end) : null;
    const value = type?.tag === OID && pair !== null ? element(der, type.end, pair.end) : null;
    if (set === null || type === null || value === null) return null;
    const oid = hex(der.subarray(type.value, type.end));
    parts.push(`${NAMES.get(oid) ?? oid}=${new TextDecoder().decode(der.subarray(value.value, value.end))}`);
    at = set.end;
  }
  return parts.join(', ');
}

const tlv = (tag: number, value: Uint8Array): Uint8Array =>
  join(value.length < 128 ? Uint8Array.of(tag, value.length) : Uint8Array.of(tag, 0x82, value.length >> 8, value.length & 255), value);

/** DER of 'C=CH, O=Example, CN=gw'. Throws ConfigError for a type that has no name here. */
export function parseName(text: string): Uint8Array {
  const parts = text.split(/\s*[,/]\s*(?=[A-Za-z]+\s*=)/).filter((part) => part !== '');
  const sets = parts.map((part) => {
    const [, name = '', value = ''] = /^\s*\/?([A-Za-z]+)\s*=\s*(.*?)\s*$/.exec(part) ?? [];
    const oid = TYPES[name.toUpperCase()] ?? TYPES[name.toUpperCase() === 'E' ? 'EMAILADDRESS' : ''];
    if (oid === undefined) throw new ConfigError(`identity '${text}': no attribute '${name}'; there is ${Object.keys(TYPES).join(', ')}`);
    const type = tlv(
      OID,
      Uint8Array.from(oid.match(/../g) ?? [], (octet) => Number.parseInt(octet, 16)),
    );
    const printable = /^[A-Za-z0-9 '()+,./:=?-]*$/.test(value);
    const tag = oid === TYPES['EMAILADDRESS'] || oid === TYPES['DC'] ? Text.Ia5 : printable ? Text.Printable : Text.Utf8;
    return tlv(SET, tlv(SEQUENCE, join(type, tlv(tag, new TextEncoder().encode(value)))));
  });
  return tlv(SEQUENCE, join(...sets));
}
