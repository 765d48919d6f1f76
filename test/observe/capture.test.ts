import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AnyStack } from '#src/index.js';
import { ipv4, tcp } from '#src/wire/index.js';
import { CapturedFrame } from '#src/wire/pcap.js';
import { openCapture } from '#src/wire/pcapng.js';
import { pair } from '../support/pair.js';
import { needs } from '../support/requirements.js';
import { sleep, until } from '../support/until.js';

interface Frame {
  readonly bytes: Buffer;
  readonly original: number;
  readonly comment: string;
}

/** A sink in memory, and what it holds when the capture is over. */
class Sink {
  private readonly chunks: Buffer[] = [];

  write(octets: Uint8Array, done: () => void): void {
    this.chunks.push(Buffer.from(octets));
    done();
  }

  get bytes(): Buffer {
    return Buffer.concat(this.chunks);
  }

  frames(): Frame[] {
    const { bytes } = this;
    const reader = openCapture(new DataView(bytes.buffer, bytes.byteOffset, bytes.length));
    assert.ok(reader !== null, 'it begins like a capture');
    const frame = new CapturedFrame();
    const frames: Frame[] = [];
    while (reader.next(frame)) frames.push({ bytes: bytes.subarray(frame.start, frame.end), original: frame.originalLength, comment: frame.comment });
    assert.equal(reader.problem, '');
    return frames;
  }
}

/** Sends octets to the discard service and waits until they have arrived. */
async function bulk(from: AnyStack, to: AnyStack, octets: number): Promise<void> {
  const before = to.nstat({ zeros: true }).counters['TcpInSegs'] as number;
  const socket = from.net.connect({ host: '10.0.0.1', port: 9 });
  socket.end(Buffer.alloc(octets, 0x62));
  await new Promise((resolve) => socket.once('close', resolve));
  assert.ok((to.nstat({ zeros: true }).counters['TcpInSegs'] as number) > before);
}

