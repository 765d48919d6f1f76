import { type Address, anyV4, anyV6, formatAddress, parseAddress, parsePrefix, samePrefix } from '../base/address.js';
import { errnoName, NetError } from '../base/errors.js';
import type { Interface } from '../net/interface.js';
import type { Explanation } from '../net/ip/explain.js';
import { Flow } from '../net/ip/path.js';
import { formatDestination, MAIN_TABLE, type Route as RouteEntry, type RouteType } from '../net/ip/route.js';
import type { Stack } from '../net/stack.js';
import { interfaceNamed } from './link.js';
import { type NeighInfo, neighInfo } from './neigh.js';

/** A route but its destination, in iproute2's words. */
export interface RouteSpec {
  /** The next hop. Left out: the destination is on-link. */
  readonly via?: string;
  /** The interface. Default: the one on whose link the next hop is. */
  readonly dev?: string;
  /** Default 0; the lower one wins. */
  readonly metric?: number;
  /** Preferred source address. */
  readonly src?: string;
  /** 0 and default: the interface's. */
  readonly mtu?: number;
  /** Default 'unicast'. */
  readonly type?: RouteType;
  /** Default 254, the main table. */
  readonly table?: number;
  /** Default: the interface's, else 0. */
  readonly vrf?: number;
}

/** One route as `route show` tells it. */
export interface RouteInfo extends RouteSpec {
  readonly to: string;
  readonly family: 4 | 6;
  readonly protocol: RouteEntry['protocol'];
}

/** Where packets to an address go: `route get`. */
export interface RouteAnswer {
  readonly to: string;
  readonly dev: string;
  /** The next hop; the destination itself when it is on-link. */
  readonly via: string;
  readonly src: string;
  /** Route, interface and path MTU discovery together. */
  readonly mtu: number;
  readonly kind: 'unicast' | 'local' | 'broadcast' | 'multicast';
  /** What decided, and how: the policy rule that matched, the table, the prefix in it. Left out for what is ours, a group or a broadcast. */
  readonly rule?: number;
  readonly table?: number;
  readonly prefix?: string;
  readonly metric?: number;
  readonly protocol?: RouteEntry['protocol'];
  /** Equally good hops that share the flows; left out for one. */
  readonly ways?: number;
  /** What is known of the next hop: its station address, null while nobody has answered, and its state. Left out where nobody has asked yet. */
  readonly neighbor?: Pick<NeighInfo, 'lladdr' | 'state'>;
}

/** What a flow is, beside its destination: policy rules look at it. */
export interface FlowSpec {
  readonly dev?: string;
  readonly src?: string;
  readonly vrf?: number;
  readonly mark?: number;
  /** A protocol number. */
  readonly proto?: number;
  readonly sport?: number;
  readonly dport?: number;
  /** The interface it comes in by: as a packet that is forwarded. */
  readonly iif?: string;
}

/** What senders of ours are told by routes that lead nowhere; Linux's codes. */
const refusals = { blackhole: 'EINVAL', unreachable: 'EHOSTUNREACH', prohibit: 'EACCES' } as const;

/** `stack.route`: the routing tables. */
export class Route {
  private readonly core: Stack;

  constructor(core: Stack) {
    this.core = core;
  }

  /** All routes, the best match first. */
  show(): RouteInfo[] {
    return this.core.ip.routes.list().map((r) => routeInfo(this.core, r));
  }

  /** NetError EEXIST when it is there, EHOSTUNREACH when the next hop is on nobody's link. */
  add(to: string, spec: RouteSpec = {}): void {
    addRoute(this.core, to, spec);
  }

  /** Removes what matches all that is given. NetError ENOENT when nothing does. */
  del(to: string, spec: RouteSpec = {}): void {
    if (removeRoute(this.core, to, spec) === 0) throw new NetError('ENOENT', 'route del', to, undefined, 'no such route');
  }

  /** Adds, in the place of those to the same destination with the same metric in the same table. */
  replace(to: string, spec: RouteSpec = {}): void {
    const made = entryOf(this.core, to, spec);
    const { routes } = this.core.ip;
    routes.remove((r) => r.protocol !== 'kernel' && sameSlot(r, made));
    if (!routes.add(made)) throw new NetError('EEXIST', 'route replace', to);
  }

