// hot: bench/packet
import { Address, MAPPED, maskAddress, mixAddress } from '../../base/address.js';
import type { DeadGateways } from './dead-gateways.js';
import type { Explanation } from './explain.js';
import { Fib } from './fib.js';
import { type Group, HopGroups } from './hop-groups.js';
import type { Flow } from './path.js';
import { type Hop, MAIN_TABLE, type Route, type Rule, ruleMatches } from './route.js';

/** Interface state as routes need it. */
export interface Links {
  running(index: number): boolean;
}

/** One table of one VRF. */
class Table {
  readonly number: number;
  readonly vrf: number;
  v4: Fib;
  v6: Fib;

  constructor(number: number, vrf: number, topBits: 16 | 24) {
    this.number = number;
    this.vrf = vrf;
    this.v4 = new Fib(4, topBits);
    this.v6 = new Fib(6);
  }
}

/**
 * The routing tables of one stack. A lookup is one walk of the table's trie to a group of next hops; groups are shared, so
 * that a full table costs its prefixes and not a million objects.
 */
export class Routes {
  /** Grows with each change of anything a path was made from. */
  generation = 1;
  /** Grows when what routes lead over changes: interfaces, addresses, neighbours, rules. Routes that come and go leave it: a group of hops is the same as before. */
  epoch = 1;
  /** Told of each change; IKE listens, whose peers may have to hear of another address. */
  changed: (() => void) | null = null;
  private readonly links: Links;
  private readonly topBits: 16 | 24;
  private readonly tables: Table[] = [];
  private readonly groups = new HopGroups();
  /** Gateways to be avoided where others are; null while none is. */
  dead: DeadGateways | null = null;
  /** Some rule looks at ports. */
  byPorts = false;
  private rules: Rule[] = [];
  private readonly rejects = new Map<string, Hop>();

  constructor(links: Links, topBits: 16 | 24 = 16) {
    this.links = links;
    this.topBits = topBits;
  }

  /** Paths made so far are to be asked for anew. */
  invalidate(): void {
    this.generation++;
    this.epoch++;
    this.changed?.();
  }

  /** Adds a route beside others of its prefix. False when this very one is there. */
  add(route: Route): boolean {
    const fib = this.fib(route, true) as Fib;
    const p = canonical(route);
    const hop = this.groups.intern(route);
    const old = this.groups.at(fib.get(p.w0, p.w1, p.w2, p.w3, route.length))?.hops ?? [];
    if (old.includes(hop)) return false;
    this.assign(fib, p, route.length, [...old, hop]);
    return true;
  }

  /** Puts a route in place of all others of its prefix and metric. */
  replace(route: Route): void {
    this.put(route, [route], (hop) => hop.metric === route.metric);
  }

  /** Puts `hops` in the place of those of the prefix that are `ours`. Who gives the same objects for many prefixes pays for their keys once. */
  put(at: Pick<Route, 'family' | 'prefix' | 'length' | 'table' | 'vrf'>, hops: readonly Hop[], ours: (hop: Hop) => boolean): void {
    const fib = this.fib(at, true) as Fib;
    const p = canonical(at);
    const old = this.groups.at(fib.get(p.w0, p.w1, p.w2, p.w3, at.length))?.hops ?? [];
    const fresh = hops.map((hop) => this.groups.intern(hop));
    this.assign(fib, p, at.length, old.length === 0 ? fresh : [...old.filter((hop) => !ours(hop) && !fresh.includes(hop)), ...fresh]);
  }

  /** The object the tables have for a hop: `put` knows it again without looking at it. */
  intern(hop: Hop): Hop {
    return this.groups.intern(hop);
  }

  /** Has the prefix a hop that matches? */
  has(at: Pick<Route, 'family' | 'prefix' | 'length' | 'table' | 'vrf'>, match: (hop: Hop) => boolean): boolean {
    const fib = this.fib(at, false);
    if (fib === null) return false;
    const p = canonical(at);
    return this.groups.at(fib.get(p.w0, p.w1, p.w2, p.w3, at.length))?.hops.some(match) ?? false;
  }

  /** All hops of a tag become others at once, whatever prefixes lead there. Says whether there were some. */
  exchange(tag: number, hops: readonly Hop[]): boolean {
    const changed = this.groups.exchange(tag, hops) > 0;
    if (changed) this.invalidate();
    return changed;
  }

