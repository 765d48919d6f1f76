import { type Address, formatAddress } from '../../base/address.js';
import { type Micros, seconds } from '../../base/time.js';
import { Timer } from '../../base/timer-wheel.js';
import type { Context } from '../context.js';
import type { Interface } from '../interface.js';
import { TimerKind } from '../timer-kind.js';
import type { Group, Multicast, Reporter, SourceFilter } from './multicast.js';

/** Record types: the same numbers in both protocols (RFC 9776 §4.2.12, RFC 9777 §5.2.12). */
export const RecordType = { IsInclude: 1, IsExclude: 2, ToInclude: 3, ToExclude: 4, Allow: 5, Block: 6 } as const;

/** One group record of a report. */
export interface GroupRecord {
  readonly type: number;
  readonly group: Address;
  readonly sources: readonly Address[];
}

/** A query in one shape. */
export interface Query {
  /** 0: the version we speak; else that of the older querier. */
  readonly older: number;
  /** Null: all groups. */
  readonly group: Address | null;
  readonly sources: readonly Address[];
  readonly maxDelay: Micros;
  /** The querier's robustness, 0 when it says none. */
  readonly robustness: number;
}

/** What differs between IGMP and MLD. */
export interface Dialect {
  /** Never reported: all-systems, all-nodes and what does not leave the node. */
  silent(group: Address): boolean;
  /** Sends reports of the newest version with these records, in as many packets as needed. */
  report(iface: Interface, records: readonly GroupRecord[]): void;
  /** Sends a report of an older version, or what it has for leaving. */
  reportOld(iface: Interface, version: number, group: Address, leaving: boolean): void;
}

/** RFC 9776 §8.1, §8.2, §8.3, §8.11; RFC 9777 §9 has the same. */
const ROBUSTNESS = 2;
const QUERY_INTERVAL = seconds(125);
const QUERY_RESPONSE_INTERVAL = seconds(10);
const UNSOLICITED_INTERVAL = seconds(1);
/** The same in the older versions (RFC 2236 §8.10, RFC 2710 §7.10). */
const UNSOLICITED_INTERVAL_OLD = seconds(10);
/** Sources remembered of queries about one group; a query with more is answered like one for all sources. */
const ASKED_MAX = 64;

/** What is still to be told of one group: RFC 9776 §5.1. */
class Change {
  readonly group: Address;
  /** Transmissions of the filter mode left, and of single sources. */
  mode = 0;
  readonly sources = new Map<string, { readonly address: Address; left: number }>();
  /** Reports of an older version left. */
  old = 0;

  constructor(group: Address) {
    this.group = group;
  }

  get over(): boolean {
    return this.mode === 0 && this.old === 0 && this.sources.size === 0;
  }
}

/** An answer to a query about one group that waits for its time. No sources: about all. */
interface Answer {
  readonly group: Address;
  readonly timer: Timer;
  sources: Address[];
}

/** One interface's part in the protocol. */
class Member {
  readonly iface: Interface;
  readonly changes = new Map<string, Change>();
  readonly changeTimer: Timer;
  readonly generalTimer: Timer;
  readonly answers = new Map<string, Answer>();
  /** Until when a querier of an older version is believed to be there. */
  readonly olderUntil = new Map<number, Micros>();
  /** Groups that we reported last, in the older versions: leaving them is to be told. */
  readonly reported = new Set<string>();
  robustness = ROBUSTNESS;

  constructor(iface: Interface, owner: GroupReports) {
    this.iface = iface;
    this.changeTimer = new Timer(TimerKind.Membership, { expire: () => owner.tellChanges(this) });
    this.generalTimer = new Timer(TimerKind.Membership, { expire: () => owner.tellAll(this) });
  }
}

/** The host's part of IGMPv3 (RFC 9776 §5, §7) and MLDv2 (RFC 9777 §6, §8), with their older versions, over a dialect. */
export class GroupReports implements Reporter {
  private readonly ctx: Context;
  private readonly multicast: Multicast;
  private readonly dialect: Dialect;
  private readonly v4: boolean;
  /** The version to speak whatever is heard; 0: as the queriers do. */
  private readonly forced: (iface: Interface) => number;
  private readonly members = new Map<Interface, Member>();

  constructor(ctx: Context, multicast: Multicast, dialect: Dialect, v4: boolean, forced: (iface: Interface) => number) {
    this.ctx = ctx;
    this.multicast = multicast;
    this.dialect = dialect;
    this.v4 = v4;
    this.forced = forced;
  }

  private member(iface: Interface): Member {
    let member = this.members.get(iface);
    if (member === undefined) this.members.set(iface, (member = new Member(iface, this)));
    return member;
  }

  /** The version of the oldest querier heard of late, 0 for the newest: RFC 9776 §7.2.1. */
  private older(member: Member): number {
    const forced = this.forced(member.iface);
    if (forced !== 0) return forced;
    let oldest = 0;
    for (const [version, until] of member.olderUntil) if (until > this.ctx.now && (oldest === 0 || version < oldest)) oldest = version;
    return oldest;
  }

