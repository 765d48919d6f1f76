import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { type DropName, drops } from '#src/base/drops.js';
import { sysctls } from '#src/net/sysctl.js';
import { documents } from '../scripts/docs.js';

describe('documents made of the source', () => {
  for (const [path, text] of Object.entries(documents)) {
    it(`${path} says what the source says (npm run docs)`, () => assert.equal(readFileSync(path, 'utf8'), text()));
  }

  it('every export has a sentence', () => {
    const rows = (documents['docs/api.md']?.() ?? '').split('\n').filter((line) => line.startsWith('| `'));
    assert.ok(rows.length > 100);
    for (const row of rows) assert.doesNotMatch(row, /\| +\|$/);
  });

  it('nothing is left out', () => {
    const of = (path: string): string => documents[path]?.() ?? '';
    for (const name of Object.keys(drops) as DropName[]) assert.ok(of('docs/drops.md').includes(`\`${name}\``), name);
    for (const name of Object.keys(sysctls)) assert.ok(of('docs/sysctl.md').includes(`\`${name}\``), name);
  });
});
