import { type Address, formatAddress, samePrefix } from '../../base/address.js';
import type { Flow } from './path.js';

/** What a route does with a packet. */
export type RouteType = 'unicast' | 'blackhole' | 'unreachable' | 'prohibit';

/** Linux's table numbers. */
export const MAIN_TABLE = 254;

/** Where a route leads: all of it but the destination. Immutable. */
export interface Hop {
  readonly type: RouteType;
  /** Outgoing interface; 0 for types that need none. */
  readonly index: number;
  /** Null: the destination is on-link. */
  readonly gateway: Address | null;
  /** Preferred source address. */
  readonly source: Address | null;
  /** The lower one wins among routes of equal length; equal ones share the flows (ECMP). */
  readonly metric: number;
  /** 0: the interface's. */
  readonly mtu: number;
  /** Who put it there. */
  readonly protocol: 'kernel' | 'static' | 'dhcp' | 'ra' | 'redirect' | 'zebra';
  /** Number of the set of hops it belongs to, which is changed as one; left out for none. */
  readonly tag?: number;
}

/** One route. */
export interface Route extends Hop {
  readonly family: 4 | 6;
  readonly prefix: Address;
  /** In the family's own bits. */
  readonly length: number;
  readonly table: number;
  readonly vrf: number;
}

/** A policy rule: flows that match all that is given are looked up in its table. RFC 1812 §7.5 knows such; the words are ip-rule(8)'s. */
export interface Rule {
  /** Rules are tried in ascending order; the main table stands at 32,766. */
  readonly priority: number;
  readonly from?: { readonly address: Address; readonly length: number };
  readonly to?: { readonly address: Address; readonly length: number };
  readonly inIndex?: number;
  readonly outIndex?: number;
  readonly mark?: number;
  /** Bits of the mark that count. Default all. */
  readonly mask?: number;
  readonly protocol?: number;
  readonly sourcePort?: readonly [number, number];
  readonly destinationPort?: readonly [number, number];
  readonly trafficClass?: number;
  readonly vrf?: number;
  readonly action: { readonly table: number } | { readonly type: Exclude<RouteType, 'unicast'> };
}

/** Does a flow meet all conditions of a rule? */
export function ruleMatches(rule: Rule, flow: Flow): boolean {
  if (rule.inIndex !== undefined && rule.inIndex !== flow.inIndex) return false;
  if (rule.outIndex !== undefined && rule.outIndex !== flow.outIndex) return false;
  if (rule.mark !== undefined && ((rule.mark ^ flow.mark) & (rule.mask ?? -1)) !== 0) return false;
  if (rule.protocol !== undefined && rule.protocol !== flow.protocol) return false;
  if (rule.trafficClass !== undefined && rule.trafficClass !== flow.trafficClass) return false;
  if (rule.vrf !== undefined && rule.vrf !== flow.vrf) return false;
  if (rule.from !== undefined && !within(flow.source, rule.from)) return false;
  if (rule.to !== undefined && !within(flow.destination, rule.to)) return false;
  if (rule.sourcePort !== undefined && !inRange(flow.sourcePort, rule.sourcePort)) return false;
  return rule.destinationPort === undefined || inRange(flow.destinationPort, rule.destinationPort);
}

const within = (a: Address, p: { readonly address: Address; readonly length: number }): boolean =>
  a.isV4 === p.address.isV4 && samePrefix(a, p.address, p.length + (p.address.isV4 ? 96 : 0));
const inRange = (n: number, [low, high]: readonly [number, number]): boolean => n >= low && n <= high;

/** "default", "10.0.0.0/24": the destination as iproute2 writes it. */
export const formatDestination = (route: Route): string => (route.length === 0 ? 'default' : `${formatAddress(route.prefix)}/${route.length}`);
