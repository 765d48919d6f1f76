import type { NetError } from '../base/errors.js';
import type { Stack } from '../net/stack.js';
import type { Dhcp } from '../services/dhcp/dhcp.js';
import type { Names } from '../services/dns/names.js';
import type { Forwards } from '../services/relay/forwards.js';
import type { Services } from '../services/services.js';
import type { Config } from './config.js';
import type { Schema } from './schema.js';

/** What a configuration is applied to. */
export interface Target {
  readonly core: Stack;
  readonly services: Services;
  readonly names: Names;
  readonly dhcp: Dhcp;
  readonly forward: Forwards;
}

/** One change, and its opposite for when a later one fails. Both throw what the stack throws. */
export interface Step {
  /** Where in the configuration it comes from: interfaces.eth0.mtu. Named when it fails. */
  readonly place: string;
  run(target: Target): void;
  undo(target: Target): void;
}

/** What leads from one configuration to another: what goes runs in the reverse order of the sections, then what comes in theirs. */
export interface Difference {
  readonly remove: readonly Step[];
  readonly add: readonly Step[];
}

/** One top-level key of the configuration. To add one: a file, its line in sections.ts, its member in Config. */
export interface Section<K extends keyof Config> {
  readonly key: K;
  readonly schema: Schema;
  /** What a schema cannot say. Throws ConfigError; `config` fits the schemas of all sections. */
  check?(config: Config): void;
  /** The steps from `before` to `after`; both have been checked. Undefined where the key is missing. */
  difference(before: Config, after: Config): Difference;
}

/** Differences of two keyed sets: members only in `before` go, only in `after` come, and changed ones do both. */
export function changes<T>(
  before: ReadonlyMap<string, T>,
  after: ReadonlyMap<string, T>,
  remove: (value: T) => Step,
  add: (value: T) => Step,
  same: (a: T, b: T) => boolean = (a, b) => JSON.stringify(a) === JSON.stringify(b),
): Difference {
  const stays = (key: string): boolean => before.has(key) && after.has(key) && same(before.get(key) as T, after.get(key) as T);
  return {
    remove: [...before].filter(([key]) => !stays(key)).map(([, value]) => remove(value)),
    add: [...after].filter(([key]) => !stays(key)).map(([, value]) => add(value)),
  };
}

/** A step and its opposite change places. */
export const reversed = ({ place, run, undo }: Step): Step => ({ place, run: undo, undo: run });

/** What a live change has put there already is as good as ours. */
export function orThere(add: () => void): void {
  try {
    add();
  } catch (error) {
    if ((error as NetError).code !== 'EEXIST') throw error;
  }
}
