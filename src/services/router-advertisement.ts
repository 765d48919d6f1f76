import { type Address, formatPrefix, maskAddress, parseAddress, parsePrefix } from '../base/address.js';
import { ConfigError } from '../base/errors.js';
import { type Micros, NEVER, seconds } from '../base/time.js';
import type { Interface } from '../net/interface.js';
import type { AdvertisedPrefix, AdvertisementSpec } from '../net/ipv6/advertiser.js';
import type { Stack } from '../net/stack.js';
import { labelsOf } from '../wire/dns-name.js';

/** A prefix to advertise. Spans in seconds. */
export interface PrefixSpec {
  /** '2001:db8:1::/64'. */
  readonly prefix: string;
  /** Default 2,592,000: 30 days. RFC 4861 §6.2.1. */
  readonly valid?: number;
  /** Default 604,800: 7 days. */
  readonly preferred?: number;
  /** Default true, both. */
  readonly onLink?: boolean;
  readonly autonomous?: boolean;
}

/** A route to advertise beside the default. RFC 4191 §2.3. */
export interface MoreSpecificRoute {
  readonly to: string;
  /** Default medium. */
  readonly preference?: RouterPreference;
  /** Default: three times maxInterval. */
  readonly lifetime?: number;
}

export type RouterPreference = 'low' | 'medium' | 'high';

/** What a router says on a link. Spans in seconds, but those of neighbour discovery in milliseconds. RFC 4861 §6.2.1. */
export interface AdvertiseSpec {
  /** Between two unsolicited messages. Default 600. */
  readonly maxInterval?: number;
  /** Default a third of maxInterval. */
  readonly minInterval?: number;
  /** As default router; 0: it is none. Default three times maxInterval. */
  readonly lifetime?: number;
  /** Default medium. */
  readonly preference?: RouterPreference;
  /** Addresses, or other things, are to be had by DHCPv6. Default false. */
  readonly managed?: boolean;
  readonly other?: boolean;
  /** Default 64; 0: not told. */
  readonly hopLimit?: number;
  /** Default: not told. */
  readonly mtu?: number;
  readonly reachableTime?: number;
  readonly retransTime?: number;
  /** Default: those of the interface's addresses, delegated ones among them. */
  readonly prefixes?: readonly (string | PrefixSpec)[];
  readonly routes?: readonly MoreSpecificRoute[];
  /** Resolvers, search domains, and their lifetime (default three times maxInterval). RFC 8106. */
  readonly dns?: readonly string[];
  readonly search?: readonly string[];
  readonly dnsLifetime?: number;
  /** Prefix of a NAT64 here, such as '64:ff9b::/96'. RFC 8781. */
  readonly nat64?: string;
}

const VALID = 2_592_000;
const PREFERRED = 604_800;
/** RFC 9096 §3.4: delegated prefixes may change, and hosts are to notice. */
const DELEGATED_VALID = 5_400;
const DELEGATED_PREFERRED = 2_700;
const preferences: Readonly<Record<RouterPreference, number>> = { low: -1, medium: 0, high: 1 };

/** Begins to advertise on an interface. Throws ConfigError when the spec cannot be: the sentence begins with the key. */
export function startAdvertising(core: Stack, iface: Interface, spec: AdvertiseSpec): void {
  const fixed = advertisementOf(spec);
  core.v6.advertiser.start(iface, () => (spec.prefixes === undefined ? { ...fixed, prefixes: ownPrefixes(core, iface) } : fixed));
}

/** The opposite. */
export function stopAdvertising(core: Stack, iface: Interface): void {
  core.v6.advertiser.stop(iface);
}

