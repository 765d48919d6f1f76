import assert from 'node:assert/strict';
import { closeSync, readSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { BIG_SLOT, Checksum, Gso, type Packet, PacketPool, SMALL_SLOT } from '#src/base/packet.js';
import type { Device } from '#src/hyper/hypercalls.js';
import { createNodeHost } from '#src/hyper/node-host.js';
import { bigTcp } from '../support/big-frames.js';
import { FrameBench, Recorder } from '../support/devices.js';
import { needs } from '../support/requirements.js';
import { frameSocketPair } from '../support/socket-pair.js';

for (const native of [true, false]) {
  describe(`port over a seqpacket pair, through ${native ? 'the addon' : 'koffi'}`, () => {
    let device: Device;
    let far: number;
    let events: Recorder;
    let bench: FrameBench;

    before(function () {
      needs(this, 'koffi');
      if (native) needs(this, 'addon');
    });
    const open = (vnetHeader: number): void => {
      const [near, other] = frameSocketPair();
      far = other;
      bench = new FrameBench();
      device = createNodeHost({ native, log: () => {} }).open({ type: 'fd', fd: near, vnetHeader });
      events = new Recorder();
      device.start(events);
    };
    afterEach(() => {
      device.close();
      try {
        closeSync(far);
      } catch {
        // The test has closed it.
      }
      assert.equal(bench.held, 0);
    });

    it('frames in and out without a vnet header, of all sizes', async () => {
      open(0);
      const frames = [1, 60, 1_514, SMALL_SLOT, 65_000].map((length, i) => Buffer.alloc(length, i + 1));
      for (const frame of frames) writeSync(far, frame);
      // A batch ends with the big slots; what is left is told again.
      const got: Buffer[] = [];
      while (got.length < frames.length) {
        await events.until('readable');
        got.push(...bench.receive(device));
      }
      assert.deepEqual(got, frames);
      assert.equal(bench.send(device, ...frames), 5);
      const into = Buffer.alloc(70_000);
      for (const frame of frames) assert.deepEqual(into.subarray(0, readSync(far, into)), frame);
    });

    it('the fields of a vnet header, both ways', async () => {
      open(10);
      const big = bigTcp(bench, 8_000, 1_000);
      assert.equal(device.transmit([big], 1), 1);
      const into = Buffer.alloc(70_000);
      const n = readSync(far, into);
      assert.equal(n, 10 + 54 + 8_000);
      // flags, type, header length, size, start, offset
      assert.deepEqual([into[0], into[1], ...[2, 4, 6, 8].map((at) => into.readUInt16LE(at))], [1, Gso.Tcp4, 54, 1_000, 34, 16]);
      writeSync(far, into, 0, n);
      await events.until('readable');
      const pool = new PacketPool(4);
      const got: Packet[] = [];
      assert.equal(device.receive(pool, got, 4), 1);
      const [packet] = got as [Packet];
      assert.deepEqual([packet.checksum, packet.csumStart - packet.head, packet.csumOffset], [Checksum.Partial, 34, 16]);
      assert.deepEqual([packet.gsoType, packet.gsoSize, packet.length], [Gso.Tcp4, 1_000, 8_054]);
      assert.equal(packet.slot.slab.slotSize, BIG_SLOT);
      assert.equal((packet.head + 14) % 8, 0);
      packet.release();
    });

    it('a vnet header that contradicts its frame costs the frame', async () => {
      open(10);
      const send = (flags: number, type: number, size: number, start: number, offset: number): void => {
        const frame = Buffer.alloc(10 + 60);
        frame.set([flags, type]);
        frame.writeUInt16LE(size, 4);
        frame.writeUInt16LE(start, 6);
        frame.writeUInt16LE(offset, 8);
        writeSync(far, frame);
      };
      send(1, 0, 0, 34, 16); // the only good one
      send(1, 0, 0, 50, 9); // checksum behind the end
      send(1, 0, 0, 65_535, 65_535);
      send(1, 1, 0, 34, 16); // segments of nothing
      send(0, 1, 1_000, 0, 0); // segments without a checksum
      send(1, 3, 1_000, 34, 16); // a type never offered
      await events.until('readable');
      assert.equal(bench.receive(device).length, 1);
      assert.equal(device.statistics?.()['rxMalformed'], 5);
    });

    it('rests while no descriptor is free, and goes on by itself', async () => {
      open(0);
      const pool = new PacketPool(2);
      const into: Packet[] = [];
      for (let i = 0; i < 4; i++) writeSync(far, Buffer.alloc(60, i));
      await events.until('readable');
      assert.equal(device.receive(pool, into, 64), 2);
      const [a, b] = into as [Packet, Packet];
      await events.until('readable');
      assert.equal(device.receive(pool, into, 64), 0);
      assert.equal(device.statistics?.()['rests'], 1);
      a.release();
      b.release();
      await events.until('readable');
      assert.equal(device.receive(pool, into, 64), 2);
      assert.equal(into[0]?.bytes[into[0].head], 2);
      for (const packet of into.slice(0, 2)) packet.release();
    });

    it('does not keep the loop busy with what nobody reads, and goes on when somebody does', async () => {
      open(0);
      writeSync(far, Buffer.alloc(60, 1));
      await sleep(150);
      const told = events.seen.length;
      assert.ok(told >= 1 && told < 30, `${told} times`);
      assert.equal(bench.receive(device).length, 1);
      events.seen.length = 0;
      writeSync(far, Buffer.alloc(60, 2));
      await events.until('readable');
      assert.equal(bench.receive(device).length, 1);
    });

    it('a transmit comes up short when the other end does not read, and is told when there is room', async () => {
      open(0);
      let sent = 0;
      while (bench.send(device, Buffer.alloc(1_500)) === 1) sent++;
      assert.ok(sent > 10 && sent < 10_000, `${sent}`);
      const into = Buffer.alloc(2_000);
      for (let i = 0; i < sent; i++) readSync(far, into);
      await events.until('writable');
      assert.equal(bench.send(device, Buffer.alloc(1_500)), 1);
    });

    it('the end of the other side is a failure', async () => {
      open(0);
      closeSync(far);
      await events.until('readable').then(() => device.receive(new PacketPool(4), [], 4));
      await events.until('failed EPIPE');
      assert.ok(!device.carrier);
      await sleep(5);
    });
  });
}
