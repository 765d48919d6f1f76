import { type Address, maskAddress } from '../../base/address.js';
import { type Micros, NEVER } from '../../base/time.js';
import { Timer } from '../../base/timer-wheel.js';
import type { Context } from '../context.js';
import type { Interface } from '../interface.js';
import { MAIN_TABLE, type Route } from '../ip/route.js';
import type { Routes } from '../ip/routes.js';
import { type Neighbor, NeighborState } from '../link/neighbor.js';
import { TimerKind } from '../timer-kind.js';

/** The best router of a prefix has this metric, the next one more: Linux's IP6_RT_PRIO_USER. */
const METRIC = 1_024;

/** A way that a router offers: the default, or one of RFC 4191. */
interface Offer {
  readonly iface: Interface;
  readonly router: Address;
  readonly prefix: Address;
  readonly length: number;
  /** 1, 0 or −1: RFC 4191 §2.1. */
  preference: number;
  readonly timer: Timer;
  until: Micros;
  /** When the router last stopped answering: those silent longest are tried first, which goes round (RFC 4861 §6.3.6). */
  failedAt: Micros;
  /** The route that stands for it. */
  route: Route | null;
}

/** A default router as commands show it. */
export interface RouterInfo {
  readonly iface: Interface;
  readonly address: Address;
  readonly preference: number;
  readonly until: Micros;
  readonly reachable: boolean;
}

/**
 * The default router list and the routes of RFC 4191. Of the routers of one prefix those that answer come first, then the preferred;
 * their order stands in the metrics of their routes. RFC 4861 §6.3.6, RFC 4191 §3.2.
 */
export class Routers {
  private readonly ctx: Context;
  private readonly routes: Routes;
  private readonly offers: Offer[] = [];

  constructor(ctx: Context, routes: Routes) {
    this.ctx = ctx;
    this.routes = routes;
  }

  /** A router offers a prefix (length 0: to be the default router) for `lifetime` µs; 0 ends the offer. */
  offer(iface: Interface, router: Address, prefix: Address, length: number, preference: number, lifetime: Micros): void {
    const masked = maskAddress(prefix, length);
    let offer = this.offers.find((o) => o.iface === iface && o.length === length && o.router.equals(router) && o.prefix.equals(masked));
    if (lifetime === 0) {
      if (offer !== undefined) this.withdraw([offer]);
      return;
    }
    if (offer === undefined) {
      const max = this.ctx.sysctl.v[length === 0 ? 'anystack.ra_routers_max' : 'anystack.ra_routes_max'];
      if (this.offers.filter((o) => o.iface === iface && (o.length === 0) === (length === 0)).length >= max) return;
      offer = this.make(iface, router, masked, length, preference);
      this.order(offer);
    } else if (offer.preference !== preference) {
      offer.preference = preference;
      this.order(offer);
    }
    offer.until = lifetime === NEVER ? NEVER : this.ctx.now + lifetime;
    if (lifetime === NEVER) this.ctx.wheel.cancel(offer.timer);
    else this.ctx.wheel.arm(offer.timer, offer.until);
  }

  private make(iface: Interface, router: Address, prefix: Address, length: number, preference: number): Offer {
    const offer: Offer = {
      iface,
      router: router.clone(),
      prefix,
      length,
      preference,
      timer: new Timer(TimerKind.Router, { expire: () => this.withdraw([offer]) }),
      until: 0,
      failedAt: 0,
      route: null,
    };
    this.offers.push(offer);
    return offer;
  }

  /** Gives the routes of the prefix their metrics anew. */
  private order(of: Offer): void {
    const rivals = this.offers.filter((o) => o.iface.vrf === of.iface.vrf && o.length === of.length && o.prefix.equals(of.prefix));
    const reachable = (o: Offer): boolean => o.iface.neighbors?.find(o.router)?.state !== NeighborState.Failed;
    rivals.sort((a, b) => Number(reachable(b)) - Number(reachable(a)) || (reachable(a) ? b.preference - a.preference : a.failedAt - b.failedAt));
    rivals.forEach((offer, rank) => {
      if (offer.route?.metric === METRIC + rank) return;
      this.uninstall(offer);
      offer.route = routeOf(offer, METRIC + rank);
      this.routes.add(offer.route);
    });
  }

  private uninstall(offer: Offer): void {
    const { route } = offer;
    if (route === null) return;
    this.routes.delete(
      route,
      (hop) => hop.protocol === 'ra' && hop.index === route.index && hop.metric === route.metric && hop.gateway?.equals(offer.router) === true,
    );
    offer.route = null;
  }

  private withdraw(gone: readonly Offer[]): void {
    for (const offer of gone) {
      this.ctx.wheel.cancel(offer.timer);
      this.uninstall(offer);
      this.offers.splice(this.offers.indexOf(offer), 1);
    }
    for (const offer of gone) this.order(offer);
  }

  /** A neighbour stopped answering or came back. */
  reachability(neighbor: Neighbor, iface: Interface): void {
    for (const offer of this.offers) {
      if (offer.iface !== iface || !offer.router.equals(neighbor.address)) continue;
      if (!neighbor.usable) offer.failedAt = this.ctx.now;
      this.order(offer);
    }
  }

  /** It is a router no longer: RFC 4861 §7.2.5. */
  lost(iface: Interface, router: Address): void {
    this.withdraw(this.offers.filter((o) => o.iface === iface && o.router.equals(router)));
  }

  forget(iface: Interface): void {
    this.withdraw(this.offers.filter((o) => o.iface === iface));
  }

  /** Default routers in the order of learning. */
  list(): RouterInfo[] {
    return this.offers
      .filter((o) => o.length === 0)
      .map((o) => ({
        iface: o.iface,
        address: o.router,
        preference: o.preference,
        until: o.until,
        reachable: o.iface.neighbors?.find(o.router)?.state !== NeighborState.Failed,
      }));
  }
}

const routeOf = ({ iface, router, prefix, length }: Offer, metric: number): Route => ({
  family: 6,
  prefix,
  length,
  type: 'unicast',
  index: iface.index,
  gateway: router,
  source: null,
  metric,
  mtu: 0,
  table: MAIN_TABLE,
  vrf: iface.vrf,
  protocol: 'ra',
});
