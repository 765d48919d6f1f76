/**
 * DHCP for IPv4 (RFC 2131 §2, RFC 2132).
 *
 * ```
 *  0  1     2    3    4     8      10      12       16       20       24       28        44        108      236
 *  |op|htype|hlen|hops| xid | secs | flags | ciaddr | yiaddr | siaddr | giaddr | chaddr  | sname 64 | file 128 | cookie, options
 *
 *  option: code(1) length(1) octets; 0 pads, 255 ends
 * ```
 */
import { Drop } from '../base/drops.js';

/** Octets before the options, the cookie included. */
export const FIXED_LEN = 240;
/** What every client takes: 548 octets of message in 576 of IP packet. RFC 2131 §2. */
export const MESSAGE_MIN = 548;
/** Some relays and servers ignore what is shorter than a BOOTP message (RFC 1542 §2.1). */
export const BOOTP_LEN = 300;

/** Who speaks: a client, or a server. */
export const Op = { Request: 1, Reply: 2 } as const;
/** What is said. RFC 2132 §9.6. */
export const MessageType = { Discover: 1, Offer: 2, Request: 3, Decline: 4, Ack: 5, Nak: 6, Release: 7, Inform: 8 } as const;
/** The client cannot take unicast before it has its address. RFC 2131 §2. */
export const BROADCAST = 0x8000;
/** Options by number. RFC 2132; search list RFC 3397, classless routes RFC 3442. */
export const Option = {
  SubnetMask: 1,
  Router: 3,
  DnsServers: 6,
  HostName: 12,
  DomainName: 15,
  Mtu: 26,
  BroadcastAddress: 28,
  NtpServers: 42,
  RequestedAddress: 50,
  LeaseTime: 51,
  Overload: 52,
  MessageType: 53,
  ServerId: 54,
  ParameterList: 55,
  Message: 56,
  MaxSize: 57,
  RenewalTime: 58,
  RebindingTime: 59,
  ClientId: 61,
  SearchList: 119,
  ClasslessRoutes: 121,
} as const;

/** Ports of RFC 2131 §4.1. */
export const SERVER_PORT = 67;
export const CLIENT_PORT = 68;

const COOKIE = 0x63825363;
const SNAME = 44;
const FILE = 108;
const OPTIONS = FIXED_LEN;
const PAD = 0;
const END = 255;
const ETHERNET = 1;

/** One message. Addresses are IPv4 words. */
export interface DhcpMessage {
  readonly op: number;
  readonly xid: number;
  readonly secs: number;
  readonly flags: number;
  readonly ciaddr: number;
  readonly yiaddr: number;
  readonly siaddr: number;
  readonly giaddr: number;
  /** 6 octets: Ethernet. */
  readonly chaddr: Uint8Array;
  /** By number; one that comes in parts is put together (RFC 3396). */
  readonly options: ReadonlyMap<number, Uint8Array>;
}

/** The message bytes[at, end), or why there is none: Drop.DhcpTruncated, Drop.DhcpMalformed. */
export function parse(bytes: Uint8Array, at: number, end: number): DhcpMessage | number {
  if (end - at < FIXED_LEN) return Drop.DhcpTruncated;
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, end - at);
  const op = view.getUint8(0);
  if (op !== Op.Request && op !== Op.Reply) return Drop.DhcpMalformed;
  if (view.getUint8(1) !== ETHERNET || view.getUint8(2) !== 6 || view.getUint32(236) !== COOKIE) return Drop.DhcpMalformed;
  const options = new Map<number, Uint8Array>();
  const reason = readAll(bytes.subarray(at, end), options);
  if (reason !== 0) return reason;
  // RFC 2131 §3: what has no type is BOOTP.
  if (options.get(Option.MessageType)?.length !== 1) return Drop.DhcpMalformed;
  return {
    op,
    xid: view.getUint32(4),
    secs: view.getUint16(8),
    flags: view.getUint16(10),
    ciaddr: view.getInt32(12),
    yiaddr: view.getInt32(16),
    siaddr: view.getInt32(20),
    giaddr: view.getInt32(24),
    chaddr: bytes.slice(at + 28, at + 34),
    options,
  };
}

/** Options, then those in `file`, then those in `sname`, as far as the overload option says so. RFC 2131 §4.1, RFC 3396 §5. */
function readAll(message: Uint8Array, into: Map<number, Uint8Array>): number {
  const reason = readOptions(message, OPTIONS, message.length, into);
  const overload = into.get(Option.Overload)?.[0] ?? 0;
  if (reason !== 0 || overload === 0) return reason;
  if (overload > 3) return Drop.DhcpMalformed;
  const inFile = (overload & 1) === 0 ? 0 : readOptions(message, FILE, FILE + 128, into);
  if (inFile !== 0 || (overload & 2) === 0) return inFile;
  return readOptions(message, SNAME, SNAME + 64, into);
}

