import type { SysctlName } from './sysctl.js';

/** The last words of the names under a stem. */
type Leaf<Stem extends string> = { -readonly [K in SysctlName as K extends `${Stem}.${infer Word}` ? Word : never]: number };

/** The values that one interface goes by. The hot path reads them as plain properties. */
export interface InterfaceTunables {
  readonly conf4: Leaf<'net.ipv4.conf.all'>;
  readonly conf6: Leaf<'net.ipv6.conf.all'>;
  readonly neigh4: Leaf<'net.ipv4.neigh.default'>;
  readonly neigh6: Leaf<'net.ipv6.neigh.default'>;
}

/** Stems of the tunables an interface may have otherwise, as the table has them, and where their values are. */
const stems: readonly (readonly [string, keyof InterfaceTunables])[] = [
  ['net.ipv4.conf.all', 'conf4'],
  ['net.ipv6.conf.all', 'conf6'],
  ['net.ipv4.neigh.default', 'neigh4'],
  ['net.ipv6.neigh.default', 'neigh6'],
];

/** The word that stands for interfaces without a value of their own: after `all` of conf, and as neigh's only such word. */
export const DEFAULT = 'default';

/** A name as written: the tunable of the table, and the interface or `default` it is for; '' for all. */
export interface ScopedName {
  readonly base: string;
  readonly scope: string;
}

/** `net.ipv6.conf.eth0.accept_ra` is `net.ipv6.conf.all.accept_ra` for eth0. An interface's name may have dots: eth0.100. */
export function scopedName(name: string): ScopedName {
  const [, stem, scope, word] = /^(net\.ipv[46]\.(?:conf|neigh))\.(.+)\.(\w+)$/.exec(name) ?? [];
  if (stem === undefined || scope === undefined) return { base: name, scope: '' };
  const general = stem.endsWith('conf') ? 'all' : DEFAULT;
  return { base: `${stem}.${general}.${word}`, scope: scope === general ? '' : scope };
}

/** The name of a tunable of the table for an interface or `default`. */
export const nameFor = (base: string, scope: string): string => base.replace(/\.(?:all|default)(\.\w+)$/, (_, word: string) => `.${scope}${word}`);

/** Where a tunable of the table is kept for an interface; null when it is the whole stack's. */
export function leafOf(base: string): { readonly key: keyof InterfaceTunables; readonly word: string } | null {
  for (const [stem, key] of stems) if (base.startsWith(`${stem}.`)) return { key, word: base.slice(stem.length + 1) };
  return null;
}

/** Empty ones, to be filled from the table. */
export const emptyTunables = (): InterfaceTunables => ({ conf4: {}, conf6: {}, neigh4: {}, neigh6: {} }) as unknown as InterfaceTunables;
