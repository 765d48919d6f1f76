/** The counterparts of interoperability tests: scripts in the folder that ANYSTACK_INTEROP names (a Linux kernel as a process, strongSwan, tshark). */
import { execFile, execFileSync } from 'node:child_process';
import type { Context } from 'mocha';
import { needs, skip } from './requirements.js';

export interface Counterparts {
  /** Prefix of its network namespaces. */
  readonly prefix: string;
  /** Folder of its state. */
  readonly run: string;
  /** Runs a script without blocking the loop that has to answer it; the output, also when it failed. */
  script(path: string, args?: readonly string[], env?: Readonly<Record<string, string>>): Promise<string>;
  /** The same, waiting. */
  scriptSync(path: string, args?: readonly string[], env?: Readonly<Record<string, string>>): string;
}

/** Skips the test where no counterparts are to be had. */
export function counterparts(test: Context): Counterparts {
  const folder = process.env['ANYSTACK_INTEROP'];
  needs(test, 'root');
  if (folder === undefined) skip(test, 'no counterparts here: ANYSTACK_INTEROP=FOLDER npm run interop, with the folder of their scripts');
  const run = process.env['INTEROP_RUN'] ?? '/tmp/interop-run';
  const prefix = process.env['INTEROP_NS'] ?? 'ipx';
  const base = { ...process.env, INTEROP_RUN: run, INTEROP_NS: prefix };
  return {
    prefix,
    run,
    script: (path, args = [], env = {}) =>
      new Promise((resolve) => {
        execFile(
          `${folder}/${path}`,
          [...args],
          { env: { ...base, ...env }, encoding: 'utf8', maxBuffer: 1 << 26, timeout: 60_000 },
          (_error, out, err) => resolve(out + err),
        );
      }),
    scriptSync: (path, args = [], env = {}) =>
      execFileSync(`${folder}/${path}`, [...args], { env: { ...base, ...env }, encoding: 'utf8', timeout: 120_000 }),
  };
}
