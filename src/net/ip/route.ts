import { type Address, formatAddress, MAPPED, maskAddress, samePrefix } from '../../base/address.js';
import type { Flow } from './path.js';

/** What a route does with a packet. */
export type RouteType = 'unicast' | 'blackhole' | 'unreachable' | 'prohibit';

/** Linux's table numbers. */
export const MAIN_TABLE = 254;

/** One route. Immutable: a change is a removal and an addition. */
export interface Route {
  readonly family: 4 | 6;
  readonly prefix: Address;
  /** In the family's own bits. */
  readonly length: number;
  readonly type: RouteType;
  /** Outgoing interface; 0 for types that need none. */
  readonly index: number;
  /** Null: the destination is on-link. */
  readonly gateway: Address | null;
  /** Preferred source address. */
  readonly source: Address | null;
  /** The lower one wins among routes of equal length. */
  readonly metric: number;
  /** 0: the interface's. */
  readonly mtu: number;
  readonly table: number;
  readonly vrf: number;
  /** Who put it there. */
  readonly protocol: 'kernel' | 'static' | 'dhcp' | 'ra' | 'redirect' | 'zebra';
}

/** Interface state as routes need it. */
export interface Links {
  running(index: number): boolean;
}

/** The routing tables of one stack. */
export class Routes {
  /** Grows with each change of anything a path was made from. */
  generation = 1;
  private readonly links: Links;
  /** Longest prefix first, then least metric: the first match is the best. */
  private readonly routes: { route: Route; bits: number }[] = [];

  constructor(links: Links) {
    this.links = links;
  }

  /** Paths made so far are to be asked for anew. */
  invalidate(): void {
    this.generation++;
  }

  /** Adds a route. False when the same one (prefix, metric, table, VRF, next hop) is there. */
  add(route: Route): boolean {
    const bits = route.length + (route.family === 4 ? 96 : 0);
    const kept = { ...route, prefix: maskAddress(route.prefix, bits) };
    if (this.routes.some((r) => sameRoute(r.route, kept))) return false;
    let i = this.routes.findIndex((r) => r.bits < bits || (r.bits === bits && r.route.metric > route.metric));
    if (i < 0) i = this.routes.length;
    this.routes.splice(i, 0, { route: kept, bits });
    this.invalidate();
    return true;
  }

  /** Removes those that match all that is given; says how many. */
  remove(match: (route: Route) => boolean): number {
    const before = this.routes.length;
    for (let i = this.routes.length - 1; i >= 0; i--) if (match((this.routes[i] as { route: Route }).route)) this.routes.splice(i, 1);
    if (this.routes.length !== before) this.invalidate();
    return before - this.routes.length;
  }

  list(): readonly Route[] {
    return this.routes.map((r) => r.route);
  }

  /** The best route of the flow whose interface runs, or null. */
  lookup(flow: Flow): Route | null {
    const { destination } = flow;
    const family = destination.w2 === MAPPED && destination.isV4 ? 4 : 6;
    for (const { route, bits } of this.routes) {
      if (route.family !== family || route.vrf !== flow.vrf) continue;
      if (flow.outIndex !== 0 && route.index !== flow.outIndex) continue;
      if (!samePrefix(destination, route.prefix, bits)) continue;
      if (route.type === 'unicast' && !this.links.running(route.index)) continue;
      return route;
    }
    return null;
  }
}

function sameRoute(a: Route, b: Route): boolean {
  return (
    a.family === b.family &&
    a.length === b.length &&
    a.metric === b.metric &&
    a.table === b.table &&
    a.vrf === b.vrf &&
    a.index === b.index &&
    a.prefix.equals(b.prefix) &&
    (a.gateway === null ? b.gateway === null : b.gateway?.equals(a.gateway) === true)
  );
}

/** "default", "10.0.0.0/24": the destination as iproute2 writes it. */
export const formatDestination = (route: Route): string => (route.length === 0 ? 'default' : `${formatAddress(route.prefix)}/${route.length}`);
