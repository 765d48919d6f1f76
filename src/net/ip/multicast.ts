import { type Address, mixAddress } from '../../base/address.js';
import { Errno } from '../../base/errors.js';
import type { Packet } from '../../base/packet.js';
import { Protocol } from '../../wire/protocol.js';
import type { Context } from '../context.js';
import type { Groups, Interface } from '../interface.js';
import type { Interfaces } from '../interfaces.js';

/** RFC 9776 §2, RFC 9777 §3: only these sources, or all but these. */
export type FilterMode = 'include' | 'exclude';

/** A mode with its sources, as a socket asks for it and as an interface has it. */
export class SourceFilter {
  mode: FilterMode = 'include';
  sources: Address[] = [];

  admits(source: Address): boolean {
    return this.sources.some((s) => s.equals(source)) === (this.mode === 'include');
  }

  set(mode: FilterMode, sources: readonly Address[]): void {
    this.mode = mode;
    this.sources = sources.map((s) => s.clone());
  }

  /** Nothing is wanted. */
  get empty(): boolean {
    return this.mode === 'include' && this.sources.length === 0;
  }
}

/** One group on one interface: who wants it, and what they want together. */
export class Group {
  readonly address: Address;
  readonly iface: Interface;
  /** By owner: a socket, or a component of the stack. */
  readonly members = new Map<object, SourceFilter>();
  readonly filter = new SourceFilter();

  constructor(address: Address, iface: Interface) {
    this.address = address.clone();
    this.iface = iface;
  }

  /**
   * RFC 9776 §3.2, RFC 9777 §4.2: with an EXCLUDE among the members, exclude what all of these exclude and nobody includes; else include
   * what anybody includes.
   */
  merge(): void {
    const filters = [...this.members.values()];
    const excluding = filters.filter((f) => f.mode === 'exclude');
    const included = union(filters.filter((f) => f.mode === 'include').map((f) => f.sources));
    const [first] = excluding;
    if (first === undefined) {
      this.filter.set('include', included);
      return;
    }
    const excluded = first.sources.filter((s) => excluding.every((f) => has(f.sources, s)) && !has(included, s));
    this.filter.set('exclude', excluded);
  }
}

/** IGMP or MLD: tells routers what changed. */
export interface Reporter {
  /** `group.filter` is new; `before` is what it was. Groups that nobody wants any more come once with an empty filter. */
  changed(group: Group, before: SourceFilter): void;
}

/** The groups of one interface, both families. */
class Membership implements Groups {
  readonly groups = new Map<number, Group[]>();
  size = 0;

  find(address: Address): Group | null {
    return this.groups.get(mixAddress(0, address))?.find((g) => g.address.equals(address)) ?? null;
  }

  wants(packet: Packet): boolean {
    const chain = this.groups.get(mixAddress(0, packet.destination));
    if (chain === undefined) return false;
    for (const group of chain) {
      if (!group.address.equals(packet.destination)) continue;
      // Sources are filtered for applications; queries about the group come from a router that is none of them.
      return packet.protocol === Protocol.Igmp || packet.protocol === Protocol.Icmpv6 || group.filter.admits(packet.source);
    }
    return false;
  }

  add(group: Group): void {
    const key = mixAddress(0, group.address);
    const chain = this.groups.get(key);
    if (chain === undefined) this.groups.set(key, [group]);
    else chain.push(group);
    this.size++;
  }

  remove(group: Group): void {
    const key = mixAddress(0, group.address);
    const chain = this.groups.get(key) as Group[];
    chain.splice(chain.indexOf(group), 1);
    if (chain.length === 0) this.groups.delete(key);
    this.size--;
  }

  *[Symbol.iterator](): Generator<Group> {
    for (const chain of this.groups.values()) yield* chain;
  }
}

/** Group membership of a stack: what sockets and protocols joined, merged per interface, told to routers by IGMP and MLD. */
export class Multicast {
  private readonly ctx: Context;
  readonly interfaces: Interfaces;
  private readonly memberships = new Map<Interface, Membership>();
  igmp: Reporter | null = null;
  mld: Reporter | null = null;
  /** What is listened to has changed. */
  changedOn: (() => void) | null = null;

  constructor(ctx: Context, interfaces: Interfaces) {
    this.ctx = ctx;
    this.interfaces = interfaces;
  }

  /**
   * What `owner` wants of a group from now on (IPMulticastListen of RFC 9776 §2, IPv6MulticastListen of RFC 9777 §3); include of nothing leaves. 0, or
   * −ENOBUFS when the interface has as many groups as it may.
   */
  listen(owner: object, iface: Interface, address: Address, mode: FilterMode, sources: readonly Address[] = []): number {
    const leaves = mode === 'include' && sources.length === 0;
    let membership = this.memberships.get(iface);
    if (membership === undefined) {
      if (leaves) return 0;
      membership = new Membership();
      this.memberships.set(iface, membership);
      iface.groups = membership;
    }
    let group = membership.find(address);
    if (group === null) {
      if (leaves) return 0;
      if (membership.size >= this.ctx.sysctl.v['anystack.groups_max']) return -Errno.ENOBUFS;
      group = new Group(address, iface);
      membership.add(group);
    }
    this.update(membership, group, owner, leaves, mode, sources);
    return 0;
  }

  private update(membership: Membership, group: Group, owner: object, leaves: boolean, mode: FilterMode, sources: readonly Address[]): void {
    const before = new SourceFilter();
    before.set(group.filter.mode, group.filter.sources);
    if (leaves) group.members.delete(owner);
    else {
      let filter = group.members.get(owner);
      if (filter === undefined) group.members.set(owner, (filter = new SourceFilter()));
      filter.set(mode, sources);
    }
    group.merge();
    if (group.members.size === 0) membership.remove(group);
    this.changedOn?.();
    (group.address.isV4 ? this.igmp : this.mld)?.changed(group, before);
  }

  /** All sources of a group. */
  join(owner: object, iface: Interface, address: Address): number {
    return this.listen(owner, iface, address, 'exclude');
  }

  leave(owner: object, iface: Interface, address: Address): void {
    this.listen(owner, iface, address, 'include');
  }

  /** The groups joined on an interface. */
  *of(iface: Interface): Generator<Group> {
    const membership = this.memberships.get(iface);
    if (membership !== undefined) yield* membership;
  }

  find(iface: Interface, address: Address): Group | null {
    return this.memberships.get(iface)?.find(address) ?? null;
  }

  /** The interface is gone. */
  forget(iface: Interface): void {
    this.memberships.delete(iface);
    iface.groups = null;
  }
}

const has = (list: readonly Address[], a: Address): boolean => list.some((b) => b.equals(a));

function union(lists: readonly (readonly Address[])[]): Address[] {
  const all: Address[] = [];
  for (const list of lists) for (const a of list) if (!has(all, a)) all.push(a);
  return all;
}
