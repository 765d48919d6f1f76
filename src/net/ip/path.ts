import { Address } from '../../base/address.js';
import type { Packet } from '../../base/packet.js';
import * as ipv4 from '../../wire/ipv4.js';
import { Protocol } from '../../wire/protocol.js';
import type { Interface } from '../interface.js';
import type { Neighbor } from '../link/neighbor.js';

/**
 * What a route is chosen by, from the first commit on: rules may look at any of it. Reused by its owner; a lookup keeps
 * nothing of it. Zero and the unspecified address mean "not given".
 */
export class Flow {
  readonly source = new Address();
  readonly destination = new Address();
  protocol = 0;
  sourcePort = 0;
  destinationPort = 0;
  inIndex = 0;
  /** Interface the socket is bound to, or the zone of a scoped destination. */
  outIndex = 0;
  mark = 0;
  trafficClass = 0;
  vrf = 0;
}

/** The flow of a packet that came in. Ports only where rules ask for them: without, all fragments of a datagram go one way. */
export function readFlow(flow: Flow, packet: Packet, vrf: number, ports: boolean): void {
  flow.source.copy(packet.source);
  flow.destination.copy(packet.destination);
  flow.protocol = packet.protocol;
  flow.inIndex = packet.inIndex;
  flow.mark = packet.mark;
  flow.trafficClass = packet.trafficClass;
  flow.vrf = vrf;
  flow.sourcePort = flow.destinationPort = 0;
  if (!ports || (packet.protocol !== Protocol.Tcp && packet.protocol !== Protocol.Udp) || packet.tail - packet.transport < 4) return;
  if (packet.family === 4 && ipv4.fragmentOffset(packet.view, packet.network) !== 0) return;
  flow.sourcePort = packet.view.getUint16(packet.transport);
  flow.destinationPort = packet.view.getUint16(packet.transport + 2);
}

/** What a destination is to us. */
export type Cast = 'unicast' | 'local' | 'multicast' | 'broadcast';

/**
 * Where packets of one flow go: kept by connections and used while `generation` is that of the routes. Made by Ip.path.
 */
export class Path {
  readonly iface: Interface;
  /** Source address a new flow takes: the flow's own, or chosen by RFC 6724 / RFC 1122 §3.3.4.3. */
  readonly source: Address;
  readonly nextHop: Address;
  /** The next hop's neighbour entry; null on media without, for groups and for ourselves. */
  readonly neighbor: Neighbor | null;
  /** Greatest IP packet to this destination in octets: interface, route and path MTU discovery. */
  readonly mtu: number;
  /** The destination is one of our addresses: packets go through the loopback queue. */
  readonly local: boolean;
  /** The destination is a group or a broadcast of the interface. */
  readonly group: boolean;
  /** The group is everybody: the limited broadcast or a subnet's. */
  readonly broadcast: boolean;
  readonly generation: number;
  /** Flow label of IPv6 packets, made of the first one's ports (RFC 6437 §3); −1 until then. */
  flowLabel = -1;

  constructor(iface: Interface, source: Address, nextHop: Address, neighbor: Neighbor | null, mtu: number, cast: Cast, generation: number) {
    this.iface = iface;
    this.source = source;
    this.nextHop = nextHop;
    this.neighbor = neighbor;
    this.mtu = mtu;
    this.local = cast === 'local';
    this.group = cast === 'multicast' || cast === 'broadcast';
    this.broadcast = cast === 'broadcast';
    this.generation = generation;
  }
}

/** One line: "dev eth0 via 10.0.0.254 mtu 1500". */
export function describePath({ iface, nextHop, mtu, local, group }: Path): string {
  return `dev ${iface.name}${local ? ' local' : group ? ' group' : ` via ${nextHop}`} mtu ${mtu}`;
}
