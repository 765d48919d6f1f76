import { Address } from '../../base/address.js';
import { Drop } from '../../base/drops.js';
import { type Packet, PacketFlag } from '../../base/packet.js';
import { type Micros, seconds } from '../../base/time.js';
import { Timer } from '../../base/timer-wheel.js';
import * as ethernet from '../../wire/ethernet.js';
import { Type } from '../../wire/icmpv6.js';
import * as wire from '../../wire/nd.js';
import * as options from '../../wire/nd-options.js';
import type { Context } from '../context.js';
import { Counter } from '../counters.js';
import type { Interface, InterfaceAddress } from '../interface.js';
import type { Neighbor, Solicitor } from '../link/neighbor.js';
import { TimerKind } from '../timer-kind.js';
import type { Advertisements } from './advertisements.js';
import type { Dad } from './dad.js';
import type { Messages } from './icmp.js';
import { ALL_NODES, ALL_ROUTERS, type NdSender } from './nd-sender.js';
import type { RedirectTable } from './redirects.js';
import type { Routers } from './routers.js';
import { isSolicitedNode } from './scope.js';

/** RFC 4861 §10 MAX_ANYCAST_DELAY_TIME: answers for anycast addresses are spread over it. */
const ANYCAST_DELAY = seconds(1);
/** Answers for anycast addresses that wait; more are not sent. */
const DELAYED_MAX = 64;
/** A conflict over an address in use is told once in so long: RFC 5227 §2.4 has it for IPv4. */
const CONFLICT_INTERVAL = seconds(10);

/** What neighbour discovery tells the family. */
export interface NdEvents {
  /** A packet whose next hop does not answer. Owns it. */
  unreachable(iface: Interface, packet: Packet): void;
  /** Another station advertises an address that we use. */
  conflict(address: InterfaceAddress, mac: string): void;
}

/** What a router does with solicitations: the advertiser's part. Does not own the packet. */
export interface Solicited {
  advertises(iface: Interface): boolean;
  solicited(iface: Interface, packet: Packet): void;
  /** Another router's advertisement, to compare with ours (RFC 4861 §6.2.7). */
  heard(iface: Interface, packet: Packet): void;
}

/** Neighbour discovery: RFC 4861. Checks each message, answers solicitations, asks for neighbours; routers and prefixes are in files of their own. */
export class Nd implements Solicitor, Messages {
  private readonly ctx: Context;
  private readonly sender: NdSender;
  private readonly dad: Dad;
  private readonly routers: Routers;
  private readonly advertisements: Advertisements;
  private readonly redirects: RedirectTable;
  private readonly events: NdEvents;
  /** Advertises this node as a router; null on hosts. */
  router: Solicited | null = null;
  /** Is an address one of a router's subnet anycast addresses on the interface? RFC 4291 §2.6.1. */
  anycast: ((iface: Interface, target: Address) => boolean) | null = null;
  private readonly target = new Address();
  private readonly delayed = new Set<Timer>();
  private conflictAt: Micros = Number.NEGATIVE_INFINITY;

  constructor(
    ctx: Context,
    sender: NdSender,
    dad: Dad,
    routers: Routers,
    advertisements: Advertisements,
    redirects: RedirectTable,
    events: NdEvents,
  ) {
    this.ctx = ctx;
    this.sender = sender;
    this.dad = dad;
    this.routers = routers;
    this.advertisements = advertisements;
    this.redirects = redirects;
    this.events = events;
  }

  input(iface: Interface, packet: Packet): void {
    const reason = this.receive(iface, packet);
    if (reason !== 0) this.ctx.drop(packet, reason);
    else packet.release();
  }

  /** 0 or the reason to drop the message: what RFC 4861 §6.1, §7.1 and §8.1 ask of all of them first. */
  private receive(iface: Interface, packet: Packet): number {
    const { view, head } = packet;
    if (packet.ttl !== wire.HOP_LIMIT) return Drop.NdHopLimit;
    if (packet.flags & PacketFlag.Fragmented) return Drop.FragmentAtomicNd;
    const reason = wire.check(view, head, packet.tail);
    if (reason !== 0) return reason;
    const { counters } = this.ctx;
    switch (view.getUint8(head)) {
      case Type.NeighborSolicitation:
        counters.count(Counter.Icmp6InNeighborSolicits);
        return this.solicitation(iface, packet);
      case Type.NeighborAdvertisement:
        counters.count(Counter.Icmp6InNeighborAdvertisements);
        return this.advertisement(iface, packet);
      case Type.RouterAdvertisement:
        counters.count(Counter.Icmp6InRouterAdvertisements);
        if (packet.source.isLinkLocal) this.router?.heard(iface, packet);
        return this.advertisements.input(iface, packet);
      case Type.RouterSolicitation:
        counters.count(Counter.Icmp6InRouterSolicits);
        return this.routerSolicitation(iface, packet);
      default:
        counters.count(Counter.Icmp6InRedirects);
        return this.redirects.input(iface, packet);
    }
  }

