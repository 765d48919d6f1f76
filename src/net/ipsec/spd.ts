// hot: bench/micro/ipsec
import { assert } from '../../base/assert.js';
import { type Micros, seconds } from '../../base/time.js';
import type { Sa } from './sa.js';
import { anyCovers, type FlowKey, type Selector } from './selector.js';

/** Policies of one stack. */
export const POLICIES_MAX = 16_384;
/** Outbound SAs of one policy: more than one with PFP, and while rekeying. */
export const POLICY_SAS_MAX = 256;
/** A policy without SA asks for one at most this often. */
const ASK_INTERVAL: Micros = seconds(1);

export type PolicyAction = 'bypass' | 'discard' | 'protect';

/** Which selectors an SA takes from the packet that asks for it. RFC 4301 §4.4.1.2 (PFP). */
export interface FromPacket {
  readonly local?: boolean;
  readonly remote?: boolean;
  readonly protocol?: boolean;
  readonly ports?: boolean;
}

/** An entry of the SPD. RFC 4301 §4.4.1.2. */
export interface PolicyOptions {
  readonly name: string;
  readonly action: PolicyAction;
  /** Each is a line of its own; any of them makes the policy match. Empty: all traffic. */
  readonly selectors: readonly Selector[];
  /** Traffic that leaves, that arrives, or both (the default): RFC 4301's SPD-O, SPD-I and SPD-S. */
  readonly direction?: 'in' | 'out' | 'both';
  /** Only on this interface; 0, the default: on all. */
  readonly index?: number;
  readonly vrf?: number;
  /** Lower ones are asked first; equal ones in the order they were added. Default 100. */
  readonly priority?: number;
  readonly fromPacket?: FromPacket;
}

/** A policy in force, with the SAs that carry its traffic out. */
export class Policy {
  readonly options: PolicyOptions;
  readonly name: string;
  readonly action: PolicyAction;
  readonly priority: number;
  /** Newest first: after a rekey traffic moves to the new SA at once. */
  readonly outbound: Sa[] = [];
  packets = 0;
  /** An SA was asked for at this time (µs), with PFP for this flow, and is not asked for again for a while. */
  private asked = Number.NEGATIVE_INFINITY;
  private askedFor = '';
  private readonly selectors: readonly Selector[];
  private readonly inbound: boolean;
  private readonly leaving: boolean;
  private readonly index: number;
  private readonly vrf: number;

  constructor(options: PolicyOptions) {
    this.options = options;
    this.name = options.name;
    this.action = options.action;
    this.priority = options.priority ?? 100;
    this.selectors = options.selectors;
    this.inbound = options.direction !== 'out';
    this.leaving = options.direction !== 'in';
    this.index = options.index ?? 0;
    this.vrf = options.vrf ?? 0;
  }

  matches(flow: FlowKey): boolean {
    if (flow.inbound ? !this.inbound : !this.leaving) return false;
    if (this.vrf !== flow.vrf || (this.index !== 0 && this.index !== flow.index)) return false;
    return this.selectors.length === 0 || anyCovers(this.selectors, flow);
  }

  /** Is it time to ask for an SA? At most once a second; with PFP for each other flow at once. */
  asks(flow: FlowKey, now: Micros): boolean {
    const { local, remote, protocol, localPort, remotePort } = flow;
    const name = this.options.fromPacket === undefined ? '' : `${local} ${remote} ${protocol} ${localPort} ${remotePort}`;
    if (now - this.asked < ASK_INTERVAL && name === this.askedFor) return false;
    this.asked = now;
    this.askedFor = name;
    return true;
  }

  /** The SA that carries the flow out, or null: one is to be asked for. */
  select(flow: FlowKey): Sa | null {
    for (let i = 0; i < this.outbound.length; i++) {
      const sa = this.outbound[i] as Sa;
      if (sa.selectors === null || anyCovers(sa.selectors, flow)) return sa;
    }
    return null;
  }
}

/** The flow cache: sets of rows, a row is 12 words. 256 flows in rows of their own met in 6 % of cases, and a meeting costs a walk of the list (18 µs at 1,000 policies). */
const CACHE_SETS = 4_096;
const WAYS = 4;
const ROW = 12;

/**
 * The Security Policy Database: an ordered list in which the first match decides. Behind it a set-associative cache of
 * whole flows. Since a cached flow is one point and not a range, entries need not be decorrelated to be cached
 * (RFC 4301 §4.4.1 asks that of cached entries), and any change empties the cache by its generation.
 */
