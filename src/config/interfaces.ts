import { Addr } from '../api/addr.js';
import { interfaceNamed, Link } from '../api/link.js';
import { type Prefix, parsePrefix } from '../base/address.js';
import type { DeviceSpec } from '../hyper/hypercalls.js';
import type { Rate } from '../net/link/shaper.js';
import { carrierOf, carrierSchemas, checkCarriers, groundUp, openCarrier, standsOnAny } from './carriers.js';
import type { Config, InterfaceConfig } from './config.js';
import { placeOf, type Schema, wrong } from './schema.js';
import { orThere, reversed, type Section, type Step, type Target } from './section.js';

const schema: Schema = {
  type: 'object',
  description: 'Interfaces by name.',
  propertyNames: {
    type: 'string',
    pattern: '^(?!lo$)[A-Za-z][A-Za-z0-9._-]{0,14}$',
    description: "a name of at most 15 letters, digits, dots, dashes and underscores that begins with a letter and is not 'lo'",
  },
  additionalProperties: {
    type: 'object',
    properties: {
      ...carrierSchemas,
      addresses: {
        type: 'array',
        items: { type: 'string' },
        description: "Addresses with their prefix lengths: 10.0.0.2/24. 'auto': what IPv6 routers advertise. 'dhcp': what a DHCPv4 server leases.",
      },
      mirrors: {
        type: 'string',
        description:
          'An interface that this device, a TAP, shows to a routing engine on the host (FRRouting): addresses, MTU and carrier are told there, ' +
          'and what routing protocols say passes both ways.',
      },
      mtu: { type: 'integer', minimum: 68, maximum: 65_535, description: "Default: the device's." },
      vrf: {
        type: 'integer',
        minimum: 0,
        maximum: 65_535,
        description: 'The network it belongs to: those of one know nothing of another. Default 0.',
      },
      rate: {
        type: 'object',
        description: 'How fast it may send; flows share it evenly (RFC 8290). Default: as fast as the device takes it.',
        properties: {
          bits: { type: 'integer', minimum: 8_000, maximum: 1_000_000_000_000, description: 'Bits a second.' },
          burst: {
            type: 'integer',
            minimum: 1_514,
            maximum: 1_073_741_824,
            description: 'Octets sent at once after a pause. Default: what 10 ms bring.',
          },
        },
        required: ['bits'],
        additionalProperties: false,
      },
      up: { type: 'boolean', description: 'Default true.' },
    },
    additionalProperties: false,
  },
};

/** Interfaces with their devices and addresses. */
export const interfaces: Section<'interfaces'> = {
  key: 'interfaces',
  schema,
  check(config) {
    const { interfaces: all = {} } = config;
    checkCarriers(config);
    for (const [name, { addresses = [] }] of Object.entries(all)) {
      const seen = new Set<string>();
      for (const [i, text] of addresses.entries()) {
        const place = `${placeOf('interfaces', name)}.addresses[${i}]`;
        if (text === AUTO || text === DHCP) {
          if (seen.has(text)) wrong(place, `'${text}' is there twice`);
          seen.add(text);
          continue;
        }
        const prefix = parsePrefix(text);
        if (prefix === null || !text.includes('/')) wrong(place, `'${text}' is to be an address with its prefix length, such as 10.0.0.2/24`);
        const { address } = prefix;
        if (address.isMulticast || address.isUnspecified || address.isLimitedBroadcast) wrong(place, `'${text}' is an address no interface can have`);
        if (seen.has(address.toString())) wrong(place, `'${text}' is there twice`);
        seen.add(address.toString());
      }
    }
  },
  difference(before, after) {
    const old = placed(before);
    const now = placed(after);
    const fresh = replaced(before, after);
    const remove = [...old.values()].reverse().flatMap((a) => {
      const b = fresh.has(a.name) ? undefined : now.get(a.name);
      const steps = addressing(a, b).map(reversed);
      return fresh.has(a.name) ? [...settings(a).map(reversed), ...steps, reversed(opening(a))] : steps;
    });
    const add = [...now.values()].flatMap((b) => {
      const a = fresh.has(b.name) ? undefined : old.get(b.name);
      return [...(fresh.has(b.name) ? [opening(b)] : []), ...addressing(b, a), ...settings(b, a)];
    });
    return { remove, add };
  },
};

/** Names of interfaces that go away or come anew: what hangs from them goes and comes with them. */
export function replaced(before: Config, after: Config): ReadonlySet<string> {
  const old = placed(before);
  const now = placed(after);
  const fresh = new Set<string>();
  for (const name of [...old.keys(), ...now.keys()]) {
    const [a, b] = [old.get(name), now.get(name)];
    if (a === undefined || b === undefined || !sameCarrier(a, b) || standsOnAny(b, fresh)) fresh.add(name);
  }
  return fresh;
}

interface Placed extends InterfaceConfig {
  readonly name: string;
}

