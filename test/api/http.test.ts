import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage, Server } from 'node:http';
import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2';
import { createRequire } from 'node:module';
import hostTls from 'node:tls';
import { createHttp, createHttp2, createHttps, createTls, type Http } from '#src/api/http.js';
import { createNet, type Net, type Socket } from '#src/api/net.js';
import { cert, key } from '../support/certificate.js';
import { next, Pair, pause } from '../support/live-pair.js';

describe('http, https, tls and http2', () => {
  let pair: Pair;
  let a: Net;
  let b: Net;

  beforeEach(() => {
    pair = new Pair();
    a = createNet(pair.a);
    b = createNet(pair.b);
  });

  afterEach('nothing is left', () => pair.close());

  const body = async (message: AsyncIterable<unknown>): Promise<string> => {
    let all = '';
    for await (const chunk of message) all += String(chunk);
    return all;
  };

  const get = async (http: Http, url: string, options: object = {}): Promise<[IncomingMessage, string]> => {
    const [response] = (await once(http.get(url, options), 'response')) as [IncomingMessage];
    return [response, await body(response)];
  };

  const serve = async (server: Server, port: number): Promise<Server> => {
    server.listen(port);
    await next(server, 'listening');
    return server;
  };

  it('http: requests, keep-alive on one connection, and close', async () => {
    const server = await serve(
      createHttp(b).createServer(async (request, response) => {
        response.setHeader('x-peer', String(request.socket.remoteAddress));
        response.end(`${request.method} ${request.url} ${await body(request)}`);
      }),
      80,
    );
    const http = createHttp(a);
    let connections = 0;
    server.on('connection', () => connections++);
    for (let i = 0; i < 5; i++) {
      const [response, text] = await get(http, `http://10.0.0.2/${i}?q`);
      assert.deepEqual([response.statusCode, text, response.headers['x-peer']], [200, `GET /${i}?q `, '::ffff:10.0.0.1']);
    }
    assert.equal(connections, 1);
    const request = http.request({ host: '10.0.0.2', method: 'POST', path: '/up', agent: false });
    request.end('x'.repeat(200_000));
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    assert.equal((await body(response)).length, 200_009);
    assert.equal(connections, 2);
    server.close();
    server.closeAllConnections();
    await next(server, 'close');
    http.globalAgent.destroy();
  });

  it('http: a large response at the pace of its reader', async () => {
    const chunk = Buffer.alloc(100_000, 7);
    let written = 0;
    const server = await serve(
      createHttp(b).createServer((_request, response) => {
        const write = (): void => {
          while (written < 30_000_000) {
            written += chunk.length;
            if (!response.write(chunk)) return void response.once('drain', write);
          }
          response.end();
        };
        write();
      }),
      80,
    );
    const http = createHttp(a);
    const [response] = (await once(http.get('http://10.0.0.2/'), 'response')) as [IncomingMessage];
    await pause(100);
    assert.ok(written < 30_000_000, 'nobody reads, so the writer waits');
    let octets = 0;
    for await (const part of response) octets += (part as Buffer).length;
    assert.equal(octets, 30_000_000);
    server.close();
    http.globalAgent.destroy();
    await next(server, 'close');
  });

  it('http: upgrade, timeouts, aborted requests, pipelined requests', async () => {
    const server = createHttp(b).createServer((request, response) => {
      if (request.url === '/slow') request.on('close', () => server.emit('aborted'));
      else response.end(request.url);
    });
    await serve(server, 80);
    server.on('upgrade', (_request, socket) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n');
      socket.pipe(socket);
    });
    const http = createHttp(a);
    const [, socket] = (await once(http.get('http://10.0.0.2/', { headers: { connection: 'upgrade', upgrade: 'echo' } }), 'upgrade')) as [
      IncomingMessage,
      Socket,
    ];
    socket.end('echoed');
    assert.equal(await body(socket), 'echoed');
    const slow = http.get('http://10.0.0.2/slow', { timeout: 30 });
    slow.on('error', () => {});
    await next(slow, 'timeout');
    slow.destroy();
    await next(server, 'aborted');
    const raw = a.connect(80, '10.0.0.2');
    raw.write('GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    assert.match(await body(raw), /\/1HTTP.*\/2$/s);
    server.close();
    http.globalAgent.destroy();
    await next(server, 'close');
  });

  it('http.Server: without new, by inheritance, and with the addresses of the stack', async () => {
    const http = createHttp(b);
    const server = (http.Server as unknown as (f: (q: unknown, r: { end(s: string): void }) => void) => Server)((_q, r) => r.end('plain'));
    assert.ok(server instanceof http.Server);
    await serve(server, 8_080);
    assert.deepEqual(server.address(), { address: '::', family: 'IPv6', port: 8_080 });
    const client = createHttp(a);
    assert.equal((await get(client, 'http://10.0.0.2:8080/'))[1], 'plain');
    client.globalAgent.destroy();
    await server[Symbol.asyncDispose]();
  });

  it('https: sessions and verification are those of Node', async () => {
    const https = createHttps(b);
    const server = https.createServer({ key, cert }, (request, response) => {
      assert.equal((request.socket as hostTls.TLSSocket).encrypted, true);
      response.end(`secure ${request.url}`);
    });
    await serve(server, 443);
    const client = createHttps(a);
    const [, text] = await get(client as unknown as Http, 'https://10.0.0.2/x', { ca: cert });
    assert.equal(text, 'secure /x');
    const [error] = await next<[NodeJS.ErrnoException]>(client.get('https://10.0.0.2/', { agent: new client.Agent() }), 'error');
    assert.equal(error.code, 'DEPTH_ZERO_SELF_SIGNED_CERT');
    client.globalAgent.destroy();
    server.close();
    server.closeAllConnections();
    await next(server, 'close');
  });

  it('tls: connect, a given socket, STARTTLS on both sides, and large transfers', async () => {
    const server = createTls(b).createServer({ key, cert }, (socket) => void socket.pipe(socket));
    server.listen(8_443);
    await next(server, 'listening');
    const tls = createTls(a);
    const options = { ca: cert, servername: 'anystack.test' };
    const one = tls.connect(8_443, '10.0.0.2', options);
    await next(one, 'secureConnect');
    assert.equal(one.authorized, true);
    const sent = Buffer.alloc(3_000_000, 'pattern');
    one.end(sent);
    assert.equal(await body(one), sent.toString());
    const given = a.connect(8_443, '10.0.0.2');
    await next(given, 'connect');
    const two = hostTls.connect({ socket: given, ...options });
    two.end('over a socket that is there');
    assert.equal(await body(two), 'over a socket that is there');
    server.close();
    await next(server, 'close');

    const plain = b.createServer((socket) => {
      socket.once('data', () => {
        socket.write('go');
        const secure = new hostTls.TLSSocket(socket, { isServer: true, secureContext: hostTls.createSecureContext({ key, cert }) });
        secure.pipe(secure);
      });
    });
    plain.listen(25);
    const start = a.connect(25, '10.0.0.2');
    start.write('STARTTLS');
    await once(start, 'data');
    const three = hostTls.connect({ socket: start, ...options });
    three.end('upgraded');
    assert.equal(await body(three), 'upgraded');
    plain.close();
    await next(plain, 'close');
  });

  it('tls: shows the addresses of the socket beneath; and works where our class stands in for that of Node', async () => {
    const require = createRequire(import.meta.url);
    const host = require('node:net') as { Socket: unknown };
    const { Socket } = host;
    host.Socket = b.Socket;
    try {
      const server = createTls(b).createServer({ key, cert }, (socket) => socket.end(`${socket.remoteAddress} ${socket.localPort}`));
      server.listen(8_443);
      await next(server, 'listening');
      const client = createTls(a).connect({ port: 8_443, host: '10.0.0.2', ca: cert });
      await next(client, 'secureConnect');
      assert.deepEqual([client.remoteAddress, client.remotePort, client.localAddress], ['10.0.0.2', 8_443, '10.0.0.1']);
      assert.equal(await body(client), '::ffff:10.0.0.1 8443');
      server.close();
      await next(server, 'close');
    } finally {
      host.Socket = Socket;
    }
  });

  it('http2: in clear and over TLS', async () => {
    const http2 = createHttp2(b);
    const answer = (stream: { respond(h: object): void; end(s: string): void }, headers: Record<string, unknown>): void => {
      stream.respond({ ':status': 200 });
      stream.end(`path ${String(headers[':path'])}`);
    };
    const servers = [http2.createServer(), http2.createSecureServer({ key, cert })] as const;
    const client = createHttp2(a);
    for (const [i, server] of servers.entries()) {
      server.on('stream', answer);
      server.listen(8_000 + i);
      await next(server, 'listening');
      const session: ClientHttp2Session = client.connect(`${i === 0 ? 'http' : 'https'}://10.0.0.2:${8_000 + i}`, { ca: cert });
      const streams: ClientHttp2Stream[] = [session.request({ ':path': '/1' }), session.request({ ':path': '/2' })];
      assert.deepEqual(await Promise.all(streams.map(body)), ['path /1', 'path /2']);
      session.close();
      await next(session, 'close');
      server.close();
      await next(server, 'close');
    }
  });
});
