/** Libraries that nobody here wrote, over two stacks, by the hook each of them has for it. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import type { AddressInfo, Server } from 'node:net';
import { Aedes } from 'aedes';
import express from 'express';
import { MqttClient } from 'mqtt';
import { Agent, fetch, request, WebSocket as UndiciSocket } from 'undici';
import { WebSocket, WebSocketServer } from 'ws';
import { createConnector, createHttp, createHttps } from '#src/api/http.js';
import { createNet, type Net, type Socket } from '#src/api/net.js';
import { cert, key } from '../support/certificate.js';
import { next, Pair, until } from '../support/live-pair.js';

/** The library's own types import what is no dependency of it. */
const ModbusRTU = createRequire(import.meta.url)('modbus-serial') as new () => {
  linkTCP(socket: Socket, options: object): Promise<void>;
  setID(id: number): void;
  setTimeout(ms: number): void;
  readHoldingRegisters(at: number, count: number): Promise<{ data: number[] }>;
  writeRegister(at: number, value: number): Promise<{ address: number; value: number }>;
  close(done: () => void): void;
};

describe('libraries over two stacks', () => {
  let pair: Pair;
  let client: Net;
  let server: Net;

  beforeEach(() => {
    pair = new Pair();
    client = createNet(pair.a);
    server = createNet(pair.b);
  });

  afterEach('nothing is left', () => pair.close());

  const closed = async (one: Server): Promise<void> => {
    const gone = next(one, 'close');
    one.close();
    if ('closeAllConnections' in one) (one.closeAllConnections as () => void)();
    await gone;
  };

  const application = (): ReturnType<typeof express> => {
    const app = express();
    app.use(express.json({ limit: '10mb' }));
    app.get('/hello/:name', (q, r) => void r.json({ hello: q.params.name, from: q.ip }));
    app.post('/sum', (q, r) => void r.json({ sum: (q.body as number[]).reduce((a, b) => a + b, 0) }));
    app.get('/big', (_q, r) => void r.send(Buffer.alloc(2_000_000, 'big')));
    return app;
  };

  it('express, asked by undici: request, fetch, pipelines of both', async () => {
    const web = createHttp(server).createServer(application()).listen(80);
    const dispatcher = new Agent({ connect: createConnector(client), connections: 4, pipelining: 2 });
    const { statusCode, body } = await request('http://10.0.0.2/hello/world', { dispatcher });
    assert.deepEqual([statusCode, await body.json()], [200, { hello: 'world', from: '::ffff:10.0.0.1' }]);
    const numbers = Array.from({ length: 100_000 }, (_, i) => i);
    const posted = await fetch('http://10.0.0.2/sum', {
      dispatcher,
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(numbers),
    });
    assert.deepEqual(await posted.json(), { sum: 4_999_950_000 });
    const all = await Promise.all(Array.from({ length: 20 }, () => fetch('http://10.0.0.2/big', { dispatcher }).then((r) => r.arrayBuffer())));
    assert.ok(all.every((b) => b.byteLength === 2_000_000));
    await dispatcher.close();
    await closed(web);
  });

  it('express over https, asked by undici', async () => {
    const web = createHttps(server).createServer({ key, cert }, application());
    web.listen(443);
    const dispatcher = new Agent({ connect: createConnector(client, { ca: cert }) });
    const response = await fetch('https://10.0.0.2/hello/tls', { dispatcher });
    assert.deepEqual(await response.json(), { hello: 'tls', from: '::ffff:10.0.0.1' });
    await dispatcher.close();
    await closed(web);
  });

  it('ws: server and client, and the client of undici', async () => {
    const http = createHttp(client);
    const web = createHttp(server).createServer().listen(80);
    const sockets = new WebSocketServer({ server: web });
    sockets.on('connection', (socket) => socket.on('message', (data, binary) => socket.send(data, { binary })));
    const one = new WebSocket('ws://10.0.0.2/chat', { agent: http.globalAgent });
    await next(one, 'open');
    one.send('text');
    assert.equal(String((await once(one, 'message'))[0]), 'text');
    const big = Buffer.alloc(1_000_000, 'frame');
    one.send(big);
    assert.ok(big.equals((await once(one, 'message'))[0] as Buffer));
    one.close();
    await next(one, 'close');
    const dispatcher = new Agent({ connect: createConnector(client) });
    const two = new UndiciSocket('ws://10.0.0.2/', { dispatcher });
    await new Promise((resolve) => two.addEventListener('open', resolve));
    two.send('undici');
    const answer = await new Promise((resolve) => two.addEventListener('message', (e) => resolve(e.data)));
    assert.equal(answer, 'undici');
    two.close();
    sockets.close();
    http.globalAgent.destroy();
    await closed(web);
    await dispatcher.destroy();
  });

  it('mqtt and aedes: publish, subscribe, will', async () => {
    const broker = await Aedes.createBroker();
    const port = server.createServer(broker.handle as unknown as (socket: Socket) => void);
    port.listen(1_883);
    const dial = (will?: { topic: string; payload: Buffer; qos: 0; retain: false }): MqttClient =>
      new MqttClient(() => client.connect(1_883, '10.0.0.2'), {
        protocolVersion: 4,
        keepalive: 5,
        reconnectPeriod: 0,
        ...(will === undefined ? {} : { will }),
      });
    const watcher = dial();
    const seen: [string, string][] = [];
    watcher.on('message', (topic, payload) => seen.push([topic, payload.toString()]));
    await watcher.subscribeAsync('plant/#', { qos: 1 });
    const machine = dial({ topic: 'plant/machine/gone', payload: Buffer.from('died'), qos: 0, retain: false });
    await new Promise((resolve) => machine.once('connect', resolve));
    for (let i = 0; i < 50; i++) await machine.publishAsync('plant/machine/value', String(i), { qos: i % 3 === 0 ? 2 : 1 });
    (machine.stream as Socket).destroy();
    await until(() => seen.length === 51);
    assert.deepEqual(seen[49], ['plant/machine/value', '49']);
    assert.deepEqual(seen[50], ['plant/machine/gone', 'died']);
    await watcher.endAsync();
    await new Promise<void>((resolve) => broker.close(resolve));
    await closed(port);
  });

  it('modbus-serial: a socket that passes for one of Node', async () => {
    const registers = new Map<number, number>([
      [10, 0x1234],
      [11, 0x5678],
    ]);
    const slave = server.createServer((socket) => void socket.on('data', (adu: Buffer) => socket.write(answer(adu, registers))));
    slave.listen(502);
    const socket = client.connect(502, '10.0.0.2');
    await next(socket, 'connect');
    const master = new ModbusRTU();
    await master.linkTCP(client.disguise(socket), {});
    master.setID(1);
    master.setTimeout(2_000);
    assert.deepEqual((await master.readHoldingRegisters(10, 2)).data, [0x1234, 0x5678]);
    assert.deepEqual(await master.writeRegister(11, 99), { address: 11, value: 99 });
    assert.deepEqual((await master.readHoldingRegisters(10, 2)).data, [0x1234, 99]);
    await new Promise<void>((resolve) => master.close(() => resolve()));
    assert.equal((slave.address() as AddressInfo).port, 502);
    await closed(slave);
  });
});

/** A Modbus/TCP slave's answer to one request: functions 3 (read holding registers) and 6 (write one). */
function answer(adu: Buffer, registers: Map<number, number>): Buffer {
  const at = adu.readUInt16BE(8);
  const value = adu.readUInt16BE(10);
  if (adu[7] === 6) {
    registers.set(at, value);
    return adu;
  }
  const out = Buffer.alloc(9 + 2 * value);
  adu.copy(out, 0, 0, 8);
  out.writeUInt16BE(3 + 2 * value, 4);
  out[8] = 2 * value;
  for (let i = 0; i < value; i++) out.writeUInt16BE(registers.get(at + i) ?? 0, 9 + 2 * i);
  return out;
}