export class Spd {
  private readonly policies: Policy[] = [];
  private readonly key: number;
  /** Made with the first policy. */
  private rows = new Int32Array(0);
  private found: (Policy | null)[] = [];
  private generation = 1;
  /** The way that is replaced next. */
  private victim = 0;

  /** `key`: 32 secret bits, so that nobody can choose flows that fall into one set. */
  constructor(key: number) {
    this.key = key;
  }

  get size(): number {
    return this.policies.length;
  }

  list(): readonly Policy[] {
    return this.policies;
  }

  add(options: PolicyOptions): Policy {
    assert(this.policies.length < POLICIES_MAX, 'whoever adds policies looks at their number');
    const policy = new Policy(options);
    if (this.rows.length === 0) {
      this.rows = new Int32Array(CACHE_SETS * WAYS * ROW);
      this.found = new Array<Policy | null>(CACHE_SETS * WAYS).fill(null);
    }
    let i = this.policies.length;
    while (i > 0 && (this.policies[i - 1] as Policy).priority > policy.priority) i--;
    this.policies.splice(i, 0, policy);
    this.generation++;
    return policy;
  }

  /** False when it is not there (any more). */
  remove(policy: Policy): boolean {
    const i = this.policies.indexOf(policy);
    if (i < 0) return false;
    this.policies.splice(i, 1);
    this.generation++;
    this.found.fill(null);
    return true;
  }

  /** The first policy that matches, or null. */
  lookup(flow: FlowKey): Policy | null {
    if (this.policies.length === 0) return null;
    const { rows } = this;
    const { local: l, remote: r } = flow;
    const ports = (flow.localPort << 16) ^ (flow.remotePort & 0xffff);
    // −1 in both ports and 65535 in both would look alike: opaqueness has a bit of its own.
    const rest = flow.protocol | (flow.inbound ? 0x100 : 0) | (flow.localPort < 0 ? 0x200 : 0) | (flow.index << 10);
    let h = Math.imul(this.key ^ l.w3, 0x9e3779b1) ^ Math.imul(r.w3, 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 15) ^ l.w0 ^ l.w2, 0xc2b2ae35) ^ Math.imul(r.w2 ^ r.w0, 0x27d4eb2f);
    h = Math.imul(h ^ (h >>> 13) ^ ports ^ l.w1, 0x9e3779b1) ^ Math.imul(rest ^ r.w1, 0x85ebca6b);
    const set = ((h >>> 20) & (CACHE_SETS - 1)) * WAYS;
    for (let way = set; way < set + WAYS; way++) {
      const at = way * ROW;
      const hit =
        rows[at + 3] === l.w3 &&
        rows[at + 7] === r.w3 &&
        rows[at + 8] === ports &&
        rows[at + 9] === rest &&
        rows[at + 10] === this.generation &&
        rows[at + 11] === flow.vrf &&
        rows[at + 2] === l.w2 &&
        rows[at + 6] === r.w2 &&
        rows[at + 1] === l.w1 &&
        rows[at + 5] === r.w1 &&
        rows[at] === l.w0 &&
        rows[at + 4] === r.w0;
      if (hit) return this.found[way] as Policy | null;
    }
    const policy = this.search(flow);
    if (rows.length > 0) this.remember(flow, ports, rest, policy, set + (this.victim++ & (WAYS - 1)));
    return policy;
  }

  private remember(flow: FlowKey, ports: number, rest: number, policy: Policy | null, way: number): void {
    const { rows } = this;
    const { local: l, remote: r } = flow;
    const at = way * ROW;
    rows[at] = l.w0;
    rows[at + 1] = l.w1;
    rows[at + 2] = l.w2;
    rows[at + 3] = l.w3;
    rows[at + 4] = r.w0;
    rows[at + 5] = r.w1;
    rows[at + 6] = r.w2;
    rows[at + 7] = r.w3;
    rows[at + 8] = ports;
    rows[at + 9] = rest;
    rows[at + 10] = this.generation;
    rows[at + 11] = flow.vrf;
    this.found[way] = policy;
  }

  /** The list itself, without the cache. */
  search(flow: FlowKey): Policy | null {
    for (const policy of this.policies) if (policy.matches(flow)) return policy;
    return null;
  }
}
