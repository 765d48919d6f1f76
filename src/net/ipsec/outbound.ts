// hot: bench/packet/esp
import { fold, sum } from '../../base/checksum.js';
import { Drop } from '../../base/drops.js';
import { Errno } from '../../base/errors.js';
import { Checksum, copyDescriptor, copyPacket, Gso, HEADROOM, type Packet, PacketFlag } from '../../base/packet.js';
import { Unreachable } from '../../wire/icmpv4.js';
import * as ipv4 from '../../wire/ipv4.js';
import * as ipv6 from '../../wire/ipv6.js';
import { Protocol } from '../../wire/protocol.js';
import { finishChecksum, segments, writeSegment } from '../../wire/segment.js';
import * as udp from '../../wire/udp.js';
import type { Context } from '../context.js';
import type { FamilyOutput, IpLayer } from '../ip/ip.js';
import { Flow, type Path } from '../ip/path.js';
import { fragment } from '../ipv4/fragment.js';
import { ahLength, nextField6, sealAh } from './ah.js';
import { BATCH_MAX, Batch } from './batch.js';
import { outerClass } from './ecn.js';
import { espHeader, espRoom, type IvSource, sealEsp } from './esp.js';
import type { Sa } from './sa.js';

/** Octets behind the payload: padding, TFC aside, trailer and the longest ICV. */
const TAILROOM = 96;
/** Octets in front: IPv6, UDP, ESP with an IV of a block, Ethernet with a tag. */
const FRONT = 96;
/** RFC 8200 §5: an IPv6 source may send this much everywhere, so a tunnel that has less fragments outside. */
const MTU6_MIN = 1_280;

/** Tells another host that its packet does not fit the tunnel. RFC 4301 §8.1. */
export interface TooBig {
  tooBig(packet: Packet, mtu: number): void;
}

/** Told when an SA has sent its last packet. */
export interface Ended {
  ended(sa: Sa): void;
}

/**
 * What RFC 4301 §5.1 does behind the policy: encapsulation, the crypto stage, and on down the road with the outer header.
 * Packets collect in a batch; it runs when full and at each egress. Big frames are cut here; payload that lies in a
 * send buffer is copied out of it on the way, so that sealing in place never touches clear text somebody may want again.
 */
export class Outbound implements IvSource {
  private readonly ctx: Context;
  private readonly ip: IpLayer;
  private readonly errors: TooBig;
  private readonly owner: Ended;
  private batch = new Batch();
  private spare = new Batch();
  private running = false;
  private readonly flow = new Flow();
  private readonly ivs = new Uint8Array(16 * BATCH_MAX);
  private readonly ivView = new DataView(this.ivs.buffer);
  private ivAt = this.ivs.length;

  constructor(ctx: Context, ip: IpLayer, errors: TooBig, owner: Ended) {
    this.ctx = ctx;
    this.ip = ip;
    this.errors = errors;
    this.owner = owner;
  }

  /** Packets waiting for the crypto call. */
  get waiting(): number {
    return this.batch.count;
  }

  /** Protects a complete packet, head at its IP header, and sends it. Owns the packet. */
  protect(packet: Packet, sa: Sa): void {
    const { ctx } = this;
    if (packet.depth >= ctx.sysctl.v['anystack.depth_max']) {
      ctx.drop(packet, Drop.IpLoop);
      return;
    }
    const path = this.pathOf(sa);
    if (path === null) {
      ctx.drop(packet, Drop.IpNoRoute);
      return;
    }
    const room = this.room(sa, path.mtu, packet.transport - packet.network);
    const length = packet.gsoType === Gso.None ? packet.length : packet.transport - packet.network + segmentHeader(packet) + packet.gsoSize;
    if (length > room && !this.fits(packet, sa, room, length)) return;
    if (packet.gsoType !== Gso.None) this.cut(packet, sa, path, room);
    else this.add(packet, sa, path, room);
  }

