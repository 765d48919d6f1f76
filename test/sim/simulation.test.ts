import assert from 'node:assert/strict';
import { type Address, parseAddress } from '#src/base/address.js';
import { millis, seconds } from '#src/base/time.js';
import { checkClosed, checkQuiet, InvariantError, Simulation, SimulationTimeout, scenarios, Transfer } from '#src/sim/index.js';

const address = (text: string): Address => parseAddress(text) as Address;

describe('simulator: stacks and links', () => {
  it('a link has a family each, a delay and a rate', () => {
    const sim = new Simulation();
    const [a, b] = [sim.stack('a'), sim.stack('b')];
    const { ends } = sim.link(a, b, { forward: { delay: millis(10), rate: 1_000_000 } });
    for (const [i, to] of [ends[1].v4, ends[1].v6].entries()) {
      const transfer = new Transfer(a, b, to as Address, { port: 80 + i, up: 10_000, down: 0 }, i, () => sim.now);
      const began = sim.now;
      assert.ok(sim.runUntil(() => transfer.done));
      transfer.check();
      // Three halves of a round trip and 10,000 octets at 125 kB/s, and the FIN back.
      assert.ok(sim.now - began > millis(110) && sim.now - began < millis(250), `${sim.now - began}`);
    }
    sim.close();
    for (const stack of [a, b]) checkClosed(stack);
  });

  it('a partition holds everything up, and its end lets it go on', () => {
    const sim = new Simulation();
    const [a, b] = [sim.stack('a'), sim.stack('b')];
    const link = sim.link(a, b, { forward: { delay: millis(10) } });
    link.partition(true);
    const transfer = new Transfer(a, b, address('10.0.0.2'), { port: 80, up: 5_000, down: 5_000 }, 0, () => sim.now);
    sim.runSync(seconds(10));
    assert.equal(transfer.done, false);
    assert.ok((link.statistics('forward')['lost'] as number) >= 3);
    link.partition(false);
    assert.ok(sim.runUntil(() => transfer.done));
    transfer.check();
  });

  it('a cable pulled is seen by both ends', () => {
    const sim = new Simulation();
    const [a, b] = [sim.stack('a'), sim.stack('b')];
    const link = sim.link(a, b);
    link.carrier(false);
    assert.deepEqual(
      link.ends.map(({ iface }) => iface.running),
      [false, false],
    );
    link.carrier(true);
    assert.equal(link.ends[0].iface.running, true);
  });

  it('a router between two links forwards', () => {
    const sim = new Simulation();
    const [a, r, b] = [sim.stack('a'), sim.stack('r', { sysctl: { 'net.ipv4.ip_forward': 1 } }), sim.stack('b')];
    sim.link(a, r, { addresses: [['10.1.0.1/24'], ['10.1.0.254/24']], forward: { delay: millis(5) } });
    sim.link(r, b, { addresses: [['10.2.0.254/24'], ['10.2.0.1/24']], forward: { delay: millis(5), loss: 0.05 } });
    a.route.add('0.0.0.0/0', { via: '10.1.0.254' });
    b.route.add('0.0.0.0/0', { via: '10.2.0.254' });
    const transfer = new Transfer(a, b, address('10.2.0.1'), { port: 80, up: 50_000, down: 50_000 }, 0, () => sim.now);
    assert.ok(sim.runUntil(() => transfer.done));
    transfer.check();
    sim.runSync(seconds(300));
    for (const stack of sim.stacks) checkQuiet(stack);
  });

  it('what is held is found', () => {
    const sim = new Simulation();
    const [a, b] = [sim.stack('a'), sim.stack('b')];
    sim.link(a, b);
    const packet = a.core.ctx.packet();
    assert.throws(
      () => checkQuiet(a),
      (e) => e instanceof InvariantError && /1 packets still held/.test(e.message),
    );
    packet?.release();
    checkQuiet(a);
  });

  it('a thousand stacks live in one process', () => {
    const sim = new Simulation();
    const hub = sim.stack('hub');
    for (let i = 0; i < 200; i++) sim.link(sim.stack(`s${i}`), hub, { forward: { delay: millis(1 + i) } });
    const transfers = sim.links.map(
      (link, i) => new Transfer(link.ends[0].stack, hub, link.ends[1].v4 as Address, { port: 1_000 + i, up: 2_000, down: 2_000 }, i, () => sim.now),
    );
    assert.ok(sim.runUntil(() => transfers.every((t) => t.done)));
    for (const t of transfers) t.check();
  });
});

describe('simulator: programs', () => {
  it('node:http over LTE on virtual time', async () => {
    const sim = new Simulation({ seed: 3 });
    const [phone, server] = [sim.stack('phone'), sim.stack('server')];
    sim.link(phone, server, scenarios.lte.link);
    const body = 'x'.repeat(200_000);
    server.http.createServer((_request, response) => void setImmediate(() => response.end(body))).listen(80);
    const answer = new Promise<string>((resolve, reject) => {
      const request = phone.http.get({ host: '10.0.0.2', port: 80, agent: false }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (piece: string) => {
          text += piece;
        });
        response.on('end', () => resolve(text));
      });
      request.on('error', reject);
    });
    assert.equal((await sim.run(answer))?.length, body.length);
    assert.ok(sim.now > millis(100) && sim.now < seconds(5), `${sim.now}`);
  });

  it('sleeps, timers and awaits take virtual time, whatever they wait for', async () => {
    const sim = new Simulation();
    const seen: [string, number][] = [];
    const note = (what: string): void => void seen.push([what, sim.now / 1_000]);
    sim.clock.setTimeout(() => note('timeout'), 1_500);
    const interval = sim.clock.setInterval(() => note('interval'), 1_000);
    await sim.run(
      (async () => {
        for (let i = 0; i < 3; i++) {
          await sim.clock.sleep(700);
          await new Promise<void>((resolve) => void setImmediate(resolve));
          note('slept');
        }
        interval.cancel();
      })(),
    );
    assert.deepEqual(seen, [
      ['slept', 700],
      ['interval', 1_000],
      ['slept', 1_400],
      ['timeout', 1_500],
      ['interval', 2_000],
      ['slept', 2_100],
    ]);
    await sim.run(seconds(60));
    assert.equal(sim.now, 62_100_000);
  });

  it('what never comes is an error after its limit', async () => {
    const sim = new Simulation();
    await assert.rejects(sim.run(new Promise(() => {}), seconds(5)), (e) => e instanceof SimulationTimeout && /within 5 s/.test(e.message));
  });
});
