/**
 * Compiles native/*.c to native/build/anystack.node with whatever C compiler and Node headers are at hand. Never fails a
 * build: without the addon the project works, and one line says what is lost. `--force` compiles even when up to date.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const folder = join(root, 'native');
const target = join(folder, 'build', 'anystack.node');
const LOST = 'TAP devices need the optional package koffi and are slower, ESP is sealed by node:crypto, timers count milliseconds';

/** Folders that may hold node_api.h: beside this node, where npm was told it is, the system's, and the npm package of the headers. */
function headers() {
  const { nodedir } = process.config.variables;
  const candidates = [
    join(dirname(dirname(process.execPath)), 'include', 'node'),
    ...(nodedir ? [join(nodedir, 'include', 'node'), join(nodedir, 'src')] : []),
    '/usr/include/node',
    '/usr/local/include/node',
    ...ancestors(root).map((at) => join(at, 'node_modules', 'node-api-headers', 'include')),
  ];
  return candidates.find((at) => existsSync(join(at, 'node_api.h')));
}

function ancestors(at) {
  const up = dirname(at);
  return up === at ? [at] : [at, ...ancestors(up)];
}

function compiler() {
  const candidates = process.env.CC ? [process.env.CC] : ['cc', 'gcc', 'clang'];
  return candidates.find((name) => spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0);
}

function upToDate(sources) {
  if (process.argv.includes('--force') || !existsSync(target)) return false;
  const built = statSync(target).mtimeMs;
  return sources.every((file) => statSync(file).mtimeMs <= built);
}

/** Null when the addon is there, else why it is not. */
function build() {
  if (process.platform !== 'linux') return `the addon is for Linux, not ${process.platform}`;
  const files = readdirSync(folder).map((name) => join(folder, name));
  const sources = files.filter((name) => name.endsWith('.c'));
  if (upToDate(files.filter((name) => /\.[ch]$/.test(name)))) return null;
  const cc = compiler();
  if (cc === undefined) return 'no C compiler (cc, gcc, clang)';
  const include = headers();
  if (include === undefined) return 'no node_api.h (install node-api-headers)';
  mkdirSync(dirname(target), { recursive: true });
  // Beside the target and then renamed: a process that has the old one open keeps it.
  const fresh = `${target}.${process.pid}`;
  const flags = ['-std=gnu11', '-O2', '-Wall', '-Wextra', '-fPIC', '-shared', '-fvisibility=hidden', '-fno-strict-aliasing'];
  const { status, stderr } = spawnSync(cc, [...flags, '-I', include, '-o', fresh, ...sources], { encoding: 'utf8' });
  if (stderr) process.stderr.write(stderr);
  if (status !== 0) {
    rmSync(fresh, { force: true });
    return `${cc} failed`;
  }
  renameSync(fresh, target);
  return null;
}

const reason = build();
if (reason !== null) process.stdout.write(`native addon not built: ${reason}; ${LOST}\n`);
