import { type Address, mixAddress } from '../../base/address.js';
import type { Packet } from '../../base/packet.js';
import { Protocol } from '../../wire/protocol.js';
import type { Path } from '../ip/path.js';
import type { ConnectionOptions } from './options.js';
import { mtuChanged } from './pmtu.js';
import { State } from './states.js';
import type { Tcb } from './tcb.js';
import type { Tcp } from './tcp.js';

/** Asks IP for the way of a flow: a path, or a negative errno. */
export function pathTo(
  tcp: Tcp,
  local: Address,
  remote: Address,
  localPort: number,
  remotePort: number,
  vrf: number,
  outIndex: number,
  options: ConnectionOptions = tcp.defaults,
): Path | number {
  const { flow } = tcp;
  flow.source.copy(local);
  flow.destination.copy(remote);
  flow.protocol = Protocol.Tcp;
  flow.sourcePort = localPort;
  flow.destinationPort = remotePort;
  flow.inIndex = 0;
  flow.outIndex = outIndex;
  flow.mark = options.mark;
  flow.trafficClass = options.tos;
  flow.vrf = vrf;
  return shared(tcp, tcp.ip.path(flow));
}

/** The way of a connection, asked anew; its MSS follows. Null when there is none: it is tried again with the next timeout. */
export function refreshPath(tcb: Tcb): Path | null {
  const path = pathTo(tcb.tcp, tcb.local, tcb.remote, tcb.localPort, tcb.remotePort, tcb.vrf, tcb.zone || (tcb.socket?.boundIndex ?? 0), tcb.options);
  if (typeof path === 'number') {
    tcb.softError = -path;
    tcb.path = null;
    return null;
  }
  const before = tcb.path;
  tcb.path = path;
  if (tcb.state >= State.Established && before !== null && before.mtu !== path.mtu) mtuChanged(tcb, path.mtu);
  return path;
}

/** The way back to whoever sent `packet`; null when there is none. */
export function replyPath(tcp: Tcp, packet: Packet): Path | null {
  const { source, destination, sourcePort, destinationPort } = packet;
  const zone = source.isLinkLocal && !source.isV4 ? packet.inIndex : 0;
  const path = pathTo(tcp, destination, source, destinationPort, sourcePort, tcp.ip.vrfOf(packet.inIndex), zone);
  return typeof path === 'number' ? null : path;
}

/** Paths remembered for sharing: connections to one peer, or through one gateway, go the same way, and an idle one should not pay for its own copy. */
const SHARED_PATHS = 256;

function shared(tcp: Tcp, path: Path | number): Path | number {
  // A path of IPv6 carries the label of its flow, so it has one user.
  if (typeof path === 'number' || !path.nextHop.isV4) return path;
  const i = mixAddress(path.iface.index, path.nextHop) & (SHARED_PATHS - 1);
  const known = tcp.knownPaths[i];
  if (known !== undefined && samePath(known, path)) return known;
  tcp.knownPaths[i] = path;
  return path;
}

const samePath = (a: Path, b: Path): boolean =>
  a.generation === b.generation &&
  a.iface === b.iface &&
  a.neighbor === b.neighbor &&
  a.mtu === b.mtu &&
  a.local === b.local &&
  a.group === b.group &&
  a.broadcast === b.broadcast &&
  a.source.equals(b.source) &&
  a.nextHop.equals(b.nextHop);
