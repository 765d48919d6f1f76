/**
 * `npm run node-compat -- DIR [WORD…]`: Node's own tests of net and dgram against our classes. DIR is a checkout of nodejs/node of the
 * version that runs; nothing of it is ours, and nothing is copied. Each test is a process that a preload has given a stack with only
 * its loopback. What is known to fail stands with its reason in test/node-compat/expectation.json; the exit code says whether
 * anything else did.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { compare, type Expectation, type Result, usesInternals } from './node-compat-verdict.js';

/** How long one test may take. */
const LIMIT_MS = 10_000;
const AT_ONCE = 2;
const EXPECTATION = join('test', 'node-compat', 'expectation.json');

/** One test as it ended over the stack; what fails over Node's own network as well says nothing about ours. */
async function run(folder: string, name: string, config: string): Promise<Result> {
  const result = await once(folder, name, config, true);
  if (result.outcome !== 'fail' && result.outcome !== 'timeout') return result;
  const own = await once(folder, name, config, false);
  return own.outcome === 'fail' || own.outcome === 'timeout' ? { ...own, outcome: 'host' } : result;
}

/** One process. */
function once(folder: string, name: string, config: string, stacked: boolean): Promise<Result> {
  const preload = stacked ? ['--import', pathToFileURL(resolve('dist', 'register.js')).href] : [];
  const env = { ...process.env, ANYSTACK_CONFIG: config, NODE_TEST_KNOWN_GLOBALS: '0', NODE_SKIP_FLAG_CHECK: '1' };
  return new Promise((settle) => {
    const child = spawn(process.execPath, [...preload, join(folder, name)], { cwd: folder, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    const end = (): void => endGroup(child.pid);
    let said = '';
    let late = false;
    const keep = (chunk: Buffer): void => {
      if (said.length < 20_000) said += chunk.toString();
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    const limit = setTimeout(() => {
      late = true;
      end();
    }, LIMIT_MS);
    child.on('exit', end);
    child.on('close', (code) => {
      clearTimeout(limit);
      const skipped = code === 0 && /^1\.\.0 # Skipped/m.test(said);
      settle({ name, outcome: late ? 'timeout' : code !== 0 ? 'fail' : skipped ? 'skip' : 'pass', said });
    });
  });
}

/** A test and whatever it has started. */
function endGroup(leader: number | undefined): void {
  try {
    if (leader !== undefined) process.kill(-leader, 'SIGKILL');
  } catch {
    // Nothing of it is left.
  }
}

/** The tests of net and dgram that use nothing of Node's inside. */
function chosen(folder: string, words: readonly string[]): string[] {
  return readdirSync(folder)
    .filter((name) => /^test-(net|dgram)-.*\.(js|mjs)$/.test(name))
    .filter((name) => words.length === 0 || words.some((word) => name.includes(word)))
    .filter((name) => !usesInternals(readFileSync(join(folder, name), 'utf8')))
    .sort();
}

async function main([checkout, ...words]: readonly string[]): Promise<number> {
  if (checkout === undefined) {
    process.stderr.write('node-compat needs a checkout of nodejs/node: npm run node-compat -- ~/node\n');
    return 2;
  }
  const folder = resolve(checkout, 'test', 'parallel');
  const place = mkdtempSync(join(tmpdir(), 'anystack-node-compat-'));
  const config = join(place, 'stack.json');
  writeFileSync(config, '{}');
  const names = chosen(folder, words);
  const results: Result[] = [];
  const worker = async (): Promise<void> => {
    for (let name = names.shift(); name !== undefined; name = names.shift()) results.push(await run(folder, name, config));
  };
  try {
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
  const expected = JSON.parse(readFileSync(EXPECTATION, 'utf8')) as Expectation;
  const { lines, wrong } = compare(results, expected, words.length > 0);
  process.stdout.write(`${lines.join('\n')}\n`);
  return wrong === 0 ? 0 : 1;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) process.exitCode = await main(process.argv.slice(2));
