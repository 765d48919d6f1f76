/** Writes DNS messages, with names compressed (RFC 1035 §4.1.4), up to a size; what does not fit is left out and TC set (RFC 2181 §9). */
import { assert } from '../base/assert.js';
import { type Edns, Flag, HEADER_LEN, type Message, type Question, type ResourceRecord, Type } from './dns.js';
import { canonicalName, LABEL_MAX } from './dns-name.js';

/** What to write: `rcode` and `flags` as in Message; sections left out are empty. */
export type Draft = Partial<Message> & Pick<Message, 'id' | 'flags'>;

/** RFC 6891 §6.1.2: name, type, class, ttl and length of an OPT record without options. */
const OPT_LEN = 11;
/** Where a pointer can no longer reach: 14 bits. */
const POINTER_MAX = 0x3fff;

/** Writes `draft` to into[at, at + max) and answers the octet behind it. Names are of labelsOf's form; a question fits any `max` of 512. */
export function write(into: Uint8Array, at: number, draft: Draft, max: number): number {
  return new Writer(into, at, at + max).message(draft);
}

class Writer {
  private readonly bytes: Uint8Array;
  private readonly view: DataView;
  private readonly start: number;
  private readonly limit: number;
  private at: number;
  private readonly names = new Map<string, number>();

  constructor(bytes: Uint8Array, start: number, limit: number) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.start = start;
    this.limit = Math.min(limit, bytes.length);
    this.at = start + HEADER_LEN;
  }

  message(draft: Draft): number {
    const { questions = [], answers = [], authorities = [], additional = [], edns = null, rcode = 0 } = draft;
    for (const question of questions) this.question(question);
    assert(this.at <= this.limit, 'a question fits the least DNS message');
    const reserved = edns === null ? 0 : OPT_LEN;
    const counts = [0, 0, 0];
    let truncated = (draft.flags & Flag.Truncated) !== 0;
    for (const [section, records] of [answers, authorities, additional].entries()) {
      for (const record of records) {
        if (truncated || !this.record(record, this.limit - reserved)) {
          // RFC 2181 §9: what is only additional may be missing without a word.
          if (section < 2) truncated = true;
          break;
        }
        (counts[section] as number)++;
      }
    }
    if (edns !== null) this.option(edns, (rcode >>> 4) & 255);
    const { view, start } = this;
    view.setUint16(start, draft.id);
    view.setUint16(start + 2, (draft.flags & 0xfff0) | (truncated ? Flag.Truncated : 0) | (rcode & 15));
    view.setUint16(start + 4, questions.length);
    view.setUint16(start + 6, counts[0] as number);
    view.setUint16(start + 8, counts[1] as number);
    view.setUint16(start + 10, (counts[2] as number) + (edns === null ? 0 : 1));
    return this.at;
  }

  private question({ name, type, class: klass }: Question): void {
    this.name(name);
    this.uint16(type);
    this.uint16(klass);
  }

  private option({ udpSize, version, dnssecOk }: Edns, rcodeHigh: number): void {
    this.name('');
    this.uint16(Type.OPT);
    this.uint16(udpSize);
    this.uint32(((rcodeHigh << 24) | (version << 16) | (dnssecOk ? 0x8000 : 0)) >>> 0);
    this.uint16(0);
  }

  /** False, with nothing written, when it does not fit before `limit`. */
  private record(record: ResourceRecord, limit: number): boolean {
    const from = this.at;
    this.name(record.name);
    this.uint16(record.type);
    this.uint16(record.class);
    this.uint32(record.ttl);
    const length = this.at;
    this.uint16(0);
    this.data(record);
    if (this.at > limit) {
      this.at = from;
      for (const [name, at] of this.names) if (at >= from - this.start) this.names.delete(name);
      return false;
    }
    this.view.setUint16(length, this.at - length - 2);
    return true;
  }

  private data({ type, data }: ResourceRecord): void {
    switch (data.kind) {
      case 'address': {
        const { w0, w1, w2, w3 } = data.address;
        for (const word of type === Type.A ? [w3] : [w0, w1, w2, w3]) this.uint32(word >>> 0);
        return;
      }
      case 'name':
        this.name(data.name);
        return;
      case 'mx':
        this.uint16(data.priority);
        this.name(data.exchange);
        return;
      case 'srv':
        for (const n of [data.priority, data.weight, data.port]) this.uint16(n);
        this.name(data.name, false); // RFC 2782: not to be compressed
        return;
      case 'txt':
        for (const s of data.strings) this.octets(Uint8Array.of(s.length, ...s));
        return;
      case 'soa':
        this.name(data.nsname);
        this.name(data.hostmaster);
        for (const n of data.numbers) this.uint32(n);
        return;
      default:
        this.octets(data.octets);
    }
  }

  private name(text: string, compress = true): void {
    const name = text.endsWith('.') && !text.endsWith('\\.') ? text.slice(0, -1) : text;
    const canonical = canonicalName(name);
    for (let i = 0; i < name.length; ) {
      const rest = i === 0 ? canonical : canonical.slice(i);
      const known = this.names.get(rest);
      if (known !== undefined && compress) {
        this.uint16(0xc000 | known);
        return;
      }
      if (known === undefined && this.at - this.start <= POINTER_MAX) this.names.set(rest, this.at - this.start);
      i = this.label(name, i);
    }
    this.octet(0);
  }

  /** Writes the label that begins at `from` of the text, escapes undone; answers where the next one begins. */
  private label(name: string, from: number): number {
    const lengthAt = this.at;
    this.octet(0);
    let i = from;
    for (; i < name.length && name.charCodeAt(i) !== DOT; i++) {
      let code = name.charCodeAt(i);
      if (code === BACKSLASH) {
        code = name.charCodeAt(++i);
        if (code >= ZERO && code <= NINE) {
          code = Number(name.slice(i, i + 3));
          i += 2;
        }
      }
      this.octet(code);
    }
    const length = this.at - lengthAt - 1;
    assert(length > 0 && length <= LABEL_MAX, 'names are checked before they are written');
    if (lengthAt < this.limit) this.bytes[lengthAt] = length;
    return i + 1;
  }

  /** Past the buffer nothing is stored, but `at` goes on: the record is then found too long. */
  private octets(octets: Uint8Array): void {
    if (this.at + octets.length <= this.limit) this.bytes.set(octets, this.at);
    this.at += octets.length;
  }

  private octet(n: number): void {
    if (this.at < this.limit) this.bytes[this.at] = n;
    this.at++;
  }

  private uint16(n: number): void {
    if (this.at + 2 <= this.limit) this.view.setUint16(this.at, n);
    this.at += 2;
  }

  private uint32(n: number): void {
    if (this.at + 4 <= this.limit) this.view.setUint32(this.at, n);
    this.at += 4;
  }
}

const DOT = 0x2e;
const BACKSLASH = 0x5c;
const ZERO = 0x30;
const NINE = 0x39;
