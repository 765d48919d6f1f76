/** Multicast membership as dgram has it: interfaces named by an address of theirs, or by a zone. */
import type { Address } from '../base/address.js';
import { Errno } from '../base/errors.js';
import type { UdpSocket } from '../net/socket/udp-socket.js';
import type { Stack } from '../net/stack.js';
import { interfaceIndex, parseEndpoint } from './endpoint.js';
import { ArgumentTypeError } from './node-errors.js';

/** What a core socket has when its stack speaks IGMP or MLD. `index` 0 leaves the interface to routing; `source` null takes every sender. 0 or a negative errno. */
export interface GroupMember {
  join(group: Address, index: number, source: Address | null): number;
  leave(group: Address, index: number, source: Address | null): number;
}

interface Member {
  readonly stack: Stack;
  readonly core: UdpSocket & Partial<GroupMember>;
}

/** Joins, from one source or from all; 0 or a negative errno, −ENOPROTOOPT on a stack without group membership. */
export function joinGroup({ stack, core }: Member, group: string, source: string | null, at: string | undefined): number {
  const target = membership(stack, group, source, at);
  if (typeof target === 'number') return target;
  return core.join?.(target.group, target.index, target.source) ?? -Errno.ENOPROTOOPT;
}

/** The opposite of joinGroup with the same arguments. */
export function leaveGroup({ stack, core }: Member, group: string, source: string | null, at: string | undefined): number {
  const target = membership(stack, group, source, at);
  if (typeof target === 'number') return target;
  return core.leave?.(target.group, target.index, target.source) ?? -Errno.ENOPROTOOPT;
}

/** Sets where multicast goes out; 0 or a negative errno. */
export function multicastInterface(stack: Stack, core: UdpSocket, at: string): number {
  const index = interfaceOf(stack, at);
  return index < 0 ? index : core.setOption('IP_MULTICAST_IF', index);
}

function membership(
  stack: Stack,
  group: string,
  source: string | null,
  at: string | undefined,
): { group: Address; index: number; source: Address | null } | number {
  if (!group) throw new ArgumentTypeError('ERR_MISSING_ARGS', 'The "multicastAddress" argument must be specified');
  const to = parseEndpoint(stack, group);
  const from = source === null ? null : parseEndpoint(stack, source);
  if (to === null || !to.address.isMulticast || (source !== null && from === null)) return -Errno.EINVAL;
  const index = at === undefined ? to.zone : interfaceOf(stack, at);
  return index < 0 ? index : { group: to.address, index, source: from?.address ?? null };
}

/** Index of the interface that '10.0.0.1', '::%eth0' or 'fe80::1%2' means; 0 for '0.0.0.0' and '::', with a zone of another machine too, as in Node. Negative errno when there is none. */
function interfaceOf(stack: Stack, text: string): number {
  if (/^::%[a-z]/i.test(text)) return Math.max(0, interfaceIndex(stack, text.slice(3)));
  const at = parseEndpoint(stack, text);
  if (at === null) return -Errno.EINVAL;
  if (at.zone !== 0 || at.address.isUnspecified) return at.zone;
  for (const iface of stack.interfaces) if (iface.addresses.some((a) => a.address.equals(at.address))) return iface.index;
  return -Errno.EADDRNOTAVAIL;
}
