import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compare, usesInternals } from '../scripts/node-compat-verdict.js';

describe("node-compat: Node's own tests against our classes", () => {
  it('tests that look inside of Node are left out', () => {
    assert.ok(usesInternals('// Flags: --expose-internals\n'));
    assert.ok(usesInternals("const { x } = require('internal/util');"));
    assert.ok(usesInternals("process.binding('tcp_wrap')"));
    assert.ok(!usesInternals("const net = require('net');"));
  });

  it('every known failure has its reason', () => {
    const { known } = JSON.parse(readFileSync('test/node-compat/expectation.json', 'utf8')) as { known: Record<string, string> };
    for (const [name, reason] of Object.entries(known)) {
      assert.match(name, /^test-(net|dgram)-.*\.m?js$/);
      assert.ok(reason.length > 10, name);
    }
  });

  it('what is not as expected is named and counted', () => {
    const result = (name: string, outcome: 'pass' | 'fail' | 'timeout' | 'host') => ({ name, outcome, said: 'said\n' });
    const results = [result('a', 'pass'), result('b', 'fail'), result('c', 'pass'), result('d', 'timeout'), result('e', 'host')];
    const { lines, wrong } = compare(results, { known: { b: 'x', c: 'x', gone: 'x' } }, false);
    assert.equal(wrong, 2);
    assert.deepEqual(lines, [
      'c: passes, and its entry among the known failures can go',
      'd: timeout',
      '    said',
      'gone: is known to fail, and is not there',
      '5 tests: 2 passed, 0 skipped themselves, 1 fail with Node alone, 1 failed, 1 took too long; 2 known to fail, 2 not as expected',
    ]);
  });

  it('runs the tests of a checkout over a stack with only its loopback', function () {
    this.timeout(60_000);
    const checkout = mkdtempSync(join(tmpdir(), 'anystack-checkout-'));
    const folder = join(checkout, 'test', 'parallel');
    mkdirSync(folder, { recursive: true });
    const put = (name: string, text: string): void => writeFileSync(join(folder, name), text);
    put(
      'test-net-ours.js',
      `const net = require('net');
       const server = net.createServer((s) => s.end('x')).listen(0, () => net.connect(server.address().port).on('data', () => server.close()));`,
    );
    put('test-dgram-wrong.js', "if (require('dgram').createSocket.name !== 'createSocket' || process.execArgv.length > 0) process.exit(1);");
    put('test-net-inside.js', "require('internal/net');");
    put('test-fs-other.js', 'process.exit(1);');
    try {
      const { status, stdout } = spawnSync(process.execPath, ['build/scripts/node-compat.js', checkout, 'test-'], { encoding: 'utf8' });
      assert.match(stdout, /^test-dgram-wrong.js: fail$/m);
      assert.match(stdout, /^2 tests: 1 passed, .* 1 failed/m);
      assert.equal(status, 1);
    } finally {
      rmSync(checkout, { recursive: true, force: true });
    }
  });
});
