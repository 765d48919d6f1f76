import assert from 'node:assert/strict';
import { createStack } from '#src/index.js';

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
