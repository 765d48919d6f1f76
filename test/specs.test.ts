import assert from 'node:assert/strict';
import { readSpecs, specProblems } from '../scripts/specs.js';

describe('specs', () => {
  for (const spec of readSpecs(process.cwd())) {
    it(`RFC ${spec.rfc}: what is done names its code and a test that exists, what is not says why`, () => {
      assert.deepEqual(specProblems(process.cwd(), spec), []);
    });
  }

  it('a test that does not exist is noticed', () => {
    const [spec] = readSpecs(process.cwd());
    assert.ok(spec !== undefined);
    const row = {
      id: 'x',
      level: 'MUST',
      section: '1',
      requirement: 'x',
      status: 'done',
      code: 'package.json',
      test: { file: 'test/specs.test.ts', title: 'no such' },
    } as const;
    assert.equal(specProblems(process.cwd(), { ...spec, requirements: [row, row] }).length, 2);
  });
});
