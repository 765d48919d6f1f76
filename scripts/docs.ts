/** `npm run docs`: writes the documents that are made of tables of the source. A test holds them to it. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type DropName, drops } from '#src/base/drops.js';
import { configSchema } from '#src/config/config.js';
import type { Schema } from '#src/config/schema.js';
import { profiles } from '#src/net/profiles.js';
import { type SysctlName, sysctls } from '#src/net/sysctl.js';
import type { SysctlEntry, SysctlValue } from '#src/net/sysctl-entry.js';
import { apiSections, writeApi } from './docs-api.js';
import { cliSections } from './docs-cli.js';
import { cell, keyTable, kindOf } from './docs-schema.js';

const made = (from: string): string => `<!-- Made of ${from} by \`npm run docs\`; changes go there. -->`;
const table = (heads: readonly string[], rows: readonly (readonly string[])[]): string[] =>
  [heads, heads.map(() => '---'), ...rows].map((row) => `| ${row.map(cell).join(' | ')} |`);
const page = (...lines: readonly (string | readonly string[])[]): string => `${lines.flat().join('\n')}\n`;

const shown = (value: SysctlValue): string => (typeof value === 'object' ? value.join(' ') : String(value));
const bounds = ({ range, choices, type }: SysctlEntry): string =>
  choices !== undefined ? choices.join(', ') : type === 'flag' ? '0, 1' : `${range?.[0]} to ${range?.[1]}`;

function sysctlText(): string {
  const rows = (Object.keys(sysctls) as SysctlName[]).sort().map((name) => {
    const entry: SysctlEntry = sysctls[name];
    const unit = entry.type === 'flag' || entry.type === 'choice' ? '' : entry.unit;
    return [`\`${name}\``, shown(entry.default), bounds(entry), unit, entry.effect, entry.help, entry.source];
  });
  const sets = Object.entries(profiles).flatMap(([profile, values]) => [
    `### ${profile}`,
    '',
    ...(Object.keys(values).length === 0
      ? ['The defaults above.']
      : table(
          ['Name', 'Value'],
          Object.entries(values).map(([name, value]) => [`\`${name}\``, shown(value as SysctlValue)]),
        )),
    '',
  ]);
  return page(
    '# Tunables',
    '',
    made('src/net/sysctl.ts and what it gathers'),
    '',
    'Names and units are those of Linux where Linux has one; ours begin with `anystack.`. They are set by `"sysctl"` in the configuration, by',
    '`stack.sysctl.set(name, value)` and by `anystack sysctl -w NAME=VALUE`. A profile is a named set of values; a file wins over the profile, a live',
    'change over the file, an option of a socket over both. *Felt* says when a change counts: now, for new sockets, or at the next start.',
    '',
    'Those with `.conf.all.` or `.neigh.default.` in their name may be otherwise on one interface: `net.ipv6.conf.eth0.accept_ra`,',
    '`net.ipv4.neigh.eth0.retrans_time_ms`. What is set for an interface wins over `net.ipv6.conf.default.*`, which is for all that have no value of',
    'their own, and that over `all`; unlike on Linux, where writing `all` or `default` copies, the order of writing does not count. Whether a packet is',
    'forwarded is decided by the interface it came in on, in both families.',
    '',
    table(['Name', 'Default', 'Range', 'Unit', 'Felt', 'What it does', 'Source'], rows),
    '',
    '## Profiles',
    '',
    sets.slice(0, -1),
  );
}

function configurationText(): string {
  const { properties = {}, $defs = {} } = configSchema;
  const sections = Object.entries(properties).flatMap(([key, schema]) => [
    `## ${key}`,
    '',
    sentence(schema),
    '',
    ...(key === 'sysctl' ? ['All names are in [sysctl.md](sysctl.md).', ''] : withBlank(keyTable(schema, key))),
  ]);
  const shared = Object.entries($defs).flatMap(([name, schema]) => [`## ${name}`, '', sentence(schema), '', ...withBlank(keyTable(schema, name))]);
  return page(
    '# Configuration',
    '',
    made('the schemas of src/config'),
    '',
    'A file of JSON, or the same object handed to `createStack`. Unknown keys are refused with the nearest name; a changed file applies its',
    'difference, as one transaction. `schema/anystack.schema.json` gives the same to an editor. In the tables `NAME` stands for a key of your own,',
    '`[]` for the members of a list, `(word)` for an object whose `type` is that word.',
    '',
    [...sections, ...shared].slice(0, -1),
  );
}

/** What it is, and what may stand there. */
function sentence(schema: Schema): string {
  const { description = '' } = schema;
  const said = description === '' ? '' : `${description.charAt(0).toUpperCase()}${description.slice(1)}${description.endsWith('.') ? '' : '.'} `;
  return `${said}Value: ${kindOf(schema)}.`;
}

