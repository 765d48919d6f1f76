// hot: bench/packet
import { NetError } from '../../base/errors.js';
import type { Packet } from '../../base/packet.js';
import * as ethernet from '../../wire/ethernet.js';
import * as wire from '../../wire/vlan.js';
import type { Interface } from '../interface.js';
import { StackedDevice } from './stacked-device.js';

/** One VLAN of an Ethernet interface: its frames with the tag off (IEEE 802.1Q §9.6). */
export class VlanDevice extends StackedDevice {
  readonly kind = 'vlan';
  readonly medium = 'ethernet';
  readonly mac: Uint8Array;
  readonly parent: Interface;
  /** [1, 4094]. */
  readonly vid: number;

  constructor(parent: Interface, vid: number) {
    super();
    this.parent = parent;
    this.vid = vid;
    this.mac = parent.mac.slice();
  }

  /** The tag does not count: whoever carries 1,500 octets carries four more of link header (IEEE 802.3 §3.2.7). */
  get mtu(): number {
    return this.parent.mtu;
  }

  /** A big frame stays whole where the parent takes it: the tag stands before what is repeated. */
  get offloads(): number {
    return this.parent.device?.offloads ?? 0;
  }

  get carrier(): boolean {
    return this.parent.running;
  }

  output(given: Packet): void {
    const { parent, vid } = this;
    const packet = parent.ctx.unshare(given);
    if (packet === null) return;
    packet.push(wire.TAG_LEN);
    wire.push(packet.view, packet.head + wire.TAG_LEN, ethernet.EtherType.Vlan, vid);
    packet.link = packet.head;
    packet.vlan = vid;
    packet.outIndex = parent.index;
    parent.transmit(packet);
  }

  /** A tagged frame of the parent, head at its first octet. Owns it. */
  input(given: Packet): void {
    const iface = this.iface as Interface;
    const packet = iface.ctx.unshare(given);
    if (packet === null) return;
    packet.vlan = wire.tci(packet.view, packet.head + ethernet.HEADER_LEN);
    packet.head = packet.link = wire.pop(packet.view, packet.head);
    iface.input(packet);
  }

  standsOn(lower: Interface): boolean {
    return lower === this.parent;
  }

  lowerChanged(lower: Interface): void {
    if (lower !== this.parent) return;
    if (this.iface !== null && this.iface.mtu > lower.mtu) this.events?.mtu(lower.mtu);
    else this.events?.carrier(this.carrier);
  }

  lowerGone(lower: Interface): void {
    if (lower === this.parent) this.events?.failed(new NetError('ENODEV', 'vlan', lower.name, undefined, 'the interface below is gone'));
  }
}
