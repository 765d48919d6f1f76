import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError } from '#src/base/errors.js';
import { type PacketdrillOptions, run } from '#src/packetdrill/main.js';

const GOOD = '0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n+0 close(3) = 0\n';
const BAD = '0 close(3) = 0\n';
const MISSING = '0 `reboot`\n';

describe('packetdrill: the command', () => {
  let folder = '';
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'packetdrill-'));
    mkdirSync(join(folder, 'a'));
    mkdirSync(join(folder, 'b'));
    writeFileSync(join(folder, 'a', 'good.pkt'), GOOD);
    writeFileSync(join(folder, 'a', 'bad.pkt'), BAD);
    writeFileSync(join(folder, 'b', 'missing.pkt'), MISSING);
    writeFileSync(join(folder, 'b', 'common.sh'), '# a comment\nsysctl -q net.ipv4.tcp_rmem="4096 $((2*65536)) 6291456" net/ipv4/tcp_sack=0\n');
    writeFileSync(
      join(folder, 'b', 'file.pkt'),
      '`./common.sh\n sysctl -q net.ipv4.tcp_timestamps=0`\n0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n+0 fcntl(3, F_SETFL, O_NONBLOCK) = 0\n+0 connect(3, ..., ...) = -1 EINPROGRESS (x)\n+0 > S 0:0(0) <mss 1460,nop,wscale 7>\n',
    );
  });
  after(() => rmSync(folder, { recursive: true }));

  async function output(options: PacketdrillOptions, ...paths: string[]): Promise<{ code: number; lines: string[] }> {
    const lines: string[] = [];
    const code = await run(
      paths.map((path) => join(folder, path)),
      options,
      (line) => lines.push(line.replaceAll(`${folder}/`, '')),
    );
    return { code, lines };
  }

  it('a line for each script, totals by folder and by what is missing, exit code 1 on a failure', async () => {
    const { code, lines } = await output({}, 'a', 'b');
    assert.equal(code, 1);
    assert.deepEqual(lines, [
      'fail  a/bad.pkt: line 1: close: expected 0, got -1 EBADF',
      'pass  a/good.pkt',
      'pass  b/file.pkt',
      'skip  b/missing.pkt: command reboot',
      '',
      '     1 passed, 1 failed, 0 skipped  a',
      '     1 passed, 0 failed, 1 skipped  b',
      '     1 skipped: command reboot',
      '     2 passed, 1 failed, 1 skipped  of 4 in all',
    ]);
  });

  it('--json: one object for each script and nothing else', async () => {
    const { lines } = await output({ json: true }, 'a');
    assert.deepEqual(
      lines.map((line) => JSON.parse(line) as unknown),
      [
        { file: 'a/bad.pkt', result: 'fail', reason: 'line 1: close: expected 0, got -1 EBADF' },
        { file: 'a/good.pkt', result: 'pass', reason: '' },
      ],
    );
  });

  it('--expect: a known failure is named with its reason and does not count', async () => {
    const file = join(folder, 'known.json');
    writeFileSync(file, JSON.stringify({ deviations: [{ scripts: ['a/b*.pkt'], profile: 'linux', reason: 'it is so' }] }));
    const { code, lines } = await output({ expect: file, quiet: true }, 'a');
    assert.equal(code, 0);
    assert.deepEqual(lines, ['', '     1 passed, 1 failed (1 known), 0 skipped  of 2 in all']);
    assert.equal((await output({ expect: file, profile: 'bsd' }, 'a')).code, 1);
  });

  it('a single file, and words that are defined', async () => {
    writeFileSync(
      join(folder, 'define.pkt'),
      '0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n#ifdef WRONG\n+0 close(9) = 0\n#endif\n+0 close(FD) = 0\n',
    );
    assert.equal((await output({ define: ['FD=3'] }, 'define.pkt')).code, 0);
    assert.equal((await output({ define: ['FD=3', 'WRONG'] }, 'define.pkt')).code, 1);
  });

  it('an unknown profile is a ConfigError', async () => {
    await assert.rejects(output({ profile: 'vms' }, 'a'), ConfigError);
  });
});
