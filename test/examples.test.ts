import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { type Ended, ended } from './support/command.js';

const LINES_MAX = 60;

/** A program of examples/, run as its readers run it. */
const run = (file: string): Promise<Ended> => ended(spawn(process.execPath, [`examples/${file}`], { stdio: ['ignore', 'pipe', 'pipe'] }));

/** What its head says it prints; N stands for a number. */
function expected(text: string): RegExp {
  const head = text.slice(text.indexOf('Expected output:')).split('\n').slice(1);
  const lines = head
    .slice(
      0,
      head.findIndex((line) => !line.startsWith('//   ')),
    )
    .map((line) => line.slice(5));
  const pattern = lines.map((line) => line.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replace(/\bN\b/g, '\\d+(?:\\.\\d+)?'));
  return new RegExp(`^${pattern.join('\n')}\n$`);
}

describe('examples', function () {
  this.timeout(30_000);
  for (const file of readdirSync('examples').filter((name) => /\.m?js$/.test(name))) {
    it(`${file} prints what its head says, in at most ${LINES_MAX} lines`, async () => {
      const text = readFileSync(`examples/${file}`, 'utf8');
      assert.ok(text.trimEnd().split('\n').length <= LINES_MAX);
      const { code, out, err } = await run(file);
      assert.equal(err, '');
      assert.equal(code, 0);
      assert.match(out, expected(text));
    });
  }
});
