import assert from 'node:assert/strict';
import { type Packet, PacketPool, SMALL_SLOT } from '#src/base/packet.js';
import { Slab } from '#src/base/slab.js';
import { seconds } from '#src/base/time.js';
import { type MemoryDevice, memoryLink } from '#src/hyper/memory-link.js';
import { VirtualClock } from '#src/hyper/virtual-host.js';
import { type AnyStack, createStack } from '#src/index.js';
import type { Interface } from '#src/net/interface.js';
import type { Stack } from '#src/net/stack.js';
import type { BridgeDevice } from '#src/net/stacked/bridge.js';
import { AGEING, MacTable, STATIONS_MAX } from '#src/net/stacked/mac-table.js';
import { assertEmpty, lone, prefix } from '../../support/stacks.js';
import { concat, hex, toHex } from '../../support/wire.js';

/** A bridge of three ports with the test on the other ends. */
class Site {
  readonly clock = new VirtualClock();
  readonly stack: Stack;
  readonly br0: Interface;
  readonly ports: Interface[] = [];
  readonly cables: MemoryDevice[] = [];
  private readonly pool = new PacketPool(256);
  private readonly slab = new Slab(SMALL_SLOT, 16, 256);

  constructor() {
    this.stack = lone(this.clock, 'bridge', { sysctl: { 'net.ipv4.conf.all.arp_announce_count': 0 } }).stack;
    for (let i = 0; i < 3; i++) {
      const [near, far] = memoryLink({ macs: [Uint8Array.of(2, 0, 0, 0, 1, i), Uint8Array.of(2, 0, 0, 0, 2, i)] });
      this.ports.push(this.stack.addInterface(`lan${i}`, near));
      far.start({ readable: () => {}, writable: () => {}, carrier: () => {}, mtu: () => {}, failed: () => {} });
      this.cables.push(far);
    }
    this.br0 = this.stack.stacking.bridge('br0', this.ports);
    this.stack.addAddress(this.br0, prefix('10.0.0.1/24'));
    this.clock.advance(1_000);
    this.heard();
  }

  send(port: number, to: string, from: string, rest = '0800 4500'): void {
    const packet = this.pool.from(this.slab) as Packet;
    const bytes = concat(hex(to), hex(from), hex(rest));
    packet.bytes.set(bytes, packet.head);
    packet.tail = packet.head + bytes.length;
    (this.cables[port] as MemoryDevice).transmit([packet], 1);
    this.clock.advance(1_000);
  }

  /** Frames that have come out of each port since the last look. */
  heard(): string[][] {
    return this.cables.map((cable) => {
      const into: Packet[] = [];
      const n = cable.receive(this.pool, into, 64);
      return into.slice(0, n).map((p) => {
        const text = toHex(p.bytes.subarray(p.head, p.tail));
        p.release();
        return text;
      });
    });
  }

  dropped(expected: Readonly<Record<string, number>>): void {
    assert.deepEqual(this.stack.ctx.counters.dropped(), expected);
    this.stack.ctx.counters.drops.fill(0);
  }

  end(): void {
    this.stack.close();
    this.clock.advance(seconds(1));
    this.heard();
    assertEmpty(this.stack);
    assert.equal(this.pool.held, 0);
  }
}

const A = '02000000000a';
const B = '02000000000b';
const counts = (heard: string[][]): number[] => heard.map((frames) => frames.length);

