// hot: bench/packet/forward
import { MAPPED } from '../../base/address.js';
import { Checksum, Gso, type Packet } from '../../base/packet.js';
import * as ethernet from '../../wire/ethernet.js';
import * as wire4 from '../../wire/ipv4.js';
import * as wire6 from '../../wire/ipv6.js';
import { Protocol } from '../../wire/protocol.js';
import type { Context } from '../context.js';
import { Counter } from '../counters.js';
import type { Interface } from '../interface.js';
import type { Demux } from '../link/link.js';
import { type Neighbor, NeighborState } from '../link/neighbor.js';
import type { Fib } from './fib.js';
import type { FlowCache } from './hooks.js';
import type { IpLayer } from './ip.js';
import { LOOKUPS_MAX } from './prefix-trie.js';
import { type Hop, MAIN_TABLE } from './route.js';
import { SpecialAddresses } from './special-addresses.js';
import { Way } from './way.js';

/** A packet that was not looked up: the long road's. */
const NOT_OURS = 0x7fffffff;

/** Destinations of one family that are looked up together. */
class Lookups {
  readonly words = new Int32Array(4 * LOOKUPS_MAX);
  readonly values = new Int32Array(LOOKUPS_MAX);
  count = 0;
  /** Of the routes, when it was done. */
  generation = 0;

  add(w0: number, w1: number, w2: number, w3: number): number {
    const { words, count } = this;
    words[4 * count] = w0;
    words[4 * count + 1] = w1;
    words[4 * count + 2] = w2;
    words[4 * count + 3] = w3;
    return this.count++;
  }

  /** What was found at a place, or is found now: packets before it may have changed the routes. */
  value(place: number, fib: Fib, generation: number): number {
    return this.generation === generation ? (this.values[place] as number) : this.again(4 * place, fib);
  }

  private again(at: number, fib: Fib): number {
    const { words } = this;
    return fib.lookup(words[at] as number, words[at + 1] as number, words[at + 2] as number, words[at + 3] as number);
  }
}

/**
 * The short road of a router's plain packets: from the frame to the queue of the device it leaves by in one look, where the long road
 * (link, ipv4|ipv6, forward, link) has ten calls. It takes a packet only when the long road would do nothing but count it, lower its
 * hop limit and put a header before it; it decides that before it changes anything, and leaves every other packet, untouched, to
 * the long road: whatever is for us, malformed, expired, too long, with options, without route or neighbour. So both roads send the
 * same octets and count the same (test/net/ip/fast-path), and a rule of forwarding has one place, the long road.
 *
 * It is open where nothing looks at packets on their way: no observer of frames or verdicts, no packet socket, bridge, IPsec policy or policy
 * rule. The filter's hooks are answered for by the flows they have decided (net/filter/flows).
 */
export class FastPath {
  private readonly ctx: Context;
  private readonly ip: IpLayer;
  private readonly demux: Demux;
  private readonly special: SpecialAddresses;
  /** Of the batch: its table, what is open, what was forwarded. */
  private fib4: Fib | null = null;
  private fib6: Fib | null = null;
  /** Asked in place of the hooks, where there are some. */
  private flows: FlowCache | null = null;
  private readonly list4 = new Lookups();
  private readonly list6 = new Lookups();
  /** Of each packet: its place in list4, the complement of one in list6, or NOT_OURS. */
  private readonly places = new Int32Array(LOOKUPS_MAX);
  /** By group. */
  private readonly ways: (Way | null)[] = [];
  /** net.ipv4.conf.all.rp_filter. */
  private reverse = 0;
  private packets4 = 0;
  private packets6 = 0;
  private octets = 0;

  constructor(ctx: Context, ip: IpLayer, demux: Demux) {
    this.ctx = ctx;
    this.ip = ip;
    this.demux = demux;
    this.special = new SpecialAddresses(ip.interfaces);
  }

  /** Frames of one device, in their order: on by the short road, or `iface.input`. Owns them. */
  input(iface: Interface, batch: readonly Packet[], count: number): void {
    if (!this.prepare(iface)) {
      for (let i = 0; i < count; i++) iface.input(batch[i] as Packet);
      return;
    }
    for (let from = 0; from < count; from += LOOKUPS_MAX) {
      const end = Math.min(count, from + LOOKUPS_MAX);
      this.lookup(iface, batch, from, end);
      for (let i = from; i < end; i++) {
        const packet = batch[i] as Packet;
        if (!this.forward(iface, packet, this.places[i - from] as number)) iface.input(packet);
      }
    }
    this.account(iface);
  }

