import { ConfigError } from '../base/errors.js';
import { filterSysctls } from './filter/sysctl.js';
import { ipSysctls } from './ip/sysctl.js';
import { ipv6Sysctls } from './ipv6/sysctl.js';
import { linkSysctls } from './link/sysctl.js';
import { type ProfileName, profiles } from './profiles.js';
import { stackSysctls } from './stack-sysctl.js';
import type { SysctlEntry, SysctlValue } from './sysctl-entry.js';
import { tcpSysctls } from './tcp/sysctl.js';

/** The one table of tunables: configuration, API, command, JSON Schema and docs/sysctl.md are made from it. */
export const sysctls = { ...stackSysctls, ...linkSysctls, ...ipSysctls, ...ipv6Sysctls, ...filterSysctls, ...tcpSysctls } as const;

export type SysctlName = keyof typeof sysctls;

/** Values by name; the hot path reads them as plain properties. */
export type SysctlValues = { -readonly [K in SysctlName]: (typeof sysctls)[K] extends SysctlEntry<infer T> ? T : never };

const defaults = Object.fromEntries(Object.entries(sysctls).map(([name, entry]) => [name, entry.default])) as SysctlValues;

/** The tunables of one stack. Precedence: profile < file < live change < socket. */
export class Sysctl {
  /** Read freely, write only through set. */
  readonly v: SysctlValues = { ...defaults };
  private readonly listeners: { name: SysctlName; changed: () => void }[] = [];

  constructor(profile: ProfileName = 'linux', values: Readonly<Record<string, unknown>> = {}) {
    for (const [name, value] of Object.entries(profiles[profile])) this.set(name, value);
    for (const [name, value] of Object.entries(values)) this.set(name, value);
  }

  /** Throws ConfigError when there is no such name. */
  get(name: string): SysctlValue {
    return this.v[known(name)];
  }

  /** Sets one value, given as number, text ("4096 131072 6291456") or triple. Throws ConfigError for an unknown name or a value out of range. */
  set(name: string, value: unknown): void {
    const key = known(name);
    (this.v as Record<string, SysctlValue>)[key] = parse(key, sysctls[key], value);
    for (const listener of this.listeners) if (listener.name === key) listener.changed();
  }

  /** All tunables with their entries and present values. */
  list(): { name: SysctlName; value: SysctlValue; entry: SysctlEntry }[] {
    return (Object.keys(sysctls) as SysctlName[]).map((name) => ({ name, value: this.v[name], entry: sysctls[name] }));
  }

  /** For components that must act on a change; `changed` runs after the value stands. */
  onChange(name: SysctlName, changed: () => void): void {
    this.listeners.push({ name, changed });
  }
}

function known(name: string): SysctlName {
  if (name in sysctls) return name as SysctlName;
  throw new ConfigError(`sysctl ${name}: no such tunable; nearest is ${nearest(name, Object.keys(sysctls))}`);
}

function parse(name: string, entry: SysctlEntry, value: unknown): SysctlValue {
  if (entry.type === 'choice') {
    if (entry.choices?.includes(String(value))) return String(value);
    throw new ConfigError(`sysctl ${name}: ${String(value)} is not one of ${entry.choices?.join(', ')}`);
  }
  if (entry.type === 'triple') {
    const parts = Array.isArray(value) ? value : String(value).trim().split(/\s+/);
    if (parts.length !== 3) throw new ConfigError(`sysctl ${name}: three numbers are needed: least, default and greatest`);
    const [least, middle, most] = parts.map((part) => integer(name, entry, part)) as [number, number, number];
    if (least > middle || middle > most) throw new ConfigError(`sysctl ${name}: ${least} ${middle} ${most} do not ascend`);
    return [least, middle, most];
  }
  return integer(name, entry, value === true ? 1 : value === false ? 0 : value);
}

function integer(name: string, entry: SysctlEntry, value: unknown): number {
  const n = typeof value === 'number' ? value : /^\s*-?\d+\s*$/.test(String(value)) ? Number(value) : Number.NaN;
  const [low, high] = entry.range as readonly [number, number];
  if (!Number.isSafeInteger(n)) throw new ConfigError(`sysctl ${name}: ${String(value)} is not an integer`);
  if (n < low || n > high) throw new ConfigError(`sysctl ${name}: ${n} ${entry.unit} is outside [${low}, ${high}]`);
  return n;
}

/** The candidate with the least edit distance to `name`: for errors that say what was probably meant. */
export function nearest(name: string, candidates: readonly string[]): string {
  let best = '';
  let least = Number.POSITIVE_INFINITY;
  for (const candidate of candidates) {
    const d = distance(name, candidate);
    if (d < least) [best, least] = [candidate, d];
  }
  return best;
}

function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min((row[j] as number) + 1, (next[j - 1] as number) + 1, (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length] as number;
}
