import assert from 'node:assert/strict';
import type { AddressInfo } from 'node:net';
import type { Net, Server, Socket } from '#src/api/net.js';
import { next, pause } from '../support/live-pair.js';
import { type Failure, netPair } from '../support/net-pair.js';

describe('net: servers', () => {
  let a: Net;
  let b: Net;
  const { listening, joined, ended } = netPair((netA, netB) => {
    a = netA;
    b = netB;
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
      for (const wrong of [{}, { port: false }, { fd: -1 }, { path: -1 }, { host: 'x' }])
        assert.throws(() => b.createServer().listen(wrong as object), { code: 'ERR_INVALID_ARG_VALUE' });
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
});
