/** Routing daemons of others in a namespace: FRRouting and BIRD of Debian's packages frr and bird2. */
import { type ChildProcess, execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Netns } from './netns.js';

const FRR = '/usr/lib/frr';

/** zebra and other daemons, each with its configuration. They end with the namespace. */
export class Frr {
  private readonly ns: Netns;
  private readonly run: string;
  private readonly folder: string;
  private readonly daemons = new Map<string, ChildProcess>();

  constructor(ns: Netns) {
    this.ns = ns;
    // Sockets of a name of its own (-N): many such live side by side.
    this.run = `/var/run/frr/${ns.name}`;
    this.folder = mkdtempSync(join(tmpdir(), 'anystack-frr-'));
    mkdirSync(this.run, { recursive: true });
    execFileSync('chown', ['frr:frr', this.run, this.folder]);
    chmodSync(this.folder, 0o755);
  }

  /** zebra first: the others ask it. */
  start(daemon: string, config: string, ...flags: string[]): void {
    const file = join(this.folder, `${daemon}.conf`);
    writeFileSync(file, config);
    execFileSync('chown', ['frr:frr', file]);
    const log = `file:${join(this.folder, `${daemon}.log`)}`;
    const child = this.ns.start(`${FRR}/${daemon}`, '-N', this.ns.name, '-f', file, '-A', '127.0.0.1', '-P', '0', '--log', log, ...flags);
    child.stdout?.resume();
    child.stderr?.resume();
    this.daemons.set(daemon, child);
  }

  /** What vtysh says to these commands; nothing while the daemon does not answer. */
  async ask(...commands: string[]): Promise<string> {
    return this.ns.exec('vtysh', '-N', this.ns.name, ...commands.flatMap((command) => ['-c', command])).catch(() => '');
  }

  kill(daemon: string): void {
    this.daemons.get(daemon)?.kill('SIGKILL');
  }

  close(): void {
    for (const child of this.daemons.values()) child.kill('SIGKILL');
    rmSync(this.run, { recursive: true, force: true });
    rmSync(this.folder, { recursive: true });
  }
}

/** BIRD with one configuration. */
export class Bird {
  readonly process: ChildProcess;
  private readonly folder: string;

  constructor(ns: Netns, config: string) {
    this.folder = mkdtempSync(join(tmpdir(), 'anystack-bird-'));
    const file = join(this.folder, 'bird.conf');
    writeFileSync(file, config);
    this.process = ns.start('/usr/sbin/bird', '-f', '-c', file, '-s', join(this.folder, 'ctl'));
    this.process.stdout?.resume();
    this.process.stderr?.resume();
  }

  close(): void {
    this.process.kill('SIGKILL');
    rmSync(this.folder, { recursive: true });
  }
}
