import { readFileSync } from 'node:fs';
import type { OptionValues } from 'commander';
import {
  type BenchOptions,
  compare,
  type GenPath,
  gen,
  genLive,
  type LiveOptions,
  type Report,
  reflect,
  replay,
  replayLive,
  rr,
  rrLive,
  search,
  searchLive,
  type WorkloadOptions,
} from '../bench/index.js';
import type { Config } from '../config/config.js';
import { readConfig } from '../config/file.js';
import { UsageError } from './failure.js';
import { action, needed } from './words.js';

const VERBS = ['gen', 'rr', 'replay', 'search', 'reflect', 'compare'] as const;

/** `anystack bench`: gen | rr | replay | search on a stack in memory, a TAP or a configuration, reflect on the latter two, and compare of two reports. */
export async function run(words: readonly string[], options: OptionValues): Promise<number> {
  const verb = action(words[0], VERBS, 'bench');
  if (verb === 'compare') return compared(words, options);
  const config = configOf(options);
  const live = config !== undefined && options['memory'] !== true;
  return tell(await (live ? onDevices(verb, words, options, config) : inMemory(verb, words, options, config)), options);
}

function inMemory(verb: string, words: readonly string[], options: OptionValues, config: Config | undefined): Promise<Report> {
  const given: BenchOptions = {
    ...workloadOf(options),
    ...defined({ config, seed: number(options, 'seed'), in: options['dev'] as string | undefined, to: options['to'] as string | undefined }),
  };
  switch (verb) {
    case 'gen':
      return gen(pathOf(words[1]), given);
    case 'search':
      return search(pathOf(words[1]), given);
    case 'replay':
      return replay(capture(words), given);
    case 'rr':
      return rr({ ...given, rate: number(options, 'rate') ?? 0 });
    default:
      throw new UsageError(`bench ${verb}: needs a device: --tap NAME or --config FILE`);
  }
}

function onDevices(verb: string, words: readonly string[], options: OptionValues, config: Config): Promise<Report> {
  const [seconds, rate, port] = ['seconds', 'rate', 'port'].map((name) => number(options, name));
  const device = defined({ dev: options['dev'] as string | undefined, seconds, port });
  if (verb === 'reflect')
    return reflect({ config, ...device, ...defined({ count: number(options, 'count') }) }, () => process.stderr.write('reflecting\n'));
  const to = (options['to'] as string | undefined) ?? (options['tap'] === undefined ? undefined : TAP.host);
  if (to === undefined) throw new UsageError(`bench ${verb}: on a device frames are for somebody: --to ADDRESS`);
  const given: LiveOptions = { ...workloadOf(options), config, ...device, ...defined({ rate }), to };
  switch (verb) {
    case 'gen':
      return genLive(given);
    case 'search':
      return searchLive(given);
    case 'replay':
      return replayLive(capture(words), { ...given, speed: number(options, 'speed') ?? 1 });
    default:
      return rrLive(given);
  }
}

/** RFC 2544 §C.2.2: addresses set aside for benchmarks. */
const TAP = { host: '198.18.0.1', ours: '198.18.0.2' } as const;

/** The configuration of a file, or of `--tap NAME`. */
function configOf(options: OptionValues): Config | undefined {
  const { config, tap, netns } = options as { config?: string; tap?: string; netns?: string };
  if (config !== undefined) return readConfig(config);
  if (tap === undefined) return undefined;
  const device = { type: 'tap', name: tap, hostAddress: `${TAP.host}/24`, ...defined({ netns }) };
  return { name: 'bench', interfaces: { eth0: { device, addresses: [`${TAP.ours}/24`] } } };
}

const capture = (words: readonly string[]): string => needed(words, 1, 'bench replay', 'a capture file');

const paths: readonly GenPath[] = ['sink', 'echo', 'forward'];

function pathOf(word = 'forward'): GenPath {
  const found = paths.find((path) => path === word);
  if (found === undefined) throw new UsageError(`bench: '${word}' is no path; there is ${paths.join(', ')}`);
  return found;
}

function workloadOf(options: OptionValues): WorkloadOptions {
  const size = options['size'] as string | undefined;
  const sizes = size === undefined ? undefined : size === 'imix' ? ('imix' as const) : size.split(',').map(Number);
  const [count, runs, flows] = ['count', 'runs', 'flows'].map((name) => number(options, name));
  return { ...defined({ sizes, count, runs, flows }), family: options['six'] === true ? 6 : 4 };
}

/** Without the keys that are undefined. */
function defined<T extends object>(given: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as { [K in keyof T]?: Exclude<T[K], undefined> };
}

function number(options: OptionValues, name: string): number | undefined {
  const given = options[name] as string | undefined;
  if (given === undefined) return undefined;
  const n = Number(given);
  if (!Number.isFinite(n)) throw new UsageError(`bench: --${name} is a number, not '${given}'`);
  return n;
}

function tell(report: Report & { zeroLossRate?: number; lost?: number }, options: OptionValues): number {
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
  if (report.lost !== undefined) lines.push(`  lost ${report.lost}`);
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