  /** Looks up the destinations of all that look like packets to be forwarded, many at once; where they stand goes to `places`. */
  private lookup(iface: Interface, batch: readonly Packet[], from: number, end: number): void {
    const { places, list4, list6, fib4, fib6 } = this;
    const ether = iface.medium === 'ethernet';
    list4.count = list6.count = 0;
    for (let i = from; i < end; i++) {
      const { view, head, tail } = batch[i] as Packet;
      const at = ether ? head + ethernet.HEADER_LEN : head;
      places[i - from] = NOT_OURS;
      if (tail - at < wire4.HEADER_LEN) continue;
      const first = view.getUint8(at);
      if (first === 0x45 && fib4 !== null && (!ether || ethernet.type(view, head) === ethernet.EtherType.Ipv4)) {
        places[i - from] = list4.add(view.getInt32(at + 16), 0, 0, 0);
      } else if (
        first >>> 4 === 6 &&
        fib6 !== null &&
        tail - at >= wire6.HEADER_LEN &&
        (!ether || ethernet.type(view, head) === ethernet.EtherType.Ipv6)
      ) {
        places[i - from] = ~list6.add(view.getInt32(at + 24), view.getInt32(at + 28), view.getInt32(at + 32), view.getInt32(at + 36));
      }
    }
    list4.generation = list6.generation = this.ip.routes.generation;
    if (list4.count > 0) fib4?.lookupAll(list4.words, list4.count, list4.values);
    if (list6.count > 0) fib6?.lookupAll(list6.words, list6.count, list6.values);
  }

  /** Is anything open for this interface? Asked once for a batch: who could close it has no turn within one. */
  private prepare(iface: Interface): boolean {
    const { ctx, ip } = this;
    const { v } = ctx.sysctl;
    const { observer } = ctx;
    const { hooks } = ip;
    if (v['anystack.fast_path'] === 0 || ip.routes.listRules().length > 0) return false;
    if (observer.rx !== null || observer.tx !== null || observer.sent !== null || observer.verdict !== null) return false;
    if (
      this.demux.tap !== null ||
      (iface.master !== null && (iface.master.transit || iface.bare)) ||
      iface.stacked !== null ||
      iface.medium === 'loopback'
    )
      return false;
    this.flows = null;
    if (hooks.prerouting !== null || hooks.forward !== null || hooks.postrouting !== null) {
      if (hooks.flows === null || !hooks.flows.ready()) return false;
      this.flows = hooks.flows;
    }
    if (hooks.verify !== null || hooks.protect !== null) return false;
    this.reverse = iface.conf4.rp_filter;
    const open4 = iface.conf4.forwarding !== 0;
    const open6 = this.flows === null && iface.conf6.forwarding !== 0 && iface.conf6.disable_ipv6 === 0 && this.demux.ipv6 !== null;
    this.fib4 = open4 ? ip.routes.fibOf(4, MAIN_TABLE, iface.vrf) : null;
    this.fib6 = open6 ? ip.routes.fibOf(6, MAIN_TABLE, iface.vrf) : null;
    return this.fib4 !== null || this.fib6 !== null;
  }

  /** Counts what was forwarded of a batch. */
  private account(iface: Interface): void {
    const { counters } = this.ctx;
    iface.rxPackets += this.packets4 + this.packets6;
    iface.rxOctets += this.octets;
    counters.add(Counter.IpInReceives, this.packets4);
    counters.add(Counter.IpForwDatagrams, this.packets4);
    counters.add(Counter.IpOutTransmits, this.packets4);
    counters.add(Counter.Ip6InReceives, this.packets6);
    counters.add(Counter.Ip6OutForwDatagrams, this.packets6);
    counters.add(Counter.Ip6OutTransmits, this.packets6);
    this.packets4 = this.packets6 = this.octets = 0;
  }

  /** A packet that has been looked up: on, when its frame is to our station and from one. */
  private forward(iface: Interface, packet: Packet, place: number): boolean {
    if (place === NOT_OURS) return false;
    const { view, head } = packet;
    let at = head;
    if (iface.medium === 'ethernet') {
      if (ethernet.destinationLow(view, head) !== iface.macLow || ethernet.destinationHigh(view, head) !== iface.macHigh) return false;
      if (ethernet.check(view, head, packet.tail) !== 0) return false;
      at += ethernet.HEADER_LEN;
    }
    return place >= 0 ? this.forward4(iface, packet, at, place) : this.forward6(iface, packet, at, ~place);
  }

