import type { Stack } from '../../net/stack.js';
import type { Running } from '../small.js';
import { MDNS_PORT, type MdnsBus, type MdnsLink, type MdnsPacket, type MdnsRecord, type MdnsSender } from './bus.js';
import { additionalTo, answersTo, compareSets, hostRecords, known, type MdnsService, sameName, sameRecord, serviceRecords } from './records.js';

/** What of a stack is known by multicast DNS. */
export interface MdnsSpec {
  /** Default: all but the loopback. */
  readonly interfaces?: readonly string[];
  /** 'plant' is plant.local to everybody on the link. Default: the stack's name. */
  readonly host?: string;
  readonly services?: readonly MdnsService[];
}

/** Milliseconds between two probes, RFC 6762 §8.1; as many before the first at most. */
const PROBE_INTERVAL = 250;
const PROBES = 3;
/** Between two announcements, and between two of the same answer to all. RFC 6762 §8.3, §6. */
const ANNOUNCE_INTERVAL = 1_000;
const ANNOUNCEMENTS = 2;
/** The same between two answers to who probes for our name. RFC 6762 §6. */
const DEFENCE_INTERVAL = 250;
/** An answer that others may give too waits 20 to 120 ms; to a question whose known answers go on in another message 400 to 500. RFC 6762 §6, §7.2. */
const SHARED_DELAY = [20, 100] as const;
const TRUNCATED_DELAY = [400, 100] as const;
/** RFC 6762 §6.7: what a resolver that knows nothing of all this may keep an answer, in seconds. */
const LEGACY_TTL = 10;
/** Askers whose answers wait, at most; further ones ask again. */
const PENDING_MAX = 64;
/** Milliseconds between two looks at our interfaces and addresses. */
const REFRESH = 5_000;

/** Answers that wait, of one asker. */
interface Pending {
  readonly link: MdnsLink;
  answers: MdnsRecord[];
}

/** A responder (RFC 6762): probes for its names, announces them, defends them, and says good-bye. */
export class MdnsResponder implements Running {
  private readonly core: Stack;
  private readonly bus: MdnsBus;
  private readonly spec: MdnsSpec;
  private readonly leave: () => void;
  private readonly pending = new Map<string, Pending>();
  private readonly timers = new Set<NodeJS.Timeout>();
  /** When each record was last sent to all, by link. */
  private readonly sent = new Map<MdnsLink, Map<string, number>>();
  /** Names taken by others so far: plant, plant-2, … */
  private renamed = 1;
  private state: 'probing' | 'ours' = 'probing';
  private addresses = '';

  constructor(core: Stack, bus: MdnsBus, spec: MdnsSpec) {
    this.core = core;
    this.bus = bus;
    this.spec = spec;
    this.leave = bus.listen({
      query: (link, packet, from) => this.query(link, packet, from),
      response: (link, packet) => this.response(link, packet),
    });
    this.addresses = this.describe();
    this.claim();
    this.after(REFRESH, () => this.refresh());
  }

  /** The name we have now, which another may have had before. */
  get host(): string {
    const name = this.spec.host ?? this.core.ctx.name.replace(/[._]/g, '-');
    return this.renamed === 1 ? name : `${name}-${this.renamed}`;
  }

  /** RFC 6762 §10.1: who has kept our records forgets them. */
  close(): void {
    for (const timer of this.timers) clearTimeout(timer);
    const said = this.state === 'ours' ? this.bus.links.filter((link) => this.own(link).length > 0) : [];
    let left = said.length;
    const gone = (): void => {
      if (--left <= 0) this.leave();
    };
    for (const link of said) link.respond({ answers: this.own(link).map((r) => ({ ...r, ttl: 0 })) }, null, gone);
    if (said.length === 0) gone();
  }

  private own({ iface }: MdnsLink): MdnsRecord[] {
    const { host } = this;
    const instance = ({ name }: MdnsService): string => (this.renamed === 1 ? name : `${name} (${this.renamed})`);
    return [...hostRecords(iface, host), ...(this.spec.services ?? []).flatMap((s) => serviceRecords(s, instance(s), host))];
  }

  private claim(): void {
    this.state = 'probing';
    this.after(this.bus.jitter(0, PROBE_INTERVAL), () => this.probe(1));
  }

  /** RFC 6762 §8.1: does anybody have these names? */
  private probe(round: number): void {
    for (const link of this.bus.links) {
      const unique = this.own(link).filter((r) => r.flush === true);
      const names = [...new Set(unique.map((r) => r.name))];
      if (names.length > 0) link.query({ questions: names.map((name) => ({ name, type: 'ANY' })), authorities: unique });
    }
    this.after(PROBE_INTERVAL, () => {
      if (round < PROBES) {
        this.probe(round + 1);
        return;
      }
      this.state = 'ours';
      this.announce(1);
    });
  }

  private announce(round: number): void {
    for (const link of this.bus.links) this.tell(link, this.own(link));
    if (round < ANNOUNCEMENTS) this.after(ANNOUNCE_INTERVAL, () => this.announce(round + 1));
  }

  /** New interfaces and addresses are claimed like the first. */
  private refresh(): void {
    this.bus.refresh();
    const now = this.describe();
    if (now !== this.addresses) this.claim();
    this.addresses = now;
    this.after(REFRESH, () => this.refresh());
  }

  private describe(): string {
    return JSON.stringify(this.bus.links.map((link) => [link.iface.index, hostRecords(link.iface, '').map((r) => r.data)]));
  }