  /** RFC 9776 §5.1. */
  changed(group: Group, before: SourceFilter): void {
    const { iface, address, filter } = group;
    if (iface.medium === 'loopback' || this.dialect.silent(address)) return;
    const member = this.member(iface);
    const older = this.older(member);
    const key = formatAddress(address);
    if (older !== 0) {
      this.changedOld(member, key, address, before, filter, older);
      return;
    }
    const change = this.changeOf(member, key, address);
    if (before.mode !== filter.mode) {
      change.mode = member.robustness;
      change.sources.clear(); // the mode's record tells all of them
    } else if (change.mode === 0) {
      for (const s of difference(before.sources, filter.sources)) change.sources.set(formatAddress(s), { address: s, left: member.robustness });
    }
    if (change.over) member.changes.delete(key);
    else this.soon(member);
  }

  private changedOld(member: Member, key: string, address: Address, before: SourceFilter, filter: SourceFilter, older: number): void {
    if (before.empty === filter.empty) return; // the older versions know no sources
    if (filter.empty) {
      member.changes.delete(key);
      this.forgetAnswer(member, key);
      if (member.reported.delete(key) && member.iface.running) this.dialect.reportOld(member.iface, older, address, true);
      return;
    }
    this.changeOf(member, key, address).old = ROBUSTNESS;
    this.soon(member);
  }

  private changeOf(member: Member, key: string, group: Address): Change {
    let change = member.changes.get(key);
    if (change === undefined) member.changes.set(key, (change = new Change(group.clone())));
    return change;
  }

  /** At once, but after this turn: joins that come together share a report. */
  private soon(member: Member): void {
    if (!member.iface.running) return;
    this.ctx.wheel.arm(member.changeTimer, this.ctx.now);
    this.ctx.soon();
  }

  /** The link is up, or the address that reports come from is new: all groups are told of anew. */
  announce(iface: Interface): void {
    const member = this.member(iface);
    const old = this.older(member) !== 0;
    for (const group of this.multicast.of(iface)) {
      if (group.address.isV4 !== this.v4 || this.dialect.silent(group.address)) continue;
      const change = this.changeOf(member, formatAddress(group.address), group.address);
      if (old) change.old = ROBUSTNESS;
      else if (group.filter.mode === 'exclude') change.mode = member.robustness;
      else for (const s of group.filter.sources) change.sources.set(formatAddress(s), { address: s, left: member.robustness });
    }
    if (member.changes.size > 0) this.soon(member);
  }

  /** One transmission of all that changed; for the timer. The next comes at random within the interval. */
  tellChanges(member: Member): void {
    const { iface } = member;
    if (!iface.running) return;
    const older = this.older(member);
    const records: GroupRecord[] = [];
    for (const [key, change] of member.changes) {
      const filter = this.multicast.find(iface, change.group)?.filter ?? null;
      if (older !== 0) this.tellOld(member, key, change, filter, older);
      else if (change.mode > 0) {
        change.mode--;
        const excludes = filter?.mode === 'exclude';
        records.push({ type: excludes ? RecordType.ToExclude : RecordType.ToInclude, group: change.group, sources: filter?.sources ?? [] });
      } else this.tellSources(change, filter, records);
      change.old = older === 0 ? 0 : change.old;
      if (change.over) member.changes.delete(key);
    }
    if (records.length > 0) this.dialect.report(iface, records);
    if (member.changes.size > 0)
      this.ctx.wheel.arm(member.changeTimer, this.ctx.now + this.ctx.prng.float() * (older === 0 ? UNSOLICITED_INTERVAL : UNSOLICITED_INTERVAL_OLD));
  }

  private tellOld(member: Member, key: string, change: Change, filter: SourceFilter | null, older: number): void {
    change.mode = 0;
    change.sources.clear();
    if (filter === null || filter.empty) change.old = 0;
    if (change.old === 0) return;
    change.old--;
    member.reported.add(key);
    this.dialect.reportOld(member.iface, older, change.group, false);
  }

  private tellSources(change: Change, filter: SourceFilter | null, records: GroupRecord[]): void {
    const allow: Address[] = [];
    const block: Address[] = [];
    for (const [key, source] of change.sources) {
      (filter?.admits(source.address) ? allow : block).push(source.address);
      if (--source.left === 0) change.sources.delete(key);
    }
    if (allow.length > 0) records.push({ type: RecordType.Allow, group: change.group, sources: allow });
    if (block.length > 0) records.push({ type: RecordType.Block, group: change.group, sources: block });
  }

