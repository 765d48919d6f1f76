import assert from 'node:assert/strict';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { NetError } from '#src/base/errors.js';
import { BIG_SLOT, Checksum, Gso, HEADROOM, type Packet, PacketPool, SMALL_SLOT } from '#src/base/packet.js';
import { Slab } from '#src/base/slab.js';
import { type DeviceEvents, Offload } from '#src/hyper/hypercalls.js';
import { type MemoryDevice, memoryHub, memoryLink } from '#src/hyper/memory-link.js';

class Recorder implements DeviceEvents {
  readonly seen: string[] = [];
  readable(): void {
    this.seen.push('readable');
  }
  writable(): void {
    this.seen.push('writable');
  }
  carrier(up: boolean): void {
    this.seen.push(`carrier ${up}`);
  }
  mtu(octets: number): void {
    this.seen.push(`mtu ${octets}`);
  }
  failed(error: NetError): void {
    this.seen.push(`failed ${error.code}`);
  }
}

describe('memory link', () => {
  const pool = new PacketPool(100);
  const slab = new Slab(BIG_SLOT, 1, 4);
  const into: Packet[] = [];

  const frame = (length: number, fill = 7): Packet => {
    const packet = pool.from(slab) as Packet;
    packet.tail = packet.head + length;
    packet.bytes.fill(fill, packet.head, packet.tail);
    return packet;
  };
  const send = (device: MemoryDevice, ...packets: Packet[]): number => device.transmit(packets, packets.length);
  const drain = (device: MemoryDevice, max = 64): Buffer[] => {
    const n = device.receive(pool, into, max);
    const frames: Buffer[] = [];
    for (let i = 0; i < n; i++) {
      const packet = into[i] as Packet;
      frames.push(Buffer.from(packet.bytes.slice(packet.head, packet.tail)));
      packet.release();
    }
    return frames;
  };
  const started = (...devices: MemoryDevice[]): Recorder[] =>
    devices.map((device) => {
      const recorder = new Recorder();
      device.start(recorder);
      return recorder;
    });

  afterEach('nothing is held', () => {
    assert.equal(pool.held, 0);
    assert.equal(slab.held, 0);
  });

  it('carries a frame with its pieces from end to end, once', () => {
    const [a, b] = memoryLink();
    const [ofA, ofB] = started(a, b);
    const packet = frame(20, 1);
    const piece = frame(1000, 2);
    packet.gather(piece.slot, piece.head, 1000);
    packet.gather(piece.slot, piece.head, 3);
    piece.release();
    assert.equal(send(a, packet), 1);
    assert.deepEqual(ofB?.seen, ['readable']);
    assert.deepEqual(drain(b), [Buffer.concat([Buffer.alloc(20, 1), Buffer.alloc(1003, 2)])]);
    assert.deepEqual(drain(b), []);
    assert.deepEqual(drain(a), []);
    assert.deepEqual(ofA?.seen, ['carrier true']);
  });

  for (const [medium, before] of [
    ['ethernet', 14],
    ['ip', 0],
  ] as const) {
    it(`puts the network header of an ${medium} frame on an 8-octet boundary, HEADROOM behind the slot's start`, () => {
      const [a, b] = memoryLink({ medium });
      started(a, b);
      for (const length of [60, 1500, 65_000]) {
        const packet = frame(length);
        if (length > 2000) Object.assign(packet, { gsoType: Gso.Tcp4, gsoSize: 1448 });
        send(a, packet);
        assert.equal(b.receive(pool, into, 1), 1);
        const got = into[0] as Packet;
        assert.equal(got.head + before - got.slot.start, HEADROOM);
        assert.equal((got.head + before) % 8, 0);
        assert.equal(got.slot.slab.slotSize, length > 2000 ? BIG_SLOT : SMALL_SLOT);
        got.release();
      }
    });
  }

  it('carries partial checksums and gso over, csumStart moved with the frame', () => {
    const [a, b] = memoryLink();
    started(a, b);
    const packet = frame(40_000);
    packet.checksum = Checksum.Partial;
    packet.csumStart = packet.head + 34;
    packet.csumOffset = 16;
    packet.gsoType = Gso.Tcp6;
    packet.gsoSize = 1440;
    send(a, packet);
    b.receive(pool, into, 1);
    const got = into[0] as Packet;
    assert.deepEqual(
      [got.length, got.checksum, got.csumStart - got.head, got.csumOffset, got.gsoType, got.gsoSize],
      [40_000, Checksum.Partial, 34, 16, Gso.Tcp6, 1440],
    );
    got.release();
  });

  it('announces once until received, and again when max left frames behind', () => {
    const [a, b] = memoryLink();
    const [, ofB] = started(a, b);
    for (let i = 0; i < 5; i++) send(a, frame(60));
    assert.deepEqual(ofB?.seen, ['readable']);
    assert.equal(drain(b, 2).length, 2);
    assert.deepEqual(ofB?.seen, ['readable', 'readable']);
    assert.equal(drain(b).length, 3);
    assert.equal(ofB?.seen.length, 2);
  });

  it('keeps frames while the pool has no descriptor', () => {
    const [a, b] = memoryLink();
    started(a, b);
    send(a, frame(60), frame(61));
    const tiny = new PacketPool(1);
    assert.equal(b.receive(tiny, into, 8), 1);
    assert.equal(b.receive(tiny, into, 8), 0);
    into[0]?.release();
    assert.equal(b.receive(tiny, into, 8), 1);
    assert.equal(into[0]?.length, 61);
    into[0]?.release();
  });

  it('drops and counts at the bound in frames, in octets and in slots', () => {
    for (const [options, kept] of [
      [{ queueFrames: 20 }, 20],
      [{ queueOctets: 30 * 100 }, 30],
      [{ smallSlots: 17 }, 17],
    ] as const) {
      const [a, b] = memoryLink(options);
      started(a, b);
      for (let i = 0; i < 40; i++) send(a, frame(100, i));
      assert.equal(b.statistics().rxDropped, 40 - kept);
      const frames = drain(b);
      assert.equal(frames.length, kept);
      frames.forEach((f, i) => assert.equal(f[0], i));
    }
  });

  it('keeps the order when its ring grows with the first frame not in front', () => {
    const [a, b] = memoryLink();
    started(a, b);
    let next = 0;
    let expected = 0;
    for (const burst of [10, 14, 30, 100, 3]) {
      for (let i = 0; i < burst; i++) send(a, frame(60, next++));
      for (const f of drain(b, burst - 2)) assert.equal(f[0], expected++ & 255);
    }
    for (const f of drain(b, 1000)) assert.equal(f[0], expected++ & 255);
    assert.equal(expected, next);
  });

  it('refuses what its offloads and MTU do not carry', () => {
    const [a, b] = memoryLink({ offloads: 0, mtu: 1280 });
    started(a, b);
    const partial = frame(100);
    partial.checksum = Checksum.Partial;
    const big = frame(4000);
    big.gsoType = Gso.Udp;
    send(a, frame(1280 + 18), frame(1280 + 19), partial, big);
    assert.equal(a.statistics().txDropped, 3);
    assert.equal(drain(b).length, 1);
    assert.equal(memoryLink({ offloads: Offload.RxBig })[0].offloads, Offload.RxBig);
  });

  it('tells carrier, MTU and failure, and loses frames without carrier', () => {
    const [a, b] = memoryLink();
    const [ofA, ofB] = started(a, b);
    assert.ok(a.carrier && b.carrier);
    b.setCarrier(false);
    assert.ok(!a.carrier && !b.carrier);
    send(a, frame(60));
    assert.equal(a.statistics().txDropped, 1);
    b.setCarrier(true);
    a.setMtu(9000);
    a.fail(new NetError('ENODEV', 'read'));
    assert.deepEqual(ofA?.seen, ['carrier true', 'carrier false', 'carrier true', 'mtu 9000', 'failed ENODEV']);
    assert.deepEqual(ofB?.seen, ['carrier false', 'carrier true']);
  });

  it('close drops what waits, tells the far end, and the device can be started anew', () => {
    const [a, b] = memoryLink();
    const [ofA] = started(a, b);
    send(a, frame(60));
    b.close();
    assert.ok(!a.carrier);
    send(a, frame(60));
    const [again] = started(b);
    send(a, frame(60, 9));
    assert.deepEqual(
      drain(b).map((f) => f[0]),
      [9],
    );
    assert.deepEqual(again?.seen, ['readable']);
    assert.deepEqual(ofA?.seen, ['carrier true', 'carrier false', 'carrier true']);
  });

  it('a hub carries a frame to all others, whatever one of them lacks', () => {
    const ports = memoryHub(4, { queueFrames: 2 });
    started(...ports);
    const [a, b, c, d] = ports as [MemoryDevice, MemoryDevice, MemoryDevice, MemoryDevice];
    d.close();
    for (let i = 0; i < 3; i++) {
      send(b, frame(60, i));
      assert.deepEqual(
        drain(a).map((f) => f[0]),
        [i],
      );
    }
    assert.equal(drain(c).length, 2);
    assert.equal(drain(b).length, 0);
    assert.equal(c.statistics().rxDropped, 1);
    assert.deepEqual(
      ports.map((port) => port.mac[5]),
      [1, 2, 3, 4],
    );
  });

  it('an idle link costs less than 3 kB', () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    collect();
    const before = process.memoryUsage();
    const links = Array.from({ length: 1000 }, () => memoryLink());
    collect();
    const after = process.memoryUsage();
    assert.ok(after.heapUsed - before.heapUsed + after.arrayBuffers - before.arrayBuffers < 3_000_000);
    assert.equal(links.length, 1000);
  });
});
