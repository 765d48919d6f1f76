import { readFileSync } from 'node:fs';
import type { OptionValues } from 'commander';
import { type BenchOptions, compare, type GenPath, gen, type Report, replay, rr, search } from '../bench/index.js';
import { UsageError } from './failure.js';
import { action, needed } from './words.js';

/** `anystack bench`: gen | rr | replay | search on a stack in memory, and compare of two reports. */
export async function run(words: readonly string[], options: OptionValues): Promise<number> {
  const verb = action(words[0], ['gen', 'rr', 'replay', 'search', 'compare'], 'bench');
  if (verb === 'compare') return compared(words, options);
  const given = benchOptions(options);
  if (verb === 'gen') return tell(gen(pathOf(words[1]), given), options);
  if (verb === 'search') return tell(search(pathOf(words[1]), given), options);
  if (verb === 'replay') return tell(replay(needed(words, 1, 'bench replay', 'a capture file'), given), options);
  return tell(rr({ ...given, rate: number(options, 'rate') ?? 0 }), options);
}

const paths: readonly GenPath[] = ['sink', 'echo', 'forward'];

function pathOf(word = 'forward'): GenPath {
  const found = paths.find((path) => path === word);
  if (found === undefined) throw new UsageError(`bench: '${word}' is no path; there is ${paths.join(', ')}`);
  return found;
}

function benchOptions(options: OptionValues): BenchOptions {
  const size = options['size'] as string | undefined;
  const sizes = size === undefined ? undefined : size === 'imix' ? ('imix' as const) : size.split(',').map(Number);
  const [count, runs, flows, seed] = ['count', 'runs', 'flows', 'seed'].map((name) => number(options, name));
  return {
    ...(sizes === undefined ? {} : { sizes }),
    ...(count === undefined ? {} : { count }),
    ...(runs === undefined ? {} : { runs }),
    ...(flows === undefined ? {} : { flows }),
    ...(seed === undefined ? {} : { seed }),
    family: options['six'] === true ? 6 : 4,
  };
}

function number(options: OptionValues, name: string): number | undefined {
  const given = options[name] as string | undefined;
  if (given === undefined) return undefined;
  const n = Number(given);
  if (!Number.isFinite(n)) throw new UsageError(`bench: --${name} is a number, not '${given}'`);
  return n;
}

function tell(report: Report & { zeroLossRate?: number }, options: OptionValues): number {
  if (options['json'] === true) {
    process.stdout.write(`${JSON.stringify(report)}\n`);
    return 0;
  }
  const lines = [`${report.bench}: ${report.path}; ${report.runs} runs, Node ${report.node}, ${report.cpu}, kernel ${report.kernel}`];
  for (const [name, f] of Object.entries(report.figures))
    lines.push(`  ${name.padEnd(26)}${show(f.median).padStart(14)}   [${show(f.least)} … ${show(f.greatest)}]`);
  if (report.zeroLossRate !== undefined) lines.push(`  ${'zero-loss packets/s'.padEnd(26)}${show(report.zeroLossRate).padStart(14)}`);
  if (report.latency !== undefined)
    lines.push(
      `  latency, us: ${Object.entries(report.latency)
        .map(([name, value]) => `${name} ${value.toFixed(1)}`)
        .join(', ')}`,
    );
  for (const [reason, n] of Object.entries(report.drops)) lines.push(`  drop ${reason} ${n}`);
  process.stdout.write(`${lines.join('\n')}\n`);
  return 0;
}

const show = (x: number): string => (x >= 1_000 ? Math.round(x).toLocaleString('en') : x.toFixed(2));

/** Exit status 1 when a figure of B is slower by more than the threshold. */
function compared(words: readonly string[], options: OptionValues): number {
  const [a, b] = [1, 2].map((i) => read(needed(words, i, 'bench compare', 'two reports'))) as [Report, Report];
  const threshold = number(options, 'threshold') ?? 10;
  const rows = compare(a, b);
  if (options['json'] === true) process.stdout.write(`${JSON.stringify(rows)}\n`);
  else for (const row of rows) process.stdout.write(`${row.figure.padEnd(26)} x ${row.ratio.toFixed(3)}  ${row.verdict}\n`);
  return rows.some((row) => row.verdict === 'slower' && Math.abs(row.ratio - 1) * 100 > threshold) ? 1 : 0;
}

function read(file: string): Report {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Report;
  } catch (error) {
    throw new UsageError(`bench compare: ${file}: ${(error as Error).message}`);
  }
}
