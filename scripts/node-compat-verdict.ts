/** Names of tests that are known to fail, each with its reason. */
export interface Expectation {
  readonly known: Readonly<Record<string, string>>;
}

/** How one test ended. */
export interface Result {
  readonly name: string;
  /** host: it fails with Node alone as well, of another version perhaps. */
  readonly outcome: 'pass' | 'fail' | 'skip' | 'timeout' | 'host';
  /** What it wrote. */
  readonly said: string;
}

/** Does the test look inside of Node? Such a test says nothing about another implementation. */
export function usesInternals(source: string): boolean {
  return /\/\/ Flags:.*--expose[-_]internals|require\(['"]internal\/|process\.binding\(|internalBinding|\b_handle\b/.test(source);
}

/** What differs from what is known, with the last lines of what failed, and totals. `some`: not all tests ran. */
export function compare(results: readonly Result[], { known }: Expectation, some: boolean): { readonly lines: string[]; readonly wrong: number } {
  const lines: string[] = [];
  let wrong = 0;
  const count = (outcome: Result['outcome']): number => results.filter((r) => r.outcome === outcome).length;
  for (const { name, outcome, said } of [...results].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const failed = outcome === 'fail' || outcome === 'timeout';
    if (outcome === 'host' || failed === (known[name] !== undefined)) continue;
    wrong++;
    lines.push(failed ? `${name}: ${outcome}` : `${name}: passes, and its entry among the known failures can go`);
    if (failed) lines.push(...tail(said));
  }
  const gone = some ? [] : Object.keys(known).filter((name) => !results.some((r) => r.name === name));
  for (const name of gone) lines.push(`${name}: is known to fail, and is not there`);
  const expected = results.filter((r) => known[r.name] !== undefined).length;
  lines.push(
    `${results.length} tests: ${count('pass')} passed, ${count('skip')} skipped themselves, ${count('host')} fail with Node alone, ${count('fail')} failed, ${count('timeout')} took too long; ` +
      `${expected} known to fail, ${wrong} not as expected`,
  );
  return { lines, wrong };
}

/** The lines of a failure that say most. */
function tail(said: string): string[] {
  const lines = said.split('\n').filter((line) => line.trim() !== '' && !/^\s+at (node:|Module|Object\.<anon)/.test(line));
  return lines.slice(0, 12).map((line) => `    ${line.slice(0, 160)}`);
}
