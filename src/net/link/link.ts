import { Drop } from '../../base/drops.js';
import { type Packet, PacketFlag } from '../../base/packet.js';
import * as arpWire from '../../wire/arp.js';
import * as ethernet from '../../wire/ethernet.js';
import * as vlan from '../../wire/vlan.js';
import type { Context } from '../context.js';
import type { Interface, Link, Station } from '../interface.js';
import type { Arp } from './arp.js';
import { type Neighbor, NeighborState } from './neighbor.js';

/** A network protocol: takes packets with head at its header. */
export interface NetworkInput {
  input(iface: Interface, packet: Packet): void;
}

/** A claim on whole frames: packet sockets and the bridge. */
export interface FrameTap {
  /** It has a say in packets that only pass through, to no address of ours. */
  readonly transit: boolean;
  /** True when it took the packet over, and the stack sees no more of it. */
  frame(iface: Interface, packet: Packet): boolean;
}

/** Takes frames with a tag, head at the first octet. */
export interface TaggedInput {
  input(packet: Packet): void;
}

/** What links hand frames to. Filled in by the stack. */
export class Demux {
  ipv4: NetworkInput | null = null;
  ipv6: NetworkInput | null = null;
  arp: Arp | null = null;
  /** Sees every frame first; null when nobody listens. */
  tap: FrameTap | null = null;
  /** Who takes the frames of a VLAN on `iface`, or null. Null while there are no VLANs. */
  vlan: ((iface: Interface, vid: number) => TaggedInput | null) | null = null;
}

/** Ethernet II with 802.1Q tags. */
export class Ethernet implements Link {
  private readonly ctx: Context;
  private readonly demux: Demux;

  constructor(ctx: Context, demux: Demux) {
    this.ctx = ctx;
    this.demux = demux;
  }

  input(iface: Interface, packet: Packet): void {
    const { view } = packet;
    const at = packet.head;
    const reason = ethernet.check(view, at, packet.tail);
    if (reason !== 0) {
      this.ctx.drop(packet, reason);
      return;
    }
    packet.link = at;
    if (this.demux.tap?.frame(iface, packet)) return;
    if (iface.master?.frame(iface, packet)) return;
    let type = ethernet.type(view, at);
    if (type === ethernet.EtherType.Vlan && this.tagged(iface, packet)) return;
    const high = ethernet.destinationHigh(view, at);
    const low = ethernet.destinationLow(view, at);
    if (high !== iface.macHigh || low !== iface.macLow) {
      const group = ethernet.isGroup(view, at);
      if (!group && !iface.stations.some((s) => s.low === low && s.high === high)) {
        this.ctx.drop(packet, Drop.EthernetOtherHost);
        return;
      }
      if (group) packet.flags |= ethernet.isBroadcast(view, at) ? PacketFlag.LinkBroadcast : PacketFlag.LinkMulticast;
    }
    packet.head = at + ethernet.HEADER_LEN;
    if (type === ethernet.EtherType.Vlan) {
      type = this.untag(packet);
      if (type < 0) return;
    }
    this.dispatch(iface, packet, type);
  }

  /** True when the frame's VLAN has an interface, which has taken it, or when it was dropped. */
  private tagged(iface: Interface, packet: Packet): boolean {
    const at = packet.head + ethernet.HEADER_LEN;
    const reason = vlan.check(packet.view, at, packet.tail);
    if (reason !== 0) {
      this.ctx.drop(packet, reason);
      return true;
    }
    const target = this.demux.vlan?.(iface, vlan.vid(packet.view, at)) ?? null;
    if (target === null) return false;
    target.input(packet);
    return true;
  }

  /** Passes the tag at head and answers the EtherType behind it. −1: of a VLAN that nobody has; it was dropped. */
  private untag(packet: Packet): number {
    const { view, head } = packet;
    // A priority tag (vid 0) belongs to the untagged interface (IEEE 802.1Q §6.9.1).
    if (vlan.vid(view, head) !== 0) {
      this.ctx.drop(packet, Drop.VlanUnknown);
      return -1;
    }
    packet.vlan = vlan.tci(view, head);
    packet.head += vlan.TAG_LEN;
    return vlan.type(view, head);
  }

