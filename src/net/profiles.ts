import type { SysctlValue } from './sysctl-entry.js';

/**
 * Named sets of tunables. `linux` is the table's defaults. What a profile sets is checked like any other value when a
 * stack is made with it.
 */
export const profiles = {
  linux: {},
  bsd: {},
  small: {},
  latency: {},
  throughput: {},
} as const satisfies Record<string, Readonly<Record<string, SysctlValue>>>;

export type ProfileName = keyof typeof profiles;
