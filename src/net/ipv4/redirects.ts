import { type Address, v4 } from '../../base/address.js';
import type { Packet } from '../../base/packet.js';
import { type Micros, seconds } from '../../base/time.js';
import { Timer } from '../../base/timer-wheel.js';
import type { Context } from '../context.js';
import type { IpLayer } from '../ip/ip.js';
import { Flow } from '../ip/path.js';
import { MAIN_TABLE, type Route } from '../ip/route.js';
import { TimerKind } from '../timer-kind.js';

/** Destinations with a redirected route; the oldest is forgotten. */
const REDIRECTS_MAX = 256;
/** How long one is believed: RFC 1122 §3.3.1.4 has no route believed for ever. Linux forgets what it learned as soon as it is not used, in 300 s. */
const REDIRECT_LIFETIME = seconds(600);

interface Learned {
  readonly route: Route;
  readonly until: Micros;
}

/**
 * What a host believes of ICMP redirects (RFC 1122 §3.2.2.2): only from the gateway it uses for that destination, and only
 * to a gateway on the same link. Each becomes a route to the one host.
 */
export class Redirects {
  private readonly ctx: Context;
  private readonly ip: IpLayer;
  private readonly flow = new Flow();
  /** In order of learning. */
  private readonly learned: Learned[] = [];
  /** At the end of the oldest. */
  private readonly timer: Timer;

  constructor(ctx: Context, ip: IpLayer) {
    this.ctx = ctx;
    this.ip = ip;
    this.timer = new Timer(TimerKind.Redirect, this);
  }

  /** `packet` is the redirect, head at its ICMP header; `gateway` the router it names. The packet stays the caller's. */
  learn(packet: Packet, gateway: number, destination: Address): void {
    const { ip, flow } = this;
    const iface = ip.interfaces.at(packet.inIndex);
    if (iface === null || destination.isMulticast || destination.isLoopback) return;
    flow.destination.copy(destination);
    flow.vrf = iface.vrf;
    const used = ip.routes.lookup(flow);
    if (used === null || used.gateway === null || used.index !== iface.index || !used.gateway.equals(packet.source)) return;
    const onLink = iface.addresses.some(
      (a) => a.address.isV4 && a.length > 0 && a.address.w3 !== gateway && (a.address.w3 ^ gateway) >>> (32 - a.length) === 0,
    );
    if (!onLink || used.gateway.w3 === gateway) return;
    const route: Route = {
      family: 4,
      prefix: destination.clone(),
      length: 32,
      type: 'unicast',
      index: iface.index,
      // The destination itself as gateway says that it is on the link (RFC 1122 §3.3.1.2).
      gateway: gateway === destination.w3 ? null : v4(gateway),
      source: null,
      metric: 0,
      mtu: 0,
      table: MAIN_TABLE,
      vrf: iface.vrf,
      protocol: 'redirect',
    };
    this.forget((r) => r.vrf === iface.vrf && r.prefix.equals(destination));
    const [oldest] = this.learned;
    if (this.learned.length >= REDIRECTS_MAX) this.forget((r) => r === oldest?.route);
    this.learned.push({ route, until: this.ctx.now + REDIRECT_LIFETIME });
    ip.routes.add(route);
    this.rearm();
  }

  expire(): void {
    const { now } = this.ctx;
    const over = new Set(this.learned.filter(({ until }) => until <= now).map(({ route }) => route));
    this.forget((route) => over.has(route));
  }

  /** A neighbour has stopped answering: what leads by it is not believed any more. */
  heard(index: number, gateway: Address, answers: boolean): void {
    if (!answers && this.learned.length > 0) this.forget((r) => r.index === index && r.gateway?.equals(gateway) === true);
  }

  /** The interface goes. */
  forgetAll(index: number): void {
    this.forget((route) => route.index === index);
  }

  private forget(match: (route: Route) => boolean): void {
    for (let i = this.learned.length - 1; i >= 0; i--) {
      const { route } = this.learned[i] as Learned;
      if (!match(route)) continue;
      this.learned.splice(i, 1);
      this.ip.routes.delete(route, (hop) => hop.protocol === 'redirect');
    }
    this.rearm();
  }

  private rearm(): void {
    const [oldest] = this.learned;
    if (oldest === undefined) this.ctx.wheel.cancel(this.timer);
    else this.ctx.wheel.arm(this.timer, oldest.until);
  }
}
