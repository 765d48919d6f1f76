import { addRoute, type RouteSpec, removeRoute } from '../api/route.js';
import { type Address, type Prefix, parseAddress, parsePrefix, samePrefix } from '../base/address.js';
import type { Config } from './config.js';
import { replaced } from './interfaces.js';
import { hint, placeOf, wrong } from './schema.js';
import { changes, orThere, reversed, type Section, type Step } from './section.js';

type RouteConfig = { readonly to: string } & RouteSpec;

/** Static routes. */
export const routes: Section<'routes'> = {
  key: 'routes',
  schema: {
    type: 'array',
    description: 'Static routes; prefixes of interface addresses have theirs already.',
    items: {
      type: 'object',
      properties: {
        to: { type: 'string', description: "'default', or a prefix such as 10.1.0.0/16." },
        via: { type: 'string', description: 'The next hop; left out where the destination is on-link.' },
        dev: { type: 'string', description: 'The interface. Default: the one whose link has the next hop.' },
        metric: { type: 'integer', minimum: 0, maximum: 4_294_967_295, description: 'The lower one wins. Default 0.' },
        src: { type: 'string', description: 'Source address of what starts here.' },
        mtu: { type: 'integer', minimum: 68, maximum: 65_535, description: "Default: the interface's." },
        type: {
          type: 'string',
          enum: ['unicast', 'blackhole', 'unreachable', 'prohibit'],
          description: 'What happens to its packets. Default unicast.',
        },
        table: { type: 'integer', minimum: 1, maximum: 4_294_967_295, description: 'Default 254, the main table.' },
        vrf: { type: 'integer', minimum: 0, maximum: 65_535, description: 'Default: that of the interface, else 0.' },
      },
      required: ['to'],
      additionalProperties: false,
    },
  },
  check(config) {
    for (const [i, route] of (config.routes ?? []).entries()) checkRoute(config, route, placeOf('routes', i));
  },
  difference(before, after) {
    const fresh = replaced(before, after);
    // Those of an interface that comes anew went with it.
    return changes(
      keyed(before),
      keyed(after),
      (r) => reversed(adding(r)),
      adding,
      (r) => !carriers(before, r).some((name) => fresh.has(name)),
    );
  },
};

function checkRoute({ interfaces = {} }: Config, { to, via, dev, src, type = 'unicast' }: RouteConfig, place: string): void {
  if (to !== 'default' && parsePrefix(to) === null) wrong(`${place}.to`, `'${to}' is neither 'default' nor a prefix such as 10.1.0.0/16`);
  if (dev !== undefined && interfaces[dev] === undefined) wrong(`${place}.dev`, `'${dev}' is no interface${hint(dev, Object.keys(interfaces))}`);
  if (src !== undefined && parseAddress(src) === null) wrong(`${place}.src`, `'${src}' is no address`);
  if (via === undefined) {
    if (dev === undefined && type === 'unicast') wrong(place, "needs 'via' or 'dev'");
    return;
  }
  if (parseAddress(via) === null) wrong(`${place}.via`, `'${via}' is no address`);
  if (carriers({ interfaces }, { via, ...(dev === undefined ? {} : { dev }) }).length === 0) {
    wrong(`${place}.via`, `'${via}' is on the link of no interface${dev === undefined ? '' : ` named ${dev}`}`);
  }
}

/** Interfaces a route may go out on: the one named, those on whose link the next hop is. */
function carriers({ interfaces = {} }: Config, { via, dev }: RouteSpec): string[] {
  const gateway = via === undefined ? null : parseAddress(via);
  const names = dev === undefined ? Object.keys(interfaces) : [dev];
  if (gateway === null || (dev !== undefined && gateway.isLinkLocal && !gateway.isV4)) return names; // on every link
  return names.filter((name) => (interfaces[name]?.addresses ?? []).some((text) => holds(parsePrefix(text), gateway)));
}

/** Is the address in the prefix? A text that is no prefix gets its address from elsewhere, and nobody knows yet. */
const holds = (prefix: Prefix | null, address: Address): boolean =>
  prefix === null || (prefix.address.isV4 === address.isV4 && samePrefix(prefix.address, address, prefix.length + (address.isV4 ? 96 : 0)));

interface Placed extends RouteConfig {
  readonly place: string;
}

function keyed({ routes: list = [] }: Config): Map<string, Placed> {
  const key = ({ to, via, dev, metric, src, mtu, type, table, vrf }: RouteConfig): string =>
    JSON.stringify([to, via, dev, metric, src, mtu, type, table, vrf]);
  return new Map(list.map((route, i) => [key(route), { ...route, place: placeOf('routes', i) }]));
}

function adding(route: Placed): Step {
  return {
    place: route.place,
    run: ({ core }) => orThere(() => addRoute(core, route.to, route)),
    undo: ({ core }) => void removeRoute(core, route.to, route),
  };
}
