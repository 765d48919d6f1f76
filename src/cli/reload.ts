import { resolve } from 'node:path';
import type { OptionValues } from 'commander';
import { readConfig } from '../config/file.js';
import { ask } from './remote.js';

/** `anystack reload`: the stack's own file again, or another one in its place. */
export async function run([file]: readonly string[], options: OptionValues): Promise<number> {
  await ask(options, 'reload', file === undefined ? null : readConfig(resolve(file)));
  return 0;
}
