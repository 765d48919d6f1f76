import { NetError } from '../../base/errors.js';
import type { Device } from '../../hyper/hypercalls.js';
import type { Context } from '../context.js';
import type { Interface } from '../interface.js';
import type { Interfaces } from '../interfaces.js';
import type { IpLayer } from '../ip/ip.js';
import type { Demux, FrameTap } from '../link/link.js';
import { BridgeDevice, PORTS_MAX } from './bridge.js';
import { Mirror } from './mirror.js';
import { TunnelDevice } from './tunnel.js';
import type { Tunnels } from './tunnels.js';
import { VlanDevice } from './vlan.js';

/** VLAN identifiers; 0 and 4095 are none (IEEE 802.1Q §9.6). */
const VIDS = 4_096;

/** Puts a device under a new interface: Stack.addInterface. */
export type AddInterface = (name: string, device: Device, vrf: number, master?: FrameTap) => Interface;

/** The interfaces of one stack that stand on others: makes them, and tells them what happens below. */
export class Stacking {
  readonly tunnels: Tunnels;
  private readonly ctx: Context;
  private readonly demux: Demux;
  private readonly interfaces: Interfaces;
  private readonly ip: IpLayer;
  private readonly add: AddInterface;
  private readonly mirrors = new Set<Mirror>();
  private readonly vlans = new Map<number, VlanDevice>();

  /** `add` puts a device under a new interface: Stack.addInterface. */
  constructor(ctx: Context, demux: Demux, interfaces: Interfaces, ip: IpLayer, add: AddInterface, tunnels: Tunnels) {
    this.tunnels = tunnels;
    this.ctx = ctx;
    this.demux = demux;
    this.interfaces = interfaces;
    this.ip = ip;
    this.add = add;
  }

  /** VLAN `vid` of `parent` as an interface. NetError EEXIST when it has one, EINVAL for a parent without Ethernet or a bad identifier. */
  vlan(name: string, parent: Interface, vid: number, vrf = parent.vrf): Interface {
    if (parent.medium !== 'ethernet') throw new NetError('EINVAL', 'vlan', parent.name, undefined, 'a VLAN needs an Ethernet interface below');
    if (!Number.isInteger(vid) || vid < 1 || vid > VIDS - 2)
      throw new NetError('EINVAL', 'vlan', name, undefined, `a VLAN identifier is in [1, ${VIDS - 2}]`);
    const key = parent.index * VIDS + vid;
    if (this.vlans.has(key)) throw new NetError('EEXIST', 'vlan', name, undefined, `${parent.name} has an interface for VLAN ${vid}`);
    const device = new VlanDevice(parent, vid);
    const iface = this.add(name, device, vrf);
    this.vlans.set(key, device);
    this.demux.vlan = (on, id) => this.vlans.get(on.index * VIDS + id) ?? null;
    return iface;
  }

  /** A bridge of Ethernet interfaces. NetError EINVAL for none, too many or other media, EBUSY when one is in a bridge. */
  bridge(name: string, ports: readonly Interface[], vrf = 0): Interface {
    if (ports.length === 0 || ports.length > PORTS_MAX)
      throw new NetError('EINVAL', 'bridge', name, undefined, `a bridge has 1 to ${PORTS_MAX} ports`);
    for (const port of ports) {
      if (port.medium !== 'ethernet') throw new NetError('EINVAL', 'bridge', port.name, undefined, 'a port is an Ethernet interface');
      if (port.master !== null) throw new NetError('EBUSY', 'bridge', port.name, undefined, 'it is a port of another bridge');
    }
    return this.add(name, new BridgeDevice(this.ctx, ports), vrf);
  }

  /**
   * The interface over the TAP that shows `port` to a routing engine; `open` opens it. NetError EINVAL for a port without Ethernet, EBUSY
   * when it has a mirror or is in a bridge.
   */
  mirror(name: string, port: Interface, open: () => Device): Interface {
    if (port.medium !== 'ethernet') throw new NetError('EINVAL', 'mirror', port.name, undefined, 'only an Ethernet interface has a mirror');
    if (port.master !== null) throw new NetError('EBUSY', 'mirror', port.name, undefined, 'it has a mirror, or is a port of a bridge');
    const mirror = new Mirror(this.ctx, this.ip, port);
    const end = this.add(name, open(), port.vrf, mirror);
    this.mirrors.add(mirror);
    mirror.join(end);
    return end;
  }

  /** The port whose mirror has this number on the host, or null. */
  mirrored(hostIndex: number): Interface | null {
    for (const mirror of this.mirrors) if (mirror.hostIndex === hostIndex) return mirror.port;
    return null;
  }

  /** An interface got or lost an address. */
  addressed(iface: Interface): void {
    for (const mirror of this.mirrors) if (mirror.port === iface) mirror.tell();
  }

  /** The interface of a tunnel. NetError as Tunnels.add. `vrf`: of what comes out of it. */
  tunnel(name: string, device: TunnelDevice, vrf = 0): Interface {
    this.tunnels.add(device);
    return this.add(name, device, vrf);
  }

  /** Carrier, MTU or device of an interface have changed. */
  changed(lower: Interface): void {
    for (const { stacked } of this.interfaces) if (stacked?.standsOn(lower)) stacked.lowerChanged(lower);
    for (const mirror of this.mirrors) {
      if (mirror.port === lower) mirror.tell();
      else if (mirror.standsOn(lower)) mirror.renewed();
    }
  }

  /** An interface goes away: what stands on it loses its ground, and what it stood on is free. */
  gone(iface: Interface): void {
    for (const { stacked } of this.interfaces) if (stacked?.standsOn(iface)) stacked.lowerGone(iface);
    for (const mirror of this.mirrors) {
      if (!mirror.standsOn(iface)) continue;
      this.mirrors.delete(mirror);
      mirror.leave();
    }
    for (const [key, device] of this.vlans) if (device.iface === iface) this.vlans.delete(key);
    if (iface.device instanceof TunnelDevice) this.tunnels.remove(iface.device);
    if (this.vlans.size === 0) this.demux.vlan = null;
  }
}