const withBlank = (lines: readonly string[]): string[] => (lines.length === 0 ? [] : [...lines, '']);

/** Reasons under the comments that group them in src/base/drops.ts. */
function dropGroups(): [string, DropName[]][] {
  const groups: [string, DropName[]][] = [];
  const source = readFileSync(join('src', 'base', 'drops.ts'), 'utf8');
  for (const line of source.slice(source.indexOf('export const drops')).split('\n')) {
    const group = /^ {2}\/\/ (.+)$/.exec(line)?.[1];
    const name = /^ {2}(\w+): info\(/.exec(line)?.[1];
    if (group !== undefined) groups.push([group, []]);
    else if (name !== undefined) groups.at(-1)?.[1].push(name as DropName);
  }
  return groups.filter(([, names]) => names.length > 0);
}

function dropsText(): string {
  const groups = dropGroups().flatMap(([group, names]) => [
    `## ${group}`,
    '',
    ...table(
      ['Reason', 'What happened', 'What to do'],
      names.map((name) => [`\`${name}\``, drops[name].cause, drops[name].remedy]),
    ),
    '',
  ]);
  return page(
    '# Drop reasons',
    '',
    made('src/base/drops.ts'),
    '',
    'Every packet that dies is counted under one of these. `anystack nstat` shows the counters of a running stack, `anystack drops NAME` an entry of',
    'this page, `stack.status()` both to a program; captures carry the name as comment of the packet.',
    '',
    groups.slice(0, -1),
  );
}

/** Remedies that ask nothing of anybody: the protocol at work, and strangers' faults. */
const idle = (remedy: string): boolean => /^(Nothing|Broken or forged)/.test(remedy);

function troubleshootingText(): string {
  const groups = dropGroups().flatMap(([group, all]) => {
    const names = all.filter((name) => !idle(drops[name].remedy));
    const entries = names.flatMap((name) => [`- **${name}**: ${drops[name].cause} ${drops[name].remedy}`]);
    return entries.length === 0 ? [] : [`## ${group}`, '', ...entries, ''];
  });
  return page(
    '# Troubleshooting',
    '',
    made('src/base/drops.ts'),
    '',
    'When something does not arrive, it was sent and lost, or never sent. Look in this order:',
    '',
    '1. `anystack link show` and `anystack addr show`: the interface is up, has carrier and the address it should have.',
    '2. `anystack route get ADDRESS`: which route is taken, and why.',
    '3. `anystack neigh show`: the next hop is `REACHABLE` or `STALE`, not `FAILED`.',
    '4. `anystack nstat`: a drop reason that counts while it fails is the cause; its entry is below.',
    '5. `anystack trace`: one packet, and what each part of the stack decided about it.',
    '',
    'Reasons that need nobody to do anything, and those that only name a broken or forged packet, are in [drops.md](drops.md).',
    '',
    groups.slice(0, -1),
  );
}

function cliText(): string {
  return page(
    '# The command',
    '',
    made('src/cli/program.ts'),
    '',
    '`anystack VERB`; in a clone `node dist/cli/main.js VERB`. Every verb that asks a running stack takes `--stack NAME` where several run, and `--json`. What it does is a',
    'method of the API too, of the same name. Exit codes: 0 done, 1 refused or failed, 2 the words make no sense.',
    cliSections(),
  );
}

function apiText(): string {
  return page(
    '# API',
    '',
    made('the doc comments of what package.json exports'),
    '',
    'All names with the first sentence of their doc comment; an editor shows the rest and the types, and `npm run docs` writes them to build/api. Node-shaped parts (`stack.net`, `stack.dgram`, `stack.dns`, `stack.http`, …)',
    'are documented by Node, and what they have beyond it in their types. How to use them: [embedding.md](embedding.md).',
    apiSections(),
  );
}

/** The documents by their place in a checkout. */
export const documents: Readonly<Record<string, () => string>> = {
  'docs/sysctl.md': sysctlText,
  'docs/configuration.md': configurationText,
  'docs/drops.md': dropsText,
  'docs/troubleshooting.md': troubleshootingText,
  'docs/cli.md': cliText,
  'docs/api.md': apiText,
};

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  mkdirSync('docs', { recursive: true });
  for (const [path, text] of Object.entries(documents)) writeFileSync(path, text());
  writeApi(join('build', 'api'));
}
