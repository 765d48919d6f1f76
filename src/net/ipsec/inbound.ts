// hot: bench/packet/esp
import { Drop } from '../../base/drops.js';
import { Checksum, copyDescriptor, copyPacket, Gso, HEADROOM, type Packet } from '../../base/packet.js';
import * as ahWire from '../../wire/ah.js';
import * as espWire from '../../wire/esp.js';
import * as ipv4 from '../../wire/ipv4.js';
import * as ipv6 from '../../wire/ipv6.js';
import { Protocol } from '../../wire/protocol.js';
import type { Context } from '../context.js';
import type { Interface } from '../interface.js';
import type { IpLayer } from '../ip/ip.js';
import type { Demux } from '../link/link.js';
import { nextField6, openAh } from './ah.js';
import { Batch } from './batch.js';
import { innerClass, setClass } from './ecn.js';
import { openEsp } from './esp.js';
import { Merge } from './merge.js';
import type { Ended } from './outbound.js';
import type { Sa } from './sa.js';
import type { Sad } from './sad.js';
import { TunnelDevice } from './tunnel-device.js';

const TWO32 = 0x1_0000_0000;

/**
 * RFC 4301 §5.2 up to the policy: SPI → SA → replay check → crypto stage → replay test-and-set → decapsulation. What comes out
 * re-enters IP input with its SA noted; the policy is applied there. Packets collect in a batch, which runs when full and after each
 * batch of a device. No state moves before a packet is authentic.
 */
export class Inbound {
  private readonly ctx: Context;
  private readonly ip: IpLayer;
  private readonly sad: Sad;
  private readonly demux: Demux;
  private readonly owner: Ended & { moved(sa: Sa, packet: Packet): void };
  private batch = new Batch();
  private spare = new Batch();
  private running = false;
  private readonly merge: Merge;

  constructor(ctx: Context, ip: IpLayer, sad: Sad, demux: Demux, owner: Ended & { moved(sa: Sa, packet: Packet): void }) {
    this.ctx = ctx;
    this.ip = ip;
    this.sad = sad;
    this.demux = demux;
    this.owner = owner;
    this.merge = new Merge(ctx, (packet, iface) => this.deliver(packet, iface));
  }

  /** ESP or AH at head. `port`: the peer's UDP port it came from, 0 for none. Owns the packet. */
  input(packet: Packet, protocol: number, port: number): void {
    const { view, head } = packet;
    const esp = protocol === Protocol.Esp;
    const bad = esp ? espWire.check(view, head, packet.tail) : ahWire.check(view, head, packet.tail);
    if (bad !== 0) {
      this.ctx.drop(packet, bad);
      return;
    }
    const sa = this.sad.find(esp ? espWire.spi(view, head) : ahWire.spi(view, head));
    if (sa === null) {
      this.ctx.drop(packet, Drop.IpsecUnknownSpi);
      return;
    }
    const vrf = this.ip.interfaces.at(packet.inIndex)?.vrf ?? 0;
    if (sa.protocol !== protocol || sa.vrf !== vrf || (sa.remotePort !== 0) !== (port !== 0)) {
      this.ctx.drop(packet, Drop.IpsecWrongProtocol);
      return;
    }
    const sequence = sequenceOf(sa, esp ? espWire.sequence(view, head) : ahWire.sequence(view, head));
    if (!sa.replay.check(sequence)) {
      sa.replayed++;
      this.ctx.drop(packet, Drop.IpsecReplay);
      return;
    }
    packet.sourcePort = port;
    const own = this.own(packet);
    if (own !== null) this.add(own, sa, sequence);
  }

  private add(packet: Packet, sa: Sa, sequence: number): void {
    if (this.batch.full) this.run();
    if (this.batch.full) {
      this.ctx.drop(packet, Drop.IpsecQueueFull);
      return;
    }
    if (sa.protocol === Protocol.Esp) {
      if (!openEsp(this.batch, packet, sa, sequence)) this.ctx.drop(packet, Drop.EspTruncated);
    } else if (!openAh(this.batch, packet, sa, sequence)) this.ctx.drop(packet, Drop.AhHeadersTooLong);
    this.ctx.soon();
  }

