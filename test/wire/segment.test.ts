import assert from 'node:assert/strict';
import { Address } from '#src/base/address.js';
import { BIG_SLOT, Checksum, copyPacket, Gso, type Packet, PacketPool } from '#src/base/packet.js';
import { Page } from '#src/base/page.js';
import { Prng } from '#src/base/prng.js';
import { Slab } from '#src/base/slab.js';
import { ipv4, Protocol, segment, tcp, udp, vlan } from '#src/wire/index.js';
import { from6, type Shape, shapedPacket, to6 } from '../support/big-frames.js';
import { type BigFrame, slowSegments } from '../support/slow/segments.js';

const { finishChecksum, segmentLength, segments, writeSegment } = segment;

const slab = new Slab(BIG_SLOT, 1, 8);
const pool = new PacketPool(4);

const build = (shape: Shape, prng: Prng): Packet => shapedPacket(slab, pool, shape, prng);

/** The frames that writeSegment makes, each between octets it must not touch. */
function cut(packet: Packet): Uint8Array[] {
  return Array.from({ length: segments(packet) }, (_, i) => {
    const length = segmentLength(packet, i);
    const target = new Page(new Uint8Array(length + 10).fill(0xee));
    assert.equal(writeSegment(packet, i, target, 5), length);
    assert.deepEqual([...target.bytes.subarray(0, 5), ...target.bytes.subarray(5 + length)], new Array(10).fill(0xee));
    return target.bytes.slice(5, 5 + length);
  });
}

function whole(packet: Packet): Uint8Array {
  const octets = new Uint8Array(packet.length);
  copyPacket(packet, octets, 0);
  return octets;
}

function bigFrame(packet: Packet, shape: Shape): BigFrame {
  return {
    octets: whole(packet),
    network: packet.network - packet.head,
    transport: packet.transport - packet.head,
    size: shape.size,
    protocol: shape.protocol,
  };
}

function end(packet: Packet): void {
  packet.release();
  assert.equal(pool.held + slab.held, 0, 'no packet is held');
}

