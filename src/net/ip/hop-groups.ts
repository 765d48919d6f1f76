// hot: bench/packet
import type { Hop } from './route.js';

/** The next hops of one prefix, least metric first. Shared by all prefixes that lead the same ways. */
export class Group {
  readonly id: number;
  hops: readonly Hop[];
  key: string;
  /** Prefixes that lead here. */
  uses = 0;

  constructor(id: number, hops: readonly Hop[], key: string) {
    this.id = id;
    this.hops = hops;
    this.key = key;
  }
}

/** A hop with its name in keys, while groups use it. */
interface Kept {
  readonly hop: Hop;
  readonly text: string;
  readonly key: string;
  groups: number;
}

/**
 * Next hops and their groups, each there once and only while it is used: a routing engine that changes its mind for a year leaves nothing
 * behind. Group 0 is none.
 */
export class HopGroups {
  private readonly groups: (Group | null)[] = [null];
  private readonly free: number[] = [];
  private readonly byKey = new Map<string, Group>();
  private readonly kept = new Map<Hop, Kept>();
  private readonly byText = new Map<string, Kept>();
  private names = 0;

  at(id: number): Group | null {
    return this.groups[id] ?? null;
  }

  /** Groups in use. */
  get size(): number {
    return this.byKey.size;
  }

  /** One object for equal hops: the one given stays, or an equal one that came before. Who gives that same object again pays for its key once. */
  intern(hop: Hop): Hop {
    if (this.kept.has(hop)) return hop;
    const { type, index, gateway, source, metric, mtu, protocol, tag = 0 } = hop;
    const text = `${type} ${index} ${gateway ?? '-'} ${source ?? '-'} ${metric} ${mtu} ${protocol} ${tag}`;
    const there = this.byText.get(text);
    if (there !== undefined) return there.hop;
    const own = {
      type,
      index,
      gateway: gateway?.clone() ?? null,
      source: source?.clone() ?? null,
      metric,
      mtu,
      protocol,
      ...(tag === 0 ? {} : { tag }),
    };
    const kept = { hop: own, text, key: `${++this.names}`, groups: 0 };
    this.kept.set(own, kept);
    this.byText.set(text, kept);
    return own;
  }

  /** The group of these interned hops, least metric first. For the prefix that leads there: `take` counts it, `leave` ends it. */
  take(hops: readonly Hop[]): Group {
    const key = this.keyOf(hops);
    let group = this.byKey.get(key);
    if (group === undefined) {
      const id = this.free.pop() ?? this.groups.length;
      group = new Group(id, hops, key);
      this.groups[id] = group;
      this.byKey.set(key, group);
      for (const hop of hops) (this.kept.get(hop) as Kept).groups++;
    }
    group.uses++;
    return group;
  }

  leave(group: Group): void {
    if (--group.uses > 0) return;
    this.byKey.delete(group.key);
    this.groups[group.id] = null;
    this.free.push(group.id);
    for (const hop of group.hops) this.drop(hop);
  }

  /** Every group with a hop of this tag has `hops` instead of those: one step, however many prefixes lead there. Says how many groups changed. */
  exchange(tag: number, hops: readonly Hop[]): number {
    let changed = 0;
    for (const group of [...this.byKey.values()]) {
      const old = group.hops.filter((hop) => hop.tag === tag);
      if (old.length === 0) continue;
      const metric = (old[0] as Hop).metric;
      const fresh = hops.map((hop) => this.intern({ ...hop, metric, tag }));
      const all = [...group.hops.filter((hop) => hop.tag !== tag), ...fresh].sort((a, b) => a.metric - b.metric);
      for (const hop of fresh) (this.kept.get(hop) as Kept).groups++;
      for (const hop of old) this.drop(hop);
      this.byKey.delete(group.key);
      group.hops = all;
      group.key = this.keyOf(all);
      // Two groups may lead the same ways now; the later one goes on under a name of its own.
      if (this.byKey.has(group.key)) group.key = `${group.key} ${group.id}`;
      this.byKey.set(group.key, group);
      changed++;
    }
    return changed;
  }

  /** Does a hop that matches lead anywhere? */
  some(match: (hop: Hop) => boolean): boolean {
    for (const hop of this.kept.keys()) if (match(hop)) return true;
    return false;
  }

  private drop(hop: Hop): void {
    const kept = this.kept.get(hop) as Kept;
    if (--kept.groups > 0) return;
    this.kept.delete(hop);
    this.byText.delete(kept.text);
  }

  private keyOf(hops: readonly Hop[]): string {
    if (hops.length === 1) return (this.kept.get(hops[0] as Hop) as Kept).key;
    return hops.map((hop) => (this.kept.get(hop) as Kept).key).join(',');
  }
}
