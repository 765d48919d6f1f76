// hot: bench/micro/wire
/**
 * TCP (RFC 9293 §3.1, §3.2).
 *
 * ```
 *  0             2                  4     8     12               13      14       16         18       20
 *  | source port | destination port | seq | ack | offset(4) 0(4) | flags | window | checksum | urgent | options, padding | payload
 * ```
 */
import type { Address } from '../base/address.js';
import { finish, sum } from '../base/checksum.js';
import { Drop } from '../base/drops.js';
import { Protocol } from './protocol.js';
import { pseudoSum, verify as verifySum } from './transport-checksum.js';

/** Octets of the header without options. */
export const HEADER_LEN = 20;
/** Octets of the longest header. */
export const HEADER_MAX = 60;

const SEQ = 4;
const ACK = 8;
const OFFSET = 12;
const FLAGS = 13;
const WINDOW = 14;
const CHECKSUM = 16;
const URGENT = 18;

/** Control bits (RFC 9293 §3.1, RFC 3168 §6.1). */
export const Flag = { Fin: 1, Syn: 2, Rst: 4, Psh: 8, Ack: 16, Urg: 32, Ece: 64, Cwr: 128 } as const;

/** 0 or a drop reason: the data offset lies between 5 and the segment's end. Options are for `parseOptions` of tcp-options. */
export function check(view: DataView, at: number, end: number): number {
  if (end - at < HEADER_LEN) return Drop.TcpTruncated;
  const header = headerLength(view, at);
  if (header < HEADER_LEN) return Drop.TcpBadOffset;
  return header > end - at ? Drop.TcpTruncated : 0;
}

/** The checksum over [at, end) and the pseudo header is right. */
export const verify = (view: DataView, at: number, end: number, source: Address, destination: Address): boolean =>
  verifySum(view, at, end, source, destination, Protocol.Tcp);

export const sourcePort = (view: DataView, at: number): number => view.getUint16(at);
export const destinationPort = (view: DataView, at: number): number => view.getUint16(at + 2);
/** As int32, for sequence arithmetic. */
export const seq = (view: DataView, at: number): number => view.getInt32(at + SEQ);
/** As int32. Means something only with Flag.Ack. */
export const ack = (view: DataView, at: number): number => view.getInt32(at + ACK);
/** Octets of the header, options included: [20, 60]. */
export const headerLength = (view: DataView, at: number): number => (view.getUint8(at + OFFSET) >>> 4) << 2;
/** Bits of Flag. */
export const flags = (view: DataView, at: number): number => view.getUint8(at + FLAGS);
/** Unscaled. */
export const window = (view: DataView, at: number): number => view.getUint16(at + WINDOW);
export const checksum = (view: DataView, at: number): number => view.getUint16(at + CHECKSUM);
/** Offset from seq of the octet behind the urgent data. Means something only with Flag.Urg. */
export const urgent = (view: DataView, at: number): number => view.getUint16(at + URGENT);

/**
 * Writes the header but its options. `header` is its length, a multiple of 4; `field` is what to put into the checksum field:
 * 0, or the folded pseudo sum of a partial checksum.
 */
export function put(
  view: DataView,
  at: number,
  from: number,
  to: number,
  sequence: number,
  acknowledged: number,
  header: number,
  bits: number,
  wnd: number,
  field: number,
  urg: number,
): void {
  view.setUint16(at, from);
  view.setUint16(at + 2, to);
  view.setInt32(at + SEQ, sequence);
  view.setInt32(at + ACK, acknowledged);
  view.setUint16(at + OFFSET, (header << 10) | bits);
  view.setUint16(at + WINDOW, wnd);
  view.setUint16(at + CHECKSUM, field);
  view.setUint16(at + URGENT, urg);
}

export const setSeq = (view: DataView, at: number, sequence: number): void => view.setInt32(at + SEQ, sequence);
export const setFlags = (view: DataView, at: number, bits: number): void => view.setUint8(at + FLAGS, bits);
export const setChecksum = (view: DataView, at: number, value: number): void => view.setUint16(at + CHECKSUM, value);

/** Computes the checksum of a segment that lies wholly in [at, end). */
export function finishSegment(view: DataView, at: number, end: number, source: Address, destination: Address): void {
  view.setUint16(at + CHECKSUM, 0);
  view.setUint16(at + CHECKSUM, finish(sum(view, at, end - at, pseudoSum(source, destination, Protocol.Tcp, end - at))));
}

/** Letters of the flags as tcpdump shows them: S, F, R, P, U, E, W, and '.' for ACK. */
export function formatFlags(bits: number): string {
  let text = '';
  if (bits & Flag.Fin) text += 'F';
  if (bits & Flag.Syn) text += 'S';
  if (bits & Flag.Rst) text += 'R';
  if (bits & Flag.Psh) text += 'P';
  if (bits & Flag.Urg) text += 'U';
  if (bits & Flag.Ece) text += 'E';
  if (bits & Flag.Cwr) text += 'W';
  if (bits & Flag.Ack) text += '.';
  return text === '' ? 'none' : text;
}

/** One line for people. */
export function format(view: DataView, at: number, end: number): string {
  if (check(view, at, end) !== 0) return 'tcp truncated';
  const acked = flags(view, at) & Flag.Ack ? ` ack ${ack(view, at) >>> 0}` : '';
  const payload = end - at - headerLength(view, at);
  const ports = `tcp ${sourcePort(view, at)} > ${destinationPort(view, at)}`;
  return `${ports} [${formatFlags(flags(view, at))}] seq ${seq(view, at) >>> 0}${acked} win ${window(view, at)} length ${payload}`;
}
