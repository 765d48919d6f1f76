/** `npm run size`: how big each layer is: files, lines, lines of code, and what of it is shipped, plain and compressed; and what a program has to load. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { readSources, type Source } from './source.js';

const root = process.cwd();
const layerOf = (source: Source): string => {
  const parts = source.path.split('/');
  return parts[0] === 'src' && parts.length > 2 ? `src/${parts[1]}` : (parts[0] as string);
};

const compiled = (source: Source): Buffer => {
  const path = join(root, source.path.replace(/^src\//, 'dist/').replace(/\.ts$/, '.js'));
  return source.path.startsWith('src/') && existsSync(path) ? readFileSync(path) : Buffer.alloc(0);
};

function row(name: string, sources: readonly Source[]): string {
  const lines = sources.reduce((sum, { text }) => sum + text.split('\n').length - 1, 0);
  const code = sources.reduce((sum, source) => sum + source.code.split('\n').filter((line) => line.trim() !== '').length, 0);
  const shipped = Buffer.concat(sources.map(compiled));
  const kilobytes = (octets: number): string => (octets === 0 ? '' : (octets / 1_024).toFixed(1)).padStart(10);
  const packed = shipped.length === 0 ? 0 : gzipSync(shipped).length;
  return `${name.padEnd(18)}${String(sources.length).padStart(6)}${String(lines).padStart(9)}${String(code).padStart(9)}${kilobytes(shipped.length)}${kilobytes(packed)}\n`;
}

const sources = readSources(root, ['src', 'test', 'scripts', 'bench', 'examples']);
const layers = new Map<string, Source[]>();
for (const source of sources) layers.set(layerOf(source), [...(layers.get(layerOf(source)) ?? []), source]);
process.stdout.write(`${'layer'.padEnd(18)} files    lines     code   dist KB   gzip KB\n`);
for (const [name, members] of layers) process.stdout.write(row(name, members));
process.stdout.write(
  row(
    'src, all of it',
    sources.filter(({ path }) => path.startsWith('src/')),
  ),
);

/** What a program loads, in one file, minified. Packages of others stay outside. */
const bundles: Readonly<Record<string, { readonly entry: string; readonly platform: 'browser' | 'node' }>> = {
  'anystack/wire': { entry: 'dist/wire/index.js', platform: 'browser' },
  'anystack/core': { entry: 'dist/core.js', platform: 'browser' },
  anystack: { entry: 'dist/index.js', platform: 'node' },
};

process.stdout.write(`\n${'bundle'.padEnd(18)}    min KB   gzip KB\n`);
for (const [name, { entry, platform }] of Object.entries(bundles)) {
  const { outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    minify: true,
    write: false,
    format: 'esm',
    platform,
    packages: 'external',
  });
  const octets = outputFiles[0]?.contents ?? new Uint8Array();
  const kilobytes = (n: number): string => (n / 1_024).toFixed(1).padStart(10);
  process.stdout.write(`${name.padEnd(18)}${kilobytes(octets.length)}${kilobytes(gzipSync(octets).length)}\n`);
}
