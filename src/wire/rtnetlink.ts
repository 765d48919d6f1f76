/**
 * Routes as Linux's rtnetlink says them, and the frames of zebra's Forwarding Plane Manager around them (FRRouting, dplane_fpm_nl). Netlink
 * counts in the host's order: little-endian here; FPM's length is big-endian.
 *
 * ```
 *  FPM:      | 1 | 1 = netlink | length(16), these 4 octets included | netlink messages, each 4-aligned …
 *  message:  | length(32) | type(16) | flags(16) | sequence(32) | port(32) | body | attributes …
 *  attribute:| length(16) | type(16) | value, padded to 4 |
 *  route:    | family | dst bits | src bits | tos | table | protocol | scope | type | flags(32) |
 *  next hop: | family | scope | protocol | 0 | flags(32) |
 * ```
 */
import { Address } from '../base/address.js';

/** Octets of FPM's header, and of a netlink header. */
export const FRAME_LEN = 4;
const HEADER_LEN = 16;

/** Message types (Linux rtnetlink.h). */
export const Type = { NewRoute: 24, DelRoute: 25, NewNexthop: 104, DelNexthop: 105 } as const;
/** rtm_type. */
export const RouteKind = { Unicast: 1, Blackhole: 6, Unreachable: 7, Prohibit: 8 } as const;
/** rtm_protocol of the kernel's own routes: prefixes of addresses. */
export const PROTOCOL_KERNEL = 2;

const Rta = { Destination: 1, Oif: 4, Gateway: 5, Priority: 6, Source: 7, Multipath: 9, Table: 15, Via: 18, NexthopId: 30 } as const;
const Nha = { Id: 1, Group: 2, Blackhole: 4, Oif: 5, Gateway: 6 } as const;
const AF_INET = 2;
const AF_INET6 = 10;

/** Next hops of one route or group; more is refused. Linux and FRR allow 256. */
export const HOPS_MAX = 256;

/** Octets of the FPM frame at `at`, its header included; −1: it is none of version 1 with netlink in it. `end − at` is at least FRAME_LEN. */
export function frameLength(view: DataView, at: number): number {
  const length = view.getUint16(at + 2);
  return view.getUint16(at) === 0x0101 && length >= FRAME_LEN ? length : -1;
}

/** One way of a route: an interface of the other side, and the gateway. */
export interface Way {
  readonly oif: number;
  /** Null: on-link. */
  readonly gateway: Address | null;
}

/** A message, read. Reused: the next one overwrites it; `destination` and `ways` are its own. */
export class Message {
  type = 0;
  /** 4 or 6; 0 for a group of next hops, which is of none. */
  family = 0;
  readonly destination = new Address();
  /** Bits of the destination. */
  length = 0;
  table = 0;
  protocol = 0;
  kind = 0;
  metric = 0;
  /** Number of the next hop, or of the group, that a route uses or that is told; 0 for none. */
  id = 0;
  /** Numbers of a group's members. */
  readonly members: number[] = [];
  readonly ways: Way[] = [];
  private oif = 0;
  private gateway: Address | null = null;

  /** Reads the message at `at`. Its octets, rounded up to 4; 0 when it is malformed. Types nobody knows are passed. */
  read(view: DataView, at: number, end: number): number {
    if (end - at < HEADER_LEN) return 0;
    const octets = view.getUint32(at, true);
    if (octets < HEADER_LEN || octets > end - at) return 0;
    this.type = view.getUint16(at + 4, true);
    this.clear();
    const from = at + HEADER_LEN;
    let sound = true;
    if (this.type === Type.NewRoute || this.type === Type.DelRoute) sound = this.route(view, from, at + octets);
    else if (this.type === Type.NewNexthop || this.type === Type.DelNexthop) sound = this.nexthop(view, from, at + octets);
    return sound ? Math.min((octets + 3) & ~3, end - at) : 0;
  }

  private clear(): void {
    this.family = this.length = this.table = this.protocol = this.kind = this.metric = this.id = this.oif = 0;
    this.gateway = null;
    this.members.length = this.ways.length = 0;
  }

  private route(view: DataView, at: number, end: number): boolean {
    if (end - at < 12 || !this.familyOf(view.getUint8(at))) return false;
    this.length = view.getUint8(at + 1);
    this.table = view.getUint8(at + 4);
    this.protocol = view.getUint8(at + 5);
    this.kind = view.getUint8(at + 7);
    if (this.length > (this.family === 4 ? 32 : 128)) return false;
    if (this.family === 4) this.destination.setV4(0);
    else this.destination.set(0, 0, 0, 0);
    if (!this.attributes(view, at + 12, end, true)) return false;
    if (this.oif !== 0 || this.gateway !== null) this.ways.push({ oif: this.oif, gateway: this.gateway });
    return true;
  }

