import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Config } from '#src/config/config.js';

const MAIN = resolve('dist/cli/main.js');

/** How a command ended. */
export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** A folder for files and control sockets of one test, and the command run in it. */
export class Bench {
  readonly folder = mkdtempSync(join(tmpdir(), 'anystack-test-'));
  private readonly running = new Set<ChildProcess>();

  constructor() {
    chmodSync(this.folder, 0o700);
  }

  /** Writes a configuration and answers its path. */
  file(name: string, content: Config | string): string {
    const path = join(this.folder, name);
    writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
    return path;
  }

  spawn(words: readonly string[], env: NodeJS.ProcessEnv = {}): ChildProcess {
    const child = spawn(process.execPath, [MAIN, ...words], {
      env: { ...process.env, XDG_RUNTIME_DIR: this.folder, ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.running.add(child);
    child.on('exit', () => this.running.delete(child));
    return child;
  }

  /** Runs a command to its end. */
  run(words: readonly string[], input = '', env: NodeJS.ProcessEnv = {}): Promise<Ended> {
    const child = this.spawn(words, env);
    child.stdin?.end(input);
    return ended(child);
  }

  /** Runs a line of the shell as a user would, in the checkout. */
  shell(line: string): Promise<Ended> {
    return ended(spawn('sh', ['-c', line], { env: { ...process.env, XDG_RUNTIME_DIR: this.folder }, stdio: ['ignore', 'pipe', 'pipe'] }));
  }

  /** `up FILE --json`, ready; `lines` grows. */
  async up(file: string, lines: Record<string, unknown>[] = []): Promise<ChildProcess> {
    const child = this.spawn(['up', file, '--json']);
    let text = '';
    let err = '';
    child.stderr?.on('data', (octets) => (err += String(octets)));
    await new Promise<void>((resolve, reject) => {
      child.stdout?.on('data', (octets) => {
        text += String(octets);
        for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n')) {
          lines.push(JSON.parse(text.slice(0, at)) as Record<string, unknown>);
          text = text.slice(at + 1);
          if (lines.at(-1)?.['event'] === 'ready') resolve();
        }
      });
      child.on('exit', () => reject(new Error(`up ended: ${text}${err}`)));
    });
    return child;
  }

  async close(): Promise<void> {
    for (const child of this.running) {
      child.kill('SIGTERM');
      await new Promise((resolve) => child.once('exit', resolve));
    }
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** All a child says until it exits. */
export function ended(child: ChildProcess): Promise<Ended> {
  let out = '';
  let err = '';
  child.stdout?.on('data', (octets) => (out += String(octets)));
  child.stderr?.on('data', (octets) => (err += String(octets)));
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, out, err })));
}
