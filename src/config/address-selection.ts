import { type Prefix, parsePrefix } from '../base/address.js';
import { defaultPolicies, POLICIES_MAX, type Policy } from '../net/ipv6/source-selection.js';
import type { Config } from './config.js';
import { placeOf, wrong } from './schema.js';
import { changes, reversed, type Section, type Step } from './section.js';

/** One row of the policy table: RFC 6724 §2.1. */
export interface PolicyConfig {
  readonly prefix: string;
  readonly precedence: number;
  readonly label: number;
}

/** Which source a destination is spoken to from, and which of a name's destinations comes first: RFC 6724. */
export const addressSelection: Section<'addressSelection'> = {
  key: 'addressSelection',
  schema: {
    type: 'array',
    maxItems: POLICIES_MAX,
    description: 'The policy table of RFC 6724 in the place of its own, whole: the longest prefix decides. As gai.conf and `ip addrlabel` have it.',
    items: {
      type: 'object',
      properties: {
        prefix: { type: 'string', description: 'Such as fd00::/8; 0.0.0.0/0 for IPv4.' },
        precedence: { type: 'integer', minimum: 0, maximum: 65_535, description: 'Of several destinations the greatest comes first.' },
        label: { type: 'integer', minimum: 0, maximum: 65_535, description: 'A source is preferred for destinations of its label.' },
      },
      required: ['prefix', 'precedence', 'label'],
      additionalProperties: false,
    },
  },
  check({ addressSelection: rows = [] }) {
    for (const [i, { prefix }] of rows.entries())
      if (parsePrefix(prefix) === null) wrong(`${placeOf('addressSelection', i)}.prefix`, `'${prefix}' is no prefix such as fd00::/8`);
  },
  difference: (before, after) => changes(whole(before), whole(after), (rows) => reversed(setting(rows)), setting),
};

/** The table is one thing: it changes as a whole. */
const whole = ({ addressSelection: rows }: Config): Map<string, readonly PolicyConfig[]> => new Map(rows === undefined ? [] : [['table', rows]]);

function setting(rows: readonly PolicyConfig[]): Step {
  const table: Policy[] = rows.map(({ prefix, precedence, label }) => ({ prefix: parsePrefix(prefix) as Prefix, precedence, label }));
  return {
    place: 'addressSelection',
    run: ({ core }) => core.v6.selection.setPolicies(table),
    undo: ({ core }) => core.v6.selection.setPolicies(defaultPolicies),
  };
}