  /** Too long for the SA. True when it may go all the same, its outer packet in fragments; false when it was taken. */
  private fits(packet: Packet, sa: Sa, room: number, length: number): boolean {
    // Transport mode protects whole datagrams only, which may be cut afterwards (RFC 4301 §7).
    const whole = (packet.flags & PacketFlag.DontFragment) !== 0 || packet.gsoType !== Gso.None;
    if (packet.family === 4 && !whole) {
      if (sa.mode !== 'tunnel') return true;
      fragment(this.ctx, packet, room, (piece) => this.protect(piece, sa));
      return false;
    }
    if (packet.family === 6 && length <= MTU6_MIN) return true;
    if (packet.family === 6 && !whole) return true;
    const mtu = packet.family === 6 ? Math.max(room, MTU6_MIN) : Math.max(room, ipv4.MTU_MIN);
    if (packet.flags & PacketFlag.Forwarded) this.errors.tooBig(packet, mtu);
    else if (sa.mode === 'transport')
      this.ip.routes.invalidate(); // the sender's path is of before the SA: it asks anew and hears of the room
    else this.ip.failed(packet, 'too-big', packet.family === 6 ? 0 : Unreachable.FragmentationNeeded, Errno.EMSGSIZE, mtu);
    this.ctx.drop(packet, Drop.IpTooBig);
    return false;
  }

  /** The longest inner packet, with an IP header of `header` octets, whose protected form fits `mtu`. */
  room(sa: Sa, mtu: number, header: number): number {
    const outer = sa.mode === 'transport' ? header : sa.source.isV4 ? ipv4.HEADER_LEN : ipv6.HEADER_LEN;
    const udpHeader = sa.remotePort === 0 ? 0 : udp.HEADER_LEN;
    const inside = sa.mode === 'tunnel' ? 0 : header;
    if (sa.protocol === Protocol.Ah) return mtu - outer - ahLength(sa, sa.source.isV4 ? 4 : 6) + inside;
    return espRoom(sa, mtu - outer - udpHeader) + inside;
  }

  /** Sends `octets` of chance that the peer throws away, to hide when there is traffic: RFC 4303 §2.6. Tunnel mode only. False when it could not. */
  dummy(sa: Sa, octets: number): boolean {
    const path = sa.mode === 'tunnel' && sa.protocol === Protocol.Esp ? this.pathOf(sa) : null;
    const room = path === null ? 0 : this.room(sa, path.mtu, 0);
    const packet = path === null || octets > room ? null : this.blank(octets);
    if (packet === null || path === null) return false;
    packet.family = sa.source.isV4 ? 4 : 6;
    packet.network = packet.transport = packet.head;
    packet.tail = packet.head + octets;
    this.ctx.hyper.random(packet.bytes.subarray(packet.head, packet.tail));
    this.submit(packet, sa, path, room, true);
    return true;
  }

  /** The way of the SA's packets, or null when there is none. */
  pathOf(sa: Sa): Path | null {
    if (sa.path !== null && this.ip.valid(sa.path)) return sa.path;
    const { flow } = this;
    flow.source.copy(sa.source);
    flow.destination.copy(sa.destination);
    flow.protocol = sa.remotePort === 0 ? sa.protocol : Protocol.Udp;
    flow.vrf = sa.vrf;
    const path = this.ip.path(flow);
    sa.path = typeof path === 'number' ? null : path;
    return sa.path;
  }

  /** Each segment of a big frame becomes a packet of its own. */
  private cut(packet: Packet, sa: Sa, path: Path, room: number): void {
    const count = segments(packet);
    for (let i = 0; i < count; i++) {
      const plain = this.blank(packet.transport - packet.network + packet.gsoSize + 60);
      if (plain === null) {
        this.ctx.countDrop(Drop.NoBuffer);
        break;
      }
      copyDescriptor(plain, packet);
      plain.head = plain.network = plain.slot.start + HEADROOM;
      plain.tail = plain.head + writeSegment(packet, i, plain.slot.page, plain.head);
      plain.transport = plain.head + packet.transport - packet.network;
      plain.checksum = Checksum.Verified;
      plain.gsoType = Gso.None;
      this.submit(plain, sa, path, room);
    }
    if (count === 0) this.ctx.drop(packet, Drop.SegmentMalformed);
    else packet.release();
  }

