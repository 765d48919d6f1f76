import { samePrefix } from '../base/address.js';
import type { Interfaces } from '../net/interfaces.js';
import { isSubnetBroadcast } from '../net/ip/ip.js';
import type { DatagramInfo } from '../net/socket/datagram-queue.js';

/** Ports that answer whoever asks. Two of them made to talk to each other never stop (CERT CA-1996-01). */
const SMALL_PORTS: readonly number[] = [7, 9, 13, 17, 19, 37];

/**
 * May a datagram be answered by a service that answers everybody? Only to a station on the link it came in on, which its own
 * address reached, and never to another such service: else a forged source makes us the weapon.
 */
export function answerable(interfaces: Interfaces, info: DatagramInfo): boolean {
  const { address, destination } = info;
  if (info.port === 0 || SMALL_PORTS.includes(info.port)) return false;
  if (address.isMulticast || address.isUnspecified || address.isLimitedBroadcast) return false;
  if (destination.isMulticast || destination.isLimitedBroadcast) return false;
  const iface = interfaces.at(info.index);
  if (iface === null || isSubnetBroadcast(iface, destination) || isSubnetBroadcast(iface, address)) return false;
  const bits = address.isV4 ? 96 : 0;
  return iface.addresses.some((a) => a.address.isV4 === address.isV4 && samePrefix(a.address, address, a.length + bits));
}
