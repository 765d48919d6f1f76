import { formatAddress, parsePrefix } from '../base/address.js';
import { NetError } from '../base/errors.js';
import { MAIN_TABLE, type RouteType, type Rule as RuleEntry } from '../net/ip/route.js';
import type { Stack } from '../net/stack.js';
import { interfaceNamed } from './link.js';

/** The priority of the first rule that is given none; the next one stands before it. Linux's main table is looked up at 32,766. */
const LAST_PRIORITY = 32_765;
/** Rules of one stack: each is a comparison for each packet that is routed. */
const RULES_MAX = 1_024;

/** A policy rule in iproute2's words: a flow that meets all conditions is looked up in its table, or meets the type's end. */
export interface RuleSpec {
  /** Tried in ascending order. Default: before all others. */
  readonly priority?: number;
  /** Source and destination prefix. */
  readonly from?: string;
  readonly to?: string;
  /** Interface it came in by; packets of our own have none. */
  readonly iif?: string;
  /** Interface a socket is bound to. */
  readonly oif?: string;
  readonly mark?: number;
  /** Bits of the mark that count. Default all. */
  readonly mask?: number;
  /** A protocol number. */
  readonly proto?: number;
  /** A port, or a range: '80', '1024-2047'. */
  readonly sport?: string;
  readonly dport?: string;
  /** Traffic class. */
  readonly tos?: number;
  readonly vrf?: number;
  /** Where to look. One of table and type. */
  readonly table?: number;
  readonly type?: Exclude<RouteType, 'unicast'>;
}

/** `stack.rule`: policy routing (RFC 1812 §7.5). */
export class Rule {
  private readonly core: Stack;

  constructor(core: Stack) {
    this.core = core;
  }

  /** All rules in the order they are tried, with the main table last. */
  show(): RuleSpec[] {
    return [...this.core.ip.routes.listRules().map((rule) => ruleInfo(this.core, rule)), { priority: LAST_PRIORITY + 1, table: MAIN_TABLE }];
  }

  /** NetError EEXIST when this very one is there, ENOBUFS past 1,024, EINVAL for words that mean nothing. */
  add(spec: RuleSpec): void {
    addRule(this.core, spec);
  }

  /** Removes the first rule with all that is given. NetError ENOENT when there is none. */
  del(spec: RuleSpec): void {
    if (!removeRule(this.core, spec)) throw new NetError('ENOENT', 'rule del', undefined, undefined, 'no such rule');
  }
}

/** See Rule.add. */
export function addRule(core: Stack, spec: RuleSpec): void {
  const { routes } = core.ip;
  const rules = routes.listRules();
  if (rules.length >= RULES_MAX) throw new NetError('ENOBUFS', 'rule add', undefined, undefined, `there are ${RULES_MAX} rules`);
  const priority = spec.priority ?? Math.min(LAST_PRIORITY + 1, ...rules.map((r) => r.priority)) - 1;
  const rule = ruleOf(core, { ...spec, priority });
  const same = JSON.stringify(ruleInfo(core, rule));
  if (rules.some((other) => JSON.stringify(ruleInfo(core, other)) === same))
    throw new NetError('EEXIST', 'rule add', undefined, undefined, 'this rule is there');
  routes.setRules([...rules, rule]);
  core.hyper.soon();
}

/** Removes the first rule that has all that is given; false when there is none. */
export function removeRule(core: Stack, spec: RuleSpec): boolean {
  const { routes } = core.ip;
  const wanted = Object.entries(ruleInfo(core, ruleOf(core, { priority: 0, ...spec, ...((spec.table ?? spec.type) ? {} : { table: MAIN_TABLE }) })));
  const given = wanted.filter(([key]) => spec[key as keyof RuleSpec] !== undefined);
  const rules = routes.listRules();
  const hit = rules.find((rule) => {
    const info = ruleInfo(core, rule);
    return given.every(([key, value]) => info[key as keyof RuleSpec] === value);
  });
  if (hit === undefined || given.length === 0) return false;
  routes.setRules(rules.filter((rule) => rule !== hit));
  return true;
}

/** The rule that the words mean. Throws NetError EINVAL, or ENODEV. */
export function ruleOf(core: Stack, spec: RuleSpec): RuleEntry {
  const { priority = 0, from, to, iif, oif, mark, mask, proto, sport, dport, tos, vrf, table, type } = spec;
  if ((table === undefined) === (type === undefined))
    throw new NetError('EINVAL', 'rule', undefined, undefined, "a rule has either 'table' or a type");
  return {
    priority,
    ...(from === undefined ? {} : { from: prefixOf(from) }),
    ...(to === undefined ? {} : { to: prefixOf(to) }),
    ...(iif === undefined ? {} : { inIndex: interfaceNamed(core, iif, 'rule').index }),
    ...(oif === undefined ? {} : { outIndex: interfaceNamed(core, oif, 'rule').index }),
    ...(mark === undefined ? {} : { mark: mark | 0 }),
    ...(mask === undefined ? {} : { mask: mask | 0 }),
    ...(proto === undefined ? {} : { protocol: proto }),
    ...(sport === undefined ? {} : { sourcePort: portsOf(sport) }),
    ...(dport === undefined ? {} : { destinationPort: portsOf(dport) }),
    ...(tos === undefined ? {} : { trafficClass: tos }),
    ...(vrf === undefined ? {} : { vrf }),
    action: type === undefined ? { table: table as number } : { type },
  };
}

function ruleInfo(core: Stack, rule: RuleEntry): RuleSpec {
  const { from, to, inIndex, outIndex, mark, mask, protocol, sourcePort, destinationPort, trafficClass, vrf, action } = rule;
  const nameOf = (index: number): string => core.interfaces.at(index)?.name ?? `if${index}`;
  const prefix = (p: NonNullable<RuleEntry['from']>): string => `${formatAddress(p.address)}/${p.length}`;
  const range = ([low, high]: readonly [number, number]): string => (low === high ? `${low}` : `${low}-${high}`);
  return {
    priority: rule.priority,
    ...(from === undefined ? {} : { from: prefix(from) }),
    ...(to === undefined ? {} : { to: prefix(to) }),
    ...(inIndex === undefined ? {} : { iif: nameOf(inIndex) }),
    ...(outIndex === undefined ? {} : { oif: nameOf(outIndex) }),
    ...(mark === undefined ? {} : { mark: mark >>> 0 }),
    ...(mask === undefined ? {} : { mask: mask >>> 0 }),
    ...(protocol === undefined ? {} : { proto: protocol }),
    ...(sourcePort === undefined ? {} : { sport: range(sourcePort) }),
    ...(destinationPort === undefined ? {} : { dport: range(destinationPort) }),
    ...(trafficClass === undefined ? {} : { tos: trafficClass }),
    ...(vrf === undefined ? {} : { vrf }),
    ...('table' in action ? { table: action.table } : { type: action.type }),
  };
}

function prefixOf(text: string): NonNullable<RuleEntry['from']> {
  const prefix = parsePrefix(text);
  if (prefix === null) throw new NetError('EINVAL', 'rule', text, undefined, 'is no prefix such as 10.1.0.0/16');
  return prefix;
}

function portsOf(text: string): readonly [number, number] {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text);
  const [low, high] = [Number(match?.[1] ?? -1), Number(match?.[2] ?? match?.[1] ?? -1)];
  if (low < 0 || high > 65_535 || low > high) throw new NetError('EINVAL', 'rule', text, undefined, 'is no port, nor a range such as 1024-2047');
  return [low, high];
}
