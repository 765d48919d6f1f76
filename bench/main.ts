/** `npm run bench [-- group[/name]]`: runs the benchmarks of a group (micro, packet, wire), or one of them. */
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const [group = 'micro', only] = (process.argv[2] ?? 'micro').split('/') as [string, string?];
const folder = join(here, group);
const files = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.js') && name !== 'measure.js') : [];
const chosen = only === undefined ? files : files.filter((name) => name === `${only}.js`);
if (chosen.length === 0) {
  process.stderr.write(
    `There is no benchmark ${process.argv[2]}. Groups: ${readdirSync(here, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name)
      .join(', ')}\n`,
  );
  process.exitCode = 1;
}
for (const name of chosen) {
  process.stdout.write(`\n${group}/${name.replace('.js', '')}\n`);
  await import(pathToFileURL(join(folder, name)).href);
}
