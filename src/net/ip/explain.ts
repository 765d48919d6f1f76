import { type Address, formatAddress } from '../../base/address.js';
import type { Hop, Rule } from './route.js';

/** Why a flow goes where it goes: Routes.explain. */
export interface Explanation {
  /** The policy rule that matched; null: none did, and the main table decided. */
  readonly rule: Rule | null;
  /** Table the route is in; 0 when the rule itself decided. */
  readonly table: number;
  /** The prefix that matched, null when the rule itself decided. */
  readonly prefix: Address | null;
  /** In the family's own bits. */
  readonly length: number;
  readonly hop: Hop;
  /** Equally good hops that share the flows. */
  readonly ways: number;
}

/** One line: "rule 100 table 20: 10.0.0.0/8 via 10.0.1.1 dev eth1, one of 2 ways". `name` gives interfaces theirs. */
export function describeRoute(found: Explanation | null, name: (index: number) => string): string {
  if (found === null) return 'no route matches';
  const { rule, table, prefix, length, hop, ways } = found;
  const parts = [rule === null ? `table ${table}:` : table === 0 ? `rule ${rule.priority}:` : `rule ${rule.priority} table ${table}:`];
  if (prefix !== null) parts.push(length === 0 ? 'default' : `${formatAddress(prefix)}/${length}`);
  if (hop.type !== 'unicast') parts.push(hop.type);
  if (hop.gateway !== null) parts.push(`via ${formatAddress(hop.gateway)}`);
  if (hop.index !== 0) parts.push(`dev ${name(hop.index)}`);
  if (hop.metric !== 0) parts.push(`metric ${hop.metric}`);
  return parts.join(' ') + (ways > 1 ? `, one of ${ways} ways` : '');
}
