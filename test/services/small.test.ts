import assert from 'node:assert/strict';
import { v4 } from '#src/base/address.js';
import type { AnyStack } from '#src/index.js';
import { DatagramInfo } from '#src/net/socket/datagram-queue.js';
import { answerable } from '#src/services/onlink.js';
import { pair } from '../support/pair.js';
import { sleep, until } from '../support/until.js';

describe('small services', () => {
  let one: AnyStack;
  let two: AnyStack;
  beforeEach(async () => {
    [one, two] = await pair({ services: { echo: true, discard: true, chargen: { rate: 3 } } });
  });
  afterEach(async () => {
    await two.close();
    await one.close();
    assert.deepEqual(one.nstat().held, { packets: 0, slots: 0, chunks: 0 });
  });

  it('RFC 862: TCP sends back all that comes, the end too, however slowly the peer reads', async () => {
    const socket = two.net.connect({ host: '10.0.0.1', port: 7 });
    const sent = Buffer.alloc(3_000_000, 'echo ');
    const got: Buffer[] = [];
    socket.on('data', (octets: Buffer) => {
      got.push(octets);
      if (got.length % 10 === 0) {
        socket.pause();
        setTimeout(() => socket.resume(), 1);
      }
    });
    socket.end(sent);
    await new Promise((resolve) => socket.once('close', resolve));
    assert.ok(Buffer.concat(got).equals(sent));
  });

  it('RFC 862: over the loopback too, whose segments are longer than one packet', async () => {
    const socket = one.net.connect({ host: '127.0.0.1', port: 7 });
    let octets = 0;
    socket.on('data', (some: Buffer) => void (octets += some.length));
    socket.end(Buffer.alloc(2_000_000));
    await new Promise((resolve) => socket.once('close', resolve));
    assert.equal(octets, 2_000_000);
  });

  it('RFC 862: UDP sends back what comes; RFC 863 throws it away', async () => {
    const socket = two.dgram.createSocket('udp4');
    const got: string[] = [];
    socket.on('message', (octets: Buffer) => void got.push(String(octets)));
    socket.send('lost', 9, '10.0.0.1');
    socket.send('kept', 7, '10.0.0.1');
    await until(() => got.length > 0, 'an answer');
    assert.deepEqual(got, ['kept']);
    socket.close();
  });

  it('RFC 864: TCP sends lines of 72 characters, each begun one further', async () => {
    const socket = two.net.connect({ host: '10.0.0.1', port: 19 });
    let text = '';
    socket.on('data', (octets: Buffer) => {
      text += String(octets);
      if (text.length > 1_000_000) socket.destroy();
    });
    await new Promise((resolve) => socket.once('close', resolve));
    const lines = text.split('\r\n').slice(0, -1);
    lines.forEach((line, i) => {
      assert.equal(line.length, 72);
      assert.equal(line.charCodeAt(0), 32 + (i % 95));
    });
  });

  it('RFC 864: a datagram draws 0 to 512 characters, no more of them a second than the rate', async () => {
    const socket = two.dgram.createSocket('udp4');
    const sizes: number[] = [];
    socket.on('message', (octets: Buffer) => void sizes.push(octets.length));
    for (let i = 0; i < 20; i++) socket.send('x', 19, '10.0.0.1');
    await sleep(100);
    assert.ok(sizes.length >= 3 && sizes.length <= 4, `${sizes.length} answers`);
    assert.ok(sizes.every((n) => n <= 512));
    socket.close();
  });

  it('a second program on the port is told at once, and a service that stops gives it back', () => {
    assert.throws(() => one.services.start('echo'), { code: 'EALREADY' });
    one.services.stop('echo');
    one.services.start('echo', { interfaces: ['eth0', 'lo'] });
    assert.deepEqual(
      one
        .ss()
        .filter((s) => s.localPort === 7)
        .map((s) => s.dev),
      ['eth0', 'lo', 'eth0', 'lo'],
    );
    assert.throws(() => one.services.start('http', { port: 7 }), { code: 'EADDRINUSE' });
  });

  it('answers UDP only to stations on the link, by unicast, and to no other small service', () => {
    const info = new DatagramInfo();
    const asked = (from: number, port: number, to = 0x0a000001, index = one.link.show('eth0')[0]?.index as number): boolean => {
      info.address.copy(v4(from));
      info.destination.copy(v4(to));
      info.port = port;
      info.index = index;
      return answerable(one.core.interfaces, info);
    };
    assert.equal(asked(0x0a000002, 4_000), true);
    assert.equal(asked(0x0a000002, 0), false);
    for (const port of [7, 9, 13, 17, 19, 37]) assert.equal(asked(0x0a000002, port), false);
    assert.equal(asked(0x08080808, 4_000), false, 'off the link');
    assert.equal(asked(0x0a0000ff, 4_000), false, 'from the broadcast address');
    assert.equal(asked(0xe0000001 | 0, 4_000), false, 'from a group');
    assert.equal(asked(0x0a000002, 4_000, 0x0a0000ff), false, 'to the broadcast address');
    assert.equal(asked(0x0a000002, 4_000, 0xe0000001 | 0), false, 'to a group');
    assert.equal(asked(0x0a000002, 4_000, 0x0a000001, 99), false, 'by an interface that is gone');
  });
});
