/**
 * What `npm test` prints: the tree of tests as they end, failures in full, skips by reason with the command that enables each,
 * and one plain last line for machines: `N passed, N failed`, with `, N skipped` when there are any.
 */
import Mocha from 'mocha';

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
  private readonly retried: string[] = [];

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
      // Public in Mocha, protected in its types.
      if ((test as unknown as { currentRetry(): number }).currentRetry() > 0) this.retried.push(test.fullTitle());
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
    const reason = test.err?.message ?? 'marked to be skipped';
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
    if (this.retried.length > 0) print(`Passed at the second try:\n${this.retried.map((title) => `  ${title}\n`).join('')}`);
    print(`${passes} passed, ${failures} failed${pending > 0 ? `, ${pending} skipped` : ''}`);
    setTimeout(() => {
      process.stderr.write(`Still open ${LINGER_MS / 1_000} s after the last test: ${[...new Set(process.getActiveResourcesInfo())].join(', ')}\n`);
      process.exit(Math.min(failures, 255));
    }, LINGER_MS).unref();
  }
}

// Mocha requires its reporter and takes what comes back for the class: this name is what require gives of an ES module.
export { Reporter as 'module.exports' };
