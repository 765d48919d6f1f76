/** Network namespaces of the host for tests: unique names, removed at the end whatever happened. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';

/** A namespace with its loopback up. */
export interface Netns {
  readonly name: string;
  /** For the `netns` key of a device. */
  readonly path: string;
  /** Runs a command in it and gives its stdout; throws when it fails or takes longer than 20 s. */
  run(command: string, ...args: string[]): string;
  /** The same without waiting: it blocks no loop that has to answer it. Rejects on failure. */
  exec(command: string, ...args: string[]): Promise<string>;
  /** Starts a command in it; killed by remove. */
  start(command: string, ...args: string[]): ChildProcess;
  remove(): void;
}

const made = { count: 0 };

/** Needs root. Call remove in after(). */
export function makeNetns(label = 't'): Netns {
  const name = `as-${label}-${process.pid}-${made.count++}`;
  execFileSync('ip', ['netns', 'add', name]);
  const children = new Set<ChildProcess>();
  const inside = (command: string, args: string[]): [string, string[]] => ['ip', ['netns', 'exec', name, command, ...args]];
  const start = (command: string, ...args: string[]): ChildProcess => {
    const child = spawn(...inside(command, args), { stdio: ['pipe', 'pipe', 'pipe'] });
    children.add(child);
    child.on('exit', () => children.delete(child));
    return child;
  };
  const ns: Netns = {
    name,
    path: `/run/netns/${name}`,
    run: (command, ...args) => execFileSync(...inside(command, args), { encoding: 'utf8', timeout: 20_000, stdio: ['ignore', 'pipe', 'pipe'] }),
    exec: (command, ...args) =>
      new Promise((resolve, reject) => {
        const child = start(command, ...args);
        let out = '';
        let err = '';
        child.stdin?.end();
        child.stdout?.on('data', (data) => (out += data));
        child.stderr?.on('data', (data) => (err += data));
        child.on('error', reject);
        child.on('close', (code) => (code === 0 ? resolve(out) : reject(new CommandFailed(`${command} ${args.join(' ')}: ${code}\n${out}${err}`))));
      }),
    start,
    remove() {
      for (const child of children) child.kill('SIGKILL');
      execFileSync('ip', ['netns', 'delete', name]);
    },
  };
  ns.run('ip', 'link', 'set', 'lo', 'up');
  return ns;
}

class CommandFailed extends Error {
  override readonly name = 'CommandFailed';
}
