/** The command: scripts and folders of scripts, one line for each, totals at the end. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ConfigError } from '../base/errors.js';
import { type ProfileName, profiles } from '../net/profiles.js';
import { type Deviation, expected, readDeviations } from './deviations.js';
import { Tally } from './report.js';
import { runScript } from './run-script.js';

/** Options of the command by their names. */
export interface PacketdrillOptions {
  /** Name of a set of tunables: the wire habits scripts presume. Default 'linux'. */
  readonly profile?: string;
  readonly normalize?: boolean;
  readonly strict?: boolean;
  /** One JSON object per script and nothing else. */
  readonly json?: boolean;
  /** File of known failures: they do not count for the exit code. */
  readonly expect?: string;
  /** `NAME` or `NAME=VALUE`, for #ifdef and for words. */
  readonly define?: readonly string[];
  /** Only failures and totals. */
  readonly quiet?: boolean;
}

/** Runs all scripts below `paths`. Exit code: 0, or 1 when one failed that was not expected to. `write` takes lines. */
export async function run(paths: readonly string[], options: PacketdrillOptions = {}, write: (line: string) => void = toStdout): Promise<number> {
  const profile = options.profile ?? 'linux';
  if (!(profile in profiles)) throw new ConfigError(`profile ${profile}: one of ${Object.keys(profiles).join(', ')}`);
  const normalize = options.normalize === true;
  const deviations = options.expect === undefined ? [] : readDeviations(options.expect);
  const defines = new Map((options.define ?? []).map((text) => text.split(/=(.*)/s) as [string, string]).map(([name, value = '']) => [name, value]));
  const tally = new Tally();
  for (const file of paths.flatMap(scriptsBelow)) {
    const outcome = runScript(readFileSync(file, 'utf8'), {
      profile: profile as ProfileName,
      normalize,
      strict: options.strict === true,
      defines,
      readFile: (name) => readBeside(file, name),
    });
    const known: Deviation | null = outcome.result === 'fail' ? expected(deviations, file, profile, normalize) : null;
    tally.add(dirname(file), outcome, known !== null);
    if (options.json === true)
      write(JSON.stringify({ file, result: outcome.result, reason: outcome.reason, ...(known === null ? {} : { expected: known.reason }) }));
    else if (options.quiet !== true || (outcome.result === 'fail' && known === null)) write(line(file, outcome.result, outcome.reason, known));
  }
  if (options.json !== true) for (const text of tally.lines()) write(text);
  return tally.unexpected > 0 ? 1 : 0;
}

function line(file: string, result: string, reason: string, known: Deviation | null): string {
  const what = known === null ? reason : `${reason} (known: ${known.reason})`;
  return `${result}  ${file}${what === '' ? '' : `: ${what}`}`;
}

/** The file itself, or all `.pkt` files of a folder and those below it, in the order of their names. */
function scriptsBelow(path: string): string[] {
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => (entry.isDirectory() ? scriptsBelow(join(path, entry.name)) : entry.name.endsWith('.pkt') ? [join(path, entry.name)] : []));
}

/** A shell file that a script names, relative to the script. */
function readBeside(script: string, name: string): string | null {
  try {
    return readFileSync(join(dirname(script), name), 'utf8');
  } catch {
    return null;
  }
}

function toStdout(text: string): void {
  process.stdout.write(`${text}\n`);
}
