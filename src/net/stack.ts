import { type Prefix, v4 } from '../base/address.js';
import { AssertionError } from '../base/assert.js';
import { Drop } from '../base/drops.js';
import { Errno } from '../base/errors.js';
import type { Packet } from '../base/packet.js';
import type { Timer } from '../base/timer-wheel.js';
import type { Device, Hypercalls } from '../hyper/hypercalls.js';
import { Unreachable } from '../wire/icmpv4.js';
import { Context } from './context.js';
import { Filter, rejectCode4 } from './filter/filter.js';
import { Interface, type InterfaceAddress } from './interface.js';
import { Interfaces } from './interfaces.js';
import { Addresses } from './ip/addresses.js';
import { DeadGateways } from './ip/dead-gateways.js';
import { FastPath } from './ip/fast-path.js';
import { IpLayer } from './ip/ip.js';
import { Loopback } from './ip/loopback.js';
import { Multicast } from './ip/multicast.js';
import type { PathMtu } from './ip/path-mtu.js';
import { Reassembly } from './ip/reassembly.js';
import { Ipsec } from './ipsec/ipsec.js';
import { Forward4 } from './ipv4/forward.js';
import { fragmentFormat4 } from './ipv4/fragments.js';
import { Icmp4 } from './ipv4/icmp.js';
import { Igmp } from './ipv4/igmp.js';
import { Ipv4 } from './ipv4/ipv4.js';
import { Output4 } from './ipv4/output.js';
import { Redirects } from './ipv4/redirects.js';
import { type AddressEvents, Family6 } from './ipv6/family.js';
import { Arp } from './link/arp.js';
import { Demux, Ethernet, type FrameTap, IpLink } from './link/link.js';
import type { Neighbor } from './link/neighbor.js';
import { NeighborTable } from './link/neighbor-table.js';
import { MulticastProxy, type ProxyOptions } from './multicast/proxy.js';
import { Packets } from './raw/packets.js';
import { Raw } from './raw/raw.js';
import { StackedDevice } from './stacked/stacked-device.js';
import { Stacking } from './stacked/stacking.js';
import { tunnelErrors } from './stacked/tunnel-errors.js';
import { Tunnels } from './stacked/tunnels.js';
import type { Sysctl } from './sysctl.js';
import { Tcp } from './tcp/tcp.js';
import { componentOf } from './timer-kind.js';
import { Udp } from './udp/udp.js';
import { Vrrp } from './vrrp/vrrp.js';

/** Device batches taken in one ingress phase before timers and applications have their turn. */
const INGRESS_ROUNDS = 4;

/** What a stack tells whoever made it. */
export interface StackEvents {
  /** Our own bug: the stack is dead, its sockets have the error, the others in this process go on. */
  failed(error: AssertionError): void;
  /** An address is used by another station too. */
  conflict(address: InterfaceAddress, mac: string): void;
  /** An address that was probed for may be used from now on. */
  claimed?(address: InterfaceAddress): void;
  /** A device lost or regained carrier, or died (`iface.error`). */
  link(iface: Interface): void;
}

/** A stack: everything it owns hangs from it. Composition and the four phases of a poll; the rest is in the components. */
export class Stack {
  readonly ctx: Context;
  readonly hyper: Hypercalls;
  readonly interfaces = new Interfaces();
  readonly demux = new Demux();
  readonly ethernet: Ethernet;
  readonly ipLink: IpLink;
  readonly loopback: Loopback;
  readonly ip: IpLayer;
  readonly fastPath: FastPath;
  readonly addresses: Addresses;
  readonly arp: Arp;
  readonly icmp4: Icmp4;
  readonly forward4: Forward4;
  readonly ipv4: Ipv4;
  readonly multicast: Multicast;
  readonly igmp: Igmp;
  readonly v6: Family6;
  readonly udp: Udp;
  readonly tcp: Tcp;
  readonly raw: Raw;
  readonly packets: Packets;
  readonly filter: Filter;
  readonly ipsec: Ipsec;
  readonly reassembly4: Reassembly;
  readonly redirects4: Redirects;
  readonly gateways: DeadGateways;
  readonly vrrp: Vrrp;
  /** Forwards multicast; null: nobody does. */
  proxy: MulticastProxy | null = null;
  /** VLANs, bridges, tunnels. */
  readonly stacking: Stacking;
  state: 'running' | 'failed' | 'closed' = 'running';
  private readonly events: StackEvents;
  private readonly batch: Packet[] = [];

