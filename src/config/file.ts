import { readFileSync } from 'node:fs';
import { ConfigError } from '../base/errors.js';
import { type Config, checkConfig } from './config.js';

/** Reads and checks a configuration; ConfigError names the file and the place. */
export function readConfig(file: string): Config {
  let text: string;
  try {
    text = readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (error) {
    throw new ConfigError(`${file}: ${(error as NodeJS.ErrnoException).code === 'ENOENT' ? 'there is no such file' : (error as Error).message}`);
  }
  try {
    return checkConfig(parse(text));
  } catch (error) {
    if (error instanceof ConfigError) throw new ConfigError(`${file}: ${error.message}`);
    throw error;
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    const at = /position (\d+)/.exec((error as Error).message);
    const before = at === null ? null : text.slice(0, Number(at[1])).split('\n');
    const where = before === null ? '' : ` in line ${before.length}, column ${(before.at(-1) as string).length + 1}`;
    throw new ConfigError(`not JSON${where}: ${(error as Error).message.replace(/ in JSON at position.*$/, '')}`);
  }
}