  /** A query that passed the checks of its protocol: RFC 9776 §5.2. */
  query(iface: Interface, query: Query): void {
    const member = this.member(iface);
    this.hear(member, query);
    const at = this.ctx.now + this.ctx.prng.float() * query.maxDelay;
    if (member.generalTimer.armed && member.generalTimer.at <= at) return; // 1
    if (query.group === null) {
      if (this.older(member) === 0)
        this.ctx.wheel.arm(member.generalTimer, at); // 2
      else this.answerAllOld(member, query.maxDelay);
      return;
    }
    const group = this.multicast.find(iface, query.group);
    if (group === null || this.dialect.silent(query.group)) return;
    const key = formatAddress(query.group);
    const pending = member.answers.get(key);
    if (pending === undefined) {
      this.promise(member, key, group.address, query.sources, at); // 3
      return;
    }
    const all = pending.sources.length === 0 || query.sources.length === 0; // 4, 5
    pending.sources = all ? [] : bounded([...pending.sources, ...query.sources.filter((s) => !pending.sources.some((p) => p.equals(s)))]);
    if (at < pending.timer.at) this.ctx.wheel.arm(pending.timer, at);
  }

  /** The older versions answer group by group, each at its own time: RFC 2236 §3, RFC 2710 §4. */
  private answerAllOld(member: Member, maxDelay: Micros): void {
    for (const { address } of this.multicast.of(member.iface)) {
      if (address.isV4 !== this.v4 || this.dialect.silent(address)) continue;
      const key = formatAddress(address);
      const at = this.ctx.now + this.ctx.prng.float() * maxDelay;
      const pending = member.answers.get(key);
      if (pending === undefined) this.promise(member, key, address, [], at);
      else if (at < pending.timer.at) this.ctx.wheel.arm(pending.timer, at);
    }
  }

  private promise(member: Member, key: string, group: Address, sources: readonly Address[], at: Micros): void {
    const answer: Answer = {
      group,
      sources: bounded(sources.map((s) => s.clone())),
      timer: new Timer(TimerKind.Membership, { expire: () => this.tell(member, key) }),
    };
    member.answers.set(key, answer);
    this.ctx.wheel.arm(answer.timer, at);
  }

  /** Versions: an older querier is heard, or the newest tells its robustness. A change of version ends all that waits (RFC 9776 §7.2.1). */
  private hear(member: Member, query: Query): void {
    const before = this.older(member);
    if (query.older !== 0) member.olderUntil.set(query.older, this.ctx.now + ROBUSTNESS * QUERY_INTERVAL + QUERY_RESPONSE_INTERVAL);
    else member.robustness = query.robustness || ROBUSTNESS;
    if (this.older(member) !== before) this.quiet(member);
  }

  private quiet(member: Member): void {
    const { wheel } = this.ctx;
    wheel.cancel(member.changeTimer);
    wheel.cancel(member.generalTimer);
    for (const key of [...member.answers.keys()]) this.forgetAnswer(member, key);
    member.changes.clear();
  }

  private forgetAnswer(member: Member, key: string): void {
    const answer = member.answers.get(key);
    if (answer === undefined) return;
    this.ctx.wheel.cancel(answer.timer);
    member.answers.delete(key);
  }

  /** The answer to a general query; for the timer. */
  tellAll(member: Member): void {
    const records: GroupRecord[] = [];
    for (const { address, filter } of this.multicast.of(member.iface)) {
      if (address.isV4 === this.v4 && !this.dialect.silent(address))
        records.push({ type: filter.mode === 'exclude' ? RecordType.IsExclude : RecordType.IsInclude, group: address, sources: filter.sources });
    }
    if (records.length > 0) this.dialect.report(member.iface, records);
  }

  /** The answer to a query about one group. */
  private tell(member: Member, key: string): void {
    const answer = member.answers.get(key) as Answer;
    member.answers.delete(key);
    const filter = this.multicast.find(member.iface, answer.group)?.filter ?? null;
    if (filter === null) return;
    const older = this.older(member);
    if (older !== 0) {
      member.reported.add(key);
      this.dialect.reportOld(member.iface, older, answer.group, false);
      return;
    }
    if (answer.sources.length === 0) {
      this.dialect.report(member.iface, [
        { type: filter.mode === 'exclude' ? RecordType.IsExclude : RecordType.IsInclude, group: answer.group, sources: filter.sources },
      ]);
      return;
    }
    const wanted = answer.sources.filter((s) => filter.admits(s)); // A*B of INCLUDE, B−A of EXCLUDE
    if (wanted.length > 0) this.dialect.report(member.iface, [{ type: RecordType.IsInclude, group: answer.group, sources: wanted }]);
  }

  /** Another member's report in an older version: ours is not needed (RFC 2236 §3, RFC 2710 §4). */
  heardReport(iface: Interface, group: Address): void {
    const member = this.members.get(iface);
    if (member === undefined || this.older(member) === 0) return;
    const key = formatAddress(group);
    this.forgetAnswer(member, key);
    member.changes.delete(key);
    member.reported.delete(key);
  }

  forget(iface: Interface): void {
    const member = this.members.get(iface);
    if (member === undefined) return;
    this.quiet(member);
    this.members.delete(iface);
  }
}

/** Sources in one of the lists only. */
function difference(a: readonly Address[], b: readonly Address[]): Address[] {
  const only = (from: readonly Address[], other: readonly Address[]): Address[] => from.filter((s) => !other.some((o) => o.equals(s)));
  return [...only(a, b), ...only(b, a)];
}

const bounded = (sources: Address[]): Address[] => (sources.length > ASKED_MAX ? [] : sources);
