// hot: bench/packet
import { Drop } from '../../base/drops.js';
import { Checksum, Gso, type Packet, share } from '../../base/packet.js';
import { Offload } from '../../hyper/hypercalls.js';
import * as ethernet from '../../wire/ethernet.js';
import { finishChecksum } from '../../wire/segment.js';
import type { Context } from '../context.js';
import type { Interface } from '../interface.js';
import type { FrameTap } from '../link/link.js';
import { MacTable } from './mac-table.js';
import { StackedDevice } from './stacked-device.js';
import { sendWhole } from './whole-frame.js';

/** Ports of one bridge; more are refused. */
export const PORTS_MAX = 64;

/**
 * A learning bridge (IEEE 802.1Q §8). Its own interface is one more port: what is for the bridge's address, and a copy of what is for groups,
 * comes up there. Tags are frames' own business. Big frames stay whole to ports that take them. There is no spanning tree: cables
 * must not form a circle.
 */
export class BridgeDevice extends StackedDevice implements FrameTap {
  readonly transit = true;
  readonly kind = 'bridge';
  readonly medium = 'ethernet';
  readonly mac: Uint8Array;
  /** Ports finish what they cannot send. */
  readonly offloads = Offload.TxChecksum | Offload.Tso4 | Offload.Tso6 | Offload.Uso;
  readonly stations: MacTable;
  private readonly ctx: Context;
  private ports: readonly Interface[];

  /** Its address is that of the first port. There is at least one. */
  constructor(ctx: Context, ports: readonly Interface[]) {
    super();
    this.ctx = ctx;
    this.ports = ports;
    this.mac = (ports[0] as Interface).mac.slice();
    this.stations = new MacTable(ctx.secret[1] as number);
    for (const port of ports) port.master = this;
  }

  get mtu(): number {
    return this.ports.reduce((least, { mtu }) => Math.min(least, mtu), 65_535);
  }

  get carrier(): boolean {
    return this.ports.some((port) => port.running);
  }

  /** Names of its ports. */
  get members(): readonly Interface[] {
    return this.ports;
  }

  /** A frame of a port. False: it is the port's own business. */
  frame(port: Interface, packet: Packet): boolean {
    const { view, head } = packet;
    const iface = this.iface as Interface;
    if (isReserved(view, head)) return false;
    if (!iface.up) {
      this.ctx.drop(packet, Drop.DeviceDown);
      return true;
    }
    const high = ethernet.sourceHigh(view, head);
    const low = ethernet.sourceLow(view, head);
    if (high === iface.macHigh && low === iface.macLow) {
      this.ctx.drop(packet, Drop.BridgeLoop);
      return true;
    }
    this.stations.learn(high, low, port.index, this.ctx.now);
    if (ethernet.isGroup(view, head)) this.flood(packet, port, true);
    else if (ethernet.destinationHigh(view, head) === iface.macHigh && ethernet.destinationLow(view, head) === iface.macLow) iface.input(packet);
    else this.forward(packet, port);
    return true;
  }

  output(packet: Packet): void {
    if (ethernet.isGroup(packet.view, packet.head)) this.flood(packet, null, false);
    else this.forward(packet, null);
  }

  private forward(packet: Packet, from: Interface | null): void {
    const { view, head } = packet;
    const index = this.stations.find(ethernet.destinationHigh(view, head), ethernet.destinationLow(view, head), this.ctx.now);
    const port = index === 0 ? undefined : this.ports.find((p) => p.index === index);
    if (port === undefined) this.flood(packet, from, false);
    else if (port === from) this.ctx.drop(packet, Drop.BridgeSamePort);
    else this.send(packet, port);
  }

  /** To all ports but one, and up to the bridge's own interface if it is to see it. */
  private flood(given: Packet, from: Interface | null, up: boolean): void {
    const { ctx } = this;
    // Once, for all: a twin that finished it in the shared slot would spoil the others.
    const unfinished = given.checksum === Checksum.Partial && given.gsoType === Gso.None;
    const packet = unfinished ? ctx.unshare(given) : given;
    if (packet === null) return;
    if (unfinished) finishChecksum(packet);
    for (const port of this.ports) {
      if (port === from || !port.running) continue;
      const twin = share(packet);
      if (twin === null) ctx.countDrop(Drop.NoBuffer);
      else this.send(twin, port);
    }
    if (!up) packet.release();
    else {
      // What comes up may be answered in place while the twins still wait for their ports.
      const own = ctx.unshare(packet);
      if (own !== null) (this.iface as Interface).input(own);
    }
  }

  private send(packet: Packet, port: Interface): void {
    const { observer } = this.ctx;
    if (observer.verdict !== null) observer.verdict(packet, 'bridge', `port ${port.name}`);
    sendWhole(this.ctx, packet, port);
  }

  standsOn(lower: Interface): boolean {
    return this.ports.includes(lower);
  }

  lowerChanged(lower: Interface): void {
    if (!this.standsOn(lower)) return;
    if (!lower.running) this.stations.forget(lower.index);
    if (this.iface !== null && this.iface.mtu > this.mtu) this.events?.mtu(this.mtu);
    else this.events?.carrier(this.carrier);
  }

  lowerGone(lower: Interface): void {
    if (!this.standsOn(lower)) return;
    lower.master = null;
    this.ports = this.ports.filter((port) => port !== lower);
    this.stations.forget(lower.index);
    this.events?.carrier(this.carrier);
  }

  override close(): void {
    super.close();
    for (const port of this.ports) port.master = null;
    this.ports = [];
  }
}

/** 01-80-C2-00-00-00 to -0F: of this link alone (IEEE 802.1Q §8.6.3). */
function isReserved(view: DataView, at: number): boolean {
  return ethernet.destinationHigh(view, at) === 0x0180 && (ethernet.destinationLow(view, at) & ~15) === (0xc2000000 | 0);
}
