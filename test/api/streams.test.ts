import assert from 'node:assert/strict';
import { connect, listen, udp, type WebConnection } from '#src/api/streams.js';
import { Pair, pause } from '../support/live-pair.js';

describe('web streams', () => {
  let pair: Pair;

  beforeEach(() => {
    pair = new Pair();
  });

  afterEach('nothing is left', () => pair.close());

  const joined = async (): Promise<[WebConnection, WebConnection, () => void]> => {
    const listener = listen(pair.b, { port: 80 });
    const client = connect(pair.a, { address: '10.0.0.2', port: 80 });
    const { value } = await listener.next();
    assert.ok(value);
    await client.opened;
    return [client, value, () => listener.close()];
  };

  const drain = async (connection: WebConnection): Promise<Uint8Array> => {
    const parts: Uint8Array[] = [];
    for await (const chunk of connection) parts.push(chunk);
    return Buffer.concat(parts);
  };

  const write = async (connection: WebConnection, data: Uint8Array): Promise<void> => {
    const writer = connection.writable.getWriter();
    await writer.write(data);
    await writer.close();
  };

  it('carry octets both ways, and end one direction at a time', async () => {
    const [client, server, end] = await joined();
    const info = await client.opened;
    assert.deepEqual([info.localAddress, info.remoteAddress, info.remotePort], ['10.0.0.1', '10.0.0.2', 80]);
    await write(client, new TextEncoder().encode('question'));
    assert.equal(Buffer.from(await drain(server)).toString(), 'question');
    await write(server, new TextEncoder().encode('answer'));
    assert.equal(Buffer.from(await drain(client)).toString(), 'answer');
    await Promise.all([client.closed, server.closed]);
    end();
  });

  it('bulk through pipes, unharmed', async () => {
    const [client, server, end] = await joined();
    const sent = Buffer.alloc(5_000_000);
    for (let i = 0; i < sent.length; i++) sent[i] = i % 251;
    const echoed = server.readable.pipeTo(server.writable);
    const [received] = await Promise.all([drain(client), write(client, sent), echoed]);
    assert.ok(sent.equals(received));
    await Promise.all([client.closed, server.closed]);
    end();
  });

  it('what nobody reads shuts the window; the writer waits', async () => {
    const [client, server, end] = await joined();
    const writer = client.writable.getWriter();
    let done = 0;
    const chunk = new Uint8Array(65_536);
    const writing = (async () => {
      for (; done < 1_000; done++) await writer.write(chunk);
    })();
    writing.catch(() => {});
    await pause(100);
    const stopped = done;
    assert.ok(stopped < 1_000);
    await pause(50);
    assert.equal(done, stopped);
    client.abort(new RangeError('enough'));
    await assert.rejects(writing, RangeError);
    await assert.rejects(client.closed, RangeError);
    await assert.rejects(drain(server), { code: 'ECONNRESET' });
    await assert.rejects(server.closed, { code: 'ECONNRESET' });
    end();
  });

  it('a BYOB reader has octets in its own memory', async () => {
    const [client, server, end] = await joined();
    await write(client, new TextEncoder().encode('abcdef'));
    const reader = server.readable.getReader({ mode: 'byob' });
    const seen: string[] = [];
    let memory = new ArrayBuffer(4);
    for (;;) {
      const { value, done } = await reader.read(new Uint8Array(memory));
      if (value === undefined) break;
      seen.push(Buffer.from(value).toString());
      if (done) break;
      memory = value.buffer as ArrayBuffer;
    }
    assert.deepEqual(seen, ['abcd', 'ef', '']);
    await Promise.all([client.close(), server.close()]);
    end();
  });

  it('errors: refused, wrong, aborted', async () => {
    const refused = connect(pair.a, { address: '10.0.0.2', port: 9 });
    await assert.rejects(refused.opened, { code: 'ECONNREFUSED', syscall: 'connect' });
    await assert.rejects(refused.closed, { code: 'ECONNREFUSED' });
    await assert.rejects(drain(refused), { code: 'ECONNREFUSED' });
    assert.throws(() => connect(pair.a, { address: 'name', port: 1 }), { code: 'EINVAL' });
    assert.throws(() => listen(pair.a, { address: '10.0.0.9' }), { code: 'EADDRNOTAVAIL' });
    assert.throws(() => connect(pair.a, { address: '10.0.0.2', port: 1, options: { NO_SUCH: 1 } }), { code: 'ENOPROTOOPT' });
    const control = new AbortController();
    const aborted = connect(pair.a, { address: '10.0.0.77', port: 1, signal: control.signal });
    control.abort();
    await assert.rejects(aborted.opened, { name: 'AbortError' });
  });

  it('a listener is an async iterable that ends with close', async () => {
    await using listener = listen(pair.b, { port: 80, backlog: 5, options: { TCP_NODELAY: 1 } });
    assert.deepEqual([listener.address, listener.port], ['::', 80]);
    let count = 0;
    const serving = (async () => {
      for await (const connection of listener) {
        assert.equal(connection.core.getOption('TCP_NODELAY'), 1);
        count++;
        await connection.close();
        if (count === 3) break;
      }
    })();
    const clients = [1, 2, 3].map(() => connect(pair.a, { address: '10.0.0.2', port: 80 }));
    await serving;
    for (const client of clients) await client.close();
    assert.deepEqual(await listener.next(), { done: true, value: undefined });
  });

  it('datagrams are an async iterable too', async () => {
    const server = udp(pair.b, { port: 53 });
    const client = udp(pair.a, { address: '10.0.0.1', port: 5_353, options: { IP_TTL: 3 } });
    assert.equal(client.send(new Uint8Array([1, 2, 3]), '10.0.0.2', 53), true);
    for await (const { data, address, port, ttl, destination, ...more } of server) {
      assert.deepEqual([[...data], address, port, ttl, destination], [[1, 2, 3], '::ffff:10.0.0.1', 5_353, 3, '::ffff:10.0.0.2']);
      assert.equal(more.interface, 'eth0');
      server.send(data.reverse(), address, port);
      break;
    }
    assert.ok(server.core.closed, 'leaving the loop closes it');
    const { value } = await client.next();
    assert.deepEqual([...(value?.data ?? [])], [3, 2, 1]);
    assert.throws(() => client.send(new Uint8Array(70_000), '10.0.0.2', 53), { code: 'EMSGSIZE' });
    assert.throws(() => client.send(new Uint8Array(1), '10.0.0.255', 53), { code: 'EACCES' });
    client.close();
  });
});
