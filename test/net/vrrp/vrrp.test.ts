import assert from 'node:assert/strict';
import { Checksum, HEADROOM, type Packet, PacketPool, SMALL_SLOT } from '#src/base/packet.js';
import { Slab } from '#src/base/slab.js';
import { millis, seconds } from '#src/base/time.js';
import { memoryHub } from '#src/hyper/memory-link.js';
import { VirtualClock } from '#src/hyper/virtual-host.js';
import type { Interface } from '#src/net/interface.js';
import type { Stack } from '#src/net/stack.js';
import type { VirtualRouter, VirtualRouterOptions } from '#src/net/vrrp/virtual-router.js';
import { address, assertEmpty, lone, prefix } from '../../support/stacks.js';
import { checksum, concat, hex, icmp, ipv4, toHex } from '../../support/wire.js';
import { icmp6, ipv6, octets6, sum6 } from '../../support/wire6.js';

const options = (change: Partial<VirtualRouterOptions> = {}): VirtualRouterOptions => ({
  id: 7,
  addresses: [address('10.0.0.254')],
  priority: 100,
  interval: 100,
  preempt: true,
  accept: false,
  pseudoHeader: false,
  ...change,
});

/** Two routers and the test on one wire. */
class Lan {
  readonly clock = new VirtualClock();
  readonly stacks: Stack[];
  readonly ifaces: Interface[];
  private readonly ports = memoryHub(3, { offloads: 0 });
  private readonly pool = new PacketPool(1_024);
  private readonly slab = new Slab(SMALL_SLOT, 16, 1_024);

  constructor() {
    const sysctl = {
      'net.ipv6.conf.all.disable_ipv6': 0,
      'net.ipv4.ip_forward': 1,
      'net.ipv6.conf.all.forwarding': 1,
      'net.ipv4.conf.all.arp_probe': 0,
    };
    this.stacks = ['one', 'two'].map((name, n) => lone(this.clock, name, { sysctl }, n + 1).stack);
    this.ifaces = this.stacks.map((stack, n) => {
      const iface = stack.addInterface('eth0', this.ports[n] as (typeof this.ports)[0]);
      stack.addAddress(iface, prefix(`10.0.0.${n + 1}/24`));
      return iface;
    });
    this.port.start({ readable: () => {}, writable: () => {}, carrier: () => {}, mtu: () => {}, failed: () => {} });
    this.run(seconds(8));
    this.frames();
    this.dropped(0);
  }

  private get port(): (typeof this.ports)[0] {
    return this.ports[2] as (typeof this.ports)[0];
  }

  add(n: number, change: Partial<VirtualRouterOptions> = {}): VirtualRouter {
    return (this.stacks[n] as Stack).vrrp.add(this.ifaces[n] as Interface, options(change));
  }

  run(span = millis(1)): void {
    this.clock.advance(span);
  }

  /** A frame from the third station, 02:00:00:00:00:03. */
  put(to: string, type: number, payload: Uint8Array, from = '020000000003'): void {
    const packet = this.pool.from(this.slab) as Packet;
    const bytes = concat(hex(to), hex(from), Uint8Array.of(type >> 8, type & 255), payload);
    packet.head = packet.slot.start + HEADROOM - 14;
    packet.bytes.set(bytes, packet.head);
    packet.tail = packet.head + bytes.length;
    packet.checksum = Checksum.Unverified;
    assert.equal(this.port.transmit([packet], 1), 1);
    this.run();
  }

  frames(): Uint8Array[] {
    const into: Packet[] = [];
    const all: Uint8Array[] = [];
    for (let n = this.port.receive(this.pool, into, 64); n > 0; n = this.port.receive(this.pool, into, 64))
      for (const packet of into.slice(0, n)) {
        all.push(packet.bytes.slice(packet.head, packet.tail));
        packet.release();
      }
    return all;
  }

  dropped(n: number): Record<string, number> {
    const { counters } = (this.stacks[n] as Stack).ctx;
    const d = counters.dropped();
    counters.drops.fill(0);
    return d;
  }

  end(): void {
    for (const stack of this.stacks) stack.close();
    this.run();
    for (const stack of this.stacks) assertEmpty(stack);
  }
}

/** Advertisements among frames: 'source-mac priority interval addresses'. */
const advertisements = (frames: readonly Uint8Array[]): string[] =>
  frames
    .filter((f) => f[12] === 8 && f[13] === 0 && f[23] === 112)
    .map((f) => `${toHex(f.subarray(6, 12))} ${f[36]} ${((f[38] as number) << 8) | (f[39] as number)} ${[...f.subarray(42)].join('.')}`);
