import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { NetError } from '#src/base/errors.js';
import { NEVER } from '#src/base/time.js';
import { createNodeHost } from '#src/hyper/node-host.js';
import { needs } from '../support/requirements.js';

const root = fileURLToPath(new URL('../../../', import.meta.url));

for (const native of [true, false]) {
  describe(`Node host, ${native ? 'with' : 'without'} the addon`, () => {
    before(function () {
      if (native) needs(this, 'addon');
    });
    const make = (): ReturnType<typeof createNodeHost> => createNodeHost({ native, log: () => {} });

    it('clocks run forward together, in microseconds', async () => {
      const host = make();
      const [m, b, w] = [host.monotonic(), host.bootTime(), host.wallClock()];
      await sleep(30);
      for (const [before, after] of [
        [m, host.monotonic()],
        [b, host.bootTime()],
        [w, host.wallClock()],
      ] as const) {
        assert.ok(after - before >= 29_000 && after - before < 1_000_000, `${after - before}`);
      }
      assert.ok(Math.abs(host.wallClock() - Date.now() * 1_000) < 1_000_000);
    });

    it('soon polls once, after the microtasks of the turn', async () => {
      const host = make();
      const seen: string[] = [];
      host.attach(() => seen.push('poll'));
      host.soon();
      host.soon();
      void Promise.resolve().then(async () => {
        for (let i = 0; i < 10; i++) await null;
        seen.push('microtask');
        host.soon();
      });
      await sleep(5);
      assert.deepEqual(seen, ['microtask', 'poll']);
    });

    it('a poll that asks for another gets it in a later turn', async () => {
      const host = make();
      const seen: string[] = [];
      host.attach(() => {
        seen.push('poll');
        if (seen.length > 3) return;
        host.soon();
        queueMicrotask(() => seen.push('microtask'));
      });
      host.soon();
      await sleep(10);
      assert.deepEqual(seen, ['poll', 'microtask', 'poll', 'microtask', 'poll']);
    });

    it('between enter and leave the poll comes at leave', () => {
      const host = make();
      let polls = 0;
      host.attach(() => polls++);
      host.enter();
      host.enter();
      host.soon();
      host.leave();
      assert.equal(polls, 0);
      host.leave();
      assert.equal(polls, 1);
      host.enter();
      host.leave();
      assert.equal(polls, 1);
    });

    it('a device that tells something while it is polled does not re-enter the stack', async () => {
      const host = make();
      let inside = 0;
      let polls = 0;
      host.attach(() => {
        assert.equal(inside++, 0);
        if (polls++ < 3) {
          host.enter();
          host.soon();
          host.leave();
        }
        inside--;
      });
      host.enter();
      host.soon();
      host.leave();
      assert.equal(polls, 1);
      await sleep(10);
      assert.equal(polls, 4);
    });

    it('wakeAt polls at the time asked last, not before', async () => {
      const host = make();
      const late: number[] = [];
      const begun = host.monotonic();
      host.attach(() => late.push(host.monotonic() - begun));
      host.wakeAt(begun + 500_000);
      host.wakeAt(begun + 5_000);
      host.wakeAt(begun + 10_000);
      await sleep(60);
      assert.equal(late.length, 1);
      assert.ok((late[0] as number) >= 10_000 && (late[0] as number) < 50_000, `${late[0]}`);
      host.wakeAt(host.monotonic() + 1_000);
      host.wakeAt(NEVER);
      await sleep(10);
      assert.equal(late.length, 1);
      host.wakeAt(0);
      await sleep(10);
      assert.equal(late.length, 2);
    });

    it('alarms fire in order, once for each time set, and a poll they ask for comes after them', async () => {
      const host = make();
      const seen: string[] = [];
      host.attach(() => seen.push('poll'));
      const now = host.monotonic();
      const alarm = (name: string, at: number): { cancel(): void } => {
        const it = host.alarm(() => {
          seen.push(name);
          host.soon();
        });
        it.set(now + at);
        return it;
      };
      alarm('b', 2_000);
      alarm('a', 1_000);
      alarm('never', 1_500).cancel();
      await sleep(30);
      assert.deepEqual(
        seen.filter((x) => x !== 'poll'),
        ['a', 'b'],
      );
      assert.equal(seen.at(-1), 'poll');
    });

    it('an alarm that throws does not stop the others, nor the polls', () => {
      const script = `
        import { createNodeHost } from '#src/hyper/node-host.js';
        const host = createNodeHost({ native: ${native} });
        const seen = [];
        process.on('uncaughtException', (error) => seen.push(error.message));
        host.attach(() => seen.push('poll'));
        host.alarm(() => { throw new RangeError('oops'); }).set(host.monotonic());
        host.alarm(() => { seen.push('second'); host.soon(); }).set(host.monotonic() + 1);
        setTimeout(() => console.log(seen.join()), 50);`;
      assert.equal(run(script).stdout.trim(), 'oops,second,poll');
    });

    it('hold keeps the process, release and timers let it go', () => {
      const script = (body: string): string => `
        import { createNodeHost } from '#src/hyper/node-host.js';
        const host = createNodeHost({ native: ${native} });
        host.attach(() => { console.log('polled'); host.release(); });
        ${body}`;
      assert.equal(run(script('host.wakeAt(host.monotonic() + 20_000);')).stdout, '');
      assert.equal(run(script('host.hold(); host.wakeAt(host.monotonic() + 20_000);')).stdout.trim(), 'polled');
    });

    it('a worker with open timers stops without complaint', () => {
      const script = `
        import { Worker, isMainThread } from 'node:worker_threads';
        import { fileURLToPath } from 'node:url';
        if (isMainThread) {
          for (let i = 0; i < 3; i++) await new Promise((resolve) => new Worker(new URL(import.meta.url)).on('exit', resolve));
          console.log('done');
        } else {
          const { createNodeHost } = await import('${new URL('../../../dist/hyper/node-host.js', import.meta.url)}');
          const host = createNodeHost({ native: ${native} });
          host.attach(() => process.exit(0));
          host.hold();
          host.alarm(() => {}).set(host.monotonic() + 1e9);
          host.wakeAt(host.monotonic() + 1_000);
        }`;
      const result = run(script);
      assert.equal(result.stdout.trim(), 'done', result.stderr);
      assert.equal(result.status, 0);
    });

    it('an idle host can be collected, and 2,000 hosts need no 2,000 descriptors', async () => {
      setFlagsFromString('--expose-gc');
      const collect = runInNewContext('gc') as () => void;
      let gone = 0;
      const registry = new FinalizationRegistry(() => gone++);
      const before = readdirSync('/proc/self/fd').length;
      for (let i = 0; i < 2_000; i++) {
        const host = make();
        host.wakeAt(host.monotonic() + 1_000);
        registry.register(host, i);
      }
      assert.ok(readdirSync('/proc/self/fd').length < before + 10);
      await sleep(50);
      for (let i = 0; i < 5; i++) {
        collect();
        await sleep(5);
      }
      assert.ok(gone > 1_900, `${gone} of 2,000`);
    }).timeout(10_000);
  });
}

