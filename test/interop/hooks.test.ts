/** Clients of databases, shells and meters over two stacks, by the place where each of them chooses its sockets. The servers are their own, or say the few words a client needs. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { Agent, request as coapRequest, createServer as createCoap } from 'coap';
import { AbstractConnector, Redis } from 'ioredis';
import type { Socket } from '#src/api/net.js';
import type { AnyStack } from '#src/index.js';
import { pair } from '../support/pair.js';
import { repeatingShell, SshClient, sshKeys } from '../support/ssh2.js';

/** Without types. */
const require = createRequire(import.meta.url);
const { Client: PgClient } = require('pg') as {
  Client: new (
    options: object,
  ) => { connect(): Promise<void>; query(text: string): Promise<{ rows: Record<string, string>[] }>; end(): Promise<void> };
};
const snmp = require('net-snmp') as {
  createAgent(
    options: object,
    told: (error: Error | null) => void,
  ): {
    getAuthorizer(): { addCommunity(name: string): void };
    getMib(): { registerProvider(provider: object): void; setScalarValue(name: string, value: string): void };
    close(): void;
  };
  createSession(
    host: string,
    community: string,
    options: object,
  ): { get(oids: readonly string[], done: (error: Error | null, found: { value: Buffer }[]) => void): void; close(): void };
  MibProviderType: { Scalar: number };
  ObjectType: { OctetString: number };
  MaxAccess: Record<string, number>;
  Version2c: number;
};

describe('libraries by their hooks', () => {
  let one: AnyStack;
  let two: AnyStack;
  beforeEach(async () => {
    [one, two] = await pair();
  });
  afterEach(async () => {
    await one.close();
    await two.close();
    assert.deepEqual(one.nstat().held, { packets: 0, slots: 0, chunks: 0 });
  });

  it('ssh2: sock', async () => {
    const { private: privateKey } = sshKeys.generateKeyPairSync('ed25519');
    const shell = repeatingShell();
    const port = two.net.createServer((socket) => shell.injectSocket(socket)).listen(22);
    const client = new SshClient();
    client.connect({ sock: one.net.connect(22, '10.0.0.2'), username: 'root', privateKey });
    await new Promise<void>((resolve, reject) => client.on('ready', resolve).on('error', reject));
    const said = await new Promise<string>((resolve, reject) =>
      client.exec('uptime', (error, channel) => {
        if (error) reject(error);
        else channel.on('data', (octets: Buffer) => resolve(String(octets)));
      }),
    );
    assert.equal(said, 'ran uptime');
    const closed = new Promise<void>((resolve) => client.on('close', resolve));
    client.end();
    await closed;
    port.close();
  });

  it('ioredis: Connector', async () => {
    const kept = new Map<string, string>();
    const server = two.net.createServer((socket) => redis(socket, kept)).listen(6_379);
    class Connector extends AbstractConnector {
      constructor() {
        super(1_000);
      }

      override connect(): Promise<Socket> {
        this.connecting = true;
        this.stream = one.net.connect(6_379, '10.0.0.2');
        return Promise.resolve(this.stream as Socket);
      }
    }
    const client = new Redis({ Connector: Connector as never, enableReadyCheck: false });
    assert.equal(await client.set('key', 'value'), 'OK');
    assert.equal(await client.get('key'), 'value');
    await client.quit();
    server.close();
  });

  it('pg: stream', async () => {
    const server = two.net.createServer((socket) => postgres(socket)).listen(5_432);
    const client = new PgClient({ host: '10.0.0.2', port: 5_432, user: 'ann', database: 'plant', stream: () => new one.net.Socket() });
    await client.connect();
    assert.deepEqual((await client.query('SELECT pressure')).rows, [{ pressure: '1.013' }]);
    await client.end();
    server.close();
  });

  it('coap: socket, on both sides', async () => {
    const [listening, socket] = [two.dgram.createSocket('udp4'), one.dgram.createSocket('udp4')];
    listening.bind(5_683);
    await once(listening, 'listening');
    const server = createCoap((asked, answer) => void answer.end(`hello ${asked.url}`));
    server.listen(listening as never);
    const asking = coapRequest({ hostname: '10.0.0.2', pathname: '/boiler', agent: new Agent({ socket: socket as never }) }).end();
    const [response] = (await once(asking, 'response')) as [{ payload: Buffer }];
    assert.equal(String(response.payload), 'hello /boiler');
    socket.close();
    server.close();
    listening.close();
  });

  it('net-snmp: dgramModule, on both sides', async () => {
    const agent = snmp.createAgent({ port: 161, dgramModule: two.dgram }, () => {});
    agent.getAuthorizer().addCommunity('public');
    agent.getMib().registerProvider({
      name: 'sysLocation',
      type: snmp.MibProviderType.Scalar,
      oid: '1.3.6.1.2.1.1.6',
      scalarType: snmp.ObjectType.OctetString,
      maxAccess: snmp.MaxAccess['read-only'],
    });
    agent.getMib().setScalarValue('sysLocation', 'the cellar');
    const session = snmp.createSession('10.0.0.2', 'public', { version: snmp.Version2c, dgramModule: one.dgram });
    const value = await new Promise((resolve, reject) =>
      session.get(['1.3.6.1.2.1.1.6.0'], (error, found) => (error === null ? resolve(String(found[0]?.value)) : reject(error))),
    );
    assert.equal(value, 'the cellar');
    session.close();
    agent.close();
  });
});