  private dispatch(iface: Interface, packet: Packet, type: number): void {
    const { demux } = this;
    if (type === ethernet.EtherType.Ipv4 && demux.ipv4 !== null) demux.ipv4.input(iface, packet);
    else if (type === ethernet.EtherType.Ipv6 && demux.ipv6 !== null) demux.ipv6.input(iface, packet);
    else if (type === ethernet.EtherType.Arp && demux.arp !== null) demux.arp.input(iface, packet);
    else this.ctx.drop(packet, Drop.EthernetUnknownType);
  }

  /** A packet to a neighbour, head at its IP header. Owns it. */
  output(iface: Interface, packet: Packet, neighbor: Neighbor): void {
    if (neighbor.state === NeighborState.Reachable || neighbor.state === NeighborState.Permanent)
      this.frame(iface, packet, neighbor.macHigh, neighbor.macLow);
    else neighbor.table.send(packet, neighbor);
  }

  /** To a group or to everybody: RFC 1112 §6.4, RFC 2464 §7. */
  outputGroup(iface: Interface, packet: Packet): void {
    const { destination } = packet;
    if (packet.flags & PacketFlag.NetBroadcast) this.frame(iface, packet, 0xffff, -1);
    else if (packet.family === 4) this.frame(iface, packet, 0x0100, 0x5e000000 | (destination.w3 & 0x7fffff));
    else this.frame(iface, packet, 0x3333, destination.w3);
  }

  /** To a group, from a virtual router's station. */
  outputFrom(station: Station, iface: Interface, packet: Packet): void {
    const { destination, view } = packet;
    const v4 = packet.family === 4;
    const at = packet.push(ethernet.HEADER_LEN);
    const low = v4 ? 0x5e000000 | (destination.w3 & 0x7fffff) : destination.w3;
    ethernet.put(view, at, v4 ? 0x0100 : 0x3333, low, station.high, station.low, v4 ? ethernet.EtherType.Ipv4 : ethernet.EtherType.Ipv6);
    packet.link = at;
    iface.transmit(packet);
  }

  /** Puts the header and transmits. */
  frame(iface: Interface, packet: Packet, high: number, low: number): void {
    if (this.ctx.observer.verdict !== null) this.ctx.observer.verdict(packet, 'neighbour', ethernet.formatMac(high, low));
    const at = packet.push(ethernet.HEADER_LEN);
    const type = packet.family === 6 ? ethernet.EtherType.Ipv6 : ethernet.EtherType.Ipv4;
    ethernet.put(packet.view, at, high, low, iface.macHigh, iface.macLow, type);
    packet.link = at;
    iface.transmit(packet);
  }

  /** Sends an ARP packet of 28 octets, head at its first, from the station that it names. */
  arpFrame(iface: Interface, packet: Packet, high: number, low: number): void {
    const at = packet.push(ethernet.HEADER_LEN);
    const arp = at + ethernet.HEADER_LEN;
    const [fromHigh, fromLow] = [arpWire.senderMacHigh(packet.view, arp), arpWire.senderMacLow(packet.view, arp)];
    ethernet.put(packet.view, at, high, low, fromHigh, fromLow, ethernet.EtherType.Arp);
    packet.link = at;
    // Padded by hand: a TAP does not pad, and some receivers count what is shorter as an error.
    const short = ethernet.FRAME_MIN - ethernet.HEADER_LEN - arpWire.PACKET_LEN;
    packet.bytes.fill(0, packet.tail, packet.tail + short);
    packet.tail += short;
    iface.transmit(packet);
  }
}

/** A medium whose frames are IP packets: TUN, raw sockets, tunnels. */
export class IpLink implements Link {
  private readonly ctx: Context;
  private readonly demux: Demux;

  constructor(ctx: Context, demux: Demux) {
    this.ctx = ctx;
    this.demux = demux;
  }

  input(iface: Interface, packet: Packet): void {
    packet.link = packet.head;
    if (packet.tail <= packet.head) {
      this.ctx.drop(packet, Drop.IpTruncated);
      return;
    }
    if (this.demux.tap?.frame(iface, packet)) return;
    const version = packet.view.getUint8(packet.head) >>> 4;
    if (version === 4 && this.demux.ipv4 !== null) this.demux.ipv4.input(iface, packet);
    else if (version === 6 && this.demux.ipv6 !== null) this.demux.ipv6.input(iface, packet);
    else this.ctx.drop(packet, Drop.IpBadVersion);
  }
}