  /** RFC 4861 §7.1.1, §7.2.3, and RFC 4862 §5.4.3 for addresses in doubt. */
  private solicitation(iface: Interface, packet: Packet): number {
    const { view, head, source } = packet;
    const { target } = this;
    const first = wire.options(view, head);
    const link = options.find(view, first, packet.tail, options.Kind.SourceLink);
    const probe = source.isUnspecified;
    if (probe && (link >= 0 || !isSolicitedNode(packet.destination))) return Drop.NdBadAddress;
    wire.target(view, head, target);
    const ours = findV6(iface, target);
    const anycast = ours === null && (this.anycast?.(iface, target) ?? false);
    if ((ours === null && !anycast) || ours?.state === 'duplicate') return Drop.NdNotForUs;
    if (ours !== null && (ours.state === 'tentative' || ours.state === 'optimistic')) {
      if (probe) {
        const mine = this.dad.solicited(ours, view, options.find(view, first, packet.tail, options.Kind.Nonce), macOf(packet));
        return mine ? Drop.NdLooped : Drop.AddressDuplicate;
      }
      if (ours.state === 'tentative') return Drop.NdNotForUs; // RFC 4862 §5.4.3: somebody looks for it; that is no claim
    }
    if (probe && ours !== null && this.looped(iface, packet)) return Drop.NdLooped;
    if (!probe && findV6(iface, source) !== null) return this.inOurName(iface, source, packet);
    if (link >= 0 && !probe) this.learn(iface, source, view, link);
    this.answer(iface, ours, source.isUnspecified ? null : source.clone(), anycast);
    return 0;
  }

  /** A probe of ours that came back after it was over: nobody else has our link address. */
  private looped(iface: Interface, packet: Packet): boolean {
    const at = packet.link;
    return (
      iface.medium === 'ethernet' &&
      at >= 0 &&
      ethernet.sourceHigh(packet.view, at) === iface.macHigh &&
      ethernet.sourceLow(packet.view, at) === iface.macLow
    );
  }

  private learn(iface: Interface, source: Address, view: DataView, link: number): void {
    const neighbor = iface.neighbors?.obtain(source) ?? null;
    neighbor?.table.learn(neighbor, options.linkHigh(view, link), options.linkLow(view, link), false, true);
  }

  /** RFC 4861 §7.2.4, §7.2.7; `to` null: to all nodes. */
  private answer(iface: Interface, ours: InterfaceAddress | null, to: Address | null, anycast: boolean): void {
    const forwards = iface.conf6.forwarding !== 0;
    const certain = !anycast && ours?.state !== 'optimistic'; // RFC 4429 §3.3: no override while in doubt
    const bits = (forwards ? wire.NaFlag.Router : 0) | (to === null ? 0 : wire.NaFlag.Solicited) | (certain ? wire.NaFlag.Override : 0);
    const target = this.target.clone();
    if (!anycast) {
      this.sender.advertisement(iface, target, to ?? ALL_NODES, bits);
      return;
    }
    if (this.delayed.size >= DELAYED_MAX) return;
    const timer: Timer = new Timer(TimerKind.Answer, {
      expire: () => {
        this.delayed.delete(timer);
        this.sender.advertisement(iface, target, to ?? ALL_NODES, bits);
      },
    });
    this.delayed.add(timer);
    this.ctx.wheel.arm(timer, this.ctx.now + this.ctx.prng.float() * ANYCAST_DELAY);
  }

  /** RFC 4861 §7.1.2, §7.2.5, and RFC 4862 §5.4.4. */
  private advertisement(iface: Interface, packet: Packet): number {
    const { view, head } = packet;
    const { target } = this;
    const flags = wire.naFlags(view, head);
    const solicited = (flags & wire.NaFlag.Solicited) !== 0;
    if (solicited && packet.destination.isMulticast) return Drop.NdBadAddress;
    wire.target(view, head, target);
    const ours = findV6(iface, target);
    if (ours !== null) {
      if (this.looped(iface, packet)) return Drop.NdLooped;
      if (this.dad.probing(ours)) this.dad.duplicate(ours, macOf(packet));
      else this.inOurName(iface, target, packet);
      return Drop.AddressDuplicate;
    }
    const neighbor = iface.neighbors?.find(target) ?? null;
    if (neighbor === null) return Drop.NdNotForUs; // RFC 4861 §7.2.5: no entry, no interest
    const link = options.find(view, wire.options(view, head), packet.tail, options.Kind.TargetLink);
    const high = link < 0 ? 0 : options.linkHigh(view, link);
    const low = link < 0 ? 0 : options.linkLow(view, link);
    const isRouter = (flags & wire.NaFlag.Router) !== 0;
    if (neighbor.table.advertised(neighbor, link >= 0, high, low, isRouter, solicited, (flags & wire.NaFlag.Override) !== 0)) {
      this.routers.lost(iface, target);
      this.redirects.lost(iface, target);
    }
    return 0;
  }