function readOptions(message: Uint8Array, at: number, end: number, into: Map<number, Uint8Array>): number {
  while (at < end) {
    const code = message[at] as number;
    if (code === END) return 0;
    if (code === PAD) {
      at++;
      continue;
    }
    const length = message[at + 1];
    if (at + 1 >= end || length === undefined || at + 2 + length > end) return Drop.DhcpTruncated;
    const part = message.slice(at + 2, at + 2 + length);
    const before = into.get(code);
    into.set(code, before === undefined ? part : joined(before, part));
    at += 2 + length;
  }
  return 0; // no end option: many forget it
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const whole = new Uint8Array(a.length + b.length);
  whole.set(a);
  whole.set(b, a.length);
  return whole;
}

/**
 * Writes `message` and answers its octets, at most `max` (MESSAGE_MIN or more). Options go out in the map's order; those that do
 * not fit go on in `file` and `sname` (RFC 2131 §4.1), in parts where they are long (RFC 3396). What fits nowhere is left out.
 */
export function write(message: DhcpMessage, max: number): Uint8Array {
  const bytes = new Uint8Array(Math.max(max, MESSAGE_MIN));
  const view = new DataView(bytes.buffer);
  bytes.set([message.op, ETHERNET, 6, 0]);
  view.setUint32(4, message.xid);
  view.setUint16(8, message.secs);
  view.setUint16(10, message.flags);
  [message.ciaddr, message.yiaddr, message.siaddr, message.giaddr].forEach((word, i) => view.setInt32(12 + 4 * i, word));
  bytes.set(message.chaddr.subarray(0, 6), 28);
  view.setUint32(236, COOKIE);
  return bytes.slice(0, Math.max(BOOTP_LEN, writeOptions(bytes, [...message.options])));
}

function writeOptions(bytes: Uint8Array, options: readonly (readonly [number, Uint8Array])[]): number {
  const total = options.reduce((sum, [, value]) => sum + 2 * Math.max(1, Math.ceil(value.length / 255)) + value.length, 1);
  const overloaded = OPTIONS + total > bytes.length;
  const fields = overloaded ? FIELDS.map(({ from, to }) => ({ at: from, from, to })) : [];
  const main = { at: OPTIONS + (overloaded ? 3 : 0), from: OPTIONS, to: bytes.length };
  for (const [code, value] of options) place(bytes, [main, ...fields], code, value);
  let used = 0;
  for (const [i, field] of fields.entries()) {
    if (field.at === field.from) continue;
    bytes[field.at] = END;
    used |= 1 << i;
  }
  if (overloaded) bytes.set([Option.Overload, 1, used], OPTIONS);
  bytes[main.at] = END;
  return main.at + 1;
}

/** Bit 0 of the overload option is `file`, bit 1 `sname`. RFC 2132 §9.3. */
const FIELDS = [
  { from: FILE, to: FILE + 128 },
  { from: SNAME, to: SNAME + 64 },
] as const;

/** Puts an option into the first field with room for some of it, the rest into those behind. The last octet of each is for the end. */
function place(bytes: Uint8Array, fields: readonly { at: number; readonly to: number }[], code: number, value: Uint8Array): void {
  if (fields.reduce((sum, { at, to }) => sum + capacity(to - 1 - at), 0) < value.length) return;
  let done = 0;
  for (const field of fields) {
    while (field.to - 1 - field.at >= 2 && (done < value.length || (done === 0 && value.length === 0))) {
      const part = Math.min(value.length - done, field.to - 1 - field.at - 2, 255);
      if (part === 0 && value.length > 0) break;
      bytes[field.at] = code;
      bytes[field.at + 1] = part;
      bytes.set(value.subarray(done, done + part), field.at + 2);
      field.at += 2 + part;
      done += part;
      if (value.length === 0) return;
    }
    if (done === value.length) return;
  }
}

/** Octets of values that fit `space`, each part of up to 255 with its code and length. */
const capacity = (space: number): number => 255 * Math.floor(space / 257) + Math.max(0, (space % 257) - 2);

const names = Object.keys(MessageType);

/** One line for people. */
export function format(bytes: Uint8Array, at: number, end: number): string {
  const message = parse(bytes, at, end);
  if (typeof message === 'number') return 'dhcp malformed';
  const type = message.options.get(Option.MessageType)?.[0] ?? 0;
  return `dhcp ${(names[type - 1] ?? `type ${type}`).toLowerCase()} ${message.xid.toString(16)}`;
}
