import { type Address, formatAddress, formatPrefix } from '../../base/address.js';
import type { Packet } from '../../base/packet.js';
import { type Micros, millis, NEVER, seconds } from '../../base/time.js';
import { Timer } from '../../base/timer-wheel.js';
import * as ipv6 from '../../wire/ipv6.js';
import * as wire from '../../wire/nd.js';
import * as options from '../../wire/nd-options.js';
import type { Context } from '../context.js';
import { Counter } from '../counters.js';
import type { Interface } from '../interface.js';
import { TimerKind } from '../timer-kind.js';
import type { Solicited } from './nd.js';
import { ALL_NODES, type NdSender } from './nd-sender.js';
import { linkLocalOf } from './solicitation.js';

/** RFC 4861 §10. */
const MAX_INITIAL_RTR_ADVERT_INTERVAL = seconds(16);
const MAX_INITIAL_RTR_ADVERTISEMENTS = 3;
const MIN_DELAY_BETWEEN_RAS = seconds(3);
const MAX_RA_DELAY_TIME = millis(500);
/** Solicitations answered one by one at a time; with more under way all are answered at once (RFC 7772 §5.1 favours unicast). */
const UNICAST_MAX = 16;
/** RFC 7084 L-13, RFC 9096 §3.5: how long a prefix that went away is still advertised, as deprecated. */
const STALE_FOR = seconds(7_200);
/** Prefixes that went away, remembered for one interface; the oldest is forgotten. */
const STALE_MAX = 16;
/** Octets of a message: what every link carries, less the IPv6 header. Options that do not fit go into the next message (RFC 4861 §6.2.3). */
const MESSAGE_MAX = ipv6.MTU_MIN - ipv6.HEADER_LEN;
const INCONSISTENT_INTERVAL = seconds(60);

/** A prefix as advertised; lifetimes in seconds, options.FOREVER among them. */
export interface AdvertisedPrefix {
  readonly prefix: Address;
  readonly length: number;
  readonly onLink: boolean;
  readonly autonomous: boolean;
  readonly valid: number;
  readonly preferred: number;
}

/** What a router says on one link: RFC 4861 §6.2.1, RFC 4191, RFC 8106, RFC 8781. Spans in seconds unless named otherwise. */
export interface AdvertisementSpec {
  readonly minInterval: number;
  readonly maxInterval: number;
  /** As default router; 0: not one. */
  readonly lifetime: number;
  /** 1, 0, −1. */
  readonly preference: number;
  readonly managed: boolean;
  readonly other: boolean;
  /** 0: not told. */
  readonly hopLimit: number;
  readonly mtu: number;
  readonly reachableMs: number;
  readonly retransMs: number;
  readonly prefixes: readonly AdvertisedPrefix[];
  readonly routes: readonly { readonly prefix: Address; readonly length: number; readonly preference: number; readonly lifetime: number }[];
  readonly resolvers: readonly Address[];
  /** Search domains as DNS labels, and the lifetime of both. */
  readonly search: Uint8Array;
  readonly dnsLifetime: number;
  readonly nat64: readonly { readonly prefix: Address; readonly length: number; readonly lifetime: number }[];
}

/** A prefix advertised before and no longer wanted. */
interface Stale {
  readonly prefix: AdvertisedPrefix;
  readonly until: Micros;
}

class Advertising {
  readonly iface: Interface;
  spec: () => AdvertisementSpec;
  readonly timer: Timer;
  readonly unicasts = new Map<string, Timer>();
  /** Initial messages sent. */
  initial = 0;
  lastAt: Micros = Number.NEGATIVE_INFINITY;
  said = new Map<string, AdvertisedPrefix>();
  readonly stale = new Map<string, Stale>();
  complainedAt: Micros = Number.NEGATIVE_INFINITY;

  constructor(iface: Interface, spec: () => AdvertisementSpec, owner: Advertiser) {
    this.iface = iface;
    this.spec = spec;
    this.timer = new Timer(TimerKind.Answer, { expire: () => owner.multicast(this) });
  }
}

/** Sends router advertisements: RFC 4861 §6.2. */
export class Advertiser implements Solicited {
  private readonly ctx: Context;
  private readonly sender: NdSender;
  private readonly links = new Map<Interface, Advertising>();
  /** With a virtual router on the link: its address, or null while another router has it and this one is silent (RFC 9568 §8.2.3). Undefined: none. */
  virtual: (iface: Interface) => Address | null | undefined = () => undefined;

  constructor(ctx: Context, sender: NdSender) {
    this.ctx = ctx;
    this.sender = sender;
  }

  /** Begins to advertise on an interface; `spec` is asked for each message, so that it may follow a delegated prefix. */
  start(iface: Interface, spec: () => AdvertisementSpec): void {
    const link = this.links.get(iface) ?? new Advertising(iface, spec, this);
    link.spec = spec;
    this.links.set(iface, link);
    this.changed(iface);
  }

