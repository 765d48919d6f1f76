import assert from 'node:assert/strict';
import { closeSync, readSync, writeSync } from 'node:fs';
import { Checksum, copyPacket, Gso, type Packet } from '#src/base/packet.js';
import { Page } from '#src/base/page.js';
import { Prng } from '#src/base/prng.js';
import { type Device, Offload } from '#src/hyper/hypercalls.js';
import { createNodeHost } from '#src/hyper/node-host.js';
import { segment, tcp } from '#src/wire/index.js';
import { type Shape, shapedPacket } from '../support/big-frames.js';
import { FrameBench, Recorder } from '../support/devices.js';
import { needs } from '../support/requirements.js';
import { frameSocketPair } from '../support/socket-pair.js';

const { Flag } = tcp;

describe('merging and cutting of plain frames in the addon', () => {
  let device: Device;
  let far = -1;
  let events: Recorder;
  let bench: FrameBench;

  before(function () {
    needs(this, 'koffi', 'addon');
  });
  beforeEach(() => {
    const [near, other] = frameSocketPair();
    far = other;
    bench = new FrameBench();
    device = createNodeHost({ log: () => {} }).open({ type: 'fd', fd: near });
    events = new Recorder();
    device.start(events);
  });
  afterEach(() => {
    device.close();
    closeSync(far);
    assert.equal(bench.held, 0);
  });

  const shaped = (shape: Shape, prng: Prng): Packet => shapedPacket(bench.slab, bench.pool, shape, prng);

  /** What wire/segment makes of it: the twin. */
  function cut(packet: Packet): Buffer[] {
    return Array.from({ length: segment.segments(packet) }, (_, i) => {
      const target = new Page(new Uint8Array(segment.segmentLength(packet, i)));
      segment.writeSegment(packet, i, target, 0);
      return Buffer.from(target.bytes);
    });
  }

  const read = (into = Buffer.alloc(70_000)): Buffer => Buffer.from(into.subarray(0, readSync(far, into)));

  /** All that comes in once `frames` have been written, a few at a time: the socket holds so many. */
  async function through(frames: readonly Buffer[]): Promise<Packet[]> {
    const got: Packet[] = [];
    const into: Packet[] = [];
    for (let from = 0; from < frames.length; from += 40) {
      for (const frame of frames.slice(from, from + 40)) writeSync(far, frame);
      await events.until('readable');
      for (let n = 1; n > 0; ) {
        n = device.receive(bench.pool, into, 64);
        got.push(...into.slice(0, n));
      }
    }
    return got;
  }

  /** Received ones cut again, octet for octet what was written. */
  function again(packet: Packet): Buffer[] {
    packet.network = packet.head + 14;
    packet.transport = packet.csumStart;
    const frames = cut(packet);
    packet.release();
    return frames;
  }

  it('offers all that a device with offloads does', () => {
    assert.equal(device.offloads, Offload.TxChecksum | Offload.Tso4 | Offload.Tso6 | Offload.Uso | Offload.RxBig);
  });

  for (const family of [4, 6] as const) {
    for (const protocol of [6, 17] as const) {
      it(`a big frame leaves as what wire/segment makes of it: IPv${family}, protocol ${protocol}`, () => {
        const prng = new Prng(family + protocol);
        for (let round = 0; round < 40; round++) {
          const pieces = [1 + prng.below(3_000), 1 + prng.below(3_000), 1 + prng.below(3_000)];
          const size = 1 + prng.below(1_400);
          const packet = shaped(
            {
              family,
              protocol,
              payload: prng.below(30) * 200 + prng.below(200),
              size: Math.max(size, 100),
              tagged: round % 3 === 0,
              inSlot: prng.below(500),
              pieces,
              options: 4 * prng.below(11),
            },
            prng,
          );
          if (round % 5 === 0) packet.gsoType = Gso.None;
          const expected = cut(packet);
          assert.equal(device.transmit([packet], 1), 1);
          for (const frame of expected) assert.deepEqual(read(), frame);
        }
        assert.equal(device.statistics?.()['txDropped'], 0);
      });
    }

    it(`segments of one flow come in as one, its checksum left open: IPv${family}`, async () => {
      const big = shaped({ family, protocol: 6, payload: 40 * 1_400, size: 1_400, options: 12 }, new Prng(1));
      big.view.setUint8(big.transport + 13, Flag.Ack | Flag.Psh);
      const whole = Buffer.alloc(big.length);
      copyPacket(big, whole, 0);
      const frames = cut(big);
      big.release();
      const [packet, ...rest] = (await through(frames)) as [Packet];
      assert.equal(rest.length, 0);
      assert.deepEqual([packet.gsoType, packet.gsoSize, packet.checksum], [family === 4 ? Gso.Tcp4 : Gso.Tcp6, 1_400, Checksum.Partial]);
      const octets = Buffer.from(packet.bytes.subarray(packet.head, packet.tail));
      assert.deepEqual(octets.subarray(26), whole.subarray(26));
      assert.deepEqual(again(packet), frames);
    });

    it(`whatever comes, cut again it is what came: IPv${family}`, async () => {
      const prng = new Prng(100 + family);
      let merged = 0;
      for (let round = 0; round < 60; round++) {
        const big = shaped({ family, protocol: 6, payload: 4_000 + prng.below(30_000), size: 600 + prng.below(800), options: 12 }, prng);
        big.view.setUint8(big.transport + 13, prng.below(4) === 0 ? Flag.Ack | Flag.Cwr | Flag.Ece : Flag.Ack | Flag.Fin);
        if (family === 4 && round % 2 === 0) big.view.setUint16(big.network + 6, 0);
        const frames = cut(big);
        big.release();
        for (let i = prng.below(4); i > 0; i--) harm(frames, prng, family === 4 && round % 2 === 1);
        const packets = await through(frames);
        merged += packets.filter((packet) => packet.gsoSize > 0).length;
        assert.deepEqual(packets.flatMap(again), frames, `round ${round}`);
      }
      assert.ok(merged > 60);
    });
  }

  it('a right checksum is vouched for, a wrong one is left to the stack', async () => {
    const frames = [6, 17].flatMap((protocol) => {
      const packet = shaped({ family: 4, protocol: protocol as 6 | 17, payload: 100, size: 200 }, new Prng(3));
      packet.gsoType = Gso.None;
      const [good] = cut(packet) as [Buffer];
      packet.release();
      const bad = Buffer.from(good);
      bad.writeUInt8((bad.at(-1) as number) ^ 1, bad.length - 1);
      return [good, bad];
    });
    const packets = await through(frames);
    assert.deepEqual(
      packets.map((packet) => packet.checksum),
      [Checksum.Verified, Checksum.Unverified, Checksum.Verified, Checksum.Unverified],
    );
    for (const packet of packets) packet.release();
  });

  it('a full socket takes a part of a frame, and the rest later', async () => {
    const packets = [4, 5, 6].map((seed) => shaped({ family: 4, protocol: 6, payload: 60_000, size: 100 }, new Prng(seed)));
    const expected = packets.flatMap(cut);
    const got: Buffer[] = [];
    let taken = device.transmit(packets, 3);
    assert.ok(taken < 3, 'the socket is full');
    for (;;) {
      try {
        for (;;) got.push(read());
      } catch {
        if (taken === 3) break; // all that was there has been read
      }
      await events.until('writable');
      taken += device.transmit(packets.slice(taken), 3 - taken);
    }
    assert.deepEqual(got, expected);
  });

  it('headers that contradict each other cost the frame, not the stack', () => {
    const spoil: ((packet: Packet) => void)[] = [
      (packet) => packet.view.setUint8(packet.transport + 12, 0xf0), // options longer than the slot has octets
      (packet) => (packet.csumStart = packet.head),
      (packet) => (packet.csumOffset = 40_000),
      (packet) => (packet.gsoSize = 0),
      (packet) => (packet.network = packet.head - 1),
      (packet) => (packet.checksum = Checksum.Unverified),
    ];
    for (const harmed of spoil) {
      const packet = shaped({ family: 4, protocol: 6, payload: 3_000, size: 1_000, inSlot: 0 }, new Prng(5));
      harmed(packet);
      assert.equal(device.transmit([packet], 1), 1);
    }
    assert.equal(device.statistics?.()['txDropped'], spoil.length);
  });
});

/** Turns something at one of the frames; `atomic`: DF is set, and the identification means nothing. */
function harm(frames: Buffer[], prng: Prng, atomic: boolean): void {
  const i = prng.below(frames.length);
  const frame = frames[i] as Buffer;
  switch (prng.below(6)) {
    case 0: // lost
      frames.splice(i, 1);
      return;
    case 1: // twice
      frames.splice(i, 0, frame);
      return;
    case 2: // overtaken
      frames.push(...frames.splice(i, 1));
      return;
    case 3: // padded
      frames[i] = Buffer.concat([frame, Buffer.alloc(5)]);
      return;
    case 4: // another flow's, or nobody's
      frames.splice(i, 0, Buffer.from(frame.subarray(0, prng.below(frame.length) + 1)));
      return;
    default: {
      // Any octet: mostly a checksum is then wrong.
      const at = prng.below(Math.min(frame.length, 90));
      if (atomic && (at === 18 || at === 19)) return;
      frame.writeUInt8((frame[at] as number) ^ (1 + prng.below(255)), at);
    }
  }
}
