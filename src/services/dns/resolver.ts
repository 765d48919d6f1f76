import { Hold } from '../../api/hold.js';
import { Drop } from '../../base/drops.js';
import { seconds } from '../../base/time.js';
import type { Stack } from '../../net/stack.js';
import { IN, type Message, type Question, Rcode, type ResourceRecord, Type } from '../../wire/dns.js';
import { canonicalName, labelsOf } from '../../wire/dns-name.js';
import { DnsCache } from './cache.js';
import type { DnsCode } from './codes.js';
import { Later } from './later.js';
import type { AskOptions } from './request.js';
import type { NameServer } from './settings.js';
import { type Outcome, type Patience, Transaction } from './transaction.js';

/** Questions under way at one time; a further one fails with ENOMEM. */
export const QUERIES_MAX = 256;
/** Aliases followed for one name. RFC 1034 §3.6.2 wants none to loop, and BIND follows 16. */
const ALIASES_MAX = 16;
/** c-ares' two seconds, and its rounds less one: with the doubling that is 14 s for one server that is dead. */
const PATIENCE: Patience = { timeout: seconds(2), tries: 3 };

/** Records of the type asked for, at the end of the aliases of a name. */
export interface Found {
  /** The name they are of. */
  readonly name: string;
  /** Not empty. */
  readonly records: readonly ResourceRecord[];
}

/** One question under way, and all who wait for its answer: a second one would help a forger (RFC 5452 §5). */
interface Flight {
  readonly transaction: Transaction;
  readonly waiting: Set<(outcome: Outcome) => void>;
}

/** A stub resolver (RFC 1034 §5.3.1): asks recursive servers, keeps what they answer. */
export class StubResolver {
  readonly cache = new DnsCache();
  /** See AskOptions. */
  mixedCase = false;
  private readonly core: Stack;
  private readonly servers: () => readonly NameServer[];
  private readonly patience: Patience;
  private readonly flights = new Map<string, Flight>();
  private readonly later: Later;
  private readonly hold: Hold;
  private closed = false;

  constructor(core: Stack, servers: () => readonly NameServer[], patience: Partial<Patience> = {}) {
    this.core = core;
    this.servers = servers;
    this.patience = { ...PATIENCE, ...patience };
    this.later = new Later(core.ctx);
    this.hold = new Hold(core.hyper);
  }

  /** Questions under way. */
  get pending(): number {
    return this.flights.size;
  }

  /** The whole answer to one question, `done` in the notify phase. The function returned gives the question up: `done` is not called any more. */
  query(name: string, type: number, options: Pick<AskOptions, 'dnssecOk' | 'checkingDisabled'>, done: (outcome: Outcome) => void): () => void {
    let given = false;
    const once = (outcome: Outcome): void => {
      if (!given) done(outcome);
    };
    const key = `${canonicalName(name)} ${type} ${options.dnssecOk ? 1 : 0}${options.checkingDisabled ? 1 : 0}`;
    const known = this.known(key, name);
    if (known !== null) this.later.run(() => once(known));
    else this.fly(key, { name, type, class: IN }, options, once);
    return () => {
      given = true;
      this.leave(key, once);
    };
  }

  /** Records of a type, aliases followed. */
  find(name: string, type: number, done: (result: Found | DnsCode) => void): () => void {
    let cancel = (): void => {};
    let followed = 0;
    const ask = (at: string): void => {
      cancel = this.query(at, type, {}, (outcome) => {
        if (typeof outcome === 'string') {
          done(outcome);
          return;
        }
        const { end, records, aliases } = follow(outcome, at, type);
        followed += aliases;
        if (records.length > 0) done({ name: end, records });
        else if (outcome.rcode === Rcode.NxDomain) done('ENOTFOUND');
        // Not the whole chain was in the answer: the server is asked for its end.
        else if (aliases > 0 && followed < ALIASES_MAX && !outcome.authorities.some((r) => r.type === Type.SOA)) ask(end);
        else done(followed >= ALIASES_MAX ? 'ESERVFAIL' : 'ENODATA');
      });
    };
    ask(name);
    return () => cancel();
  }

  /** Every question under way ends with ECANCELLED. */
  cancel(): void {
    for (const key of [...this.flights.keys()]) {
      this.flights.get(key)?.transaction.cancel();
      this.land(key, 'ECANCELLED');
    }
  }

  /** Ends all; what is asked from now on is cancelled at once. */
  close(): void {
    this.closed = true;
    this.cancel();
  }

  private known(key: string, name: string): Outcome | null {
    if (this.closed) return 'ECANCELLED';
    if (labelsOf(name) === null) return 'EBADNAME';
    const cached = this.cache.get(key, this.core.hyper.bootTime());
    if (cached !== null || this.flights.has(key)) return cached;
    if (this.flights.size < QUERIES_MAX) return null;
    this.core.ctx.countDrop(Drop.DnsQueriesFull);
    return 'ENOMEM';
  }

  private fly(key: string, question: Question, options: AskOptions, done: (outcome: Outcome) => void): void {
    const under = this.flights.get(key);
    if (under !== undefined) {
      under.waiting.add(done);
      return;
    }
    const transaction = new Transaction(this.core, question, this.servers(), { ...options, mixedCase: this.mixedCase }, this.patience, (outcome) => {
      if (typeof outcome === 'object') this.cache.put(key, outcome, this.core.hyper.bootTime());
      this.land(key, outcome);
    });
    this.flights.set(key, { transaction, waiting: new Set([done]) });
    this.hold.begin();
    transaction.start();
  }

  /** Tells those who wait. */
  private land(key: string, outcome: Outcome): void {
    const flight = this.flights.get(key);
    this.flights.delete(key);
    for (const done of flight?.waiting ?? []) this.later.run(() => done(outcome));
    if (this.flights.size === 0) this.hold.end();
  }

  private leave(key: string, done: (outcome: Outcome) => void): void {
    const flight = this.flights.get(key);
    if (flight === undefined || !flight.waiting.delete(done) || flight.waiting.size > 0) return;
    flight.transaction.cancel();
    this.land(key, 'ECANCELLED');
  }
}

/** The chain of aliases from `name` as far as the answer has it, and the records at its end. Records of other names count for nothing. */
function follow({ answers }: Message, name: string, type: number): { end: string; records: ResourceRecord[]; aliases: number } {
  let end = name;
  for (let aliases = 0; ; aliases++) {
    const at = canonicalName(end);
    const here = answers.filter((r) => r.class === IN && canonicalName(r.name) === at);
    const records = here.filter((r) => r.type === type || type === Type.ANY);
    const alias = here.find((r) => r.type === Type.CNAME);
    if (records.length > 0 || alias?.data.kind !== 'name' || aliases === ALIASES_MAX) return { end, records, aliases };
    end = alias.data.name;
  }
}