  /** What is said is new, or the link is up: told soon, and again as at the beginning (RFC 4861 §6.2.4). */
  changed(iface: Interface): void {
    const link = this.links.get(iface);
    if (link === undefined) return;
    this.ctx.touch();
    const { hopLimit, reachableMs, retransMs } = link.spec();
    adopt(iface, hopLimit, reachableMs, retransMs);
    link.initial = 0;
    this.arm(link, this.ctx.prng.float() * MAX_RA_DELAY_TIME);
    this.ctx.hyper.soon();
  }

  private arm(link: Advertising, delay: Micros): void {
    this.ctx.wheel.arm(link.timer, Math.max(this.ctx.now + delay, link.lastAt + MIN_DELAY_BETWEEN_RAS));
  }

  /** Says goodbye, and no more: RFC 4861 §6.2.5. */
  stop(iface: Interface): void {
    const link = this.links.get(iface);
    if (link === undefined) return;
    this.ctx.wheel.cancel(link.timer);
    for (const timer of link.unicasts.values()) this.ctx.wheel.cancel(timer);
    this.links.delete(iface);
    adopt(iface, 0, 0, 0);
    if (iface.running)
      this.message(link, { ...link.spec(), lifetime: 0, prefixes: [], routes: [], resolvers: [], search: new Uint8Array(0), nat64: [] }, ALL_NODES);
  }

  advertises(iface: Interface): boolean {
    return this.links.has(iface);
  }

  /** The unsolicited message to all nodes; for the timer. */
  multicast(link: Advertising): void {
    if (!link.iface.running) return; // `changed` comes with the link
    const spec = link.spec();
    if (this.message(link, spec, ALL_NODES)) {
      link.lastAt = this.ctx.now;
      link.initial++;
    }
    let wait = seconds(spec.minInterval + this.ctx.prng.float() * (spec.maxInterval - spec.minInterval));
    if (link.initial < MAX_INITIAL_RTR_ADVERTISEMENTS) wait = Math.min(wait, MAX_INITIAL_RTR_ADVERT_INTERVAL);
    this.arm(link, wait);
  }

  /** RFC 4861 §6.2.6: after a random moment, to the one who asked, or to all when he has no address yet. */
  solicited(iface: Interface, packet: Packet): void {
    const link = this.links.get(iface);
    if (link === undefined) return;
    const delay = this.ctx.prng.float() * MAX_RA_DELAY_TIME;
    const { source } = packet;
    if (source.isUnspecified || link.unicasts.size >= UNICAST_MAX) {
      if (!link.timer.armed || link.timer.at > this.ctx.now + delay) this.arm(link, delay);
      return;
    }
    const key = formatAddress(source);
    if (link.unicasts.has(key)) return;
    const to = source.clone();
    const timer = new Timer(TimerKind.Answer, {
      expire: () => {
        link.unicasts.delete(key);
        this.message(link, link.spec(), to);
      },
    });
    link.unicasts.set(key, timer);
    this.ctx.wheel.arm(timer, this.ctx.now + delay);
  }

  /** RFC 4861 §6.2.7: what another router says otherwise is worth a line in the log. */
  heard(iface: Interface, packet: Packet): void {
    const link = this.links.get(iface);
    if (link === undefined || this.ctx.now - link.complainedAt < INCONSISTENT_INTERVAL) return;
    const { view, head, tail } = packet;
    const spec = link.spec();
    const differs = (a: number, b: number): boolean => a !== 0 && b !== 0 && a !== b;
    const flags = wire.raFlags(view, head);
    const mtu = options.find(view, wire.options(view, head), tail, options.Kind.Mtu);
    const what = [
      differs(wire.raHopLimit(view, head), spec.hopLimit) ? 'hop limit' : '',
      ((flags & wire.RaFlag.Managed) !== 0) !== spec.managed ? 'managed flag' : '',
      ((flags & wire.RaFlag.Other) !== 0) !== spec.other ? 'other flag' : '',
      differs(wire.raReachable(view, head), spec.reachableMs) ? 'reachable time' : '',
      differs(wire.raRetrans(view, head), spec.retransMs) ? 'retransmit time' : '',
      mtu >= 0 && differs(options.mtu(view, mtu), spec.mtu) ? 'MTU' : '',
    ].filter((x) => x !== '');
    if (what.length === 0) return;
    link.complainedAt = this.ctx.now;
    this.ctx.hyper.log('warn', `${iface.name}: router ${formatAddress(packet.source)} advertises another ${what.join(', ')}`);
  }