  /** NetError ENETUNREACH and so on where there is no way. */
  get(address: string, spec: FlowSpec = {}): RouteAnswer {
    const { core } = this;
    const flow = this.flowOf(address, spec);
    core.ctx.touch();
    const found = core.ip.routes.explain(flow);
    const why = found === null ? {} : reasons(found);
    if (spec.iif !== undefined && !core.ip.isLocal(flow.destination, flow.vrf)) {
      if (found === null || found.hop.type !== 'unicast')
        throw new NetError(
          found === null ? 'ENETUNREACH' : refusals[found.hop.type as keyof typeof refusals],
          'route get',
          address,
          undefined,
          core.ip.explain(flow),
        );
      const { index, gateway, mtu } = found.hop;
      const out = core.interfaces.at(index) as Interface;
      const nextHop = gateway ?? flow.destination;
      return {
        to: address,
        dev: out.name,
        via: formatAddress(nextHop),
        src: spec.src ?? '',
        mtu: mtu || out.mtu,
        kind: 'unicast',
        ...why,
        ...known(out, nextHop),
      };
    }
    const path = core.ip.path(flow);
    if (typeof path === 'number') throw new NetError(errnoName(path), 'route get', address, undefined, core.ip.explain(flow));
    const kind = path.local ? 'local' : path.broadcast ? 'broadcast' : path.group ? 'multicast' : 'unicast';
    const base = {
      to: address,
      dev: path.iface.name,
      via: formatAddress(path.nextHop),
      src: formatAddress(path.source),
      mtu: path.mtu,
      kind,
    } as const;
    return kind === 'unicast' ? { ...base, ...why, ...known(path.iface, path.nextHop) } : base;
  }

  private flowOf(address: string, { dev, src, vrf, mark = 0, proto = 0, sport = 0, dport = 0, iif }: FlowSpec): Flow {
    const flow = new Flow();
    flow.destination.copy(needed(address, 'route get'));
    if (src !== undefined) flow.source.copy(needed(src, 'route get'));
    else if (flow.destination.isV4) flow.source.setV4(0);
    const out = dev === undefined ? null : interfaceNamed(this.core, dev, 'route get');
    const into = iif === undefined ? null : interfaceNamed(this.core, iif, 'route get');
    flow.outIndex = out?.index ?? 0;
    flow.inIndex = into?.index ?? 0;
    flow.vrf = vrf ?? out?.vrf ?? into?.vrf ?? 0;
    flow.mark = mark;
    flow.protocol = proto;
    flow.sourcePort = sport;
    flow.destinationPort = dport;
    return flow;
  }
}

function known(iface: Interface, nextHop: Address): Pick<RouteAnswer, 'neighbor'> {
  const found = iface.neighbors?.find(nextHop) ?? null;
  if (found === null) return {};
  const { lladdr, state } = neighInfo(iface, found);
  return { neighbor: { lladdr, state } };
}

function reasons({ rule, table, prefix, length, hop, ways }: Explanation): Partial<RouteAnswer> {
  return {
    ...(rule === null ? {} : { rule: rule.priority }),
    table,
    ...(prefix === null ? {} : { prefix: length === 0 ? 'default' : `${formatAddress(prefix)}/${length}` }),
    ...(hop.metric === 0 ? {} : { metric: hop.metric }),
    protocol: hop.protocol,
    ...(ways === 1 ? {} : { ways }),
  };
}

/** See Route.add. */
export function addRoute(core: Stack, to: string, spec: RouteSpec): void {
  if (!core.ip.routes.add(entryOf(core, to, spec))) throw new NetError('EEXIST', 'route add', to);
  core.hyper.soon();
}

/** How many routes matched all that `spec` gives, and are gone. Those of addresses go with their address only. */
export function removeRoute(core: Stack, to: string, spec: RouteSpec): number {
  const destination = destinationOf(to, spec);
  const via = spec.via === undefined ? null : needed(spec.via, 'route del');
  const index = spec.dev === undefined ? 0 : interfaceNamed(core, spec.dev, 'route del').index;
  return core.ip.routes.remove(
    (r) =>
      r.family === destination.family &&
      r.length === destination.length &&
      samePrefix(r.prefix, destination.address, destination.length + (r.family === 4 ? 96 : 0)) &&
      r.table === (spec.table ?? MAIN_TABLE) &&
      (via === null || r.gateway?.equals(via) === true) &&
      (index === 0 || r.index === index) &&
      (spec.metric === undefined || r.metric === spec.metric) &&
      (spec.type === undefined || r.type === spec.type) &&
      (spec.vrf === undefined || r.vrf === spec.vrf),
  );
}

