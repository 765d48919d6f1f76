import { readFileSync } from 'node:fs';
import { ConfigError } from '../base/errors.js';

/** Scripts that are known to fail, and why. */
export interface Deviation {
  /** Ends of paths; `*` stands for anything but a slash. */
  readonly scripts: readonly string[];
  /** Only under this profile. */
  readonly profile?: string;
  /** Only when compared so. */
  readonly comparison?: 'exact' | 'normalized';
  readonly reason: string;
}

/** Reads a list of known failures. Throws ConfigError when it is none. */
export function readDeviations(file: string): Deviation[] {
  const read = JSON.parse(readFileSync(file, 'utf8')) as { deviations?: Deviation[] };
  if (!Array.isArray(read.deviations)) throw new ConfigError(`${file}: no deviations in it`);
  for (const { scripts, reason } of read.deviations) {
    if (!Array.isArray(scripts) || typeof reason !== 'string') throw new ConfigError(`${file}: a deviation needs scripts and a reason`);
  }
  return read.deviations;
}

/** Why this script may fail, or null when it must not. */
export function expected(deviations: readonly Deviation[], file: string, profile: string, normalized: boolean): Deviation | null {
  const path = `/${file.replaceAll('\\', '/')}`;
  for (const deviation of deviations) {
    if (deviation.profile !== undefined && deviation.profile !== profile) continue;
    if (deviation.comparison !== undefined && (deviation.comparison === 'normalized') !== normalized) continue;
    if (deviation.scripts.some((end) => pattern(end).test(path))) return deviation;
  }
  return null;
}

const pattern = (end: string): RegExp => new RegExp(`/${end.replace(/[.+?^${}()|[\]\\]/g, '\\$&').replaceAll('*', '[^/]*')}$`);
