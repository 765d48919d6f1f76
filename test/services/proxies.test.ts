import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import http from 'node:http';
import { connect, type Server, type Socket } from 'node:net';
import { Prng } from '#src/base/prng.js';
import type { AnyStack, Config } from '#src/index.js';
import { all, freePort, some } from '../support/host-sockets.js';
import { pair } from '../support/pair.js';
import { until } from '../support/until.js';
import { hex } from '../support/wire.js';

describe('proxies', () => {
  let one: AnyStack;
  let two: AnyStack;
  let port: number;
  const drops = (): Readonly<Record<string, number>> => one.nstat().drops;

  async function begin(config: (place: string) => Config): Promise<void> {
    port = await freePort();
    [one, two] = await pair(config(`host:127.0.0.1:${port}`));
    one.events.on('log', () => {}); // in the place of stderr
  }

  const end = async (): Promise<void> => {
    await two.close();
    await one.close();
    assert.deepEqual(one.nstat().held, { packets: 0, slots: 0, chunks: 0 });
  };
  afterEach(end);

  describe('SOCKS 5', () => {
    const site = (): Server => two.net.createServer((socket) => socket.once('data', (octets) => socket.end(`you said ${octets}`))).listen(80);
    const dial = (): Socket => connect(port, '127.0.0.1');

    it('RFC 1928: CONNECT to an address, what follows the request at once included', async () => {
      await begin((listen) => ({ proxy: { socks5: listen } }));
      const server = site();
      const client = dial();
      client.write(hex('050100 05010001 0a000002 0050 68656c6c6f'));
      const said = await all(client);
      assert.deepEqual(
        Buffer.from(said.slice(0, 12), 'latin1').toString('hex'),
        '0500050000010a000001'.padEnd(20, '0') + Buffer.from(said.slice(10, 12), 'latin1').toString('hex'),
      );
      assert.equal(said.slice(12), 'you said hello');
      server.close();
    });

    it("names are the stack's to look up; what cannot be reached has its reply", async () => {
      await begin((listen) => ({ proxy: { socks5: listen } }));
      for (const [request, reply] of [
        ['05010003 09 6c6f63616c686f7374 0009', '05'], // nobody listens there
        ['05010003 0c 6e6f2e737563682e6e616d65 0050', '04'],
        ['05010001 c6336401 0050', '03'], // no route
        ['05020001 0a000002 0050', '07'], // BIND
        ['05010001 0a000002 0000', '04'],
      ] as const) {
        const client = dial();
        client.write(hex(`050100 ${request}`));
        assert.equal(
          Buffer.from(await all(client), 'latin1')
            .toString('hex')
            .slice(0, 8),
          `050005${reply}`,
          request,
        );
      }
    });

    it('RFC 1929: users have passwords, and only those who know one come in', async () => {
      await begin((listen) => ({ proxy: { socks5: { listen, users: { ann: 'secret' } } } }));
      const server = site();
      for (const [words, answer] of [
        ['050100', '05ff'],
        ['050102 0103616e6e06736563726574 05010001 0a000002 0050 78', '050201000500'],
        ['050102 0103616e6e0473656372', '05020101'],
        ['050102 0103626f6206736563726574', '05020101'],
      ] as const) {
        const client = dial();
        client.write(hex(words));
        assert.equal(
          Buffer.from(await all(client), 'latin1')
            .toString('hex')
            .slice(0, answer.length),
          answer,
          words,
        );
      }
      server.close();
    });

    it('SocksMalformed, SocksTruncated: counted, and hung up on', async () => {
      await begin((listen) => ({ proxy: { socks5: listen } }));
      const malformed = ['04010050 0a000002 00', hex2('GET / HTTP/1.1\r\n\r\n'), '0500', '050100 05010002', '050100 05010003 00'];
      for (const words of malformed) {
        const client = dial();
        client.write(hex(words));
        await all(client);
      }
      assert.equal(drops()['SocksMalformed'], malformed.length);
      const half = dial();
      half.end(hex('050100 0501'));
      await all(half);
      assert.equal(drops()['SocksTruncated'], 1);
      assert.equal(one.forward.show()[0]?.connections, 0);
    });

    it('random octets, in pieces, end a connection and nothing else', async () => {
      await begin((listen) => ({ proxy: { socks5: listen } }));
      const prng = new Prng(1_929);
      const noise = (n: number): Buffer => Buffer.from(Array.from({ length: n }, () => prng.below(256)));
      await Promise.all(
        Array.from({ length: 60 }, async (_, i) => {
          const client = dial();
          client.on('error', () => {});
          if (i % 3 > 0) client.write(hex('050100'));
          if (i % 3 > 1) client.write(hex('0501'));
          client.write(noise(1 + prng.below(300)));
          client.end(noise(prng.below(20)));
          await all(client);
        }),
      );
      await until(() => one.forward.show()[0]?.connections === 0, 'all gone');
      assert.ok((drops()['SocksMalformed'] ?? 0) > 20);
    });

    it('ForwardFull: past max there is a reply that says no', async () => {
      await begin((listen) => ({ proxy: { socks5: { listen, max: 1 } } }));
      const first = dial();
      await until(() => one.forward.show()[0]?.connections === 1, 'the first');
      const second = dial();
      second.write(hex('050100 05010001 0a000002 0050'));
      assert.match(Buffer.from(await all(second), 'latin1').toString('hex'), /^05000501/);
      assert.equal(drops()['ForwardFull'], 1);
      first.destroy();
    });

    it('RFC 1928 §7: UDP ASSOCIATE; SocksFragment, SocksUnexpected, SocksTruncated', async () => {
      await begin((listen) => ({ proxy: { socks5: listen } }));
      const server = two.dgram.createSocket('udp4');
      server.on('message', (datagram, { port: back, address }) => server.send(`${datagram}!`, back, address));
      server.bind(5_000);
      const control = dial();
      control.write(hex('050100 05030001 00000000 0000'));
      const reply = await some(control, 12);
      assert.equal(reply.toString('hex', 0, 10), '0500050000017f000001');
      const relay = reply.readUInt16BE(10);
      const [client, stranger] = [createSocket('udp4'), createSocket('udp4')];
      client.send(Buffer.concat([hex('000000 01 0a000002 1388'), Buffer.from('ask')]), relay, '127.0.0.1');
      const [answer] = (await once(client, 'message')) as [Buffer];
      assert.equal(answer.toString('latin1'), Buffer.concat([hex('000000 01 0a000002 1388'), Buffer.from('ask!')]).toString('latin1'));
      client.send(hex('000001 01 0a000002 1388 78'), relay, '127.0.0.1');
      client.send(hex('000000 01 0a00'), relay, '127.0.0.1');
      stranger.send(hex('000000 01 0a000002 1388 78'), relay, '127.0.0.1');
      await until(() => drops()['SocksFragment'] === 1 && drops()['SocksUnexpected'] === 1 && drops()['SocksTruncated'] === 1, 'three drops');
      control.end();
      await all(control);
      client.close();
      stranger.close();
      server.close();
    });
  });

  describe('HTTP proxy', () => {
    const through = (path: string, options: http.RequestOptions = {}): Promise<{ status: number; headers: http.IncomingHttpHeaders; body: string }> =>
      new Promise((resolve, reject) => {
        const request = http.request({ port, host: '127.0.0.1', path, agent: false, ...options }, (response) => {
          let body = '';
          response.on('data', (octets) => (body += String(octets)));
          response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }));
        });
        request.on('error', reject);
        request.end(options.method === 'POST' ? 'a body' : undefined);
      });

    const site = (): http.Server =>
      two.http
        .createServer((request, response) => {
          let body = '';
          request.on('data', (octets) => (body += String(octets)));
          request.on('end', () => response.end(JSON.stringify({ url: request.url, method: request.method, headers: request.headers, body })));
        })
        .listen(80);

    it('RFC 9110 §3.7: a request for an absolute URI, without what concerned one connection, and with Via', async () => {
      await begin((listen) => ({ proxy: { http: listen } }));
      const server = site();
      const { status, headers, body } = await through('http://10.0.0.2/a?b=1', {
        method: 'POST',
        headers: { host: 'else.where', 'proxy-authorization': 'x', connection: 'x-private', 'x-private': '1', 'x-kept': '2' },
      });
      const seen = JSON.parse(body) as { url: string; body: string; headers: Record<string, string> };
      assert.equal(status, 200);
      assert.deepEqual(
        [seen.url, seen.body, seen.headers['host'], seen.headers['x-kept'], seen.headers['via']],
        ['/a?b=1', 'a body', '10.0.0.2', '2', '1.1 anystack'],
      );
      assert.ok(!('x-private' in seen.headers) && !('proxy-authorization' in seen.headers));
      assert.equal(headers['via'], '1.1 anystack');
      server.close();
    });

    it('a GET with a chunked body arrives as one request, not two', async () => {
      await begin((listen) => ({ proxy: { http: listen } }));
      const server = site();
      const client = connect(port, '127.0.0.1');
      client.write(
        'GET http://10.0.0.2/one HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n1e\r\nGET /two HTTP/1.1\r\nHost: x\r\n\r\n\r\n0\r\n\r\n',
      );
      const said = await all(client);
      assert.equal(said.match(/^HTTP\/1\.1 /gm)?.length, 1, said);
      assert.match(said, /"url":"\/one".*"body":"GET \/two/);
      server.close();
    });

    it('RFC 9110 §9.3.6: CONNECT makes a tunnel', async () => {
      await begin((listen) => ({ proxy: { http: listen } }));
      const server = two.net.createServer((socket) => void socket.pipe(socket)).listen(7_000);
      const request = http.request({ port, host: '127.0.0.1', method: 'CONNECT', path: '10.0.0.2:7000', agent: false }).end();
      const [response, socket] = (await once(request, 'connect')) as [http.IncomingMessage, Socket];
      assert.equal(response.statusCode, 200);
      socket.end('through the tunnel');
      assert.equal(await all(socket), 'through the tunnel');
      server.close();
    });

    it('says no with a status and a reason', async () => {
      await begin((listen) => ({ proxy: { http: { listen, users: { ann: 'secret' } } } }));
      const basic = (pair: string): http.RequestOptions => ({ headers: { 'proxy-authorization': `Basic ${Buffer.from(pair).toString('base64')}` } });
      const ann = basic('ann:secret');
      assert.equal((await through('http://10.0.0.2/')).status, 407);
      assert.equal((await through('http://10.0.0.2/', basic('ann:Secret'))).status, 407);
      assert.equal((await through('/', ann)).status, 400);
      assert.equal((await through('ftp://10.0.0.2/', ann)).status, 400);
      const refused = await through('http://10.0.0.2/', ann);
      assert.deepEqual([refused.status, refused.body], [502, 'connect ECONNREFUSED 10.0.0.2:80\n']);
      for (const [path, status] of [
        ['10.0.0.2', 400],
        ['10.0.0.2:0', 400],
        ['10.0.0.2:99999', 400],
        ['10.0.0.2:80', 502],
      ] as const) {
        const request = http.request({ port, host: '127.0.0.1', method: 'CONNECT', path, agent: false, ...ann }).end();
        const [response] = (await once(request, 'connect')) as [http.IncomingMessage];
        assert.equal(response.statusCode, status, path);
      }
    });

    it('ForwardFull: past max there is 503', async () => {
      await begin((listen) => ({ proxy: { http: { listen, max: 1 } } }));
      const server = two.http.createServer((request) => void request).listen(80);
      const first = http.get({ port, host: '127.0.0.1', path: 'http://10.0.0.2/', agent: false });
      first.on('error', () => {});
      await until(() => one.forward.show()[0]?.connections === 1, 'the first');
      assert.equal((await through('http://10.0.0.2/')).status, 503);
      first.destroy();
      await until(() => one.forward.show()[0]?.connections === 0, 'its place back');
      server.close();
      server.closeAllConnections();
    });
  });
});

const hex2 = (text: string): string => Buffer.from(text).toString('hex');