describe('bridge (IEEE 802.1Q §8)', () => {
  let t: Site;
  beforeEach(() => {
    t = new Site();
  });
  afterEach(() => t.end());

  it('floods what it does not know, learns by whom it was sent, and then sends one way only', () => {
    t.send(0, B, A);
    assert.deepEqual(counts(t.heard()), [0, 1, 1]);
    t.send(1, A, B);
    assert.deepEqual(counts(t.heard()), [1, 0, 0]);
    t.send(0, B, A);
    assert.deepEqual(counts(t.heard()), [0, 1, 0]);
    t.send(2, B, A); // A has moved
    t.heard();
    t.send(1, A, B);
    assert.deepEqual(counts(t.heard()), [0, 0, 1]);
    t.dropped({});
  });

  it('what is for a station behind the port it came by goes nowhere', () => {
    t.send(0, B, A);
    t.send(0, A, B);
    t.heard();
    t.send(0, A, B);
    assert.deepEqual(counts(t.heard()), [0, 0, 0]);
    t.dropped({ BridgeSamePort: 2 });
  });

  it('§8.8.3: a station silent for 300 s is unknown again; one behind a pulled cable at once', () => {
    t.send(0, B, A);
    t.heard();
    t.clock.advance(AGEING);
    t.send(1, A, B);
    assert.deepEqual(counts(t.heard()), [1, 0, 1]);
    t.send(0, B, A);
    (t.cables[0] as MemoryDevice).setCarrier(false);
    (t.cables[0] as MemoryDevice).setCarrier(true);
    t.heard();
    t.send(1, A, B);
    assert.deepEqual(counts(t.heard()), [1, 0, 1]);
  });

  it('§8.6.3: 01-80-C2-00-00-00 to 0F are never forwarded', () => {
    t.send(0, '0180c2000000', A, '0800 4500');
    t.send(0, '0180c200000e', A, '88cc 0000');
    assert.deepEqual(counts(t.heard()), [0, 0, 0]);
    assert.equal(t.br0.rxPackets, 0);
    t.dropped({ IpTruncated: 1, EthernetUnknownType: 1 });
    t.send(0, '0180c2000010', A, '88cc 0000');
    assert.deepEqual(counts(t.heard()), [0, 1, 1], 'the next one is a group like others');
  });

  it('its own interface hears groups and what is for its address, and answers by the port that asked', () => {
    t.send(2, 'ffffffffffff', A, `0806 0001 0800 06 04 0001 ${A} 0a000009 000000000000 0a000001`);
    const [one, two, three] = t.heard();
    assert.equal(one?.length, 1, 'the question is flooded');
    assert.equal(two?.length, 1);
    assert.deepEqual(
      three?.map((f) => f.slice(0, 28)),
      [`${A}020000000100` + '0806'],
      'the answer is not',
    );
    assert.equal(t.br0.rxPackets, 1);
    assert.equal(toHex(t.br0.mac), '020000000100', 'the address of the first port');
  });

  it('its own address as source of a frame that comes in is a loop', () => {
    t.send(0, 'ffffffffffff', '020000000100');
    assert.deepEqual(counts(t.heard()), [0, 0, 0]);
    t.dropped({ BridgeLoop: 1 });
  });

  it('taken down it passes nothing; a port that goes leaves the others', () => {
    t.br0.up = false;
    t.send(0, B, A);
    assert.deepEqual(counts(t.heard()), [0, 0, 0]);
    t.dropped({ DeviceDown: 1 });
    t.br0.up = true;
    t.stack.removeInterface(t.ports[1] as Interface);
    t.send(0, B, A);
    assert.deepEqual(counts(t.heard()), [0, 0, 1]);
    assert.equal((t.br0.device as BridgeDevice).members.length, 2);
    assert.throws(() => t.stack.stacking.bridge('br1', [t.ports[0] as Interface]), { code: 'EBUSY' });
    assert.throws(() => t.stack.stacking.bridge('br1', []), { code: 'EINVAL' });
  });

  it('a frame longer than a port carries dies there, and that port counts it', () => {
    (t.ports[1] as Interface).mtu = 600;
    t.send(0, B, A, `0800 ${'00'.repeat(1_000)}`);
    assert.deepEqual(counts(t.heard()), [0, 0, 1]);
    t.dropped({ DeviceOversize: 1 });
  });

  it('the table is bounded: a stranger with many addresses pushes out old ones, and the newest are known', () => {
    const table = new MacTable(0x1234567);
    for (let i = 0; i < 20 * STATIONS_MAX; i++) table.learn(0x0200, i, 1, i);
    assert.ok(table.list(20 * STATIONS_MAX).length <= STATIONS_MAX);
    assert.equal(table.find(0x0200, 20 * STATIONS_MAX - 1, 20 * STATIONS_MAX), 1);
    assert.equal(table.find(0x0200, 1, 20 * STATIONS_MAX), 0);
  });
});

describe('bridge by configuration', () => {
  it('joins hosts: TCP in big frames through it, and with the gateway itself', async () => {
    const [a, p0] = memoryLink();
    const [p1, b] = memoryLink({ offloads: 0, macs: [Uint8Array.of(2, 0, 0, 0, 9, 1), Uint8Array.of(2, 0, 0, 0, 9, 2)] });
    const host = (name: string, device: typeof a, address: string): AnyStack =>
      createStack({ name, interfaces: { eth0: { device, addresses: [address] } }, services: { discard: true } });
    const one = host('one', a, '10.0.0.1/24');
    const two = host('two', b, '10.0.0.2/24');
    const bridge = createStack({
      name: 'bridge',
      interfaces: { br0: { bridge: { ports: ['lan1', 'lan2'] }, addresses: ['10.0.0.3/24'] }, lan1: { device: p0 }, lan2: { device: p1 } },
      services: { discard: true },
    });
    const all = [one, two, bridge];
    await Promise.all(all.map((s) => s.ready));
    for (const [from, to] of [
      [one, '10.0.0.2'],
      [two, '10.0.0.1'],
      [two, '10.0.0.3'],
      [bridge, '10.0.0.1'],
    ] as const) {
      const socket = from.net.connect({ host: to, port: 9 });
      socket.end(Buffer.alloc(300_000, 0x61));
      await new Promise((resolve) => socket.once('close', resolve));
      assert.equal(socket.bytesWritten, 300_000);
    }
    for (const stack of all) assert.equal(stack.nstat().drops['TcpBadChecksum'], undefined, stack.name);
    assert.throws(() => bridge.reload({ interfaces: { x: { device: p0 }, br0: { bridge: { ports: ['x', 'x'] } } } }), /'x' is a port of it twice/);
    await Promise.all(all.map((s) => s.close()));
    for (const stack of all) assert.deepEqual(stack.nstat().held, { packets: 0, slots: 0, chunks: 0 });
  });
});
