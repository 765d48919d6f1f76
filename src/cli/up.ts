import { fork } from 'node:child_process';
import type { OptionValues } from 'commander';
import { readConfig } from '../config/file.js';
import { forwardEvents } from '../control/methods.js';
import { ControlServer } from '../control/server.js';
import { createStack } from '../index.js';

/** `anystack up`: a stack from a file, until a signal or `down`; with `--detach` in a process of its own, which serves when the command ends. */
export async function run([file]: readonly string[], options: OptionValues): Promise<number> {
  // The process that detach makes has the same words, and a parent.
  if (options['detach'] === true && !process.connected) return detach();
  const json = options['json'] === true;
  const from = performance.now();
  const stack = createStack(readConfig(file as string));
  const tell = (event: Readonly<Record<string, unknown>>): void => {
    if (json) process.stdout.write(`${JSON.stringify(event)}\n`);
    else process.stderr.write(`anystack ${stack.name}: ${sentence(event)}\n`);
  };
  let end: (code: number) => void = () => {};
  const ended = new Promise<number>((resolve) => {
    end = resolve;
  });
  // What happens before the stack serves is told after that.
  const early: Readonly<Record<string, unknown>>[] = [];
  let hear = (event: Readonly<Record<string, unknown>>): unknown => early.push(event);
  forwardEvents(stack, (event) => void hear(event));
  stack.events.once('failed', () => end(1));
  const reload = (): void => stack.reload(readConfig(file as string));
  let control: ControlServer;
  try {
    control = await ControlServer.listen(stack, { down: () => setImmediate(end, 0), reload, about: { file } });
  } catch (error) {
    await stack.close();
    throw error;
  }
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => end(0));
  process.on('SIGHUP', () => {
    try {
      reload();
      tell({ event: 'reloaded', file });
    } catch (error) {
      tell({ event: 'refused', file, message: (error as Error).message });
    }
  });
  tell({
    event: 'ready',
    name: stack.name,
    pid: process.pid,
    control: control.path,
    interfaces: stack.link.show().map((l) => l.name),
    ms: Math.round(performance.now() - from),
  });
  hear = tell;
  early.forEach(tell);
  if (process.connected) leaveParent();
  const code = await ended;
  control.close();
  await stack.close();
  // Whatever a listener of the process still holds open, an ended stack does not.
  process.exit(code);
}

/** The same command in another process; what it says until it serves is said here. Its status where it fails. */
function detach(): Promise<number> {
  const child = fork(process.argv[1] as string, process.argv.slice(2), { detached: true, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
  child.stdout?.pipe(process.stdout);
  child.stderr?.pipe(process.stderr);
  return new Promise((resolve) => {
    child.once('message', () => {
      child.stdout?.destroy();
      child.stderr?.destroy();
      child.unref();
      resolve(0);
    });
    child.once('close', (code) => resolve(code ?? 1));
  });
}

/** Tells a parent that waits that this process serves. From then on nobody reads what it says. */
function leaveParent(): void {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
  process.send?.('ready', () => process.disconnect());
}

function sentence({ event, ...rest }: Readonly<Record<string, unknown>>): string {
  return [event, ...Object.entries(rest).map(([key, value]) => `${key} ${Array.isArray(value) ? value.join(',') : String(value)}`)].join(' ');
}
