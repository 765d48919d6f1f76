import assert from 'node:assert/strict';
import { runCode } from '#src/packetdrill/assertions.js';
import { Mismatch, Unsupported } from '#src/packetdrill/outcome.js';

const info = (name: string): number | undefined => ({ tcpi_snd_cwnd: 10, tcpi_rtt: 100_000 })[name];
const run = (code: string, variables = new Map<string, number | string>()) => runCode(code, variables, info);

describe('packetdrill: code', () => {
  it('assertions hold or fail with what they say', () => {
    run('assert tcpi_snd_cwnd == 10, tcpi_snd_cwnd');
    run("assert tcpi_snd_cwnd == 10, 'cwnd=%d' % tcpi_snd_cwnd");
    run('assert 90 * 1000 <= tcpi_rtt <= 110000');
  });

  it('comparisons in a row, arithmetic and logic as Python has them', () => {
    run('assert 1 < 2 < 3 and not 3 < 2 or False');
    run('assert 7 // 2 == 3 and -7 // 2 == -4 and -7 % 3 == 2 and 2 + 3 * 4 == 14');
    run('assert max(1, 2) == 2 and min(1, 2) == 1 and abs(-3) == 3 and 6 & 3 == 2');
    assert.throws(() => run('assert 1 < 2 < 2'), Mismatch);
    assert.throws(() => run('assert tcpi_snd_cwnd == 11, tcpi_snd_cwnd'), /tcpi_snd_cwnd == 11.*it is 10/);
  });

  it('variables stay from one piece to the next', () => {
    const variables = new Map<string, number | string>();
    run('cwnd = 9; print(cwnd)', variables);
    run('cwnd += 1\nassert tcpi_snd_cwnd == cwnd; # a comment\n', variables);
    run('cwnd -= 5', variables);
    assert.equal(variables.get('cwnd'), 5);
  });

  it('what is not understood is skipped, not passed', () => {
    assert.throws(() => run('import os'), Unsupported);
    assert.throws(() => run('assert tcpi_no_such_thing == 1'), Unsupported);
    assert.throws(() => run('for x in range(3): pass'), Unsupported);
    assert.throws(() => run('assert [1, 2]'), Unsupported);
  });
});
