import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { checkConfig } from '#src/config/config.js';
import { Bench, type Ended, ended } from './support/command.js';
import { type Block, blocks, documentFiles, Programs, peerOf, titleOf } from './support/documents.js';
import { missing, needs, type Requirement } from './support/requirements.js';

/** Those that talk to a program of the host's network are run by interop/long/embedding.test.ts. */
const all = documentFiles()
  .flatMap(blocks)
  .filter((block) => peerOf(block) === null);
const readme = blocks('README.md');
const config = (): Record<string, unknown> => JSON.parse((readme.find((b) => b.language === 'json') as Block).text) as Record<string, unknown>;

/** Numbers, files and reasons may differ from run to run; the words may not. */
const shape = (line: string): string => line.replace(/\/tmp\/\S+pcapng/, 'FILE').replace(/\d[\d,.]*/g, 'N');

describe('documents: every code block does what it says', function () {
  this.timeout(60_000);
  // Each is alone in its namespace, and waits most of the time: they run side by side, beside the programs.
  const recipes = new Map<Block, Promise<Ended>>();
  const programs = new Programs(all.filter((block) => block.language === 'js' && possible(block)));
  before(() => {
    const lanes = [programs.run(), Promise.resolve(), Promise.resolve()];
    for (const [i, block] of all.filter((b) => b.language === 'sh' && b.words.length > 0 && possible(b)).entries()) {
      const recipe = (lanes[i % lanes.length] as Promise<unknown>).then(() => inNamespace(block));
      recipes.set(block, recipe);
      lanes[i % lanes.length] = recipe.then(() => {});
    }
    return programs.done;
  });
  after(() => programs.close());
  it('programs end by themselves and say nothing on stderr', () => assert.deepEqual([programs.ended?.err, programs.ended?.code], ['', 0]));

  for (const block of all) {
    const title = titleOf(block);
    if (block.language === 'json') it(title, () => void checkConfig(JSON.parse(block.text)));
    else if (block.language === 'js')
      it(title, function () {
        if (block.words.length > 0) needs(this, ...requirementsOf(block));
        assert.equal(programs.outcome(block), 'ran');
      });
    else if (block.language === 'sh' && block.words.length > 0) {
      it(title, async function () {
        needs(this, ...requirementsOf(block));
        const { code, out, err } = await (recipes.get(block) ?? inNamespace(block));
        recipes.delete(block); // a second try runs anew
        assert.equal(code, 0, out + err);
      });
    } else if (block.language === 'sh') it(`${title}: runs scripts the package has`, () => everyScriptExists(block));
    else if (block.language === 'text') {
      it(`${title}: is what npm start prints, but for its numbers`, async function () {
        needs(this, 'tap', 'root', 'tools:ping', 'tools:curl');
        const said = await demo();
        assert.deepEqual(said.map(shape), block.text.trimEnd().split('\n').map(shape));
      });
    } else it(`${title}: has a language that is tested`, () => assert.fail(`'${block.language}' is none of js, json, sh, text`));
  }

  it('the first screen comes first: one sentence, two commands, a program of twelve lines, the output of npm start', () => {
    assert.deepEqual(
      readme.slice(0, 3).map((b) => b.language),
      ['sh', 'js', 'text'],
    );
    assert.deepEqual(
      readme[0]?.text.split('\n').map((line) => line.split(/\s{2,}/)[0]),
      ['npm start', 'npm test', ''],
    );
    assert.equal(readme[1]?.text.trimEnd().split('\n').length, 12);
  });
});

function requirementsOf({ words }: Block): Requirement[] {
  return words.map((word) => (word === 'eth0' ? 'netns' : word === 'nft' ? 'tools:nft' : (word as Requirement)));
}

function possible(block: Block): boolean {
  return requirementsOf(block).every((requirement) => missing(requirement) === null);
}

function everyScriptExists(block: Block): void {
  const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> };
  for (const line of block.text.trim().split('\n')) {
    const name = /^npm (?:run )?(\w+)/.exec(line)?.[1];
    assert.ok(name !== undefined && name in scripts, line);
  }
}

/** Runs the lines of a shell block, stopping at the first that fails, in namespaces of their own: what they start ends with them. */
async function inNamespace(block: Block): Promise<Ended> {
  const bench = new Bench();
  mkdirSync(join(bench.folder, 'bin'));
  const bin = join(bench.folder, 'bin', 'anystack');
  writeFileSync(bin, `#!/bin/sh\nexec '${process.execPath}' '${resolve('dist/cli/main.js')}' "$@"\n`);
  chmodSync(bin, 0o755);
  const stack = { ...config(), name: 'readme' };
  const tap = { type: 'tap', name: 'tap0' };
  bench.file('stack.json', { ...stack, name: 'default' });
  const joined = readme.filter((b) => b.language === 'json')[1] as Block;
  bench.file('proxy.json', { ...stack, name: 'default', ...(JSON.parse(joined.text) as object) } as never);
  bench.file('lan.json', { interfaces: { eth0: { device: tap, addresses: ['192.168.7.9/24'] } } } as never);
  bench.file('user.json', { interfaces: { eth0: { device: tap, addresses: ['10.0.0.2/24'] } } } as never);
  const before = [
    'set -e',
    'ip link set lo up',
    ...(block.words.includes('eth0') ? ['ip link add eth0 type veth peer name lan0', 'ip link set eth0 up'] : []),
  ];
  // The unprivileged user of one recipe has a folder of its own for its control socket.
  const env = { ...process.env, PATH: `${bench.folder}/bin:${process.env['PATH']}`, ANYSTACK_CONTROL_DIR: join(bench.folder, 'control') };
  chmodSync(bench.folder, 0o755);
  const script = [...before, block.text].join('\n').replaceAll('setpriv ', 'ANYSTACK_CONTROL_DIR= XDG_RUNTIME_DIR= setpriv ');
  const words = ['--net', '--pid', '--fork', '--kill-child', 'bash', '-c', script];
  const over = await ended(spawn('unshare', words, { cwd: bench.folder, env, stdio: ['ignore', 'pipe', 'pipe'] }));
  await bench.close();
  return over;
}

/** What `npm start` says once it is built, until it serves. */
async function demo(): Promise<string[]> {
  const bench = new Bench();
  const child: ChildProcess = bench.spawn(['demo', '--serve']);
  let text = '';
  const over = ended(child);
  await new Promise<void>((done) => {
    child.on('exit', () => done());
    child.stdout?.on('data', (octets) => {
      text += String(octets);
      if (text.includes('Ctrl-C ends')) done();
    });
  });
  child.kill('SIGINT');
  await over;
  await bench.close();
  return text.trimEnd().split('\n');
}