/** Runs a module in a process of its own, beside the sources so that #src resolves. */
function run(source: string): { stdout: string; stderr: string; status: number | null } {
  const { stdout, stderr, status } = spawnSync(process.execPath, ['--input-type=module', '--eval', withFile(source)], {
    cwd: root,
    encoding: 'utf8',
    timeout: 10_000,
  });
  return { stdout, stderr, status };
}

/** A worker needs a file to start from: --eval has none. */
function withFile(source: string): string {
  if (!source.includes('import.meta.url')) return source;
  const data = `data:text/javascript,${encodeURIComponent(source)}`;
  return `import(${JSON.stringify(data)})`;
}

describe('file store', () => {
  it('keeps values over restarts, for its owner alone', () => {
    const folder = mkdtempSync(join(tmpdir(), 'anystack-'));
    const storePath = join(folder, 'deep', 'store');
    const value = Uint8Array.from([1, 2, 3]);
    createNodeHost({ storePath }).store.set('duid', value);
    const { store } = createNodeHost({ storePath });
    assert.deepEqual(store.get('duid'), value);
    assert.equal(statSync(storePath).mode & 0o777, 0o700);
    assert.equal(statSync(join(storePath, 'duid')).mode & 0o777, 0o600);
    store.set('duid', Uint8Array.of(9));
    assert.deepEqual(store.get('duid'), Uint8Array.of(9));
    store.delete('duid');
    store.delete('duid');
    assert.equal(store.get('duid'), null);
    for (const key of ['../passwd', '', 'A'])
      assert.throws(
        () => store.get(key),
        (e: NetError) => e.code === 'EINVAL',
      );
    assert.throws(
      () => store.set('big', new Uint8Array(65_537)),
      (e: NetError) => e.code === 'EMSGSIZE',
    );
    rmSync(folder, { recursive: true });
    assert.throws(
      () => createNodeHost({ storePath: '/dev/null/x' }).store.set('a', value),
      (e: NetError) => e.code === 'ENOTDIR',
    );
  });
});

describe('build-native', () => {
  it('says in one line what is lost without a compiler, and succeeds', () => {
    const { stdout, stderr, status } = spawnSync(process.execPath, ['scripts/build-native.mjs', '--force'], {
      cwd: root,
      encoding: 'utf8',
      env: { ...process.env, CC: '/nonexistent/cc' },
    });
    assert.equal(status, 0, stderr);
    assert.match(stdout, /^native addon not built: no C compiler .*koffi.*\n$/);
  });

  it('does nothing when the addon is up to date', function () {
    needs(this, 'addon');
    const { stdout, status } = spawnSync(process.execPath, ['scripts/build-native.mjs'], { cwd: root, encoding: 'utf8' });
    assert.deepEqual([stdout, status], ['', 0]);
  });
});
