import { type Address, samePrefix } from '../base/address.js';
import type { Interface } from '../net/interface.js';
import type { Hop, RouteType } from '../net/ip/route.js';
import type { Stack } from '../net/stack.js';
import * as wire from '../wire/rtnetlink.js';

/** What the engine's routes become. */
export interface FpmTarget {
  /** The engine's interface numbers, by ours names. Others are found by the gateway. */
  readonly ports: ReadonlyMap<number, string>;
  readonly vrf: number;
  /** Routes it may have; more are refused. */
  readonly routesMax: number;
  /** Number of the session, in [1, 2²⁰): tells its routes from those of sessions before. */
  readonly session: number;
}

/** Tags of a session's routes are its number times this, and the engine's number of the next hop. */
const SESSION = 2 ** 32;

/** A route of a session before this one. */
export const isStale = ({ protocol, tag = 0 }: Hop, session: number): boolean => protocol === 'zebra' && tag < session * SESSION;

/** Next hops and groups the engine may have; more end the session. */
const NEXTHOPS_MAX = 65_536;

/** What a session has done. */
export class FpmStats {
  routes = 0;
  added = 0;
  deleted = 0;
  /** Left by a session before, and not told again. */
  swept = 0;
  /** Without a way of ours, or the kernel's own: left out. */
  skipped = 0;
  /** Past the bound. */
  refused = 0;
  /** Messages that made no sense: each ended its session. */
  malformed = 0;
}

/** A next hop as told, or a group of such. */
interface Nexthop {
  readonly kind: number;
  readonly ways: readonly wire.Way[];
  readonly members: readonly number[];
  /** Its hops for a metric, as given to the tables last: the same objects for all routes. */
  readonly hops: Map<number, readonly Hop[]>;
}

/** What zebra tells in one connection: octets in, routes into the tables. */
export class FpmSession {
  private readonly core: Stack;
  private readonly target: FpmTarget;
  private readonly stats: FpmStats;
  private readonly message = new wire.Message();
  private readonly nexthops = new Map<number, Nexthop>();
  private rest = new Uint8Array(0);
  /** Routes told in this session and not taken back. */
  routes = 0;

  constructor(core: Stack, target: FpmTarget, stats: FpmStats) {
    this.core = core;
    this.target = target;
    this.stats = stats;
  }

  /** Octets as they come. False: they make no sense, and the session is to end. */
  input(octets: Uint8Array): boolean {
    const whole = this.rest.length === 0 ? octets : concat(this.rest, octets);
    const view = new DataView(whole.buffer, whole.byteOffset, whole.length);
    let at = 0;
    while (whole.length - at >= wire.FRAME_LEN) {
      const length = wire.frameLength(view, at);
      if (length < 0 || (length <= whole.length - at && !this.frame(view, at + wire.FRAME_LEN, at + length))) {
        this.stats.malformed++;
        return false;
      }
      if (length > whole.length - at) break;
      at += length;
    }
    this.rest = whole.slice(at); // of one frame at most
    return true;
  }

  private frame(view: DataView, from: number, end: number): boolean {
    const { message } = this;
    for (let at = from; at < end; ) {
      const octets = message.read(view, at, end);
      if (octets === 0) return false;
      if (!this.take(message)) return false;
      at += octets;
    }
    return true;
  }

  private take(m: wire.Message): boolean {
    switch (m.type) {
      case wire.Type.NewRoute:
        this.newRoute(m);
        return true;
      case wire.Type.DelRoute:
        this.deleteRoute(m);
        return true;
      case wire.Type.NewNexthop:
        return this.newNexthop(m);
      case wire.Type.DelNexthop:
        this.nexthops.delete(m.id);
        return true;
      default:
        return true;
    }
  }

  private newRoute(m: wire.Message): void {
    const { stats } = this;
    const hops = m.protocol === wire.PROTOCOL_KERNEL ? [] : this.hopsOf(m);
    if (hops.length === 0) {
      stats.skipped++;
      return;
    }
    const { metric } = m;
    const { session } = this.target;
    const { routes } = this.core.ip;
    const place = this.place(m);
    const ours = (hop: Hop): boolean => hop.protocol === 'zebra' && hop.metric === metric;
    let told = false;
    const there = routes.has(place, (hop) => {
      if (!ours(hop)) return false;
      told = !isStale(hop, session);
      return true;
    });
    if (!there && stats.routes >= this.target.routesMax) {
      stats.refused++;
      return;
    }
    routes.put(place, hops, ours);
    if (!there) stats.routes++;
    if (!told) this.routes++;
    stats.added++;
  }

