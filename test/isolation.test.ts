import assert from 'node:assert/strict';
import { readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { AssertionError } from '#src/base/assert.js';
import { type AnyStack, createStack, memoryLink, type StackFailure } from '#src/index.js';
import { CapturedFrame } from '#src/wire/pcap.js';
import { openCapture } from '#src/wire/pcapng.js';
import { until } from './support/until.js';

const PAIRS = 500;

/** Breaks a stack from inside: the next segment it receives finds an invariant that does not hold. */
function sabotage(stack: AnyStack): void {
  const { tcp } = stack.core;
  Object.assign(tcp, {
    input: () => {
      throw new AssertionError('a test may break what it likes');
    },
  });
}

describe('isolation', () => {
  it('an assertion in one of 1,000 stacks ends that one: its sockets hear of it, its last packets are kept, 999 go on', async () => {
    const pairs: [AnyStack, AnyStack][] = [];
    for (let i = 0; i < PAIRS; i++) {
      const [a, b] = memoryLink();
      // All have the same addresses: they know nothing of each other.
      const server = createStack({
        name: `server-${i}`,
        interfaces: { eth0: { device: a, addresses: ['192.168.0.10/24'] } },
        services: { echo: true },
      });
      const client = createStack({ name: `client-${i}`, interfaces: { eth0: { device: b, addresses: ['192.168.0.1/24'] } } });
      pairs.push([server, client]);
    }
    const sockets = pairs.map(([, client]) => client.net.connect({ host: '192.168.0.10', port: 7 }));
    const answers = sockets.map(() => '');
    sockets.forEach((socket, i) => socket.on('data', (octets: Buffer) => (answers[i] += String(octets))).on('error', () => {}));
    sockets.forEach((socket, i) => socket.write(`one ${i};`));
    await until(() => answers.every((text, i) => text === `one ${i};`), 'all have their first answer');

    const victim = (pairs[77] as [AnyStack, AnyStack])[1];
    const failed = new Promise<StackFailure>((resolve) => victim.events.once('failed', resolve));
    const broken = new Promise<NodeJS.ErrnoException>((resolve) => (sockets[77] as (typeof sockets)[0]).once('error', resolve));
    victim.events.on('log', () => {});
    sabotage(victim);
    sockets.forEach((socket, i) => socket.write(`two ${i};`));
    const failure = await failed;
    assert.match(failure.message, /^stack 'client-77' failed: not true that a test may break what it likes; its last \d+ packets are in /);
    assert.ok(failure.cause instanceof AssertionError);
    assert.match((await broken).message, /EIO.*client-77|client-77.*EIO/);

    await until(() => answers.every((text, i) => i === 77 || text === `one ${i};two ${i};`), 'the others have their second answer');
    assert.equal(pairs.flat().filter((stack) => stack.core.state === 'running').length, 999);

    const file = failure.capture as string;
    assert.ok(file.startsWith(tmpdir()));
    assert.equal(statSync(file).mode & 0o777, 0o600);
    const bytes = readFileSync(file);
    rmSync(file);
    const reader = openCapture(new DataView(bytes.buffer, bytes.byteOffset, bytes.length));
    const frame = new CapturedFrame();
    let frames = 0;
    while (reader?.next(frame)) frames++;
    assert.ok(frames >= 6, `${frames} packets: ARP, the handshake, the first exchange`);

    for (const socket of sockets) socket.destroy();
    for (const stack of pairs.flat()) await stack.close();
    // The one in its hands when it failed is lost with it.
    for (const stack of pairs.flat()) assert.equal(stack.nstat().held.packets, stack === victim ? 1 : 0, stack.name);
  }).timeout(60_000);
});
