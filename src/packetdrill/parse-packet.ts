import { Flag } from '../wire/tcp.js';
import type { Encapsulation, IcmpBody, IpFields, OtherBody, PacketAction, Ports, Range, TcpBody } from './ast.js';
import type { Cursor } from './cursor.js';
import { parseTcpOptions } from './parse-tcp-options.js';

/** The accurate-ECN bit, beside wire/tcp's Flag: RFC 9768 §3.1.1. */
export const AE = 256;

const FLAG_LETTERS: Readonly<Record<string, number>> = {
  S: Flag.Syn,
  F: Flag.Fin,
  R: Flag.Rst,
  P: Flag.Psh,
  U: Flag.Urg,
  E: Flag.Ece,
  W: Flag.Cwr,
  A: AE,
};

const ECN: Readonly<Record<string, number>> = { noecn: 0, ect1: 1, ect0: 2, ce: 3 };
/** Code points of RFC 2474 §4.2.2, 2597, 3246, 5865, 8622 that have names. */
const DSCP: Readonly<Record<string, number>> = {
  ...Object.fromEntries([0, 1, 2, 3, 4, 5, 6, 7].map((n) => [`cs${n}`, 8 * n])),
  ...Object.fromEntries([1, 2, 3, 4].flatMap((a) => [1, 2, 3].map((b) => [`af${a}${b}`, 8 * a + 2 * b]))),
  ef: 46,
  'voice-admit': 44,
  le: 1,
};

/** A packet behind its `<` or `>`, which the cursor still sees. */
export function parsePacket(c: Cursor): PacketAction {
  const inbound = c.take().text === '<';
  const outer: Encapsulation[] = [];
  for (let header = parseOuter(c); header !== null; header = parseOuter(c)) outer.push(header);
  const early = parseEarlyQuote(c);
  const ip = parseIpFields(c);
  const packet = { kind: 'packet', inbound, outer, ip } as const;
  if (c.accepts('icmp')) return { ...packet, ports: null, body: parseIcmp(c, early) };
  if (early !== null) c.fail("'icmp' expected");
  if (c.accepts('sctp')) return { ...packet, ports: null, body: readSctp(c) };
  if (c.accepts('udplite')) return { ...packet, ports: parsePorts(c), body: readOver(c, 'udplite') };
  if (c.accepts('udp')) return { ...packet, ports: parsePorts(c), body: { kind: 'udp', octets: parseOctetCount(c) } };
  if (c.accepts('encap')) return { ...packet, ports: null, body: readEncap(c) };
  return { ...packet, ports: parsePorts(c), body: parseTcp(c) };
}

function parseOuter(c: Cursor): Encapsulation | null {
  if (c.sees('ipv4') || c.sees('ipv6')) {
    const kind = c.take().text as 'ipv4' | 'ipv6';
    const ip = parseIpFields(c);
    const source = c.take().text;
    c.expect('>');
    const destination = c.take().text;
    c.expect(':');
    return { kind, source, destination, ip };
  }
  if (!c.sees('gre') && !c.sees('GREv0') && !c.sees('mpls')) return null;
  const kind = c.take().text === 'mpls' ? 'mpls' : 'gre';
  while (!c.sees(':')) if (c.take().kind === 'end') c.fail("':' expected");
  c.expect(':');
  return { kind, source: '', destination: '', ip: NO_IP_FIELDS };
}

const NO_IP_FIELDS: IpFields = { classMask: 0, classValue: 0, anyEct: false, flowLabel: null, ttl: null };

/** `[ect0]`, `(tos 0x10, ttl 64)`, `{flowlabel 0x1}` and their like. */
function parseIpFields(c: Cursor): IpFields {
  const open = c.peek();
  if (open.kind !== 'mark' || !'([{'.includes(open.text)) return NO_IP_FIELDS;
  c.take();
  const fields = { ...NO_IP_FIELDS };
  do parseIpField(c, fields);
  while (c.accepts(','));
  c.expect({ '(': ')', '[': ']', '{': '}' }[open.text] as string);
  return fields;
}

function parseIpField(c: Cursor, fields: { -readonly [K in keyof IpFields]: IpFields[K] }): void {
  const give = (mask: number, value: number): void => {
    fields.classMask |= mask;
    fields.classValue |= value;
  };
  let name = c.word('an IP field');
  if (name === 'ecn') name = c.word('an ECN mark');
  if (name in ECN) give(3, ECN[name] as number);
  else if (name === 'ect01') fields.anyEct = true;
  else if (name === 'tos' || name === 'class') give(255, c.number('a traffic class', 0, 255));
  else if (name === 'dscp') give(252, parseDscp(c) << 2);
  else if (name === 'flowlabel') fields.flowLabel = c.number('a flow label', 0, 0xf_ffff);
  else if (name === 'ttl' || name === 'hlim') fields.ttl = c.number('a hop limit', 0, 255);
  else c.fail(`'${name}' is no IP field;`);
}

function parseDscp(c: Cursor): number {
  if (!c.seesKind('word')) return c.number('a code point', 0, 63);
  const value = DSCP[c.peek().text];
  if (value === undefined) c.fail('a code point expected');
  c.take();
  return value;
}

function parsePorts(c: Cursor): Ports | null {
  if (!c.seesKind('integer') || !c.sees('>', 1)) return null;
  const source = c.number('a port', 0, 0xffff);
  c.expect('>');
  return { source, destination: c.number('a port', 0, 0xffff) };
}

