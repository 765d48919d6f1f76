import { type Address, v4 } from '../../base/address.js';
import type { Packet } from '../../base/packet.js';
import type { IpLayer } from '../ip/ip.js';
import { Flow } from '../ip/path.js';
import { MAIN_TABLE, type Route } from '../ip/route.js';

/** Destinations with a redirected route; the oldest is forgotten. */
const REDIRECTS_MAX = 256;

/**
 * What a host believes of ICMP redirects (RFC 1122 §3.2.2.2): only from the gateway it uses for that destination, and only
 * to a gateway on the same link. Each becomes a route to the one host.
 */
export class Redirects {
  private readonly ip: IpLayer;
  private readonly flow = new Flow();
  /** In order of learning. */
  private readonly routes: Route[] = [];

  constructor(ip: IpLayer) {
    this.ip = ip;
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
    this.forget(destination);
    if (this.routes.length >= REDIRECTS_MAX) this.forget((this.routes[0] as Route).prefix);
    this.routes.push(route);
    ip.routes.add(route);
  }

  /** The gateway turned out dead, or another redirect came. */
  private forget(destination: Address): void {
    const i = this.routes.findIndex((r) => r.prefix.equals(destination));
    if (i < 0) return;
    const [route] = this.routes.splice(i, 1) as [Route];
    this.ip.routes.delete(route, (hop) => hop.protocol === 'redirect');
  }
}
