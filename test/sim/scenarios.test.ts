import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { millis, seconds } from '#src/base/time.js';
import { InvariantError, randomScenario, runScenario, type Scenario, scenarios } from '#src/sim/index.js';
import { CapturedFrame } from '#src/wire/pcap.js';
import { PcapngReader } from '#src/wire/pcapng.js';

/** The library's scenarios with an eighth of their octets: the shapes matter here. */
const shorter = (scenario: Scenario): Scenario => ({
  ...scenario,
  transfers: scenario.transfers.map(({ port, up, down }) => ({ port, up: up >> 3, down: down >> 3 })),
});

const SMALL: Scenario = {
  name: 'small',
  about: 'A clean path.',
  link: { forward: { delay: millis(5) } },
  transfers: [{ port: 5_000, up: 3_000, down: 5_000 }],
};

describe('simulator: scenarios', () => {
  for (const scenario of scenarios.scenarios) {
    it(`${scenario.name}: every octet arrives once, both sides come to rest`, () => {
      const { elapsed } = runScenario(shorter(scenario), 1);
      assert.ok(elapsed > 0);
    });
  }

  it('the same seed gives the same capture, another seed another', () => {
    const scenario = { ...shorter(scenarios.hostile), family: 6 as const };
    const digest = (seed: number): string =>
      createHash('sha256')
        .update(runScenario(scenario, seed, { capture: true }).capture)
        .digest('hex');
    assert.equal(digest(7), digest(7));
    assert.notEqual(digest(7), digest(8));
  });

  it('the capture is a pcapng of both ends', () => {
    const { capture } = runScenario(SMALL, 1, { capture: true });
    const reader = new PcapngReader(new DataView(capture.buffer, capture.byteOffset, capture.length));
    let frames = 0;
    const frame = new CapturedFrame();
    while (reader.next(frame)) frames++;
    assert.equal(reader.problem, '');
    assert.ok(frames > 20 && frames % 2 === 0, `each frame is seen leaving and arriving: ${frames}`);
  });

  it('a run that does not finish in its time says where it stood, and its seed', () => {
    const stuck: Scenario = { ...SMALL, name: 'stuck', link: { forward: { partitioned: true } }, limit: seconds(3) };
    assert.throws(
      () => runScenario(stuck, 5),
      (e) => e instanceof InvariantError && /^stuck, seed 5, at 8\.\d+ s: port 5000: 0 of 3000 octets up/.test(e.message),
    );
  });

  it('made-up scenarios follow from their seed', () => {
    assert.deepEqual(randomScenario(3), randomScenario(3));
    assert.notDeepEqual(randomScenario(3), randomScenario(4));
  });
});

describe('simulator: seeds', () => {
  it('200 made-up scenarios keep all invariants', function () {
    this.timeout(60_000);
    const failed: string[] = [];
    for (let seed = 1; seed <= 200; seed++) {
      try {
        runScenario(randomScenario(seed), seed);
      } catch (error) {
        failed.push(`${(error as Error).message} (npm run soak -- --seed ${seed})`);
      }
    }
    assert.deepEqual(failed, []);
  });
});
