import assert from 'node:assert/strict';
import { Pair, transfer } from '../../support/tcp-pair.js';

describe('TCP: two ends', () => {
  for (const family of [4, 6] as const) {
    it(`a clean path carries 5 MB without a retransmission (IPv${family})`, () => {
      const pair = new Pair({ family, delay: 5_000, rate: 12_500_000, queue: 10_000 });
      const [client, server] = pair.connect();
      const { retransmitted } = transfer(pair, client, server, 5_000_000);
      assert.equal(retransmitted, 0);
      client.close();
      server.close();
      pair.clock.run(pair.clock.now + 130e6);
      pair.end();
    });
  }

  it('64 KB segments whole', () => {
    const pair = new Pair({ delay: 50, whole: true });
    const [client, server] = pair.connect();
    const { retransmitted, took } = transfer(pair, client, server, 20_000_000);
    assert.equal(retransmitted, 0);
    assert.ok(took < 1e6, `took ${took}`);
    client.close();
    server.close();
    pair.clock.run(pair.clock.now + 130e6);
    pair.end();
  });

  for (let seed = 1; seed <= 12; seed++) {
    it(`octets arrive once and in order over a path with faults, seed ${seed}`, () => {
      const pair = new Pair({
        seed,
        delay: 10_000,
        jitter: seed % 3 === 0 ? 8_000 : 0,
        loss: 0.01 * (seed % 6),
        duplicate: seed % 4 === 0 ? 0.05 : 0,
        family: seed % 2 === 0 ? 6 : 4,
      });
      const [client, server] = pair.connect();
      transfer(pair, client, server, 500_000, 20_000);
      transfer(pair, server, client, 100_000, 5_000);
      client.close();
      server.close();
      pair.clock.run(pair.clock.now + 300e6);
      pair.end();
    });
  }
});