  private deleteRoute(m: wire.Message): void {
    const { metric } = m;
    let told = false;
    const gone = this.core.ip.routes.delete(this.place(m), (hop) => {
      if (hop.protocol !== 'zebra' || (metric !== 0 && hop.metric !== metric)) return false;
      if (!isStale(hop, this.target.session)) told = true;
      return true;
    });
    if (gone === 0) return;
    if (told) this.routes--;
    this.stats.routes--;
    this.stats.deleted++;
  }

  /** Takes away what earlier sessions have left and this one has not told again. */
  sweep(): void {
    if (this.stats.routes === this.routes) return;
    this.core.ip.routes.removeHops((hop) => isStale(hop, this.target.session));
    this.stats.swept += this.stats.routes - this.routes;
    this.stats.routes = this.routes;
  }

  /** Number of a hop's set in the tables. */
  private tag(id: number): number {
    return this.target.session * SESSION + id;
  }

  private place({ family, destination, length, table }: wire.Message): {
    family: 4 | 6;
    prefix: Address;
    length: number;
    table: number;
    vrf: number;
  } {
    return { family: family as 4 | 6, prefix: destination, length, table: table || 254, vrf: this.target.vrf };
  }

  private hopsOf(m: wire.Message): readonly Hop[] {
    if (m.kind !== wire.RouteKind.Unicast) return [hop(typeOf(m.kind), 0, null, m.metric, this.tag(0))];
    if (m.id === 0) return this.resolve(m.ways, m.metric, this.tag(0));
    const nexthop = this.nexthops.get(m.id);
    if (nexthop === undefined) return [];
    let hops = nexthop.hops.get(m.metric);
    if (hops === undefined) {
      hops = this.expand(nexthop, m.metric, this.tag(m.id)).map((h) => this.core.ip.routes.intern(h));
      nexthop.hops.set(m.metric, hops);
    }
    return hops;
  }

  /** All ways of a next hop or group, the members of groups in groups left out: Linux has none such. */
  private expand({ kind, ways, members }: Nexthop, metric: number, tag: number): Hop[] {
    if (kind !== wire.RouteKind.Unicast) return [hop(typeOf(kind), 0, null, metric, tag)];
    const all = members.length === 0 ? ways : members.flatMap((id) => this.nexthops.get(id)?.ways ?? []);
    return this.resolve(all, metric, tag);
  }

  private resolve(ways: readonly wire.Way[], metric: number, tag: number): Hop[] {
    const hops: Hop[] = [];
    for (const { oif, gateway } of ways) {
      const iface = this.interfaceOf(oif, gateway);
      if (iface !== null) hops.push(hop('unicast', iface.index, gateway, metric, tag));
    }
    return hops;
  }

  /** By the configuration's word on the engine's interface number, else the port whose mirror has it, else the one on whose link the gateway is. */
  private interfaceOf(oif: number, gateway: Address | null): Interface | null {
    const { interfaces, stacking } = this.core;
    const name = this.target.ports.get(oif);
    if (name !== undefined) return interfaces.named(name);
    const port = oif === 0 ? null : stacking.mirrored(oif);
    if (port !== null && port.vrf === this.target.vrf) return port;
    if (gateway === null) return null;
    for (const iface of interfaces) {
      if (iface.vrf === this.target.vrf && iface.addresses.some((a) => a.onLink && covers(a.address, a.length, gateway))) return iface;
    }
    return null;
  }

  /** A number told again means other ways for all routes that use it, and for the groups it is in. */
  private newNexthop(m: wire.Message): boolean {
    if (!this.nexthops.has(m.id) && this.nexthops.size >= NEXTHOPS_MAX) return false;
    const known = this.nexthops.has(m.id);
    this.nexthops.set(m.id, { kind: m.kind, ways: [...m.ways], members: [...m.members], hops: new Map() });
    if (!known) return true;
    for (const [id, nexthop] of this.nexthops) {
      if (id !== m.id && !nexthop.members.includes(m.id)) continue;
      nexthop.hops.clear();
      const tag = this.tag(id);
      const hops = this.expand(nexthop, 0, tag);
      // Without a way of ours it stays what a later word can change.
      this.core.ip.routes.exchange(tag, hops.length > 0 ? hops : [hop('unreachable', 0, null, 0, tag)]);
    }
    return true;
  }
}

function hop(type: RouteType, index: number, gateway: Address | null, metric: number, tag: number): Hop {
  return { type, index, gateway, source: null, metric, mtu: 0, protocol: 'zebra', tag };
}

function typeOf(kind: number): RouteType {
  if (kind === wire.RouteKind.Unreachable) return 'unreachable';
  return kind === wire.RouteKind.Prohibit ? 'prohibit' : 'blackhole';
}

const covers = (a: Address, length: number, gateway: Address): boolean =>
  a.isV4 === gateway.isV4 && samePrefix(a, gateway, length + (a.isV4 ? 96 : 0));

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const whole = new Uint8Array(a.length + b.length);
  whole.set(a);
  whole.set(b, a.length);
  return whole;
}