function parseTcp(c: Cursor): TcpBody {
  const { flags, ace } = parseFlags(c);
  const anySeq = c.accepts('...');
  const range = anySeq ? { seq: 0, octets: parseOctetCount(c) } : parseRange(c);
  const absolute = c.accepts('!');
  const ack = c.accepts('ack') ? c.number('a sequence number') : null;
  const window = c.accepts('win') ? c.number('a window', 0, 0xffff) : null;
  const urgent = c.accepts('urg') ? c.number('an urgent pointer', 0, 0xffff) : 0;
  // A `<` on the next line may begin a packet only behind a time, so here it begins options.
  const options = c.accepts('<') ? parseTcpOptions(c) : [];
  const diagnosis = c.sees('[') && c.sees('code', 1);
  if (diagnosis) c.balanced();
  return { kind: 'tcp', flags, ace, ...range, absolute, anySeq, ack, window, urgent, options, tunnel: parseTunnel(c), diagnosis };
}

/** Letters, a dot for ACK, and behind it the three AccECN bits as a number: `S`, `P.`, `SEW`, `.`, `-`, `F.5`. */
function parseFlags(c: Cursor): { flags: number; ace: boolean } {
  if (c.accepts('-')) return { flags: 0, ace: false };
  let flags = 0;
  let some = false;
  if (c.seesKind('word')) {
    flags |= parseLetters(c);
    some = true;
  }
  if (c.seesKind('float')) {
    const { text } = c.take();
    if (!/^\.[0-7]$/.test(text)) c.fail('one AccECN digit expected');
    const bits = Number(text[1]);
    return {
      flags: flags | Flag.Ack | ((bits & 4) !== 0 ? AE : 0) | ((bits & 2) !== 0 ? Flag.Cwr : 0) | ((bits & 1) !== 0 ? Flag.Ece : 0),
      ace: true,
    };
  }
  if (c.accepts('.')) {
    flags |= Flag.Ack;
    if (c.seesKind('word')) flags |= parseLetters(c);
  } else if (!some) {
    c.fail('TCP flags expected');
  }
  return { flags, ace: false };
}

function parseLetters(c: Cursor): number {
  let flags = 0;
  for (const letter of c.peek().text) {
    const bit = FLAG_LETTERS[letter];
    if (bit === undefined) c.fail('TCP flags expected');
    flags |= bit;
  }
  c.take();
  return flags;
}

/** `1:1461(1460)`: the three must agree, modulo 2³². */
function parseRange(c: Cursor): Range {
  const seq = c.number('a sequence number');
  c.expect(':');
  const end = c.number('a sequence number');
  const octets = parseOctetCount(c);
  if (end >>> 0 !== (seq + octets) >>> 0) c.fail(`${seq}:${end} are not ${octets} octets;`);
  return { seq, octets };
}

function parseOctetCount(c: Cursor): number {
  c.expect('(');
  const octets = c.number('a count of octets', 0, 0xffff);
  c.expect(')');
  return octets;
}

function parseTunnel(c: Cursor): Ports | null {
  if (!c.sees('/') || !c.sees('udp', 1)) return null;
  c.take();
  c.take();
  c.expect('(');
  const ports = parsePorts(c);
  c.expect(')');
  return ports;
}

/** Older scripts name what an ICMP message quotes before it: `[1:1461(1460)] icmp unreachable`. */
function parseEarlyQuote(c: Cursor): IcmpBody['quoted'] {
  if (!c.sees('[') || !(c.seesKind('integer', 1) || ['udp', 'sctp', 'udplite'].some((name) => c.sees(name, 1)))) return null;
  c.take();
  return parseQuoted(c);
}

/** `unreachable frag_needed mtu 1200 [1:1461(1460)]`. */
function parseIcmp(c: Cursor, early: IcmpBody['quoted']): IcmpBody {
  const type = c.word('an ICMP type');
  const code = c.seesKind('word') && !c.sees('mtu') && !c.sees('id') ? c.word() : '';
  const mtu = c.accepts('mtu') ? c.number('an MTU') : null;
  const id = c.accepts('id') ? c.number('an identifier', 0, 0xffff) : 0;
  return { kind: 'icmp', type, code, mtu, id, quoted: c.accepts('[') ? parseQuoted(c) : early };
}

function parseQuoted(c: Cursor): IcmpBody['quoted'] {
  let quoted: IcmpBody['quoted'];
  if (c.accepts('udp')) quoted = { protocol: 'udp', seq: 0, octets: parseOctetCount(c) };
  else if (c.seesKind('word')) {
    c.take();
    c.balanced();
    quoted = { protocol: 'other', seq: 0, octets: 0 };
  } else quoted = { protocol: 'tcp', ...parseRange(c) };
  parseTunnel(c);
  c.expect(']');
  return quoted;
}

/** SCTP: fields in brackets, then chunks divided by semicolons. Read over, since nothing here speaks it. */
function readSctp(c: Cursor): OtherBody {
  while (!c.accepts(':')) {
    if (c.sees('(') || c.sees('[')) c.balanced();
    else if (c.take().kind === 'end') c.fail("':' expected");
  }
  do {
    while (c.seesKind('word') || c.sees('-')) c.take();
    if (c.sees('[')) c.balanced();
  } while (c.accepts(';'));
  parseTunnel(c);
  return { kind: 'other', protocol: 'sctp' };
}

function readOver(c: Cursor, protocol: string): OtherBody {
  c.balanced();
  return { kind: 'other', protocol };
}

/** `encap psp spi 1`, then a segment. */
function readEncap(c: Cursor): OtherBody {
  const protocol = c.word();
  c.expect('spi');
  c.number('an SPI');
  parsePorts(c);
  parseTcp(c);
  return { kind: 'other', protocol };
}
