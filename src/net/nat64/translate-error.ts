import type { Address } from '../../base/address.js';
import { Checksum, type Packet } from '../../base/packet.js';
import * as icmpv4 from '../../wire/icmpv4.js';
import * as icmpv6 from '../../wire/icmpv6.js';
import * as ipv4 from '../../wire/ipv4.js';
import * as ipv6 from '../../wire/ipv6.js';
import { Protocol } from '../../wire/protocol.js';
import type { Context } from '../context.js';
import type { Quoted, Tuple } from '../filter/tuple.js';
import { to4, to6 } from './errors.js';
import { rewriteTransport } from './translate.js';

/** An error to be translated, and what it quotes. */
export interface TranslatedError {
  readonly packet: Packet;
  /** The quoted packet's ends as they stand in the error, and its places there. */
  readonly quoted: Tuple;
  readonly places: Quoted;
  /** The same packet's ends in the other family. */
  readonly inner: Tuple;
  /** Who the error is to be from. It goes to the source of `inner`. */
  readonly source: Address;
}

/**
 * An ICMP error in the other family, with the packet it quotes (RFC 7915 §4.2, §4.3, §5.2, §5.3): a new packet, head at its IP header; the given one
 * stays the caller's. Extensions (RFC 4884) are left out. Null: it has no counterpart, or there is no memory.
 */
export function translateError(ctx: Context, error: TranslatedError): Packet | null {
  const { packet: given, inner, places, source } = error;
  const v4 = inner.source.isV4;
  const { view } = given;
  const octets = v4 ? ipv6.payloadLength(view, places.network) : ipv4.totalLength(view, places.network) - (places.transport - places.network);
  const head = v4 ? to4(view, given.transport) : to6(view, given.transport, ipv4.totalLength(view, places.network));
  const packet = head === null ? null : ctx.packet();
  if (head === null || packet === null) return null;
  const at = packet.head;
  const put = v4 ? icmpv4.put : icmpv6.put;
  put(packet.view, at, head.type, head.code, head.rest);
  quote(packet, at + icmpv4.HEADER_LEN, octets, error);
  const { destination } = packet;
  packet.source.copy(source);
  destination.copy(inner.source);
  if (v4) icmpv4.finishMessage(packet.view, at, packet.tail);
  else icmpv6.finishMessage(packet.view, at, packet.tail, source, destination);
  packet.checksum = Checksum.Verified;
  const hops = given.ttl + 1; // as of any packet: both families' forwarding takes one off
  const length = packet.tail - at;
  if (v4) {
    const start = packet.push(ipv4.HEADER_LEN);
    ipv4.put(packet.view, start, given.trafficClass, length + ipv4.HEADER_LEN, 0, 0, Math.min(hops, 255), Protocol.Icmp, source.w3, destination.w3);
  } else {
    const start = packet.push(ipv6.HEADER_LEN);
    ipv6.put(packet.view, start, given.trafficClass, 0, length, Protocol.Icmpv6, Math.min(hops, 255), source, destination);
  }
  packet.network = packet.head;
  packet.transport = at;
  packet.depth = given.depth;
  return packet;
}

/** Writes the quoted packet's header, and as much of what is behind it as fits an error. Sets tail. */
function quote(packet: Packet, at: number, octets: number, { packet: given, quoted, places, inner }: TranslatedError): void {
  const v4 = inner.source.isV4;
  const { view } = packet;
  const { source, destination, protocol } = inner;
  const transport = at + (v4 ? ipv4.HEADER_LEN : ipv6.HEADER_LEN);
  const outer = v4 ? ipv4.HEADER_LEN : ipv6.HEADER_LEN;
  const most = (v4 ? icmpv4.ERROR_MAX : icmpv6.ERROR_MAX) - outer - (transport - packet.head);
  const there = Math.min(end(given) - places.transport, octets, most);
  packet.bytes.set(given.bytes.subarray(places.transport, places.transport + there), transport);
  packet.tail = transport + there;
  if (v4) {
    const hops = ipv6.hopLimit(given.view, places.network);
    ipv4.put(view, at, ipv6.trafficClass(given.view, places.network), octets + ipv4.HEADER_LEN, 0, 0, hops, protocol, source.w3, destination.w3);
  } else {
    const hops = ipv4.ttl(given.view, places.network);
    ipv6.put(view, at, ipv4.trafficClass(given.view, places.network), 0, octets, protocol, hops, source, destination);
  }
  rewriteTransport(view, transport, packet.tail, octets, quoted.protocol, quoted, inner, Checksum.Unverified);
}

/** Where the quote ends: before extensions, if the error says that it has some (RFC 4884 §3). */
function end({ view, transport, tail, family }: Packet): number {
  const words = family === 4 ? 4 * view.getUint8(transport + 5) : 8 * view.getUint8(transport + 4);
  const kind = view.getUint8(transport);
  const extensible =
    family === 4
      ? kind === icmpv4.Type.Unreachable || kind === icmpv4.Type.TimeExceeded || kind === icmpv4.Type.ParameterProblem
      : kind === icmpv6.Type.Unreachable || kind === icmpv6.Type.TimeExceeded;
  return extensible && words > 0 ? Math.min(tail, transport + icmpv4.HEADER_LEN + words) : tail;
}