  /** A plain packet: where it stands when the slot is its own and has room, else in a copy. */
  private add(packet: Packet, sa: Sa, path: Path, room: number): void {
    const { slot } = packet;
    const tail = slot.end - packet.tail - Math.max(0, sa.tfc - packet.length);
    if (packet.pieces === 0 && slot.refs === 1 && packet.head - slot.start >= FRONT && tail >= TAILROOM) {
      finishChecksum(packet);
      this.submit(packet, sa, path, room);
      return;
    }
    const copy = this.blank(Math.max(packet.length, sa.tfc));
    if (copy === null) {
      this.ctx.drop(packet, Drop.NoBuffer);
      return;
    }
    copyDescriptor(copy, packet);
    copy.head = copy.network = copy.slot.start + HEADROOM;
    copy.tail = copyPacket(packet, copy.bytes, copy.head);
    copy.transport = copy.head + packet.transport - packet.network;
    copy.csumStart = copy.head + packet.csumStart - packet.network;
    packet.release();
    finishChecksum(copy);
    this.submit(copy, sa, path, room);
  }

  private blank(octets: number): Packet | null {
    return this.ctx.pool.from(HEADROOM + octets + TAILROOM > this.ctx.slab.slotSize ? this.ctx.big : this.ctx.slab);
  }

  /** Puts the headers and adds the job. The packet is plain and alone in its slot. */
  private submit(packet: Packet, sa: Sa, path: Path, room: number, dummy = false): void {
    if (this.batch.full) this.run();
    const refused = this.batch.full
      ? Drop.IpsecQueueFull
      : sa.dead
        ? Drop.IpsecNoSa
        : sa.exhausted
          ? Drop.IpsecSequenceEnd
          : sa.ending
            ? Drop.IpsecExpired
            : 0;
    if (refused !== 0) {
      this.ctx.drop(packet, refused);
      return;
    }
    packet.depth++;
    const length = packet.tail - packet.head;
    if (sa.mode === 'transport') this.transport(packet, sa);
    else this.tunnel(packet, sa, path, length, room, dummy);
    // One packet per sequence number, also when the hard bound is reached with this one.
    if (!sa.count(length, this.ctx.now) || sa.exhausted) this.owner.ended(sa);
    this.ctx.soon();
  }

  /** The IP header moves to the front, ESP or AH takes its place: RFC 4303 §3.1.1, 4302 §3.1.1. */
  private transport(packet: Packet, sa: Sa): void {
    const { view, transport } = packet;
    const from = packet.network;
    const octets = transport - from;
    const next = packet.protocol;
    const ah = sa.protocol === Protocol.Ah;
    const encapsulated = sa.remotePort !== 0;
    const inserted = ah ? ahLength(sa, packet.family) : espHeader(sa) + (encapsulated ? udp.HEADER_LEN : 0);
    const to = from - inserted;
    packet.bytes.copyWithin(to, from, transport);
    const field = packet.family === 6 ? nextField6(view, to, to + octets) : to + 9;
    view.setUint8(field, encapsulated ? Protocol.Udp : sa.protocol);
    packet.flags |= PacketFlag.Protected;
    packet.protocol = sa.protocol;
    packet.network = to;
    packet.transport = to + octets;
    if (ah) {
      packet.head = to;
      setLength(packet);
      if (!sealAh(this.batch, packet, sa, to + octets, next)) this.ctx.drop(packet, Drop.AhHeadersTooLong);
      return;
    }
    packet.head = transport;
    sealEsp(this.batch, packet, sa, next, 0, this);
    if (encapsulated) putUdp(packet, sa);
    packet.head = to;
    setLength(packet);
  }

