// hot: bench/packet
import type { Address } from '../base/address.js';
import { assert } from '../base/assert.js';
import { Drop } from '../base/drops.js';
import type { NetError } from '../base/errors.js';
import { Checksum, Gso, HEADROOM, type Packet } from '../base/packet.js';
import type { Micros } from '../base/time.js';
import { type Device, Offload } from '../hyper/hypercalls.js';
import { finishChecksum, segmentLength, segments, writeSegment } from '../wire/segment.js';
import type { Context } from './context.js';
import type { InterfaceTunables } from './interface-sysctl.js';
import type { FrameTap } from './link/link.js';
import type { NeighborTable } from './link/neighbor-table.js';
import { type Rate, Shaper } from './link/shaper.js';
import type { StackedDevice } from './stacked/stacked-device.js';

/** Frames queued before a flush happens by itself: bounds what a long ingress phase pins. */
const FLUSH_AT = 128;

/** The longest IPv6 packet without jumbo payload (RFC 8200 §3): no router has told of a link MTU. */
export const MTU6_MAX = 65_575;

/** A station address as 16 + 32 bits: compares without a loop. */
export interface Station {
  readonly high: number;
  readonly low: number;
}

/** An address of an interface, with the prefix that is on-link. */
export interface InterfaceAddress {
  readonly address: Address;
  /** Prefix length in the family's own bits. */
  readonly length: number;
  readonly iface: Interface;
  /** RFC 4862 §2: tentative addresses receive nothing but their own probes; deprecated ones start nothing new. Optimistic ones (RFC 4429) are in use and in doubt. */
  state: 'tentative' | 'optimistic' | 'preferred' | 'deprecated' | 'duplicate';
  /** Who put it there: configuration, API, DHCP, router advertisement. */
  readonly origin: 'static' | 'dhcp' | 'ra' | 'link-local' | 'loopback' | 'vrrp';
  /** Directed broadcast as IPv4 word, 0 where the prefix has none. */
  readonly broadcast: number;
  /** Its prefix is reached without a gateway. Not so for addresses of router advertisements, whose L flag decides apart (RFC 5942 §4). */
  readonly onLink: boolean;
  /** RFC 8981: one of several that change, for what we begin. */
  readonly temporary: boolean;
  /** Where it answers from, when that is a virtual router's station and not the interface's own. */
  station: Station | null;
  /** A virtual router's that takes no packets itself: neighbours find it, and what is sent through it passes. RFC 9568 §6.1 Accept_Mode. */
  readonly silent: boolean;
  /** When it becomes deprecated, and when it goes. NEVER for what a person gave. */
  preferredUntil: Micros;
  validUntil: Micros;
}

/** The groups an interface listens to: IGMP's and MLD's side of it. */
export interface Groups {
  /** Does anybody here want this group from this source? */
  wants(packet: Packet): boolean;
}

/** What makes frames of packets on one medium, and packets of frames. */
export interface Link {
  /** A frame from the device: head at its first octet. Owns it. */
  input(iface: Interface, packet: Packet): void;
}

/**
 * A network interface: a device, its addresses, its neighbours and its bounded transmit queue. The index is stable and
 * never used again; the device may die and come back.
 */
