import { type Address, formatAddress } from '../../base/address.js';
import type { Micros } from '../../base/time.js';
import { RecordType } from '../ip/group-reports.js';
import type { FilterMode } from '../ip/multicast.js';

/** Sources kept of one group on one link; further ones are not heard of, and EXCLUDE then lets more through. */
export const SOURCES_MAX = 128;

/** What must be asked before it is believed: RFC 9776 §6.4.2. */
export interface Asked {
  /** Does anybody want the group from all sources? */
  readonly group: boolean;
  readonly sources: readonly Address[];
}

const NOTHING: Asked = { group: false, sources: [] };

const NOBODY: Micros = Number.NEGATIVE_INFINITY;

interface Source {
  readonly address: Address;
  /** Its timer; NOBODY of a source that EXCLUDE excludes. */
  until: Micros;
}

/** What listeners on one link want of one group, as a router knows it: RFC 9776 §6, RFC 9777 §7. Timers are moments; whoever holds it calls `expire`. */
export class Membership {
  readonly group: Address;
  mode: FilterMode = 'include';
  /** The group timer, of EXCLUDE. */
  until: Micros = Number.NEGATIVE_INFINITY;
  private readonly sources = new Map<string, Source>();
  /** Until when listeners of an older version are believed to be there: RFC 9776 §7.3.1. By version. */
  private readonly olderUntil = new Map<number, Micros>();

  constructor(group: Address) {
    this.group = group.clone();
  }

  /** Nobody is left. */
  get over(): boolean {
    return this.mode === 'include' && this.sources.size === 0;
  }

  /** Does somebody want it from this source? */
  admits(source: Address, now: Micros): boolean {
    const known = this.sources.get(formatAddress(source));
    return this.mode === 'include' ? known !== undefined && known.until > now : known === undefined || known.until > now;
  }

  /** The sources of its mode: those wanted, or those that nobody wants. */
  list(now: Micros): Address[] {
    return [...this.sources.values()].filter(({ until }) => until > now === (this.mode === 'include')).map(({ address }) => address);
  }

  /** A report of an older version came: later records are read as those hosts would. */
  older(version: number, until: Micros): void {
    this.olderUntil.set(version, until);
  }

  /** One record: the tables of RFC 9776 §6.4.1 and §6.4.2. `interval` is the group membership interval. */
  record(type: number, given: readonly Address[], now: Micros, interval: Micros): Asked {
    const [kind, listed] = this.understood(type, given, now);
    switch (kind) {
      case RecordType.IsInclude:
      case RecordType.Allow:
        this.add(listed, now + interval);
        return NOTHING;
      case RecordType.IsExclude:
      case RecordType.ToExclude:
        return this.toExclude(listed, now, interval, kind === RecordType.ToExclude);
      case RecordType.ToInclude: {
        const asked = { group: this.mode === 'exclude', sources: this.wanted(now, (key) => !listed.has(key)) };
        this.add(listed, now + interval);
        return asked;
      }
      case RecordType.Block: {
        if (this.mode === 'exclude') this.addNew(listed, this.until);
        return { group: false, sources: this.wanted(now, (key) => listed.has(key)) };
      }
      default:
        return NOTHING;
    }
  }

  /** RFC 9776 §7.3.2: with a listener of version 2 nobody's BLOCK counts, with one of version 1 no leaving either. */
  private understood(type: number, given: readonly Address[], now: Micros): [number, Map<string, Address>] {
    const v1 = (this.olderUntil.get(1) ?? 0) > now;
    const v2 = v1 || (this.olderUntil.get(2) ?? 0) > now;
    if ((v2 && type === RecordType.Block) || (v1 && type === RecordType.ToInclude)) return [0, new Map()];
    const sources = v2 && type === RecordType.ToExclude ? [] : given;
    return [type, new Map(sources.map((s) => [formatAddress(s), s]))];
  }

  private toExclude(listed: Map<string, Address>, now: Micros, interval: Micros, changes: boolean): Asked {
    const include = this.mode === 'include';
    const groupTimer = this.until;
    for (const key of [...this.sources.keys()]) if (!listed.has(key)) this.sources.delete(key);
    // B−A of INCLUDE are excluded at once; A−X−Y of EXCLUDE only when their time is over without an answer.
    this.addNew(listed, include ? NOBODY : changes ? groupTimer : now + interval);
    this.mode = 'exclude';
    this.until = now + interval;
    return changes ? { group: false, sources: this.wanted(now, (key) => listed.has(key)) } : NOTHING;
  }

  private add(listed: Map<string, Address>, until: Micros): void {
    this.addNew(listed, until);
    for (const key of listed.keys()) {
      const known = this.sources.get(key);
      if (known !== undefined) known.until = until;
    }
  }

  private addNew(listed: Map<string, Address>, until: Micros): void {
    for (const [key, address] of listed) {
      if (this.sources.size >= SOURCES_MAX) return;
      if (!this.sources.has(key)) this.sources.set(key, { address: address.clone(), until });
    }
  }

  /** Sources that somebody has wanted, of those that `which` names. */
  private wanted(now: Micros, which: (key: string) => boolean): Address[] {
    return [...this.sources].filter(([key, { until }]) => until > now && which(key)).map(([, { address }]) => address);
  }

  /** A query about it was sent: timers come down to `until`. RFC 9776 §6.6.3. */
  lower(asked: Asked, until: Micros): void {
    if (asked.group && this.mode === 'exclude') this.until = Math.min(this.until, until);
    for (const address of asked.sources) {
      const known = this.sources.get(formatAddress(address));
      if (known !== undefined) known.until = Math.min(known.until, until);
    }
  }

  /** What of `asked` has had no answer: its timers still end by `until`. */
  unanswered(asked: Asked, until: Micros): Asked {
    const sources = asked.sources.filter((address) => (this.sources.get(formatAddress(address))?.until ?? Number.POSITIVE_INFINITY) <= until);
    return { group: asked.group && this.mode === 'exclude' && this.until <= until, sources };
  }

  /** Moves on to `now`: RFC 9776 §6.3, §6.5. True when what is wanted has changed. */
  expire(now: Micros): boolean {
    const ended = this.mode === 'exclude' && this.until <= now;
    let changed = ended;
    if (ended) this.mode = 'include';
    for (const [key, source] of this.sources) {
      if (source.until > now) continue;
      if (this.mode === 'include') this.sources.delete(key);
      changed ||= source.until !== NOBODY;
      source.until = NOBODY;
    }
    return changed;
  }

  /** When `expire` is to be called next. */
  get next(): Micros {
    let next = this.mode === 'exclude' ? this.until : Number.POSITIVE_INFINITY;
    for (const { until } of this.sources.values()) if (until !== NOBODY && until < next) next = until;
    return next;
  }
}
