import { type Address, commonPrefix, type Prefix, parsePrefix, samePrefix } from '../../base/address.js';
import { ConfigError } from '../../base/errors.js';
import type { Interface, InterfaceAddress } from '../interface.js';
import type { IpLayer } from '../ip/ip.js';
import { Scope, scopeOf } from './scope.js';

/** One row of the policy table: RFC 6724 §2.1. */
export interface Policy {
  readonly prefix: Prefix;
  readonly precedence: number;
  readonly label: number;
}

/** Rows of a policy table somebody sets; more are refused. */
export const POLICIES_MAX = 64;

const policy = (text: string, precedence: number, label: number): Policy => ({ prefix: parsePrefix(text) as Prefix, precedence, label });

/** RFC 6724 §2.1. */
export const defaultPolicies: readonly Policy[] = [
  policy('::1/128', 50, 0),
  policy('::/0', 40, 1),
  policy('0.0.0.0/0', 35, 4),
  policy('2002::/16', 30, 2),
  policy('2001::/32', 5, 5),
  policy('fc00::/7', 3, 13),
  policy('::/96', 1, 3),
  policy('fec0::/10', 1, 11),
  policy('3ffe::/16', 1, 12),
];

/** Default address selection (RFC 6724) with a policy table that can be set. One per stack. */
export class SourceSelection {
  private readonly ip: IpLayer;
  /** Longest prefix first. */
  private table: Policy[] = [];
  /** RFC 6724 §5 rule 5.5: is the address of a prefix that the router to `destination` advertises? Null until routers are known. */
  fromNextHop: ((address: InterfaceAddress, destination: Address) => boolean) | null = null;

  constructor(ip: IpLayer) {
    this.ip = ip;
    this.setPolicies(defaultPolicies);
  }

  get policies(): readonly Policy[] {
    return this.table;
  }

  /** Replaces the table. Throws ConfigError past POLICIES_MAX. */
  setPolicies(rows: readonly Policy[]): void {
    if (rows.length > POLICIES_MAX) throw new ConfigError(`address selection: ${rows.length} policies, at most ${POLICIES_MAX}`);
    this.table = [...rows].sort((a, b) => bitsOf(b.prefix) - bitsOf(a.prefix));
    this.ip.routes.invalidate();
  }

  /** The row that matches longest; null when the table has no default. */
  policyOf(a: Address): Policy | null {
    for (const row of this.table) if (samePrefix(a, row.prefix.address, bitsOf(row.prefix))) return row;
    return null;
  }

  /**
   * The source for a destination out of `iface`: RFC 6724 §4, §5. Candidates are the interface's own addresses; where none has the
   * destination's scope, those of the others serve, as on a router whose links have link-local addresses only.
   */
  select(iface: Interface, destination: Address): InterfaceAddress | null {
    const wanted = scopeOf(destination);
    let best = this.bestOf(iface, iface, destination, null);
    if (best !== null && scopeOf(best.address) >= wanted) return best;
    if (destination.isMulticast || wanted <= Scope.LinkLocal) return best;
    for (const other of this.ip.interfaces) if (other !== iface && other.vrf === iface.vrf) best = this.bestOf(other, iface, destination, best);
    return best;
  }

  private bestOf(from: Interface, out: Interface, destination: Address, given: InterfaceAddress | null): InterfaceAddress | null {
    let best = given;
    for (const a of from.addresses) {
      if (a.address.isV4 || a.state === 'tentative' || a.state === 'duplicate') continue;
      if (from !== out && (a.address.isLinkLocal || a.address.isLoopback)) continue;
      if (best === null || this.prefers(a, best, out, destination)) best = a;
    }
    return best;
  }

  /** Is A the better source than B? RFC 6724 §5; rule 4 is of mobile hosts. */
  private prefers(a: InterfaceAddress, b: InterfaceAddress, out: Interface, destination: Address): boolean {
    const same = a.address.equals(destination);
    if (same !== b.address.equals(destination)) return same; // Rule 1
    const scopeA = scopeOf(a.address);
    const scopeB = scopeOf(b.address);
    const scope = scopeOf(destination);
    if (scopeA < scopeB) return scopeA >= scope; // Rule 2
    if (scopeB < scopeA) return scopeB < scope;
    const avoidA = a.state !== 'preferred'; // Rule 3; optimistic ones count as deprecated (RFC 4429 §3.1)
    if (avoidA !== (b.state !== 'preferred')) return !avoidA;
    const outA = a.iface === out;
    if (outA !== (b.iface === out)) return outA; // Rule 5
    if (this.fromNextHop !== null) {
      const hopA = this.fromNextHop(a, destination);
      if (hopA !== this.fromNextHop(b, destination)) return hopA; // Rule 5.5
    }
    const label = this.policyOf(destination)?.label;
    const labelA = this.policyOf(a.address)?.label === label;
    if (labelA !== (this.policyOf(b.address)?.label === label)) return labelA; // Rule 6
    if (a.temporary !== b.temporary) return a.temporary === (out.conf6.use_tempaddr === 2); // Rule 7
    return matching(a, destination) > matching(b, destination); // Rule 8
  }

  /**
   * Destinations in the order to try them: RFC 6724 §6, stable. `sourceFor` answers the source a destination would have, null for
   * unreachable ones.
   */
  sortDestinations(destinations: readonly Address[], sourceFor: (destination: Address) => InterfaceAddress | null): Address[] {
    const rows = destinations.map((destination) => ({ destination, source: sourceFor(destination) }));
    return rows.sort((a, b) => this.compareDestinations(a, b)).map((row) => row.destination);
  }

  private compareDestinations(a: Candidate, b: Candidate): number {
    if (a.source === null || b.source === null) return Number(a.source === null) - Number(b.source === null); // Rule 1
    const sameA = scopeOf(a.destination) === scopeOf(a.source.address);
    const sameB = scopeOf(b.destination) === scopeOf(b.source.address);
    if (sameA !== sameB) return sameA ? -1 : 1; // Rule 2
    const oldA = a.source.state === 'deprecated';
    if (oldA !== (b.source.state === 'deprecated')) return oldA ? 1 : -1; // Rule 3
    const labelA = this.policyOf(a.destination)?.label === this.policyOf(a.source.address)?.label;
    const labelB = this.policyOf(b.destination)?.label === this.policyOf(b.source.address)?.label;
    if (labelA !== labelB) return labelA ? -1 : 1; // Rule 5
    const precedence = (this.policyOf(b.destination)?.precedence ?? 0) - (this.policyOf(a.destination)?.precedence ?? 0);
    if (precedence !== 0) return precedence; // Rule 6
    const scope = scopeOf(a.destination) - scopeOf(b.destination);
    if (scope !== 0) return scope; // Rule 8
    if (a.destination.isV4 || b.destination.isV4) return 0; // RFC 6724 §6 rule 9 says little of IPv4: it would undo round robin
    return matching(b.source, b.destination) - matching(a.source, a.destination); // Rule 9
  }
}

interface Candidate {
  readonly destination: Address;
  readonly source: InterfaceAddress | null;
}

/** Common prefix, no longer than the source's own prefix: RFC 6724 §2.2. */
const matching = (source: InterfaceAddress, destination: Address): number => Math.min(commonPrefix(source.address, destination), source.length);

/** IPv4 prefixes count in mapped bits. */
const bitsOf = (prefix: Prefix): number => prefix.length + (prefix.address.isV4 && prefix.length <= 32 ? 96 : 0);
