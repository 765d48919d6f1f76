import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { resolve } from 'node:path';
import type { OptionValues } from 'commander';
import { readConfig } from '../config/file.js';
import { UsageError } from './failure.js';

/** `anystack run FILE -- node app.mjs`: an unmodified Node program over a stack of its own, which ends with it. */
export async function run([file, ...words]: readonly string[], options: OptionValues): Promise<number> {
  const [command, ...rest] = words[0] === '--' ? words.slice(1) : words;
  if (command === undefined) throw new UsageError('run needs a command: anystack run stack.json -- node app.mjs');
  readConfig(file as string); // its errors are better told here than by the program
  const preload = new URL('../register.js', import.meta.url).href;
  const env = {
    ...process.env,
    ANYSTACK_CONFIG: resolve(file as string),
    NODE_OPTIONS: `${process.env['NODE_OPTIONS'] ?? ''} --import ${preload}`.trim(),
    ...(options['exclude'] === undefined ? {} : { ANYSTACK_EXCLUDE_HOSTS: String(options['exclude']) }),
    ...(options['include'] === undefined ? {} : { ANYSTACK_INCLUDE_HOSTS: String(options['include']) }),
  };
  return await new Promise((settle, reject) => {
    const child = spawn(command, rest, { stdio: 'inherit', env });
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill(signal));
    child.on('error', (error: NodeJS.ErrnoException) =>
      reject(new UsageError(`${command}: ${error.code === 'ENOENT' ? 'no such command' : error.message}`)),
    );
    child.on('exit', (code, signal) => settle(code ?? 128 + (signal === null ? 0 : constants.signals[signal])));
  });
}
