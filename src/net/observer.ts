import type { Packet } from '../base/packet.js';
import type { Interface } from './interface.js';

/**
 * What capture, trace and metrics hang on. Each slot is null when nobody looks: one branch then. An observer must not
 * keep the packet, change anything of it but `trace`, or call into the stack; it copies what it wants.
 */
export class Observer {
  /** A frame as it came from a device, head at its first octet. */
  rx: ((iface: Interface, packet: Packet) => void) | null = null;
  /** A frame as it goes to a device. */
  tx: ((iface: Interface, packet: Packet) => void) | null = null;
  /** The same moment, for packet sockets: watchers come and go on `tx` without regard to them. */
  sent: ((iface: Interface, packet: Packet) => void) | null = null;
  /** A packet dies; `reason` is a Drop number. */
  drop: ((packet: Packet, reason: number) => void) | null = null;
  /** A decision on a packet's way: the route, rule, NAT entry, SA or neighbour chosen. */
  verdict: ((packet: Packet, where: string, what: string) => void) | null = null;
  /** A state change of a connection, neighbour, SA or interface. */
  state: ((what: string, from: string, to: string) => void) | null = null;
}