  /** One advertisement in as many messages as it takes. False while the interface has no address to send it from. */
  private message(link: Advertising, spec: AdvertisementSpec, to: Address): boolean {
    const { iface } = link;
    const virtual = this.virtual(iface);
    const from = virtual === undefined ? linkLocalOf(iface) : virtual;
    if (from === null) return false;
    const pieces = this.optionsOf(link, spec);
    for (let i = 0; i === 0 || i < pieces.length; ) {
      const packet = this.sender.begin();
      if (packet === null) return false;
      const { view, head } = packet;
      const forwards = iface.conf6.forwarding !== 0;
      const flags =
        (spec.managed ? wire.RaFlag.Managed : 0) |
        (spec.other ? wire.RaFlag.Other : 0) |
        (spec.lifetime === 0 ? 0 : wire.preferenceBits(spec.preference));
      // RFC 4861 §6.2.5: who does not forward is no default router.
      packet.tail = wire.putRouterAdvertisement(view, head, spec.hopLimit, flags, forwards ? spec.lifetime : 0, spec.reachableMs, spec.retransMs);
      this.sender.putLink(iface, packet, options.Kind.SourceLink, from);
      if (spec.mtu > 0) packet.tail = options.putMtu(view, packet.tail, spec.mtu);
      const first = i;
      for (; i < pieces.length; i++) {
        const piece = pieces[i] as Piece;
        if (i > first && packet.tail - head + piece.octets > MESSAGE_MAX) break;
        packet.tail = piece.put(view, packet.tail);
      }
      this.ctx.counters.count(Counter.Icmp6OutRouterAdvertisements);
      this.sender.send(iface, packet, from, to);
      if (pieces.length === 0) break;
    }
    return true;
  }

  private optionsOf(link: Advertising, spec: AdvertisementSpec): Piece[] {
    const pieces: Piece[] = [];
    for (const p of [...spec.prefixes, ...this.stalePrefixes(link, spec.prefixes)]) {
      const flags = (p.onLink ? options.PrefixFlag.OnLink : 0) | (p.autonomous ? options.PrefixFlag.Autonomous : 0);
      pieces.push({ octets: options.PREFIX_LEN, put: (view, at) => options.putPrefix(view, at, p.length, flags, p.valid, p.preferred, p.prefix) });
    }
    for (const r of spec.routes)
      pieces.push({ octets: 24, put: (view, at) => options.putRoute(view, at, r.length, wire.preferenceBits(r.preference), r.lifetime, r.prefix) });
    const { resolvers, search, dnsLifetime } = spec;
    if (resolvers.length > 0)
      pieces.push({ octets: 8 + 16 * resolvers.length, put: (view, at) => options.putRdnss(view, at, dnsLifetime, resolvers) });
    if (search.length > 0) pieces.push({ octets: 16 + search.length, put: (view, at) => options.putDnssl(view, at, dnsLifetime, search) });
    for (const n of spec.nat64)
      pieces.push({ octets: options.PREF64_LEN, put: (view, at) => options.putPref64(view, at, n.length, n.lifetime, n.prefix) });
    return pieces;
  }

  /** Prefixes said before and not now, as deprecated, their time running out: RFC 7084 L-13, RFC 9096 §3.5. */
  private stalePrefixes(link: Advertising, current: readonly AdvertisedPrefix[]): AdvertisedPrefix[] {
    const { now } = this.ctx;
    const said = new Map(current.map((p) => [formatPrefix(p.prefix, p.length), p]));
    for (const [key, prefix] of link.said) {
      if (said.has(key) || link.stale.has(key)) continue;
      const valid = prefix.valid === options.FOREVER ? NEVER : seconds(prefix.valid);
      if (link.stale.size >= STALE_MAX) link.stale.delete(link.stale.keys().next().value as string);
      link.stale.set(key, { prefix, until: now + Math.min(valid, STALE_FOR) });
    }
    link.said = said;
    for (const [key, { until }] of link.stale) if (until <= now || said.has(key)) link.stale.delete(key);
    return [...link.stale.values()].map(({ prefix, until }) => ({ ...prefix, preferred: 0, valid: Math.ceil((until - now) / seconds(1)) }));
  }

  forget(iface: Interface): void {
    const link = this.links.get(iface);
    if (link === undefined) return;
    this.ctx.wheel.cancel(link.timer);
    for (const timer of link.unicasts.values()) this.ctx.wheel.cancel(timer);
    this.links.delete(iface);
  }
}

/** What a router tells hosts to use it uses itself: RFC 4861 §6.2.1. Zeros: the tunables again. */
function adopt(iface: Interface, hopLimit: number, reachableMs: number, retransMs: number): void {
  iface.hopLimit = hopLimit;
  if (iface.neighbors === null) return;
  iface.neighbors.reachableMs6 = reachableMs;
  iface.neighbors.retransMs6 = retransMs;
}

/** One option to be written. */
interface Piece {
  readonly octets: number;
  readonly put: (view: DataView, at: number) => number;
}