  constructor(name: string, hyper: Hypercalls, sysctl: Sysctl, events: StackEvents) {
    this.hyper = hyper;
    this.events = events;
    const ctx = new Context(name, hyper, sysctl);
    this.ctx = ctx;
    this.ethernet = new Ethernet(ctx, this.demux);
    this.ipLink = new IpLink(ctx, this.demux);
    const lo = new Interface(ctx, this.interfaces.nextIndex, 'lo', null, this.ipLink, 0);
    this.interfaces.add(lo);
    this.ip = new IpLayer(ctx, this.interfaces, lo);
    this.fastPath = new FastPath(ctx, this.ip, this.demux);
    this.loopback = new Loopback(ctx, this.demux, lo);
    const told = {
      claimed: (address) => {
        this.ip.routes.invalidate();
        this.stacking.addressed(address.iface);
        events.claimed?.(address);
      },
      conflict: (address, mac) => {
        this.stacking.addressed(address.iface);
        events.conflict(address, mac);
      },
    } satisfies AddressEvents;
    this.arp = new Arp(ctx, this.ethernet, { ...told, unreachable: (_iface, packet) => this.neighborFailed(packet) });
    this.addresses = new Addresses(this.ip, this.arp);
    this.icmp4 = new Icmp4(ctx, this.ip);
    this.gateways = new DeadGateways(ctx, this.ip.routes, this.interfaces);
    this.redirects4 = new Redirects(ctx, this.ip);
    this.icmp4.redirect = (packet, gateway, destination) => this.redirects4.learn(packet, gateway, destination);
    this.forward4 = new Forward4(ctx, this.ip, this.ethernet, this.icmp4);
    this.reassembly4 = new Reassembly(ctx, fragmentFormat4(ctx, this.icmp4), (index) => this.interfaces.at(index)?.vrf ?? 0);
    this.ipv4 = new Ipv4(ctx, this.ip, this.icmp4, this.forward4, this.reassembly4);
    this.ip.v4 = new Output4(ctx, this.ip, this.ethernet, this.loopback);
    this.demux.ipv4 = this.ipv4;
    this.demux.arp = this.arp;
    this.multicast = new Multicast(ctx, this.interfaces);
    this.igmp = new Igmp(ctx, this.ip, this.multicast);
    const { ip, ethernet, loopback, demux, addresses, multicast } = this;
    this.v6 = new Family6({ ctx, ip, ethernet, loopback, demux, addresses, multicast, events: told });
    this.vrrp = new Vrrp({ ctx, ip, addresses, multicast, ethernet, v6: this.v6 });
    this.udp = new Udp(ctx, this.ip);
    this.udp.icmp4 = this.icmp4;
    this.udp.icmp6 = this.v6.icmp;
    this.udp.multicast = multicast;
    this.tcp = new Tcp(ctx, this.ip);
    this.raw = new Raw(ctx, this.ip);
    this.packets = new Packets(ctx, this.demux, this.interfaces);
    this.filter = new Filter(ctx, this.ip, {
      whole: (packet) => (packet.family === 6 ? this.v6.input.whole(packet) : this.reassembly4.input(packet)),
      route: (iface, packet) => (packet.family === 6 ? this.v6.input : this.ipv4).route(iface, packet),
      unreachable: (packet, port) =>
        packet.family === 6 ? this.v6.icmp.unreachable(packet, port ? 4 : 1, 0) : this.icmp4.unreachable(packet, rejectCode4(port), 0),
      reset: (packet) => this.tcp.reject(packet),
    });
    this.ipsec = new Ipsec(ctx, this.ip, this.demux, () => ({ v4: this.icmp4, v6: this.v6.icmp }));
    const tunnels = new Tunnels({ ctx, ip: this.ip, errors: tunnelErrors(this.icmp4, this.v6.icmp) }, this.udp);
    this.stacking = new Stacking(ctx, demux, this.interfaces, ip, (...given) => this.addInterface(...given), tunnels);
    addresses.changedOn = (iface) => this.stacking.addressed(iface);
    this.addresses.add(lo, { address: v4(0x7f000001), length: 8 }, 'loopback');
    hyper.attach(() => this.poll());
  }

