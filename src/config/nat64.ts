import { type Address, maskAddress, type Prefix, parsePrefix } from '../base/address.js';
import type { Filtering } from '../net/filter/nat.js';
import type { Interface } from '../net/interface.js';
import { MAIN_TABLE } from '../net/ip/route.js';
import { AddressMap, mapped } from '../net/nat64/address-map.js';
import { Nat64Device, type Nat64Options, POOL_MAX } from '../net/nat64/nat64.js';
import { parsePrefix64, WELL_KNOWN } from '../net/nat64/prefix.js';
import type { Stack } from '../net/stack.js';
import { type Schema, wrong } from './schema.js';

/** A translator between IPv6 and IPv4: stateful (RFC 6146) for hosts that share a pool, stateless (RFC 7757) for those in a map. */
export interface Nat64Config {
  /** Behind it stand IPv4 hosts. 32, 40, 48, 56, 64 or 96 bits (RFC 6052 §2.2). Default 64:ff9b::/96. */
  readonly prefix?: string;
  /** IPv4 addresses that IPv6 hosts share, by prefix. They are routed here, and on no interface. */
  readonly pool?: readonly string[];
  /** Hosts with an address of their own in either family. */
  readonly maps?: readonly { readonly v6: string; readonly v4: string }[];
  /** Who reaches a mapping from outside: RFC 6146 §1.2.3. Default address-and-port-dependent. */
  readonly filtering?: Filtering;
}

const MAPS_MAX = 256;

/** Schema of the key `nat64`. */
export const nat64Schema: Schema = {
  type: 'object',
  description: 'A translator between IPv6 and IPv4 (RFC 6146, RFC 7915). Its prefixes are routed to it.',
  properties: {
    prefix: { type: 'string', description: `Behind it stand IPv4 hosts: 32, 40, 48, 56, 64 or 96 bits. Default ${WELL_KNOWN}.` },
    pool: { type: 'array', items: { type: 'string' }, maxItems: 64, description: 'IPv4 addresses that IPv6 hosts share: 192.0.2.64/28.' },
    maps: {
      type: 'array',
      maxItems: MAPS_MAX,
      description: 'IPv6 and IPv4 prefixes whose hosts are the same, one for one (RFC 7757).',
      items: {
        type: 'object',
        properties: {
          v6: { type: 'string', description: '2001:db8::/124.' },
          v4: { type: 'string', description: '192.0.2.0/28: as many addresses.' },
        },
        required: ['v6', 'v4'],
        additionalProperties: false,
      },
    },
    filtering: {
      type: 'string',
      enum: ['endpoint-independent', 'address-dependent', 'address-and-port-dependent'],
      description: 'Who reaches a mapping from outside. Default address-and-port-dependent.',
    },
  },
  additionalProperties: false,
};

/** The options of a configuration. Throws ConfigError for what no translator can have. */
export function nat64Options(
  { prefix = WELL_KNOWN, pool = [], maps = [], filtering = 'address-and-port-dependent' }: Nat64Config,
  place: string,
): Nat64Options {
  const addresses = pool.map((text, i) => prefixOf(text, 4, `${place}.pool[${i}]`));
  const size = addresses.reduce((n, { length }) => n + 2 ** (32 - length), 0);
  if (size > POOL_MAX) wrong(`${place}.pool`, `has ${size} addresses, and ${POOL_MAX} are enough`);
  if (pool.length === 0 && maps.length === 0) wrong(place, "needs a 'pool' or 'maps'");
  const all = maps.map((map, i) => {
    const at = `${place}.maps[${i}]`;
    const [six, four] = [prefixOf(map.v6, 6, `${at}.v6`), prefixOf(map.v4, 4, `${at}.v4`)];
    const bits = 32 - four.length;
    if (128 - six.length !== bits) wrong(at, `maps ${map.v6} to ${map.v4}, which have not equally many addresses`);
    return mapped(six.address, four.address, bits);
  });
  return { prefix: parsePrefix64(prefix, `${place}.prefix`), pool: addresses, maps: new AddressMap(all), filtering };
}

function prefixOf(text: string, family: 4 | 6, place: string): Prefix {
  const prefix = parsePrefix(text);
  const example = family === 4 ? '192.0.2.0/28' : '2001:db8::/96';
  if (prefix === null || prefix.address.isV4 !== (family === 4)) wrong(place, `'${text}' is no IPv${family} prefix such as ${example}`);
  const { address, length } = prefix;
  if (address.isMulticast || address.isLinkLocal || address.isLoopback) wrong(place, `'${text}' is not for hosts that are routed to`);
  return { address: maskAddress(address, family === 4 ? length + 96 : length), length };
}

/** Makes the interface, and the routes that lead into it. */
export function openNat64(core: Stack, name: string, config: Nat64Config, vrf: number): Interface {
  const options = nat64Options(config, name);
  const iface = core.addInterface(name, new Nat64Device(core.ctx, core.filter.roads, options), vrf);
  const { prefix, pool, maps } = options;
  route(core, iface, prefix.address, prefix.length);
  for (const { address, length } of pool) route(core, iface, address, length);
  for (const { v4, bits } of maps.all) route(core, iface, v4, 32 - bits);
  return iface;
}

function route(core: Stack, { index, vrf }: Interface, prefix: Address, length: number): void {
  const hop = { type: 'unicast', index, gateway: null, source: null, metric: 0, mtu: 0, protocol: 'kernel' } as const;
  core.ip.routes.add({ ...hop, family: prefix.isV4 ? 4 : 6, prefix, length, table: MAIN_TABLE, vrf });
}
