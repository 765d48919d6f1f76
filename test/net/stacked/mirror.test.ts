import assert from 'node:assert/strict';
import { type Packet, PacketPool, SMALL_SLOT } from '#src/base/packet.js';
import { Prng } from '#src/base/prng.js';
import { Slab } from '#src/base/slab.js';
import { seconds } from '#src/base/time.js';
import { type MemoryDevice, memoryLink } from '#src/hyper/memory-link.js';
import { VirtualClock } from '#src/hyper/virtual-host.js';
import type { Interface } from '#src/net/interface.js';
import type { Stack } from '#src/net/stack.js';
import { Far } from '../../support/far-end.js';
import { assertEmpty, lone, prefix } from '../../support/stacks.js';
import { hex, toHex } from '../../support/wire.js';

const PORT_MAC = '020000000101';
const PEER_MAC = '020000000a0a';

/** A port with the network on its cable, and its mirror with the routing engine's host on the other. */
class Site {
  readonly clock = new VirtualClock();
  readonly stack: Stack;
  readonly port: Interface;
  readonly end: Interface;
  readonly far = new Far();
  readonly network: MemoryDevice;
  readonly host: MemoryDevice;
  readonly log: string[] = [];
  private readonly pool = new PacketPool(256);
  private readonly slab = new Slab(SMALL_SLOT, 16, 256);

  constructor() {
    const { stack, host } = lone(this.clock, 'mirror', {
      sysctl: {
        'net.ipv4.conf.all.arp_announce_count': 0,
        'net.ipv4.ip_forward': 1,
        'net.ipv6.conf.all.disable_ipv6': 0,
        'net.ipv6.conf.all.dad_transmits': 0,
        'net.ipv6.conf.all.addr_gen_mode': 0,
      },
    });
    this.stack = stack;
    host.log = (_level, text) => void this.log.push(text);
    const [near, network] = memoryLink({ macs: [hex(PORT_MAC), hex(PEER_MAC)] });
    const [tap, hostEnd] = memoryLink({ macs: [Uint8Array.of(2, 0, 0, 0, 9, 1), hex(PORT_MAC)] });
    for (const cable of [network, hostEnd])
      cable.start({ readable: () => {}, writable: () => {}, carrier: () => {}, mtu: () => {}, failed: () => {} });
    [this.network, this.host] = [network, hostEnd];
    this.port = stack.addInterface('wan', near);
    stack.addAddress(this.port, prefix('10.0.0.1/24'));
    this.end = stack.stacking.mirror('frr', this.port, () => Object.assign(tap, { far: this.far }));
    this.clock.advance(seconds(5));
    this.heard();
    stack.ctx.counters.drops.fill(0);
  }

  /** A frame of the network to the port, or of the engine. */
  send(cable: MemoryDevice, text: string): void {
    const packet = this.pool.from(this.slab) as Packet;
    const bytes = hex(text);
    packet.bytes.set(bytes, packet.head);
    packet.tail = packet.head + bytes.length;
    cable.transmit([packet], 1);
    this.clock.advance(1_000);
  }

  /** Frames at [the network, the engine's host] since the last look. */
  heard(host = this.host): [string[], string[]] {
    const look = (cable: MemoryDevice): string[] => {
      const into: Packet[] = [];
      const n = cable.receive(this.pool, into, 64);
      return into.slice(0, n).map((p) => {
        const text = toHex(p.bytes.subarray(p.head, p.tail));
        p.release();
        return text;
      });
    };
    return [look(this.network), look(host)];
  }

  /** A frame from the network: 'ours' when the engine did not see it, 'theirs' when nothing else came of it, 'both' when it went on here too. */
  whose(text: string): 'ours' | 'both' | 'theirs' {
    const before = this.port.ctx.counters.dropped();
    this.send(this.network, text);
    const [answers, seen] = this.heard();
    const here = answers.length > 0 || JSON.stringify(before) !== JSON.stringify(this.port.ctx.counters.dropped());
    if (seen.length === 0) return 'ours';
    assert.deepEqual(seen, [text.replace(/ /g, '')], 'as it came');
    return here ? 'both' : 'theirs';
  }

  end_(): void {
    this.stack.close();
    this.clock.advance(seconds(1));
    this.heard();
    assertEmpty(this.stack);
    assert.equal(this.pool.held, 0);
  }
}

