import type { Address } from '../../base/address.js';
import type { Packet } from '../../base/packet.js';
import type { Interface } from '../interface.js';
import type { Flow } from './path.js';

/** A look at a packet on its way: true lets it go on; false means the hook has taken it over and ended or kept it. */
export type Hook = (packet: Packet, input: Interface | null, output: Interface | null) => boolean;

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
  /** The longest packet of a flow that still fits `mtu` when it has been protected. RFC 4301 §8. */
  room: ((flow: Flow, source: Address, output: Interface, mtu: number) => number) | null = null;
}
