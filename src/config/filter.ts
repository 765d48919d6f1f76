import type { Chain } from '../net/filter/filter.js';
import type { Filtering } from '../net/filter/nat.js';
import type { Stack } from '../net/stack.js';
import type { Config } from './config.js';
import { type ChainConfig, makeChain, type Names, ruleSchema } from './filter-rule.js';
import { replaced } from './interfaces.js';
import { hint, placeOf, wrong } from './schema.js';
import type { Section, Step } from './section.js';

/** Rules on netfilter's five hook points, with tracking and NAT. */
export interface FilterConfig {
  /** In order; several chains of a hook run one after the other. */
  readonly chains?: readonly ChainConfig[];
  /** Who reaches a mapping from outside: RFC 4787 §5. Default address-and-port-dependent. */
  readonly natFiltering?: Filtering;
}

/** The filter: replaced as a whole, connections and mappings stay. */
export const filter: Section<'filter'> = {
  key: 'filter',
  schema: {
    type: 'object',
    description: 'Rules on the hooks prerouting, input, forward, output and postrouting.',
    properties: {
      chains: {
        type: 'array',
        description: 'Chains in their order.',
        items: {
          type: 'object',
          properties: {
            name: { type: 'string', description: 'Its name, for jumps and counters.' },
            hook: {
              type: 'string',
              enum: ['prerouting', 'input', 'forward', 'output', 'postrouting'],
              description: 'Where it hangs; a chain without is only jumped to.',
            },
            policy: { type: 'string', enum: ['accept', 'drop'], description: 'For what no rule decides. Default accept.' },
            rules: { type: 'array', items: ruleSchema, description: 'Tried in order.' },
          },
          required: ['name'],
          additionalProperties: false,
        },
      },
      natFiltering: {
        type: 'string',
        enum: ['endpoint-independent', 'address-dependent', 'address-and-port-dependent'],
        description: 'Who reaches a mapping from outside (RFC 4787 §5).',
      },
    },
    additionalProperties: false,
  },
  check(config) {
    const known = Object.keys(config.interfaces ?? {});
    const names: Names = {
      index: (name) => (known.includes(name) || name === 'lo' ? 1 : wrong('filter', `names '${name}', which is no interface${hint(name, known)}`)),
    };
    const chains = config.filter?.chains ?? [];
    const there = chains.map((chain) => chain.name);
    for (const [i, chain] of chains.entries()) {
      const place = placeOf('filter.chains', i);
      makeChain(chain, names, place);
      if (there.indexOf(chain.name) !== i) wrong(`${place}.name`, `'${chain.name}' is there twice`);
      for (const [k, rule] of (chain.rules ?? []).entries()) {
        if (rule.jump !== undefined && !there.includes(rule.jump))
          wrong(`${placeOf(`${place}.rules`, k)}.jump`, `'${rule.jump}' is no chain${hint(rule.jump, there)}`);
      }
    }
  },
  difference(before, after) {
    const same = JSON.stringify(before.filter) === JSON.stringify(after.filter) && replaced(before, after).size === 0;
    if (same || (before.filter === undefined && after.filter === undefined)) return { remove: [], add: [] };
    return { remove: [], add: [replacing(before, after)] };
  },
};

function replacing(before: Config, after: Config): Step {
  return { place: 'filter', run: ({ core }) => put(core, after.filter), undo: ({ core }) => put(core, before.filter) };
}

function put(core: Stack, config: FilterConfig = {}): void {
  const names: Names = { index: (name) => core.interfaces.named(name)?.index ?? 0 };
  const chains: Chain[] = (config.chains ?? []).map((chain, i) => makeChain(chain, names, placeOf('filter.chains', i)));
  core.filter.set(chains);
  core.filter.nat.filtering = config.natFiltering ?? 'address-and-port-dependent';
}