const h4 = (n: number): string => n.toString(16).padStart(4, '0');
/** An Ethernet frame with IPv4: a checksum that is right, since who forwards looks. */
function ip4(protocol: number, to: string, body: string, options: { mac?: string; fragment?: number; from?: string } = {}): string {
  const octets = body.replace(/ /g, '');
  const [a, b] = [to, options.from ?? '0a000009'];
  const words = [
    '4500',
    h4(20 + octets.length / 2),
    '0000',
    h4(options.fragment ?? 0),
    `40${protocol.toString(16).padStart(2, '0')}`,
    '0000',
    a.slice(0, 4),
    a.slice(4),
    b.slice(0, 4),
    b.slice(4),
  ];
  let sum = words.reduce((s, w) => s + Number.parseInt(w, 16), 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  words[5] = h4(~sum & 0xffff);
  return `${options.mac ?? PORT_MAC}${PEER_MAC}0800${[...words.slice(0, 6), b, a].join('')}${octets}`;
}
/** The same with IPv6. */
const ip6 = (next: number, to: string, body: string, mac = PORT_MAC): string => {
  const octets = body.replace(/ /g, '');
  return `${mac}${PEER_MAC}86dd60000000${h4(octets.length / 2)}${next.toString(16).padStart(2, '0')}ff fe80000000000000000000000000000a ${to}${octets}`.replace(
    / /g,
    '',
  );
};

const US = '0a000001';
const US6 = 'fe800000000000000000 00fffe000101'.replace(/ /g, '');
const OTHER = '0a000102';
const ports = (source: number, destination: number): string => `${h4(source)}${h4(destination)}${'00'.repeat(16)}`;
const arp = (op: number, sender: string, target: string, mac = 'ffffffffffff'): string =>
  `${mac}${PEER_MAC}08060001080006040${h4(op).slice(1)}${PEER_MAC}${sender}000000000000${target}`;

describe('mirror of a port for a routing engine', () => {
  let t: Site;
  beforeEach(() => {
    t = new Site();
  });
  afterEach(() => t.end_());

  it('what only routing protocols say is theirs, unchanged: OSPF, BGP, RIP, PIM, BFD, LDP, IS-IS', () => {
    const all = [
      ip4(89, 'e0000005', '0201002c', { mac: '01005e000005' }),
      ip4(89, US, '0202002c'),
      ip4(88, 'e000000a', '0205', { mac: '01005e00000a' }),
      ip4(103, 'e000000d', '2000', { mac: '01005e00000d' }),
      ip4(17, 'e0000009', ports(520, 520), { mac: '01005e000009' }),
      ip4(17, US, ports(49_152, 3_784)),
      ip4(6, US, ports(40_000, 179)),
      ip4(6, US, ports(179, 40_000)),
      ip4(6, US, ports(646, 646)),
      ip6(89, 'ff020000000000000000000000000005', '0301', '333300000005'),
      ip6(17, 'ff020000000000000000000000000009', ports(521, 521), '333300000009'),
      ip6(6, US6, ports(40_000, 179)),
      `0180c2000014${PEER_MAC}0011fefe03831b010006010000`,
    ];
    for (const frame of all) assert.equal(t.whose(frame), 'theirs', frame);
  });

  it('a fragmented OSPF packet is theirs in all its parts', () => {
    assert.equal(t.whose(ip4(89, US, '0204', { fragment: 0x2000 })), 'theirs');
    assert.equal(t.whose(ip4(89, US, '0204', { fragment: 0x0010 })), 'theirs');
    assert.equal(t.whose(ip6(44, US6, '59000010 00000001 0304')), 'theirs');
    assert.equal(t.whose(ip4(6, US, ports(40_000, 179), { fragment: 0x0010 })), 'ours', 'whose ports nobody can see');
  });

  it('all other traffic stays here, BGP on its way to somebody else too', () => {
    const all = [
      ip4(6, US, ports(40_000, 80)),
      ip4(17, US, ports(520, 53)),
      ip4(1, US, '0800f7ff00000000'),
      ip4(6, OTHER, ports(40_000, 179)),
      ip4(89, OTHER, '0201002c'),
      ip4(17, 'e00000fb', ports(5_353, 5_353), { mac: '01005e0000fb' }),
      ip4(89, US, '0202002c', { mac: '020000000777' }),
      ip4(6, US, '00'),
      `0180c2000000${PEER_MAC}0011424203000000`,
      `${PORT_MAC}${PEER_MAC}0800450000`,
      `${PORT_MAC}${PEER_MAC}86dd6000`,
    ];
    for (const frame of all) assert.equal(t.whose(frame), 'ours', frame);
  });

  it('what passes through a mirrored port takes the short road', () => {
    const [near, far] = memoryLink({ macs: [hex('020000000301'), hex('020000000302')] });
    far.start({ readable: () => {}, writable: () => {}, carrier: () => {}, mtu: () => {}, failed: () => {} });
    const lan = t.stack.addInterface('lan', near);
    t.stack.addAddress(lan, prefix('10.0.1.1/24'));
    lan.neighbors?.setPermanent(prefix('10.0.1.2/32').address, 0x0200, 0x302);
    t.clock.advance(seconds(5));
    let long = 0;
    const input = t.port.input.bind(t.port);
    t.port.input = (packet) => {
      long++;
      input(packet);
    };
    t.send(t.network, ip4(6, OTHER, ports(40_000, 179)));
    assert.deepEqual([long, lan.txPackets > 0], [0, true]);
    t.send(t.network, ip4(6, US, ports(40_000, 179)));
    assert.deepEqual([long, t.heard()[1].length], [1, 1]);
    far.close();
  });

  it('requests for our addresses are answered here alone; what both must know goes to both', () => {
    t.send(t.network, arp(1, '0a000009', US));
    const [answers, seen] = t.heard();
    assert.equal(answers.length, 1);
    assert.deepEqual(seen, []);
    const copied = [
      arp(2, '0a000009', US, PORT_MAC),
      arp(1, '0a000009', '0a000009'),
      ip6(58, 'ff020000000000000000000000000001', `86000000 40000708${'00'.repeat(8)}`, '333300000001'),
      ip6(58, US6, `88000000 60000000 fe80000000000000000000000000000a`),
      ip4(2, 'e0000001', '1164ee9b00000000', { mac: '01005e000001' }),
    ];
    for (const frame of copied) {
      t.send(t.network, frame);
      assert.deepEqual(t.heard()[1], [frame.replace(/ /g, '')]);
    }
    const solicitation = ip6(58, US6, `87000000 00000000 ${US6}`);
    t.send(t.network, solicitation);
    assert.deepEqual(t.heard()[1], []);
  });

  it('an ICMP error about a packet of theirs is theirs', () => {
    const quoted = ip4(6, '0a000009', ports(40_000, 179), { from: US }).slice(28);
    assert.equal(t.whose(ip4(1, US, `0304000000000500${quoted}`)), 'theirs');
    const other = ip4(6, '0a000009', ports(40_000, 80), { from: US }).slice(28);
    assert.equal(t.whose(ip4(1, US, `0304000000000500${other}`)), 'ours');
    const six = ip6(6, US6, ports(179, 40_000)).slice(28);
    assert.equal(t.whose(ip6(58, US6, `02000000 00000500 ${six}`)), 'theirs');
  });

  it('what the engine’s host sends leaves by the port as it is, but not as another station', () => {
    const hello = `01005e000005${PORT_MAC}0800${ip4(89, 'e0000005', '0201002c').slice(28)}`;
    t.send(t.host, hello);
    assert.deepEqual(t.heard(), [[hello], []]);
    t.send(t.host, hello.replace(PORT_MAC, '0200000000ff'));
    assert.deepEqual(t.heard(), [[], []]);
    assert.deepEqual(t.stack.ctx.counters.dropped(), { MirrorOtherStation: 1 });
  });

  it('the host’s interface looks like the port: station address, MTU, carrier, addresses as they come and go', () => {
    assert.equal(toHex(t.far.state['mac'] as Uint8Array), PORT_MAC);
    const { up, carrier, mtu, linkLocal } = t.far.state;
    assert.deepEqual({ up, carrier, mtu, linkLocal }, { up: true, carrier: true, mtu: 1_500, linkLocal: false });
    assert.deepEqual([...t.far.addresses].sort(), ['10.0.0.1/24', 'fe80::ff:fe00:101/64']);
    t.stack.addAddress(t.port, prefix('fd00::1/64'));
    assert.ok(t.far.addresses.has('fd00::1/64'));
    t.stack.addresses.remove(t.port, prefix('10.0.0.1/24').address);
    assert.deepEqual([...t.far.addresses].sort(), ['fd00::1/64', 'fe80::ff:fe00:101/64']);
    t.network.setCarrier(false);
    assert.equal(t.far.state['carrier'], false);
    t.network.setCarrier(true);
    assert.equal(t.far.state['carrier'], true);
    t.far.addresses.clear();
    t.host.setCarrier(false); // the host's administrator took it down and up: addresses went
    t.host.setCarrier(true);
    assert.deepEqual([...t.far.addresses].sort(), ['fd00::1/64', 'fe80::ff:fe00:101/64']);
    t.far.error = -1;
    t.stack.addAddress(t.port, prefix('fd00::2/64'));
    assert.ok(
      t.log.some((line) => line === "frr: the host's interface did not take fd00::2/64: EPERM"),
      t.log.join('\n'),
    );
  });

  it('a VLAN interface is a port like others: tagged on the cable, plain in its mirror', () => {
    const vlan = t.stack.stacking.vlan('wan.5', t.port, 5);
    t.stack.addAddress(vlan, prefix('10.5.0.1/24'));
    const [tap, hostEnd] = memoryLink({ macs: [Uint8Array.of(2, 0, 0, 0, 9, 2), hex(PORT_MAC)] });
    hostEnd.start({ readable: () => {}, writable: () => {}, carrier: () => {}, mtu: () => {}, failed: () => {} });
    const far = new Far();
    t.stack.stacking.mirror('frr.5', vlan, () => Object.assign(tap, { far }));
    assert.ok(far.addresses.has('10.5.0.1/24'));
    t.clock.advance(seconds(5));
    t.heard(hostEnd);
    const hello = ip4(89, 'e0000005', '0201002c', { mac: '01005e000005' });
    t.send(t.network, `${hello.slice(0, 24)}81000005${hello.slice(24)}`);
    assert.deepEqual(t.heard(hostEnd), [[], [hello]]);
    const own = `01005e000005${PORT_MAC}${hello.slice(24)}`;
    t.send(hostEnd, own);
    assert.deepEqual(t.heard(hostEnd), [[`${own.slice(0, 24)}81000005${own.slice(24)}`], []]);
  });

  it('survives any octets: 1,500 damaged and cut frames, from the network and from the host', () => {
    const prng = new Prng(11);
    const quoted = ip4(6, '0a000009', ports(40_000, 179), { from: US }).slice(28);
    const sound = [
      ip4(6, US, ports(40_000, 179)),
      ip4(1, US, `0304000000000500${quoted}`),
      ip6(58, US6, `02000000 00000500 ${ip6(6, US6, ports(179, 40_000)).slice(28)}`),
      ip6(0, US6, '3a00050200000000 8700000000000000'),
      arp(1, '0a000009', US),
      `0180c2000014${PEER_MAC}0011fefe03831b010006010000`,
    ].map((text) => hex(text));
    for (let i = 0; i < 1_500; i++) {
      const frame = (sound[i % sound.length] as Uint8Array).slice();
      for (let n = prng.below(4); n > 0; n--) frame[12 + prng.below(frame.length - 12)] = prng.below(256);
      t.send(i % 3 === 0 ? t.host : t.network, toHex(frame.subarray(0, prng.below(3) === 0 ? 1 + prng.below(frame.length) : frame.length)));
      t.heard();
    }
    assert.equal(t.stack.state, 'running');
  });

  it('an address is shown when it has been probed for, and not when another station has it', () => {
    t.stack.ctx.sysctl.set('net.ipv4.conf.all.arp_probe', 1);
    t.stack.ctx.sysctl.set('net.ipv6.conf.all.dad_transmits', 1);
    for (const text of ['10.0.0.7/24', '10.0.0.8/24', 'fd00::7/64']) t.stack.addAddress(t.port, prefix(text));
    t.send(t.network, arp(1, '0a000008', '0a000008'));
    const probed = ['10.0.0.7/24', '10.0.0.8/24', 'fd00::7/64'].filter((text) => t.far.addresses.has(text));
    assert.deepEqual(probed, []);
    t.clock.advance(seconds(20));
    t.heard();
    const shown = ['10.0.0.7/24', '10.0.0.8/24', 'fd00::7/64'].filter((text) => t.far.addresses.has(text));
    assert.deepEqual(shown, ['10.0.0.7/24', 'fd00::7/64']);
  });

  it('it has no addresses of its own, and a port has one master', () => {
    assert.deepEqual(t.end.addresses, []);
    assert.throws(() => t.stack.addAddress(t.end, prefix('10.9.9.9/24')), { code: 'EINVAL' });
    assert.throws(() => t.stack.stacking.mirror('frr2', t.port, () => assert.fail('opened')), { code: 'EBUSY' });
    assert.throws(() => t.stack.stacking.bridge('br0', [t.port]), { code: 'EBUSY' });
    assert.equal(t.stack.stacking.mirrored(77), t.port);
    assert.equal(t.stack.stacking.mirrored(78), null);
  });

  it('without its port it is silent and without carrier; without it the port is a port like others', () => {
    const hello = `01005e000005${PORT_MAC}0800${ip4(89, 'e0000005', '0201002c').slice(28)}`;
    t.stack.removeInterface(t.port);
    assert.equal(t.far.state['carrier'], false);
    assert.deepEqual([...t.far.addresses], []);
    assert.equal(t.stack.stacking.mirrored(77), null);
    t.send(t.host, hello);
    assert.equal(t.stack.ctx.counters.dropped()['DeviceDown'], 1);
    const u = new Site();
    u.stack.removeInterface(u.end);
    assert.equal(u.whose(ip4(89, US, '0202002c')), 'ours');
    u.end_();
  });
});
