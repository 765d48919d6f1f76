import { type Address, parseAddress, parsePrefix } from '../base/address.js';
import { TrackState } from '../net/filter/connection.js';
import type { Chain } from '../net/filter/filter.js';
import { AddressSet, FilterRule, type HookName, type Match, type Verdict } from '../net/filter/rule.js';
import { Protocol } from '../wire/protocol.js';
import { placeOf, type Schema, wrong } from './schema.js';

/** One rule as a file has it: conditions, and exactly one of the verdicts. */
export interface RuleConfig {
  readonly family?: 4 | 6;
  readonly iif?: string;
  readonly oif?: string;
  readonly saddr?: string | readonly string[];
  readonly daddr?: string | readonly string[];
  readonly protocol?: string | number;
  readonly sport?: string | number;
  readonly dport?: string | number;
  readonly icmpType?: number;
  readonly state?: readonly string[];
  readonly ifMark?: number;
  readonly limit?: { readonly perSecond: number; readonly burst: number };
  readonly verdict?: 'accept' | 'drop' | 'return' | 'masquerade' | 'notrack';
  readonly reject?: 'port-unreachable' | 'admin-prohibited' | 'tcp-reset';
  readonly dnat?: string;
  readonly snat?: string;
  readonly netmap?: { readonly side: 'source' | 'destination'; readonly to: string };
  readonly jump?: string;
  readonly mark?: number;
  readonly mss?: number | 'path';
  readonly log?: string;
  readonly comment?: string;
}

/** One chain as a file has it. */
export interface ChainConfig {
  readonly name: string;
  readonly hook?: HookName;
  readonly policy?: 'accept' | 'drop';
  readonly rules?: readonly RuleConfig[];
}

const verdictKeys = ['verdict', 'reject', 'dnat', 'snat', 'netmap', 'jump', 'mark', 'mss', 'log'] as const;
const protocols: Readonly<Record<string, number>> = {
  icmp: Protocol.Icmp,
  tcp: Protocol.Tcp,
  udp: Protocol.Udp,
  icmpv6: Protocol.Icmpv6,
  esp: Protocol.Esp,
  ah: Protocol.Ah,
  gre: Protocol.Gre,
};
const states: Readonly<Record<string, number>> = {
  new: TrackState.New,
  established: TrackState.Established,
  related: TrackState.Related,
  invalid: TrackState.Invalid,
  untracked: TrackState.Untracked,
};

const text = (description: string): Schema => ({ type: 'string', description });
const ports: Schema = {
  anyOf: [{ type: 'integer', minimum: 0, maximum: 65_535 }, text('a range such as 1024-2047')],
  description: 'A port, or a range such as 1024-2047.',
};
const addresses: Schema = {
  anyOf: [text('a prefix'), { type: 'array', items: text('a prefix') }],
  description: 'A prefix, or a set of them: membership costs one lookup.',
};

/** The schema of one rule. */
export const ruleSchema: Schema = {
  type: 'object',
  properties: {
    family: { enum: [4, 6], description: 'IPv4 or IPv6 only.' },
    iif: text('The interface it came in on.'),
    oif: text('The interface it goes out on.'),
    saddr: addresses,
    daddr: addresses,
    protocol: {
      anyOf: [
        { type: 'string', enum: Object.keys(protocols) },
        { type: 'integer', minimum: 0, maximum: 255 },
      ],
      description: 'tcp, udp, icmp … or a number.',
    },
    sport: ports,
    dport: ports,
    icmpType: { type: 'integer', minimum: 0, maximum: 255, description: 'Of ICMP or ICMPv6.' },
    state: { type: 'array', items: { type: 'string', enum: Object.keys(states) }, description: "Tracking's word on the packet." },
    ifMark: { type: 'integer', description: 'Packets with this mark.' },
    limit: {
      type: 'object',
      description: 'Holds while no more than this come.',
      properties: { perSecond: { type: 'number', minimum: 0 }, burst: { type: 'integer', minimum: 1 } },
      required: ['perSecond', 'burst'],
      additionalProperties: false,
    },
    verdict: { type: 'string', enum: ['accept', 'drop', 'return', 'masquerade', 'notrack'], description: 'What happens to the packet.' },
    reject: { type: 'string', enum: ['port-unreachable', 'admin-prohibited', 'tcp-reset'], description: 'Drop, and tell the sender so.' },
    dnat: text('The new destination: 192.168.0.2, 192.168.0.2:8080 or 192.168.0.2:8080-8089.'),
    snat: text('The new source, with ports if they are to be of a range.'),
    netmap: {
      type: 'object',
      description: 'The host part stays, the prefix becomes this one; without state.',
      properties: { side: { type: 'string', enum: ['source', 'destination'] }, to: text('a prefix') },
      required: ['side', 'to'],
      additionalProperties: false,
    },
    jump: text('A chain to go through first.'),
    mark: { type: 'integer', description: 'The mark it gets; later rules and policy routes see it.' },
    mss: {
      anyOf: [
        { type: 'integer', minimum: 64, maximum: 65_535 },
        { type: 'string', enum: ['path'] },
      ],
      description: "Greatest MSS of SYNs, or 'path' for that of the outgoing MTU.",
    },
    log: text('Prefix of a line in the log.'),
    comment: text('For people.'),
  },
  additionalProperties: false,
};

