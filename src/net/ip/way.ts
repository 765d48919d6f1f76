// hot: bench/packet/forward
import { Offload } from '../../hyper/hypercalls.js';
import type { Interface } from '../interface.js';
import type { Interfaces } from '../interfaces.js';
import type { Neighbor } from '../link/neighbor.js';
import type { Group } from './hop-groups.js';
import type { Hop } from './route.js';

/**
 * Where forwarded packets of a group of hops go when all go the same way, made ready for the fast path. Good while the group is the
 * table's and `epoch` that of the routes; what changes oftener (a neighbour's state, a queue) is looked at for each packet.
 */
export class Way {
  readonly group: Group;
  readonly epoch: number;
  /** Null: there is no one way, or not one for the fast path. */
  readonly out: Interface | null;
  readonly hop: Hop | null;
  /** Greatest packet, as the route or the interface bounds it. */
  readonly mtu: number;
  /** Next hops have link addresses. */
  readonly resolves: boolean;
  /** The device finishes transport checksums. */
  readonly finishes: boolean;
  /** The gateway's entry once it is there; null for destinations that are on-link. */
  neighbor: Neighbor | null = null;

  /** `hop`: the group's only usable one, or null. */
  constructor(group: Group, epoch: number, hop: Hop | null, interfaces: Interfaces) {
    const out = hop === null ? null : interfaces.at(hop.index);
    this.group = group;
    this.epoch = epoch;
    this.hop = hop;
    this.out = out !== null && out.device !== null && out.stacked === null ? out : null;
    this.mtu = Math.min(hop?.mtu || out?.mtu || 0, out?.mtu ?? 0);
    this.resolves = out?.medium === 'ethernet';
    this.finishes = ((out?.device?.offloads ?? 0) & Offload.TxChecksum) !== 0;
  }
}