  /** Sets the hops of a prefix; none removes it. */
  private assign(fib: Fib, p: Address, length: number, hops: readonly Hop[]): void {
    const old = this.groups.at(fib.get(p.w0, p.w1, p.w2, p.w3, length));
    const sorted = hops.length > 1 ? [...hops].sort((a, b) => a.metric - b.metric) : hops;
    fib.set(p.w0, p.w1, p.w2, p.w3, length, sorted.length === 0 ? 0 : this.groups.take(sorted).id);
    if (old !== null) this.groups.leave(old);
    this.generation++;
    this.changed?.();
  }

  /** Removes the hops of one prefix that match; says how many. The cost is that of a lookup. */
  delete(at: Pick<Route, 'family' | 'prefix' | 'length' | 'table' | 'vrf'>, match: (hop: Hop) => boolean = () => true): number {
    const fib = this.fib(at, false);
    if (fib === null) return 0;
    const p = canonical(at);
    return this.filter(fib, p, at.length, (hop) => !match(hop));
  }

  /** Removes those that match; says how many. Looks at every route. */
  remove(match: (route: Route) => boolean): number {
    let removed = 0;
    for (const route of this.list()) if (match(route)) removed += this.delete(route, (hop) => hop === this.groups.intern(route));
    return removed;
  }

  /** Removes every route whose hop matches; says how many. Makes no object for each, so a full table goes in one step. */
  removeHops(match: (hop: Hop) => boolean): number {
    let removed = 0;
    for (const table of this.tables) {
      for (const family of ['v4', 'v6'] as const) {
        const fib = table[family];
        const found: number[] = [];
        fib.forEach((w0, w1, w2, w3, length, value) => {
          if ((this.groups.at(value) as Group).hops.some(match)) found.push(w0, w1, w2, w3, length);
        });
        const most = found.length / 5 > fib.size / 2;
        if (most) table[family] = new Fib(family === 'v4' ? 4 : 6, this.topBits);
        removed += most ? this.move(fib, table[family], match) : this.take(fib, found, match);
      }
    }
    if (removed > 0) this.invalidate();
    return removed;
  }

  /** Takes the hops that match from these prefixes, five words each. */
  private take(fib: Fib, found: readonly number[], match: (hop: Hop) => boolean): number {
    let removed = 0;
    for (let i = 0; i < found.length; i += 5) {
      const [w0, w1, w2, w3, length] = found.slice(i, i + 5) as [number, number, number, number, number];
      removed += this.filter(fib, new Address(w0, w1, w2, w3), length, (hop) => !match(hop));
    }
    return removed;
  }

  /** Where most go, what stays is put into a table of its own: a removal looks for what covers it, an addition need not. */
  private move(from: Fib, to: Fib, match: (hop: Hop) => boolean): number {
    let removed = 0;
    from.forEach((w0, w1, w2, w3, length, value) => {
      const old = this.groups.at(value) as Group;
      const hops = old.hops.filter((hop) => !match(hop));
      removed += old.hops.length - hops.length;
      if (hops.length > 0) to.set(w0, w1, w2, w3, length, this.groups.take(hops).id);
      this.groups.leave(old);
    });
    return removed;
  }

  private filter(fib: Fib, p: Address, length: number, stays: (hop: Hop) => boolean): number {
    const old = this.groups.at(fib.get(p.w0, p.w1, p.w2, p.w3, length));
    if (old === null) return 0;
    const hops = old.hops.filter(stays);
    const removed = old.hops.length - hops.length;
    if (removed > 0) this.assign(fib, p, length, hops);
    return removed;
  }

  /** All routes, longest prefix first. Allocates one object each. */
  list(): Route[] {
    const all: Route[] = [];
    for (const table of this.tables) {
      table.v4.forEach((w0, _w1, _w2, _w3, length, value) => this.expand(all, table, 4, new Address(0, 0, MAPPED, w0), length, value));
      table.v6.forEach((w0, w1, w2, w3, length, value) => this.expand(all, table, 6, new Address(w0, w1, w2, w3), length, value));
    }
    return all.sort((a, b) => b.length - a.length || a.metric - b.metric);
  }