  /** One turn: ingress, timers, egress, notify, and once more egress for what applications wrote when told. Never re-entered. */
  poll(): void {
    const { ctx } = this;
    if (this.state !== 'running' || ctx.polling) return;
    ctx.now = this.hyper.monotonic();
    const more = this.turn(true);
    if (ctx.undelivered) {
      ctx.now = this.hyper.monotonic();
      try {
        ctx.deliver();
      } finally {
        this.turn(false);
      }
    }
    if (this.state !== 'running') return;
    if (more || this.loopback.waiting) this.hyper.soon();
    this.hyper.wakeAt(ctx.wheel.next());
  }

  /** The phases that are the stack's own, where a failed assertion is its end. True when ingress has more. */
  private turn(whole: boolean): boolean {
    const { ctx } = this;
    if (this.state !== 'running') return false;
    ctx.polling = true;
    try {
      const more = whole && this.ingress();
      if (whole) ctx.wheel.advance(ctx.now, this);
      this.egress();
      return more;
    } catch (error) {
      if (!(error instanceof AssertionError)) throw error;
      this.fail(error);
      return false;
    } finally {
      ctx.polling = false;
    }
  }

  /** Frames from each device in turn, in batches; true when some may be left. */
  private ingress(): boolean {
    const { batch, ctx } = this;
    const max = ctx.sysctl.v['anystack.ingress_batch'];
    let more = this.loopback.ingress((index) => this.interfaces.at(index));
    const { all } = this.interfaces;
    for (let i = 0; i < all.length; i++) {
      const iface = all[i] as Interface;
      if (iface.device === null || !iface.up) continue;
      for (let round = 0; ; round++) {
        const n = iface.device.receive(ctx.pool, batch, max);
        this.fastPath.input(iface, batch, n);
        this.ipsec.inbound.run(); // the open stage: survivors go on now
        if (n < max) break;
        if (round + 1 === INGRESS_ROUNDS) {
          more = true;
          break;
        }
        this.tcp.egress(); // ACKs between batches keep the sender going
        this.ipsec.egress(this.interfaces);
        iface.flush();
      }
    }
    return more;
  }

  private egress(): void {
    this.tcp.egress();
    this.ipsec.egress(this.interfaces);
    const { all } = this.interfaces;
    for (let i = 0; i < all.length; i++) (all[i] as Interface).flush();
  }

  /** The switch of the timer wheel. */
  expire(timer: Timer): void {
    switch (componentOf(timer.kind)) {
      case 1:
        this.tcp.expire(timer);
        return;
      case 2:
        this.expireLink(timer);
        return;
      case 3:
        (timer.owner as { owner: Reassembly | PathMtu }).owner.expire(timer);
        return;
      default: // each owner is a component of its own
        (timer.owner as { expire(timer: Timer): void }).expire(timer);
    }
  }

  private expireLink(timer: Timer): void {
    const neighbor = timer.owner as Neighbor;
    if (neighbor.table !== undefined) neighbor.table.expire(neighbor);
    else this.arp.expire(timer);
  }

  /** The next hop did not answer: the sender is told, ours by its transport, another host by ICMP. Owns the packet. */
  private neighborFailed(packet: Packet): void {
    if (packet.inIndex === 0) this.ip.failed(packet, 'unreachable', Unreachable.Host, Errno.EHOSTUNREACH);
    else this.icmp4.unreachable(packet, Unreachable.Host, 0);
    this.ctx.drop(packet, Drop.NeighborFailed);
  }

  /** Puts a device under a new interface. The name must be free. With a `master`, who takes all its frames, it has no IP of its own. */
  addInterface(name: string, device: Device, vrf = 0, master: FrameTap | null = null): Interface {
    const { ctx } = this;
    const iface = new Interface(ctx, this.interfaces.nextIndex, name, device, device.medium === 'ethernet' ? this.ethernet : this.ipLink, vrf);
    iface.master = master;
    iface.bare = master !== null;
    this.interfaces.add(iface);
    if (device.medium === 'ethernet') {
      iface.neighbors = new NeighborTable(ctx, iface, this.arp, this.v6.nd, {
        resolved: (out, packet, neighbor) => this.ethernet.frame(out, packet, neighbor.macHigh, neighbor.macLow),
        forgotten: () => this.ip.routes.invalidate(),
        reachability: (neighbor) => {
          this.gateways.heard(iface.index, neighbor.address, neighbor.usable);
          this.redirects4.heard(iface.index, neighbor.address, neighbor.usable);
          this.v6.reachability(iface, neighbor);
        },
      });
    }
    this.startDevice(iface, device);
    this.ip.routes.invalidate();
    this.v6.linkChanged(iface);
    return iface;
  }

