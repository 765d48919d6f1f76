/** Repetitions between two looks at the clock. */
const BATCH = 2_000;
const BATCHES = 150;
const WARMUP = 20_000;

/** Nanoseconds of one call, least and median of many batches: the least is what the code costs, the median what the machine gives today. */
export interface Measurement {
  readonly least: number;
  readonly median: number;
}

/** Calls `work(i)` often and prints what one call takes. Its results are added up so that none can be left out. */
export function measure(name: string, work: (i: number) => number): Measurement {
  let sink = 0;
  for (let i = 0; i < WARMUP; i++) sink += work(i);
  const times: number[] = [];
  for (let b = 0; b < BATCHES; b++) {
    const start = process.hrtime.bigint();
    for (let i = 0; i < BATCH; i++) sink += work(i);
    times.push(Number(process.hrtime.bigint() - start) / BATCH);
  }
  times.sort((a, b) => a - b);
  const result = { least: times[0] as number, median: times[BATCHES >> 1] as number };
  const rounded = (ns: number): string => ns.toFixed(1).padStart(9);
  process.stdout.write(`${name.padEnd(52)}${rounded(result.least)}${rounded(result.median)} ns${Number.isNaN(sink) ? ' (NaN)' : ''}\n`);
  return result;
}
