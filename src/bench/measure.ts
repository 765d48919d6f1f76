import { cpus, release } from 'node:os';
import { PerformanceObserver } from 'node:perf_hooks';
import type { Histogram } from 'hdr-histogram-js';

/** One run's figures. */
export interface Sample {
  readonly seconds: number;
  readonly packets: number;
  readonly octets: number;
  readonly cpuSeconds: number;
  readonly allocated: number;
  readonly gcSeconds: number;
}

/** A figure over the runs: all in the unit its name says. */
export interface Figure {
  readonly median: number;
  readonly least: number;
  readonly greatest: number;
}

/** What a bench reports; `--json` prints it. */
export interface Report {
  readonly version: 1;
  readonly bench: string;
  /** Which parts of the path packets crossed. */
  readonly path: string;
  readonly node: string;
  readonly cpu: string;
  readonly kernel: string;
  readonly seed: number;
  readonly options: Readonly<Record<string, unknown>>;
  readonly runs: number;
  readonly figures: Readonly<Record<string, Figure>>;
  /** µs, from a histogram without coordinated omission. */
  readonly latency?: Readonly<Record<string, number>>;
  readonly drops: Readonly<Record<string, number>>;
}

const gc = { seconds: 0, observer: null as PerformanceObserver | null };

/** Measures one run. `body` answers what it moved. */
export function sample(body: () => Moved): Sample {
  const end = meter();
  return end(body());
}

/** Packets and their octets. */
export interface Moved {
  readonly packets: number;
  readonly octets: number;
}

/** Begins to measure; the function returned ends it. */
export function meter(): (moved: Moved) => Sample {
  gc.observer ??= new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) gc.seconds += entry.duration / 1e3;
  });
  gc.observer.observe({ entryTypes: ['gc'] });
  gc.seconds = 0;
  const heap = process.memoryUsage().heapUsed;
  const cpu = process.cpuUsage();
  const begin = performance.now();
  return ({ packets, octets }) => {
    const seconds = (performance.now() - begin) / 1e3;
    const used = process.cpuUsage(cpu);
    const allocated = Math.max(0, process.memoryUsage().heapUsed - heap);
    gc.observer?.disconnect();
    return { seconds, packets, octets, cpuSeconds: (used.user + used.system) / 1e6, allocated, gcSeconds: gc.seconds };
  };
}

/** A report of the runs, on this machine. */
export function report(
  bench: string,
  path: string,
  options: Readonly<Record<string, unknown>> & { readonly seed?: number },
  samples: readonly Sample[],
  drops: Readonly<Record<string, number>>,
): Report {
  return {
    version: 1,
    bench,
    path,
    node: process.version,
    cpu: cpus()[0]?.model ?? 'unknown',
    kernel: release(),
    seed: options.seed ?? 1,
    options,
    runs: samples.length,
    figures: figures(samples),
    drops,
  };
}

/** Percentiles of a histogram of ns, in µs. */
export function latencies(histogram: Histogram): Readonly<Record<string, number>> {
  const at = (p: number): number => histogram.getValueAtPercentile(p) / 1e3;
  return { p50: at(50), p90: at(90), p99: at(99), 'p99.9': at(99.9), max: histogram.maxValue / 1e3, mean: histogram.mean / 1e3 };
}

/** The figures every bench reports of its runs. */
export function figures(samples: readonly Sample[]): Record<string, Figure> {
  const of = (value: (s: Sample) => number): Figure => figure(samples.map(value));
  return {
    'packets/s': of((s) => s.packets / s.seconds),
    'packets/CPU-second': of((s) => s.packets / s.cpuSeconds),
    'MB/s': of((s) => s.octets / s.seconds / 1e6),
    'CPU ns/packet': of((s) => (s.cpuSeconds * 1e9) / s.packets),
    'octets allocated/packet': of((s) => s.allocated / s.packets),
    'GC %': of((s) => (100 * s.gcSeconds) / s.seconds),
  };
}

/** Median and spread. */
export function figure(values: readonly number[]): Figure {
  const sorted = [...values].sort((a, b) => a - b);
  return { median: sorted[sorted.length >> 1] as number, least: sorted[0] as number, greatest: sorted.at(-1) as number };
}

/** One figure of two reports beside each other. */
export interface Comparison {
  readonly figure: string;
  readonly ratio: number;
  readonly verdict: 'faster' | 'slower' | 'within noise';
}

/** Is B another speed than A? Within noise while the spreads of both overlap. Rates count upwards, costs downwards. */
export function compare(a: Report, b: Report): Comparison[] {
  return Object.keys(a.figures)
    .filter((name) => name in b.figures)
    .map((name) => {
      const [x, y] = [a.figures[name] as Figure, b.figures[name] as Figure];
      const ratio = x.median === 0 ? 1 : y.median / x.median;
      const overlap = x.least <= y.greatest && y.least <= x.greatest;
      const rate = /\/s$|second$/.test(name);
      const better = rate ? ratio > 1 : ratio < 1;
      return { figure: name, ratio, verdict: overlap ? 'within noise' : better ? 'faster' : 'slower' };
    });
}
