/**
 * DNS messages (RFC 1035 §4, RFC 6891).
 *
 * ```
 *  0    2       4         6         8           10            12
 *  | id | flags | qdcount | ancount | nscount   | arcount     | questions, answers, authorities, additional
 *
 *  flags: QR(1) opcode(4) AA TC RD RA Z AD CD rcode(4)
 *  question: name type(2) class(2)      record: name type(2) class(2) ttl(4) rdlength(2) rdata
 * ```
 * Nothing stands at a fixed place behind the header, so there are no getters here: `parse` makes an object or answers a drop reason.
 */
import { Address, v4 } from '../base/address.js';
import { Drop } from '../base/drops.js';
import { readName } from './dns-name.js';

/** Octets of the header. */
export const HEADER_LEN = 12;
/** Octets of a message over UDP without EDNS. RFC 1035 §2.3.4. */
export const PLAIN_MAX = 512;

/** Record types by their names. IANA. */
export const Type = { A: 1, NS: 2, CNAME: 5, SOA: 6, PTR: 12, MX: 15, TXT: 16, AAAA: 28, SRV: 33, OPT: 41, ANY: 255 } as const;
/** Bits of the flags word. */
export const Flag = {
  Response: 0x8000,
  Authoritative: 0x0400,
  Truncated: 0x0200,
  Desired: 0x0100,
  Available: 0x0080,
  Authentic: 0x0020,
  Unchecked: 0x0010,
} as const;
/** Response codes. RFC 1035 §4.1.1, RFC 6891 §9. */
export const Rcode = { NoError: 0, FormErr: 1, ServFail: 2, NxDomain: 3, NotImp: 4, Refused: 5, BadVers: 16 } as const;
/** The Internet's class. */
export const IN = 1;

/** What is asked. */
export interface Question {
  readonly name: string;
  readonly type: number;
  readonly class: number;
}

/** What a record says, by kind; types not known here keep their octets (RFC 3597). */
export type Data =
  | { readonly kind: 'address'; readonly address: Address }
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'mx'; readonly priority: number; readonly exchange: string }
  | { readonly kind: 'srv'; readonly priority: number; readonly weight: number; readonly port: number; readonly name: string }
  | { readonly kind: 'txt'; readonly strings: readonly Uint8Array[] }
  | { readonly kind: 'soa'; readonly nsname: string; readonly hostmaster: string; readonly numbers: readonly number[] }
  | { readonly kind: 'octets'; readonly octets: Uint8Array };

/** One record. `ttl` in seconds: RFC 2181 §8 has one with the top bit set mean 0. */
export interface ResourceRecord {
  readonly name: string;
  readonly type: number;
  readonly class: number;
  readonly ttl: number;
  readonly data: Data;
}

/** What the OPT record of a message says. RFC 6891 §6.1. */
export interface Edns {
  readonly udpSize: number;
  readonly version: number;
  /** DNSSEC records are wanted (RFC 3225). */
  readonly dnssecOk: boolean;
}

/** One message, taken apart. */
export interface Message {
  readonly id: number;
  /** Flag bits and opcode; the response code is apart. */
  readonly flags: number;
  /** With the high bits of EDNS. */
  readonly rcode: number;
  readonly questions: readonly Question[];
  readonly answers: readonly ResourceRecord[];
  readonly authorities: readonly ResourceRecord[];
  /** Without the OPT record. */
  readonly additional: readonly ResourceRecord[];
  readonly edns: Edns | null;
}

export const opcodeOf = (flags: number): number => (flags >>> 11) & 15;

/** The message bytes[at, end), or why there is none: Drop.DnsTruncated, Drop.DnsMalformed. What lies behind the last record is not looked at. */
export function parse(bytes: Uint8Array, at: number, end: number): Message | number {
  if (end - at < HEADER_LEN) return Drop.DnsTruncated;
  return new Parser(bytes, at, end).message();
}

/** Reads from front to back; the first thing wrong sets `reason`, and everything after it is empty. */
class Parser {
  private readonly bytes: Uint8Array;
  private readonly view: DataView;
  private readonly start: number;
  private readonly end: number;
  private at: number;
  private reason = 0;
  private edns: Edns | null = null;
  private rcodeHigh = 0;

