// hot: bench/packet
import { Drop } from '../../base/drops.js';
import { errnoName } from '../../base/errors.js';
import { type Packet, share } from '../../base/packet.js';
import type { Device } from '../../hyper/hypercalls.js';
import * as ethernet from '../../wire/ethernet.js';
import type { Context } from '../context.js';
import type { Interface, InterfaceAddress } from '../interface.js';
import type { IpLayer } from '../ip/ip.js';
import type { FrameTap } from '../link/link.js';
import { ControlTraffic, Share } from './control-traffic.js';
import { sendWhole } from './whole-frame.js';

/**
 * Shows a port to a routing engine on the host: a TAP of the host looks like the port (station address, addresses, MTU, carrier), what routing
 * protocols say passes between the two unchanged, and all other traffic stays here. The engine's packets come by no filter and no
 * policy of ours: its host has its own.
 *
 * ```
 *   bgpd, ospfd … zebra ── the host's interface ── TAP ── end │ mirror │ port ── the network
 * ```
 */
export class Mirror implements FrameTap {
  readonly transit = false;
  readonly port: Interface;
  private readonly ctx: Context;
  private readonly control: ControlTraffic;
  /** The interface over the TAP. */
  private end: Interface | null = null;
  /** The device whose far end has been made to look like the port, and the addresses it has. */
  private dressed: Device | null = null;
  private readonly told = new Map<string, InterfaceAddress>();
  private gone = false;

  constructor(ctx: Context, ip: IpLayer, port: Interface) {
    this.ctx = ctx;
    this.port = port;
    this.control = new ControlTraffic((address) => ip.local(address, port.vrf, address.isLinkLocal ? port.index : 0) !== null);
  }

  /** The host's number of its interface; 0 for none. */
  get hostIndex(): number {
    return this.gone ? 0 : (this.end?.device?.far?.index ?? 0);
  }

  /** From now on frames pass. */
  join(end: Interface): void {
    this.end = end;
    this.port.master = this;
    this.tell();
  }

  /** Is it one of the two? */
  standsOn(iface: Interface): boolean {
    return iface === this.port || iface === this.end;
  }

  /** A frame of the port, or of the host. */
  frame(iface: Interface, packet: Packet): boolean {
    return iface === this.port ? this.input(packet) : this.output(packet);
  }

  private input(packet: Packet): boolean {
    const { ctx, port } = this;
    const { view, head } = packet;
    if (
      !ethernet.isGroup(view, head) &&
      (ethernet.destinationLow(view, head) !== port.macLow || ethernet.destinationHigh(view, head) !== port.macHigh)
    )
      return false;
    const whose = this.control.shareOf(view, head, packet.tail);
    if (whose === Share.Ours) return false;
    if (ctx.observer.verdict !== null)
      ctx.observer.verdict(packet, 'mirror', `${(this.end as Interface).name}${whose === Share.Both ? ', and here' : ''}`);
    if (whose === Share.Theirs) {
      sendWhole(ctx, packet, this.end as Interface);
      return true;
    }
    // A copy of its own: what stays may be answered in place while the other still waits for the TAP.
    const twin = share(packet);
    const copy = twin === null ? null : ctx.unshare(twin);
    if (copy !== null) sendWhole(ctx, copy, this.end as Interface);
    else if (twin === null) ctx.countDrop(Drop.NoBuffer);
    return false;
  }

  /** As another station, before the host's interface was made to look like the port, nothing leaves. */
  private output(packet: Packet): boolean {
    const { ctx, port } = this;
    const { view, head } = packet;
    if (ethernet.sourceLow(view, head) !== port.macLow || ethernet.sourceHigh(view, head) !== port.macHigh) ctx.drop(packet, Drop.MirrorOtherStation);
    else if (this.gone) ctx.drop(packet, Drop.DeviceDown);
    else sendWhole(ctx, packet, port);
    return true;
  }

  /** Something of the port or of the host's interface has changed: the host's is made to look like the port again. */
  tell(): void {
    const { port, end, told, ctx } = this;
    const device = end?.device ?? null;
    const far = device?.far;
    if (device === null || far === undefined || ctx.ended !== 0) return;
    const check = (error: number, what: string): void => {
      if (error < 0) ctx.hyper.log('warn', `${end?.name}: the host's interface did not take ${what}: ${errnoName(-error)}`);
    };
    if (device !== this.dressed) {
      this.dressed = device;
      told.clear();
      // Down and up: what IPv6 has made of the address that was there before goes.
      check(far.set({ up: false, mac: port.mac, linkLocal: false }), 'the station address');
      check(far.set({ up: true }), 'to be up');
    }
    check(far.set({ carrier: port.running && !this.gone, mtu: port.mtu }), 'carrier and MTU');
    const now = new Map(
      this.gone
        ? []
        : port.addresses
            .filter((a) => a.state !== 'tentative' && a.state !== 'duplicate' && a.origin !== 'vrrp')
            .map((a) => [`${a.address}/${a.length}`, a]),
    );
    for (const [key, { address, length }] of told) {
      if (now.has(key)) continue;
      told.delete(key);
      check(far.removeAddress(address, length), `that ${key} went`);
    }
    for (const [key, entry] of now) {
      if (told.has(key)) continue;
      told.set(key, entry);
      check(far.addAddress(entry.address, entry.length), key);
    }
  }

  /** The host's interface came up again: its addresses of IPv6 went with it. */
  renewed(): void {
    if (this.end?.running === true) this.told.clear();
    this.tell();
  }

  /** One of the two goes away. */
  leave(): void {
    this.port.master = null;
    this.gone = true;
    this.tell();
  }
}