  /** A new header in front: RFC 4301 §5.1.2. In BEET mode it takes the place of the inner one. */
  private tunnel(packet: Packet, sa: Sa, path: Path, length: number, room: number, dummy: boolean): void {
    const { family, trafficClass } = packet;
    const df = sa.df === 'set' || (sa.df === 'copy' && (packet.flags & PacketFlag.DontFragment) !== 0);
    let next: number = dummy ? Protocol.NoNext : family === 6 ? Protocol.Ipv6 : Protocol.Ipip;
    if (sa.mode === 'beet') {
      packet.head = packet.transport;
      next = packet.protocol;
    } else packet.ttl = 0;
    const v4 = sa.source.isV4;
    packet.family = v4 ? 4 : 6;
    packet.trafficClass = outerClass(trafficClass, sa.copyDscp);
    // What is longer than the room goes out in fragments, whatever the inner header says.
    packet.flags = PacketFlag.Protected | ((df || !v4) && length <= room ? PacketFlag.DontFragment : 0);
    packet.inIndex = packet.spi = 0;
    packet.vlan = -1;
    packet.source.copy(sa.source);
    packet.destination.copy(sa.destination);
    packet.sourcePort = packet.destinationPort = 0;
    const output = (v4 ? this.ip.v4 : this.ip.v6) as FamilyOutput;
    if (sa.protocol === Protocol.Ah) {
      const at = packet.push(ahLength(sa, packet.family));
      packet.protocol = Protocol.Ah;
      output.header(packet, path);
      if (!sealAh(this.batch, packet, sa, at, next)) this.ctx.drop(packet, Drop.AhHeadersTooLong);
      return;
    }
    const tfc = sa.tfc > length && sa.mode === 'tunnel' ? Math.max(0, Math.min(sa.tfc, room) - length) : 0;
    sealEsp(this.batch, packet, sa, next, tfc, this);
    packet.protocol = Protocol.Esp;
    if (sa.remotePort !== 0) {
      packet.protocol = Protocol.Udp;
      putUdp(packet, sa);
    }
    output.header(packet, path);
  }

  /** One crypto call, then all packets on down the road in their order. For the egress phase. */
  run(): void {
    if (this.running || this.batch.count === 0) return;
    this.running = true;
    while (this.batch.count > 0) {
      const { batch } = this;
      // What is sent may be protected once more: it goes to the other batch.
      this.batch = this.spare;
      this.spare = batch;
      this.ctx.hyper.crypto.seal(batch);
      for (let i = 0; i < batch.count; i++) this.send(batch, i);
      batch.count = 0;
    }
    this.running = false;
  }

  private send(batch: Batch, i: number): void {
    const packet = batch.packets[i] as Packet;
    const sa = batch.sas[i] as Sa;
    // Not sealed, or under keys that are zeros by now: it must not leave.
    if (sa.dead || !batch.ok(i)) {
      this.ctx.drop(packet, Drop.IpsecNoSa);
      return;
    }
    const path = this.pathOf(sa);
    if (path === null) {
      this.ctx.drop(packet, Drop.IpNoRoute);
      return;
    }
    if (sa.remotePort !== 0 && packet.family === 6) finishUdp6(packet);
    const family = (packet.family === 4 ? this.ip.v4 : this.ip.v6) as FamilyOutput;
    if (sa.mode === 'transport') family.leave(packet, path);
    else family.depart(packet, path);
  }

  /** Drops what waits: the stack ends. */
  purge(): void {
    for (let i = 0; i < this.batch.count; i++) (this.batch.packets[i] as Packet).release();
    this.batch.count = 0;
  }

  write(view: DataView, at: number): void {
    if (this.ivAt === this.ivs.length) {
      this.ctx.hyper.random(this.ivs);
      this.ivAt = 0;
    }
    for (let i = 0; i < 16; i += 4) view.setInt32(at + i, this.ivView.getInt32(this.ivAt + i));
    this.ivAt += 16;
  }
}

/** Octets of the transport header that every segment of a big frame repeats. */
function segmentHeader(packet: Packet): number {
  return packet.gsoType === Gso.Udp ? udp.HEADER_LEN : (packet.view.getUint8(packet.transport + 12) >>> 4) << 2;
}

function setLength(packet: Packet): void {
  const { view, network } = packet;
  if (packet.family === 6) {
    ipv6.setPayloadLength(view, network, packet.tail - network - ipv6.HEADER_LEN);
    return;
  }
  ipv4.setTotalLength(view, network, packet.tail - network);
  ipv4.finishHeader(view, network);
}

/** RFC 3948 §2.1: without a checksum; over IPv6, which has no datagram without, it is added when the ICV is there. */
function putUdp(packet: Packet, sa: Sa): void {
  const at = packet.push(udp.HEADER_LEN);
  udp.put(packet.view, at, sa.localPort, sa.remotePort, packet.tail - at, 0);
  packet.transport = at;
}

function finishUdp6(packet: Packet): void {
  const { view, transport } = packet;
  const octets = packet.tail - transport;
  const total = sum(view, transport, octets, sum(view, packet.network + 8, 32, octets + Protocol.Udp));
  view.setUint16(transport + 6, ~fold(total) & 0xffff || 0xffff);
}
