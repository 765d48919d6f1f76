import type { TcpOption } from './ast.js';
import type { Cursor } from './cursor.js';

/** Option kinds that scripts name and no other file here needs (IANA tcp-parameters). */
const Kind = { Md5: 19, FastOpen: 34, AccEcn0: 172, AccEcn1: 174, Experimental: 254 } as const;
/** Identifiers of experiments under kind 254 or 253 (IANA tcp-exids). */
const Experiment = { FastOpen: 0xf989, AccEcn0: 0xacc0, AccEcn1: 0xacc1, Tarr: 0x00ac } as const;
const U24_MAX = 0xff_ffff;

/** Options between `<` and `>`; null for `<...>`. The cursor stands behind `<`; `>` is taken. */
export function parseTcpOptions(c: Cursor): TcpOption[] | null {
  if (c.accepts('...')) {
    c.expect('>');
    return null;
  }
  const options: TcpOption[] = [];
  do options.push(parseOption(c));
  while (c.accepts(','));
  c.expect('>');
  return options;
}

function parseOption(c: Cursor): TcpOption {
  const { text } = c.take();
  switch (text) {
    case 'nop':
      return { kind: 'nop' };
    case 'eol':
      return { kind: 'eol' };
    case 'mss':
      return { kind: 'mss', octets: c.number('an MSS', 0, 0xffff) };
    case 'wscale':
      return { kind: 'wscale', shift: c.number('a shift', 0, 255) };
    case 'sackOK':
      return { kind: 'sackOK' };
    case 'sack':
      return { kind: 'sack', blocks: parseBlocks(c) };
    case 'TS':
      return parseTimestamps(c);
    case 'md5':
      return other(Kind.Md5, c.accepts('valid') ? new Uint8Array(16) : parseOctets(c));
    case 'FO':
      return other(Kind.FastOpen, parseOctets(c));
    case 'FOEXP':
    case 'exp-FO':
    case 'EXP-FO':
      return experiment(Experiment.FastOpen, parseOctets(c));
    case 'ECN':
      return parseAccEcn(c, c.sees('e1b') ? Kind.AccEcn1 : Kind.AccEcn0, 0);
    case 'AccECN0':
      return parseAccEcn(c, Kind.AccEcn0, 0);
    case 'AccECN1':
      return parseAccEcn(c, Kind.AccEcn1, 0);
    case 'exp-AccECN0':
      return parseAccEcn(c, Kind.Experimental, Experiment.AccEcn0);
    case 'exp-AccECN1':
      return parseAccEcn(c, Kind.Experimental, Experiment.AccEcn1);
    case 'exp-tarr':
      return experiment(Experiment.Tarr, c.seesKind('integer') ? Uint8Array.of(c.number('a rate', 0, 127) << 1) : new Uint8Array(0));
    default:
      return parseNumbered(c, text);
  }
}

/** `gen-253 0a0b`, `exp-acc0 00`, or all options as octets. */
function parseNumbered(c: Cursor, text: string): TcpOption {
  const generic = /^gen-(\d+)$/.exec(text);
  if (generic !== null) return other(Number(generic[1]), parseOctets(c));
  const experimental = /^exp-([0-9a-fA-F]+)$/.exec(text);
  if (experimental !== null) return experiment(Number.parseInt(experimental[1] as string, 16), parseOctets(c));
  const octets = hexOctets(text);
  if (octets === null || octets.length < 1) return c.fail(`'${text}' is no TCP option;`);
  return other(octets[0] as number, octets.subarray(2));
}

function parseTimestamps(c: Cursor): TcpOption {
  c.expect('val');
  const val = c.accepts('...') ? null : c.number('a timestamp');
  c.expect('ecr');
  const ecr = c.number('an echoed timestamp');
  return { kind: 'TS', val, ecr, absoluteEcr: c.accepts('!') };
}

/** `1001:2001 3001:4001`, as many as there are. */
export function parseBlocks(c: Cursor): [number, number][] {
  const blocks: [number, number][] = [];
  do {
    const left = c.number('a sequence number');
    c.expect(':');
    blocks.push([left, c.number('a sequence number')]);
  } while (c.seesKind('integer'));
  return blocks;
}

/** The counters of three octets that are named, in the order they stand in. RFC 9768 §3.2.3. */
function parseAccEcn(c: Cursor, kind: number, id: number): TcpOption {
  const octets: number[] = [];
  while (['e0b', 'e1b', 'ceb', 'ee0b', 'ee1b', 'eceb'].some((name) => c.sees(name))) {
    c.take();
    const n = c.number('a counter', 0, U24_MAX);
    octets.push(n >>> 16, (n >>> 8) & 255, n & 255);
  }
  return id === 0 ? other(kind, Uint8Array.from(octets)) : experiment(id, Uint8Array.from(octets));
}

/** Octets in hexadecimal, or none. */
function parseOctets(c: Cursor): Uint8Array {
  if (!c.seesKind('word') && !c.seesKind('integer')) return new Uint8Array(0);
  const octets = hexOctets(c.peek().text);
  if (octets === null) c.fail('octets in hexadecimal expected');
  c.take();
  return octets;
}

/** "0a0b" as octets; an odd digit stands first. Null when it is something else. */
function hexOctets(text: string): Uint8Array | null {
  if (!/^[0-9a-fA-F]*$/.test(text)) return null;
  const even = text.length % 2 === 0 ? text : `0${text}`;
  return Uint8Array.from(even.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

const other = (number: number, data: Uint8Array): TcpOption => ({ kind: 'other', number, data });
const experiment = (id: number, data: Uint8Array): TcpOption => other(Kind.Experimental, Uint8Array.of(id >> 8, id & 255, ...data));
