import { Address, v4 } from '../../base/address.js';
import { isHost4, type Prefix64 } from '../../net/nat64/prefix.js';
import type { Stack } from '../../net/stack.js';
import { IN, type Message, Rcode, type ResourceRecord, Type } from '../../wire/dns.js';
import { canonicalName } from '../../wire/dns-name.js';
import { Later } from './later.js';
import type { AskOptions } from './request.js';
import type { StubResolver } from './resolver.js';
import type { Outcome } from './transaction.js';

/** Who answers questions: the resolver, or one of these before it. */
export type Ask = StubResolver['query'];

/** RFC 7050 §8.2, RFC 8880: tells hosts the prefix by its AAAA records. */
const WELL_KNOWN_NAME = 'ipv4only.arpa';
/** Its addresses. */
const WELL_KNOWN_WORDS: readonly number[] = [0xc00000aa, 0xc00000ab];
const WELL_KNOWN_TTL = 86_400;
/** Lifetime of what is made where a negative answer has no SOA: RFC 6147 §5.1.7. */
const TTL_MAX = 600;

/** Answers with IPv6 addresses for hosts that have IPv4 ones only, behind a NAT64's prefix: RFC 6147. It validates nothing, and says so by never setting AD. */
export function dns64(core: Stack, prefix: Prefix64, ask: Ask): Ask {
  const later = new Later(core.ctx);
  return (name, type, options, done) => {
    if (canonicalName(name) === WELL_KNOWN_NAME) {
      later.run(() => done(wellKnown(prefix, name, type)));
      return () => {};
    }
    if (type === Type.AAAA) return new Synthesis(prefix, ask, name, options, done).start();
    const behind = type === Type.PTR ? reverseName(prefix, name) : null;
    return behind === null ? ask(name, type, options, done) : reverse(ask, name, behind, options, done);
  };
}

const made = (rcode: number, answers: readonly ResourceRecord[], authorities: readonly ResourceRecord[] = []): Message => ({
  id: 0,
  flags: 0,
  rcode,
  questions: [],
  answers,
  authorities,
  additional: [],
  edns: null,
});

const addressRecord = (name: string, address: Address, ttl: number): ResourceRecord => ({
  name,
  type: address.isV4 ? Type.A : Type.AAAA,
  class: IN,
  ttl,
  data: { kind: 'address', address },
});

/** RFC 8880 §7.1: nobody else is asked, for the answer is about here. */
function wellKnown(prefix: Prefix64, name: string, type: number): Message {
  if (type !== Type.A && type !== Type.AAAA) return made(Rcode.NoError, []);
  const answers = WELL_KNOWN_WORDS.map((word) => addressRecord(name, type === Type.A ? v4(word) : embedded(prefix, v4(word)), WELL_KNOWN_TTL));
  return made(Rcode.NoError, answers);
}

function embedded(prefix: Prefix64, address: Address): Address {
  const into = new Address();
  prefix.embed(address, into);
  return into;
}

/** One question for AAAA: RFC 6147 §5.1. */
class Synthesis {
  private readonly prefix: Prefix64;
  private readonly ask: Ask;
  private readonly name: string;
  private readonly options: Parameters<Ask>[2];
  private readonly done: (outcome: Outcome) => void;
  private cancel = (): void => {};

  constructor(prefix: Prefix64, ask: Ask, name: string, options: Parameters<Ask>[2], done: (outcome: Outcome) => void) {
    this.prefix = prefix;
    this.ask = ask;
    this.name = name;
    this.options = options;
    this.done = done;
  }

  start(): () => void {
    this.cancel = this.ask(this.name, Type.AAAA, this.options, (outcome) => this.native(outcome));
    return () => this.cancel();
  }

