import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { v4 } from '#src/base/address.js';
import { ConfigError, type NetError } from '#src/base/errors.js';
import type { DeviceContext } from '#src/hyper/device-context.js';
import { type FrameStream, openTuntap2 } from '#src/hyper/duplex.js';
import type { Device, DeviceSpec, Hypercalls } from '#src/hyper/hypercalls.js';
import { createNodeHost } from '#src/hyper/node-host.js';
import type { UdpDevice } from '#src/hyper/udp.js';
import { addressRequest } from '#src/wire/rtnetlink-request.js';
import { Responder } from '../../bench/wire/responder.js';
import { FrameBench, Recorder } from '../support/devices.js';
import { makeNetns } from '../support/netns.js';
import { needs } from '../support/requirements.js';

describe('devices of Node', function () {
  this.timeout(10_000);
  let host: Hypercalls & DeviceContext;
  let bench: FrameBench;
  let folder: string;
  const open: Device[] = [];

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'anystack-'));
  });
  after(() => rmSync(folder, { recursive: true }));
  beforeEach(() => {
    host = createNodeHost({ log: () => {} });
    host.hold();
    bench = new FrameBench();
  });
  afterEach(() => {
    for (const device of open.splice(0)) device.close();
    host.release();
    assert.equal(bench.held, 0);
  });

  const start = (device: Device): Recorder => {
    open.push(device);
    const recorder = new Recorder();
    device.start(recorder);
    return recorder;
  };
  const frame = (n: number, length = 60): Buffer => Buffer.alloc(length, n);
  /** Sends frames of many lengths one way and expects them in order. */
  const passes = async (from: Device, to: Device, toEvents: Recorder, lengths = [60, 1514, 2000, 61]): Promise<void> => {
    const frames = lengths.map((length, i) => frame(i + 1, length));
    assert.equal(bench.send(from, ...frames), frames.length);
    const got: Buffer[] = [];
    while (got.length < frames.length) {
      await toEvents.until('readable');
      got.push(...bench.receive(to));
    }
    assert.deepEqual(got, frames);
  };

  for (const [title, address] of [
    ['a unix socket', (name: string) => ({ path: join(folder, name) })],
    ['TCP', () => ({ port: 41_739 })],
  ] as const) {
    it(`qemu-stream over ${title}: both ways, and the server takes the next client`, async () => {
      const server = host.open({ type: 'qemu-stream', listen: true, ...address('qemu') });
      const ofServer = start(server);
      assert.ok(!server.carrier);
      await sleep(20);
      const client = host.open({ type: 'qemu-stream', ...address('qemu') });
      const ofClient = start(client);
      await Promise.all([ofClient.until('carrier true'), ofServer.until('carrier true')]);
      await passes(client, server, ofServer);
      await passes(server, client, ofClient, [60, 65_000, 1, 1514]);
      client.close();
      await ofServer.until('carrier false');
      const next = host.open({ type: 'qemu-stream', ...address('qemu') });
      const ofNext = start(next);
      await ofServer.until('carrier true');
      await passes(server, next, ofNext);
      server.close();
      await ofNext.until('failed ECONNRESET');
    });
  }

  it('qemu-stream: frames arrive whole however the stream is cut, and a length without sense ends it', async () => {
    const path = join(folder, 'cut');
    const server = host.open({ type: 'qemu-stream', listen: true, path });
    const events = start(server);
    await sleep(20);
    const peer = connect(path);
    peer.setNoDelay(true);
    await events.until('carrier true');
    const stream = Buffer.concat([Buffer.from([0, 0, 0, 5]), frame(1, 5), Buffer.from([0, 0, 0, 3]), frame(2, 3)]);
    for (const octet of stream) {
      peer.write(Buffer.from([octet]));
      await sleep(1);
    }
    await sleep(10);
    assert.deepEqual(bench.receive(server), [frame(1, 5), frame(2, 3)]);
    peer.write(Buffer.from([0x7f, 0, 0, 0, 1]));
    await events.until('carrier false');
    peer.destroy();
  });

  it('qemu-stream: a refused connection is a failure, and what a slow peer does not take comes back', async () => {
    const events = start(host.open({ type: 'qemu-stream', path: join(folder, 'nobody') }));
    await events.until('failed ENOENT');
    const path = join(folder, 'slow');
    const server = host.open({ type: 'qemu-stream', listen: true, path });
    const ofServer = start(server);
    await sleep(20);
    const peer = connect(path);
    peer.pause();
    await ofServer.until('carrier true');
    let taken = 1;
    for (let i = 0; i < 2_000 && taken === 1; i++) taken = bench.send(server, frame(1, 60_000));
    assert.equal(taken, 0);
    peer.resume();
    await ofServer.until('writable');
    assert.equal(bench.send(server, frame(1)), 1);
    peer.destroy();
  });

  it('udp: one frame per datagram, and only from the peer', async () => {
    const a = host.open({ type: 'udp' }) as UdpDevice;
    const ofA = start(a);
    await ofA.until('carrier true');
    const b = host.open({ type: 'udp', remoteAddress: '127.0.0.1', remotePort: a.port }) as UdpDevice;
    const ofB = start(b);
    await ofB.until('carrier true');
    await passes(b, a, ofA);
    // a has learned where b is.
    await passes(a, b, ofB);
    const stranger = host.open({ type: 'udp', remoteAddress: '127.0.0.1', remotePort: b.port });
    await start(stranger).until('carrier true');
    bench.send(stranger, frame(9));
    await sleep(20);
    assert.deepEqual(bench.receive(b), []);
    assert.equal(b.statistics()['rxDropped'], 1);
    assert.throws(() => host.open({ type: 'udp', remotePort: 1 }), ConfigError);
  });

  /** Two streams, each giving what the other is written. */
  const pair = (): [Duplex, Duplex] => {
    const make = (other: () => Duplex): Duplex =>
      new Duplex({
        objectMode: true,
        highWaterMark: 4,
        read() {},
        write(chunk, _encoding, done) {
          other().push(chunk);
          setImmediate(done);
        },
      });
    const a: Duplex = make(() => b);
    const b: Duplex = make(() => a);
    return [a, b];
  };

  it('duplex: frames both ways, backpressure, and its end', async () => {
    const [x, y] = pair();
    const a = host.open({ type: 'duplex', stream: x });
    const b = host.open({ type: 'duplex', stream: y });
    const ofA = start(a);
    const ofB = start(b);
    assert.ok(!a.carrier);
    await Promise.all([ofA.until('carrier true'), ofB.until('carrier true')]);
    await passes(a, b, ofB, [60, 1514]);
    const frames = Array.from({ length: 9 }, (_, i) => frame(i));
    assert.ok(bench.send(a, ...frames) < 9);
    await ofA.until('writable');
    y.destroy();
    await ofB.until('failed EPIPE');
    assert.throws(() => host.open({ type: 'duplex' }), ConfigError);
  });

  it('tuntap2: opening, configured as the spec says, released at the end; failure when it is not installed', async () => {
    const [stream] = pair();
    const fake = Object.assign(stream, { mtu: 0, ipv4: '', ipv6: '', isUp: false, released: 0, release: () => void fake.released++ });
    const asked: string[] = [];
    const module = {
      Tap: function Tap() {
        asked.push('tap');
        return fake;
      },
      Tun: function Tun() {
        asked.push('tun');
        return fake;
      },
    };
    const spec = { type: 'tuntap2', tun: true, mtu: 1400, ipv4: '10.0.0.1/24' };
    const device = openTuntap2(spec, host, () => Promise.resolve(module));
    assert.ok(!device.carrier);
    await start(device).until('carrier true');
    assert.deepEqual([asked, fake.mtu, fake.ipv4, fake.isUp, device.medium], [['tun'], 1400, '10.0.0.1/24', true, 'ip']);
    device.close();
    assert.equal(fake.released, 1);
    const missing = openTuntap2({ type: 'tuntap2' }, host, () =>
      Promise.reject(Object.assign(new TypeError('not found'), { code: 'ERR_MODULE_NOT_FOUND' })),
    );
    await start(missing).until('failed ERR_MODULE_NOT_FOUND');
    const closedEarly = openTuntap2(spec, host, () => Promise.resolve(module));
    start(closedEarly);
    closedEarly.close();
    await sleep(5);
    assert.equal(fake.released, 2);
  });

  it('raw-socket: IPv4 packets with their header, out and in', async function () {
    needs(this, 'root', 'package:raw-socket');
    const device = host.open({ type: 'raw-socket', protocols: [253] });
    const events = start(device);
    assert.equal(device.medium, 'ip');
    const packet = Buffer.alloc(40, 5);
    packet.set([0x45, 0, 0, 40, 0, 1, 0, 0, 64, 253, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1]);
    assert.equal(bench.send(device, packet), 1);
    await events.until('readable');
    const [got] = bench.receive(device);
    assert.deepEqual(got?.subarray(12), packet.subarray(12));
    assert.throws(() => host.open({ type: 'raw-socket', protocols: ['icmp'] }), ConfigError);
  });

  it('fd: an inherited TAP with its vnet header', async function () {
    needs(this, 'tap', 'netns');
    const ns = makeNetns('fd');
    try {
      const tap = host.portIo().tapOpen('as0', ns.path, false, true, false, 0);
      assert.ok('fd' in tap);
      assert.equal(host.portIo().netlink(ns.path, addressRequest(tap.index, v4(0x0a090001), 24, true)), 0);
      const device = host.open({ type: 'fd', fd: tap.fd, vnetHeader: 10 });
      open.push(device);
      const responder = new Responder(host, device, '10.9.0.2');
      assert.match(await ns.exec('ping', '-c', '2', '-i', '0.05', '-W', '2', '10.9.0.2'), / 2 received/);
      assert.ok(responder.answered >= 2);
      device.close();
      assert.throws(() => host.open({ type: 'fd' }), /'fd' is missing/);
      assert.throws(() => host.open({ type: 'fd', fd: 0, vnetHeader: 3 }), ConfigError);
    } finally {
      ns.remove();
    }
  });

  it('an unknown type names the nearest, and a wrapper needs its device', () => {
    const opening = (spec: DeviceSpec) => () => host.open(spec);
    assert.throws(opening({ type: 'qemu' }), /no device type 'qemu'/);
    assert.throws(opening({ type: 'pcap-reply' }), /did you mean 'pcap-replay'/);
    assert.throws(opening({ type: 'toString' }), ConfigError);
    assert.throws(opening({ type: 'faults' }), /'of' is to be the device inside/);
    assert.throws(opening({ type: 'pcap-replay', path: '/nowhere' }), (e: NetError) => e.code === 'ENOENT');
  });

  it('a stream that a program brings is used as it is', () => {
    const stream: FrameStream = { on: () => undefined, write: () => true };
    assert.equal(host.open({ type: 'duplex', stream, medium: 'ip' }).medium, 'ip');
  });
});