/** A spec with its defaults, in the form of the wire. Throws ConfigError. */
export function advertisementOf(spec: AdvertiseSpec): AdvertisementSpec {
  const maxInterval = spec.maxInterval ?? 600;
  const minInterval = spec.minInterval ?? Math.max(3, Math.floor(maxInterval / 3));
  const lifetime = spec.lifetime ?? 3 * maxInterval;
  if (minInterval > 0.75 * maxInterval)
    throw new ConfigError(`minInterval ${minInterval} is more than three quarters of maxInterval ${maxInterval} (RFC 4861 §6.2.1)`);
  if (lifetime !== 0 && lifetime < maxInterval)
    throw new ConfigError(`lifetime ${lifetime} is less than maxInterval ${maxInterval}: hosts would lose the router between two messages`);
  const nat64 = spec.nat64 === undefined ? null : prefixOf('nat64', spec.nat64);
  if (nat64 !== null && ![32, 40, 48, 56, 64, 96].includes(nat64.length))
    throw new ConfigError(`nat64 '${spec.nat64}' is to have 32, 40, 48, 56, 64 or 96 bits (RFC 8781 §4)`);
  return {
    minInterval,
    maxInterval,
    lifetime,
    preference: preferences[spec.preference ?? 'medium'],
    managed: spec.managed ?? false,
    other: spec.other ?? false,
    hopLimit: spec.hopLimit ?? 64,
    mtu: spec.mtu ?? 0,
    reachableMs: spec.reachableTime ?? 0,
    retransMs: spec.retransTime ?? 0,
    prefixes: (spec.prefixes ?? []).map(advertisedPrefix),
    routes: (spec.routes ?? []).map((r) => ({
      ...prefixOf('routes', r.to),
      preference: preferences[r.preference ?? 'medium'],
      lifetime: r.lifetime ?? 3 * maxInterval,
    })),
    resolvers: (spec.dns ?? []).map(resolver),
    search: labels(spec.search ?? []),
    dnsLifetime: spec.dnsLifetime ?? 3 * maxInterval,
    nat64: nat64 === null ? [] : [{ ...nat64, lifetime: Math.min(3 * maxInterval, 65_528) }],
  };
}

function advertisedPrefix(given: string | PrefixSpec): AdvertisedPrefix {
  const spec = typeof given === 'string' ? { prefix: given } : given;
  const { valid = VALID, preferred = Math.min(PREFERRED, valid), onLink = true, autonomous = true } = spec;
  if (preferred > valid) throw new ConfigError(`prefixes: '${spec.prefix}' is preferred longer than valid`);
  return { ...prefixOf('prefixes', spec.prefix), onLink, autonomous, valid, preferred };
}

function prefixOf(key: string, text: string): { prefix: Address; length: number } {
  const prefix = parsePrefix(text);
  if (prefix === null || prefix.address.isV4 || !text.includes('/'))
    throw new ConfigError(`${key}: '${text}' is no IPv6 prefix such as 2001:db8:1::/64`);
  if (prefix.address.isLinkLocal || prefix.address.isMulticast) throw new ConfigError(`${key}: '${text}' is not to be advertised`);
  return { prefix: maskAddress(prefix.address, prefix.length), length: prefix.length };
}

function resolver(text: string): Address {
  const address = parseAddress(text);
  if (address === null || address.isV4 || address.isMulticast || address.isUnspecified)
    throw new ConfigError(`dns: '${text}' is no IPv6 address of a resolver`);
  return address;
}

/** Names as RFC 8106 §5.2 has them: labels, each name ended by an empty one. */
function labels(search: readonly string[]): Uint8Array {
  const octets: number[] = [];
  for (const name of search) {
    const found = labelsOf(name);
    if (found === null || found.length === 0) throw new ConfigError(`search: '${name}' is no domain name`);
    for (const label of found) octets.push(label.length, ...label);
    octets.push(0);
  }
  if (octets.length > 1_024) throw new ConfigError('search: the names are longer than a message');
  return Uint8Array.from(octets);
}

/** The prefixes of an interface's own addresses, but for those it learned itself. */
function ownPrefixes(core: Stack, iface: Interface): AdvertisedPrefix[] {
  const found = new Map<string, AdvertisedPrefix>();
  for (const { address, length, origin, preferredUntil, validUntil } of iface.addresses) {
    if (address.isV4 || address.isLinkLocal || length !== 64 || (origin !== 'static' && origin !== 'dhcp')) continue;
    const delegated = origin === 'dhcp';
    const left = (until: Micros, most: number): number =>
      until === NEVER ? most : Math.max(0, Math.min(most, Math.floor((until - core.ctx.now) / seconds(1))));
    const valid = left(validUntil, delegated ? DELEGATED_VALID : VALID);
    if (valid === 0) continue;
    const prefix = maskAddress(address, length);
    found.set(formatPrefix(prefix, length), {
      prefix,
      length,
      onLink: true,
      autonomous: true,
      valid,
      preferred: left(preferredUntil, delegated ? DELEGATED_PREFERRED : PREFERRED),
    });
  }
  return [...found.values()];
}