/** What a rule refers to by name. */
export interface Names {
  /** Index of an interface. */
  index(name: string): number;
}

/** Makes the chain of its configuration. Throws ConfigError with the place. */
export function makeChain(config: ChainConfig, names: Names, place: string): Chain {
  return {
    name: config.name,
    hook: config.hook ?? null,
    policy: config.policy ?? 'accept',
    rules: (config.rules ?? []).map((rule, i) => makeRule(rule, names, placeOf(`${place}.rules`, i))),
  };
}

function makeRule(rule: RuleConfig, names: Names, place: string): FilterRule {
  const given = verdictKeys.filter((key) => rule[key] !== undefined);
  if (given.length !== 1) wrong(place, `needs exactly one of ${verdictKeys.join(', ')}${given.length === 0 ? '' : `, not ${given.join(' and ')}`}`);
  return new FilterRule(makeMatch(rule, names, place), makeVerdict(rule, place), rule.comment ?? '');
}

function makeMatch(rule: RuleConfig, names: Names, place: string): Match {
  const { family, iif, oif, saddr, daddr, protocol, sport, dport, icmpType, state, ifMark, limit } = rule;
  return {
    ...(family === undefined ? {} : { family }),
    ...(iif === undefined ? {} : { inIndex: names.index(iif) }),
    ...(oif === undefined ? {} : { outIndex: names.index(oif) }),
    ...(saddr === undefined ? {} : { source: addressMatch(saddr, `${place}.saddr`) }),
    ...(daddr === undefined ? {} : { destination: addressMatch(daddr, `${place}.daddr`) }),
    ...(protocol === undefined ? {} : { protocol: typeof protocol === 'number' ? protocol : (protocols[protocol] as number) }),
    ...(sport === undefined ? {} : { sourcePort: portRange(sport, `${place}.sport`) }),
    ...(dport === undefined ? {} : { destinationPort: portRange(dport, `${place}.dport`) }),
    ...(icmpType === undefined ? {} : { icmpType }),
    ...(state === undefined ? {} : { state: state.map((s) => states[s] as number) }),
    ...(ifMark === undefined ? {} : { mark: { value: ifMark, mask: -1 } }),
    ...(limit === undefined ? {} : { limit }),
  };
}

function makeVerdict(rule: RuleConfig, place: string): Verdict {
  if (rule.verdict !== undefined) return { kind: rule.verdict };
  if (rule.reject !== undefined) return { kind: 'reject', with: rule.reject };
  if (rule.dnat !== undefined) return { kind: 'dnat', ...endpoint(rule.dnat, `${place}.dnat`) };
  if (rule.snat !== undefined) return { kind: 'snat', ...endpoint(rule.snat, `${place}.snat`) };
  if (rule.jump !== undefined) return { kind: 'jump', chain: rule.jump };
  if (rule.mark !== undefined) return { kind: 'mark', mark: rule.mark };
  if (rule.mss !== undefined) return { kind: 'mss', mss: rule.mss };
  if (rule.netmap !== undefined) return { kind: 'netmap', side: rule.netmap.side, to: range(rule.netmap.to, `${place}.netmap.to`) };
  return { kind: 'log', prefix: rule.log ?? '' };
}

function addressMatch(given: string | readonly string[], place: string) {
  if (typeof given === 'string') return range(given, place);
  const set = new AddressSet();
  for (const [i, member] of given.entries()) set.add(range(member, placeOf(place, i)));
  return set;
}

const range = (given: string, place: string) =>
  parsePrefix(given) ?? wrong(place, `'${given}' is neither an address nor a prefix such as 10.1.0.0/16`);

function portRange(given: string | number, place: string): readonly [number, number] {
  if (typeof given === 'number') return [given, given];
  const parts = /^(\d+)(?:-(\d+))?$/.exec(given);
  const low = Number(parts?.[1] ?? Number.NaN);
  const high = Number(parts?.[2] ?? low);
  if (!(low <= high && high <= 65_535)) wrong(place, `'${given}' is neither a port nor a range such as 1024-2047`);
  return [low, high];
}

/** '10.0.0.1', '10.0.0.1:80', '10.0.0.1:80-90', '[fd00::1]:80'. */
function endpoint(given: string, place: string): { address: Address; ports?: readonly [number, number] } {
  const parts = /^\[(.+)\](?::([\d-]+))?$/.exec(given) ?? /^([^:]+)(?::([\d-]+))?$/.exec(given);
  const address = parseAddress(parts?.[1] ?? given);
  if (address === null) wrong(place, `'${given}' is no address, alone or with ports (192.168.0.2:8080)`);
  return parts?.[2] === undefined ? { address } : { address, ports: portRange(parts[2], place) };
}
