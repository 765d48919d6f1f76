import assert from 'node:assert/strict';
import { Checksum, HEADROOM, type Packet, PacketPool, SMALL_SLOT } from '#src/base/packet.js';
import { Slab } from '#src/base/slab.js';
import { millis } from '#src/base/time.js';
import { type MemoryDevice, memoryLink } from '#src/hyper/memory-link.js';
import { VirtualClock } from '#src/hyper/virtual-host.js';
import { counterNames } from '#src/net/counters.js';
import type { Interface } from '#src/net/interface.js';
import { MAIN_TABLE, type Route } from '#src/net/ip/route.js';
import type { Stack } from '#src/net/stack.js';
import { address, assertEmpty, lone, prefix } from './stacks.js';
import { hex, toHex } from './wire.js';

/** Interfaces of a FourPorts. */
export const PORTS = 4;

/** A router, by the fast path or by the long road alone, with three Ethernet links and one of bare packets; the test holds the other ends. */
export class FourPorts {
  readonly clock = new VirtualClock();
  readonly stack: Stack;
  readonly ifaces: Interface[] = [];
  /** Packets the long road has had. */
  long = 0;
  private readonly ends: MemoryDevice[] = [];
  private readonly pool = new PacketPool(4_096);
  private readonly slab = new Slab(SMALL_SLOT, 16, 4_096);

  constructor(fast: 0 | 1) {
    const sysctl = { 'net.ipv6.conf.all.disable_ipv6': 0, 'net.ipv6.conf.all.forwarding': 1, 'net.ipv6.conf.all.dad_transmits': 0 };
    this.stack = lone(this.clock, 'router', {
      sysctl: {
        ...sysctl,
        'net.ipv4.ip_forward': 1,
        'net.ipv4.icmp_msgs_per_sec': 1_000_000,
        'net.ipv4.icmp_msgs_burst': 100_000,
        'anystack.fast_path': fast,
      },
    }).stack;
    for (let n = 0; n < PORTS; n++) {
      const [near, far] = memoryLink({
        offloads: 0,
        medium: n === 3 ? 'ip' : 'ethernet',
        macs: [hex(`02000000000${n + 1}`), hex(`02000000009${n}`)],
      });
      const iface = this.stack.addInterface(`p${n}`, near);
      const input = iface.input.bind(iface);
      iface.input = (packet) => {
        this.long++;
        input(packet);
      };
      far.start({ readable: () => {}, writable: () => {}, carrier: () => {}, mtu: () => {}, failed: () => {} });
      this.ifaces.push(iface);
      this.ends.push(far);
      this.stack.addAddress(iface, prefix(`10.0.${n}.1/24`));
      this.stack.addAddress(iface, prefix(`fd00:${n}::1/64`));
      for (const host of [2, 3]) {
        iface.neighbors?.setPermanent(address(`10.0.${n}.${host}`), 0x0200, 0x90 + n);
        iface.neighbors?.setPermanent(address(`fd00:${n}::${host}`), 0x0200, 0x90 + n);
      }
    }
    this.route('20.0.0.0/8', 1, '10.0.1.2');
    this.route('20.1.0.0/16', 2, '10.0.2.2', { mtu: 600 });
    this.route('20.2.0.0/16', 3, null);
    this.route('20.3.0.0/16', 0, null, { type: 'blackhole', index: 0 });
    this.route('20.4.0.0/16', 1, '10.0.1.2');
    this.route('20.4.0.0/16', 2, '10.0.2.3');
    this.route('20.5.0.0/16', 2, '10.0.2.9'); // whom nobody knows
    this.route('2001:db8::/32', 1, 'fd00:1::2');
    this.route('2001:db8:1::/48', 2, 'fd00:2::3', { mtu: 1_300 });
    this.route('2001:db8:2::/48', 3, null);
    this.route('2001:db8:3::/48', 0, null, { type: 'prohibit', index: 0 });
    this.run(millis(3_000));
    for (let n = 0; n < PORTS; n++) this.take(n);
  }

  route(to: string, port: number, via: string | null, extra: Partial<Route> = {}): void {
    const { address: at, length } = prefix(to);
    const rest = { source: null, metric: 0, mtu: 0, table: MAIN_TABLE, vrf: 0, protocol: 'static', type: 'unicast' } as const;
    const gateway = via === null ? null : address(via);
    this.stack.ip.routes.add({
      ...rest,
      family: at.isV4 ? 4 : 6,
      prefix: at,
      length,
      index: (this.ifaces[port] as Interface).index,
      gateway,
      ...extra,
    });
  }

  run(span = millis(1)): void {
    this.clock.advance(span);
  }

  put(port: number, bytes: Uint8Array, checksum: number = Checksum.Unverified): void {
    const packet = this.pool.from(this.slab) as Packet;
    packet.head = packet.slot.start + HEADROOM - 14;
    packet.bytes.set(bytes, packet.head);
    packet.tail = packet.head + bytes.length;
    packet.checksum = checksum;
    assert.equal((this.ends[port] as MemoryDevice).transmit([packet], 1), 1);
  }

  take(port: number): string[] {
    const into: Packet[] = [];
    const all: string[] = [];
    const end = this.ends[port] as MemoryDevice;
    for (let n = end.receive(this.pool, into, 64); n > 0; n = end.receive(this.pool, into, 64)) {
      for (const packet of into.slice(0, n)) {
        all.push(toHex(packet.bytes.subarray(packet.head, packet.tail)));
        packet.release();
      }
    }
    return all;
  }

  /** All that may be seen of it. */
  seen(): object {
    const { counters } = this.stack.ctx;
    return {
      frames: Array.from({ length: PORTS }, (_, n) => this.take(n)),
      drops: counters.dropped(),
      counters: Object.fromEntries(counterNames.map((name) => [name, counters.get(name)])),
      interfaces: this.ifaces.map(({ rxPackets, rxOctets, txPackets, txOctets, rxDropped, txDropped }) => [
        rxPackets,
        rxOctets,
        txPackets,
        txOctets,
        rxDropped,
        txDropped,
      ]),
      neighbors: this.ifaces.map((i) =>
        i.neighbors === null ? [] : [...i.neighbors.entries()].map((n) => `${n.address} ${n.state} ${n.usedAt}`).sort(),
      ),
    };
  }

  end(): void {
    this.stack.close();
    this.run();
    assertEmpty(this.stack);
  }
}
