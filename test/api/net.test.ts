import assert from 'node:assert/strict';
import type { AddressInfo } from 'node:net';
import { createNet, type Net, type Server, type Socket } from '#src/api/net.js';
import { next, Pair, pause, until } from '../support/live-pair.js';

type Failure = NodeJS.ErrnoException & { address?: string; port?: number };

describe('net', () => {
  let pair: Pair;
  let a: Net;
  let b: Net;

  beforeEach(() => {
    pair = new Pair();
    a = createNet(pair.a);
    b = createNet(pair.b);
  });

  afterEach('nothing is left', () => pair.close());

  const listening = async (server: Server, ...args: unknown[]): Promise<Server> => {
    (server.listen as (...a: unknown[]) => void)(...args);
    await next(server, 'listening');
    return server;
  };

  /** A connection: its two ends and the server. */
  const joined = async (options: object = {}, dial: object = {}): Promise<[Socket, Socket, Server]> => {
    const server = await listening(b.createServer(options), 80);
    const client = a.connect({ port: 80, host: '10.0.0.2', ...dial });
    const [peer] = await next<[Socket]>(server, 'connection');
    if (client.connecting) await next(client, 'connect');
    return [client, peer, server];
  };

  const ended = async (...all: (Socket | Server)[]): Promise<void> => {
    for (const one of all) {
      const gone = next(one, 'close');
      if ('destroy' in one) {
        if (one.closed) continue;
        one.destroy();
      } else one.close();
      await gone;
    }
  };

  const text = async (socket: Socket): Promise<string> => {
    let all = '';
    socket.on('data', (chunk) => {
      all += chunk;
    });
    await next(socket, 'end');
    return all;
  };

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
      const found = a.connect({ port: 80, host: 'me', lookup: (_name: string, _options: object, done: (e: null, address: string, family: number) => void) => done(null, '127.0.0.1', 4) });
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
      assert.throws(() => new a.Socket({ objectMode: true } as object), { code: 'ERR_INVALID_ARG_VALUE' });
      const socket = new a.Socket();
      assert.throws(() => socket.setTimeout(-1), { code: 'ERR_OUT_OF_RANGE' });
      assert.throws(() => socket.setTimeout('1' as unknown as number), { code: 'ERR_INVALID_ARG_TYPE' });
      socket.destroy();
    });
  });

  describe('flow', () => {
    const BULK = 4 << 20;

    it('moves bulk data unharmed, at most 64 KB a time', async () => {
      const [client, peer, server] = await joined();
      const sent = Buffer.alloc(BULK);
      for (let i = 0; i < BULK; i++) sent[i] = i % 251;
      client.end(sent);
      const parts: Buffer[] = [];
      peer.on('data', (chunk) => parts.push(chunk));
      await next(peer, 'end');
      assert.ok(parts.every((p) => p.length <= 65_536));
      assert.ok(Buffer.concat(parts).equals(sent));
      assert.equal(peer.bytesRead, BULK);
      assert.equal(client.bytesWritten, BULK);
      client.resume();
      await next(client, 'close');
      await ended(server);
    });

    it('a paused reader shuts the window, the writer stops, and drain follows its reading', async () => {
      const [client, peer, server] = await joined({ pauseOnConnect: true });
      let drained = 0;
      client.on('drain', () => drained++);
      let written = 0;
      const chunk = Buffer.alloc(65_536, 1);
      // As a program should: stops at false, goes on at drain.
      const write = (): void => {
        while (written < 64 << 20) {
          written += chunk.length;
          if (!client.write(chunk)) return void client.once('drain', write);
        }
      };
      write();
      await pause(150);
      const stopped = written;
      assert.ok(stopped < 64 << 20, 'the writer stops');
      assert.equal(client.writableNeedDrain, true);
      assert.equal(client.info()?.snd_wnd === 0 || (client.info()?.unacked ?? 0) > 0 || (client.info()?.notsent_bytes ?? 0) > 0, true);
      await pause(50);
      assert.equal(written, stopped, 'and stays so');
      let read = 0;
      peer.on('data', (d) => {
        read += d.length;
      });
      peer.resume();
      await until(() => read === 64 << 20);
      assert.ok(drained > 0);
      await ended(client, peer, server);
    });

    it('onread reads into the memory of the program, and stops when asked', async () => {
      const buffer = Buffer.alloc(1_000);
      let got = '';
      let go = true;
      const server = await listening(b.createServer((s) => void s.end('x'.repeat(2_500))), 80);
      const client = a.connect({
        port: 80,
        host: '10.0.0.2',
        onread: {
          buffer,
          callback(octets: number, into: Uint8Array) {
            assert.equal(into, buffer);
            got += into.subarray(0, octets).toString();
            return go;
          },
        },
      });
      go = false;
      await until(() => got.length === 1_000);
      await pause(20);
      assert.equal(got.length, 1_000);
      go = true;
      client.resume();
      await next(client, 'end');
      assert.equal(got.length, 2_500);
      assert.equal(client.bytesRead, 2_500);
      await ended(client, server);
    });

    it('a listener that throws loses nothing', async () => {
      const [client, peer, server] = await joined();
      let seen = '';
      peer.on('data', (d) => {
        seen += d;
        if (seen === '1') throw new RangeError('of the application');
      });
      const before = process.listeners('uncaughtException');
      process.removeAllListeners('uncaughtException');
      const caught = new Promise<Error>((resolve) => process.once('uncaughtException', resolve));
      client.write('1');
      assert.equal((await caught).message, 'of the application');
      for (const listener of before) process.on('uncaughtException', listener);
      client.write('2');
      await until(() => seen === '12');
      await ended(client, peer, server);
    });

    it('async iteration and pipe work as on any Duplex', async () => {
      const server = await listening(
        b.createServer((s) => void s.pipe(s)),
        80,
      );
      const client = a.connect(80, '10.0.0.2');
      client.end('there and back');
      let all = '';
      for await (const chunk of client) all += String(chunk);
      assert.equal(all, 'there and back');
      await ended(server);
    });
  });

  describe('time and options', () => {
    it('timeout comes after idleness only', async () => {
      const [client, peer, server] = await joined();
      let fired = 0;
      client.setTimeout(60, () => fired++);
      assert.equal(client.timeout, 60);
      for (let i = 0; i < 5; i++) {
        peer.write('x');
        client.resume();
        await pause(20);
      }
      assert.equal(fired, 0);
      await next(client, 'timeout');
      assert.equal(fired, 1);
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

  describe('a server', () => {
    it('listens in all the ways of Node', async () => {
      const ways: [unknown[], Partial<AddressInfo>][] = [
        [[], { address: '::', family: 'IPv6' }],
        [[80, '0.0.0.0'], { address: '0.0.0.0', family: 'IPv4' }],
        [[81], { port: 81 }],
        [['82'], { port: 82 }],
        [[83, '10.0.0.2'], { address: '10.0.0.2', port: 83 }],
        [[84, '10.0.0.2', 5], { port: 84 }],
        [[85, 5], { port: 85 }],
        [[{ port: 86, host: '127.0.0.1', backlog: 2 }], { address: '127.0.0.1', port: 86 }],
        [[{ port: null }], {}],
      ];
      for (const [args, expected] of ways) {
        const server = b.createServer();
        let called = false;
        await listening(server, ...args, () => {
          called = true;
        });
        const at = server.address() as AddressInfo;
        assert.deepEqual({ ...at, ...expected }, at);
        assert.ok(at.port > 0 && called && server.listening);
        await ended(server);
        assert.equal(server.address(), null);
      }
    });

    it('reports a port in use, and may not listen twice', async () => {
      const first = await listening(b.createServer(), 80);
      const second = b.createServer();
      second.listen(80);
      const [error] = await next<[Failure]>(second, 'error');
      assert.deepEqual([error.code, error.errno, error.syscall, error.address, error.port], ['EADDRINUSE', -98, 'listen', '::', 80]);
      assert.throws(() => first.listen(81), { code: 'ERR_SERVER_ALREADY_LISTEN' });
      assert.throws(() => b.createServer().listen(-1), { code: 'ERR_SOCKET_BAD_PORT' });
      assert.throws(() => b.createServer().listen({} as object), { code: 'ERR_INVALID_ARG_VALUE' });
      await ended(first);
      await listening(second, 80);
      await ended(second);
    });

    it('maxConnections drops and tells whom', async () => {
      const server = await listening(b.createServer(), 80);
      server.maxConnections = 1;
      const kept = a.connect(80, '10.0.0.2');
      await next(server, 'connection');
      const dropped = a.connect(80, '10.0.0.2');
      dropped.on('error', () => {});
      const [data] = await next<[Record<string, unknown>]>(server, 'drop');
      assert.deepEqual([data['remoteAddress'], data['localPort'], data['remoteFamily']], ['::ffff:10.0.0.1', 80, 'IPv6']);
      await next(dropped, 'close');
      const count = await new Promise<number>((resolve) => server.getConnections((_e, n) => resolve(n)));
      assert.equal(count, 1);
      await ended(kept);
      await ended(server);
    });

    it('close waits for connections, and then tells', async () => {
      const [client, peer, server] = await joined();
      let closed = false;
      server.close(() => {
        closed = true;
      });
      assert.equal(server.listening, false);
      await pause(30);
      assert.equal(closed, false);
      const refused = a.connect(80, '10.0.0.2');
      assert.equal((await next<[Failure]>(refused, 'error'))[0].code, 'ECONNREFUSED');
      client.destroy();
      peer.destroy();
      await next(server, 'close');
      assert.equal(closed, true);
      const error = await new Promise<Failure | undefined>((resolve) => server.close((e) => resolve(e)));
      assert.equal(error?.code, 'ERR_SERVER_NOT_RUNNING');
    });

    it('a signal closes it; await using does', async () => {
      const control = new AbortController();
      const server = await listening(b.createServer(), { port: 80, signal: control.signal });
      control.abort();
      await next(server, 'close');
      const other = await listening(b.createServer(), 80);
      await other[Symbol.asyncDispose]();
      assert.equal(other.listening, false);
    });

    it('block lists keep strangers out, on either side', async () => {
      const list = new b.BlockList();
      list.addAddress('10.0.0.1');
      const server = await listening(Object.assign(b.createServer(), { blockList: list }), 80);
      server.on('connection', () => assert.fail('blocked'));
      const client = a.connect(80, '10.0.0.2');
      client.on('error', () => {});
      client.resume();
      await next(client, 'close');
      const mine = new a.BlockList();
      mine.addAddress('10.0.0.2');
      const refused = a.connect({ port: 80, host: '10.0.0.2', blockList: mine });
      assert.equal((await next<[Failure]>(refused, 'error'))[0].code, 'ERR_IP_BLOCKED');
      await ended(server);
    });

    it('may be made without new, by inheritance old and new', async () => {
      const plain = (b.Server as unknown as (f: () => void) => Server)(() => {});
      assert.ok(plain instanceof b.Server);
      function Old(this: Server): void {
        (b.Server as unknown as { call(self: Server): void }).call(this);
      }
      Object.setPrototypeOf(Old.prototype, b.Server.prototype);
      const old = new (Old as unknown as new () => Server)();
      await listening(old, 80);
      class Modern extends a.Socket {
        extra = 1;
      }
      const modern = new Modern();
      modern.connect(80, '10.0.0.2');
      await next(modern, 'connect');
      assert.ok(modern instanceof a.Socket && modern.extra === 1);
      const bare = (a.Socket as unknown as () => Socket)();
      assert.ok(bare instanceof a.Socket && bare instanceof a.Stream);
      bare.destroy();
      await ended(modern, old);
    });
  });

  describe('a race of addresses', () => {
    const lookup = (addresses: string[]) => (_name: string, options: { all?: boolean }, done: (e: null, found: unknown, family?: number) => void) => {
      assert.equal(options.all, true);
      const found = addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
      process.nextTick(() => done(null, found));
    };

    it('RFC 8305 §5: the next address has its turn when the first fails', async () => {
      const server = await listening(b.createServer(), 80);
      const failed: string[] = [];
      const client = a.connect({ port: 80, host: 'peer', lookup: lookup(['fd00::2', '10.0.0.2']) });
      client.on('connectionAttemptFailed', (address: string) => failed.push(address));
      await next(client, 'connect');
      assert.deepEqual(failed, ['fd00::2']);
      assert.equal(client.remoteAddress, '10.0.0.2');
      assert.deepEqual(client.autoSelectFamilyAttemptedAddresses, ['fd00::2:80', '10.0.0.2:80']);
      await ended(client, server);
    });

    it('RFC 8305 §5: and when it is slow, and the first to answer wins', async () => {
      const server = await listening(b.createServer(), 80);
      const client = a.connect({ port: 80, host: 'peer', autoSelectFamilyAttemptTimeout: 20, lookup: lookup(['10.0.0.77', '10.0.0.2']) });
      await next(client, 'connect');
      assert.equal(client.remoteAddress, '10.0.0.2');
      await ended(client, server);
    });

    it('all fail: one error with all of them', async () => {
      const client = a.connect({ port: 81, host: 'peer', lookup: lookup(['10.0.0.2', '10.0.0.1']) });
      const [error] = await next<[AggregateError & { code: string }]>(client, 'error');
      assert.equal(error.code, 'ECONNREFUSED');
      assert.deepEqual(
        error.errors.map((e: Failure) => e.address),
        ['10.0.0.2', '10.0.0.1'],
      );
    });
  });

  describe('the end of a stack', () => {
    it('closed: connections and servers close without an error', async () => {
      const [client, , server] = await joined();
      const gone = Promise.all([next<[boolean]>(client, 'close'), next(server, 'close')]);
      pair.a.close();
      pair.b.close();
      const [[hadError]] = await gone;
      assert.equal(hadError, false);
    });

    it('failed: an error names the stack and the assertion', async () => {
      const [client, peer, server] = await joined();
      peer.on('error', () => {});
      pair.devices[0].transmit = () => -1;
      client.write('x');
      const [error] = await next<[Failure & { cause: Error }]>(client, 'error');
      assert.deepEqual([error.code, error.syscall, error.cause.name], ['EIO', 'read', 'AssertionError']);
      assert.match(error.message, /stack 'a' failed: not true that a device takes of what it was offered/);
      assert.equal(pair.failures.splice(0).length, 1);
      await ended(peer, server);
    });
  });
});
