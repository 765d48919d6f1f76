import type { Address } from '../../base/address.js';
import type { Packet } from '../../base/packet.js';
import type { Interface } from '../interface.js';
import type { Flow } from './path.js';

/** A look at a packet on its way: true lets it go on; false means the hook has taken it over and ended or kept it. */
export type Hook = (packet: Packet, input: Interface | null, output: Interface | null) => boolean;

/**
 * What the hooks have decided once for all plain packets of a flow: for the fast path, in the order of its calls. A flow is a number, good until the
 * road of the packet ends.
 */
export interface FlowCache {
  /** Asked before a batch: what it knows is still so. */
  ready(): boolean;
  /** The flow of a whole IPv4 packet of UDP or TCP: both ports in one word. −1: the hooks have to see it. */
  find(vrf: number, protocol: number, source: number, destination: number, ports: number, inIndex: number): number;
  /** What its destination becomes. */
  destination(flow: number): number;
  /** May this packet go out by that interface without the hooks? The last question before it is changed: TCP's windows move. */
  admit(flow: number, packet: Packet, outIndex: number): boolean;
  /** What NAT does before routing, and after. */
  rewriteDestination(flow: number, packet: Packet): void;
  rewriteSource(flow: number, packet: Packet): void;
  /** A packet of so many octets has passed. */
  count(flow: number, octets: number): void;
}

/** The five hook points of netfilter, both families, and IPsec's two. Null: one branch. */
export class Hooks {
  prerouting: Hook | null = null;
  input: Hook | null = null;
  forward: Hook | null = null;
  output: Hook | null = null;
  postrouting: Hook | null = null;
  /** RFC 4301 §5.1: after the output filter, before fragmentation. */
  protect: Hook | null = null;
  /** RFC 4301 §5.2: before local delivery and before forwarding, for clear packets too. */
  verify: Hook | null = null;
  /** Answers for prerouting, forward and postrouting where it knows the flow; null: they have to be asked. */
  flows: FlowCache | null = null;
  /** The longest packet of a flow that still fits `mtu` when it has been protected. RFC 4301 §8. */
  room: ((flow: Flow, source: Address, output: Interface, mtu: number) => number) | null = null;
}
