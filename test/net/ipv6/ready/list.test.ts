import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { listed } from '../../../support/ready.js';

describe('IPv6 Ready Logo: the list', () => {
  it('every part has the file that shows it, or the reason why none does; a number stands once', () => {
    const seen = new Set<string>();
    for (const { id, file, parts } of listed()) {
      for (const [letter, part] of Object.entries(parts)) {
        const name = `${id}.${letter}`;
        assert.ok(!seen.has(name), `${name} stands twice`);
        seen.add(name);
        if (typeof part === 'string')
          assert.ok(file !== undefined && existsSync(new URL(`../../../../../${file}`, import.meta.url)), `${name}: ${file}`);
        else assert.ok(part.reason, `${name} has no test and no reason`);
      }
    }
  });
});
