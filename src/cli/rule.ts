import type { OptionValues } from 'commander';
import type { RuleSpec } from '../api/rule.js';
import { ask, tell } from './remote.js';
import { action, keywords } from './words.js';

const types = ['blackhole', 'unreachable', 'prohibit'];
const known = {
  priority: 'number',
  from: 'string',
  to: 'string',
  iif: 'string',
  oif: 'string',
  mark: 'number',
  mask: 'number',
  proto: 'number',
  sport: 'string',
  dport: 'string',
  tos: 'number',
  vrf: 'number',
  table: 'number',
} as const;

/** `anystack rule`: `rule add from 10.1.0.0/16 mark 5 table 20`, `rule add to 10.9.0.0/16 prohibit`. */
export async function run(words: readonly string[], options: OptionValues): Promise<number> {
  const verb = action(words[0], ['show', 'add', 'del'], 'rule');
  if (verb === 'show') return tell(options, lines, 'rule.show');
  const rest = words.slice(1);
  const type = rest.find((word) => types.includes(word));
  const spec = keywords(
    rest.filter((word) => word !== type),
    known,
    `rule ${verb}`,
  );
  await ask(options, `rule.${verb}`, { ...spec, ...(type === undefined ? {} : { type }) });
  return 0;
}

function lines(rules: readonly RuleSpec[]): string[] {
  return rules.map(({ priority, type, table, ...conditions }) => {
    const words = Object.entries(conditions).map(([key, value]) => ` ${key} ${value}`);
    return `${priority}:${words.length === 0 ? ' all' : words.join('')}${table === undefined ? ` ${type}` : ` table ${table}`}`;
  });
}
