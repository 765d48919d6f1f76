import type { ProfileName } from '../net/profiles.js';
import type { ScriptOption } from './ast.js';
import { Mismatch, type Outcome, Unsupported } from './outcome.js';
import { parseScript } from './parse-script.js';
import { Runner } from './runner.js';
import { ScriptError } from './script-error.js';
import type { ReadFile } from './shell.js';

/** How a script is run. */
export interface ScriptRun {
  /** Wire habits that scripts presume, and the numbers of system calls. Default 'linux'. */
  readonly profile?: ProfileName;
  /** Compare without window values and without the order of options. */
  readonly normalize?: boolean;
  /** A packet that no event asks for fails the script, at once and at its end. The public forks look only at what stands before a packet they expect. */
  readonly strict?: boolean;
  /** Words that stand for others, beside the defaults. */
  readonly defines?: ReadonlyMap<string, string>;
  /** Option lines put before the script's. */
  readonly options?: readonly ScriptOption[];
  /** For commands that name a file. Default: there is none. */
  readonly readFile?: ReadFile;
}

/** What the public forks' test drivers define on their command lines, for IPv4. */
const DEFINES: readonly (readonly [string, string])[] = [
  ['TFO_COOKIE', '3021b9d889017eeb'],
  ['CODE', 'host_unreachable'],
  ['CMSG_LEVEL_IP', 'SOL_IP'],
  ['CMSG_TYPE_RECVERR', 'IP_RECVERR'],
  ['MSS', '1460'],
];

/** The system a profile stands for, as `#ifdef` knows it. */
const SYSTEM: Readonly<Partial<Record<ProfileName, string>>> = { bsd: 'FreeBSD', linux: 'Linux' };

/** Runs one script against a stack of its own. Never throws for what the script or the stack does. */
export function runScript(source: string, run: ScriptRun = {}): Outcome {
  const { profile = 'linux', normalize = false, strict = false, defines = new Map(), options: given = [], readFile = () => null } = run;
  let runner: Runner | null = null;
  try {
    const system = SYSTEM[profile];
    const script = parseScript(source, new Map([...DEFINES, ...(system === undefined ? [] : [[system, ''] as const]), ...defines]));
    runner = new Runner(script, { profile, normalize, strict, given, readFile });
    runner.run();
    return { result: 'pass', reason: '' };
  } catch (error) {
    if (error instanceof Unsupported) return { result: 'skip', reason: error.message };
    if (error instanceof ScriptError) return { result: 'fail', reason: `line ${error.line}: cannot be read: ${error.message}` };
    const message = error instanceof Mismatch ? error.message : error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { result: 'fail', reason: `line ${runner?.line ?? 0}: ${message}` };
  }
}
