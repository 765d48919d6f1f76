// hot: bench/micro/wire
/**
 * UDP (RFC 768, RFC 8200 §8.1).
 *
 * ```
 *  0             2                  4        6          8
 *  | source port | destination port | length | checksum | payload
 * ```
 */
import type { Address } from '../base/address.js';
import { finish, fold, sum } from '../base/checksum.js';
import { Drop } from '../base/drops.js';
import { Protocol } from './protocol.js';
import { pseudoSum } from './transport-checksum.js';

/** Octets of the header. */
export const HEADER_LEN = 8;

const LENGTH = 4;
const CHECKSUM = 6;

/** 0 or a drop reason: the length field covers the header and lies within the packet. What lies past it is padding. */
export function check(view: DataView, at: number, end: number): number {
  if (end - at < HEADER_LEN) return Drop.UdpTruncated;
  const octets = view.getUint16(at + LENGTH);
  return octets < HEADER_LEN || octets > end - at ? Drop.UdpBadLength : 0;
}

/** The checksum is right, or zero over IPv4: none was computed (RFC 768). Over IPv6 there must be one (RFC 8200 §8.1). */
export function verify(view: DataView, at: number, source: Address, destination: Address): boolean {
  if (view.getUint16(at + CHECKSUM) === 0) return destination.isV4;
  const octets = view.getUint16(at + LENGTH);
  return fold(sum(view, at, octets, pseudoSum(source, destination, Protocol.Udp, octets))) === 0xffff;
}

export const sourcePort = (view: DataView, at: number): number => view.getUint16(at);
export const destinationPort = (view: DataView, at: number): number => view.getUint16(at + 2);
/** Octets of header and payload. */
export const length = (view: DataView, at: number): number => view.getUint16(at + LENGTH);
export const checksum = (view: DataView, at: number): number => view.getUint16(at + CHECKSUM);

/** Writes the header. `field` is what to put into the checksum field: 0, or the folded pseudo sum of a partial checksum. */
export function put(view: DataView, at: number, from: number, to: number, octets: number, field: number): void {
  view.setUint16(at, from);
  view.setUint16(at + 2, to);
  view.setUint16(at + LENGTH, octets);
  view.setUint16(at + CHECKSUM, field);
}

/** Computes the checksum of a datagram that lies wholly in the view. A computed zero is sent as ones (RFC 768). */
export function finishDatagram(view: DataView, at: number, source: Address, destination: Address): void {
  view.setUint16(at + CHECKSUM, 0);
  const octets = view.getUint16(at + LENGTH);
  view.setUint16(at + CHECKSUM, finish(sum(view, at, octets, pseudoSum(source, destination, Protocol.Udp, octets))) || 0xffff);
}

/** One line for people. */
export function format(view: DataView, at: number, end: number): string {
  if (end - at < HEADER_LEN) return 'udp truncated';
  return `udp ${sourcePort(view, at)} > ${destinationPort(view, at)} length ${length(view, at)}`;
}
