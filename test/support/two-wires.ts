import assert from 'node:assert/strict';
import { Checksum, HEADROOM, type Packet, PacketPool, SMALL_SLOT } from '#src/base/packet.js';
import { Slab } from '#src/base/slab.js';
import { type Micros, millis } from '#src/base/time.js';
import { type MemoryDevice, memoryLink } from '#src/hyper/memory-link.js';
import { VirtualClock } from '#src/hyper/virtual-host.js';
import type { Interface } from '#src/net/interface.js';
import { MAIN_TABLE } from '#src/net/ip/route.js';
import type { Stack } from '#src/net/stack.js';
import { assertEmpty, lone, prefix } from './stacks.js';

/** A router whose two links carry bare IP packets, and the test at the other ends: octets in, octets out, nothing to resolve. */
export class TwoWires {
  readonly clock = new VirtualClock();
  readonly stack: Stack;
  readonly a: Interface;
  readonly b: Interface;
  private readonly ends: Record<'a' | 'b', MemoryDevice>;
  private readonly pool = new PacketPool(4_096);
  private readonly slab = new Slab(SMALL_SLOT, 16, 4_096);

  constructor(onA: readonly string[], onB: readonly string[], sysctl: Readonly<Record<string, unknown>> = {}) {
    const all = {
      'net.ipv6.conf.all.disable_ipv6': 0,
      'net.ipv6.conf.all.forwarding': 1,
      'net.ipv4.ip_forward': 1,
      'net.ipv6.conf.all.dad_transmits': 0,
    };
    this.stack = lone(this.clock, 'router', { sysctl: { ...all, ...sysctl } }).stack;
    const [nearA, farA] = memoryLink({ offloads: 0, medium: 'ip' });
    const [nearB, farB] = memoryLink({ offloads: 0, medium: 'ip' });
    this.a = this.stack.addInterface('a', nearA);
    this.b = this.stack.addInterface('b', nearB);
    this.ends = { a: farA, b: farB };
    for (const end of [farA, farB]) end.start({ readable: () => {}, writable: () => {}, carrier: () => {}, mtu: () => {}, failed: () => {} });
    for (const text of onA) this.stack.addAddress(this.a, prefix(text));
    for (const text of onB) this.stack.addAddress(this.b, prefix(text));
    this.run(millis(2_000));
    this.take('a');
    this.take('b');
  }

  run(span: Micros = millis(1)): void {
    this.clock.advance(span);
  }

  /** A way on, by an interface. */
  route(to: string, iface: Interface, mtu = 0): void {
    const { address: at, length } = prefix(to);
    const route = { family: at.isV4 ? 4 : 6, prefix: at, length, type: 'unicast', index: iface.index, gateway: null, source: null } as const;
    assert(this.stack.ip.routes.add({ ...route, metric: 0, mtu, table: MAIN_TABLE, vrf: 0, protocol: 'static' }));
  }

  /** Puts packets on a wire. */
  put(wire: 'a' | 'b', ...packets: readonly Uint8Array[]): void {
    for (const bytes of packets) {
      const packet = this.pool.from(this.slab) as Packet;
      packet.head = packet.slot.start + HEADROOM;
      packet.bytes.set(bytes, packet.head);
      packet.tail = packet.head + bytes.length;
      packet.checksum = Checksum.Unverified;
      assert.equal(this.ends[wire].transmit([packet], 1), 1);
    }
    this.run();
  }

  /** What came on a wire since the last look. */
  take(wire: 'a' | 'b'): Uint8Array[] {
    const into: Packet[] = [];
    const all: Uint8Array[] = [];
    for (let n = this.ends[wire].receive(this.pool, into, 64); n > 0; n = this.ends[wire].receive(this.pool, into, 64)) {
      for (const packet of into.slice(0, n)) {
        all.push(packet.bytes.slice(packet.head, packet.tail));
        packet.release();
      }
    }
    return all;
  }

  /** The one packet that came. */
  one(wire: 'a' | 'b'): Uint8Array {
    const all = this.take(wire);
    assert.equal(all.length, 1, `packets on ${wire}; dropped: ${JSON.stringify(this.stack.ctx.counters.dropped())}`);
    return all[0] as Uint8Array;
  }

  /** Nothing came on either. */
  quiet(): void {
    assert.deepEqual([this.take('a').length, this.take('b').length], [0, 0]);
  }

  /** What was dropped since the last look. */
  dropped(): Record<string, number> {
    const { counters } = this.stack.ctx;
    const d = counters.dropped();
    counters.drops.fill(0);
    return d;
  }

  end(): void {
    this.stack.close();
    this.run();
    assertEmpty(this.stack);
  }
}
