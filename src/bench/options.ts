import { ConfigError } from '../base/errors.js';
import type { Config } from '../config/config.js';
import { IMIX } from './frames.js';

/** The port that generated datagrams are for: discard's (RFC 863). */
export const PORT = 9;

/** What the frames of a bench are. */
export interface WorkloadOptions {
  /** Octets of frames, check sequence included, in turn; 'imix' for that mix. Default [64]. */
  readonly sizes?: readonly number[] | 'imix';
  /** Source ports in turn. Default 1. */
  readonly flows?: number;
  /** Default 4. */
  readonly family?: 4 | 6;
  /** Packets of one run. Default 200,000; at most 100 million. */
  readonly count?: number;
  /** Measured runs after one to warm up. Default 5. */
  readonly runs?: number;
}

/** What benches in memory take. */
export interface BenchOptions extends WorkloadOptions {
  readonly seed?: number;
  readonly sysctl?: Readonly<Record<string, unknown>>;
  /** The stack under test, its devices replaced by links in memory. Default: a plain one with one interface, or two for 'forward'. */
  readonly config?: Config;
  /** Interface that frames come in on. Default: the first with a device. */
  readonly in?: string;
  /** Whom forwarded frames are for. Default: a station beyond the plain stack's second interface. */
  readonly to?: string;
  /** Who sends them. Default: the station whose address follows the interface's. */
  readonly from?: string;
}

/** Checked. */
export interface Workload {
  readonly sizes: readonly number[];
  readonly flows: number;
  readonly family: 4 | 6;
  readonly count: number;
  readonly runs: number;
}

/** The options with their defaults; ConfigError for one out of its range. */
export function workload(options: WorkloadOptions, least: number): Workload {
  const { flows = 1, family = 4, count = 200_000, runs = 5 } = options;
  const sizes = options.sizes === 'imix' ? IMIX : (options.sizes ?? [64]);
  for (const size of sizes) if (!(size >= 64 && size <= 1_518)) throw new ConfigError(`bench: a frame has 64 to 1518 octets, not ${size}`);
  if (!(count >= least && count <= 1e8)) throw new ConfigError(`bench: a run has ${least} to 100,000,000 packets, not ${count}`);
  if (!(flows >= 1 && flows <= 60_000)) throw new ConfigError(`bench: there are 1 to 60,000 flows, not ${flows}`);
  if (!(runs >= 1 && runs <= 100)) throw new ConfigError(`bench: there are 1 to 100 runs, not ${runs}`);
  return { sizes, flows, family, count, runs };
}
