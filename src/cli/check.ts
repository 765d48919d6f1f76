import type { OptionValues } from 'commander';
import { readConfig } from '../config/file.js';
import { print } from './remote.js';

/** `anystack check`: says that a file is right, or where it is wrong. */
export async function run([file]: readonly string[], options: OptionValues): Promise<number> {
  const config = readConfig(file as string);
  print(options, { ok: true, file, interfaces: Object.keys(config.interfaces ?? {}) }, () => [`${file}: right`]);
  return 0;
}
