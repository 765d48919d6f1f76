import type { ConfigError } from '../base/errors.js';
import { profiles } from '../net/profiles.js';
import { Sysctl, type SysctlName, sysctls } from '../net/sysctl.js';
import type { SysctlEntry } from '../net/sysctl-entry.js';
import type { Config } from './config.js';
import { placeOf, type Schema, wrong } from './schema.js';
import { changes, type Section, type Step } from './section.js';

/** One tunable's schema: numbers, the texts Linux would take, and lists for triples. */
function schemaOf(entry: SysctlEntry): Schema {
  const description = `${entry.help} Unit: ${entry.unit}. Default: ${String(entry.default)}. Felt: ${entry.effect}. Source: ${entry.source}.`;
  const [minimum, maximum] = entry.range ?? [0, 0];
  const number: Schema = { type: 'integer', minimum, maximum };
  if (entry.type === 'choice') return { type: 'string', enum: entry.choices ?? [], description };
  if (entry.type === 'triple') return { description, anyOf: [{ type: 'array', items: number, minItems: 3, maxItems: 3 }, { type: 'string' }] };
  if (entry.type === 'flag') return { description, anyOf: [number, { type: 'boolean' }] };
  return { ...number, description };
}

/** Tunables. The profile is their other source, so a change of it is felt here. */
export const sysctl: Section<'sysctl'> = {
  key: 'sysctl',
  schema: {
    type: 'object',
    description: 'Tunables by their Linux names; ours begin with anystack.',
    properties: Object.fromEntries(Object.entries(sysctls).map(([name, entry]) => [name, schemaOf(entry)])),
    additionalProperties: false,
  },
  check({ profile, sysctl: values = {} }) {
    const trial = new Sysctl(profile);
    for (const [name, value] of Object.entries(values)) {
      try {
        trial.set(name, value);
      } catch (error) {
        wrong(placeOf('sysctl', name), `is refused: ${(error as ConfigError).message}`);
      }
    }
  },
  difference(before, after) {
    const { add, remove } = changes(effective(before), effective(after), setting, setting);
    // What is set again is not unset first; what is left out goes back to its default.
    const kept = new Set(add.map((step) => step.place));
    return { remove: remove.filter((step) => !kept.has(step.place)).map(toDefault), add };
  },
};

interface Setting {
  readonly name: SysctlName;
  readonly value: unknown;
}

function effective({ profile, sysctl: values }: Config): Map<string, Setting> {
  const all = { ...profiles[profile ?? 'linux'], ...values };
  return new Map(Object.entries(all).map(([name, value]) => [name, { name: name as SysctlName, value }]));
}

interface SettingStep extends Step {
  readonly name: SysctlName;
}

function setting({ name, value }: Setting): SettingStep {
  let old: unknown;
  return {
    name,
    place: placeOf('sysctl', name),
    run: ({ core }) => {
      const { sysctl: live } = core.ctx;
      old = live.v[name];
      live.set(name, value);
    },
    undo: ({ core }) => core.ctx.sysctl.set(name, old),
  };
}

function toDefault(step: Step): Step {
  const { name } = step as SettingStep;
  return setting({ name, value: sysctls[name].default });
}
