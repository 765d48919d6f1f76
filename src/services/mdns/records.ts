/** What a responder owns, and what of it answers a question. Pure. RFC 6762, RFC 6763. */
import { formatAddress } from '../../base/address.js';
import type { Interface } from '../../net/interface.js';
import type { MdnsQuestion, MdnsRecord } from './bus.js';

/** A service as it is advertised. */
export interface MdnsService {
  /** For people: 'Boiler 2'. */
  readonly name: string;
  /** '_http._tcp'. RFC 6763 §7. */
  readonly type: string;
  readonly port: number;
  /** Keys and values for programs. RFC 6763 §6. */
  readonly txt?: Readonly<Record<string, string>>;
}

/** RFC 6762 §10: two minutes for what has a host's name in it, 75 for the rest. */
const HOST_TTL = 120;
const OTHER_TTL = 4_500;
/** RFC 6763 §9. */
const TYPES = '_services._dns-sd._udp.local';

/** What SRV records say. */
export interface ServerData {
  readonly port: number;
  readonly target: string;
}

/** Our host's addresses on one interface. */
export function hostRecords(iface: Interface, host: string): MdnsRecord[] {
  const usable = iface.addresses.filter((a) => a.state !== 'tentative');
  return usable.map(({ address }) => ({
    name: `${host}.local`,
    type: address.isV4 ? 'A' : 'AAAA',
    ttl: HOST_TTL,
    flush: true,
    data: formatAddress(address),
  }));
}

/** The four records of a service. */
export function serviceRecords({ type, port, txt = {} }: MdnsService, instance: string, host: string): MdnsRecord[] {
  const name = `${instance}.${type}.local`;
  const pairs = Object.entries(txt).map(([key, value]) => Buffer.from(`${key}=${value}`));
  return [
    { name, type: 'SRV', ttl: HOST_TTL, flush: true, data: { priority: 0, weight: 0, port, target: `${host}.local` } },
    { name, type: 'TXT', ttl: OTHER_TTL, flush: true, data: pairs.length === 0 ? [Buffer.alloc(0)] : pairs },
    { name: `${type}.local`, type: 'PTR', ttl: OTHER_TTL, data: name },
    { name: TYPES, type: 'PTR', ttl: OTHER_TTL, data: `${type}.local` },
  ];
}

/** Names are compared without regard to the case of ASCII letters (RFC 6762 §16). */
export const sameName = (a: string, b: string): boolean => a === b || a.toLowerCase() === b.toLowerCase();

/** Answers of ours to one question; where a name is ours alone and has none of the type, a record that says so (RFC 6762 §6.1). */
export function answersTo({ name, type }: MdnsQuestion, own: readonly MdnsRecord[]): readonly MdnsRecord[] {
  const named = own.filter((r) => sameName(r.name, name));
  const found = named.filter((r) => type === 'ANY' || r.type === type);
  const unique = named.find((r) => r.flush === true);
  if (found.length > 0 || unique === undefined) return found;
  const rrtypes = [...new Set(named.map((r) => r.type))];
  return [{ name: unique.name, type: 'NSEC', ttl: unique.ttl, flush: true, data: { nextDomain: unique.name, rrtypes } }];
}

/** What who got `answers` will ask for next. RFC 6763 §12. */
export function additionalTo(answers: readonly MdnsRecord[], own: readonly MdnsRecord[]): MdnsRecord[] {
  const names = answers.flatMap((r) => (r.type === 'PTR' ? [r.data as string] : r.type === 'SRV' ? [(r.data as ServerData).target] : []));
  const next = own.filter((r) => names.some((name) => sameName(name, r.name)) && r.type !== 'PTR');
  const fresh = next.filter((r) => !answers.includes(r));
  return fresh.length === 0 ? [] : [...new Set([...fresh, ...additionalTo(fresh, own)])].filter((r) => !answers.includes(r));
}

/** RFC 6762 §7.1: the asker has it, and will have it for half its life. */
export const known = (record: MdnsRecord, answers: readonly MdnsRecord[]): boolean =>
  answers.some((a) => sameRecord(a, record) && 2 * a.ttl >= record.ttl);

/** Same name, type and data. */
export const sameRecord = (a: MdnsRecord, b: MdnsRecord): boolean =>
  a.type === b.type && sameName(a.name, b.name) && Buffer.compare(rdata(a), rdata(b)) === 0;

/** Of two who claim one name at one time the later in this order keeps it. RFC 6762 §8.2.1. */
export function compareSets(a: readonly MdnsRecord[], b: readonly MdnsRecord[]): number {
  const sorted = (all: readonly MdnsRecord[]): Buffer[] =>
    all.map((r) => Buffer.concat([Buffer.from([0, numbers[r.type] ?? 255]), rdata(r)])).sort(Buffer.compare);
  const [left, right] = [sorted(a), sorted(b)];
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    const order = Buffer.compare(left[i] as Buffer, right[i] as Buffer);
    if (order !== 0) return order;
  }
  return left.length - right.length;
}

const numbers: Readonly<Record<string, number>> = { A: 1, PTR: 12, TXT: 16, AAAA: 28, SRV: 33 };

/** A record's data in an order that both sides have, names without compression. */
function rdata({ type, data }: MdnsRecord): Buffer {
  switch (type) {
    case 'SRV': {
      const { priority = 0, weight = 0, port, target } = data as ServerData & { priority?: number; weight?: number };
      return Buffer.concat([Buffer.from([priority, weight, port].flatMap((n) => [n >> 8, n & 255])), wireName(target)]);
    }
    case 'TXT':
      return Buffer.concat([data].flat().map((text) => Buffer.concat([Buffer.from([(text as Buffer).length]), Buffer.from(text as Buffer)])));
    case 'PTR':
      return wireName(data as string);
    case 'A':
      return Buffer.from((data as string).split('.').map(Number));
    default:
      return Buffer.from(JSON.stringify(data) ?? '');
  }
}

const wireName = (name: string): Buffer =>
  Buffer.from(
    `${name
      .toLowerCase()
      .split('.')
      .map((label) => String.fromCharCode(label.length) + label)
      .join('')}\0`,
    'latin1',
  );