  /** The checks of Ipv4.input, Ipv4.route and Forward4.forward in five loads: RFC 1812 §5.2.2, §5.3. At least 20 octets are there. */
  private forward4(iface: Interface, packet: Packet, at: number, place: number): boolean {
    const { view } = packet;
    const w0 = view.getInt32(at);
    const w1 = view.getInt32(at + 4);
    const w2 = view.getInt32(at + 8);
    const source = view.getInt32(at + 12);
    const destination = view.getInt32(at + 16);
    const total = w0 & 0xffff;
    if (total < wire4.HEADER_LEN || total > packet.tail - at) return false;
    let sum = (w0 >>> 16) + total + (w1 >>> 16) + (w1 & 0xffff) + (w2 >>> 16) + (w2 & 0xffff);
    sum += (source >>> 16) + (source & 0xffff) + (destination >>> 16) + (destination & 0xffff);
    sum = (sum & 0xffff) + (sum >>> 16);
    if ((sum & 0xffff) + (sum >>> 16) !== 0xffff) return false;
    if (w2 >>> 25 === 0) return false; // the last hop
    if (!plain4(source) || !plain4(destination)) return false;
    const { special } = this;
    if (special.epoch !== this.ip.routes.epoch) special.renew(this.ip.routes.epoch);
    const { flows } = this;
    const flow = flows === null ? -1 : this.flow(flows, iface, packet, at, total, w1, (w2 >>> 16) & 0xff);
    if (flow < 0 && flows !== null) return false;
    const target = flows === null ? destination : flows.destination(flow);
    if (special.either(source, target) || (target !== destination && !plain4(target))) return false;
    if (this.reverse !== 0 && !this.returns(this.fib4 as Fib, iface, source)) return false;
    const fib = this.fib4 as Fib;
    const way = this.way(target === destination ? this.list4.value(place, fib, this.ip.routes.generation) : fib.lookup(target, 0, 0, 0));
    if (way === null || way.out === iface || total > way.mtu || !takes(way, packet)) return false;
    let { neighbor } = way;
    if (neighbor === null ? way.resolves : !answers(neighbor)) {
      packet.destination.setV4(target);
      neighbor = this.neighbor(way, packet);
      if (neighbor === null) return false;
    }
    if (flows !== null) {
      if (!this.rewrite(flows, flow, packet, at, total, (way.out as Interface).index)) return false;
    } else {
      // One hop less: RFC 1624 eqn. 3, as in wire/ipv4.decrementTtl.
      const checksum = (w2 & 0xffff) + 0x100;
      const lowered = (((w2 >>> 16) - 0x100) << 16) | ((checksum + ((checksum + 1) >>> 16)) & 0xffff);
      view.setInt32(at + 8, lowered); // a choice among its arguments would make this a call: see wire/ipv4.decrementTtl
    }
    this.packets4++;
    this.leave(iface, packet, at, total, way, neighbor, ethernet.EtherType.Ipv4);
    return true;
  }

  /** The flow of a whole packet whose checksum can be rewritten; −1: the hooks have to see it. */
  private flow(flows: FlowCache, iface: Interface, packet: Packet, at: number, total: number, w1: number, protocol: number): number {
    if ((w1 & 0x3fff) !== 0 || total < wire4.HEADER_LEN + 8 || packet.checksum === Checksum.Partial) return -1;
    if (protocol !== Protocol.Udp && protocol !== Protocol.Tcp) return -1;
    const { view } = packet;
    return flows.find(iface.vrf, protocol, view.getInt32(at + 12), view.getInt32(at + 16), view.getInt32(at + 20), iface.index);
  }

  /** NAT before and after the hop count, in the order of the long road, whose octets these are to be. */
  private rewrite(flows: FlowCache, flow: number, packet: Packet, at: number, total: number, outIndex: number): boolean {
    const { tail } = packet;
    packet.network = at;
    packet.transport = at + wire4.HEADER_LEN;
    packet.tail = at + total;
    packet.family = 4;
    packet.protocol = wire4.protocol(packet.view, at);
    const admitted = flows.admit(flow, packet, outIndex);
    if (admitted) {
      flows.rewriteDestination(flow, packet);
      wire4.decrementTtl(packet.view, at);
      flows.rewriteSource(flow, packet);
      flows.count(flow, total);
    }
    packet.tail = tail;
    return admitted;
  }

  /** The same of Ipv6.input, Ipv6.route and Forward6.forward: RFC 8200 §3, RFC 4291 §2.5. */
  private forward6(iface: Interface, packet: Packet, at: number, place: number): boolean {
    const { view } = packet;
    const w1 = view.getInt32(at + 4); // payload length, next header, hop limit
    const total = wire6.HEADER_LEN + (w1 >>> 16);
    if (total > packet.tail - at || (w1 & 0xff) <= 1 || walked((w1 >>> 8) & 0xff)) return false;
    const s0 = view.getInt32(at + 8);
    const s1 = view.getInt32(at + 12);
    const s2 = view.getInt32(at + 16);
    const s3 = view.getInt32(at + 20);
    const d0 = view.getInt32(at + 24);
    const d1 = view.getInt32(at + 28);
    const d2 = view.getInt32(at + 32);
    const d3 = view.getInt32(at + 36);
    if (!plain6(s0, s1, s2) || !plain6(d0, d1, d2) || (d2 | d3) === 0) return false; // the last may be anycast of ours
    const { special } = this;
    if (special.epoch !== this.ip.routes.epoch) special.renew(this.ip.routes.epoch);
    if (special.has(s3, s2, s1, s0) || special.has(d3, d2, d1, d0)) return false;
    const way = this.way(this.list6.value(place, this.fib6 as Fib, this.ip.routes.generation));
    if (way === null || way.out === iface || total > way.mtu || total > (way.out as Interface).mtu6 || !takes(way, packet)) return false;
    let { neighbor } = way;
    if (neighbor === null ? way.resolves : !answers(neighbor)) {
      packet.destination.set(d0, d1, d2, d3);
      neighbor = this.neighbor(way, packet);
      if (neighbor === null) return false;
    }
    view.setUint8(at + 7, (w1 & 0xff) - 1);
    this.packets6++;
    this.leave(iface, packet, at, total, way, neighbor, ethernet.EtherType.Ipv6);
    return true;
  }

