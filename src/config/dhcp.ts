import { type Prefix, parsePrefix } from '../base/address.js';
import { type DhcpServerSpec, planOf } from '../services/dhcp/server-spec.js';
import type { Config } from './config.js';
import { replaced } from './interfaces.js';
import { hint, placeOf, type Schema, wrong } from './schema.js';
import { changes, reversed, type Section, type Step } from './section.js';

const text = (description: string): Schema => ({ type: 'string', description });

const server: Schema = {
  type: 'object',
  properties: {
    pool: { type: 'string', pattern: '^[\\d.]+\\s*-\\s*[\\d.]+$', description: "a range of the interface's network, such as 10.0.0.100-10.0.0.199" },
    leaseTime: {
      anyOf: [
        { type: 'integer', minimum: 60, maximum: 4_294_967_294 },
        { type: 'string', enum: ['infinite'] },
      ],
      description: "Seconds, or 'infinite'. Default 3,600.",
    },
    router: text("Default: the interface's own address where the stack forwards, else none."),
    dns: { type: 'array', items: text('an address'), description: 'Name servers. Default: none is told.' },
    domain: text('Domain of the clients.'),
    mtu: { type: 'integer', minimum: 576, maximum: 65_535, description: 'Default: none is told.' },
    reservations: {
      type: 'array',
      description: 'Addresses that only one client gets.',
      items: {
        type: 'object',
        properties: {
          mac: text('Its station address,'),
          clientId: text('or its client identifier in hexadecimal.'),
          address: text('What it gets.'),
        },
        required: ['address'],
        additionalProperties: false,
      },
    },
    probe: { type: 'boolean', description: 'Asks whether somebody has an address before it is offered. Default true.' },
  },
  required: ['pool'],
  additionalProperties: false,
};

/** DHCP servers by interface. */
export const dhcp: Section<'dhcp'> = {
  key: 'dhcp',
  schema: {
    type: 'object',
    description: "DHCPv4 servers. A client is asked for by 'dhcp' among the addresses of its interface.",
    properties: { servers: { type: 'object', description: 'By interface.', additionalProperties: server } },
    additionalProperties: false,
  },
  check({ dhcp: config = {}, interfaces = {} }) {
    for (const [name, spec] of Object.entries(config.servers ?? {})) {
      const place = placeOf('dhcp.servers', name);
      if (interfaces[name] === undefined) wrong(place, `'${name}' is no interface${hint(name, Object.keys(interfaces))}`);
      const subnets = (interfaces[name]?.addresses ?? []).flatMap((address) => parsePrefix(address) ?? []);
      if (!subnets.some((prefix: Prefix) => prefix.address.isV4)) wrong(place, `'${name}' needs an IPv4 address of its own to serve from`);
      planOf(spec, subnets, place);
    }
  },
  difference(before, after) {
    const fresh = replaced(before, after);
    const addressed = (config: Config, name: string): string => JSON.stringify(config.interfaces?.[name]?.addresses);
    return changes(
      keyed(before),
      keyed(after),
      (s) => reversed(serving(s)),
      serving,
      (a, b) => JSON.stringify(a) === JSON.stringify(b) && !fresh.has(a.name) && addressed(before, a.name) === addressed(after, a.name),
    );
  },
};

interface Placed {
  readonly name: string;
  readonly spec: DhcpServerSpec;
}

const keyed = ({ dhcp: config = {} }: Config): Map<string, Placed> =>
  new Map(Object.entries(config.servers ?? {}).map(([name, spec]) => [name, { name, spec }]));

function serving({ name, spec }: Placed): Step {
  const place = placeOf('dhcp.servers', name);
  return {
    place,
    run: ({ dhcp: running }) => running.serve(name, spec, place),
    undo: ({ dhcp: running }) => running.endServing(name),
  };
}