describe('segment', () => {
  for (const family of [4, 6] as const) {
    it(`IPv${family}: a segment of 64 KB becomes what its slow twin makes of it`, () => {
      const shape: Shape = { family, protocol: 6, payload: 64_000, size: 1_448, options: 12 };
      const packet = build(shape, new Prng(1));
      const expected = slowSegments(bigFrame(packet, shape));
      assert.equal(segments(packet), 45);
      assert.deepEqual(cut(packet), expected);
      end(packet);
    });

    it(`IPv${family}: payload in pieces of odd lengths gives the same frames (RFC 1071 §2)`, () => {
      for (const pieces of [[1, 1], [999], [1_447, 1, 1_449], [3, 4_001, 7]]) {
        const shape: Shape = { family, protocol: 6, payload: 9_999, size: 1_001, inSlot: 13, pieces, tagged: true };
        const packet = build(shape, new Prng(2));
        assert.deepEqual(cut(packet), slowSegments(bigFrame(packet, shape)));
        end(packet);
      }
    });

    it(`IPv${family}: UDP datagrams of gsoSize, each with its own length and checksum`, () => {
      const shape: Shape = { family, protocol: 17, payload: 5_000, size: 1_200, inSlot: 0, pieces: [777] };
      const packet = build(shape, new Prng(3));
      const frames = cut(packet);
      assert.deepEqual(frames, slowSegments(bigFrame(packet, shape)));
      assert.equal(frames.length, 5);
      end(packet);
    });

    it(`IPv${family}: finishChecksum equals what writeSegment writes, for every split of the payload`, () => {
      const prng = new Prng(4);
      for (let n = 0; n < 300; n++) {
        const protocol = n % 2 === 0 ? 6 : 17;
        const shape: Shape = {
          family,
          protocol,
          payload: prng.below(600),
          size: 9_999,
          inSlot: prng.below(50),
          pieces: [1 + prng.below(40), 1 + prng.below(40)],
        };
        const packet = build(shape, prng);
        const [expected] = slowSegments(bigFrame(packet, shape));
        packet.gsoType = Gso.None;
        assert.deepEqual(cut(packet), [expected]);
        finishChecksum(packet);
        assert.deepEqual(whole(packet), expected);
        assert.equal(packet.checksum, Checksum.Verified);
        end(packet);
      }
    });
  }

  it('random shapes agree with the slow twin', () => {
    const prng = new Prng(5);
    for (let n = 0; n < 150; n++) {
      const shape: Shape = {
        family: prng.below(2) === 0 ? 4 : 6,
        protocol: prng.below(4) === 0 ? 17 : 6,
        payload: prng.below(12_000),
        size: 1 + prng.below(3_000),
        tagged: prng.below(2) === 0,
        inSlot: prng.below(3_000),
        pieces: [1 + prng.below(3_000), 1 + prng.below(3_000), 1 + prng.below(3_000)],
        options: 4 * prng.below(11),
      };
      if (shape.payload / shape.size > 300) continue;
      const packet = build(shape, prng);
      assert.deepEqual(cut(packet), slowSegments(bigFrame(packet, shape)), JSON.stringify(shape));
      end(packet);
    }
  });

  it('CWR goes with the first segment only, FIN and PSH with the last, the others keep ACK', () => {
    const packet = build({ family: 4, protocol: 6, payload: 3_000, size: 1_000 }, new Prng(6));
    const flags = cut(packet).map((frame) => tcp.formatFlags(tcp.flags(new DataView(frame.buffer), 34)));
    assert.deepEqual(flags, ['W.', '.', 'FP.']);
    end(packet);
  });

  it('identification counts up and wraps, sequence numbers wrap', () => {
    const packet = build({ family: 4, protocol: 6, payload: 3_000, size: 1_000 }, new Prng(7));
    const views = cut(packet).map((frame) => new DataView(frame.buffer));
    assert.deepEqual(
      views.map((v) => ipv4.identification(v, 14)),
      [0xfffe, 0xffff, 0],
    );
    assert.deepEqual(
      views.map((v) => tcp.seq(v, 34)),
      [-700, 300, 1_300],
    );
    end(packet);
  });

  it('a frame without gso is copied whole; a checksum that is not partial is left alone', () => {
    const packet = build({ family: 6, protocol: 17, payload: 100, size: 9_999, inSlot: 40 }, new Prng(8));
    packet.gsoType = Gso.None;
    packet.checksum = Checksum.Unverified;
    const before = whole(packet);
    assert.deepEqual(cut(packet), [before]);
    finishChecksum(packet);
    assert.deepEqual(whole(packet), before);
    end(packet);
  });

  it('RFC 768: a UDP checksum that computes to zero goes out as ones, from both roads', () => {
    const packet = build({ family: 4, protocol: 17, payload: 2, size: 1_000 }, new Prng(9));
    const { view, tail } = packet;
    view.setUint16(tail - 2, 0);
    const [plain] = cut(packet);
    // What the sum lacks to be all ones, put into the payload, makes the checksum zero.
    view.setUint16(tail - 2, new DataView((plain as Uint8Array).buffer).getUint16(14 + 20 + 6));
    const field = packet.transport + 6;
    const [zero] = cut(packet);
    assert.equal(new DataView((zero as Uint8Array).buffer).getUint16(14 + 20 + 6), 0xffff);
    packet.gsoType = Gso.None;
    finishChecksum(packet);
    assert.equal(view.getUint16(field), 0xffff);
    end(packet);
  });

  it('headers that do not fit together make no frame', () => {
    const breaks: ((packet: Packet) => void)[] = [
      (p) => (p.gsoSize = 0),
      (p) => p.view.setUint8(p.transport + 12, 0x40),
      (p) => (p.tail = p.transport + 19),
      (p) => p.view.setUint8(p.transport + 12, 0xf0),
      (p) => (p.network = -1),
      (p) => (p.transport = p.network),
    ];
    for (const damage of breaks) {
      const packet = build({ family: 4, protocol: 6, payload: 10, size: 4 }, new Prng(10));
      damage(packet);
      assert.equal(segments(packet), 0);
      end(packet);
    }
  });

  it('a VLAN tag in front is carried by every segment', () => {
    const packet = build({ family: 4, protocol: 6, payload: 2_000, size: 1_000 }, new Prng(11));
    packet.head = vlan.push(packet.view, packet.head, 0x8100, 0x0123);
    for (const frame of cut(packet)) assert.equal(new DataView(frame.buffer).getUint32(12), 0x81000123);
    end(packet);
  });
});

describe('pseudo header', () => {
  it('verifies what the finishers write, in both families, and nothing else', () => {
    const v = new DataView(new ArrayBuffer(64));
    for (const [source, destination] of [
      [from6, to6],
      [new Address(0, 0, 0xffff, 1), new Address(0, 0, 0xffff, -2)],
    ] as const) {
      tcp.put(v, 0, 1, 2, 3, 4, 20, tcp.Flag.Ack, 5, 0, 0);
      tcp.finishSegment(v, 0, 33, source, destination);
      assert.ok(tcp.verify(v, 0, 33, source, destination));
      assert.ok(!tcp.verify(v, 0, 32, source, destination));
      assert.ok(!tcp.verify(v, 0, 33, destination, new Address(1, 2, 3, 4)));
      udp.put(v, 0, 1, 2, 21, 0);
      udp.finishDatagram(v, 0, source, destination);
      assert.ok(udp.verify(v, 0, source, destination));
      v.setUint8(20, v.getUint8(20) ^ 1);
      assert.ok(!udp.verify(v, 0, source, destination));
      v.setUint16(6, 0);
      assert.equal(udp.verify(v, 0, source, destination), destination.isV4, 'zero means none over IPv4, and is wrong over IPv6');
    }
    assert.equal(Protocol.Tcp, 6);
  });
});
