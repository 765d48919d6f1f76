import assert from 'node:assert/strict';
import { Socket as HostSocket } from 'node:net';
import type { Net, Socket } from '#src/api/net.js';
import { next, type Pair, pause, until } from '../support/live-pair.js';
import { type Failure, netPair } from '../support/net-pair.js';

describe('net', () => {
  let a: Net;
  let b: Net;
  let pair: Pair;
  const { listening, joined, ended, text } = netPair((netA, netB, both) => {
    a = netA;
    b = netB;
    pair = both;
  });

  describe('a connection', () => {
    it('echoes, and its events come in the order of Node', async () => {
      const events: string[] = [];
      const server = b.createServer((socket) => {
        for (const name of ['end', 'finish', 'close']) socket.on(name, () => events.push(`server ${name}`));
        socket.on('data', (chunk) => socket.write(chunk));
      });
      await listening(server, 80);
      const client = a.connect(80, '10.0.0.2');
      assert.equal(client.connecting, true);
      assert.equal(client.pending, true);
      assert.equal(client.readyState, 'opening');
      for (const name of ['lookup', 'connectionAttempt', 'connect', 'ready', 'data', 'end', 'finish', 'close']) {
        client.on(name, () => {
          events.push(name);
          if (name === 'data') client.end();
        });
      }
      client.write('hello');
      const [hadError] = await next<[boolean]>(client, 'close');
      assert.equal(hadError, false);
      await until(() => events.includes('server close'));
      assert.deepEqual(
        events.filter((e) => !e.startsWith('server')),
        ['connectionAttempt', 'connect', 'ready', 'data', 'finish', 'end', 'close'],
      );
      assert.deepEqual(
        events.filter((e) => e.startsWith('server')),
        ['server end', 'server finish', 'server close'],
      );
      assert.deepEqual([client.bytesRead, client.bytesWritten, client.readyState], [5, 5, 'closed']);
      await ended(server);
    });

    it('knows its addresses on both sides', async () => {
      const [client, peer, server] = await joined();
      assert.deepEqual(server.address(), { address: '::', family: 'IPv6', port: 80 });
      assert.deepEqual([client.remoteAddress, client.remotePort, client.remoteFamily], ['10.0.0.2', 80, 'IPv4']);
      assert.deepEqual(client.address(), { address: '10.0.0.1', family: 'IPv4', port: peer.remotePort });
      assert.deepEqual([peer.localAddress, peer.localPort, peer.localFamily], ['::ffff:10.0.0.2', 80, 'IPv6']);
      assert.equal(client.readyState, 'open');
      await ended(client, peer);
      assert.equal(client.remoteAddress, '10.0.0.2');
      assert.deepEqual(client.address(), {});
      await ended(server);
    });

    it('localhost and a given lookup are names; others are ENOTFOUND', async () => {
      const server = await listening(a.createServer(), 80, 'localhost');
      const seen: unknown[][] = [];
      const client = a.connect(80);
      client.on('lookup', (...args) => seen.push(args));
      await next(client, 'connect');
      assert.deepEqual(seen, [
        [null, '127.0.0.1', 4, 'localhost'],
        [null, '::1', 6, 'localhost'],
      ]);
      const lost = a.connect(80, 'nowhere.example');
      const [error] = await next<[Failure & { hostname: string }]>(lost, 'error');
      assert.deepEqual([error.code, error.syscall, error.hostname], ['ENOTFOUND', 'getaddrinfo', 'nowhere.example']);
      const found = a.connect({
        port: 80,
        host: 'me',
        lookup: (_name: string, _options: object, done: (e: null, address: string, family: number) => void) => done(null, '127.0.0.1', 4),
      });
      await next(found, 'connect');
      await ended(client, found, server);
    });

    it('half-open: each direction ends by itself', async () => {
      const [client, peer, server] = await joined({ allowHalfOpen: true }, { allowHalfOpen: true });
      client.end('question');
      assert.equal(await text(peer), 'question');
      assert.equal(peer.readyState, 'writeOnly');
      peer.end('answer');
      assert.equal(await text(client), 'answer');
      await ended(server);
    });

    it('without allowHalfOpen the end of one side ends the other', async () => {
      const [client, peer, server] = await joined();
      peer.resume();
      client.end();
      client.resume();
      await Promise.all([next(client, 'close'), next(peer, 'close')]);
      const [error] = await new Promise<[Failure]>((resolve) => client.write('late', (e) => resolve([e as Failure])));
      assert.ok(['EPIPE', 'ERR_STREAM_DESTROYED', 'ERR_STREAM_WRITE_AFTER_END'].includes(error.code as string));
      client.on('error', () => {});
      await ended(server);
    });

    it('writes before the connection is there, in order, corked or not', async () => {
      const server = await listening(b.createServer(), 80);
      const client = a.connect(80, '10.0.0.2');
      client.write('a');
      client.cork();
      client.write('b');
      client.write('6362', 'hex');
      client.uncork();
      client.end('d');
      assert.equal(client.bytesWritten, 5);
      const [peer] = await next<[Socket]>(server, 'connection');
      assert.equal(await text(peer), 'abcbd');
      await ended(client, server);
    });

    it('resetAndDestroy resets: ECONNRESET at the peer', async () => {
      const [client, peer, server] = await joined();
      client.resetAndDestroy();
      const [error] = await next<[Failure]>(peer, 'error');
      assert.deepEqual([error.code, error.syscall, error.errno], ['ECONNRESET', 'read', -104]);
      await ended(server);
    });

    it('a port where nobody listens refuses', async () => {
      const client = a.connect(81, '10.0.0.2');
      const [error] = await next<[Failure]>(client, 'error');
      assert.deepEqual([error.code, error.errno, error.syscall, error.address, error.port], ['ECONNREFUSED', -111, 'connect', '10.0.0.2', 81]);
      assert.equal(error.message, 'connect ECONNREFUSED 10.0.0.2:81');
      const [hadError] = await next<[boolean]>(client, 'close');
      assert.equal(hadError, true);
    });

    it('connects again after it was destroyed', async () => {
      const [client, peer, server] = await joined();
      await ended(client, peer);
      client.connect(80, '10.0.0.2');
      const [again] = await next<[Socket]>(server, 'connection');
      client.end('second life');
      assert.equal(await text(again), 'second life');
      client.resume();
      await next(client, 'close');
      await ended(server);
    });

    it('localAddress and localPort bind it; a foreign address fails', async () => {
      const server = await listening(b.createServer(), 80);
      const client = a.connect({ port: 80, host: '10.0.0.2', localAddress: '10.0.0.1', localPort: 4_000 });
      await next(client, 'connect');
      assert.equal(client.localPort, 4_000);
      const wrong = a.connect({ port: 80, host: '10.0.0.2', localAddress: '10.0.0.9' });
      const [error] = await next<[Failure]>(wrong, 'error');
      assert.deepEqual([error.code, error.syscall], ['EADDRNOTAVAIL', 'bind']);
      await ended(client, server);
    });

    it('destroyed while it connects: a write under way hears of it', async () => {
      const server = await listening(b.createServer(), 80);
      const client = a.connect(80, '10.0.0.2');
      const failed = new Promise<Failure>((resolve) => client.write('x', (e) => resolve(e as Failure)));
      client.destroy();
      assert.equal((await failed).code, 'ERR_SOCKET_CLOSED_BEFORE_CONNECTION');
      await ended(server);
    });

    it('a signal destroys it with AbortError', async () => {
      const control = new AbortController();
      const [client, peer, server] = await joined({}, { signal: control.signal });
      peer.on('error', () => {});
      peer.resume();
      control.abort();
      const [error] = await next<[Error]>(client, 'error');
      assert.equal(error.name, 'AbortError');
      await ended(server);
    });

    it('refuses wrong arguments with the codes of Node', () => {
      assert.throws(() => a.connect({}), { code: 'ERR_MISSING_ARGS', name: 'TypeError' });
      assert.throws(() => a.connect(70_000), { code: 'ERR_SOCKET_BAD_PORT', name: 'RangeError' });
      assert.throws(() => a.connect({ port: {} }), { code: 'ERR_INVALID_ARG_TYPE', name: 'TypeError' });
      assert.throws(() => a.connect({ port: 1, localAddress: 'x' }), { code: 'ERR_INVALID_IP_ADDRESS' });
      assert.throws(() => a.connect({ port: 1, lookup: 5 }), { code: 'ERR_INVALID_ARG_TYPE' });
      assert.throws(() => a.connect({ port: 1, hints: 1 }), { code: 'ERR_INVALID_ARG_VALUE' });
      assert.throws(() => new a.Socket({ objectMode: true } as object), { code: 'ERR_INVALID_ARG_VALUE' });
      const socket = new a.Socket();
      assert.throws(() => socket.setTimeout(-1), { code: 'ERR_OUT_OF_RANGE' });
      assert.throws(() => socket.setTimeout('1' as unknown as number), { code: 'ERR_INVALID_ARG_TYPE' });
      assert.throws(() => socket.setTypeOfService(256), { code: 'ERR_OUT_OF_RANGE' });
      assert.throws(() => socket.setTypeOfService(Number.NaN), { code: 'ERR_INVALID_ARG_TYPE' });
      assert.equal(a.Socket.prototype.bytesWritten, undefined);
      assert.ok(new HostSocket() instanceof a.Socket, 'a Unix socket is one as well');
      socket.destroy();
    });
  });

  describe('time and options', () => {
    it('timeout comes after idleness only', async () => {
      const [client, peer, server] = await joined();
      let last = performance.now();
      client.on('data', () => {
        last = performance.now();
      });
      const idle: number[] = [];
      client.setTimeout(60, () => idle.push(performance.now() - last));
      assert.equal(client.timeout, 60);
      for (let i = 0; i < 5; i++) {
        peer.write('x');
        await pause(20);
      }
      if (idle.length === 0) await next(client, 'timeout');
      assert.ok(
        idle.every((ms) => ms > 58),
        `after ${idle.join(', ')} ms`,
      );
      client.setTimeout(0);
      await ended(client, peer, server);
    });

    it('options set before the connection are those of the connection', async () => {
      const server = await listening(b.createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: 7_000 }), 80);
      const client = new a.Socket({ noDelay: true });
      client.setKeepAlive(true, 5_000).setUserTimeout(9_000);
      client.connect(80, '10.0.0.2');
      const [peer] = await next<[Socket]>(server, 'connection');
      if (client.connecting) await next(client, 'connect');
      assert.deepEqual(
        ['TCP_NODELAY', 'SO_KEEPALIVE', 'TCP_KEEPIDLE', 'TCP_USER_TIMEOUT'].map((name) => client.getOption(name)),
        [1, 1, 5, 9_000],
      );
      assert.deepEqual(
        ['TCP_NODELAY', 'SO_KEEPALIVE', 'TCP_KEEPIDLE'].map((name) => peer.getOption(name)),
        [1, 1, 7],
      );
      client.setNoDelay(false).setOption('TCP_CONGESTION', 'reno');
      assert.deepEqual([client.getOption('TCP_NODELAY'), client.getOption('TCP_CONGESTION')], [0, 'reno']);
      assert.equal(client.info()?.state, 'ESTABLISHED');
      assert.throws(() => client.setOption('TCP_NO_SUCH', 1), { code: 'ENOPROTOOPT' });
      await ended(client, peer, server);
    });

    it('holds the process while connected or listening, unless unreferenced', async () => {
      let holds = 0;
      for (const { hyper } of [pair.a, pair.b]) {
        const { hold, release } = hyper;
        hyper.hold = () => {
          holds++;
          hold.call(hyper);
        };
        hyper.release = () => {
          holds--;
          release.call(hyper);
        };
      }
      const [client, peer, server] = await joined();
      assert.equal(holds, 3);
      client.unref();
      server.unref();
      assert.equal(holds, 1);
      client.ref();
      assert.equal(holds, 2);
      await ended(client, peer, server);
      assert.equal(holds, 0);
    });
  });
});
