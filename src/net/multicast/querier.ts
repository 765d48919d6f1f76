import { type Address, compareAddresses, formatAddress } from '../../base/address.js';
import { type Micros, seconds } from '../../base/time.js';
import { Timer } from '../../base/timer-wheel.js';
import type { Context } from '../context.js';
import type { Interface } from '../interface.js';
import { type GroupRecord, RecordType } from '../ip/group-reports.js';
import { TimerKind } from '../timer-kind.js';
import { type Asked, Membership } from './membership.js';

/** The protocol's numbers: RFC 9776 §8, RFC 9777 §9. */
export interface GroupTiming {
  /** Packets lost in a row that do no harm, [1, 7]. */
  readonly robustness: number;
  readonly queryInterval: Micros;
  /** Listeners spread their answers over it. */
  readonly responseInterval: Micros;
  /** The same for queries about one group; that many are sent as the robustness says. */
  readonly lastListenerInterval: Micros;
}

/** RFC 9776 §8. */
export const defaultTiming: GroupTiming = {
  robustness: 2,
  queryInterval: seconds(125),
  responseInterval: seconds(10),
  lastListenerInterval: seconds(1),
};

/** A link without carrier, or without an address of ours in the family, is looked at again after so long. */
const NOT_YET = seconds(1);

/** A query to be sent. */
export interface GroupQuery {
  /** Null: all groups. */
  readonly group: Address | null;
  readonly sources: readonly Address[];
  readonly maxDelay: Micros;
  readonly robustness: number;
  /** The querier's, in seconds. */
  readonly interval: number;
}

/** IGMP or MLD, the router's part. */
export interface QuerierDialect {
  query(iface: Interface, query: GroupQuery): void;
  /** The address queries come from, null while there is none. */
  querierOf(iface: Interface): Address | null;
  /** Never forwarded, so nobody's membership counts: what stays on the link. */
  confined(group: Address): boolean;
}

/** Who is told. */
export interface QuerierEvents {
  /** What listeners on the link want of a group may have changed. */
  changed(querier: Querier, membership: Membership): void;
  /** It asks from now on, or another does. */
  elected(querier: Querier): void;
}

/** A router's part of IGMPv3 (RFC 9776 §6) or MLDv2 (RFC 9777 §7) on one link, older listeners included. */
export class Querier {
  readonly iface: Interface;
  readonly v4: boolean;
  readonly groups = new Map<string, Membership>();
  /** It asks on this link: no router of a lower address does. */
  active = true;
  private readonly ctx: Context;
  private readonly dialect: QuerierDialect;
  private readonly events: QuerierEvents;
  private readonly timing: GroupTiming;
  private startup: number;
  private readonly queryTimer: Timer;
  private readonly expiry: Timer;
  private readonly questions = new Set<Timer>();

  constructor(ctx: Context, iface: Interface, v4: boolean, dialect: QuerierDialect, timing: GroupTiming, events: QuerierEvents) {
    this.ctx = ctx;
    this.iface = iface;
    this.v4 = v4;
    this.dialect = dialect;
    this.events = events;
    this.timing = timing;
    this.startup = timing.robustness;
    this.queryTimer = new Timer(TimerKind.Querier, { expire: () => this.general() });
    this.expiry = new Timer(TimerKind.Querier, { expire: () => this.expire() });
    ctx.wheel.arm(this.queryTimer, ctx.now);
  }

  /** RFC 9776 §8.4, §8.5: a membership's life without news, and another querier's. */
  private get membershipInterval(): Micros {
    const { robustness, queryInterval, responseInterval } = this.timing;
    return robustness * queryInterval + responseInterval;
  }

  /** The general query, at first oftener (RFC 9776 §8.6); also when another querier has fallen silent. */
  private general(): void {
    const { timing, ctx } = this;
    if (!this.iface.running || this.dialect.querierOf(this.iface) === null) {
      ctx.wheel.arm(this.queryTimer, ctx.now + NOT_YET);
      return;
    }
    if (!this.active) {
      this.active = true;
      this.events.elected(this);
    }
    this.send(null, [], timing.responseInterval);
    const wait = this.startup > 1 ? timing.queryInterval / 4 : timing.queryInterval;
    if (this.startup > 0) this.startup--;
    ctx.wheel.arm(this.queryTimer, ctx.now + wait);
  }

