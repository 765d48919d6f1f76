import assert from 'node:assert/strict';
import { createSocket, type Socket as Datagrams } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { type AnyStack, type Config, createStack } from '#src/index.js';
import { all, freePort, some } from '../support/host-sockets.js';
import { pair } from '../support/pair.js';
import { until } from '../support/until.js';

describe('forwards', () => {
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

  describe('TCP forwards', () => {
    it('from the host to the stack: octets both ways, each end passed on for itself', async () => {
      await begin((from) => ({ forwards: [{ from, to: 'stack:10.0.0.2:80' }] }));
      const server = two.net.createServer({ allowHalfOpen: true }, (socket) => {
        let heard = '';
        socket.on('data', (octets) => (heard += String(octets)));
        socket.on('end', () => socket.end(heard.toUpperCase().repeat(1_000)));
      });
      server.listen(80);
      const client = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
      client.end('hello');
      assert.equal(await all(client), 'HELLO'.repeat(1_000));
      await until(() => one.forward.show()[0]?.connections === 0, 'the place given back');
      assert.deepEqual(one.forward.show(), [
        {
          kind: 'tcp',
          from: `host:127.0.0.1:${port}`,
          to: 'stack:10.0.0.2:80',
          state: 'listening',
          error: null,
          connections: 0,
          max: 256,
          total: 1,
          refused: 0,
        },
      ]);
      server.close();
    });

    it('from the stack to the host', async () => {
      const server = createServer((socket) => socket.end(`host hears ${socket.remoteAddress}`)).listen(0, '127.0.0.1');
      await once(server, 'listening');
      await begin(() => ({ forwards: [{ from: 'stack:10.0.0.1:8080', to: `host:127.0.0.1:${(server.address() as AddressInfo).port}` }] }));
      assert.equal(await all(two.net.connect(8_080, '10.0.0.1')), 'host hears 127.0.0.1');
      server.close();
    });

    it('who is refused at the far end is reset; so is who is cut off there', async () => {
      await begin((from) => ({ forwards: [{ from, to: 'stack:10.0.0.2:80' }] }));
      const refused = connect(port, '127.0.0.1');
      const [error] = (await once(refused, 'error')) as [NodeJS.ErrnoException];
      assert.equal(error.code, 'ECONNRESET');
      const server = two.net.createServer((socket) => socket.once('data', () => socket.resetAndDestroy())).listen(80);
      const cut = connect(port, '127.0.0.1');
      cut.write('x');
      assert.equal(((await once(cut, 'error')) as [NodeJS.ErrnoException])[0].code, 'ECONNRESET');
      server.close();
    });

    it('ForwardFull: past max one is reset, counted and told of; those that are there go on', async () => {
      await begin((from) => ({ forwards: [{ from, to: 'stack:10.0.0.2:80', max: 1 }] }));
      const said: string[] = [];
      one.events.on('log', (_level, message) => said.push(message));
      const server = two.net.createServer((socket) => void socket.pipe(socket)).listen(80);
      const first = connect(port, '127.0.0.1');
      first.write('a');
      assert.equal(String(await some(first, 1)), 'a');
      const second = connect(port, '127.0.0.1');
      await once(second, 'error');
      assert.equal(drops()['ForwardFull'], 1);
      assert.match(said.join(), /all 1 places are taken.*'max' raises them/);
      first.write('b');
      assert.equal(String(await some(first, 1)), 'b');
      first.end();
      await all(first);
      server.close();
    });
  });

  it('it listens where it was told and nowhere else', async () => {
    await begin((from) => ({ forwards: [{ from, to: 'stack:10.0.0.2:80' }], proxy: { socks5: 'stack:10.0.0.1:1080' } }));
    for (const other of ['127.0.0.2', '::1']) {
      const [error] = (await once(connect(port, other), 'error')) as [NodeJS.ErrnoException];
      assert.ok(['ECONNREFUSED', 'EADDRNOTAVAIL', 'ENETUNREACH'].includes(error.code ?? ''), error.code);
    }
    one.addr.add('10.0.0.9/24', { dev: 'eth0' });
    const [error] = (await once(two.net.connect(1_080, '10.0.0.9'), 'error')) as [NodeJS.ErrnoException];
    assert.equal(error.code, 'ECONNREFUSED');
  });

  describe('UDP forwards', () => {
    let client: Datagrams;
    const heard = async (socket: Datagrams): Promise<string> => String(((await once(socket, 'message')) as [Buffer])[0]);
    afterEach(() => client.close());

    it('each sender has its own answers; past max there is ForwardFull', async () => {
      await begin((from) => ({ forwards: [{ from, to: 'stack:10.0.0.2:5000', protocol: 'udp', max: 2 }] }));
      const server = two.dgram.createSocket('udp4');
      server.on('message', (datagram, { port: back, address }) => server.send(`${datagram}!`, back, address));
      server.bind(5_000);
      const others = [createSocket('udp4'), createSocket('udp4')];
      client = createSocket('udp4');
      client.send('first', port, '127.0.0.1');
      assert.equal(await heard(client), 'first!');
      others[0]?.send('second', port, '127.0.0.1');
      assert.equal(await heard(others[0] as Datagrams), 'second!');
      others[1]?.send('third', port, '127.0.0.1');
      await until(() => drops()['ForwardFull'] === 1, 'the third refused');
      client.send('again', port, '127.0.0.1');
      assert.equal(await heard(client), 'again!');
      assert.equal(one.forward.show()[0]?.connections, 2);
      for (const other of others) other.close();
      server.close();
    });

    it('from the stack to the host', async () => {
      client = createSocket('udp4');
      client.on('message', (datagram, { port: back, address }) => client.send(`host: ${datagram}`, back, address));
      client.bind(0, '127.0.0.1');
      await once(client, 'listening');
      await begin(() => ({ forwards: [{ from: 'stack:10.0.0.1:5000', to: `host:127.0.0.1:${client.address().port}`, protocol: 'udp' }] }));
      const asking = two.dgram.createSocket('udp4');
      asking.send('x', 5_000, '10.0.0.1');
      assert.equal(await heard(asking as unknown as Datagrams), 'host: x');
      asking.close();
    });
  });

  it('ready rejects with the reason when a port of the host is taken, and show names it', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const from = `host:127.0.0.1:${(taken.address() as AddressInfo).port}`;
    await begin(() => ({}));
    const stack = createStack({ name: 'three', forwards: [{ from, to: 'stack:127.0.0.1:80' }] });
    stack.events.on('log', () => {});
    await assert.rejects(stack.ready, { code: 'EADDRINUSE' });
    assert.deepEqual(
      stack.forward.show().map(({ state, error }) => [state, /EADDRINUSE/.test(error ?? '')]),
      [['failed', true]],
    );
    await stack.close();
    taken.close();
  });

  it('a reload makes and ends them; add and del do too; a full table says so', async () => {
    await begin((from) => ({ forwards: [{ from, to: 'stack:10.0.0.2:80' }] }));
    const { forwards: _gone, ...rest } = one.config;
    one.reload({ ...rest, proxy: { http: 'stack:10.0.0.1:3128' } });
    assert.deepEqual(
      one.forward.show().map(({ kind, from, to }) => [kind, from, to]),
      [['http', 'stack:10.0.0.1:3128', null]],
    );
    one.forward.add({ from: 'stack:10.0.0.1:81', to: 'host:localhost:81' });
    assert.throws(() => one.forward.add({ from: 'stack:10.0.0.1:81', to: 'host:localhost:82' }), { code: 'EEXIST' });
    assert.throws(() => one.forward.add({ from: 'stack:10.0.0.1:82', to: 'stack:10.0.0.2:82' }), /same network/);
    one.forward.del({ from: 'stack:10.0.0.1:81' });
    assert.throws(() => one.forward.del({ from: 'stack:10.0.0.1:81' }), { code: 'ENOENT' });
    for (let i = one.forward.show().length; i < 256; i++) one.forward.add({ from: `stack:10.0.0.1:${1_000 + i}`, to: 'host:127.0.0.1:9' });
    assert.throws(() => one.forward.add({ from: 'stack:10.0.0.1:9', to: 'host:127.0.0.1:9' }), { code: 'ENOBUFS', message: /all 256 forwards/ });
  });

  for (const [what, config, message] of [
    ['a place that is none', { forwards: [{ from: '127.0.0.1:80', to: 'stack:10.0.0.1:80' }] }, /forwards\[0\]\.from: .*no place such as host:/],
    ['a name to listen at', { forwards: [{ from: 'host:localhost:80', to: 'stack:10.0.0.1:80' }] }, /forwards\[0\]\.from: .*address to listen on/],
    ['a port that is none', { forwards: [{ from: 'host:127.0.0.1:80', to: 'stack:10.0.0.1:0' }] }, /forwards\[0\]\.to: .*1 to 65535/],
    [
      'both ends of one network',
      { forwards: [{ from: 'host:127.0.0.1:80', to: 'host:10.0.0.1:80' }] },
      /forwards\[0\] leads from the host to the host/,
    ],
    [
      'two of one place',
      { forwards: [1, 2].map((n) => ({ from: 'host:127.0.0.1:80', to: `stack:10.0.0.${n}:80` })) },
      /forwards\[1\] listens at tcp/,
    ],
    [
      'a table past its bound',
      { forwards: Array.from({ length: 257 }, (_, i) => ({ from: `host:127.0.0.1:${i + 1}`, to: 'stack:10.0.0.1:1' })) },
      /forwards.*256/,
    ],
    ['an unknown kind of proxy', { proxy: { socks4: 'host:127.0.0.1:1080' } as never }, /socks5/],
    ['a user whose name has a colon', { proxy: { http: { listen: 'host:127.0.0.1:1', users: { 'a:b': 'c' } } } }, /proxy\.http\.users/],
  ] as const satisfies readonly (readonly [string, Config, RegExp])[]) {
    it(`refuses ${what}`, async () => {
      await begin(() => ({}));
      assert.throws(() => createStack(config), message);
    });
  }

  it('a stack that has failed leaves a proxy that says so', async () => {
    const [socks, http] = [await freePort(), await freePort()];
    await begin((from) => ({
      forwards: [
        { from, to: 'stack:127.0.0.1:9' },
        { from, to: 'stack:127.0.0.1:9', protocol: 'udp' },
      ],
      proxy: { socks5: `host:127.0.0.1:${socks}`, http: `host:127.0.0.1:${http}` },
    }));
    one.core.close();
    const say = async (to: number, words: string): Promise<string> => {
      const socket = connect(to, '127.0.0.1');
      socket.write(Buffer.from(words, 'latin1'));
      return all(socket);
    };
    assert.equal(await say(port, 'x'), '');
    const answer = await say(socks, '\x05\x01\x00\x05\x01\x00\x01\x7f\x00\x00\x01\x00\x09');
    assert.deepEqual([...Buffer.from(answer, 'latin1')].slice(0, 4), [5, 0, 5, 1]);
    assert.match(await say(http, 'CONNECT 127.0.0.1:9 HTTP/1.1\r\nHost: x\r\n\r\n'), /^HTTP\/1\.1 502 /);
    assert.match(await say(http, 'GET http://127.0.0.1/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'), /^HTTP\/1\.1 502 /);
    const socket = createSocket('udp4');
    await new Promise((sent) => socket.send('x', port, '127.0.0.1', sent));
    await say(http, 'CONNECT 127.0.0.1:9 HTTP/1.1\r\nHost: x\r\n\r\n'); // behind the datagram
    assert.equal(one.forward.show()[1]?.total, 0);
    socket.close();
  });

  it('a stack that has ended hangs up on the host too', async () => {
    await begin((from) => ({ forwards: [{ from, to: 'stack:10.0.0.2:80' }] }));
    const server = two.net.createServer((socket) => void socket.on('error', () => {}).pipe(socket)).listen(80);
    const client = connect(port, '127.0.0.1');
    client.on('error', () => {});
    client.write('x');
    await some(client, 1);
    await one.close();
    await all(client);
    server.close();
  });
});
