/** Reading what a configuration says of a device. */
import { ConfigError } from '../base/errors.js';
import type { DeviceSpec } from './hypercalls.js';

interface Kinds {
  string: string;
  number: number;
  boolean: boolean;
}

/** The value of a key, or undefined when it is not given. ConfigError when it is of another type, or a number below 0. */
export function optional<K extends keyof Kinds>(spec: DeviceSpec, key: string, kind: K): Kinds[K] | undefined {
  const value = spec[key];
  if (value === undefined) return undefined;
  const fits = typeof value === kind && (typeof value !== 'number' || value >= 0);
  if (!fits)
    throw new ConfigError(
      `${spec.type} device: '${key}' is to be a ${kind}${kind === 'number' ? ' of 0 or more' : ''}, not ${JSON.stringify(value)}`,
    );
  return value as Kinds[K];
}

/** The value of a key that must be there. */
export function required<K extends keyof Kinds>(spec: DeviceSpec, key: string, kind: K): Kinds[K] {
  const value = optional(spec, key, kind);
  if (value === undefined) throw new ConfigError(`${spec.type} device: '${key}' is missing`);
  return value;
}

/** Refuses keys that the device does not know, naming the nearest it does. */
export function checkKeys(spec: DeviceSpec, known: readonly string[]): void {
  for (const key of Object.keys(spec)) {
    if (!known.includes(key)) throw new ConfigError(`${spec.type} device: no key '${key}'; did you mean '${nearest(key, known)}'?`);
  }
}

/** The candidate with the least edits to `word` (Levenshtein). */
export function nearest(word: string, candidates: readonly string[]): string {
  let best = candidates[0] as string;
  let least = Number.POSITIVE_INFINITY;
  for (const candidate of candidates) {
    const d = edits(word, candidate);
    if (d < least) [best, least] = [candidate, d];
  }
  return best;
}

function edits(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let k = 1; k <= b.length; k++) {
      const change = (row[k - 1] as number) + (a[i - 1] === b[k - 1] ? 0 : 1);
      next.push(Math.min(change, (row[k] as number) + 1, (next[k - 1] as number) + 1));
    }
    row = next;
  }
  return row[b.length] as number;
}