  /** Opening writes to the slot: a shared one is copied first. Null when there is no memory: it was dropped. */
  private own(packet: Packet): Packet | null {
    if (packet.slot.refs === 1) return packet;
    const { ctx } = this;
    const octets = packet.tail - packet.network;
    const copy = ctx.pool.from(HEADROOM + octets > ctx.slab.slotSize ? ctx.big : ctx.slab);
    if (copy === null) {
      ctx.drop(packet, Drop.NoBuffer);
      return null;
    }
    copyDescriptor(copy, packet);
    const shift = copy.slot.start + HEADROOM - packet.network;
    packet.head = packet.network;
    copyPacket(packet, copy.bytes, packet.network + shift);
    copy.head += shift;
    copy.tail += shift;
    copy.network += shift;
    copy.transport += shift;
    copy.link = copy.network;
    packet.release();
    return copy;
  }

  /** One crypto call, then all packets on their way in their order. For the ingress phase. */
  run(): void {
    if (this.running || this.batch.count === 0) return;
    this.running = true;
    while (this.batch.count > 0) {
      const { batch } = this;
      // What comes out may be protected once more: it goes to the other batch.
      this.batch = this.spare;
      this.spare = batch;
      this.ctx.hyper.crypto.open(batch);
      for (let i = 0; i < batch.count; i++) this.opened(batch, i);
      batch.count = 0;
      this.merge.flush();
    }
    this.running = false;
  }

  private opened(batch: Batch, i: number): void {
    const packet = batch.packets[i] as Packet;
    const sa = batch.sas[i] as Sa;
    if (sa.dead || sa.ending) {
      this.ctx.drop(packet, sa.dead ? Drop.IpsecUnknownSpi : Drop.IpsecExpired);
      return;
    }
    if (!batch.ok(i)) {
      sa.badIcv++;
      this.ctx.drop(packet, Drop.IpsecBadIcv);
      return;
    }
    // Not before the ICV is checked: a forged packet could otherwise move the window (RFC 4303 §3.4.3).
    if (!sa.replay.accept(batch.sequences[i] as number)) {
      sa.replayed++;
      this.ctx.drop(packet, Drop.IpsecReplay);
      return;
    }
    const from = batch.offset(i);
    const end = from + batch.length(i);
    if (!sa.count(end - from, this.ctx.now)) this.owner.ended(sa);
    if (packet.sourcePort !== sa.remotePort || !packet.source.equals(sa.source)) this.owner.moved(sa, packet);
    if (sa.protocol === Protocol.Ah) this.decapsulate(packet, sa, from, end, ahWire.nextHeader(packet.view, packet.head));
    else this.trailer(packet, sa, from, end);
  }

  private trailer(packet: Packet, sa: Sa, from: number, end: number): void {
    const { view } = packet;
    const bad = espWire.checkTrailer(view, from, end);
    if (bad !== 0) {
      this.ctx.drop(packet, bad);
      return;
    }
    const next = espWire.nextHeader(view, end);
    const octets = espWire.TRAILER_LEN + espWire.padLength(view, end);
    if (next === Protocol.NoNext) this.ctx.drop(packet, Drop.IpsecDummy);
    else this.decapsulate(packet, sa, from, end - octets, next);
  }

  /** What was protected is at [from, end) and of protocol `next`. */
  private decapsulate(packet: Packet, sa: Sa, from: number, end: number, next: number): void {
    packet.tail = end;
    let bad = 0;
    if (sa.mode === 'transport') this.unwrap(packet, from, next);
    else if (sa.mode === 'beet') bad = this.rebuild(packet, sa, from, next);
    else bad = this.inner(packet, from, next);
    if (bad !== 0) {
      this.ctx.drop(packet, bad);
      return;
    }
    this.enter(packet, sa);
  }

  /** Transport mode: the IP header moves up to what it now carries. */
  private unwrap(packet: Packet, from: number, next: number): void {
    const { view, network } = packet;
    const octets = packet.transport - network;
    const to = from - octets;
    const field = packet.family === 6 ? nextField6(view, network, packet.transport) - network : 9;
    packet.bytes.copyWithin(to, network, network + octets);
    view.setUint8(to + field, next);
    packet.head = to;
    if (packet.family === 6) ipv6.setPayloadLength(view, to, packet.tail - to - ipv6.HEADER_LEN);
    else {
      ipv4.setTotalLength(view, to, packet.tail - to);
      ipv4.finishHeader(view, to);
    }
    // Behind a NAT the checksum was made for addresses that are gone; the ICV has vouched for the octets (RFC 3948 §3.1.2).
    packet.checksum = packet.sourcePort === 0 ? Checksum.Unverified : Checksum.Verified;
  }

