import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { networkInterfaces, tmpdir } from 'node:os';
import { dirname } from 'node:path';
import { freeSubnets } from '#src/cli/demo/subnet.js';
import { Bench, type Ended, ended } from '../support/command.js';
import { needs } from '../support/requirements.js';
import { until } from '../support/until.js';

const LABELS = ['stack started', 'ping', 'status page', 'IPv6', 'bulk in', 'bulk out', '2 % loss', 'tunable, live', 'capture'];

/** What a demo says, and what its commands answer, from its start until Ctrl-C. */
async function demo(bench: Bench, ...options: string[]): Promise<{ text: string; answers: Map<string, Ended>; exec: Ended; end: Ended }> {
  const child = bench.spawn(['demo', '--serve', ...options]);
  let text = '';
  child.stdout?.on('data', (octets) => (text += String(octets)));
  const over = ended(child);
  let gone = false;
  void over.then(() => {
    gone = true;
  });
  await until(
    () => gone || text.includes('Ctrl-C ends'),
    () => text,
    50,
  );
  const answers = new Map<string, Ended>();
  const commands = text.split('\n').filter((line) => /^ {2}(curl|ping -|node) ?/.test(line));
  for (const command of commands) answers.set(command.trim(), await bench.shell(command));
  const exec = await bench.run(['exec', '--stack', 'demo', '--', 'echo', 'there']);
  child.kill('SIGINT');
  return { text, answers, exec, end: await over };
}

describe('demo', function () {
  this.timeout(90_000);
  let bench: Bench;
  beforeEach(() => {
    bench = new Bench();
  });
  afterEach(() => bench.close());

  const places: [where: string, options: string[], first: RegExp, commands: RegExp[]][] = [
    [
      'a TAP of this machine',
      [],
      /^anystack on a TAP of this machine \(this user may make one\)\n/,
      [/^curl http:\/\/127/, /^ping /, /^curl http:\/\/10/, / ss /, / sysctl /, / nstat /],
    ],
    [
      'a namespace of its own',
      ['--namespace'],
      /^anystack on a TAP in a network namespace of its own \(as asked\)\n/,
      [/^curl http:\/\/127/, / exec .* ping /, / ss /, / sysctl /, / nstat /],
    ],
    [
      'memory',
      ['--memory'],
      /^anystack on a network in memory, a second stack in the place of the kernel \(as asked\)\n/,
      [/^curl http:\/\/127/, / ss /, / sysctl /, / nstat /],
    ],
  ];
  for (const [where, options, first, commands] of places) {
    it(`on ${where}: measures all it promises, every command it prints works as printed, Ctrl-C leaves nothing behind`, async function () {
      if (options.length === 0) needs(this, 'tap', 'root', 'tools:ping', 'tools:curl');
      else if (where !== 'memory') needs(this, 'netns', 'tools:ping', 'tools:curl', 'tools:unshare', 'tools:nsenter');
      const { text, answers, exec, end } = await demo(bench, ...options);
      assert.match(text, first, text + end.err);
      const lines = text.split('\n').filter((line) => /^ {2}\S.{13} /.test(line) && LABELS.includes(line.slice(2, 17).trim()));
      assert.deepEqual(
        lines.map((line) => line.slice(2, 17).trim()),
        LABELS,
        text,
      );
      assert.doesNotMatch(text, /failed|WRONG/);
      assert.equal(answers.size, commands.length, [...answers.keys()].join('\n'));
      for (const command of commands) {
        const [name, answer] = [...answers].find(([given]) => command.test(given)) ?? [];
        assert.ok(answer !== undefined, `${command} among ${[...answers.keys()].join('\n')}`);
        assert.equal(answer.code, 0, `${name}: ${answer.out}${answer.err}`);
      }
      if (where !== 'memory') assert.equal(exec.out, 'there\n', exec.err);
      else
        assert.match(
          exec.err,
          /^anystack: this stack lives on a network in memory: no command of the host can reach it but through its outer port\n$/,
        );
      assert.equal(exec.code, where === 'memory' ? 2 : 0);
      assert.equal(end.code, 0, end.err);
      assert.equal(end.err, '');
      const address = / (10\.\d+\.\d+)\.2/.exec(text)?.[1] ?? 'none';
      const present = (): boolean =>
        Object.values(networkInterfaces())
          .flat()
          .some((a) => a?.address.startsWith(`${address}.`));
      // The kernel takes a TAP away a moment after its descriptor is closed.
      await until(() => !present(), 'its TAPs are gone');
      assert.deepEqual(
        readdirSync(bench.folder).filter((name) => name === 'anystack'),
        [],
      );
      assert.ok(!existsSync(dirname(/(\S+\.pcapng)/.exec(text)?.[1] ?? tmpdir())));
    });
  }

  it('where no TAP is to be had it says so and goes on in memory', async function () {
    needs(this, 'root', 'tools:unshare');
    const script = `mount -t tmpfs none /dev/net && exec '${process.execPath}' dist/cli/main.js demo`;
    const { stdout, status } = spawnSync('unshare', ['-m', 'sh', '-c', script], {
      encoding: 'utf8',
      env: { ...process.env, XDG_RUNTIME_DIR: bench.folder },
    });
    assert.match(stdout, /^anystack on a network in memory, a second stack in the place of the kernel \(there is no \/dev\/net\/tun\)\n/);
    assert.equal(status, 0, stdout);
    // Without --serve the capture stays, for whoever wants to look.
    rmSync(dirname(/(\S+\.pcapng)/.exec(stdout)?.[1] as string), { recursive: true });
  });

  it('its subnets overlap nothing of the host', () => {
    assert.deepEqual(freeSubnets([]), ['10.77.0.', '10.77.1.']);
    assert.deepEqual(freeSubnets(['10.77.1.7/24']), ['10.78.0.', '10.78.1.']);
    assert.deepEqual(freeSubnets(['10.0.0.0/8']), ['192.168.100.', '192.168.101.']);
    assert.deepEqual(freeSubnets(['10.0.0.0/8', '192.168.0.0/16']), ['172.30.76.', '172.30.77.']);
    assert.equal(freeSubnets().length, 2);
  });
});
