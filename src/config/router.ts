import { interfaceNamed } from '../api/link.js';
import { ConfigError } from '../base/errors.js';
import type { Dhcp6ServerSpec } from '../services/dhcpv6/server.js';
import { type AdvertiseSpec, advertisementOf, startAdvertising, stopAdvertising } from '../services/router-advertisement.js';
import type { Config } from './config.js';
import { replaced } from './interfaces.js';
import { type DelegationConfig, delegation, dhcp6 } from './router-dhcp.js';
import { hint, placeOf, type Schema, wrong } from './schema.js';
import { changes, reversed, type Section, type Step } from './section.js';

/** The router's part: what it says and gives on its links, and where it has its prefixes from. */
export interface RouterConfig {
  /** Router advertisements by interface; true for the defaults. */
  readonly advertise?: Readonly<Record<string, boolean | AdvertiseSpec>>;
  /** DHCPv6 servers by interface. */
  readonly dhcp6?: Readonly<Record<string, Dhcp6ServerSpec>>;
  /** A prefix asked for upstream and handed on. */
  readonly delegation?: DelegationConfig;
}

const seconds = (least: number, most: number, description: string): Schema => ({ type: 'integer', minimum: least, maximum: most, description });
const FOREVER = 4_294_967_295;
const preference: Schema = { type: 'string', enum: ['low', 'medium', 'high'], description: 'Among several routers. Default medium.' };

const prefix: Schema = {
  anyOf: [
    { type: 'string', description: 'Such as 2001:db8:1::/64.' },
    {
      type: 'object',
      properties: {
        prefix: { type: 'string', description: 'Such as 2001:db8:1::/64.' },
        valid: seconds(0, FOREVER, 'Seconds. Default 2592000.'),
        preferred: seconds(0, FOREVER, 'Seconds. Default 604800.'),
        onLink: { type: 'boolean', description: 'Default true.' },
        autonomous: { type: 'boolean', description: 'Hosts make addresses of it. Default true.' },
      },
      required: ['prefix'],
      additionalProperties: false,
    },
  ],
};

const advertise: Schema = {
  type: 'object',
  properties: {
    maxInterval: seconds(4, 1_800, 'Seconds between two messages at most. Default 600.'),
    minInterval: seconds(3, 1_350, 'At least. Default a third of maxInterval.'),
    lifetime: seconds(0, 65_535, 'As default router, 0 for none. Default three times maxInterval.'),
    preference,
    managed: { type: 'boolean', description: 'Addresses are to be had by DHCPv6. Default false.' },
    other: { type: 'boolean', description: 'Other things are to be had by DHCPv6. Default false.' },
    hopLimit: { type: 'integer', minimum: 0, maximum: 255, description: 'For hosts to use. Default 64.' },
    mtu: { type: 'integer', minimum: 1_280, maximum: 65_535, description: 'Of the link. Default: not told.' },
    reachableTime: { type: 'integer', minimum: 0, maximum: 3_600_000, description: 'Milliseconds. Default: not told.' },
    retransTime: { type: 'integer', minimum: 0, maximum: 3_600_000, description: 'Milliseconds. Default: not told.' },
    prefixes: { type: 'array', items: prefix, maxItems: 64, description: "Default: those of the interface's addresses." },
    routes: {
      type: 'array',
      maxItems: 64,
      description: 'Routes beside the default (RFC 4191).',
      items: {
        type: 'object',
        properties: { to: { type: 'string' }, preference, lifetime: seconds(0, FOREVER, 'Seconds. Default three times maxInterval.') },
        required: ['to'],
        additionalProperties: false,
      },
    },
    dns: { type: 'array', items: { type: 'string' }, maxItems: 16, description: 'Resolvers (RFC 8106).' },
    search: { type: 'array', items: { type: 'string' }, maxItems: 16, description: 'Search domains (RFC 8106).' },
    dnsLifetime: seconds(0, FOREVER, 'Seconds. Default three times maxInterval.'),
    nat64: { type: 'string', description: 'Prefix of a NAT64 here, such as 64:ff9b::/96 (RFC 8781).' },
  },
  additionalProperties: false,
};

/** What a router does besides forwarding, which sysctl turns on. */
export const router: Section<'router'> = {
  key: 'router',
  schema: {
    type: 'object',
    description: "A router's part on its links; net.ipv6.conf.all.forwarding turns forwarding on.",
    properties: {
      advertise: {
        type: 'object',
        description: 'Router advertisements by interface.',
        additionalProperties: { anyOf: [{ type: 'boolean' }, advertise] },
      },
      dhcp6: dhcp6.schema,
      delegation: delegation.schema,
    },
    additionalProperties: false,
  },
  check(config) {
    const { router: given = {}, interfaces = {} } = config;
    dhcp6.check(config);
    delegation.check(config);
    for (const [name, spec] of Object.entries(given.advertise ?? {})) {
      const place = placeOf('router.advertise', name);
      if (interfaces[name] === undefined) wrong(place, `'${name}' is no interface${hint(name, Object.keys(interfaces))}`);
      if (typeof spec === 'boolean') continue;
      try {
        advertisementOf(spec);
      } catch (error) {
        if (error instanceof ConfigError) wrong(place, error.message);
        throw error;
      }
    }
  },
  difference(before, after) {
    const fresh = replaced(before, after);
    const same = (a: Placed, b: Placed): boolean => JSON.stringify(a) === JSON.stringify(b) && !fresh.has(a.name);
    const parts = [
      changes(advertised(before), advertised(after), (a) => reversed(starting(a)), starting, same),
      dhcp6.difference(before, after),
      delegation.difference(before, after),
    ];
    return { remove: parts.flatMap((p) => p.remove).reverse(), add: parts.flatMap((p) => p.add) };
  },
};

interface Placed {
  readonly name: string;
  readonly spec: AdvertiseSpec;
}

function advertised({ router: given = {} }: Config): Map<string, Placed> {
  const on = Object.entries(given.advertise ?? {}).filter(([, spec]) => spec !== false);
  return new Map(on.map(([name, spec]) => [name, { name, spec: typeof spec === 'boolean' ? {} : spec }]));
}

const starting = ({ name, spec }: Placed): Step => ({
  place: placeOf('router.advertise', name),
  run: ({ core }) => startAdvertising(core, interfaceNamed(core, name, 'router advertise'), spec),
  undo: ({ core }) => stopAdvertising(core, interfaceNamed(core, name, 'router advertise')),
});