  private nexthop(view: DataView, at: number, end: number): boolean {
    if (end - at < 8) return false;
    if (view.getUint8(at) !== 0 && !this.familyOf(view.getUint8(at))) return false;
    this.kind = RouteKind.Unicast;
    if (!this.attributes(view, at + 8, end, false) || this.id === 0) return false;
    if (this.oif !== 0 || this.gateway !== null) this.ways.push({ oif: this.oif, gateway: this.gateway });
    return true;
  }

  private familyOf(family: number): boolean {
    this.family = family === AF_INET ? 4 : family === AF_INET6 ? 6 : 0;
    return this.family !== 0;
  }

  private attributes(view: DataView, from: number, end: number, route: boolean): boolean {
    for (let at = from; end - at >= 4; ) {
      const octets = view.getUint16(at, true);
      if (octets < 4 || octets > end - at) return false;
      const type = view.getUint16(at + 2, true) & 0x3fff;
      const sound = route ? this.ofRoute(view, type, at + 4, at + octets) : this.ofNexthop(view, type, at + 4, at + octets);
      if (!sound) return false;
      at += (octets + 3) & ~3;
    }
    return true;
  }

  private ofRoute(view: DataView, type: number, at: number, end: number): boolean {
    switch (type) {
      case Rta.Destination:
        return this.address(view, at, end, this.destination);
      case Rta.Gateway:
        this.gateway = new Address();
        return this.address(view, at, end, this.gateway);
      case Rta.Via:
        return this.via(view, at, end);
      case Rta.Multipath:
        return this.multipath(view, at, end);
      case Rta.Oif:
      case Rta.Priority:
      case Rta.Table:
      case Rta.NexthopId: {
        if (end - at < 4) return false;
        const value = view.getUint32(at, true);
        if (type === Rta.Oif) this.oif = value;
        else if (type === Rta.Priority) this.metric = value;
        else if (type === Rta.Table) this.table = value;
        else this.id = value;
        return true;
      }
      default:
        return true;
    }
  }

  private ofNexthop(view: DataView, type: number, at: number, end: number): boolean {
    if (type === Nha.Gateway) {
      this.gateway = new Address();
      return this.family !== 0 && this.address(view, at, end, this.gateway);
    }
    if (type === Nha.Blackhole) {
      this.kind = RouteKind.Blackhole;
      return true;
    }
    if (type === Nha.Group) {
      if ((end - at) % 8 !== 0 || (end - at) / 8 > HOPS_MAX) return false;
      for (let o = at; o < end; o += 8) this.members.push(view.getUint32(o, true));
      return true;
    }
    if (type !== Nha.Id && type !== Nha.Oif) return true;
    if (end - at < 4) return false;
    if (type === Nha.Id) this.id = view.getUint32(at, true);
    else this.oif = view.getUint32(at, true);
    return true;
  }

  private address(view: DataView, at: number, end: number, into: Address): boolean {
    if (end - at !== (this.family === 4 ? 4 : 16)) return false;
    if (this.family === 4) into.setV4(view.getInt32(at));
    else into.set(view.getInt32(at), view.getInt32(at + 4), view.getInt32(at + 8), view.getInt32(at + 12));
    return true;
  }

  /** A gateway of the other family: IPv4 over an IPv6 next hop (RFC 8950). */
  private via(view: DataView, at: number, end: number): boolean {
    if (end - at < 6) return false;
    const own = this.family;
    if (!this.familyOf(view.getUint16(at, true))) return false;
    this.gateway = new Address();
    const sound = this.address(view, at + 2, end, this.gateway);
    this.family = own;
    return sound;
  }

  private multipath(view: DataView, from: number, end: number): boolean {
    const { oif, gateway } = this;
    for (let at = from; end - at >= 8; ) {
      const octets = view.getUint16(at, true);
      if (octets < 8 || octets > end - at || this.ways.length >= HOPS_MAX) return false;
      this.oif = view.getUint32(at + 4, true);
      this.gateway = null;
      for (let o = at + 8; at + octets - o >= 4; ) {
        const part = view.getUint16(o, true);
        if (part < 4 || part > at + octets - o || !this.ofRoute(view, notNested(view.getUint16(o + 2, true)), o + 4, o + part)) return false;
        o += (part + 3) & ~3;
      }
      this.ways.push({ oif: this.oif, gateway: this.gateway });
      at += (octets + 3) & ~3;
    }
    this.oif = oif;
    this.gateway = gateway;
    return true;
  }
}

/** Within a multipath only gateways are of use: a nested multipath would nest without end. */
const notNested = (type: number): number => ((type & 0x3fff) === Rta.Gateway || (type & 0x3fff) === Rta.Via ? type & 0x3fff : 0);
