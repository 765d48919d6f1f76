import assert from 'node:assert/strict';
import type { Net } from '#src/api/net.js';
import { next, type Pair, pause, until } from '../support/live-pair.js';
import { type Failure, netPair } from '../support/net-pair.js';

describe('net: flow', () => {
  let a: Net;
  let b: Net;
  let pair: Pair;
  const { listening, joined, ended } = netPair((netA, netB, both) => {
    a = netA;
    b = netB;
    pair = both;
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
      const server = await listening(
        b.createServer((s) => void s.end('x'.repeat(2_500))),
        80,
      );
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