  /** Somebody speaks as an address we use. It stays ours (RFC 4862 §5.4.4 leaves it open); whoever watches is told. */
  private inOurName(iface: Interface, address: Address, packet: Packet): number {
    const ours = findV6(iface, address);
    if (ours !== null && ours.state !== 'duplicate' && this.ctx.now - this.conflictAt >= CONFLICT_INTERVAL) {
      this.conflictAt = this.ctx.now;
      this.events.conflict(ours, macOf(packet));
    }
    return Drop.AddressDuplicate;
  }

  /** RFC 4861 §6.1.1, §6.2.6. Hosts ignore it. */
  private routerSolicitation(iface: Interface, packet: Packet): number {
    const { view, head, source } = packet;
    const link = options.find(view, wire.options(view, head), packet.tail, options.Kind.SourceLink);
    if (source.isUnspecified && link >= 0) return Drop.NdBadAddress;
    if (this.router === null || !this.router.advertises(iface)) return Drop.NdRefused;
    if (!source.isUnspecified) {
      const neighbor = link < 0 ? (iface.neighbors?.find(source) ?? null) : (iface.neighbors?.obtain(source) ?? null);
      if (neighbor !== null && link >= 0) neighbor.table.learn(neighbor, options.linkHigh(view, link), options.linkLow(view, link), false, true);
      if (neighbor?.isRouter) {
        neighbor.isRouter = false; // RFC 4861 §6.2.6: routers do not solicit
        this.routers.lost(iface, source.clone());
      }
    }
    this.router.solicited(iface, packet);
    return 0;
  }

  solicit(iface: Interface, target: Neighbor, unicast: boolean, pending: Packet | null): void {
    const from = sourceFor(iface, pending);
    if (from === null) return;
    // An optimistic address tells no link address: a wrong entry at the owner's neighbours would outlive the doubt (RFC 4429 §3.2).
    this.sender.solicitation(iface, target.address, from.address, unicast ? target.address : null, null, from.state !== 'optimistic');
  }

  unreachable(iface: Interface, _target: Neighbor, pending: Packet): void {
    this.events.unreachable(iface, pending);
  }

  /** An address of ours is certain: RFC 9131 §4.1 has routers told, so that they need not ask when the first answer comes. */
  announce(address: InterfaceAddress): void {
    if (address.iface.conf6.ndisc_notify === 0 || address.address.isLinkLocal || !address.iface.running || address.iface.medium !== 'ethernet')
      return;
    const forwards = address.iface.conf6.forwarding !== 0;
    this.sender.advertisement(address.iface, address.address, ALL_ROUTERS, forwards ? wire.NaFlag.Router : 0);
  }

  /** No answer waits any more. */
  purge(): void {
    for (const timer of this.delayed) this.ctx.wheel.cancel(timer);
    this.delayed.clear();
  }
}

/** RFC 4861 §7.2.2: the pending packet's source if it is ours on the interface, else any address in use, a certain one rather. */
function sourceFor(iface: Interface, pending: Packet | null): InterfaceAddress | null {
  let first: InterfaceAddress | null = null;
  for (const a of iface.addresses) {
    if (a.address.isV4 || a.state === 'tentative' || a.state === 'duplicate') continue;
    if (pending !== null && pending.family === 6 && a.address.equals(pending.source)) return a;
    if (first === null || first.state === 'optimistic' || (a.address.isLinkLocal && a.state !== 'optimistic')) first = a;
  }
  return first;
}

function findV6(iface: Interface, address: Address): InterfaceAddress | null {
  for (const a of iface.addresses) if (a.address.equals(address)) return a;
  return null;
}

/** The sender's station address as text, '' on media without. */
function macOf({ view, link, network }: Packet): string {
  return link < 0 || network - link < ethernet.HEADER_LEN ? '' : ethernet.formatMac(ethernet.sourceHigh(view, link), ethernet.sourceLow(view, link));
}
