/** What one tunable is. Names and units are Linux's where Linux has one; ours are under `anystack.`. */
export interface SysctlEntry<T extends SysctlValue = SysctlValue> {
  readonly type: 'int' | 'flag' | 'choice' | 'triple' | 'text';
  readonly unit: string;
  readonly default: T;
  /** Inclusive; for a triple of each of its members. */
  readonly range?: readonly [number, number];
  readonly choices?: readonly string[];
  /** Of a text: a regular expression for all of it. */
  readonly pattern?: string;
  /** When a change is felt. */
  readonly effect: 'now' | 'new sockets' | 'start';
  /** What it does and why the default is what it is. */
  readonly help: string;
  /** Where it comes from: an RFC, Linux, BSD, or our own measurement. */
  readonly source: string;
}

/** A triple is Linux's "min default max", e.g. of net.ipv4.tcp_rmem. */
export type SysctlValue = number | string | readonly [number, number, number];

type Rest = Pick<SysctlEntry, 'help' | 'source'> & { effect?: SysctlEntry['effect'] };

/** An integer in [low, high]. */
export function int(value: number, unit: string, low: number, high: number, rest: Rest): SysctlEntry<number> {
  return { type: 'int', unit, default: value, range: [low, high], effect: 'now', ...rest };
}

/** 0 or 1. */
export function flag(value: 0 | 1, rest: Rest): SysctlEntry<number> {
  return { type: 'flag', unit: 'flag', default: value, range: [0, 1], effect: 'now', ...rest };
}

/** One of several words. */
export function choice<T extends string>(value: T, choices: readonly T[], rest: Rest): SysctlEntry<string> {
  return { type: 'choice', unit: 'name', default: value, choices, effect: 'now', ...rest };
}

/** A text of a given shape: `pattern` is a regular expression for all of it. */
export function text(value: string, pattern: string, rest: Rest): SysctlEntry<string> {
  return { type: 'text', unit: 'text', default: value, pattern: `^${pattern}$`, effect: 'now', ...rest };
}

/** Three integers: least, default, greatest. */
export function triple(
  value: readonly [number, number, number],
  unit: string,
  low: number,
  high: number,
  rest: Rest,
): SysctlEntry<readonly [number, number, number]> {
  return { type: 'triple', unit, default: value, range: [low, high], effect: 'now', ...rest };
}
