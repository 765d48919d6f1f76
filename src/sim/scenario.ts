import { type Micros, seconds } from '../base/time.js';
import type { ProfileName } from '../net/profiles.js';
import { checkBounds, checkClosed, checkQuiet, InvariantError, openConnections } from './invariants.js';
import type { LinkOptions } from './link.js';
import { Simulation } from './simulation.js';
import { Transfer, type TransferPlan } from './transfer.js';

/** A path, and what is to be carried over it. A value: the same scenario and the same seed are the same run. */
export interface Scenario {
  readonly name: string;
  /** One sentence: what it stands for and where its numbers come from. */
  readonly about: string;
  readonly link: LinkOptions;
  readonly transfers: readonly TransferPlan[];
  /** Default 4. */
  readonly family?: 4 | 6;
  readonly profile?: ProfileName;
  readonly sysctl?: Readonly<Record<string, number | string>>;
  /** Virtual time within which all octets must have arrived. Default 600 s. */
  readonly limit?: Micros;
  /** Changes to the link while it runs. */
  readonly changes?: readonly { readonly at: Micros; readonly change: 'cut' | 'mend' }[];
}

/** What a run came to. */
export interface ScenarioResult {
  readonly seed: number;
  /** Until the last octet was read. */
  readonly elapsed: Micros;
  /** Octets of all transfers together per second of that. */
  readonly octetsPerSecond: number;
  readonly retransmissions: number;
  /** Segments sent again that had arrived: the peer said so. */
  readonly spurious: number;
  /** Empty unless asked for. */
  readonly capture: Uint8Array;
}

/** TIME-WAIT, FIN-WAIT-2 and neighbours are over by then. */
const AFTERWARDS = seconds(300);

/**
 * Runs a scenario, synchronously. Throws InvariantError when an octet is lost, doubled or out of place, when the time limit passes, when a side
 * does not come to rest, when a packet, slot or timer is left, or when a bound was passed.
 */
export function runScenario(scenario: Scenario, seed: number, options: { readonly capture?: boolean } = {}): ScenarioResult {
  const sim = new Simulation({ seed, capture: options.capture ?? false });
  try {
    return run(sim, scenario, seed);
  } catch (error) {
    if (error instanceof Error) error.message = `${scenario.name}, seed ${seed}, at ${(sim.now / 1e6).toFixed(3)} s: ${error.message}`;
    throw error;
  }
}

function run(sim: Simulation, scenario: Scenario, seed: number): ScenarioResult {
  const config = { ...(scenario.profile === undefined ? {} : { profile: scenario.profile }), sysctl: { ...scenario.sysctl } };
  const a = sim.stack('a', config);
  const b = sim.stack('b', config);
  const link = sim.link(a, b, scenario.link);
  const to = scenario.family === 6 ? link.ends[1].v6 : link.ends[1].v4;
  if (to === null) throw new InvariantError(`no address of family ${scenario.family ?? 4}`);
  // Interfaces come up, addresses are claimed.
  sim.runSync(seconds(5));
  for (const { at, change } of scenario.changes ?? []) sim.clock.setTimeout(() => link.partition(change === 'cut'), at / 1_000);
  const began = sim.now;
  const transfers = scenario.transfers.map((plan, i) => new Transfer(a, b, to, plan, i, () => sim.now));
  sim.runUntil(() => transfers.every((t) => t.done) || a.core.state !== 'running' || b.core.state !== 'running', scenario.limit ?? seconds(600));
  for (const stack of [a, b]) checkBounds(stack);
  for (const transfer of transfers) transfer.check();
  const elapsed = Math.max(...transfers.map((t) => t.doneAt)) - began;
  sim.runSync(AFTERWARDS);
  for (const stack of [a, b]) {
    const open = openConnections(stack);
    if (open > 0) throw new InvariantError(`${stack.name}: ${open} connections have not ended`);
    checkBounds(stack);
    checkQuiet(stack);
  }
  const retransmissions = counted(a, 'TcpRetransSegs') + counted(b, 'TcpRetransSegs');
  const spurious = counted(a, 'TcpExtTCPDSACKRecv') + counted(b, 'TcpExtTCPDSACKRecv');
  const octets = scenario.transfers.reduce((sum, plan) => sum + plan.up + plan.down, 0);
  const capture = sim.capture();
  sim.close();
  for (const stack of [a, b]) checkClosed(stack);
  return { seed, elapsed, octetsPerSecond: elapsed > 0 ? (octets * 1e6) / elapsed : 0, retransmissions, spurious, capture };
}

const counted = (stack: ReturnType<Simulation['stack']>, name: 'TcpRetransSegs' | 'TcpExtTCPDSACKRecv'): number => stack.core.ctx.counters.get(name);
