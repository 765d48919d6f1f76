import { ConfigError } from '../base/errors.js';
import { filterSysctls } from './filter/sysctl.js';
import { DEFAULT, emptyTunables, type InterfaceTunables, leafOf, nameFor, scopedName } from './interface-sysctl.js';
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

/** Those that an interface may have otherwise. */
const scoped = (Object.keys(sysctls) as SysctlName[]).flatMap((base) => {
  const leaf = leafOf(base);
  return leaf === null ? [] : [{ base, ...leaf }];
});

/** Their defaults. */
const plain = emptyTunables();
for (const { base, key, word } of scoped) (plain[key] as Record<string, SysctlValue>)[word] = defaults[base];

const copied = ({ conf4, conf6, neigh4, neigh6 }: InterfaceTunables): InterfaceTunables => ({
  conf4: { ...conf4 },
  conf6: { ...conf6 },
  neigh4: { ...neigh4 },
  neigh6: { ...neigh6 },
});

/** Two names of one thing: writing either writes both. */
const twins: Partial<Record<SysctlName, SysctlName>> = {
  'net.ipv4.ip_forward': 'net.ipv4.conf.all.forwarding',
  'net.ipv4.conf.all.forwarding': 'net.ipv4.ip_forward',
};

/**
 * The tunables of one stack. Precedence: profile < file < live change < socket. Those of interfaces (net.ipv4.conf, net.ipv4.neigh and IPv6's)
 * have a value for `all`; `default` has another for interfaces without their own; an interface's name is for that one, now and when it
 * comes back.
 */
export class Sysctl {
  /** Read freely, write only through set. */
  readonly v: SysctlValues = { ...defaults };
  private readonly listeners: { name: SysctlName; changed: () => void }[] = [];
  /** Values of interfaces and of `default`, by name as written. */
  private readonly own = new Map<string, SysctlValue>();
  private readonly interfaces = new Map<string, InterfaceTunables>();
  /** What an interface without values of its own goes by, where `default` has none: copied for each, whole. */
  private readonly general = copied(plain);

  constructor(profile: ProfileName = 'linux', values: Readonly<Record<string, unknown>> = {}) {
    for (const [name, value] of Object.entries(profiles[profile])) this.set(name, value);
    for (const [name, value] of Object.entries(values)) this.set(name, value);
  }

  /** Throws ConfigError when there is no such name. */
  get(name: string): SysctlValue {
    const { base, scope } = known(name);
    return scope === '' ? this.v[base] : this.valueFor(base, scope);
  }

  /** What was set under just this name; undefined for an interface that goes by `default` or `all`. Throws ConfigError when there is no such name. */
  given(name: string): SysctlValue | undefined {
    const { base, scope } = known(name);
    return scope === '' ? this.v[base] : this.own.get(name);
  }

  /** Sets one value, given as number, text ("4096 131072 6291456") or triple. Throws ConfigError for an unknown name or a value out of range. */
  set(name: string, value: unknown): void {
    const { base, scope } = known(name);
    const parsed = parse(name, sysctls[base], value);
    if (scope !== '') this.own.set(name, parsed);
    else {
      this.write(base, parsed);
      const twin = twins[base];
      if (twin !== undefined) this.write(twin, parsed);
    }
    this.changed(base);
  }

  private write(base: SysctlName, value: SysctlValue): void {
    (this.v as Record<string, SysctlValue>)[base] = value;
    const leaf = leafOf(base);
    if (leaf !== null) (this.general[leaf.key] as Record<string, SysctlValue>)[leaf.word] = value;
  }

  /** Back to the table's value, or for an interface to that of the others. Throws ConfigError when there is no such name. */
  unset(name: string): void {
    const { base, scope } = known(name);
    if (scope === '') this.set(name, sysctls[base].default);
    else if (this.own.delete(name)) this.changed(base);
  }

  private changed(base: SysctlName): void {
    const twin = twins[base];
    for (const [name, tunables] of this.interfaces) {
      this.fill(tunables, base, name);
      if (twin !== undefined) this.fill(tunables, twin, name);
    }
    for (const listener of this.listeners) if (listener.name === base || listener.name === twin) listener.changed();
  }

  private valueFor(base: SysctlName, scope: string): SysctlValue {
    return this.own.get(nameFor(base, scope)) ?? this.own.get(nameFor(base, DEFAULT)) ?? this.v[base];
  }

  private fill(tunables: InterfaceTunables, base: SysctlName, name: string): void {
    const leaf = leafOf(base);
    if (leaf !== null) (tunables[leaf.key] as Record<string, SysctlValue>)[leaf.word] = this.valueFor(base, name);
  }

  /** The values of an interface, kept up to date until `detach`. */
  attach(name: string): InterfaceTunables {
    const tunables = copied(this.general);
    if (this.own.size > 0) for (const { base } of scoped) this.fill(tunables, base, name);
    this.interfaces.set(name, tunables);
    return tunables;
  }

  /** The interface is gone. What was set for its name stays. */
  detach(name: string): void {
    this.interfaces.delete(name);
  }

  /** All tunables with their entries and present values; behind them what interfaces have otherwise. */
  list(): { name: string; value: SysctlValue; entry: SysctlEntry }[] {
    const table = (Object.keys(sysctls) as SysctlName[]).map((name) => ({ name: name as string, value: this.v[name], entry: sysctls[name] }));
    return [...table, ...[...this.own].map(([name, value]) => ({ name, value, entry: sysctls[known(name).base] }))];
  }

  /** For components that must act on a change, of an interface's value too; `changed` runs after the value stands. */
  onChange(name: SysctlName, changed: () => void): void {
    this.listeners.push({ name, changed });
  }
}

function known(name: string): { readonly base: SysctlName; readonly scope: string } {
  const { base, scope } = scopedName(name);
  if (base in sysctls) return { base: base as SysctlName, scope };
  throw new ConfigError(`sysctl ${name}: no such tunable; nearest is ${nearest(base, Object.keys(sysctls))}`);
}

function parse(name: string, entry: SysctlEntry, value: unknown): SysctlValue {
  if (entry.type === 'choice') {
    if (entry.choices?.includes(String(value))) return String(value);
    throw new ConfigError(`sysctl ${name}: ${String(value)} is not one of ${entry.choices?.join(', ')}`);
  }
  if (entry.type === 'text') {
    if (new RegExp(entry.pattern as string).test(String(value))) return String(value);
    throw new ConfigError(`sysctl ${name}: ${String(value)} does not look like ${String(entry.default)}`);
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
