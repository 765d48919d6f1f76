import type { OptionValues } from 'commander';
import { ask } from './remote.js';

/** `anystack down`. */
export async function run(_words: readonly string[], options: OptionValues): Promise<number> {
  await ask(options, 'down');
  return 0;
}
