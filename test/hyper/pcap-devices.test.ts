import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError } from '#src/base/errors.js';
import { memoryLink } from '#src/hyper/memory-link.js';
import { createNodeHost } from '#src/hyper/node-host.js';
import { openPcapReplay } from '#src/hyper/pcap-replay.js';
import { capturing, PcapWriter } from '#src/hyper/pcap-writer.js';
import { CapturedFrame } from '#src/wire/pcap.js';
import { Direction, openCapture } from '#src/wire/pcapng.js';
import { bigTcp } from '../support/big-frames.js';
import { FrameBench, Recorder, virtualContext } from '../support/devices.js';

/** A classic capture of frames of `length`, at the given microseconds. */
function pcap(length: number, ...times: number[]): Buffer {
  const header = Buffer.alloc(24);
  header.writeUInt32LE(0xa1b2c3d4, 0);
  header.writeUInt16LE(2, 4);
  header.writeUInt16LE(4, 6);
  header.writeUInt32LE(65_535, 16);
  header.writeUInt32LE(1, 20);
  const frames = times.map((time, i) => {
    const frame = Buffer.alloc(16 + length, i + 1);
    frame.writeUInt32LE(100 + Math.floor(time / 1e6), 0);
    frame.writeUInt32LE(time % 1e6, 4);
    frame.writeUInt32LE(length, 8);
    frame.writeUInt32LE(length, 12);
    return frame;
  });
  return Buffer.concat([header, ...frames]);
}

describe('pcap replay', () => {
  const bench = new FrameBench();
  afterEach(() => assert.equal(bench.held, 0));

  for (const [speed, factor] of [
    [1, 1],
    [10, 10],
  ] as const) {
    it(`gives frames at ${speed} times the recorded speed`, () => {
      const context = virtualContext();
      const device = openPcapReplay({ type: 'pcap-replay', bytes: pcap(60, 0, 1_000, 3_000_000), speed }, context);
      const events = new Recorder();
      device.start(events);
      const arrivals: [number, number][] = [];
      while (context.clock.step()) for (const frame of bench.receive(device)) arrivals.push([frame[0] as number, context.clock.now]);
      assert.deepEqual(arrivals, [
        [1, 0],
        [2, 1_000 / factor],
        [3, 3_000_000 / factor],
      ]);
      assert.ok(!device.carrier && device.done);
      assert.deepEqual(events.seen, ['readable', 'readable', 'readable', 'carrier false']);
      assert.equal(bench.send(device, Buffer.alloc(60)), 1);
      assert.equal(device.statistics().txFrames, 1);
      device.close();
    });
  }

  it('at full speed waits for nobody but the stack', () => {
    const context = virtualContext();
    const device = openPcapReplay(
      { type: 'pcap-replay', bytes: pcap(60, ...Array.from({ length: 2_000 }, (_, i) => i * 1e6)), speed: 'max' },
      context,
    );
    device.start(new Recorder());
    let frames = 0;
    while (context.clock.step()) frames += bench.receive(device).length;
    assert.equal(frames, 2_000);
    assert.equal(context.clock.now, 0);
    assert.equal(device.statistics().rxDropped, 0);
    device.close();
  });

  it('passes over frames that the capture cut, and refuses what is no capture', () => {
    const bytes = pcap(60, 0, 1);
    bytes.writeUInt32LE(1_000, 24 + 12);
    const context = virtualContext();
    const device = openPcapReplay({ type: 'pcap-replay', bytes }, context);
    device.start(new Recorder());
    context.clock.advance(10);
    assert.deepEqual(
      bench.receive(device).map((f) => f[0]),
      [2],
    );
    assert.equal(device.statistics()['skipped'], 1);
    device.close();
    for (const wrong of [{ bytes: Buffer.alloc(100) }, { bytes: pcap(60) }, { bytes, speed: 0 }, { bytes, speed: 'fast' }, {}]) {
      assert.throws(() => openPcapReplay({ type: 'pcap-replay', ...wrong }, context), ConfigError);
    }
  });
});

