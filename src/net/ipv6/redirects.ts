import { Address, formatAddress } from '../../base/address.js';
import { Drop } from '../../base/drops.js';
import { type Packet, PacketFlag } from '../../base/packet.js';
import { type Micros, seconds } from '../../base/time.js';
import { Timer } from '../../base/timer-wheel.js';
import { TokenBucket } from '../../base/token-bucket.js';
import * as ipv6 from '../../wire/ipv6.js';
import * as wire from '../../wire/nd.js';
import * as options from '../../wire/nd-options.js';
import type { Context } from '../context.js';
import { Counter } from '../counters.js';
import type { Interface } from '../interface.js';
import type { IpLayer } from '../ip/ip.js';
import { Flow } from '../ip/path.js';
import { type Hop, MAIN_TABLE, type Route } from '../ip/route.js';
import { TimerKind } from '../timer-kind.js';
import type { Redirects } from './forward.js';
import type { NdSender } from './nd-sender.js';
import { linkLocalOf } from './solicitation.js';

/** Before any other host route: the router itself said so. */
const METRIC = 1;
/** Redirects a router sends per second, and at once: RFC 4861 §8.2 asks for a limit. */
const SEND_RATE = 100;
const SEND_BURST = 20;

interface Learned {
  readonly route: Route;
  readonly until: Micros;
}

/** Redirects, both sides: hosts keep the better first hop for a while, routers tell of it. RFC 4861 §8. */
export class RedirectTable implements Redirects {
  private readonly ctx: Context;
  private readonly ip: IpLayer;
  private readonly sender: NdSender;
  /** By interface and destination, oldest first. */
  private readonly learned = new Map<string, Learned>();
  private readonly timer: Timer;
  private readonly limit: TokenBucket;
  private readonly flow = new Flow();
  private readonly target = new Address();
  private readonly destination = new Address();

  constructor(ctx: Context, ip: IpLayer, sender: NdSender) {
    this.ctx = ctx;
    this.ip = ip;
    this.sender = sender;
    this.timer = new Timer(TimerKind.Learned, { expire: () => this.expire() });
    this.limit = new TokenBucket(ctx.now, SEND_BURST);
  }

  /** A redirect that passed the checks of every message. 0, or the reason to drop it: RFC 4861 §8.1, §8.3. Does not own the packet. */
  input(iface: Interface, packet: Packet): number {
    const { view, head } = packet;
    const { target, destination } = this;
    wire.target(view, head, target);
    wire.destination(view, head, destination);
    if (!packet.source.isLinkLocal || destination.isMulticast || destination.isLinkLocal) return Drop.NdBadAddress;
    const onLink = target.equals(destination);
    if (!onLink && !target.isLinkLocal) return Drop.NdBadAddress;
    if (iface.conf6.forwarding !== 0 || iface.conf6.accept_redirects === 0) return Drop.NdRefused;
    if (!this.isFirstHop(iface, packet.source)) return Drop.NdNotFirstHop;
    const link = options.find(view, wire.options(view, head), packet.tail, options.Kind.TargetLink);
    const neighbor = link < 0 ? (iface.neighbors?.find(target) ?? null) : (iface.neighbors?.obtain(target) ?? null);
    if (neighbor !== null && link >= 0) neighbor.table.learn(neighbor, options.linkHigh(view, link), options.linkLow(view, link), false, true);
    if (neighbor !== null && !onLink) neighbor.isRouter = true;
    this.learn(iface, destination.clone(), onLink ? null : target.clone());
    return 0;
  }

  /** Is `router` the one in use for `this.destination`? */
  private isFirstHop(iface: Interface, router: Address): boolean {
    const { flow } = this;
    flow.destination.copy(this.destination);
    flow.outIndex = iface.index;
    flow.vrf = iface.vrf;
    return this.ip.routes.lookup(flow)?.gateway?.equals(router) === true;
  }

