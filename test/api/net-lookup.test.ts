import assert from 'node:assert/strict';
import type { LookupAddress } from '#src/api/lookup.js';
import { createStack } from '#src/index.js';
import { pair } from '../support/pair.js';

describe('net: what a given lookup answers', () => {
  it('a family nobody knows is an error that names host and port, as in Node', async () => {
    const stack = createStack({});
    const socket = stack.net.connect({
      host: 'somewhere',
      port: 7,
      lookup: (_host: string, _options: object, done: (error: null, found: { address: string; family: number }[]) => void) =>
        done(null, [{ address: '127.0.0.1', family: 100 }]),
    } as never);
    assert.equal(socket.bufferSize, 0, 'while it connects nothing waits');
    const error = await new Promise((resolve) => socket.once('error', resolve));
    const { code, host, port, message } = error as Error & { code: string; host: string; port: number };
    assert.deepEqual([code, host, port, message], ['ERR_INVALID_ADDRESS_FAMILY', 'somewhere', 7, 'Invalid address family: 100 somewhere:7']);
    await stack.close();
  });

  it("'any' as a destination is ourselves, as on Linux", async () => {
    const stack = createStack({});
    const server = stack.net.createServer((peer) => peer.end());
    await new Promise<void>((resolve) => server.listen(7, '127.0.0.1', resolve));
    const socket = stack.net.connect(7, '0.0.0.0');
    await new Promise((resolve) => socket.once('connect', resolve));
    assert.equal(socket.remoteAddress, '127.0.0.1');
    await stack.close();
  });
});

describe('net: families that answer one after the other (RFC 8305)', () => {
  const four = { address: '10.0.0.2', family: 4 };
  const dead = { address: '10.0.0.77', family: 4 };
  const six = { address: 'fd00::77', family: 6 };
  const sixToo = { address: 'fd00::78', family: 6 };
  type Done = (error: Error | null, found: LookupAddress[]) => void;
  /** Connects to port 80 of the peer by a lookup that `answers`; what was tried in order, and where it ended. */
  const run = async (answers: (partial: (found: LookupAddress[]) => void, done: Done) => void): Promise<(string | undefined)[]> => {
    const [one, two] = await pair({ sysctl: { 'net.ipv6.conf.all.dad_transmits': 0 } });
    one.addr.add('fd00::1/64', { dev: 'eth0' }); // nobody else is there
    const server = two.net.createServer((peer) => peer.end());
    await new Promise<void>((resolve) => server.listen(80, resolve));
    const lookup = (_host: string, options: { partial: (found: LookupAddress[]) => void }, done: Done): void =>
      process.nextTick(answers, options.partial, done);
    const socket = one.net.connect({ host: 'peer', port: 80, autoSelectFamilyAttemptTimeout: 20, lookup } as never);
    const tried: (string | undefined)[] = [];
    socket.on('connectionAttempt', (address: string) => tried.push(address));
    const end = await new Promise<string | undefined>((resolve) => {
      socket.once('connect', () => resolve(socket.remoteAddress));
      socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code));
    });
    socket.destroy();
    server.close();
    await one.close();
    await two.close();
    return [...tried, end];
  };

  it('§3: IPv4 alone waits a moment for IPv6, and no longer', async () => {
    assert.deepEqual(await run((partial) => partial([four])), [four.address, four.address]);
    const both = await run((partial, done) => {
      partial([four]);
      setImmediate(() => done(null, [six, four]));
    });
    assert.deepEqual(both, [six.address, four.address, four.address]);
  });

  it('§3, §5: IPv6 is begun with at once; IPv4 has its turn when it comes', async () => {
    const later = await run((partial, done) => {
      partial([six]);
      setTimeout(() => done(null, [six, four]), 40);
    });
    assert.deepEqual(later, [six.address, four.address, four.address]);
  });

  it('§4: what comes later is put in by turns', async () => {
    const turns = await run((partial, done) => {
      partial([six, sixToo]);
      setImmediate(() => done(null, [six, sixToo, dead, four]));
    });
    assert.deepEqual(turns, [six.address, dead.address, sixToo.address, four.address, four.address]);
  });

  it('a lookup that fails in the end leaves the word to what was tried', async () => {
    const refused = await run((partial, done) => {
      partial([{ address: '2001:db8::77', family: 6 }]);
      setTimeout(() => done(new Error('no more'), []), 5);
    });
    assert.deepEqual(refused, ['2001:db8::77', 'ENETUNREACH']);
  });
});