describe('pcap writer', () => {
  const bench = new FrameBench();
  afterEach(() => assert.equal(bench.held, 0));

  const read = (bytes: Uint8Array): { octets: Buffer; comment: string; time: number }[] => {
    const reader = openCapture(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    const frame = new CapturedFrame();
    const frames = [];
    while (reader?.next(frame))
      frames.push({ octets: Buffer.from(bytes.subarray(frame.start, frame.end)), comment: frame.comment, time: frame.time });
    assert.equal(reader?.problem, '');
    return frames;
  };

  it('writes what passes, each frame once, big ones as plain ones', () => {
    const chunks: Buffer[] = [];
    const [inner, far] = memoryLink();
    const device = capturing(
      inner,
      new PcapWriter((octets) => void chunks.push(Buffer.from(octets)), 'ethernet', 'test0'),
      () => 1_700_000_000_000_123,
    );
    device.start(new Recorder());
    far.start(new Recorder());
    bench.send(device, Buffer.alloc(60, 1), Buffer.alloc(61, 2));
    device.transmit([bigTcp(bench, 4_500, 1_000)], 1);
    bench.send(far, Buffer.alloc(62, 3));
    bench.receive(far);
    bench.receive(device);
    const frames = read(Buffer.concat(chunks));
    assert.deepEqual(
      frames.map((f) => f.octets.length),
      [60, 61, 1_054, 1_054, 1_054, 1_054, 554, 62],
    );
    assert.ok(frames.every((f) => f.time === 1_700_000_000_000_123));
    assert.equal(device.statistics?.()['captured'], 8);
    device.close();
  });

  it('writes a frame once that was offered twice', () => {
    const chunks: Buffer[] = [];
    const [inner] = memoryLink();
    const device = capturing(
      {
        ...inner,
        medium: 'ethernet',
        transmit: (packets, count) => {
          const taken = Math.min(count, 2);
          for (let i = 0; i < taken; i++) packets[i]?.release();
          return taken;
        },
      } as typeof inner,
      new PcapWriter((octets) => void chunks.push(Buffer.from(octets)), 'ethernet', 'test0'),
      () => 0,
    );
    const packets = [1, 2, 3, 4, 5].map((n) => bench.packet(Buffer.alloc(60, n)));
    assert.equal(device.transmit(packets, 5), 2);
    assert.equal(device.transmit(packets.slice(2), 3), 2);
    assert.equal(device.transmit([packets[4] as (typeof packets)[0], bench.packet(Buffer.alloc(60, 6))], 2), 2);
    assert.deepEqual(
      read(Buffer.concat(chunks)).map((f) => f.octets[0]),
      [1, 2, 3, 4, 5, 6],
    );
  });

  it('notes why a packet was dropped', () => {
    const chunks: Buffer[] = [];
    const writer = new PcapWriter((octets) => void chunks.push(Buffer.from(octets)), 'ip', 'tun0');
    const packet = bench.packet(Buffer.alloc(40, 0x45));
    writer.write(packet, 5, Direction.Inbound, 'IpBadChecksum');
    packet.release();
    assert.deepEqual(
      read(Buffer.concat(chunks)).map((f) => f.comment),
      ['IpBadChecksum'],
    );
  });

  it('as a configuration names it: a file that its owner alone reads, whole after close', () => {
    const folder = mkdtempSync(join(tmpdir(), 'anystack-'));
    const path = join(folder, 'a.pcapng');
    const [inner, far] = memoryLink();
    const device = createNodeHost().open({ type: 'capture', path, of: { type: 'faults', of: { type: 'memory', device: inner } } });
    device.start(new Recorder());
    far.start(new Recorder());
    bench.send(device, Buffer.alloc(60, 1));
    device.close();
    bench.receive(far);
    assert.deepEqual(
      read(readFileSync(path)).map((f) => f.octets),
      [Buffer.alloc(60, 1)],
    );
    assert.equal(statSync(path).mode & 0o777, 0o600);
    rmSync(folder, { recursive: true });
  });
});
