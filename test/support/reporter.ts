/**
 * What `npm test` prints: the tree of tests as they end, failures in full, skips by reason with the command that enables each,
 * and one plain last line for machines: `N passed, N failed`, with `, N skipped` when there are any.
 */
import Mocha from 'mocha';
import { skipReason } from './requirements.js';

const { EVENT_RUN_END, EVENT_SUITE_BEGIN, EVENT_SUITE_END, EVENT_TEST_FAIL, EVENT_TEST_PASS, EVENT_TEST_PENDING } = Mocha.Runner.constants;

/** Milliseconds a run may go on after its last test; past them something was not closed, which is told. */
const LINGER_MS = 5_000;

const color = (code: number, text: string): string => (Mocha.reporters.Base.useColors ? `\u001b[${code}m${text}\u001b[0m` : text);
const print = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

class Reporter extends Mocha.reporters.Base {
  private depth = 0;
  /** Tests by the reason they were skipped for. */
  private readonly skipped = new Map<string, number>();

  constructor(runner: Mocha.Runner, options: Mocha.MochaOptions) {
    super(runner, options);
    runner.on(EVENT_SUITE_BEGIN, (suite) => {
      if (suite.title !== '') this.line(suite.title);
      this.depth++;
    });
    runner.on(EVENT_SUITE_END, () => {
      if (--this.depth === 1) print('');
    });
    runner.on(EVENT_TEST_PASS, (test) => {
      const slow = test.speed === 'fast' ? '' : color(33, ` (${test.duration} ms)`);
      this.line(`${color(32, '✓')} ${color(90, test.title)}${slow}`);
    });
    runner.on(EVENT_TEST_FAIL, (test) => this.line(color(31, `${this.failures.length}) ${test.title}`)));
    runner.on(EVENT_TEST_PENDING, (test) => this.skip(test));
    runner.once(EVENT_RUN_END, () => this.end());
  }

  private line(text: string): void {
    print('  '.repeat(Math.max(0, this.depth)) + text);
  }

  private skip(test: Mocha.Test): void {
    this.line(`${color(36, '-')} ${color(36, test.title)}`);
    const reason = reasonOf(test);
    this.skipped.set(reason, (this.skipped.get(reason) ?? 0) + 1);
  }

  private end(): void {
    const { passes, failures, pending } = this.stats;
    if (failures > 0) {
      print('');
      Mocha.reporters.Base.list(this.failures);
    }
    if (pending > 0) {
      print('Skipped, and what would have them run:');
      for (const [reason, count] of this.skipped) print(`  ${String(count).padStart(4)}  ${reason}`);
      print('');
    }
    print(`${passes} passed, ${failures} failed${pending > 0 ? `, ${pending} skipped` : ''}`);
    setTimeout(() => {
      process.stderr.write(`Still open ${LINGER_MS / 1_000} s after the last test: ${[...new Set(process.getActiveResourcesInfo())].join(', ')}\n`);
      process.exit(Math.min(failures, 255));
    }, LINGER_MS).unref();
  }
}

/** Why the test, or a hook before it, was skipped. */
function reasonOf(test: Mocha.Test): string {
  const own = skipReason(test);
  if (own !== undefined) return own;
  for (let suite = test.parent; suite !== undefined; suite = suite.parent) {
    const { _beforeAll, _beforeEach } = suite as unknown as { _beforeAll: Mocha.Hook[]; _beforeEach: Mocha.Hook[] };
    for (const hook of [..._beforeAll, ..._beforeEach]) {
      const found = skipReason(hook);
      if (found !== undefined) return found;
    }
  }
  return 'marked to be skipped';
}

// Mocha requires its reporter and takes what comes back for the class: this name is what require gives of an ES module.
export { Reporter as 'module.exports' };