const arps = (frames: readonly Uint8Array[]): string[] =>
  frames
    .filter((f) => f[12] === 8 && f[13] === 6)
    .map((f) => `${toHex(f.subarray(6, 12))} op ${f[21]} ${toHex(f.subarray(22, 28))} ${[...f.subarray(28, 32)].join('.')}`);

/** An advertisement of another router. */
function advertisement(
  priority: number,
  change: { src?: string; ttl?: number; id?: number; first?: number; spoil?: boolean; pseudo?: boolean } = {},
): Uint8Array {
  const message = Uint8Array.of(change.first ?? 0x31, change.id ?? 7, priority, 1, 0, 100, 0, 0, 10, 0, 0, 254);
  const src = change.src ?? '10.0.0.9';
  const covered = change.pseudo
    ? concat(Uint8Array.from(src.split('.').map(Number)), Uint8Array.of(224, 0, 0, 18, 0, 112, 0, message.length), message)
    : message;
  const sum = checksum(covered) ^ (change.spoil ? 1 : 0);
  message.set([sum >> 8, sum & 255], 6);
  return ipv4({ src, dst: '224.0.0.18', ttl: change.ttl ?? 255, protocol: 112, payload: message });
}
const GROUP = '01005e000012';

describe('VRRP version 3 (RFC 9568)', () => {
  let t: Lan;
  beforeEach(() => {
    t = new Lan();
  });
  afterEach(() => t.end());
  const hear = (message: Uint8Array): void => t.put(GROUP, 0x0800, message, '00005e000107');

  it('§6.1: of two the one of higher priority becomes active after three intervals and its skew; its station is virtual', () => {
    const one = t.add(0, { priority: 200 });
    const two = t.add(1, { priority: 100 });
    t.run(seconds(3) + millis(200));
    assert.deepEqual([one.state, two.state, advertisements(t.frames()).length], ['backup', 'backup', 0]);
    t.run(millis(30)); // (256 − 200) / 256 of a second
    assert.deepEqual([one.state, two.state], ['active', 'backup']);
    const frames = t.frames();
    assert.deepEqual(advertisements(frames), ['00005e000107 200 100 10.0.0.254']);
    assert.deepEqual(arps(frames), ['00005e000107 op 1 00005e000107 10.0.0.254'], '§6.4.1: neighbours and switches are told');
    const [sent] = frames.filter((f) => f[23] === 112) as [Uint8Array];
    assert.deepEqual([toHex(sent.subarray(0, 6)), sent[22], checksum(sent.subarray(34))], [GROUP, 255, 0]);
    assert.equal(`${two.active}`, '10.0.0.1');
    t.run(seconds(10));
    assert.equal(two.state, 'backup');
  });

  it('§6.4.3: who leaves says so, and the next one waits its skew only; who comes back with a higher priority relieves it', () => {
    const one = t.add(0, { priority: 200 });
    const two = t.add(1, { priority: 100 });
    t.run(seconds(5));
    t.stacks[0]?.vrrp.remove(one);
    t.run(millis(700));
    assert.equal(two.state, 'active', '(256 − 100) / 256 of a second');
    const again = t.add(0, { priority: 200 });
    t.run(seconds(4));
    assert.deepEqual([again.state, two.state], ['active', 'backup']);
    assert.equal(t.ifaces[1]?.addresses.filter((a) => a.origin === 'vrrp').length, 0);
  });

  it('§6.1 Preempt_Mode false: the one of lower priority stays until it goes', () => {
    const two = t.add(1, { priority: 100 });
    t.run(seconds(5));
    const one = t.add(0, { priority: 200, preempt: false });
    t.run(seconds(10));
    assert.deepEqual([one.state, two.state], ['backup', 'active']);
    assert.equal(`${one.active}`, '10.0.0.2');
    t.stacks[1]?.vrrp.remove(two);
    t.run(seconds(1));
    assert.equal(one.state, 'active');
  });

  it('a cut cable, and the other takes over; equal priorities are settled by address', () => {
    const one = t.add(0);
    const two = t.add(1);
    t.run(seconds(5));
    assert.deepEqual([one.state, two.state].sort(), ['active', 'backup']);
    if (one.state === 'active') hear(advertisement(100, { src: '10.0.0.2' }));
    t.run(seconds(5));
    assert.deepEqual([one.state, two.state], ['backup', 'active'], '§6.4.3: the greater address');
    const port = t.ifaces[1]?.device as unknown as { setCarrier(up: boolean): void };
    port.setCarrier(false);
    t.run(seconds(5));
    assert.deepEqual([one.state, two.state], ['active', 'initialize']);
    port.setCarrier(true);
    t.run(seconds(5));
    assert.deepEqual([one.state, two.state], ['active', 'backup'], 'equal priority relieves nobody');
  });

  it('§6.4.1: the owner is active at once, by its own address, and yields to nobody', () => {
    const one = t.add(0, { priority: 255, addresses: [address('10.0.0.1')], accept: true });
    t.run();
    assert.equal(one.state, 'active');
    assert.deepEqual(arps(t.frames()), ['00005e000107 op 1 00005e000107 10.0.0.1']);
    hear(advertisement(254));
    assert.deepEqual(t.dropped(0), { VrrpUnknown: 1 });
    t.put('00005e000107', 0x0800, ipv4({ src: '10.0.0.3', dst: '10.0.0.1', protocol: 1, payload: icmp(8, 0, 1) }));
    t.put('ffffffffffff', 0x0806, hex('0001080006040001' + '020000000003' + '0a000003' + '000000000000' + '0a000001'));
    assert(arps(t.frames()).includes('00005e000107 op 2 00005e000107 10.0.0.1'));
    t.stacks[0]?.vrrp.remove(one);
    t.run();
    assert(arps(t.frames()).includes('020000000001 op 1 020000000001 10.0.0.1'), 'its own station again');
    assert.equal(t.ifaces[0]?.addresses.length, 2);
  });

  it('§8.1: the address is found at the virtual station; what passes through it is forwarded, what is for it is not taken unless Accept_Mode', () => {
    t.add(0);
    t.run(seconds(5));
    t.frames();
    const ask = hex('0001080006040001' + '020000000003' + '0a000003' + '000000000000' + '0a0000fe');
    t.put('ffffffffffff', 0x0806, ask);
    assert.deepEqual(arps(t.frames()), ['00005e000107 op 2 00005e000107 10.0.0.254']);
    const echo = (): void => t.put('00005e000107', 0x0800, ipv4({ src: '10.0.0.3', dst: '10.0.0.254', protocol: 1, payload: icmp(8, 0, 1) }));
    echo();
    assert.deepEqual(t.dropped(0), { VrrpNotAccepted: 1 });
    t.put('00005e000107', 0x0800, ipv4({ src: '10.0.0.3', dst: '192.0.2.1', protocol: 1, payload: icmp(8, 0, 1) }));
    assert.deepEqual(t.dropped(0), { IpNoRoute: 1 }, 'a packet to be forwarded');
    t.put('00005e000108', 0x0800, ipv4({ src: '10.0.0.3', dst: '10.0.0.254', protocol: 1, payload: icmp(8, 0, 1) }));
    assert.deepEqual(t.dropped(0), { EthernetOtherHost: 1 }, 'another station');
    assert.deepEqual([...(t.ifaces[0]?.stations ?? [])].length, 1);
    t.stacks[0]?.vrrp.remove(t.stacks[0].vrrp.all[0] as VirtualRouter);
    t.add(0, { accept: true });
    t.run(seconds(5));
    t.frames();
    echo();
    assert(
      t.frames().some((f) => f[23] === 1 && f[34] === 0),
      'an echo reply',
    );
  });

  it('§7.1: what did not come from the link, of another version, of a wrong checksum or cut short is not heard', () => {
    const one = t.add(0);
    for (const [message, reason] of [
      [advertisement(200, { ttl: 254 }), 'VrrpNotLocal'],
      [advertisement(200, { first: 0x21 }), 'VrrpBadVersion'],
      [advertisement(200, { spoil: true }), 'VrrpBadChecksum'],
      [advertisement(200, { id: 8 }), 'VrrpUnknown'],
      [ipv4({ src: '10.0.0.9', dst: '224.0.0.18', ttl: 255, protocol: 112, payload: Uint8Array.of(0x31, 7, 200, 0, 0, 100, 0, 0) }), 'VrrpTruncated'],
    ] as const) {
      hear(message);
      assert.deepEqual(t.dropped(0), { [reason]: 1 });
    }
    assert.equal(one.active, null);
    hear(advertisement(200, { pseudo: true }));
    assert.equal(`${one.active}`, '10.0.0.9', 'with a pseudo header it is as good: RFC 5798 was read that way');
  });

  it('§6.4.3: an active router asserts itself against a lower priority, and yields to a higher one and its interval', () => {
    const one = t.add(0);
    t.run(seconds(5));
    t.frames();
    hear(advertisement(50));
    assert.deepEqual([one.state, advertisements(t.frames()).length], ['active', 1]);
    hear(advertisement(0));
    assert.deepEqual([one.state, advertisements(t.frames()).length], ['active', 1]);
    hear(advertisement(101));
    assert.equal(one.state, 'backup');
    t.put('ffffffffffff', 0x0806, hex('0001080006040001' + '020000000003' + '0a000003' + '000000000000' + '0a0000fe'));
    assert.deepEqual(arps(t.frames()), [], '§6.4.2: a backup does not answer');
  });

  it('IPv6: unsolicited advertisements, checksum over the pseudo header, neighbours find the virtual station, routers speak as it', () => {
    const six = { addresses: [address('fe80::254'), address('2001:db8:5::254')] };
    t.stacks[0]?.v6.advertiser.start(t.ifaces[0] as Interface, () => ADVERTISED);
    t.run(seconds(20));
    assert(t.frames().some(isRouterAdvertisement));
    t.add(0, six);
    t.run(seconds(20));
    const frames = t.frames();
    const sent = frames.find((f) => f[12] === 0x86 && f[20] === 112) as Uint8Array;
    assert.deepEqual([toHex(sent.subarray(0, 12)), sent[21]], ['33330000001200005e000207', 255]);
    const source = t.ifaces[0]?.addresses.find((a) => a.address.isLinkLocal)?.address;
    assert.equal(sum6(`${source}`, 'ff02::12', 112, sent.subarray(54)), 0);
    const told = frames.filter((f) => f[54] === 136 && toHex(f.subarray(38, 54)) === toHex(octets6('ff02::1')));
    assert.deepEqual(
      told.map((f) => toHex(f.subarray(62, 78))),
      six.addresses.map((a) => toHex(octets6(`${a}`))),
    );
    for (const f of told)
      assert.deepEqual([(f[58] as number) & 0xe0, toHex(f.subarray(-6))], [0xa0, '00005e000207'], "router and override, from nobody's question");
    const speaks = frames.filter(isRouterAdvertisement).at(-1) as Uint8Array;
    assert.deepEqual(speaks.subarray(22, 38), octets6('fe80::254'), '§8.2.3: routers are the virtual one');
    const solicitation = icmp6(135, 0, 0, concat(octets6('fe80::254'), hex('0101020000000003')), 'fe80::3', 'ff02::1:ff00:254');
    t.put('3333ff000254', 0x86dd, ipv6({ src: 'fe80::3', dst: 'ff02::1:ff00:254', hops: 255, next: 58, payload: solicitation }));
    const answer = t.frames().find((f) => f[54] === 136) as Uint8Array;
    assert.equal(toHex(answer.subarray(-6)), '00005e000207');
    t.put(
      '00005e000207',
      0x86dd,
      ipv6({ src: 'fe80::3', dst: '2001:db8:5::254', next: 58, payload: icmp6(128, 0, 1, new Uint8Array(0), 'fe80::3', '2001:db8:5::254') }),
    );
    assert.equal(t.dropped(0)['VrrpNotAccepted'], 1);
  });

  it('a VRID is there once; the interface takes its virtual routers along', () => {
    t.add(0);
    assert.throws(() => t.add(0), { code: 'EEXIST' });
    t.add(0, { addresses: [address('fe80::1')] });
    t.stacks[0]?.removeInterface(t.ifaces[0] as Interface);
    assert.equal(t.stacks[0]?.vrrp.all.length, 0);
  });
});

const isRouterAdvertisement = (f: Uint8Array): boolean => f[12] === 0x86 && f[20] === 58 && f[54] === 134;

const ADVERTISED = {
  minInterval: 3,
  maxInterval: 4,
  lifetime: 30,
  preference: 0,
  managed: false,
  other: false,
  hopLimit: 64,
  mtu: 0,
  reachableMs: 0,
  retransMs: 0,
  prefixes: [],
  routes: [],
  resolvers: [],
  search: new Uint8Array(0),
  dnsLifetime: 0,
  nat64: [],
};