export class Interface implements InterfaceTunables {
  readonly ctx: Context;
  readonly index: number;
  readonly name: string;
  device: Device | null;
  readonly medium: 'ethernet' | 'ip' | 'loopback';
  readonly link: Link;
  /** Station address as 16 + 32 bits: compares without a loop. */
  readonly macHigh: number;
  readonly macLow: number;
  readonly mac: Uint8Array;
  /** Other stations whose frames are ours too: virtual routers'. */
  stations: readonly Station[] = [];
  mtu: number;
  readonly conf4: InterfaceTunables['conf4'];
  readonly conf6: InterfaceTunables['conf6'];
  readonly neigh4: InterfaceTunables['neigh4'];
  readonly neigh6: InterfaceTunables['neigh6'];
  /** Greatest IPv6 packet as routers tell (RFC 4861 §6.3.4); the lower of it and `mtu` counts. */
  mtu6 = MTU6_MAX;
  /** Hop limit that routers tell hosts to use; 0: the tunable. */
  hopLimit = 0;
  readonly vrf: number;
  /** Administrative state. */
  up = true;
  promiscuous = false;
  /** Router advertisements are believed here, where accept_ra lets any be. */
  autoconf = true;
  readonly addresses: InterfaceAddress[] = [];
  /** Null on media without address resolution. */
  neighbors: NeighborTable | null = null;
  /** Joined groups; null while there are none. */
  groups: Groups | null = null;
  /** The device, when it is made of other interfaces: what is sent goes on at once. */
  stacked: StackedDevice | null = null;
  /** Bounds how fast it sends; null: as fast as the device takes it. */
  private shaper: Shaper | null = null;
  /** The bridge it is a port of, or its mirror: sees its frames first. */
  master: FrameTap | null = null;
  /** All its frames are its master's: no IP here. */
  bare = false;
  /** Why the device is gone. */
  error: NetError | null = null;
  /** Called when carrier, device or MTU change: routes and sockets must know. */
  onChange: (() => void) | null = null;

  rxPackets = 0;
  rxOctets = 0;
  txPackets = 0;
  txOctets = 0;
  rxDropped = 0;
  txDropped = 0;

  private queue: Packet[] = [];
  private queued = 0;
  /** The device came up short; wait for `writable`. */
  private stalled = false;

  constructor(ctx: Context, index: number, name: string, device: Device | null, link: Link, vrf: number) {
    this.ctx = ctx;
    this.index = index;
    this.name = name;
    this.device = device;
    this.link = link;
    this.medium = device === null ? 'loopback' : device.medium;
    this.mac = device === null ? new Uint8Array(6) : device.mac.slice();
    const m = new DataView(this.mac.buffer);
    this.macHigh = m.getUint16(0);
    this.macLow = m.getInt32(2);
    this.mtu = device === null ? 65_536 : device.mtu;
    this.vrf = vrf;
    const { conf4, conf6, neigh4, neigh6 } = ctx.sysctl.attach(name);
    this.conf4 = conf4;
    this.conf6 = conf6;
    this.neigh4 = neigh4;
    this.neigh6 = neigh6;
  }

  /** Packets can leave: administratively up, and the device has carrier. */
  get running(): boolean {
    return this.up && (this.device === null ? this.medium === 'loopback' : this.device.carrier);
  }

  /** True when a frame of this gso type leaves whole. */
  takes(gsoType: number): boolean {
    if (this.shaper !== null) return false; // a rate is kept frame by frame
    const offloads = this.device?.offloads ?? 0;
    if (gsoType === Gso.Tcp4) return (offloads & Offload.Tso4) !== 0;
    if (gsoType === Gso.Tcp6) return (offloads & Offload.Tso6) !== 0;
    return (offloads & Offload.Uso) !== 0;
  }

  /** A frame that came in on it, head at its first octet. Owns the packet. */
  input(packet: Packet): void {
    this.rxPackets++;
    this.rxOctets += packet.tail - packet.head;
    packet.inIndex = this.index;
    if (this.ctx.observer.rx !== null) this.ctx.observer.rx(this, packet);
    this.link.input(this, packet);
  }

  /** A complete frame for the device. Big frames and unfinished checksums are made plain here when the device wants it. Owns the packet. */
  transmit(packet: Packet): void {
    if (!this.running) {
      this.txDropped++;
      this.ctx.drop(packet, Drop.DeviceDown);
      return;
    }
    if (packet.gsoType !== Gso.None && !this.takes(packet.gsoType)) {
      this.segment(packet);
      return;
    }
    if (packet.checksum === Checksum.Partial && packet.gsoType === Gso.None && ((this.device as Device).offloads & Offload.TxChecksum) === 0)
      finishChecksum(packet);
    this.enqueue(packet);
  }

