/**
 * Makes a clone ready: packages, addon, build. Every script of package.json that needs them calls this first, so that a fresh
 * clone has two commands: `npm start` and `npm test`. No dependency, and nothing is done twice.
 */
import { spawnSync } from 'node:child_process';
import { chownSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const NODE_MIN = [20, 19];

/** As root in somebody else's clone: what is made there is made as its owner, who could not remove it otherwise. */
function identity() {
  const { uid, gid } = statSync(root);
  return process.getuid?.() !== 0 || uid === 0 ? {} : { uid, gid };
}

const owner = identity();

function run(command, words, options = {}) {
  return spawnSync(command, words, { cwd: root, stdio: 'inherit', encoding: 'utf8', ...owner, ...options });
}

function fail(sentence, status = 1) {
  process.stderr.write(`${sentence}\n`);
  process.exit(status);
}

/** Versions by path of a package-lock.json, or of what npm leaves in node_modules. Optional packages may be missing. */
function packages(file) {
  const lock = JSON.parse(readFileSync(file, 'utf8'));
  return Object.entries(lock.packages ?? {}).filter(([path]) => path !== '');
}

/** node_modules lacks a package of package-lock.json, or has another version of one. */
function stale() {
  const hidden = join(root, 'node_modules', '.package-lock.json');
  if (!existsSync(hidden)) return true;
  const there = new Map(packages(hidden));
  return packages(join(root, 'package-lock.json')).some(([path, wanted]) => {
    const found = there.get(path);
    return found === undefined || !existsSync(join(root, path)) ? !(wanted.optional || wanted.peer) : found.version !== wanted.version;
  });
}

function npm(words) {
  const cli = process.env.npm_execpath;
  const all = [...words, '--no-audit', '--no-fund', '--loglevel=error'];
  // As somebody else npm needs a home it can write to, and reads no configuration of root's.
  const home = owner.uid === undefined ? null : mkdtempSync(join(tmpdir(), 'anystack-npm-'));
  const options = { stdio: 'pipe' };
  if (home !== null) {
    chownSync(home, owner.uid, owner.gid);
    options.env = { ...process.env, HOME: home, npm_config_cache: join(home, '.npm'), npm_config_userconfig: join(home, '.npmrc') };
  }
  try {
    return cli?.endsWith('.js') ? run(process.execPath, [cli, ...all], options) : run('npm', all, options);
  } finally {
    if (home !== null) rmSync(home, { recursive: true, force: true });
  }
}

/** The code of npm's error, or the first line of whatever it said. */
function reasonOf({ stderr, error }) {
  const lines = (stderr || error?.message || 'npm gave no reason').split('\n').filter((line) => line.startsWith('npm error') || error);
  return (lines[0] ?? 'npm gave no reason').replace(/^npm error (?:code )?/, '');
}

function install() {
  // `ci` removes what is there first, which without a network would leave less than before.
  const words = existsSync(join(root, 'node_modules', '.package-lock.json')) ? ['install', '--no-save'] : ['ci'];
  process.stderr.write('Installing the packages of package-lock.json\n');
  const first = npm([...words, '--prefer-offline']);
  if (first.status === 0 || npm([...words, '--offline']).status === 0) return;
  fail(
    `The packages of package-lock.json could not be installed (${reasonOf(first)}): connect to a network once and repeat, or see what npm ci says.`,
  );
}

/** Removes compiled tests whose source is gone: mocha would still run them. */
function prune(folder) {
  if (!existsSync(folder)) return;
  for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true })) {
    if (!entry.name.endsWith('.test.js')) continue;
    const compiled = join(entry.parentPath, entry.name);
    const source = join(root, 'test', compiled.slice(folder.length)).replace(/\.js$/, '.ts');
    if (!existsSync(source)) rmSync(compiled);
  }
}

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < NODE_MIN[0] || (major === NODE_MIN[0] && minor < NODE_MIN[1])) {
  fail(`anystack needs Node ${NODE_MIN.join('.')} or newer, this is ${process.versions.node}.`);
}
if (stale()) install();
if (existsSync(join(root, 'scripts', 'build-native.mjs'))) run(process.execPath, [join('scripts', 'build-native.mjs')]);
const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
if (!existsSync(compiler)) fail('The TypeScript compiler is not in node_modules: remove the folder and repeat.');
const built = run(process.execPath, [compiler, '-b']);
if (built.status !== 0) fail('The build failed: see the errors above.', built.status ?? 1);
if (run(process.execPath, [join('scripts', 'bundle.mjs')]).status !== 0)
  fail('The entry points of the package could not be joined: see the error above.');
prune(join(root, 'build', 'test'));