function entryOf(core: Stack, to: string, spec: RouteSpec): RouteEntry {
  const { via, type = 'unicast', metric = 0, mtu = 0, table = MAIN_TABLE } = spec;
  const destination = destinationOf(to, spec);
  const gateway = via === undefined ? null : needed(via, 'route add');
  const source = spec.src === undefined ? null : needed(spec.src, 'route add');
  const index = type === 'unicast' ? outIndex(core, to, spec, gateway) : 0;
  const vrf = spec.vrf ?? core.interfaces.at(index)?.vrf ?? 0;
  if (source !== null && core.ip.locals.find(source, vrf, 0) === null)
    throw new NetError('EADDRNOTAVAIL', 'route add', spec.src, undefined, 'the source address is not ours');
  return {
    family: destination.family,
    prefix: destination.address,
    length: destination.length,
    type,
    index,
    gateway,
    source,
    metric,
    mtu,
    table,
    vrf,
    protocol: 'static',
  };
}

/** The given interface, or that on whose link the gateway is. */
function outIndex(core: Stack, to: string, { dev, vrf = 0 }: RouteSpec, gateway: Address | null): number {
  if (dev !== undefined) return interfaceNamed(core, dev, 'route add').index;
  if (gateway === null) throw new NetError('EINVAL', 'route add', to, undefined, "a route needs 'via' or 'dev'");
  const bits = gateway.isV4 ? 96 : 0;
  for (const iface of core.interfaces) {
    if (iface.vrf !== vrf) continue;
    if (iface.addresses.some((a) => a.address.isV4 === gateway.isV4 && samePrefix(a.address, gateway, a.length + bits))) return iface.index;
  }
  throw new NetError('EHOSTUNREACH', 'route add', to, undefined, `the next hop ${formatAddress(gateway)} is on the link of no interface`);
}

function destinationOf(to: string, { via, src }: RouteSpec): { family: 4 | 6; address: Address; length: number } {
  if (to === 'default') {
    const six = (via ?? src ?? '').includes(':');
    return { family: six ? 6 : 4, address: six ? anyV6() : anyV4(), length: 0 };
  }
  const prefix = parsePrefix(to);
  if (prefix === null) throw new NetError('EINVAL', 'route', to, undefined, "the destination is 'default' or a prefix such as 10.1.0.0/16");
  return { family: prefix.address.isV4 ? 4 : 6, ...prefix };
}

function needed(text: string, call: string): Address {
  const address = parseAddress(text);
  if (address === null) throw new NetError('EINVAL', call, text, undefined, 'not an address');
  return address;
}

const sameSlot = (a: RouteEntry, b: RouteEntry): boolean =>
  a.family === b.family &&
  a.length === b.length &&
  a.metric === b.metric &&
  a.table === b.table &&
  a.vrf === b.vrf &&
  samePrefix(a.prefix, b.prefix, a.length + (a.family === 4 ? 96 : 0));

function routeInfo(core: Stack, r: RouteEntry): RouteInfo {
  const dev = core.interfaces.at(r.index)?.name;
  return {
    to: formatDestination(r),
    family: r.family,
    ...(r.gateway === null ? {} : { via: formatAddress(r.gateway) }),
    ...(dev === undefined ? {} : { dev }),
    ...(r.source === null ? {} : { src: formatAddress(r.source) }),
    ...(r.metric === 0 ? {} : { metric: r.metric }),
    ...(r.mtu === 0 ? {} : { mtu: r.mtu }),
    ...(r.type === 'unicast' ? {} : { type: r.type }),
    ...(r.table === MAIN_TABLE ? {} : { table: r.table }),
    ...(r.vrf === 0 ? {} : { vrf: r.vrf }),
    protocol: r.protocol,
  };
}