  private query(link: MdnsLink, packet: MdnsPacket, from: MdnsSender): void {
    const own = this.own(link);
    const { questions = [], answers = [], authorities = [] } = packet;
    if (this.state === 'probing') {
      this.tieBreak(own, authorities);
      return;
    }
    const found = [...new Set(questions.flatMap((q) => answersTo(q, own)))].filter((r) => !known(r, answers));
    if (from.port !== MDNS_PORT) this.legacy(link, packet, found, own, from);
    else this.answer(link, packet, found, from);
  }

  /** RFC 6762 §6.7: in the shape of any name server's answer, to the asker alone. */
  private legacy(
    link: MdnsLink,
    { id = 0, questions = [] }: MdnsPacket,
    found: readonly MdnsRecord[],
    own: readonly MdnsRecord[],
    from: MdnsSender,
  ): void {
    if (found.length === 0) return;
    const plain = (all: readonly MdnsRecord[]): MdnsRecord[] => all.map((r) => ({ ...r, flush: false, ttl: Math.min(r.ttl, LEGACY_TTL) }));
    link.respond({ id, questions, answers: plain(found), additionals: plain(additionalTo(found, own)) }, from);
  }

  private answer(
    link: MdnsLink,
    { questions = [], answers = [], authorities = [], flag_tc: truncated = false }: MdnsPacket,
    found: MdnsRecord[],
    from: MdnsSender,
  ): void {
    const key = `${link.iface.index} ${from.address}`;
    const before = this.pending.get(key);
    // RFC 6762 §7.2: what the asker knows may come in a message of its own.
    if (before !== undefined) before.answers = before.answers.filter((r) => !known(r, answers));
    if (found.length === 0) return;
    // A question for one may be answered to one, where all have heard it lately. RFC 6762 §5.4.
    if (questions.length > 0 && questions.every((q) => q.qu === true) && found.every((r) => this.lately(link, r, (r.ttl * 1_000) / 4))) {
      link.respond({ answers: found, additionals: additionalTo(found, this.own(link)) }, from);
      return;
    }
    const interval = authorities.length > 0 ? DEFENCE_INTERVAL : ANNOUNCE_INTERVAL;
    const fresh = found.filter((r) => !this.lately(link, r, interval));
    if (fresh.length === 0) return;
    if (!truncated && fresh.every((r) => r.flush === true)) {
      this.tell(link, fresh);
      return;
    }
    if (before !== undefined) {
      before.answers = [...new Set([...before.answers, ...fresh])];
      return;
    }
    if (this.pending.size >= PENDING_MAX) return;
    this.pending.set(key, { link, answers: fresh });
    const [least, more] = truncated ? TRUNCATED_DELAY : SHARED_DELAY;
    this.after(this.bus.jitter(least, more), () => {
      const waiting = this.pending.get(key)?.answers ?? [];
      this.pending.delete(key);
      if (waiting.length > 0) this.tell(link, waiting);
    });
  }

  /** To everybody. */
  private tell(link: MdnsLink, answers: readonly MdnsRecord[]): void {
    if (answers.length === 0) return;
    const times = this.sent.get(link) ?? new Map<string, number>();
    this.sent.set(link, times);
    for (const record of answers) times.set(keyOf(record), this.nowMs());
    link.respond({ answers, additionals: additionalTo(answers, this.own(link)) });
  }

  private nowMs(): number {
    return this.core.hyper.monotonic() / 1_000;
  }

  private lately(link: MdnsLink, record: MdnsRecord, ms: number): boolean {
    const at = this.sent.get(link)?.get(keyOf(record));
    return at !== undefined && this.nowMs() - at < ms;
  }

  /** RFC 6762 §8.1, §9: somebody has a name of ours with other data. While we probe we give way; later we probe once more. */
  private response(link: MdnsLink, { answers = [], additionals = [] }: MdnsPacket): void {
    const unique = this.own(link).filter((r) => r.flush === true);
    const theirs = [...answers, ...additionals].filter((r) => r.ttl > 0 && r.type !== 'NSEC');
    const conflict = theirs.some((r) => unique.some((u) => u.type === r.type && sameName(u.name, r.name)) && !unique.some((u) => sameRecord(u, r)));
    if (!conflict) return;
    this.cancel();
    if (this.state === 'probing') this.rename();
    this.claim();
  }

  /** RFC 6762 §8.2: two probe for one name; who has the lesser data waits a second, and asks again. */
  private tieBreak(own: readonly MdnsRecord[], authorities: readonly MdnsRecord[]): void {
    const names = new Set(authorities.map((r) => r.name.toLowerCase()));
    for (const name of names) {
      const ours = own.filter((r) => r.flush === true && sameName(r.name, name));
      const theirs = authorities.filter((r) => sameName(r.name, name));
      if (ours.length === 0 || compareSets(ours, theirs) >= 0) continue;
      this.cancel();
      this.after(ANNOUNCE_INTERVAL, () => this.claim());
      return;
    }
  }

  private rename(): void {
    this.renamed++;
    this.core.hyper.log('warn', `mdns: another station has the name; this one is ${this.host}.local now`);
  }

  /** Whatever was under way begins anew. */
  private cancel(): void {
    for (const timer of this.timers) clearTimeout(timer);
    this.timers.clear();
    this.pending.clear();
    this.after(REFRESH, () => this.refresh());
  }

  private after(ms: number, run: () => void): void {
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      run();
    }, ms);
    timer.unref();
    this.timers.add(timer);
  }
}

const keyOf = ({ name, type, data }: MdnsRecord): string => `${name.toLowerCase()} ${type} ${JSON.stringify(data)}`;
