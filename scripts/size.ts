/** `npm run size`: how big each layer is: files, lines, lines of code, and what of it is shipped, plain and compressed. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
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