  private segment(packet: Packet): void {
    const count = segments(packet);
    if (count === 0) {
      this.ctx.drop(packet, Drop.SegmentMalformed);
      return;
    }
    // By the segment, not by our MTU: gsoSize of a forwarded frame is its sender's.
    const slab = HEADROOM + segmentLength(packet, 0) > this.ctx.slab.slotSize ? this.ctx.big : this.ctx.slab;
    for (let i = 0; i < count; i++) {
      const plain = this.ctx.pool.from(slab);
      if (plain === null) {
        this.ctx.countDrop(Drop.NoBuffer);
        break;
      }
      // The network header on an 8-octet boundary, as it is in the whole frame.
      plain.head = plain.slot.start + HEADROOM - (packet.network - packet.head);
      plain.tail = plain.head + writeSegment(packet, i, plain.slot.page, plain.head);
      plain.link = plain.head;
      plain.network = plain.head + (packet.network - packet.head);
      plain.transport = plain.head + (packet.transport - packet.head);
      plain.family = packet.family;
      plain.protocol = packet.protocol;
      plain.outIndex = packet.outIndex;
      plain.trace = packet.trace;
      plain.checksum = Checksum.Verified;
      this.enqueue(plain);
    }
    packet.release();
  }

  private enqueue(packet: Packet): void {
    if (this.shaper === null) this.depart(packet);
    else {
      this.shaper.enqueue(packet);
      this.ctx.soon();
    }
  }

  /** Bounds how fast it sends; null takes the bound away, and what waits with it. */
  shape(rate: Rate | null): void {
    this.shaper?.close();
    this.shaper = rate === null ? null : new Shaper(this.ctx, rate, (packet) => this.depart(packet));
  }

  /** What it is bound to. */
  get rate(): Rate | null {
    return this.shaper?.rate ?? null;
  }

  private depart(packet: Packet): void {
    if (this.stacked !== null) {
      this.descend(packet, this.stacked);
      return;
    }
    if (this.queued >= this.ctx.sysctl.v['anystack.txqueuelen']) {
      this.txDropped++;
      this.ctx.drop(packet, Drop.DeviceQueueFull);
      return;
    }
    if (this.ctx.observer.tx !== null) this.ctx.observer.tx(this, packet);
    if (this.ctx.observer.sent !== null) this.ctx.observer.sent(this, packet);
    this.send(packet, packet.length);
  }

  /** For the fast path: a plain frame would have nothing but `send` before it. */
  get direct(): boolean {
    return this.up && this.shaper === null && this.queued < this.ctx.sysctl.v['anystack.txqueuelen'];
  }

  /** The end of transmit for a plain frame of `octets` while `direct`, nobody observing. Owns the packet. */
  send(packet: Packet, octets: number): void {
    this.txPackets++;
    this.txOctets += octets;
    this.queue[this.queued++] = packet;
    if (this.queued >= FLUSH_AT) this.flush();
    else this.ctx.soon();
  }

  private descend(packet: Packet, device: StackedDevice): void {
    this.txPackets++;
    this.txOctets += packet.length;
    if (this.ctx.observer.tx !== null) this.ctx.observer.tx(this, packet);
    if (this.ctx.observer.sent !== null) this.ctx.observer.sent(this, packet);
    device.output(packet);
  }

  /** Hands the queue to the device; what it does not take waits for `writable`. */
  flush(): void {
    if (this.queued === 0 || this.stalled || this.device === null) return;
    const taken = this.device.transmit(this.queue, this.queued);
    assert(taken >= 0 && taken <= this.queued, 'a device takes of what it was offered');
    if (taken < this.queued) {
      this.stalled = true;
      this.queue.copyWithin(0, taken, this.queued);
    }
    this.queued -= taken;
  }

  /** The device takes frames again. */
  writable(): void {
    this.stalled = false;
    this.ctx.hyper.soon();
  }

  /** Frames waiting for the device: those who fill it look here first. */
  get backlog(): number {
    return this.queued;
  }

  /** Drops what waits: the device is gone. */
  purge(): void {
    if (this.shaper !== null) this.shape(this.shaper.rate);
    for (let i = 0; i < this.queued; i++) this.ctx.drop(this.queue[i] as Packet, Drop.DeviceDown);
    this.queued = 0;
    this.stalled = false;
    this.queue = [];
  }
}

/** The station that one of an interface's addresses answers from, null for the interface's own. */
export function stationOf({ addresses }: Interface, address: Address): Station | null {
  for (const a of addresses) if (a.station !== null && a.address.equals(address)) return a.station;
  return null;
}
