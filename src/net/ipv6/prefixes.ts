import { type Address, maskAddress } from '../../base/address.js';
import { type Micros, NEVER } from '../../base/time.js';
import { Timer } from '../../base/timer-wheel.js';
import type { Context } from '../context.js';
import type { Interface } from '../interface.js';
import { MAIN_TABLE, type Route } from '../ip/route.js';
import type { Routes } from '../ip/routes.js';
import { TimerKind } from '../timer-kind.js';

/** On-link routes of advertisements; behind those of our own addresses (256), before default routers. */
const METRIC = 512;

interface OnLink {
  readonly iface: Interface;
  readonly route: Route;
  readonly timer: Timer;
}

/** The prefix list: what routers say is on-link. RFC 4861 §5.1, §6.3.4. */
export class Prefixes {
  private readonly ctx: Context;
  private readonly routes: Routes;
  private readonly list: OnLink[] = [];

  constructor(ctx: Context, routes: Routes) {
    this.ctx = ctx;
    this.routes = routes;
  }

  /** A prefix with the L flag; `valid` in µs, 0 ends it at once. */
  advertised(iface: Interface, prefix: Address, length: number, valid: Micros): void {
    const masked = maskAddress(prefix, length);
    let entry = this.list.find((e) => e.iface === iface && e.route.length === length && e.route.prefix.equals(masked));
    if (valid === 0) {
      if (entry !== undefined) this.remove(entry);
      return;
    }
    if (entry === undefined) {
      if (this.list.filter((e) => e.iface === iface).length >= this.ctx.sysctl.v['anystack.ra_prefixes_max']) return;
      entry = this.add(iface, masked, length);
    }
    if (valid === NEVER) this.ctx.wheel.cancel(entry.timer);
    else this.ctx.wheel.arm(entry.timer, this.ctx.now + valid);
  }

  private add(iface: Interface, prefix: Address, length: number): OnLink {
    const route: Route = {
      family: 6,
      prefix,
      length,
      type: 'unicast',
      index: iface.index,
      gateway: null,
      source: null,
      metric: METRIC,
      mtu: 0,
      table: MAIN_TABLE,
      vrf: iface.vrf,
      protocol: 'ra',
    };
    const entry: OnLink = { iface, route, timer: new Timer(TimerKind.Prefix, { expire: () => this.remove(entry) }) };
    this.list.push(entry);
    this.routes.add(route);
    return entry;
  }

  private remove(entry: OnLink): void {
    this.ctx.wheel.cancel(entry.timer);
    this.list.splice(this.list.indexOf(entry), 1);
    const { route } = entry;
    this.routes.delete(route, (hop) => hop.protocol === 'ra' && hop.gateway === null && hop.index === route.index);
  }

  forget(iface: Interface): void {
    for (const entry of [...this.list]) if (entry.iface === iface) this.remove(entry);
  }
}
