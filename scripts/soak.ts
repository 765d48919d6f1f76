/**
 * `npm run soak -- --seeds N [--from S] [--scenario NAME]`: runs so many seeds, made-up scenarios unless one is named, and prints each that fails with
 * the command that replays it. `--seed S [--pcap FILE]` runs one and says how it went.
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { ConfigError } from '#src/base/errors.js';
import { randomScenario, runScenario, type Scenario, scenarios } from '#src/sim/index.js';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1000' },
    from: { type: 'string', default: '1' },
    seed: { type: 'string' },
    scenario: { type: 'string', default: 'random' },
    pcap: { type: 'string' },
  },
});

function scenarioOf(seed: number): Scenario {
  if (values.scenario === 'random') return randomScenario(seed);
  const found = scenarios.scenarios.find(({ name }) => name === values.scenario);
  if (found === undefined)
    throw new ConfigError(`scenario ${values.scenario}: one of random, ${scenarios.scenarios.map(({ name }) => name).join(', ')}`);
  return found;
}

function replay(seed: number): void {
  const result = runScenario(scenarioOf(seed), seed, { capture: values.pcap !== undefined });
  if (values.pcap !== undefined) writeFileSync(values.pcap, result.capture);
  const { elapsed, octetsPerSecond, retransmissions, spurious } = result;
  process.stdout.write(
    `seed ${seed}: ${(elapsed / 1e6).toFixed(3)} s, ${(octetsPerSecond / 125_000).toFixed(2)} Mbit/s, ${retransmissions} retransmissions, ${spurious} of them needless\n`,
  );
}

function soak(from: number, count: number): number {
  let failed = 0;
  const began = performance.now();
  for (let seed = from; seed < from + count; seed++) {
    try {
      runScenario(scenarioOf(seed), seed);
    } catch (error) {
      failed++;
      process.stdout.write(
        `FAILED ${(error as Error).message}\n  replay: npm run soak -- --seed ${seed} --scenario ${values.scenario} --pcap failed.pcapng\n`,
      );
    }
  }
  process.stdout.write(`${count} seeds from ${from}, ${failed} failed, ${((performance.now() - began) / 1_000).toFixed(1)} s\n`);
  return failed;
}

if (values.seed !== undefined) replay(Number(values.seed));
else process.exitCode = soak(Number(values.from), Number(values.seeds)) > 0 ? 1 : 0;
