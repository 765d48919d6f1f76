import { type Address, type Prefix, v4 } from '../../base/address.js';
import { type Micros, seconds } from '../../base/time.js';
import { type DhcpMessage, Option, parse, write } from '../../wire/dhcp.js';
import { readName } from '../../wire/dns-name.js';

/** Seconds that stand for ever. RFC 2131 §3.3. */
export const INFINITE = 0xffff_ffff;
/** Shorter leases are none: a server must not keep us busy. */
const LEASE_MIN = 10;
/** Addresses or routes taken of one option. */
const LIST_MAX = 32;
/** Less is no MTU for a host that does path MTU discovery (RFC 1191 §3 has 576 as every host's). */
const MTU_MIN = 576;

/** What a server gave, checked. Times are spans from when it was asked for. */
export interface Lease {
  readonly address: Address;
  /** Of the prefix. */
  readonly length: number;
  /** Who gave it, as an IPv4 word. */
  readonly server: number;
  readonly renew: Micros;
  readonly rebind: Micros;
  /** Infinity for one that does not end. */
  readonly expire: Micros;
  /** Gateway null: on-link. */
  readonly routes: readonly { readonly to: Prefix; readonly gateway: Address | null }[];
  readonly servers: readonly Address[];
  readonly search: readonly string[];
  /** 0: not told. */
  readonly mtu: number;
  /** The ACK itself, for the store. */
  readonly message: DhcpMessage;
}

/** The lease of an OFFER or ACK; null where one cannot live by it: no address, server or time. `server`: who is taken to speak when the option is missing. */
export function leaseOf(message: DhcpMessage, server: number | null = null): Lease | null {
  const { options, yiaddr } = message;
  const time = uint32(options.get(Option.LeaseTime));
  const from = word(options.get(Option.ServerId)) ?? server;
  if (time === null || time < LEASE_MIN || from === null || !usable(yiaddr)) return null;
  const expire = time === INFINITE ? Number.POSITIVE_INFINITY : seconds(time);
  const [renew, rebind] = times(expire, uint32(options.get(Option.RenewalTime)), uint32(options.get(Option.RebindingTime)));
  return {
    address: v4(yiaddr),
    length: maskLength(options.get(Option.SubnetMask)) ?? classLength(yiaddr),
    server: from,
    renew,
    rebind,
    expire,
    routes: routesOf(options),
    servers: words(options.get(Option.DnsServers)).filter(usable).map(v4),
    search: searchOf(options),
    mtu: mtuOf(options.get(Option.Mtu)),
    message,
  };
}

/** RFC 2131 §4.4.5: half of the lease, and seven eighths, unless the server says otherwise and it makes sense. */
function times(expire: Micros, t1: number | null, t2: number | null): [Micros, Micros] {
  const rebind = t2 !== null && t2 > 0 && seconds(t2) < expire ? seconds(t2) : expire * 0.875;
  const renew = t1 !== null && t1 > 0 && seconds(t1) < rebind ? seconds(t1) : Math.min(expire * 0.5, rebind);
  return [renew, rebind];
}

/** RFC 3442: classless routes win over the router option. */
function routesOf(options: ReadonlyMap<number, Uint8Array>): Lease['routes'] {
  const classless = options.get(Option.ClasslessRoutes);
  const routes = classless === undefined ? null : classlessRoutes(classless);
  if (routes !== null) return routes;
  const [router] = words(options.get(Option.Router)).filter(usable);
  return router === undefined ? [] : [{ to: { address: v4(0), length: 0 }, gateway: v4(router) }];
}

/** RFC 3442: width, the octets of the destination that count, the router; 0.0.0.0 is on-link. Null when it is malformed. */
export function classlessRoutes(octets: Uint8Array): Lease['routes'] | null {
  const routes: { to: Prefix; gateway: Address | null }[] = [];
  for (let at = 0; at < octets.length; ) {
    const length = octets[at++] as number;
    const significant = Math.ceil(length / 8);
    if (length > 32 || at + significant + 4 > octets.length) return null;
    let destination = 0;
    for (let i = 0; i < 4; i++) destination = (destination << 8) | (i < significant ? (octets[at + i] as number) : 0);
    at += significant;
    const gateway = word(octets.subarray(at, at + 4)) as number;
    at += 4;
    const mask = length === 0 ? 0 : -1 << (32 - length);
    if (routes.length < LIST_MAX) routes.push({ to: { address: v4(destination & mask), length }, gateway: gateway === 0 ? null : v4(gateway) });
  }
  return routes;
}

/** RFC 3397 §2: names compressed among themselves; and the one domain of RFC 2132 §3.17, which stands first. */
function searchOf(options: ReadonlyMap<number, Uint8Array>): string[] {
  const domain = new TextDecoder('latin1').decode(options.get(Option.DomainName) ?? new Uint8Array()).replace(/\0+$/, '');
  const names = /^[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?$/.test(domain) ? [domain.replace(/\.$/, '')] : [];
  const list = options.get(Option.SearchList) ?? new Uint8Array();
  for (let at = 0; at < list.length && names.length < LIST_MAX; ) {
    const read = readName(list, 0, at, list.length);
    if (read === null) break;
    if (read.name !== '') names.push(read.name);
    at = read.end;
  }
  return [...new Set(names)];
}

function mtuOf(octets: Uint8Array | undefined): number {
  const mtu = octets?.length === 2 ? ((octets[0] as number) << 8) | (octets[1] as number) : 0;
  return mtu >= MTU_MIN ? mtu : 0;
}

/** An address one station can have. */
export const usable = (address: number): boolean => address >>> 24 !== 0 && address >>> 24 !== 127 && address >>> 28 < 14;

function word(octets: Uint8Array | undefined): number | null {
  if (octets === undefined || octets.length < 4) return null;
  return new DataView(octets.buffer, octets.byteOffset).getInt32(0);
}

const uint32 = (octets: Uint8Array | undefined): number | null => (octets?.length === 4 ? (word(octets) as number) >>> 0 : null);

function words(octets: Uint8Array = new Uint8Array()): number[] {
  const count = Math.min(LIST_MAX, Math.floor(octets.length / 4));
  return Array.from({ length: count }, (_, i) => word(octets.subarray(4 * i)) as number);
}

/** Bits of a mask whose ones stand together; null for another. */
function maskLength(octets: Uint8Array | undefined): number | null {
  const mask = uint32(octets);
  if (mask === null) return null;
  const length = Math.clz32(~mask);
  return mask === (length === 0 ? 0 : (-1 << (32 - length)) >>> 0) ? length : null;
}

/** Without a mask the classes of old decide (RFC 791 §3.2). */
const classLength = (address: number): number => (address >= 0 ? 8 : address >>> 30 === 2 ? 16 : 24);

/** A lease for the store: when it began by the wall clock, and the ACK. */
export function encodeLease(lease: Lease, began: Micros): Uint8Array {
  const message = write(lease.message, 1_472);
  const octets = new Uint8Array(8 + message.length);
  new DataView(octets.buffer).setFloat64(0, began);
  octets.set(message, 8);
  return octets;
}

/** What encodeLease wrote; null for anything else. */
export function decodeLease(octets: Uint8Array): { lease: Lease; began: Micros } | null {
  if (octets.length < 8) return null;
  const message = parse(octets, 8, octets.length);
  const lease = typeof message === 'number' ? null : leaseOf(message);
  return lease === null ? null : { lease, began: new DataView(octets.buffer, octets.byteOffset).getFloat64(0) };
}
