import { interfaceNamed } from '../api/link.js';
import { type Address, parseAddress } from '../base/address.js';
import type { VirtualRouterOptions } from '../net/vrrp/virtual-router.js';
import { INTERVAL_MAX, Priority } from '../wire/vrrp.js';
import type { Config } from './config.js';
import { replaced } from './interfaces.js';
import { hint, placeOf, type Schema, wrong } from './schema.js';
import { changes, reversed, type Section, type Step } from './section.js';

/** A virtual router (RFC 9568): addresses that one of several routers has at a time. */
export interface VrrpConfig {
  readonly interface: string;
  /** VRID, [1, 255]: the same on all its routers, another for each virtual router of a link. */
  readonly id: number;
  /** Of one family; of IPv6 the first is link-local. */
  readonly addresses: readonly string[];
  /** [1, 255]; 255 for the router whose own addresses these are. Default 100. */
  readonly priority?: number;
  /** Seconds between advertisements, [0.01, 40.95]. Default 1. */
  readonly interval?: number;
  /** A router of lower priority is relieved. Default true. */
  readonly preempt?: boolean;
  /** Packets to the addresses are ours, not only those through them. Default false. */
  readonly accept?: boolean;
  /** Checksums over IPv4 cover a pseudo header, as those of keepalived and others written to RFC 5798. Default false. */
  readonly pseudoHeader?: boolean;
}

const schema: Schema = {
  type: 'object',
  properties: {
    interface: { type: 'string', description: 'The link its routers share.' },
    id: { type: 'integer', minimum: 1, maximum: 255, description: 'VRID: the same on all its routers.' },
    addresses: {
      type: 'array',
      items: { type: 'string' },
      minItems: 1,
      maxItems: 64,
      description: 'Of one family; of IPv6 the first is link-local.',
    },
    priority: { type: 'integer', minimum: 1, maximum: 255, description: '255: the addresses are our own. Default 100.' },
    interval: { type: 'number', minimum: 0.01, maximum: INTERVAL_MAX / 100, description: 'Seconds between advertisements. Default 1.' },
    preempt: { type: 'boolean', description: 'A router of lower priority is relieved. Default true.' },
    accept: { type: 'boolean', description: 'Packets to the addresses are ours, not only those through them. Default false.' },
    pseudoHeader: { type: 'boolean', description: 'Checksums over IPv4 cover a pseudo header, as those of keepalived do. Default false.' },
  },
  required: ['interface', 'id', 'addresses'],
  additionalProperties: false,
};

/** Virtual routers. */
export const vrrp: Section<'vrrp'> = {
  key: 'vrrp',
  schema: { type: 'array', description: 'Virtual routers: VRRP version 3 (RFC 9568).', items: schema },
  check({ vrrp: all = [], interfaces = {} }) {
    const seen = new Set<string>();
    for (const [i, config] of all.entries()) {
      const place = placeOf('vrrp', i);
      const known = Object.keys(interfaces);
      if (!known.includes(config.interface)) wrong(`${place}.interface`, `'${config.interface}' is no interface${hint(config.interface, known)}`);
      const { addresses } = optionsOf(config, place);
      const key = keyOf(config, addresses[0]?.isV4 ?? true);
      if (seen.has(key)) wrong(`${place}.id`, `${config.id} is there twice on ${config.interface}`);
      seen.add(key);
    }
  },
  difference(before, after) {
    const fresh = replaced(before, after);
    const same = (a: Placed, b: Placed): boolean => JSON.stringify(a.config) === JSON.stringify(b.config) && !fresh.has(a.config.interface);
    return changes(placed(before), placed(after), (v) => reversed(adding(v)), adding, same);
  },
};

interface Placed {
  readonly place: string;
  readonly config: VrrpConfig;
}

const keyOf = (config: VrrpConfig, v4: boolean): string => `${config.interface} ${config.id} ${v4}`;

const placed = ({ vrrp: all = [] }: Config): Map<string, Placed> =>
  new Map(all.map((config, i) => [keyOf(config, !config.addresses[0]?.includes(':')), { place: placeOf('vrrp', i), config }]));

function optionsOf(config: VrrpConfig, place: string): VirtualRouterOptions {
  const { id, priority = Priority.Default, interval = 1, preempt = true, accept = false, pseudoHeader = false } = config;
  const addresses = config.addresses.map((text, i): Address => {
    const address = parseAddress(text);
    const usable = address !== null && !address.isMulticast && !address.isUnspecified && !address.isLimitedBroadcast && !address.isLoopback;
    return usable ? address : wrong(`${place}.addresses[${i}]`, `'${text}' is no address of a router`);
  });
  const [first] = addresses as [Address];
  if (addresses.some((a) => a.isV4 !== first.isV4)) wrong(`${place}.addresses`, 'are of two families: each has virtual routers of its own');
  if (!first.isV4 && !first.isLinkLocal) wrong(`${place}.addresses[0]`, `'${first}' is to be link-local, such as fe80::1 (RFC 9568 §5.2.9)`);
  return { id, addresses, priority, interval: Math.round(100 * interval), preempt, accept: accept || priority === Priority.Owner, pseudoHeader };
}

function adding({ place, config }: Placed): Step {
  const options = optionsOf(config, place);
  return {
    place,
    run: ({ core }) => void core.vrrp.add(interfaceNamed(core, config.interface, 'vrrp'), options),
    undo: ({ core }) => {
      const router = core.vrrp.all.find(
        (r) => r.iface.name === config.interface && r.options.id === options.id && r.v4 === options.addresses[0]?.isV4,
      );
      if (router !== undefined) core.vrrp.remove(router);
    },
  };
}
