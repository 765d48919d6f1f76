/**
 * ICMPv6 (RFC 4443).
 *
 * ```
 *  0      1      2          4                     8
 *  | type | code | checksum | identifier | sequence | data …            echo
 *  | type | code | checksum | unused, MTU or pointer| quoted packet …   errors
 * ```
 */
import type { Address } from '../base/address.js';
import { finish, sum } from '../base/checksum.js';
import { Drop } from '../base/drops.js';
import { Protocol } from './protocol.js';
import { pseudoSum, verify as verifySum } from './transport-checksum.js';

/** Octets before data or quoted packet. */
export const HEADER_LEN = 8;
/** An error with its IP header is no longer than the least MTU (RFC 4443 §2.4c). */
export const ERROR_MAX = 1280;

const CHECKSUM = 2;
const QUOTED_HEADER = 40;

/** Message types (IANA icmpv6-parameters). Below 128 are errors. */
export const Type = {
  Unreachable: 1,
  PacketTooBig: 2,
  TimeExceeded: 3,
  ParameterProblem: 4,
  Echo: 128,
  EchoReply: 129,
  MulticastQuery: 130,
  MulticastReport: 131,
  MulticastDone: 132,
  RouterSolicitation: 133,
  RouterAdvertisement: 134,
  NeighborSolicitation: 135,
  NeighborAdvertisement: 136,
  Redirect: 137,
  MulticastReportV2: 143,
} as const;

/** Codes of Unreachable (RFC 4443 §3.1). */
export const Unreachable = { NoRoute: 0, AdminProhibited: 1, BeyondScope: 2, Address: 3, Port: 4, SourcePolicy: 5, RejectRoute: 6 } as const;
/** Codes of TimeExceeded (RFC 4443 §3.3). */
export const TimeExceeded = { HopLimit: 0, Reassembly: 1 } as const;

/** 0 or a drop reason; for errors a whole quoted IPv6 header is there. `verify` proves the checksum. */
export function check(view: DataView, at: number, end: number): number {
  if (end - at < HEADER_LEN) return Drop.IcmpTruncated;
  return isError(view.getUint8(at)) && end - at < HEADER_LEN + QUOTED_HEADER ? Drop.IcmpTruncated : 0;
}

/** The checksum over the message in [at, end) and its pseudo header is right. */
export const verify = (view: DataView, at: number, end: number, source: Address, destination: Address): boolean =>
  verifySum(view, at, end, source, destination, Protocol.Icmpv6);

/** Errors, known or not: they go up to whom the quoted packet belongs, and no error is sent about one (RFC 4443 §2.4). */
export const isError = (kind: number): boolean => kind < 128;

export const type = (view: DataView, at: number): number => view.getUint8(at);
export const code = (view: DataView, at: number): number => view.getUint8(at + 1);
export const checksum = (view: DataView, at: number): number => view.getUint16(at + CHECKSUM);
export const identifier = (view: DataView, at: number): number => view.getUint16(at + 4);
export const sequence = (view: DataView, at: number): number => view.getUint16(at + 6);
/** MTU of the next hop in PacketTooBig. Below 1,280 it is not believed (RFC 8201 §4). */
export const mtu = (view: DataView, at: number): number => view.getUint32(at + 4);
/** Octet a ParameterProblem complains of. */
export const pointer = (view: DataView, at: number): number => view.getUint32(at + 4);
/** Where the quoted packet begins. */
export const quoted = (at: number): number => at + HEADER_LEN;

/** Writes the header with a zero checksum; `rest` is the second word. `finishMessage` follows once the data are there. */
export function put(view: DataView, at: number, kind: number, reason: number, rest: number): void {
  view.setUint16(at, (kind << 8) | reason);
  view.setUint16(at + CHECKSUM, 0);
  view.setInt32(at + 4, rest);
}

/** Computes the checksum of the message in [at, end). */
export function finishMessage(view: DataView, at: number, end: number, source: Address, destination: Address): void {
  view.setUint16(at + CHECKSUM, 0);
  view.setUint16(at + CHECKSUM, finish(sum(view, at, end - at, pseudoSum(source, destination, Protocol.Icmpv6, end - at))));
}

const names = new Map<number, string>(Object.entries(Type).map(([name, n]) => [n, name]));

/** One line for people. */
export function format(view: DataView, at: number, end: number): string {
  if (end - at < HEADER_LEN) return 'icmpv6 truncated';
  const kind = type(view, at);
  const echo = kind === Type.Echo || kind === Type.EchoReply ? ` id ${identifier(view, at)} sequence ${sequence(view, at)}` : '';
  return `icmpv6 ${names.get(kind) ?? `type ${kind}`} code ${code(view, at)}${echo}`;
}
