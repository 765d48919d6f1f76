import { type ChildProcess, spawn } from 'node:child_process';

/** How a program ended. Code null: it could not be started, or was ended for being too slow. */
export interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs a program to its end, at most `ms`. */
export function run(command: string, args: readonly string[], ms = 5_000): Promise<Outcome> {
  return new Promise((resolve) => {
    const child: ChildProcess = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: ms, killSignal: 'SIGKILL' });
    let out = '';
    let err = '';
    child.stdout?.on('data', (octets) => (out += String(octets)));
    child.stderr?.on('data', (octets) => (err += String(octets)));
    child.on('error', (error) => resolve({ code: null, out, err: error.message }));
    child.on('close', (code) => resolve({ code, out, err }));
  });
}
