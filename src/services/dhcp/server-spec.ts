import { type Address, type Prefix, parseAddress, samePrefix } from '../../base/address.js';
import { ConfigError } from '../../base/errors.js';
import { Option } from '../../wire/dhcp.js';
import { labelsOf } from '../../wire/dns-name.js';
import { parseMac } from '../../wire/ethernet.js';
import { INFINITE } from './lease.js';
import { POOL_MAX, type Reservation } from './pool.js';

/** A DHCP server on one interface, as a configuration says it. */
export interface DhcpServerSpec {
  /** '10.0.0.100-10.0.0.199', of the interface's own network. */
  readonly pool: string;
  /** Seconds, or 'infinite'. Default 3,600. */
  readonly leaseTime?: number | 'infinite';
  /** Default: the interface's own address where the stack forwards, else none is told. */
  readonly router?: string;
  /** Default: none is told. */
  readonly dns?: readonly string[];
  readonly domain?: string;
  readonly mtu?: number;
  /** Addresses that only one client gets; they need not be of the pool. */
  readonly reservations?: readonly { readonly mac?: string; readonly clientId?: string; readonly address: string }[];
  /** Asks whether somebody has an address before it is offered. Default true. */
  readonly probe?: boolean;
}

/** A specification that was checked. Addresses are IPv4 words. */
export interface ServerPlan {
  readonly from: number;
  readonly to: number;
  /** Seconds; INFINITE for ever. */
  readonly leaseTime: number;
  readonly router: number | null;
  readonly reservations: readonly Reservation[];
  readonly options: ReadonlyMap<number, Uint8Array>;
  readonly probe: boolean;
}

/** Default of DhcpServerSpec.leaseTime: dnsmasq's hour. */
const LEASE_TIME = 3_600;

/** Checks what a schema cannot. Throws ConfigError that names the key. `subnets`: of the interface, when they are known. */
export function planOf(spec: DhcpServerSpec, subnets: readonly Prefix[], place: string): ServerPlan {
  const wrong = (key: string, why: string): never => {
    throw new ConfigError(`${place}.${key}: ${why}`);
  };
  const v4Of = (key: string, text: string): Address => {
    const address = parseAddress(text);
    return address?.isV4 ? address : wrong(key, `'${text}' is no IPv4 address`);
  };
  const [low = '', high = low] = spec.pool.split('-').map((text) => text.trim());
  const [from, to] = [v4Of('pool', low), v4Of('pool', high)];
  if (to.w3 >>> 0 < from.w3 >>> 0) wrong('pool', `'${spec.pool}' ends before it begins`);
  if (to.w3 - from.w3 >= POOL_MAX) wrong('pool', `'${spec.pool}' has more than ${POOL_MAX} addresses`);
  const within = (address: Address): boolean =>
    subnets.length === 0 || subnets.some((s) => s.address.isV4 && samePrefix(s.address, address, 96 + s.length));
  for (const address of [from, to]) if (!within(address)) wrong('pool', `${address} is of no network of the interface`);
  const reservations = (spec.reservations ?? []).map(({ mac, clientId, address }, i) => {
    const key = `reservations[${i}]`;
    const reserved = v4Of(`${key}.address`, address);
    if (!within(reserved)) wrong(`${key}.address`, `${address} is of no network of the interface`);
    if ((mac === undefined) === (clientId === undefined)) wrong(key, "needs exactly one of 'mac' and 'clientId'");
    const station = mac === undefined ? null : parseMac(mac);
    if (mac !== undefined && station === null) wrong(`${key}.mac`, `'${mac}' is no station address`);
    if (clientId !== undefined && !/^([0-9a-fA-F]{2}:?)+$/.test(clientId)) wrong(`${key}.clientId`, `'${clientId}' is to be octets in hexadecimal`);
    return { address: reserved.w3, client: station === null ? `id ${(clientId as string).replaceAll(':', '').toLowerCase()}` : macKey(station) };
  });
  const options = new Map<number, Uint8Array>();
  const servers = (spec.dns ?? []).map((text, i) => v4Of(`dns[${i}]`, text).w3);
  if (servers.length > 0)
    options.set(Option.DnsServers, Uint8Array.from(servers.flatMap((w) => [w >>> 24, (w >>> 16) & 255, (w >>> 8) & 255, w & 255])));
  if (spec.domain !== undefined) {
    if (spec.domain === '' || labelsOf(spec.domain) === null) wrong('domain', `'${spec.domain}' is no domain name`);
    options.set(Option.DomainName, new TextEncoder().encode(spec.domain));
  }
  if (spec.mtu !== undefined) options.set(Option.Mtu, Uint8Array.of(spec.mtu >>> 8, spec.mtu & 255));
  const leaseTime = spec.leaseTime === 'infinite' ? INFINITE : (spec.leaseTime ?? LEASE_TIME);
  const router = spec.router === undefined ? null : v4Of('router', spec.router).w3;
  return { from: from.w3, to: to.w3, leaseTime, router, reservations, options, probe: spec.probe ?? true };
}

/** How a client without an identifier is called. */
export const macKey = (mac: Uint8Array): string => `mac ${macText(mac)}`;
/** '02:00:00:00:00:01'. */
export const macText = (mac: Uint8Array): string => Array.from(mac, (octet) => octet.toString(16).padStart(2, '0')).join(':');
