import { Address } from '../../base/address.js';
import { Drop } from '../../base/drops.js';
import type { Packet } from '../../base/packet.js';
import { type Micros, NEVER, seconds } from '../../base/time.js';
import * as ipv6 from '../../wire/ipv6.js';
import * as wire from '../../wire/nd.js';
import * as options from '../../wire/nd-options.js';
import type { Interface } from '../interface.js';
import type { NameService } from './learned.js';
import type { Prefixes } from './prefixes.js';
import type { Routers } from './routers.js';
import type { Slaac } from './slaac.js';
import type { RouterSolicitations } from './solicitation.js';

/** RFC 4861 §6.2.1: an advertised reachable time is at most an hour. */
const REACHABLE_MAX_MS = 3_600_000;
/** A name of RFC 8106 §5.2 has at most so many octets (RFC 1035 §2.3.4). */
const NAME_MAX = 255;

/** What an advertisement says of DHCPv6 (RFC 4861 §4.2, RFC 8415 §18.2.10): the managed and other flags. */
export interface AdvertisementFlags {
  readonly managed: boolean;
  readonly other: boolean;
}

/** What the family does about advertisements. */
export interface AdvertisementEvents {
  /** Something paths are made from is new. */
  changed(): void;
  /** One was believed. */
  advertised(iface: Interface, flags: AdvertisementFlags): void;
}

const ANY = new Address();

/** Router advertisements as hosts take them: RFC 4861 §6.3.4, RFC 4191, RFC 4862 §5.5.3, RFC 8106, RFC 8781. */
export class Advertisements {
  private readonly routers: Routers;
  private readonly prefixes: Prefixes;
  private readonly slaac: Slaac;
  private readonly names: NameService;
  private readonly solicitations: RouterSolicitations;
  private readonly prefix = new Address();
  private readonly events: AdvertisementEvents;

  constructor(
    routers: Routers,
    prefixes: Prefixes,
    slaac: Slaac,
    names: NameService,
    solicitations: RouterSolicitations,
    events: AdvertisementEvents,
  ) {
    this.events = events;
    this.routers = routers;
    this.prefixes = prefixes;
    this.slaac = slaac;
    this.names = names;
    this.solicitations = solicitations;
  }

  /** Hosts believe; routers only when told to. */
  believes(iface: Interface): boolean {
    const { accept_ra, forwarding } = iface.conf6;
    return iface.autoconf && (accept_ra === 2 || (accept_ra === 1 && forwarding === 0));
  }

  /** An advertisement that passed the checks of every message. 0 or the reason to drop it. Does not own the packet. */
  input(iface: Interface, packet: Packet): number {
    const { view, head, tail, source } = packet;
    if (!source.isLinkLocal) return Drop.NdBadAddress;
    if (!this.believes(iface)) return Drop.NdRefused;
    const first = wire.options(view, head);
    this.meet(iface, packet, first);
    this.parameters(iface, view, head);
    const lifetime = wire.raLifetime(view, head);
    if (iface.conf6.accept_ra_defrtr !== 0) {
      this.routers.offer(iface, source, ANY, 0, this.preference(iface, wire.raFlags(view, head)), seconds(lifetime));
      if (lifetime > 0) this.solicitations.end(iface); // RFC 7559 §2.1
    }
    for (let o = first; o < tail; o = options.next(view, o)) this.option(iface, source, view, o);
    const flags = wire.raFlags(view, head);
    this.events.advertised(iface, { managed: (flags & wire.RaFlag.Managed) !== 0, other: (flags & wire.RaFlag.Other) !== 0 });
    return 0;
  }

  /** The sender is a router; its link address may be told. RFC 4861 §6.3.4. */
  private meet(iface: Interface, packet: Packet, first: number): void {
    const { view } = packet;
    const link = options.find(view, first, packet.tail, options.Kind.SourceLink);
    const neighbor = link < 0 ? (iface.neighbors?.find(packet.source) ?? null) : (iface.neighbors?.obtain(packet.source) ?? null);
    if (neighbor === null) return;
    neighbor.isRouter = true;
    if (link >= 0) neighbor.table.learn(neighbor, options.linkHigh(view, link), options.linkLow(view, link), false, true);
  }

  private parameters(iface: Interface, view: DataView, head: number): void {
    const hops = wire.raHopLimit(view, head);
    const reachable = wire.raReachable(view, head);
    const retrans = wire.raRetrans(view, head);
    if (hops >= iface.conf6.accept_ra_min_hop_limit) iface.hopLimit = hops;
    if (iface.neighbors === null) return;
    if (reachable > 0 && reachable <= REACHABLE_MAX_MS) iface.neighbors.reachableMs6 = reachable;
    if (retrans > 0 && retrans <= REACHABLE_MAX_MS) iface.neighbors.retransMs6 = retrans;
  }