  /** Gives an interface whose device died a new one. */
  startDevice(iface: Interface, device: Device): void {
    iface.device = device;
    iface.stacked = device instanceof StackedDevice ? device : null;
    if (iface.stacked !== null) iface.stacked.iface = iface;
    iface.error = null;
    const changed = (): void => {
      this.ctx.touch();
      this.ip.routes.invalidate();
      if (!iface.running) iface.neighbors?.flush(); // the next link may be another one
      this.v6.linkChanged(iface);
      if (iface.running) this.igmp.reports.announce(iface);
      this.vrrp.linkChanged(iface);
      this.events.link(iface);
      this.stacking.changed(iface);
      this.hyper.soon();
    };
    device.start({
      readable: () => this.hyper.soon(),
      writable: () => iface.writable(),
      carrier: changed,
      mtu: (octets) => {
        iface.mtu = octets;
        changed();
      },
      failed: (error) => {
        iface.error = error;
        iface.purge();
        iface.device = iface.stacked = null;
        device.close();
        this.tcp.interfaceDied(iface, error);
        this.udp.interfaceDied(iface, error);
        changed();
      },
    });
  }

  /** Takes an interface away with its addresses, routes and neighbours. */
  removeInterface(iface: Interface): void {
    this.vrrp.forget(iface);
    if (this.proxy?.uses(iface)) this.proxyGroups(null);
    this.v6.forget(iface);
    for (const a of [...iface.addresses]) this.addresses.remove(iface, a.address);
    this.ip.routes.remove((r) => r.index === iface.index);
    iface.neighbors?.flush(true);
    this.gateways.forget(iface.index);
    this.redirects4.forgetAll(iface.index);
    iface.purge();
    this.stacking.gone(iface);
    iface.device?.close();
    iface.device = iface.stacked = null;
    this.igmp.reports.forget(iface);
    this.v6.mld.reports.forget(iface);
    this.multicast.forget(iface);
    this.interfaces.remove(iface);
    this.ctx.sysctl.detach(iface.name);
    this.ip.routes.invalidate();
  }

  /** Begins to forward multicast, in another way, or no more. NetError as MulticastProxy. */
  proxyGroups(options: ProxyOptions | null): void {
    const { ctx, ip, multicast, igmp, v6 } = this;
    this.proxy?.close();
    this.proxy = options === null ? null : new MulticastProxy({ ctx, ip, multicast, igmp, mld: v6.mld }, options);
  }

  addAddress(iface: Interface, prefix: Prefix, origin: InterfaceAddress['origin'] = 'static'): InterfaceAddress {
    this.ctx.touch();
    this.hyper.soon(); // for the timers it arms
    return this.addresses.add(iface, prefix, origin, prefix.address.isV4 ? iface.conf4.arp_probe !== 0 : iface.conf6.dad_transmits > 0);
  }

  /** An assertion failed: sockets get an error, devices close, nothing of the stack runs again. */
  private fail(error: AssertionError): void {
    this.state = 'failed';
    this.ctx.failure = error;
    this.events.failed(error);
    this.end(Errno.EIO);
  }

  /** Complete: no socket, packet, timer or device is left. */
  close(): void {
    if (this.state === 'closed') return;
    const failed = this.state === 'failed';
    this.state = 'closed';
    if (!failed) {
      this.ipsec.driver?.ike.shutdown(() => {}); // once to each peer; whoever waits for their answers has called it before
      this.ctx.polling = true;
      this.tcp.close();
      this.egress();
      this.ctx.polling = false;
    }
    this.end(Errno.ECANCELED);
  }

  private end(errno: number): void {
    this.ctx.ended = errno;
    this.tcp.fail(errno);
    this.udp.fail(errno);
    this.raw.fail(errno);
    this.packets.fail(errno);
    this.loopback.purge();
    this.ipsec.close();
    this.filter.purge();
    this.reassembly4.purge();
    this.v6.purge();
    this.ip.pathMtu.purge();
    for (const iface of this.interfaces) if (iface !== this.ip.loopback) this.removeInterface(iface);
    this.ctx.deliver();
    this.hyper.wakeAt(Number.POSITIVE_INFINITY);
  }
}