  constructor(bytes: Uint8Array, start: number, end: number) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.start = start;
    this.end = end;
    this.at = start;
  }

  message(): Message | number {
    const id = this.uint16();
    const word = this.uint16();
    const [qd, an, ns, ar] = [this.uint16(), this.uint16(), this.uint16(), this.uint16()] as const;
    const questions: Question[] = [];
    for (let i = 0; i < qd && this.reason === 0; i++) questions.push({ name: this.name(), type: this.uint16(), class: this.uint16() });
    const answers = this.records(an);
    const authorities = this.records(ns);
    const additional = this.records(ar);
    if (this.reason !== 0) return this.reason;
    const rcode = (word & 15) | (this.rcodeHigh << 4);
    return { id, flags: word & 0xfff0, rcode, questions, answers, authorities, additional, edns: this.edns };
  }

  private records(count: number): ResourceRecord[] {
    const records: ResourceRecord[] = [];
    for (let i = 0; i < count && this.reason === 0; i++) {
      const name = this.name();
      const type = this.uint16();
      const klass = this.uint16();
      const ttl = this.uint32();
      const length = this.uint16();
      const end = this.at + length;
      if (end > this.end) this.fail(Drop.DnsTruncated);
      if (this.reason !== 0) break;
      if (type === Type.OPT) this.option(name, klass, ttl);
      else records.push({ name, type, class: klass, ttl: ttl > 0x7fff_ffff ? 0 : ttl, data: this.data(type, end) });
      // Compressed names may end early, never late: what is left of rdata is no part of a record we know.
      if (this.at > end) this.fail(Drop.DnsMalformed);
      this.at = end;
    }
    return records;
  }

  /** RFC 6891 §6.1.1: at most one, under the root's name. */
  private option(name: string, udpSize: number, ttl: number): void {
    if (name !== '' || this.edns !== null) this.fail(Drop.DnsMalformed);
    this.rcodeHigh = ttl >>> 24;
    this.edns = { udpSize: Math.max(PLAIN_MAX, udpSize), version: (ttl >>> 16) & 255, dnssecOk: (ttl & 0x8000) !== 0 };
  }

  private data(type: number, end: number): Data {
    switch (type) {
      case Type.A:
        if (end - this.at !== 4) this.fail(Drop.DnsMalformed);
        return { kind: 'address', address: v4(this.uint32() | 0) };
      case Type.AAAA:
        if (end - this.at !== 16) this.fail(Drop.DnsMalformed);
        return { kind: 'address', address: new Address(this.uint32(), this.uint32(), this.uint32(), this.uint32()) };
      case Type.NS:
      case Type.CNAME:
      case Type.PTR:
        return { kind: 'name', name: this.name() };
      case Type.MX:
        return { kind: 'mx', priority: this.uint16(), exchange: this.name() };
      case Type.SRV:
        return { kind: 'srv', priority: this.uint16(), weight: this.uint16(), port: this.uint16(), name: this.name() };
      case Type.TXT:
        return { kind: 'txt', strings: this.strings(end) };
      case Type.SOA:
        return { kind: 'soa', nsname: this.name(), hostmaster: this.name(), numbers: [0, 0, 0, 0, 0].map(() => this.uint32()) };
      default:
        return { kind: 'octets', octets: this.bytes.slice(this.at, end) };
    }
  }

  private strings(end: number): Uint8Array[] {
    const strings: Uint8Array[] = [];
    while (this.at < end && this.reason === 0) {
      const from = this.at + 1;
      const to = from + (this.bytes[this.at] as number);
      if (to > end) this.fail(Drop.DnsMalformed);
      else strings.push(this.bytes.slice(from, to));
      this.at = to;
    }
    return strings;
  }

  private name(): string {
    const read = this.reason === 0 ? readName(this.bytes, this.start, this.at, this.end) : null;
    if (read === null) {
      this.fail(Drop.DnsMalformed);
      return '';
    }
    this.at = read.end;
    return read.name;
  }

  private uint16(): number {
    return this.take(2) ? this.view.getUint16(this.at - 2) : 0;
  }

  private uint32(): number {
    return this.take(4) ? this.view.getUint32(this.at - 4) : 0;
  }

  private take(octets: number): boolean {
    if (this.reason === 0 && this.at + octets > this.end) this.fail(Drop.DnsTruncated);
    if (this.reason !== 0) return false;
    this.at += octets;
    return true;
  }

  private fail(reason: number): void {
    if (this.reason === 0) this.reason = reason;
  }
}

const typeNames = new Map<number, string>(Object.entries(Type).map(([name, n]) => [n, name]));

/** 'AAAA', or 'TYPE257' for those without a name here (RFC 3597 §5). */
export const typeName = (type: number): string => typeNames.get(type) ?? `TYPE${type}`;

/** One line for people. */
export function format(bytes: Uint8Array, at: number, end: number): string {
  const message = parse(bytes, at, end);
  if (typeof message === 'number') return 'dns malformed';
  const asked = message.questions.map(({ name, type }) => ` ${typeName(type)} ${name === '' ? '.' : name}`).join(',');
  if ((message.flags & Flag.Response) === 0) return `dns query ${message.id}${asked}`;
  return `dns answer ${message.id}${asked} rcode ${message.rcode}, ${message.answers.length} records`;
}