  private native(outcome: Outcome): void {
    // Who validates himself is not to be told what is not in the zone: RFC 6147 §5.5 (3).
    if (this.options.dnssecOk && this.options.checkingDisabled) return this.done(outcome);
    if (typeof outcome !== 'object') {
      if (outcome === 'ECANCELLED' || outcome === 'EBADNAME') return this.done(outcome);
    } else {
      if (outcome.rcode === Rcode.NxDomain) return this.done(outcome); // no name, no addresses: §5.1.2
      const kept = outcome.answers.filter((r) => !isMapped(r));
      if (kept.some((r) => r.type === Type.AAAA))
        return this.done(kept.length === outcome.answers.length ? outcome : { ...outcome, flags: 0, answers: kept });
    }
    // §5.1.2, §5.1.3: errors and silence count as an empty answer; some servers know no AAAA.
    this.cancel = this.ask(this.name, Type.A, this.options, (other) => this.synthesize(outcome, other));
  }

  private synthesize(native: Outcome, other: Outcome): void {
    const answers = typeof other === 'object' ? this.translated(other, negativeTtl(native)) : [];
    if (answers.some((r) => r.type === Type.AAAA)) this.done(made(Rcode.NoError, answers));
    else if (typeof native === 'object') this.done({ ...native, answers: native.answers.filter((r) => !isMapped(r)) });
    else this.done(typeof other === 'object' ? made(Rcode.NoError, answers, other.authorities) : native);
  }

  /** Aliases as they are, addresses behind the prefix; signatures are of what was there before. */
  private translated({ answers }: Message, most: number): ResourceRecord[] {
    const { prefix } = this;
    const all: ResourceRecord[] = [];
    for (const r of answers) {
      if (r.type === Type.CNAME) all.push(r);
      if (r.type !== Type.A || r.data.kind !== 'address' || !isHost4(r.data.address) || !prefix.mayHold(r.data.address)) continue;
      all.push(addressRecord(r.name, embedded(prefix, r.data.address), Math.min(r.ttl, most)));
    }
    return all;
  }
}

/** ::ffff:0:0/96 is no address of a host on a wire: §5.1.4. */
const isMapped = ({ type, data }: ResourceRecord): boolean => type === Type.AAAA && data.kind === 'address' && data.address.isV4;

/** How long the answer that there is no AAAA holds: RFC 6147 §5.1.7, RFC 2308 §5. */
function negativeTtl(native: Outcome): number {
  if (typeof native !== 'object') return TTL_MAX;
  const soa = native.authorities.find((r) => r.type === Type.SOA);
  return soa?.data.kind === 'soa' ? Math.min(soa.ttl, soa.data.numbers[4] ?? TTL_MAX) : TTL_MAX;
}

/** The name in in-addr.arpa of an address behind the prefix that `name` is the name of; null for any other. */
function reverseName(prefix: Prefix64, name: string): string | null {
  const labels = canonicalName(name).split('.');
  if (labels.length !== 34 || labels[32] !== 'ip6' || labels[33] !== 'arpa') return null;
  const digits = labels.slice(0, 32).reverse();
  if (!digits.every((d) => /^[0-9a-f]$/.test(d))) return null;
  const word = (n: number): number => Number.parseInt(digits.slice(8 * n, 8 * n + 8).join(''), 16);
  const address = new Address(word(0), word(1), word(2), word(3));
  if (!prefix.extract(address, address)) return null;
  return `${`${address}`.split('.').reverse().join('.')}.in-addr.arpa`;
}

/** RFC 6147 §5.3.1: an alias to the name of the IPv4 address, and what that has. */
function reverse(
  ask: Ask,
  name: string,
  behind: string,
  options: Pick<AskOptions, 'dnssecOk' | 'checkingDisabled'>,
  done: (outcome: Outcome) => void,
): () => void {
  return ask(behind, Type.PTR, options, (outcome) => {
    if (typeof outcome !== 'object') return done(outcome);
    const alias: ResourceRecord = { name, type: Type.CNAME, class: IN, ttl: TTL_MAX, data: { kind: 'name', name: behind } };
    done({ ...outcome, flags: 0, answers: [alias, ...outcome.answers] });
  });
}
