import type { Address } from '../../base/address.js';
import { Errno } from '../../base/errors.js';
import type { Packet } from '../../base/packet.js';
import type { Context } from '../context.js';
import type { Interface } from '../interface.js';
import { type FilterMode, type Multicast, SourceFilter } from '../ip/multicast.js';

/** One membership of one socket. It is the owner by which Multicast knows it. */
class Joined {
  readonly iface: Interface;
  readonly group: Address;
  readonly filter = new SourceFilter();

  constructor(iface: Interface, group: Address) {
    this.iface = iface;
    this.group = group.clone();
  }
}

/** The groups of one socket with their source filters: RFC 3678. All calls answer 0 or a negative errno, Linux's. */
export class SocketGroups {
  private readonly ctx: Context;
  private readonly multicast: Multicast;
  private readonly list: Joined[] = [];

  constructor(ctx: Context, multicast: Multicast) {
    this.ctx = ctx;
    this.multicast = multicast;
  }

  /** Joins a group, or one more source of it. EADDRINUSE: joined already; EADDRNOTAVAIL: has the source already; EINVAL: joined for all sources. */
  join(group: Address, index: number, source: Address | null): number {
    const known = this.find(group, index);
    if (source === null) return known === null ? this.listen(group, index, 'exclude', []) : -Errno.EADDRINUSE;
    if (source.isV4 !== group.isV4) return -Errno.EINVAL;
    if (known === null) return this.listen(group, index, 'include', [source]);
    if (known.filter.mode === 'exclude') return -Errno.EINVAL;
    if (known.filter.admits(source)) return -Errno.EADDRNOTAVAIL;
    return this.listen(group, index, 'include', [...known.filter.sources, source]);
  }

  /** Leaves a group, or one source of it; with the last one the group too. EADDRNOTAVAIL: not a member. */
  leave(group: Address, index: number, source: Address | null): number {
    const known = this.find(group, index);
    if (known === null) return -Errno.EADDRNOTAVAIL;
    if (source === null) return this.listen(group, known.iface.index, 'include', []);
    if (known.filter.mode === 'exclude') return -Errno.EINVAL;
    if (!known.filter.admits(source)) return -Errno.EADDRNOTAVAIL;
    return this.listen(
      group,
      known.iface.index,
      'include',
      known.filter.sources.filter((s) => !s.equals(source)),
    );
  }

  /** The whole filter of a group at once: MCAST_MSFILTER. Include of nothing leaves. */
  listen(group: Address, index: number, mode: FilterMode, sources: readonly Address[]): number {
    const iface = this.multicast.interfaces.at(index);
    if (iface === null) return -Errno.ENODEV;
    const v = this.ctx.sysctl.v;
    if (sources.length > v[group.isV4 ? 'net.ipv4.igmp_max_msf' : 'net.ipv6.mld_max_msf']) return -Errno.ENOBUFS;
    const known = this.find(group, index);
    if (known === null && this.list.length >= v['net.ipv4.igmp_max_memberships']) return -Errno.ENOBUFS;
    const joined = known ?? new Joined(iface, group);
    const result = this.multicast.listen(joined, iface, group, mode, sources);
    if (result < 0) return result;
    joined.filter.set(mode, sources);
    if (joined.filter.empty) this.list.splice(this.list.indexOf(joined), known === null ? 0 : 1);
    else if (known === null) this.list.push(joined);
    return 0;
  }

  private find(group: Address, index: number): Joined | null {
    return this.list.find((j) => (index === 0 || j.iface.index === index) && j.group.equals(group)) ?? null;
  }

  /** Does this socket want the packet? `others`: groups it did not join itself (IP_MULTICAST_ALL). */
  admits(packet: Packet, others: boolean): boolean {
    for (const { iface, group, filter } of this.list) {
      if (iface.index === packet.inIndex && group.equals(packet.destination)) return filter.admits(packet.source);
    }
    return others;
  }

  leaveAll(): void {
    for (const { iface, group } of [...this.list]) this.listen(group, iface.index, 'include', []);
  }
}
