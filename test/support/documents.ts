/** Fenced blocks of the documents, which the tests run. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type Ended, ended } from './command.js';

/** A fenced block of a document. */
export interface Block {
  readonly file: string;
  readonly line: number;
  readonly language: string;
  readonly text: string;
  /** Words of the comment in front of it: what its test needs. */
  readonly words: readonly string[];
}

/** Those of one file. */
export function blocks(file: string): Block[] {
  const text = readFileSync(file, 'utf8');
  return [...text.matchAll(/(?:<!-- test: (.*?) -->\n)?^```(\w*)\n([\s\S]*?)^```$/gm)].map((match) => ({
    file,
    line: text.slice(0, match.index).split('\n').length,
    language: match[2] as string,
    text: match[3] as string,
    words: (match[1] ?? '').split(' ').filter((w) => w !== ''),
  }));
}

/** README and all of docs/. */
export const documentFiles = (): string[] => [
  'README.md',
  ...readdirSync('docs')
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name)),
];

/** The program of the host's network that a block talks to: 'peer:mosquitto'. */
export const peerOf = ({ words }: Block): string | null => words.find((word) => word.startsWith('peer:'))?.slice(5) ?? null;

export const titleOf = ({ file, line, language }: Block): string => `${file}:${line} ${language}`;

/** Programs of the documents, all in one process: stacks do not know of each other, and Node takes longer to start than they to run. */
export class Programs {
  ended: Ended | null = null;
  /** Resolves when all have ended. */
  done: Promise<void> = Promise.resolve();
  // Below the project, so that they find their packages.
  private readonly folder = mkdtempSync(resolve('build', 'docs-'));
  private readonly programs: readonly Block[];

  constructor(programs: readonly Block[]) {
    this.programs = programs;
  }

  /** Starts them all. */
  run(): Promise<void> {
    this.done = this.start();
    return this.done;
  }

  private async start(): Promise<void> {
    for (const block of this.programs) writeFileSync(this.path(block), block.text);
    const runner = join(this.folder, 'all.mjs');
    const lines = this.programs.map((block) => {
      const path = JSON.stringify(this.path(block));
      return `import(${path}).then(() => console.log('ran', ${path}), (error) => console.log('failed', ${path}, error));`;
    });
    writeFileSync(runner, lines.join('\n'));
    this.ended = await ended(spawn(process.execPath, [runner], { stdio: ['ignore', 'pipe', 'pipe'] }));
  }

  /** 'ran', or what went wrong. */
  outcome(block: Block): string {
    const { out = '', err = '' } = this.ended ?? {};
    const path = this.path(block);
    if (out.includes(`ran ${path}\n`)) return 'ran';
    const at = out.indexOf(`failed ${path}`);
    return at < 0 ? `never came to its end; ${err}` : out.slice(at, at + 2_000);
  }

  close(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  private path({ file, line }: Block): string {
    return join(this.folder, `${file.replace(/\W/g, '-')}-${line}.mjs`);
  }
}
