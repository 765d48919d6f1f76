import type { Outcome } from './outcome.js';

interface Counts {
  pass: number;
  fail: number;
  skip: number;
  /** Of the failures, those that were expected. */
  known: number;
}

const none = (): Counts => ({ pass: 0, fail: 0, skip: 0, known: 0 });

/** Totals of a run by folder and by what was missing. */
export class Tally {
  private readonly all = none();
  private readonly folders = new Map<string, Counts>();
  private readonly missing = new Map<string, number>();

  add(folder: string, { result, reason }: Outcome, known: boolean): void {
    let counts = this.folders.get(folder);
    if (counts === undefined) this.folders.set(folder, (counts = none()));
    for (const c of [counts, this.all]) {
      c[result]++;
      if (known) c.known++;
    }
    if (result === 'skip') this.missing.set(reason, (this.missing.get(reason) ?? 0) + 1);
  }

  /** Failures that nobody expected. */
  get unexpected(): number {
    return this.all.fail - this.all.known;
  }

  lines(): string[] {
    const folders = this.folders.size > 1 ? [...this.folders].map(([folder, counts]) => `${format(counts)}  ${folder}`) : [];
    const reasons = [...this.missing].sort((a, b) => b[1] - a[1]).map(([reason, n]) => `${String(n).padStart(6)} skipped: ${reason}`);
    return ['', ...folders, ...reasons, `${format(this.all)}  of ${this.all.pass + this.all.fail + this.all.skip} in all`];
  }
}

function format({ pass, fail, skip, known }: Counts): string {
  const failed = known === 0 ? `${fail} failed` : `${fail} failed (${known} known)`;
  return `${String(pass).padStart(6)} passed, ${failed}, ${skip} skipped`;
}
