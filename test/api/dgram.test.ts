import assert from 'node:assert/strict';
import { BlockList } from 'node:net';
import { createDgram, type Dgram, type MessageInfo } from '#src/api/dgram.js';
import { next, Pair, until } from '../support/live-pair.js';

type Message = [Buffer, MessageInfo];

describe('dgram', () => {
  let pair: Pair;
  let a: Dgram;
  let b: Dgram;

  beforeEach(() => {
    pair = new Pair({ link: { queueFrames: 4_000 } });
    a = createDgram(pair.a);
    b = createDgram(pair.b);
  });

  afterEach('nothing is left', () => pair.close());

  const bound = async (dgram: Dgram, port = 0): Promise<ReturnType<Dgram['createSocket']>> => {
    const socket = dgram.createSocket('udp4');
    socket.bind(port);
    await next(socket, 'listening');
    return socket;
  };

  it('delivers a message with all that is known of it', async () => {
    const server = await bound(b, 5_000);
    const client = await bound(a, 6_000);
    client.setTTL(9);
    client.setOption('IP_TOS', 0x28);
    client.send('hello', 5_000, '10.0.0.2');
    const [message, info] = await next<Message>(server, 'message');
    assert.equal(message.toString(), 'hello');
    assert.deepEqual(info, {
      address: '10.0.0.1',
      family: 'IPv4',
      port: 6_000,
      size: 5,
      interface: 'eth0',
      destination: '10.0.0.2',
      ttl: 9,
      trafficClass: 0x28,
    });
    client.close();
    server.close();
  });

  it('binds by itself on the first send, and in order', async () => {
    const server = await bound(b, 5_000);
    const client = a.createSocket('udp4');
    const seen: string[] = [];
    server.on('message', (m: Buffer) => seen.push(m.toString()));
    for (let i = 0; i < 3; i++) client.send(`${i}`, 5_000, '10.0.0.2');
    await until(() => seen.length === 3);
    assert.deepEqual(seen, ['0', '1', '2']);
    assert.ok(client.address().port > 0);
    client.close();
    server.close();
  });

  it('knows all overloads of send', async () => {
    const server = await bound(b, 5_000);
    const client = await bound(a);
    const seen: string[] = [];
    const sent: (number | undefined)[] = [];
    server.on('message', (m: Buffer) => seen.push(m.toString()));
    const done = (error: Error | null, bytes?: number): void => {
      assert.equal(error, null);
      sent.push(bytes);
    };
    const data = Buffer.from('abcdef');
    // Few packets wait for an unknown neighbour.
    client.send('', 5_000, '10.0.0.2');
    await until(() => seen.length === 1);
    seen.length = 0;
    client.send(data, 1, 2, 5_000, '10.0.0.2', done);
    client.send([data, 'gh', new Uint16Array([0x6a69])], 5_000, '10.0.0.2', done);
    client.send(new DataView(data.buffer, data.byteOffset, 3), 5_000, '10.0.0.2', done);
    client.send([], 5_000, '10.0.0.2', done);
    client.connect(5_000, '10.0.0.2');
    await next(client, 'connect');
    client.send(data, done);
    client.send(data, 4, 2, done);
    await until(() => seen.length === 6 && sent.length === 6);
    assert.deepEqual(seen, ['bc', 'abcdefghij', 'abc', '', 'abcdef', 'ef']);
    assert.deepEqual(sent, [2, 10, 3, 0, 6, 2]);
    client.close();
    server.close();
  });

  it('a connected socket hears only its peer, and of ICMP errors', async () => {
    const client = await bound(a, 6_000);
    const server = await bound(b, 5_000);
    const stranger = await bound(b, 5_001);
    client.connect(5_000, '10.0.0.2');
    await next(client, 'connect');
    assert.deepEqual(client.remoteAddress(), { address: '10.0.0.2', family: 'IPv4', port: 5_000 });
    stranger.send('no', 6_000, '10.0.0.1');
    server.send('yes', 6_000, '10.0.0.1');
    const [message] = await next<Message>(client, 'message');
    assert.equal(message.toString(), 'yes');
    server.close();
    client.send('anybody?');
    const [error] = await next<[NodeJS.ErrnoException]>(client, 'error');
    assert.equal(error.code, 'ECONNREFUSED');
    assert.equal(error.syscall, 'recvmsg');
    client.disconnect();
    assert.throws(() => client.disconnect(), { code: 'ERR_SOCKET_DGRAM_NOT_CONNECTED' });
    client.close();
    stranger.close();
  });

  it('reports errors with the codes of Node', async () => {
    const first = await bound(a, 7_000);
    const second = a.createSocket('udp4');
    second.bind(7_000, '10.0.0.1');
    const [error] = await next<[NodeJS.ErrnoException & { address: string; port: number }]>(second, 'error');
    assert.deepEqual([error.code, error.syscall, error.address, error.port, error.errno], ['EADDRINUSE', 'bind', '10.0.0.1', 7_000, -98]);
    assert.throws(() => first.bind(1), { code: 'ERR_SOCKET_ALREADY_BOUND' });
    assert.throws(() => first.send('x', 0, '10.0.0.2'), { name: 'RangeError', code: 'ERR_SOCKET_BAD_PORT' });
    assert.throws(() => first.send(5 as unknown as string, 1), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(() => a.createSocket('udp5' as 'udp4'), { code: 'ERR_SOCKET_BAD_TYPE' });
    assert.throws(() => first.setTTL(0), { code: 'EINVAL', syscall: 'setTTL' });
    const unbound = a.createSocket('udp4');
    for (const call of ['setTTL', 'setBroadcast', 'setMulticastTTL', 'setMulticastLoopback'] as const)
      assert.throws(() => (unbound[call] as (value: number) => void)(1), { code: 'EBADF', syscall: call });
    unbound.close();
    assert.throws(() => first.addMembership('10.0.0.1'), { code: 'EINVAL' });
    first.close();
    assert.throws(() => first.close(), { code: 'ERR_SOCKET_DGRAM_NOT_RUNNING' });
    assert.throws(() => first.send('x', 1), { code: 'ERR_SOCKET_DGRAM_NOT_RUNNING' });
    second.close();
  });

  it('names: localhost resolves, others fail with ENOTFOUND, a given lookup serves', async () => {
    const server = await bound(a, 5_000);
    const asked: [string, number][] = [];
    const client = a.createSocket({
      type: 'udp4',
      lookup: (name, family, done) => {
        asked.push([name, family]);
        done(null, name === 'peer' ? '127.0.0.1' : name, 4);
      },
    });
    client.send('one', 5_000, 'peer');
    const [one, info] = await next<Message>(server, 'message');
    assert.deepEqual([one.toString(), info.address], ['one', '127.0.0.1']);
    assert.deepEqual(
      asked,
      [
        ['0.0.0.0', 4],
        ['peer', 4],
      ],
      'for addresses too, as Node does',
    );
    const other = a.createSocket('udp4');
    other.send('two', 5_000, 'localhost');
    assert.equal((await next<Message>(server, 'message'))[0].toString(), 'two');
    const error = await new Promise<NodeJS.ErrnoException | null>((resolve) => other.send('x', 1, 'nowhere.example', (e) => resolve(e)));
    assert.equal(error?.code, 'ENOTFOUND');
    for (const s of [client, other, server]) s.close();
  });

  it('block lists: nothing is sent to whom they name, and nothing is heard of him', async () => {
    const list = new BlockList();
    list.addAddress('10.0.0.2');
    const peer = await bound(b, 5_000);
    const careful = a.createSocket({ type: 'udp4', sendBlockList: list, receiveBlockList: list });
    const refused = await new Promise<NodeJS.ErrnoException | null>((resolve) => careful.send('x', 5_000, '10.0.0.2', (e) => resolve(e)));
    assert.deepEqual([refused?.code, refused?.message], ['ERR_IP_BLOCKED', 'IP(10.0.0.2) is blocked by net.BlockList']);
    const heard: string[] = [];
    careful.on('message', (message) => heard.push(message.toString()));
    peer.send('from the blocked', careful.address().port, '10.0.0.1');
    const friend = await bound(a);
    friend.send('from a friend', careful.address().port, '127.0.0.1');
    await next<Message>(careful, 'message');
    assert.deepEqual(heard, ['from a friend']);
    const connected = new Promise<NodeJS.ErrnoException | null>((resolve) => careful.connect(5_000, '10.0.0.2', (e) => resolve(e ?? null)));
    assert.equal((await connected)?.code, 'ERR_IP_BLOCKED');
    for (const s of [peer, careful, friend]) s.close();
  });

  it('broadcast needs permission', async () => {
    const server = await bound(b, 5_000);
    const client = await bound(a);
    const refused = await new Promise<NodeJS.ErrnoException | null>((resolve) => client.send('x', 5_000, '10.0.0.255', (e) => resolve(e)));
    assert.equal(refused?.code, 'EACCES');
    client.setBroadcast(true);
    client.send('all', 5_000, '10.0.0.255');
    const [message, info] = await next<Message>(server, 'message');
    assert.deepEqual([message.toString(), info.destination], ['all', '10.0.0.255']);
    client.close();
    server.close();
  });

  it('what meets a full interface waits, bounded, and goes later', async () => {
    const stalled = pair.devices[0];
    const transmit = stalled.transmit.bind(stalled);
    const server = await bound(b, 5_000);
    server.setRecvBufferSize(4_194_304);
    const client = await bound(a);
    client.send('first', 5_000, '10.0.0.2');
    await next(server, 'message');
    stalled.transmit = () => 0;
    pair.a.ctx.sysctl.set('anystack.txqueuelen', 2);
    let seen = 0;
    const sent: (Error | null)[] = [];
    server.on('message', () => seen++);
    for (let i = 0; i < 2_010; i++) client.send('x', 5_000, '10.0.0.2', (e) => sent.push(e));
    assert.equal(client.getSendQueueCount(), 2_000);
    assert.equal(client.getSendQueueSize(), 2_000);
    await until(() => sent.length === 10);
    assert.equal(sent.filter((e) => (e as NodeJS.ErrnoException | null)?.code === 'ENOBUFS').length, 8);
    stalled.transmit = transmit;
    pair.a.ctx.sysctl.set('anystack.txqueuelen', 1_000);
    pair.a.interfaces.named('eth0')?.writable();
    await until(() => seen === 2_002);
    assert.equal(client.getSendQueueCount(), 0);
    client.close();
    server.close();
  });

  it('holds the process while it is bound, unless unreferenced', async () => {
    let holds = 0;
    const { hyper } = pair.a;
    hyper.hold = () => void holds++;
    hyper.release = () => void holds--;
    const socket = await bound(a);
    assert.equal(holds, 1);
    socket.unref();
    assert.equal(holds, 0);
    socket.ref();
    assert.equal(holds, 1);
    await socket[Symbol.asyncDispose]();
    assert.equal(holds, 0);
  });

  it('a signal closes it; a listener that throws loses nothing', async () => {
    const control = new AbortController();
    const server = b.createSocket({ type: 'udp4', signal: control.signal });
    server.bind(5_000);
    await next(server, 'listening');
    const seen: string[] = [];
    server.on('message', (m: Buffer) => {
      seen.push(m.toString());
      if (seen.length === 1) throw new RangeError('of the application');
    });
    const caught = new Promise<Error>((resolve) => {
      const before = process.listeners('uncaughtException');
      process.removeAllListeners('uncaughtException');
      process.once('uncaughtException', (error) => {
        for (const listener of before) process.on('uncaughtException', listener);
        resolve(error);
      });
    });
    const client = await bound(a);
    client.send('1', 5_000, '10.0.0.2');
    client.send('2', 5_000, '10.0.0.2');
    assert.equal((await caught).message, 'of the application');
    await until(() => seen.length === 2);
    control.abort();
    await next(server, 'close');
    client.close();
  });

  it('may be called without new, and inherited from', async () => {
    const plain = (a.Socket as unknown as (type: 'udp4') => InstanceType<Dgram['Socket']>)('udp4');
    assert.ok(plain instanceof a.Socket);
    class Counting extends a.Socket {
      count = 7;
    }
    const counting = new Counting('udp4');
    assert.ok(counting instanceof a.Socket && counting.count === 7);
    plain.close();
    counting.close();
  });
});
