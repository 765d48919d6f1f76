/** DHCPv6 in the router's section: servers on its links, and a prefix from upstream. */
import { interfaceNamed } from '../api/link.js';
import { ConfigError } from '../base/errors.js';
import { Delegation } from '../services/dhcpv6/delegation.js';
import { reservationsOf } from '../services/dhcpv6/reservations.js';
import { Dhcp6Server, type Dhcp6ServerSpec, parametersOf, poolsOf } from '../services/dhcpv6/server.js';
import type { Config } from './config.js';
import { replaced } from './interfaces.js';
import { hint, placeOf, type Schema, wrong } from './schema.js';
import { changes, type Difference, reversed, type Step } from './section.js';

/** A prefix asked for on one interface, its /64s given to others by number. */
export interface DelegationConfig {
  readonly from: string;
  /** Bits wished for; the server decides. Default 56. */
  readonly length?: number;
  readonly to: Readonly<Record<string, number>>;
}

/** A part of the section: as Section, within `router`. */
interface Part {
  readonly schema: Schema;
  check(config: Config): void;
  difference(before: Config, after: Config): Difference;
}

const seconds = (least: number, description: string): Schema => ({ type: 'integer', minimum: least, maximum: 4_294_967_295, description });

const server: Schema = {
  type: 'object',
  properties: {
    pool: {
      type: 'object',
      description: 'Addresses to give.',
      properties: { from: { type: 'string', description: 'The first.' }, to: { type: 'string', description: 'The last.' } },
      required: ['from', 'to'],
      additionalProperties: false,
    },
    delegate: {
      type: 'object',
      description: 'Prefixes to delegate.',
      properties: {
        prefix: { type: 'string', description: 'All of them, such as 2001:db8:8000::/40.' },
        length: { type: 'integer', minimum: 16, maximum: 64, description: 'Bits of each.' },
      },
      required: ['prefix', 'length'],
      additionalProperties: false,
    },
    valid: seconds(60, 'Seconds. Default 7200.'),
    preferred: seconds(30, 'Seconds. Default 3600.'),
    dns: { type: 'array', items: { type: 'string' }, maxItems: 8, description: 'Resolvers.' },
    search: { type: 'array', items: { type: 'string' }, maxItems: 8, description: 'Search domains.' },
    preference: { type: 'integer', minimum: 0, maximum: 255, description: 'Among several servers. Default 0.' },
    reservations: {
      type: 'array',
      maxItems: 1_024,
      description: 'Leases kept for clients.',
      items: {
        type: 'object',
        properties: {
          duid: { type: 'string', description: "The client's identifier in hexadecimal, such as 00:04:…" },
          address: { type: 'string', description: 'Its address.' },
          prefix: { type: 'string', description: 'The prefix delegated to it.' },
        },
        required: ['duid'],
        additionalProperties: false,
      },
    },
    rapidCommit: { type: 'boolean', description: 'Two messages instead of four where the client allows it. Default true.' },
  },
  additionalProperties: false,
};

/** DHCPv6 servers by interface. */
export const dhcp6: Part = {
  schema: { type: 'object', description: 'DHCPv6 servers by interface.', additionalProperties: server },
  check({ router = {}, interfaces = {} }) {
    for (const [name, spec] of Object.entries(router.dhcp6 ?? {})) {
      const place = placeOf('router.dhcp6', name);
      if (interfaces[name] === undefined) wrong(place, `'${name}' is no interface${hint(name, Object.keys(interfaces))}`);
      try {
        poolsOf(spec);
        parametersOf(spec);
        reservationsOf(spec.reservations ?? []);
      } catch (error) {
        if (error instanceof ConfigError) wrong(place, error.message);
        throw error;
      }
    }
  },
  difference(before, after) {
    const fresh = replaced(before, after);
    const of = ({ router = {} }: Config): Map<string, Serving> =>
      new Map(Object.entries(router.dhcp6 ?? {}).map(([name, spec]) => [name, { name, spec }]));
    const same = (a: Serving, b: Serving): boolean => JSON.stringify(a) === JSON.stringify(b) && !fresh.has(a.name);
    return changes(of(before), of(after), (a) => reversed(serving(a)), serving, same);
  },
};

interface Serving {
  readonly name: string;
  readonly spec: Dhcp6ServerSpec;
}

const serving = ({ name, spec }: Serving): Step => ({
  place: placeOf('router.dhcp6', name),
  run: ({ core, services }) => services.keep(`dhcp6 ${name}`, new Dhcp6Server(core, interfaceNamed(core, name, 'dhcp6 server'), spec)),
  undo: ({ services }) => services.end(`dhcp6 ${name}`),
});

/** The delegated prefix. */
export const delegation: Part = {
  schema: {
    type: 'object',
    description: 'A prefix asked for by DHCPv6 on one interface and handed on to others.',
    properties: {
      from: { type: 'string', description: 'The upstream interface.' },
      length: { type: 'integer', minimum: 16, maximum: 64, description: 'Bits wished for. Default 56.' },
      to: {
        type: 'object',
        description: 'Downstream interfaces, each with the number of its /64.',
        additionalProperties: { type: 'integer', minimum: 0, maximum: 4_294_967_295 },
      },
    },
    required: ['from', 'to'],
    additionalProperties: false,
  },
  check({ router = {}, interfaces = {} }) {
    const given = router.delegation;
    if (given === undefined) return;
    const names = Object.keys(interfaces);
    if (!names.includes(given.from)) wrong('router.delegation.from', `'${given.from}' is no interface${hint(given.from, names)}`);
    const taken = new Set<number>();
    for (const [name, subnet] of Object.entries(given.to)) {
      const place = placeOf('router.delegation.to', name);
      if (!names.includes(name)) wrong(place, `'${name}' is no interface${hint(name, names)}`);
      if (name === given.from) wrong(place, 'is where the prefix comes from');
      if (taken.has(subnet)) wrong(place, `${subnet} is another's`);
      taken.add(subnet);
    }
  },
  difference(before, after) {
    const fresh = replaced(before, after);
    const of = ({ router = {} }: Config): Map<string, DelegationConfig> =>
      new Map(router.delegation === undefined ? [] : [['delegation', router.delegation]]);
    const stays = (d: DelegationConfig): boolean => ![d.from, ...Object.keys(d.to)].some((name) => fresh.has(name));
    return changes(
      of(before),
      of(after),
      (d) => reversed(delegating(d)),
      delegating,
      (a, b) => JSON.stringify(a) === JSON.stringify(b) && stays(a),
    );
  },
};

const delegating = ({ from, length = 56, to }: DelegationConfig): Step => ({
  place: 'router.delegation',
  run({ core, services }) {
    const downstream = Object.entries(to).map(([name, subnet]) => ({ iface: interfaceNamed(core, name, 'delegation'), subnet }));
    services.keep('delegation', new Delegation(core, services.dhcp6, interfaceNamed(core, from, 'delegation'), downstream, length));
  },
  undo: ({ services }) => services.end('delegation'),
});
