import assert from 'node:assert/strict';
import { AssertionError } from '#src/base/assert.js';
import { copyPacket, HEADROOM, PacketPool, PIECES_MAX, SMALL_SLOT, share } from '#src/base/packet.js';
import { copyOctets, Page } from '#src/base/page.js';
import { Slab } from '#src/base/slab.js';

const fixture = (): { slab: Slab; pool: PacketPool } => ({ slab: new Slab(SMALL_SLOT, 2, 5), pool: new PacketPool(4) });

describe('Slab', () => {
  it('grows by pages to its bound, then gives null', () => {
    const { slab } = fixture();
    const slots = [1, 2, 3, 4, 5].map(() => slab.take());
    assert.ok(slots.every((slot) => slot !== null));
    assert.equal(slab.take(), null);
    assert.equal(slab.available, 0);
    assert.equal(new Set(slots.map((slot) => slot?.page)).size, 3);
    for (const slot of slots) slot?.release();
    assert.equal(slab.held, 0);
    assert.equal(slab.available, 5);
  });

  it('takes a slot back with the last holder, and asserts when there are none', () => {
    const { slab } = fixture();
    const slot = slab.take();
    assert.ok(slot !== null);
    slot.hold();
    slot.release();
    assert.equal(slab.held, 1);
    slot.release();
    assert.equal(slab.held, 0);
    assert.throws(() => slot.release(), AssertionError);
    assert.throws(() => slot.hold(), AssertionError);
  });
});

describe('Packet', () => {
  it('comes empty at the headroom, whatever it was before', () => {
    const { slab, pool } = fixture();
    const first = pool.from(slab);
    assert.ok(first !== null);
    Object.assign(first, {
      ttl: 9,
      network: 4,
      flags: 255,
      checksum: 1,
      gsoSize: 5,
      csumStart: 3,
      csumOffset: 7,
      spi: 8,
      mark: 1,
      vlan: 5,
      depth: 3,
    });
    first.release();
    const again = pool.from(slab);
    assert.equal(again, first);
    assert.equal(first.head, first.slot.start + HEADROOM);
    assert.deepEqual(
      [first.length, first.ttl, first.network, first.flags, first.checksum, first.gsoSize, first.vlan, first.depth],
      [0, 0, -1, 0, 0, 0, -1, 0],
    );
    first.release();
  });

  it('ends once: a second release is our bug', () => {
    const { slab, pool } = fixture();
    const packet = pool.from(slab);
    packet?.release();
    assert.throws(() => packet?.release(), AssertionError);
    assert.equal(pool.held + slab.held, 0);
  });

  it('is null at the bound of descriptors, and the slot goes back', () => {
    const { slab, pool } = fixture();
    const packets = [1, 2, 3, 4].map(() => pool.from(slab));
    assert.equal(pool.from(slab), null);
    assert.equal(slab.held, 4);
    for (const packet of packets) packet?.release();
    assert.equal(pool.held + slab.held, 0);
  });

  it('asserts headroom', () => {
    const { slab, pool } = fixture();
    const packet = pool.from(slab);
    assert.equal(packet?.push(HEADROOM), packet?.slot.start);
    assert.throws(() => packet?.push(1), AssertionError);
    packet?.release();
  });

  it('gathers pieces of other slots, holds them, and shares all with a twin', () => {
    const { slab, pool } = fixture();
    const buffer = slab.take();
    const packet = pool.from(slab);
    assert.ok(buffer !== null && packet !== null);
    for (let i = 0; i < 64; i++) buffer.page.bytes[buffer.start + i] = i;
    packet.bytes.set([100, 101, 102], packet.head);
    packet.tail += 3;
    for (let i = 0; i < PIECES_MAX; i++) assert.equal(packet.gather(buffer, buffer.start + 10 * i, 3), true);
    assert.equal(packet.gather(buffer, 0, 1), false);
    assert.equal(packet.length, 15);
    const twin = share(packet);
    assert.ok(twin !== null);
    packet.release();
    const target = new Uint8Array(20);
    assert.equal(copyPacket(twin, target, 1), 16);
    assert.deepEqual([...target], [0, 100, 101, 102, 0, 1, 2, 10, 11, 12, 20, 21, 22, 30, 31, 32, 0, 0, 0, 0]);
    twin.release();
    buffer.release();
    assert.equal(pool.held + slab.held, 0);
  });

  it('is not shared when the pool is empty, and nothing leaks', () => {
    const { slab } = fixture();
    const pool = new PacketPool(1);
    const packet = pool.from(slab);
    assert.ok(packet !== null);
    assert.equal(share(packet), null);
    packet.release();
    assert.equal(pool.held + slab.held, 0);
  });
});

describe('copyOctets', () => {
  it('copies every length between pages and within one', () => {
    for (let length = 0; length < 300; length++) {
      const from = new Page(Uint8Array.from({ length: 700 }, (_, i) => i % 251));
      const to = new Page(new Uint8Array(700));
      copyOctets(to, 3, from, 5, length);
      assert.deepEqual([...to.bytes.subarray(3, 3 + length)], [...from.bytes.subarray(5, 5 + length)]);
      assert.equal(to.bytes[3 + length], 0);
      const expected = [...from.bytes.subarray(5, 5 + length)];
      copyOctets(from, 350, from, 5, length);
      assert.deepEqual([...from.bytes.subarray(350, 350 + length)], expected);
    }
  });
});
