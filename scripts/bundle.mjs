/**
 * Joins what `dist` has for the package's entry points into a few files in dist/bundle: 430 modules take Node six times as long to
 * load as the same code in one. What the entry points share is one file, so that all of them have the same classes. All files stand in one
 * folder, as deep as those they are made of: paths relative to a module stay right. Nothing is minified.
 */
import { renameSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const dist = join(dirname(dirname(fileURLToPath(import.meta.url))), 'dist');
const target = join(dist, 'bundle');

/** Entry points of package.json, and what is started by its path. */
const entryPoints = {
  index: 'index.js',
  core: 'core.js',
  register: 'register.js',
  sim: 'sim/index.js',
  wire: 'wire/index.js',
  'node-host': 'hyper/node-host.js',
  'noble-crypto': 'hyper/noble-crypto.js',
  bench: 'bench/index.js',
  'public-key-worker': 'hyper/public-key-worker.js',
};

const changed = (file) => statSync(join(dist, file), { throwIfNoEntry: false })?.mtimeMs ?? 0;

if (changed('bundle/index.js') <= changed('.tsbuildinfo')) {
  const { build } = await import('esbuild');
  const outdir = `${target}.${process.pid}`;
  await build({
    entryPoints: Object.fromEntries(Object.entries(entryPoints).map(([name, file]) => [name, join(dist, file)])),
    outdir,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'esnext',
    packages: 'external',
    chunkNames: 'part-[hash]',
    logLevel: 'warning',
  });
  rmSync(target, { recursive: true, force: true });
  renameSync(outdir, target);
}