  /** Tunnel mode: 0, or a drop reason. TFC padding behind the inner packet goes by its own length. */
  private inner(packet: Packet, from: number, next: number): number {
    const { view } = packet;
    if (next !== Protocol.Ipip && next !== Protocol.Ipv6) return Drop.IpsecBadNext;
    if (packet.tail - from < ipv4.HEADER_LEN) return Drop.IpTruncated;
    const version = view.getUint8(from) >>> 4;
    if (version !== (next === Protocol.Ipv6 ? 6 : 4)) return Drop.IpsecBadNext;
    const inner = version === 4 ? ipv4.trafficClass(view, from) : ipv6.trafficClass(view, from);
    const marked = innerClass(inner, packet.trafficClass);
    if (marked < 0) return Drop.IpsecEcn;
    if (marked !== inner) setClass(view, from, version, marked);
    packet.head = from;
    packet.checksum = Checksum.Unverified;
    return 0;
  }

  /** BEET mode: the inner header is made of the SA's addresses and of what the outer one says of the way. */
  private rebuild(packet: Packet, sa: Sa, from: number, next: number): number {
    const { view } = packet;
    const octets = packet.tail - from;
    if (next === Protocol.Ipip || next === Protocol.Ipv6 || next === IPV4_OPTIONS) return Drop.IpsecBadNext;
    const at = from - (sa.innerSource.isV4 ? ipv4.HEADER_LEN : ipv6.HEADER_LEN);
    const { innerSource, innerDestination } = sa;
    if (at < packet.slot.start) return Drop.IpTruncated;
    if (sa.innerSource.isV4) {
      ipv4.put(
        view,
        at,
        packet.trafficClass,
        octets + ipv4.HEADER_LEN,
        0,
        ipv4.Flag.DontFragment,
        packet.ttl,
        next,
        innerSource.w3,
        innerDestination.w3,
      );
    } else ipv6.put(view, at, packet.trafficClass, 0, octets, next, packet.ttl, innerSource, innerDestination);
    packet.head = at;
    packet.checksum = Checksum.Unverified;
    return 0;
  }

  /** Back into IP input, on the SA's interface or on the one the outer packet came by. */
  private enter(packet: Packet, sa: Sa): void {
    const iface = sa.iface ?? this.ip.interfaces.at(packet.inIndex);
    if (iface === null || !iface.up) {
      this.ctx.drop(packet, Drop.DeviceDown);
      return;
    }
    if (++packet.depth > this.ctx.sysctl.v['anystack.depth_max']) {
      this.ctx.drop(packet, Drop.IpLoop);
      return;
    }
    const { observer } = this.ctx;
    if (observer.verdict !== null) observer.verdict(packet, 'ipsec', `opened by SA 0x${(sa.spi >>> 0).toString(16).padStart(8, '0')}`);
    packet.spi = sa.spi;
    packet.flags = 0;
    packet.link = packet.head;
    packet.vlan = -1;
    packet.sourcePort = 0;
    packet.gsoType = Gso.None;
    packet.inIndex = iface.index;
    this.merge.add(packet, iface);
  }

  private deliver(packet: Packet, iface: Interface): void {
    if (iface.device instanceof TunnelDevice) {
      iface.input(packet);
      return;
    }
    const family = packet.view.getUint8(packet.head) >>> 4 === 6 ? this.demux.ipv6 : this.demux.ipv4;
    if (family === null) this.ctx.drop(packet, Drop.IpBadVersion);
    else family.input(iface, packet);
  }

  /** Drops what waits: the stack ends. */
  purge(): void {
    for (let i = 0; i < this.batch.count; i++) (this.batch.packets[i] as Packet).release();
    this.batch.count = 0;
    this.merge.purge();
  }
}

/** The pseudo header of IPv4 options in BEET mode, which nothing here speaks. */
const IPV4_OPTIONS = 94;

function sequenceOf(sa: Sa, low: number): number {
  if (!sa.esn) return low;
  const high = sa.replay.high(low);
  return high < 0 ? -1 : high * TWO32 + low;
}
