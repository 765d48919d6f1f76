import type { ConfigError } from '../base/errors.js';
import { profiles } from '../net/profiles.js';
import { Sysctl, sysctls } from '../net/sysctl.js';
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
  if (entry.type === 'text') return { type: 'string', pattern: entry.pattern as string, description };
  if (entry.type === 'triple') return { description, anyOf: [{ type: 'array', items: number, minItems: 3, maxItems: 3 }, { type: 'string' }] };
  if (entry.type === 'flag') return { description, anyOf: [number, { type: 'boolean' }] };
  return { ...number, description };
}

/** Tunables of one interface, or of those without their own: net.ipv6.conf.eth0.accept_ra, net.ipv4.neigh.eth0.retrans_time_ms. */
const INTERFACE_NAME = '^net\\.ipv[46]\\.(conf|neigh)\\.[^ ]+\\.[a-z0-9_]+$';

/** Tunables. The profile is their other source, so a change of it is felt here. */
export const sysctl: Section<'sysctl'> = {
  key: 'sysctl',
  schema: {
    type: 'object',
    description:
      'Tunables by their Linux names; ours begin with anystack. Those with .conf.all. or .neigh.default. in them may have an interface there.',
    properties: Object.fromEntries(Object.entries(sysctls).map(([name, entry]) => [name, schemaOf(entry)])),
    patternProperties: { [INTERFACE_NAME]: { description: "One interface's.", anyOf: [{ type: 'integer' }, { type: 'boolean' }] } },
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
  readonly name: string;
  readonly value: unknown;
}

function effective({ profile, sysctl: values }: Config): Map<string, Setting> {
  const all = { ...profiles[profile ?? 'linux'], ...values };
  return new Map(Object.entries(all).map(([name, value]) => [name, { name, value }]));
}

interface SettingStep extends Step {
  readonly name: string;
}

/** `value` undefined: it is set no longer. */
function setting({ name, value }: Setting): SettingStep {
  let old: unknown;
  return {
    name,
    place: placeOf('sysctl', name),
    run: ({ core }) => {
      const { sysctl: live } = core.ctx;
      old = live.given(name);
      write(live, name, value);
    },
    undo: ({ core }) => write(core.ctx.sysctl, name, old),
  };
}

function write(live: Sysctl, name: string, value: unknown): void {
  if (value === undefined) live.unset(name);
  else live.set(name, value);
}

const toDefault = (step: Step): Step => setting({ name: (step as SettingStep).name, value: undefined });