  private learn(iface: Interface, destination: Address, gateway: Address | null): void {
    const v = this.ctx.sysctl.v;
    const key = `${iface.index} ${formatAddress(destination)}`;
    const known = this.learned.get(key);
    if (known !== undefined) this.remove(key, known);
    if (v['anystack.redirects_max'] === 0) return;
    if (this.learned.size >= v['anystack.redirects_max']) {
      const [oldest, entry] = this.learned.entries().next().value as [string, Learned];
      this.remove(oldest, entry);
    }
    const route: Route = {
      family: 6,
      prefix: destination,
      length: 128,
      type: 'unicast',
      index: iface.index,
      gateway,
      source: null,
      metric: METRIC,
      mtu: 0,
      table: MAIN_TABLE,
      vrf: iface.vrf,
      protocol: 'redirect',
    };
    const until = this.ctx.now + seconds(v['anystack.redirect_lifetime']);
    this.learned.set(key, { route, until });
    this.ip.routes.add(route);
    if (!this.timer.armed) this.ctx.wheel.arm(this.timer, until);
  }

  private remove(key: string, { route }: Learned): void {
    this.learned.delete(key);
    this.ip.routes.delete(route, (hop) => hop.protocol === 'redirect' && hop.index === route.index);
    if (this.learned.size === 0) this.ctx.wheel.cancel(this.timer);
  }

  private expire(): void {
    for (const [key, entry] of this.learned) {
      if (entry.until > this.ctx.now) {
        this.ctx.wheel.arm(this.timer, entry.until);
        return;
      }
      this.remove(key, entry);
    }
  }

  /** A neighbour does not answer, or is a router no longer: what went through it goes the usual way again (RFC 4861 §7.3.3, §7.2.5). */
  lost(iface: Interface, neighbor: Address): void {
    for (const [key, entry] of this.learned)
      if (entry.route.index === iface.index && (entry.route.gateway ?? entry.route.prefix).equals(neighbor)) this.remove(key, entry);
  }

  forget(iface: Interface): void {
    for (const [key, entry] of this.learned) if (entry.route.index === iface.index) this.remove(key, entry);
  }

  /** Routes learned and not yet forgotten. */
  get size(): number {
    return this.learned.size;
  }

  /** RFC 4861 §8.2: to a neighbour whose packet leaves where it came in. */
  redirect(iface: Interface, about: Packet, route: Hop): void {
    const { source } = about;
    const nextHop = route.gateway ?? about.destination;
    // The target must be a link-local router or the destination itself, and the source a neighbour.
    if (iface.medium !== 'ethernet' || (route.gateway !== null && !nextHop.isLinkLocal) || !this.isNeighbor(iface, source)) return;
    const from = linkLocalOf(iface);
    if (from === null || !this.limit.take(this.ctx.now, SEND_RATE, SEND_BURST)) return;
    const packet = this.sender.begin();
    if (packet === null) return;
    packet.tail = wire.putRedirect(packet.view, packet.head, nextHop, about.destination);
    const neighbor = iface.neighbors?.find(nextHop) ?? null;
    if (neighbor?.usable) packet.tail = options.putLink(packet.view, packet.tail, options.Kind.TargetLink, neighbor.macHigh, neighbor.macLow);
    quote(about, packet);
    this.ctx.counters.count(Counter.Icmp6OutRedirects);
    this.sender.send(iface, packet, from, source.clone());
  }

  private isNeighbor(iface: Interface, source: Address): boolean {
    if (source.isLinkLocal) return true;
    const { flow } = this;
    flow.destination.copy(source);
    flow.outIndex = iface.index;
    flow.vrf = iface.vrf;
    const back = this.ip.routes.lookup(flow);
    return back !== null && back.type === 'unicast' && back.gateway === null;
  }
}

/** The redirected header option: as much as fits 1,280 octets, in units of 8. RFC 4861 §4.6.3. */
function quote(about: Packet, packet: Packet): void {
  const room = ipv6.MTU_MIN - ipv6.HEADER_LEN - (packet.tail - packet.head) - 8;
  const octets = Math.min(about.tail - about.network, room) & ~7;
  if (octets <= 0 || about.flags & PacketFlag.Looped) return;
  packet.view.setInt32(packet.tail, (options.Kind.Redirected << 24) | ((1 + (octets >> 3)) << 16));
  packet.view.setInt32(packet.tail + 4, 0);
  packet.bytes.set(about.bytes.subarray(about.network, about.network + octets), packet.tail + 8);
  packet.tail += 8 + octets;
}
