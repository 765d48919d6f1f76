/**
 * ICMP (RFC 792, RFC 1122 §3.2.2, RFC 1191 §4, RFC 4884 §4.1).
 *
 * ```
 *  0      1      2          4            6          8
 *  | type | code | checksum | identifier | sequence | data …            echo
 *  | type | code | checksum | 0 | length | MTU      | quoted packet …   unreachable, time exceeded
 *  | type | code | checksum | ptr| 0 …              | quoted packet …   parameter problem
 *  | type | code | checksum | gateway               | quoted packet …   redirect
 * ```
 */
import { finish, fold, sum } from '../base/checksum.js';
import { Drop } from '../base/drops.js';

/** Octets before data or quoted packet. */
export const HEADER_LEN = 8;
/** Octets of the quoted packet's transport header that every error holds (RFC 792). */
export const QUOTE_MIN = 8;
/** An error with its IP header is no longer than this (RFC 1812 §4.3.2.3). */
export const ERROR_MAX = 576;

const CHECKSUM = 2;
const IDENTIFIER = 4;
const SEQUENCE = 6;
const MTU = 6;
const TIMESTAMP_LEN = 20;

/** Message types (IANA icmp-parameters). */
export const Type = {
  EchoReply: 0,
  Unreachable: 3,
  SourceQuench: 4,
  Redirect: 5,
  Echo: 8,
  RouterAdvertisement: 9,
  RouterSolicitation: 10,
  TimeExceeded: 11,
  ParameterProblem: 12,
  Timestamp: 13,
  TimestampReply: 14,
} as const;

/** Codes of Unreachable (RFC 792, RFC 1122 §3.2.2.1, RFC 1812 §5.2.7.1). */
export const Unreachable = {
  Net: 0,
  Host: 1,
  Protocol: 2,
  Port: 3,
  FragmentationNeeded: 4,
  SourceRouteFailed: 5,
  NetUnknown: 6,
  HostUnknown: 7,
  NetProhibited: 9,
  HostProhibited: 10,
  NetForTos: 11,
  HostForTos: 12,
  AdminProhibited: 13,
} as const;
/** Codes of TimeExceeded. */
export const TimeExceeded = { Transit: 0, Reassembly: 1 } as const;
/** Codes of Redirect. */
export const Redirect = { Net: 0, Host: 1, NetForTos: 2, HostForTos: 3 } as const;

/** 0 or a drop reason: checksum, and for errors a quoted IPv4 header that is there as far as it says. */
export function check(view: DataView, at: number, end: number): number {
  if (end - at < HEADER_LEN) return Drop.IcmpTruncated;
  if (fold(sum(view, at, end - at)) !== 0xffff) return Drop.IcmpBadChecksum;
  const kind = view.getUint8(at);
  if (kind === Type.Timestamp || kind === Type.TimestampReply) return end - at < TIMESTAMP_LEN ? Drop.IcmpTruncated : 0;
  if (!isError(kind)) return 0;
  const quoted = at + HEADER_LEN;
  if (end - quoted < 20 + QUOTE_MIN) return Drop.IcmpTruncated;
  const header = (view.getUint8(quoted) & 15) << 2;
  return header < 20 || end - quoted < header + QUOTE_MIN ? Drop.IcmpTruncated : 0;
}

/** Types that report on a packet they quote. No error is sent about one of these (RFC 1122 §3.2.2). */
export const isError = (kind: number): boolean =>
  kind === Type.Unreachable || kind === Type.TimeExceeded || kind === Type.ParameterProblem || kind === Type.Redirect || kind === Type.SourceQuench;

export const type = (view: DataView, at: number): number => view.getUint8(at);
export const code = (view: DataView, at: number): number => view.getUint8(at + 1);
export const checksum = (view: DataView, at: number): number => view.getUint16(at + CHECKSUM);
export const identifier = (view: DataView, at: number): number => view.getUint16(at + IDENTIFIER);
export const sequence = (view: DataView, at: number): number => view.getUint16(at + SEQUENCE);
/** MTU of the next hop in FragmentationNeeded; 0 from routers older than RFC 1191. */
export const mtu = (view: DataView, at: number): number => view.getUint16(at + MTU);
/** Octet a ParameterProblem complains of. */
export const pointer = (view: DataView, at: number): number => view.getUint8(at + 4);
/** Router a Redirect names, as int32. */
export const gateway = (view: DataView, at: number): number => view.getInt32(at + 4);
/** Where the quoted packet begins. */
export const quoted = (at: number): number => at + HEADER_LEN;

/** Writes the header with a zero checksum; `rest` is the second word. `finishMessage` follows once the data are there. */
export function put(view: DataView, at: number, kind: number, reason: number, rest: number): void {
  view.setUint16(at, (kind << 8) | reason);
  view.setUint16(at + CHECKSUM, 0);
  view.setInt32(at + 4, rest);
}

/** Computes the checksum of the message in [at, end). */
export function finishMessage(view: DataView, at: number, end: number): void {
  view.setUint16(at + CHECKSUM, 0);
  view.setUint16(at + CHECKSUM, finish(sum(view, at, end - at)));
}

const names = new Map<number, string>(Object.entries(Type).map(([name, n]) => [n, name]));

/** One line for people. */
export function format(view: DataView, at: number, end: number): string {
  if (end - at < HEADER_LEN) return 'icmp truncated';
  const kind = type(view, at);
  const echo = kind === Type.Echo || kind === Type.EchoReply ? ` id ${identifier(view, at)} sequence ${sequence(view, at)}` : '';
  return `icmp ${names.get(kind) ?? `type ${kind}`} code ${code(view, at)}${echo}`;
}