describe('capture', () => {
  let one: AnyStack;
  let two: AnyStack;
  beforeEach(async () => {
    [one, two] = await pair({ services: { discard: true, echo: true } });
  });
  afterEach(async () => {
    await one.close();
    await two.close();
    assert.equal(one.core.ctx.observer.rx, null, 'nobody looks when it is over');
  });

  it('shows big frames as a cable would carry them: cut, with right checksums, in both directions', async () => {
    const sinks = [new Sink(), new Sink()] as const;
    const captures = [one.capture(sinks[0]), two.capture(sinks[1])] as const;
    await bulk(two, one, 300_000);
    const stats = await Promise.all(captures.map((capture) => capture.stop()));
    for (const [i, sink] of sinks.entries()) {
      const frames = sink.frames();
      assert.equal(frames.length, stats[i]?.frames);
      // Octets by their place: a busy machine may see a segment sent again.
      const sent = new Map<number, number>();
      for (const { bytes, original } of frames) {
        assert.ok(original <= 1_514, `a frame of ${original} octets`);
        if (bytes.readUInt16BE(12) !== 0x0800) continue;
        const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
        assert.equal(ipv4.check(view, 14, bytes.length), 0);
        const transport = 14 + ipv4.headerLength(view, 14);
        const end = 14 + ipv4.totalLength(view, 14);
        assert.equal(checksum(view, transport, end), 0, 'the TCP checksum is right');
        const length = end - transport - tcp.headerLength(view, transport);
        if (length > 0) sent.set(tcp.seq(view, transport), length);
      }
      assert.ok([...sent.values()].reduce((sum, length) => sum + length, 0) >= 300_000);
    }
  });

  it('puts the reason of a drop to the frame that came in, and to that one only', async () => {
    const sink = new Sink();
    const capture = one.capture(sink, { filter: 'udp' });
    const socket = two.dgram.createSocket('udp4');
    socket.send('to nobody', 4_444, '10.0.0.1');
    socket.send('to echo', 7, '10.0.0.1');
    await until(() => capture.stats.frames === 3, 'two in, one out');
    socket.close();
    await capture.stop();
    assert.deepEqual(
      sink.frames().map((f) => f.comment),
      ['dropped: UdpNoPort', '', ''],
    );
  });

  it('filters, cuts at snapLength, and stops after count', async () => {
    const sink = new Sink();
    const capture = two.capture(sink, { filter: 'tcp and dst 10.0.0.1 and port 9', snapLength: 60, count: 5 });
    await bulk(two, one, 50_000);
    const stats = await capture.done;
    const frames = sink.frames();
    assert.ok(stats.frames >= 5 && frames.length === stats.frames);
    for (const { bytes } of frames) assert.ok(bytes.length <= 60 && bytes.readUInt8(33) === 1, 'to 10.0.0.1, cut');
  });

  it('loses and counts what a slow sink has no room for, and never waits for it', async () => {
    const held: (() => void)[] = [];
    const capture = two.capture({ write: (_octets, done) => held.push(done) }, { bufferMax: 10_000 });
    await bulk(two, one, 2_000_000);
    assert.ok(capture.stats.lost > 0);
    const done = capture.stop();
    let over = false;
    void done.then(() => {
      over = true;
    });
    await sleep(5);
    assert.equal(over, false, 'it is over when the sink has everything');
    for (let free = held.shift(); free !== undefined; free = held.shift()) free();
    await done;
  });

  it('a sink that fails ends the capture, not the stack', async () => {
    const capture = two.capture({ write: (_octets, done) => queueMicrotask(() => done(new Error('disk full'))) });
    await assert.rejects(capture.done, /disk full/);
    await bulk(two, one, 1_000);
  });

  it('refuses a filter and an interface it does not know, in one sentence', () => {
    for (const [filter, sentence] of [
      ['prt 80', "'prt' is unknown; did you mean 'port'?"],
      ['host', "the address of 'host' is missing"],
      ['host 10.0.0', "'10.0.0' behind 'host' is neither address nor prefix"],
      ['port 70000', 'at most 65535'],
      ['(tcp', "')' is missing"],
      ['tcp udp', "'udp' is one word too many"],
    ] as const) {
      assert.throws(
        () => two.capture(new Sink(), { filter }),
        (error: Error) => error.name === 'ConfigError' && error.message.includes(sentence),
        filter,
      );
    }
    assert.throws(() => two.capture(new Sink(), { iface: 'eth7' }), { name: 'ConfigError' });
  });

  it('tshark finds no bad checksum and nothing malformed', async function () {
    needs(this, 'tools:tshark');
    const sink = new Sink();
    const capture = two.capture(sink);
    await bulk(two, one, 200_000);
    await capture.stop();
    const folder = mkdtempSync(join(tmpdir(), 'anystack-capture-'));
    const file = join(folder, 'a.pcapng');
    writeFileSync(file, sink.bytes);
    const { stdout, status, stderr } = spawnSync(
      'tshark',
      [
        '-r',
        file,
        '-o',
        'tcp.check_checksum:TRUE',
        '-o',
        'ip.check_checksum:TRUE',
        '-Y',
        '_ws.malformed || tcp.checksum.status == 0 || ip.checksum.status == 0',
      ],
      { encoding: 'utf8' },
    );
    rmSync(folder, { recursive: true });
    assert.equal(status, 0, stderr);
    assert.equal(stdout, '');
  });
});

/** The folded sum over pseudo header and segment: 0 when the checksum in it is right. */
function checksum(view: DataView, transport: number, end: number): number {
  let total = 6 + end - transport;
  for (let at = 14 + 12; at < 14 + 20; at += 2) total += view.getUint16(at);
  for (let at = transport; at < end; at += 2) total += at + 1 < end ? view.getUint16(at) : view.getUint8(at) << 8;
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
  return ~total & 0xffff;
}
