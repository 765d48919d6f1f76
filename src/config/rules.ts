import { addRule, type RuleSpec, removeRule } from '../api/rule.js';
import { parsePrefix } from '../base/address.js';
import type { Config } from './config.js';
import { replaced } from './interfaces.js';
import { hint, placeOf, type Schema, wrong } from './schema.js';
import { changes, orThere, reversed, type Section, type Step } from './section.js';

const text = (description: string): Schema => ({ type: 'string', description });
const integer = (minimum: number, maximum: number, description: string): Schema => ({ type: 'integer', minimum, maximum, description });
const ports = (description: string): Schema => ({
  type: 'string',
  pattern: '^\\d{1,5}(-\\d{1,5})?$',
  description: `${description} a port, or a range such as 1024-2047`,
});

/** Policy rules: which table a flow is looked up in. */
export const rules: Section<'rules'> = {
  key: 'rules',
  schema: {
    type: 'array',
    description: 'Policy rules; what none matches is looked up in table 254.',
    items: {
      type: 'object',
      properties: {
        priority: integer(0, 4_294_967_295, 'Tried in ascending order.'),
        from: text('Source prefix.'),
        to: text('Destination prefix.'),
        iif: text('Interface it came in by.'),
        oif: text('Interface a socket is bound to.'),
        mark: integer(0, 4_294_967_295, 'Mark that a filter rule has set.'),
        mask: integer(0, 4_294_967_295, 'Bits of the mark that count. Default all.'),
        proto: integer(0, 255, 'IANA protocol number.'),
        sport: ports('source port:'),
        dport: ports('destination port:'),
        tos: integer(0, 255, 'Traffic class.'),
        vrf: integer(0, 65_535, 'The network.'),
        table: integer(1, 4_294_967_295, 'Where to look. One of table and type.'),
        type: { type: 'string', enum: ['blackhole', 'unreachable', 'prohibit'], description: 'What becomes of its packets.' },
      },
      required: ['priority'],
      additionalProperties: false,
    },
  },
  check({ rules: all = [], interfaces = {} }) {
    for (const [i, rule] of all.entries()) {
      const place = placeOf('rules', i);
      if ((rule.table === undefined) === (rule.type === undefined)) wrong(place, "has either 'table' or 'type'");
      for (const key of ['from', 'to'] as const) {
        const given = rule[key];
        if (given !== undefined && parsePrefix(given) === null) wrong(`${place}.${key}`, `'${given}' is no prefix such as 10.1.0.0/16`);
      }
      for (const key of ['iif', 'oif'] as const) {
        const name = rule[key];
        const known = ['lo', ...Object.keys(interfaces)];
        if (name !== undefined && !known.includes(name)) wrong(`${place}.${key}`, `'${name}' is no interface${hint(name, known)}`);
      }
    }
  },
  difference(before, after) {
    const fresh = replaced(before, after);
    const same = ({ spec: { iif = '', oif = '' } }: Placed): boolean => !fresh.has(iif) && !fresh.has(oif);
    return changes(keyed(before), keyed(after), (r) => reversed(adding(r)), adding, same);
  },
};

interface Placed {
  readonly place: string;
  readonly spec: RuleSpec;
}

function keyed({ rules: all = [] }: Config): Map<string, Placed> {
  return new Map(all.map((spec, i) => [JSON.stringify(Object.entries(spec).sort()), { place: placeOf('rules', i), spec }]));
}

function adding({ place, spec }: Placed): Step {
  return { place, run: ({ core }) => orThere(() => addRule(core, spec)), undo: ({ core }) => void removeRule(core, spec) };
}