  private preference(iface: Interface, flags: number): number {
    return iface.conf6.accept_ra_rtr_pref === 0 ? 0 : wire.preference(flags);
  }

  private option(iface: Interface, router: Address, view: DataView, o: number): void {
    switch (options.kind(view, o)) {
      case options.Kind.Prefix:
        if (iface.conf6.accept_ra_pinfo !== 0) this.prefixOption(iface, router, view, o);
        return;
      case options.Kind.Mtu:
        this.mtu(iface, options.mtu(view, o));
        return;
      case options.Kind.Route:
        this.route(iface, router, view, o);
        return;
      case options.Kind.Rdnss:
        for (let i = 0; i < options.resolvers(view, o); i++) {
          options.resolver(view, o, i, this.prefix);
          if (!this.prefix.isMulticast && !this.prefix.isUnspecified)
            this.names.resolver(iface, this.prefix.clone(), span(options.lifetime(view, o)));
        }
        return;
      case options.Kind.Dnssl:
        for (const name of names(view, options.domains(o), o + options.length(view, o)))
          this.names.domain(iface, name, span(options.lifetime(view, o)));
        return;
      case options.Kind.Pref64:
        options.pref64Prefix(view, o, this.prefix);
        this.names.nat64Prefix(iface, this.prefix.clone(), options.pref64Length(view, o), seconds(options.pref64Lifetime(view, o)));
        return;
      default: // Unknown ones, and those of wrong length, say nothing: RFC 4861 §6.1.2
    }
  }

  private prefixOption(iface: Interface, router: Address, view: DataView, o: number): void {
    const { prefix } = this;
    const flags = options.prefixFlags(view, o);
    options.prefix(view, o, prefix);
    if (prefix.isLinkLocal || prefix.isMulticast || prefix.isV4) return;
    const length = options.prefixLength(view, o);
    const valid = span(options.prefixValid(view, o));
    if (flags & options.PrefixFlag.OnLink) this.prefixes.advertised(iface, prefix, length, valid);
    if (flags & options.PrefixFlag.Autonomous) this.slaac.prefix(iface, prefix, length, valid, span(options.prefixPreferred(view, o)), router);
  }

  /** RFC 4861 §6.3.4: between the least and the device's. */
  private mtu(iface: Interface, mtu: number): void {
    if (iface.conf6.accept_ra_mtu === 0 || mtu < ipv6.MTU_MIN || mtu > iface.mtu || mtu === iface.mtu6) return;
    iface.mtu6 = mtu;
    this.events.changed();
  }

  /** RFC 4191 §2.3, §3.1. A prefix of length 0 is the default route, with this lifetime and preference. */
  private route(iface: Interface, router: Address, view: DataView, o: number): void {
    const { prefix } = this;
    const length = options.prefixLength(view, o);
    const reserved = (options.routeFlags(view, o) & 0x18) === 0x10;
    if (length > iface.conf6.accept_ra_rt_info_max_plen || reserved) return; // RFC 4191 §2.3: a reserved preference voids it
    options.routePrefix(view, o, prefix);
    if (prefix.isLinkLocal || prefix.isMulticast) return;
    this.routers.offer(iface, router, prefix, length, this.preference(iface, options.routeFlags(view, o)), span(options.lifetime(view, o)));
  }
}

const span = (octets: number): Micros => (octets === options.FOREVER ? NEVER : seconds(octets));

/** Names of a DNSSL option (RFC 8106 §5.2): labels, each name ended by an empty one, zeros to pad. What is malformed ends the list. */
function names(view: DataView, from: number, end: number): string[] {
  const found: string[] = [];
  let labels: string[] = [];
  let octets = 0;
  for (let at = from; at < end; ) {
    const length = view.getUint8(at++);
    if (length === 0) {
      if (labels.length > 0) found.push(labels.join('.'));
      labels = [];
      octets = 0;
      continue;
    }
    octets += length + 1;
    if (length > 63 || at + length > end || octets > NAME_MAX) break;
    let label = '';
    for (let i = 0; i < length; i++) label += String.fromCharCode(view.getUint8(at + i));
    if (!/^[\x21-\x2d\x2f-\x7e]+$/.test(label)) break; // what is shown and typed: no dots, blanks or control characters
    labels.push(label.toLowerCase());
    at += length;
  }
  return found;
}