  private expand(all: Route[], table: Table, family: 4 | 6, prefix: Address, length: number, value: number): void {
    for (const hop of (this.groups.at(value) as Group).hops) all.push({ ...hop, family, prefix, length, table: table.number, vrf: table.vrf });
  }

  /** Routes and octets of the tables. */
  statistics(): { table: number; vrf: number; family: 4 | 6; routes: number; octets: number }[] {
    return this.tables.flatMap((t) =>
      ([4, 6] as const).map((family) => {
        const fib = family === 4 ? t.v4 : t.v6;
        return { table: t.number, vrf: t.vrf, family, routes: fib.size, octets: fib.octets.prefixes + fib.octets.lookup };
      }),
    );
  }

  /** Replaces the policy rules. Without any, flows of a VRF use its main table. */
  setRules(rules: readonly Rule[]): void {
    this.rules = [...rules].sort((a, b) => a.priority - b.priority);
    this.byPorts = rules.some(({ sourcePort, destinationPort }) => sourcePort !== undefined || destinationPort !== undefined);
    this.invalidate();
  }

  listRules(): readonly Rule[] {
    return this.rules;
  }

  /** The best hop of a flow whose interface runs, or null. */
  lookup(flow: Flow): Hop | null {
    for (let i = 0; i < this.rules.length; i++) {
      const rule = this.rules[i] as Rule;
      if (!ruleMatches(rule, flow)) continue;
      if ('type' in rule.action) return this.reject(rule.action.type);
      const hop = this.lookupIn(rule.action.table, flow);
      if (hop !== null) return hop;
    }
    return this.lookupIn(MAIN_TABLE, flow);
  }

  /** The same choice with what led to it, for people: not for the data path. Null: no route. */
  explain(flow: Flow): Explanation | null {
    for (const rule of [...this.rules, null]) {
      if (rule !== null && !ruleMatches(rule, flow)) continue;
      if (rule !== null && 'type' in rule.action) return { rule, table: 0, prefix: null, length: 0, hop: this.reject(rule.action.type), ways: 1 };
      const found = this.explainIn(rule, rule === null ? MAIN_TABLE : (rule.action as { table: number }).table, flow);
      if (found !== null) return found;
    }
    return null;
  }

  private explainIn(rule: Rule | null, number: number, flow: Flow): Explanation | null {
    const table = this.table(number, flow.vrf);
    if (table === null) return null;
    const four = flow.destination.isV4;
    const fib = four ? table.v4 : table.v6;
    const { w0, w1, w2, w3 } = four ? new Address(flow.destination.w3) : flow.destination;
    for (let found = fib.shorter(w0, w1, w2, w3, 129); found.value !== 0; found = fib.shorter(w0, w1, w2, w3, found.length)) {
      const { hops } = this.groups.at(found.value) as Group;
      const hop = this.pick(this.groups.at(found.value) as Group, flow);
      if (hop === null) continue;
      const ways = hops.filter((other) => other.metric === hop.metric && this.usable(other, flow)).length;
      return { rule, table: number, prefix: maskAddress(flow.destination, found.length + (four ? 96 : 0)), length: found.length, hop, ways };
    }
    return null;
  }

  private lookupIn(number: number, flow: Flow): Hop | null {
    const table = this.table(number, flow.vrf);
    if (table === null) return null;
    const d = flow.destination;
    if (d.w2 === MAPPED && d.isV4) return this.choose(table.v4, d.w3, 0, 0, 0, flow);
    return this.choose(table.v6, d.w0, d.w1, d.w2, d.w3, flow);
  }

  private choose(fib: Fib, w0: number, w1: number, w2: number, w3: number, flow: Flow): Hop | null {
    const value = fib.lookup(w0, w1, w2, w3);
    if (value === 0) return null;
    const hop = this.pick(this.groups.at(value) as Group, flow);
    if (hop !== null) return hop;
    // The longest match leads nowhere now: a shorter one may.
    let found = fib.shorter(w0, w1, w2, w3, 129);
    while (found.value !== 0) {
      const other = this.pick(this.groups.at(found.value) as Group, flow);
      if (other !== null) return other;
      found = fib.shorter(w0, w1, w2, w3, found.length);
    }
    return null;
  }

  private pick({ hops }: Group, flow: Flow): Hop | null {
    if (this.dead === null) return this.best(hops, flow);
    // A dead one is better than none: it may be back.
    return (
      this.best(
        hops.filter((hop) => !this.dead?.has(hop)),
        flow,
      ) ?? this.best(hops, flow)
    );
  }