  private send(group: Address | null, sources: readonly Address[], maxDelay: Micros): void {
    const { iface, timing } = this;
    if (!iface.running || this.dialect.querierOf(iface) === null) return;
    this.dialect.query(iface, { group, sources, maxDelay, robustness: timing.robustness, interval: timing.queryInterval / seconds(1) });
  }

  /** A query of another router: RFC 9776 §6.6. `suppress`: our timers are to stay as they are. */
  heardQuery(from: Address, group: Address | null, sources: readonly Address[], suppress: boolean): void {
    const { ctx, timing } = this;
    const own = this.dialect.querierOf(this.iface);
    if (own === null || compareAddresses(from, own) >= 0) return; // the lower address asks
    if (this.active) {
      this.active = false;
      this.events.elected(this);
    }
    ctx.wheel.arm(this.queryTimer, ctx.now + timing.robustness * timing.queryInterval + timing.responseInterval / 2);
    const membership = group === null ? undefined : this.groups.get(formatAddress(group));
    if (membership === undefined || suppress) return;
    membership.lower({ group: sources.length === 0, sources }, ctx.now + timing.robustness * timing.lastListenerInterval);
    this.rearm();
  }

  /** A report; `version` 0 for the newest. A leave is a record that includes nothing. */
  heardReport(records: readonly GroupRecord[], version: number): void {
    const { ctx } = this;
    for (const { type, group, sources } of records) {
      if (!group.isMulticast || group.isV4 !== this.v4 || this.dialect.confined(group)) continue;
      const membership = this.membership(group, type, sources.length);
      if (membership === null) continue;
      if (version !== 0 && type === RecordType.IsExclude) membership.older(version, ctx.now + this.membershipInterval);
      const asked = membership.record(type, sources, ctx.now, this.membershipInterval);
      if (this.active && (asked.group || asked.sources.length > 0)) this.ask(membership, asked);
      this.changed(membership);
    }
    this.rearm();
  }

  /** The group's state; null when there is none and this would not begin one, or the table is full. */
  private membership(group: Address, type: number, sources: number): Membership | null {
    const key = formatAddress(group);
    const known = this.groups.get(key);
    if (known !== undefined) return known;
    const leaves = type === RecordType.Block || ((type === RecordType.IsInclude || type === RecordType.ToInclude) && sources === 0);
    if (leaves || this.groups.size >= this.ctx.sysctl.v['anystack.groups_max']) return null;
    const made = new Membership(group);
    this.groups.set(key, made);
    return made;
  }

  /** Is it still wanted? Asked at once and again, each time for what has not been answered: RFC 9776 §6.6.3. */
  private ask(membership: Membership, asked: Asked): void {
    const { ctx, timing } = this;
    const until = ctx.now + timing.robustness * timing.lastListenerInterval;
    membership.lower(asked, until);
    let left = timing.robustness;
    const timer: Timer = new Timer(TimerKind.Querier, {
      expire: () => {
        const open = membership.unanswered(asked, until);
        if (open.group) this.send(membership.group, [], timing.lastListenerInterval);
        if (open.sources.length > 0) this.send(membership.group, open.sources, timing.lastListenerInterval);
        if (--left > 0 && (open.group || open.sources.length > 0)) ctx.wheel.arm(timer, ctx.now + timing.lastListenerInterval);
        else this.questions.delete(timer);
      },
    });
    this.questions.add(timer);
    ctx.wheel.arm(timer, ctx.now);
  }

  private changed(membership: Membership): void {
    if (membership.over) this.groups.delete(formatAddress(membership.group));
    this.events.changed(this, membership);
  }

  private expire(): void {
    const { now } = this.ctx;
    for (const membership of [...this.groups.values()]) if (membership.next <= now && membership.expire(now)) this.changed(membership);
    this.rearm();
  }

  private rearm(): void {
    const { wheel } = this.ctx;
    let next = Number.POSITIVE_INFINITY;
    for (const membership of this.groups.values()) next = Math.min(next, membership.next);
    if (next === Number.POSITIVE_INFINITY) wheel.cancel(this.expiry);
    else wheel.arm(this.expiry, next);
  }

  stop(): void {
    const { wheel } = this.ctx;
    wheel.cancel(this.queryTimer);
    wheel.cancel(this.expiry);
    for (const timer of this.questions) wheel.cancel(timer);
    this.questions.clear();
  }
}