/** By name, what an interface stands on before it. */
const placed = (config: Config): Map<string, Placed> =>
  new Map(groundUp(config).map((name) => [name, { name, ...(config.interfaces as Readonly<Record<string, InterfaceConfig>>)[name] }]));

function sameCarrier(a: Placed, b: Placed): boolean {
  const made = ({ vrf = 0, vlan, bridge, tunnel, nat64, ipsec, mirrors }: Placed): string =>
    JSON.stringify([vrf, vlan, bridge, tunnel, nat64, ipsec, mirrors]);
  if (made(a) !== made(b)) return false;
  const [x, y] = [(a.device ?? {}) as DeviceSpec, (b.device ?? {}) as DeviceSpec];
  const keys = new Set([...Object.keys(x), ...Object.keys(y)]);
  return [...keys].every((key) => x[key] === y[key] || (!isObjectOf(x[key]) && JSON.stringify(x[key]) === JSON.stringify(y[key])));
}

/** A program's own object: same when it is the same one. Lists and plain objects of a file are compared by what they say. */
const isObjectOf = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && ![Object.prototype, Array.prototype].includes(Object.getPrototypeOf(value));

function opening(iface: Placed): Step {
  const { name } = iface;
  return {
    place: `${placeOf('interfaces', name)}.${carrierOf(iface)}`,
    run: ({ core }) => core.v6.setAutoconf(openCarrier(core, name, iface), false),
    undo: ({ core }) => core.removeInterface(interfaceNamed(core, name, 'link del')),
  };
}

/** Steps that add the addresses of `a` which `b` does not have. */
function addressing({ name: dev, addresses = [] }: Placed, b?: Placed): Step[] {
  const added = addresses.map((text, i) => ({ text, place: `${placeOf('interfaces', dev)}.addresses[${i}]` }));
  return added
    .filter(({ text }) => text !== AUTO && text !== DHCP && !b?.addresses?.includes(text))
    .map(({ text, place }) => ({
      place,
      run: ({ core }) => orThere(() => new Addr(core).add(text, { dev })),
      undo: ({ core }) => void core.addresses.remove(interfaceNamed(core, dev, 'addr del'), (parsePrefix(text) as Prefix).address),
    }));
}

/** Steps from the settings of `b`, or the defaults, to those of `a`. */
function settings(a: Placed, b?: Placed): Step[] {
  const place = placeOf('interfaces', a.name);
  const mtu =
    (octets: number | undefined) =>
    ({ core }: Target) => {
      const most = interfaceNamed(core, a.name, 'link set').device?.mtu;
      if (octets !== undefined || most !== undefined) new Link(core).set(a.name, { mtu: octets ?? (most as number) });
    };
  const rate =
    (given: Rate | undefined) =>
    ({ core }: Target) =>
      interfaceNamed(core, a.name, 'link set').shape(given ?? null);
  const up =
    (fact = true) =>
    ({ core }: Target) =>
      new Link(core).set(a.name, { up: fact });
  const automatic = wantsAuto(a) === (b !== undefined && wantsAuto(b)) ? [] : [autoconf(a.name, wantsAuto(a))];
  const leasing = wantsDhcp(a) === (b !== undefined && wantsDhcp(b)) ? [] : [leased(a.name, wantsDhcp(a))];
  return [
    ...automatic,
    ...leasing,
    ...(a.mtu === b?.mtu ? [] : [{ place: `${place}.mtu`, run: mtu(a.mtu), undo: mtu(b?.mtu) }]),
    ...(JSON.stringify(a.rate) === JSON.stringify(b?.rate) ? [] : [{ place: `${place}.rate`, run: rate(a.rate), undo: rate(b?.rate) }]),
    ...((a.up ?? true) === (b?.up ?? true) ? [] : [{ place: `${place}.up`, run: up(a.up), undo: up(b?.up) }]),
  ];
}

/** The word among the addresses that asks for autoconfiguration. */
const AUTO = 'auto';

/** The word that asks for a lease of DHCPv4. */
const DHCP = 'dhcp';

const wantsAuto = ({ addresses = [] }: InterfaceConfig): boolean => addresses.includes(AUTO);

const wantsDhcp = ({ addresses = [] }: InterfaceConfig): boolean => addresses.includes(DHCP);

function leased(name: string, on: boolean): Step {
  const start = ({ dhcp }: Target): void => dhcp.start(name);
  const stop = ({ dhcp }: Target): void => dhcp.stop(name);
  return { place: `${placeOf('interfaces', name)}.addresses`, run: on ? start : stop, undo: on ? stop : start };
}

function autoconf(name: string, on: boolean): Step {
  const set =
    (fact: boolean) =>
    ({ core, services }: Target) => {
      const iface = interfaceNamed(core, name, 'link set');
      core.v6.setAutoconf(iface, fact);
      if (fact) services.dhcp6.want(iface, AUTO, { automatic: true });
      else services.dhcp6.unwant(iface, AUTO);
    };
  return { place: `${placeOf('interfaces', name)}.addresses`, run: set(on), undo: set(!on) };
}