/** RESP2, as much as a client needs to begin, to set and to get. */
function redis(socket: Socket, kept: Map<string, string>): void {
  let text = '';
  socket.on('data', (octets) => {
    text += String(octets);
    for (;;) {
      const count = Number(/^\*(\d+)\r\n/.exec(text)?.[1] ?? Number.NaN);
      const parts = [...text.matchAll(/\$\d+\r\n([^\r]*)\r\n/g)].slice(0, count);
      if (!(parts.length === count)) return;
      const last = parts.at(-1) as RegExpMatchArray;
      text = text.slice((last.index ?? 0) + last[0].length);
      const [verb = '', key = '', value = ''] = parts.map(([, word]) => word as string);
      if (verb.toLowerCase() === 'set') kept.set(key, value);
      if (verb.toLowerCase() === 'get') socket.write(`$${(kept.get(key) ?? '').length}\r\n${kept.get(key)}\r\n`);
      else socket.write('+OK\r\n');
      if (verb.toLowerCase() === 'quit') socket.end();
    }
  });
}

/** PostgreSQL's protocol, version 3: whoever comes is let in, every question has the same answer. */
function postgres(socket: Socket): void {
  const int = (n: number, length: 2 | 4): Buffer => {
    const octets = Buffer.alloc(length);
    octets.writeIntBE(n, 0, length);
    return octets;
  };
  const message = (kind: string, ...parts: Buffer[]): Buffer => {
    const body = Buffer.concat(parts);
    return Buffer.concat([Buffer.from(kind), int(body.length + 4, 4), body]);
  };
  const ready = message('Z', Buffer.from('I'));
  const column = Buffer.concat([Buffer.from('pressure\0'), int(0, 4), int(0, 2), int(25, 4), int(-1, 2), int(-1, 4), int(0, 2)]);
  const row = Buffer.concat([int(1, 2), int(5, 4), Buffer.from('1.013')]);
  let begun = false;
  socket.on('data', (octets) => {
    if (!begun) socket.write(Buffer.concat([message('R', int(0, 4)), ready]));
    else if (octets[0] === 0x51)
      socket.write(Buffer.concat([message('T', int(1, 2), column), message('D', row), message('C', Buffer.from('SELECT 1\0')), ready]));
    else socket.end();
    begun = true;
  });
}
