import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import type { OptionValues } from 'commander';
import { UsageError } from './failure.js';
import { ask } from './remote.js';

/** What a stack tells of where it can be reached. */
interface About {
  /** 'host': on this machine's own network. 'namespace': in that of process `pid`. 'memory': only in its process. */
  readonly reach?: 'host' | 'namespace' | 'memory';
  readonly pid: number;
}

/** `anystack exec`: runs a command where the kernel's end of the stack's network is, and exits as it does. */
export async function run(words: readonly string[], options: OptionValues): Promise<number> {
  const about = (await ask(options, 'about')) as About;
  if (about.reach === 'memory')
    throw new UsageError('this stack lives on a network in memory: no command of the host can reach it but through its outer port');
  const inside = about.reach === 'namespace' ? ['nsenter', '--preserve-credentials', '-U', '-n', '-t', String(about.pid), '--', ...words] : words;
  return await spawned(inside);
}

function spawned([command, ...rest]: readonly string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(command as string, rest, { stdio: 'inherit' });
    // The terminal sends these to both; the command decides.
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => {});
    child.on('error', (error: NodeJS.ErrnoException) =>
      reject(new UsageError(`${command}: ${error.code === 'ENOENT' ? 'no such command' : error.message}`)),
    );
    child.on('exit', (code, signal) => resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])));
  });
}
