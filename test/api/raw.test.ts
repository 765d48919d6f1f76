import assert from 'node:assert/strict';
import { createDgram } from '#src/api/dgram.js';
import { createPacket, type PacketInfo } from '#src/api/packet.js';
import { createRaw, type RawError, type RawInfo } from '#src/api/raw.js';
import { finish, sum } from '#src/base/checksum.js';
import { next, Pair, until } from '../support/live-pair.js';
import { address } from '../support/stacks.js';

/** An ICMP echo request, checksum and all. */
function echo(sequence: number): Buffer {
  const message = Buffer.alloc(16);
  message[0] = 8;
  message.writeUInt16BE(0x4242, 4);
  message.writeUInt16BE(sequence, 6);
  message.writeUInt16BE(finish(sum(new DataView(message.buffer, message.byteOffset, message.length), 0, message.length)), 2);
  return message;
}

describe('raw', () => {
  let pair: Pair;

  beforeEach(() => {
    pair = new Pair();
  });

  afterEach('nothing is left', () => pair.close());

  it('pings', async () => {
    const socket = createRaw(pair.a).createSocket({ protocol: 1 });
    const sent = await new Promise((resolve) => socket.send(echo(1), '10.0.0.2', (error, bytes) => resolve(error ?? bytes)));
    assert.equal(sent, 16);
    const [packet, info] = await next<[Buffer, RawInfo]>(socket, 'message');
    const header = ((packet[0] as number) & 15) * 4;
    assert.deepEqual([packet[header], packet.readUInt16BE(header + 6)], [0, 1]);
    assert.deepEqual([info.address, info.destination, info.interface, info.family, info.size], ['10.0.0.2', '10.0.0.1', 'eth0', 'IPv4', 36]);
    await socket[Symbol.asyncDispose]();
  });

  it('hears of ICMP errors with what they quote', async () => {
    const socket = createRaw(pair.a).createSocket({ protocol: 17, interface: 'eth0' });
    socket.setTTL(5);
    assert.equal(socket.getOption('IP_TTL'), 5);
    const datagram = Buffer.from([0x30, 0x39, 0x82, 0x35, 0, 9, 0, 0, 7]);
    socket.send(datagram, '10.0.0.2');
    const [error] = await next<[RawError]>(socket, 'icmp');
    assert.deepEqual([error.from, error.kind, error.code, error.destination], ['10.0.0.2', 'unreachable', 3, '10.0.0.2']);
    assert.ok(datagram.subarray(0, 8).equals(Buffer.from(error.quoted).subarray(0, 8)));
    socket.close();
  });

  it('refuses what is wrong with the codes of Node', async () => {
    const raw = createRaw(pair.a);
    assert.throws(() => raw.createSocket({ protocol: 256 }), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => raw.createSocket({ protocol: 1, interface: 'eth9' }), { code: 'ENODEV' });
    const socket = raw.createSocket({ protocol: 1 });
    assert.throws(() => socket.bind('10.0.0.9'), { code: 'EADDRNOTAVAIL', syscall: 'bind' });
    assert.throws(() => socket.send('x' as unknown as Buffer, '10.0.0.2'), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(() => socket.setOption('TCP_NODELAY', 1), { code: 'ENOPROTOOPT' });
    const error = await new Promise<NodeJS.ErrnoException | null>((resolve) => socket.send(echo(1), '192.0.2.1', resolve));
    assert.equal(error?.code, 'ENETUNREACH');
    socket.close();
    assert.throws(() => socket.getOption('IP_TTL'), { code: 'ERR_SOCKET_DGRAM_NOT_RUNNING' });
  });
});

describe('packet', () => {
  let pair: Pair;

  beforeEach(() => {
    pair = new Pair();
  });

  afterEach('nothing is left', () => pair.close());

  /** One datagram from a to b, at the port where b listens. */
  const datagram = async (data: Buffer): Promise<void> => {
    const server = createDgram(pair.b).createSocket('udp4');
    server.bind(5_000);
    await next(server, 'listening');
    const client = createDgram(pair.a).createSocket('udp4');
    client.send(data, 5_000, '10.0.0.2');
    await next(server, 'message');
    client.close();
    server.close();
  };

  /** Protocol of an IPv4 frame, 0 of others. */
  const protocol = (frame: Uint8Array, at = 0): number => (frame[at + 12] === 8 && frame[at + 13] === 0 ? (frame[at + 23] as number) : 0);

  it('sees frames of both directions, whole and with their checksums finished', async () => {
    const seen: [Buffer, PacketInfo][] = [];
    const socket = createPacket(pair.a).createSocket({ interface: 'eth0' }, (frame, info) => seen.push([frame, info]));
    await datagram(Buffer.from('look'));
    await until(() => seen.some(([frame]) => protocol(frame) === 17));
    assert.deepEqual(
      seen
        .filter(([f]) => f.readUInt16BE(12) === 0x806)
        .slice(0, 2)
        .map(([frame, info]) => [frame.readUInt16BE(12), info.direction, info.interface]),
      [
        [0x806, 'out', 'eth0'],
        [0x806, 'in', 'eth0'],
      ],
    );
    const [frame, info] = seen.find(([f]) => protocol(f) === 17) as [Buffer, PacketInfo];
    assert.equal(info.size, 46);
    assert.equal(frame.subarray(42).toString(), 'look');
    const pseudo = Buffer.concat([frame.subarray(26, 34), Buffer.from([0, 17, 0, 12]), frame.subarray(34)]);
    assert.equal(finish(sum(new DataView(pseudo.buffer, pseudo.byteOffset, pseudo.length), 0, pseudo.length)), 0);
    socket.close();
  });

  it('a filter and a snap length choose', async () => {
    const seen: [Buffer, PacketInfo][] = [];
    const filter = (bytes: Uint8Array, start: number): number => (protocol(bytes, start) === 17 ? 40 : 0);
    const socket = createPacket(pair.b).createSocket({ filter, snapLength: 34, direction: 'in' }, (frame, info) => seen.push([frame, info]));
    await datagram(Buffer.alloc(100));
    await until(() => seen.length === 1);
    const [frame, info] = seen[0] as [Buffer, PacketInfo];
    assert.deepEqual([frame.length, info.size, info.direction], [34, 142, 'in']);
    socket.close();
  });

  it('big frames are whole, and say how they will be cut', async () => {
    const seen: PacketInfo[] = [];
    const socket = createPacket(pair.a).createSocket({ direction: 'out', recvBufferSize: 1 << 20 }, (_frame, info) => seen.push(info));
    const listener = pair.b.tcp.openSocket(4);
    listener.bind(null, 80);
    listener.listen(1);
    const client = pair.a.tcp.openSocket(4);
    client.onReady = () => {
      if (client.write(new Uint8Array(60_000)) > 0) client.onReady = null;
    };
    client.connect(address('10.0.0.2'), 80);
    await until(() => seen.some(({ segmentSize }) => segmentSize > 0));
    const big = seen.find(({ segmentSize }) => segmentSize > 0) as PacketInfo;
    assert.ok(big.size > 1_514 && big.segmentSize <= 1_460);
    client.abort();
    listener.close();
    socket.close();
  });

  it('sends frames as they are', async () => {
    const socket = createPacket(pair.a).createSocket({ interface: 'eth0' });
    const got: Buffer[] = [];
    const other = createPacket(pair.b).createSocket({ direction: 'in', filter: (bytes, at) => (bytes[at + 12] === 0x88 ? 1_514 : 0) }, (f) =>
      got.push(f),
    );
    const frame = Buffer.alloc(60);
    frame.fill(0xff, 0, 6);
    frame[6] = 2;
    frame.writeUInt16BE(0x88b5, 12);
    const sent = await new Promise((resolve) => socket.send(frame, (error, bytes) => resolve(error ?? bytes)));
    assert.equal(sent, 60);
    await until(() => got.length === 1);
    assert.ok(frame.equals(got[0] as Buffer));
    const failure = (data: Uint8Array, device?: string): Promise<string | undefined> =>
      new Promise((resolve) => socket.send(data, device as string, (error) => resolve((error as NodeJS.ErrnoException | null)?.code)));
    assert.deepEqual(
      [await failure(frame, 'eth9'), await failure(frame, 'lo'), await failure(Buffer.alloc(2_000)), await failure(Buffer.alloc(5))],
      ['ENODEV', 'ENODEV', 'EMSGSIZE', 'EINVAL'],
    );
    pair.devices[0].setCarrier(false);
    assert.equal(await failure(frame), 'ENETDOWN');
    socket.close();
    other.close();
  });

  it('who does not read loses frames, counted, and harms nobody; a filter that throws ends its own socket only', async () => {
    const lazy = pair.a.packets.openSocket();
    assert.equal(lazy.setOption('SO_RCVBUF', 2_048), 0);
    const broken = createPacket(pair.a).createSocket({
      filter: () => {
        throw new RangeError('of the application');
      },
    });
    const failed = next<[NodeJS.ErrnoException]>(broken, 'error');
    await datagram(Buffer.from('on'));
    assert.equal((await failed)[0].code, 'EINVAL');
    assert.ok(lazy.nextSize > 0);
    assert.throws(() => createPacket(pair.a).createSocket({ interface: 'eth9' }), { code: 'ENODEV' });
    assert.throws(() => createPacket(pair.a).createSocket({ snapLength: 0 }), { code: 'ERR_OUT_OF_RANGE' });
    lazy.close();
    broken.close();
    assert.equal(pair.a.ctx.observer.sent, null);
    assert.equal(pair.a.demux.tap, null);
  });
});
