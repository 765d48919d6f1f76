// hot: bench/packet
import { Drop } from '../../base/drops.js';
import { Checksum, Gso, type Packet } from '../../base/packet.js';
import * as ethernet from '../../wire/ethernet.js';
import * as ipv4 from '../../wire/ipv4.js';
import * as ipv6 from '../../wire/ipv6.js';
import * as vlan from '../../wire/vlan.js';
import type { Context } from '../context.js';
import type { Interface } from '../interface.js';

/** Sends a frame of another station out of a port as it is. Big ones stay whole where the port takes them. Owns the packet. */
export function sendWhole(ctx: Context, packet: Packet, port: Interface): void {
  packet.outIndex = port.index;
  locate(packet);
  if (packet.gsoType === Gso.None && packet.length > port.mtu + ethernet.HEADER_LEN + vlan.TAG_LEN) {
    port.txDropped++;
    ctx.drop(packet, Drop.DeviceOversize);
  } else port.transmit(packet);
}

/** Finds the headers of a big frame that nobody here has looked into, for a port that wants it cut. */
function locate(packet: Packet): void {
  packet.link = packet.head;
  if (packet.gsoType === Gso.None || packet.network >= 0) return;
  const { view, head } = packet;
  let at = head + ethernet.HEADER_LEN;
  if (ethernet.type(view, head) === ethernet.EtherType.Vlan) at += vlan.TAG_LEN;
  if (packet.tail - at < ipv6.HEADER_LEN) return; // it makes no segments then
  packet.network = at;
  const header = ipv4.version(view, at) === 4 ? ipv4.headerLength(view, at) : ipv6.HEADER_LEN;
  packet.transport = packet.checksum === Checksum.Partial ? packet.csumStart : at + header;
}