  /** Would an answer go back by the interface it came in on, or by any? RFC 3704 §2.2, §2.4. */
  private returns(fib: Fib, iface: Interface, source: number): boolean {
    const back = this.way(fib.lookup(source, 0, 0, 0));
    return back !== null && (this.reverse === 2 || back.out === iface);
  }

  /** Where all packets of a group of hops go; null: the long road has to look. */
  private way(value: number): Way | null {
    const { routes } = this.ip;
    const kept = this.ways[value] ?? null;
    const way = kept !== null && kept.epoch === routes.epoch && kept.group === routes.group(value) ? kept : this.prospect(value);
    return way === null || way.out === null ? null : way;
  }

  /** Makes it, once in an epoch. Apart from `way`, whose size counts against what V8 inlines into forward4. */
  private prospect(value: number): Way | null {
    const { routes, interfaces } = this.ip;
    const group = routes.group(value);
    if (group === null) return null;
    for (let i = this.ways.length; i < value; i++) this.ways.push(null); // without holes
    const way = new Way(group, routes.epoch, routes.only(group), interfaces);
    this.ways[value] = way;
    return way;
  }

  /** The next hop, when a frame may go to it now. */
  private neighbor(way: Way, packet: Packet): Neighbor | null {
    let { neighbor } = way;
    if (neighbor === null) {
      const gateway = (way.hop as Hop).gateway;
      neighbor = way.out?.neighbors?.find(gateway ?? packet.destination) ?? null;
      if (neighbor === null) return null;
      if (gateway !== null) way.neighbor = neighbor;
    }
    if (answers(neighbor)) return neighbor;
    const { state } = neighbor;
    if (state !== NeighborState.Delay && state !== NeighborState.Probe) return null; // what follows from use is the table's
    neighbor.usedAt = this.ctx.now;
    return neighbor;
  }

  private leave(iface: Interface, packet: Packet, at: number, total: number, way: Way, neighbor: Neighbor | null, type: number): void {
    const out = way.out as Interface;
    this.octets += packet.tail - packet.head;
    packet.inIndex = iface.index;
    packet.outIndex = out.index;
    packet.tail = at + total; // link padding
    packet.network = at;
    packet.head = at;
    if (neighbor !== null) {
      const link = packet.push(ethernet.HEADER_LEN);
      ethernet.put(packet.view, link, neighbor.macHigh, neighbor.macLow, out.macHigh, out.macLow, type);
      packet.link = link;
    }
    out.send(packet, packet.tail - packet.head);
  }
}

/** Frames may go to it, and nothing follows from that. */
const answers = ({ state }: Neighbor): boolean => state === NeighborState.Reachable || state === NeighborState.Permanent;

/** The packet leaves as it is, or its checksum is the device's to finish; and there is room for it. */
function takes(way: Way, packet: Packet): boolean {
  return packet.gsoType === Gso.None && (packet.checksum !== Checksum.Partial || way.finishes) && (way.out as Interface).direct;
}

/** An IPv4 address that the long road has nothing to say about but by our own addresses: none of RFC 6890's that never pass a router. */
function plain4(word: number): boolean {
  const first = word >>> 24;
  return first < 224 && first !== 0 && first !== 127 && word >>> 16 !== 0xa9fe;
}

/** The same for IPv6: not multicast, link-local, unspecified, loopback or IPv4-mapped. */
function plain6(w0: number, w1: number, w2: number): boolean {
  const first = w0 >>> 22;
  return first < 0x3fc && first !== 0x3fa && (w0 !== 0 || w1 !== 0 || (w2 !== 0 && w2 !== MAPPED));
}

/** Next headers that Ipv6.input looks behind. */
const walked = (next: number): boolean =>
  next === Protocol.HopByHop || next === Protocol.DestinationOptions || next === Protocol.Routing || next === Protocol.Fragment;
