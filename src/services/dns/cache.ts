import type { Micros } from '../../base/time.js';
import { seconds } from '../../base/time.js';
import { type Message, Rcode, type ResourceRecord, Type } from '../../wire/dns.js';

/** Answers kept at most; the one not used for longest goes. With WEIGHT_MAX each that bounds the cache at some 4 MB. */
export const ENTRIES_MAX = 1_000;
/** Octets of text and data past which an answer is not worth keeping. */
const WEIGHT_MAX = 4_096;
/** Seconds an answer is kept at most, whatever its TTL: RFC 8767 §4 speaks of days. */
const TTL_MAX = 86_400;
/** And one that says there is nothing: RFC 2308 §5 has found one to three hours to work well. */
const NEGATIVE_MAX = 10_800;

interface Entry {
  readonly message: Message;
  readonly at: Micros;
  readonly until: Micros;
}

/** Answers by question, for as long as the least TTL in them says, and "there is none" for as long as the zone's SOA says (RFC 2308 §5). */
export class DnsCache {
  private readonly entries = new Map<string, Entry>();

  /** The answer with its TTLs reduced by its age (RFC 1035 §3.2.1), or null. `now` is a time that runs through suspend. */
  get(key: string, now: Micros): Message | null {
    const entry = this.entries.get(key);
    if (entry === undefined) return null;
    this.entries.delete(key);
    if (entry.until <= now) return null;
    this.entries.set(key, entry);
    const age = Math.floor((now - entry.at) / seconds(1));
    const aged = (records: readonly ResourceRecord[]): ResourceRecord[] => records.map((r) => ({ ...r, ttl: Math.max(0, r.ttl - age) }));
    const { message } = entry;
    return { ...message, answers: aged(message.answers), authorities: aged(message.authorities), additional: aged(message.additional) };
  }

  /** Keeps an answer of NoError or NxDomain, unless it says it should not be or is too long. */
  put(key: string, message: Message, now: Micros): void {
    const ttl = lifetime(message);
    if (ttl <= 0 || weight(message) > WEIGHT_MAX) return;
    this.entries.delete(key);
    this.entries.set(key, { message, at: now, until: now + seconds(ttl) });
    if (this.entries.size <= ENTRIES_MAX) return;
    const [oldest] = this.entries.keys();
    this.entries.delete(oldest as string);
  }

  flush(): void {
    this.entries.clear();
  }

  get size(): number {
    return this.entries.size;
  }
}

/** Seconds. Without a record of the type asked for the SOA decides: the lesser of its TTL and its minimum (RFC 2308 §3, §5). */
function lifetime({ answers, authorities, questions, rcode }: Message): number {
  const type = questions[0]?.type;
  const least = Math.min(TTL_MAX, ...answers.map((r) => r.ttl));
  if (rcode === Rcode.NoError && answers.some((r) => r.type === type || type === Type.ANY)) return least;
  const soa = authorities.find((r) => r.type === Type.SOA);
  if (soa?.data.kind !== 'soa') return 0;
  return Math.min(least, NEGATIVE_MAX, soa.ttl, soa.data.numbers[4] ?? 0);
}

function weight({ answers, authorities, additional }: Message): number {
  let octets = 0;
  for (const { name, data } of [...answers, ...authorities, ...additional]) {
    octets += 16 + name.length;
    if (data.kind === 'octets') octets += data.octets.length;
    if (data.kind === 'txt') octets += data.strings.reduce((sum, s) => sum + s.length, 0);
    if (data.kind === 'name' || data.kind === 'srv') octets += data.name.length;
  }
  return octets;
}
