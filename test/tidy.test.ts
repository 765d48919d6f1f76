import assert from 'node:assert/strict';
import { parseSource } from '../scripts/source.js';
import { formatProblem, missingScripts, tidy } from '../scripts/tidy.js';

describe('tidy', () => {
  it('the house is in order: ARCHITECTURE.md and STYLE.md hold', () => {
    const problems = tidy(process.cwd()).map(formatProblem);
    assert.equal(problems.length, 0, `\n${problems.join('\n')}`);
  });

  it('what the scripts of package.json run exists', () => {
    assert.deepEqual(missingScripts(process.cwd()), []);
  });

  it('tells code from comments, strings, templates and regular expressions', () => {
    const text = "const a = 'enum x'; // enum\nconst b = `any ${c /* as any */ + `}`} any`;\nconst r = /[/'\"]enum/.test(x) / 2; /* let */ let y;\n";
    const { code, comments } = parseSource('src/base/x.ts', text);
    assert.equal(code.length, text.length);
    assert.ok(!/enum|any/.test(code));
    assert.match(code, /let y;/);
    assert.match(comments, /\/\/ enum/);
    assert.match(comments, /as any/);
  });

  it('finds imports of all kinds, and which are of types alone', () => {
    const text =
      "import type { A } from './a.js';\nimport { type B, type C } from '../wire/b.js';\nimport { type D, e } from 'node:fs';\nexport * as f from '#src/net/f.js';\nimport './g.js';\nconst h = await import('./h.js');\nnew URL('./i.js', import.meta.url);\n";
    const { imports } = parseSource('src/base/x.ts', text);
    assert.deepEqual(
      imports.map(({ target, typeOnly, line }) => [target, typeOnly, line]),
      [
        ['src/base/a.ts', true, 1],
        ['src/wire/b.ts', true, 2],
        [null, false, 3],
        ['src/net/f.ts', false, 4],
        ['src/base/g.ts', false, 5],
        ['src/base/h.ts', false, 6],
        ['src/base/i.ts', false, 7],
      ],
    );
  });
});