  private best(hops: readonly Hop[], flow: Flow): Hop | null {
    for (let i = 0; i < hops.length; i++) {
      const hop = hops[i] as Hop;
      if (!this.usable(hop, flow)) continue;
      const next = hops[i + 1];
      return next !== undefined && next.metric === hop.metric ? this.share(hops, i, flow) : hop;
    }
    return null;
  }

  /** Does some route lead by this gateway? */
  leadsBy(index: number, gateway: Address): boolean {
    return this.groups.some((hop) => hop.index === index && hop.gateway !== null && hop.gateway.equals(gateway));
  }

  private usable(hop: Hop, flow: Flow): boolean {
    if (flow.outIndex !== 0 && hop.index !== flow.outIndex) return false;
    return hop.type !== 'unicast' || this.links.running(hop.index);
  }

  /**
   * ECMP by rendezvous hashing (Thaler, Ravishankar 1998): each flow has its own order of the hops and takes the first that
   * is usable, so that losing a hop moves only that hop's flows.
   */
  private share(hops: readonly Hop[], first: number, flow: Flow): Hop {
    let h = mixAddress(mixAddress(flow.protocol, flow.source), flow.destination);
    h = Math.imul(h ^ ((flow.sourcePort << 16) | flow.destinationPort), 0x9e3779b1);
    let best = hops[first] as Hop;
    let most = -1;
    for (let i = first; i < hops.length; i++) {
      const hop = hops[i] as Hop;
      if (hop.metric !== best.metric) break;
      if (!this.usable(hop, flow)) continue;
      let x = Math.imul(h ^ Math.imul(hop.index, 0x27d4eb2f) ^ (hop.gateway === null ? 0 : hop.gateway.w3), 0x85ebca6b);
      x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
      const weight = (x ^ (x >>> 16)) >>> 0;
      if (weight > most) {
        best = hop;
        most = weight;
      }
    }
    return best;
  }

  private reject(type: Hop['type']): Hop {
    let hop = this.rejects.get(type);
    if (hop === undefined) {
      hop = { type, index: 0, gateway: null, source: null, metric: 0, mtu: 0, protocol: 'static' };
      this.rejects.set(type, hop);
    }
    return hop;
  }

  /** For the fast path: what a table looks addresses of a family up in, by the number of a group; null while there is no such table. */
  fibOf(family: 4 | 6, number: number, vrf: number): Fib | null {
    const table = this.table(number, vrf);
    return table === null ? null : family === 4 ? table.v4 : table.v6;
  }

  /** For the fast path: the group of a lookup's answer, null for 0. */
  group(value: number): Group | null {
    return this.groups.at(value);
  }

  /** For the fast path: the hop that every flow takes of a group; null when flows are shared out, refused, or to be looked up further. */
  only(group: Group): Hop | null {
    const running = group.hops.filter((hop) => hop.type !== 'unicast' || this.links.running(hop.index));
    const alive = this.dead === null ? running : running.filter((hop) => !this.dead?.has(hop));
    const usable = alive.length > 0 ? alive : running;
    const best = usable[0];
    return best === undefined || best.type !== 'unicast' || usable[1]?.metric === best.metric ? null : best;
  }

  private table(number: number, vrf: number): Table | null {
    const { tables } = this;
    for (let i = 0; i < tables.length; i++) {
      const table = tables[i] as Table;
      if (table.number === number && table.vrf === vrf) return table;
    }
    return null;
  }

  private fib(at: Pick<Route, 'family' | 'table' | 'vrf'>, make: boolean): Fib | null {
    let table = this.table(at.table, at.vrf);
    if (table === null) {
      if (!make) return null;
      table = new Table(at.table, at.vrf, this.topBits);
      this.tables.push(table);
    }
    return at.family === 4 ? table.v4 : table.v6;
  }
}

/** The prefix as its table has it: IPv4 in the first word, bits past the length cleared. */
function canonical(route: Pick<Route, 'family' | 'prefix' | 'length'>): Address {
  if (route.family === 6) return maskAddress(route.prefix, route.length);
  const word = maskAddress(route.prefix, route.length + 96).w3;
  return new Address(word, 0, 0, 0);
}
