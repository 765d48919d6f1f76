import { formatAddress } from '../../base/address.js';
import { type ResourceRecord, Type } from '../../wire/dns.js';
import { readName } from '../../wire/dns-name.js';

/** How node:dns shows one record of a type, and what it calls the question. */
interface Shape {
  readonly type: number;
  readonly syscall: string;
  show(record: ResourceRecord): unknown;
  /** Its members in an answer of resolveAny. */
  any(record: ResourceRecord): object;
}

const CAA = 257;
const NAPTR = 35;
const TLSA = 52;

const name = ({ data }: ResourceRecord): string => (data.kind === 'name' ? data.name : '');
const address = ({ data }: ResourceRecord): string => (data.kind === 'address' ? formatAddress(data.address) : '');
const text = (octets: Uint8Array): string => Buffer.from(octets).toString('latin1');
const value = (record: ResourceRecord): object => ({ value: name(record) });

function mx({ data }: ResourceRecord): object {
  return data.kind === 'mx' ? { exchange: data.exchange, priority: data.priority } : {};
}

function srv({ data }: ResourceRecord): object {
  return data.kind === 'srv' ? { name: data.name, port: data.port, priority: data.priority, weight: data.weight } : {};
}

function soa({ data }: ResourceRecord): object {
  if (data.kind !== 'soa') return {};
  const [serial, refresh, retry, expire, minttl] = data.numbers;
  return { nsname: data.nsname, hostmaster: data.hostmaster, serial, refresh, retry, expire, minttl };
}

const txt = ({ data }: ResourceRecord): string[] => (data.kind === 'txt' ? data.strings.map(text) : []);

/** RFC 8659 §4.1: flags, the length of the tag, the tag, the value. */
function caa({ data }: ResourceRecord): object {
  if (data.kind !== 'octets' || data.octets.length < 2) return {};
  const [critical = 0, length = 0] = data.octets;
  return { critical, [text(data.octets.subarray(2, 2 + length))]: text(data.octets.subarray(2 + length)) };
}

/** RFC 3403 §4.1: order, preference, three strings, a name that is not compressed. */
function naptr({ data }: ResourceRecord): object {
  const octets = data.kind === 'octets' ? data.octets : new Uint8Array();
  if (octets.length < 7) return {};
  const view = new DataView(octets.buffer, octets.byteOffset, octets.length);
  let at = 4;
  const [flags, service, regexp] = [0, 0, 0].map(() => {
    const end = at + 1 + (octets[at] ?? 0);
    const part = text(octets.subarray(at + 1, end));
    at = end;
    return part;
  });
  const replacement = readName(octets, 0, at, octets.length)?.name ?? '';
  return { flags, service, regexp, replacement, order: view.getUint16(0), preference: view.getUint16(2) };
}

/** RFC 6698 §2.1: usage, selector, how it is matched, the certificate or its hash. */
function tlsa({ data }: ResourceRecord): object {
  if (data.kind !== 'octets' || data.octets.length < 3) return {};
  const [certUsage, selector, match] = data.octets;
  return { certUsage, selector, match, data: data.octets.slice(3).buffer };
}

/** By the names that `resolve(name, rrtype)` takes. */
export const shapes = {
  A: { type: Type.A, syscall: 'queryA', show: address, any: (r) => ({ address: address(r), ttl: r.ttl }) },
  AAAA: { type: Type.AAAA, syscall: 'queryAaaa', show: address, any: (r) => ({ address: address(r), ttl: r.ttl }) },
  CAA: { type: CAA, syscall: 'queryCaa', show: caa, any: caa },
  CNAME: { type: Type.CNAME, syscall: 'queryCname', show: name, any: value },
  MX: { type: Type.MX, syscall: 'queryMx', show: mx, any: mx },
  NAPTR: { type: NAPTR, syscall: 'queryNaptr', show: naptr, any: naptr },
  NS: { type: Type.NS, syscall: 'queryNs', show: name, any: value },
  PTR: { type: Type.PTR, syscall: 'queryPtr', show: name, any: value },
  SOA: { type: Type.SOA, syscall: 'querySoa', show: soa, any: soa },
  SRV: { type: Type.SRV, syscall: 'querySrv', show: srv, any: srv },
  TLSA: { type: TLSA, syscall: 'queryTlsa', show: tlsa, any: tlsa },
  TXT: { type: Type.TXT, syscall: 'queryTxt', show: txt, any: (r) => ({ entries: txt(r) }) },
} as const satisfies Record<string, Shape>;

export type RrType = keyof typeof shapes;

/** A record in an answer of resolveAny; null for types Node does not show. */
export function showAny(record: ResourceRecord): object | null {
  const found = (Object.entries(shapes) as [RrType, Shape][]).find(([, shape]) => shape.type === record.type);
  return found === undefined ? null : { ...found[1].any(record), type: found[0] };
}
