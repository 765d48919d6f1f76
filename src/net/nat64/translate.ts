// hot: bench/packet
import { finish, fold, sum } from '../../base/checksum.js';
import { Checksum, Gso, type Packet, PacketFlag } from '../../base/packet.js';
import * as icmpv4 from '../../wire/icmpv4.js';
import * as icmpv6 from '../../wire/icmpv6.js';
import * as ipv4 from '../../wire/ipv4.js';
import * as ipv6 from '../../wire/ipv6.js';
import { Protocol } from '../../wire/protocol.js';
import { pseudoSum } from '../../wire/transport-checksum.js';
import type { Context } from '../context.js';
import type { Tuple } from '../filter/tuple.js';

/** Longest IPv4 packet that is left to be cut on its way: what 1,280 octets of IPv6 become. RFC 7915 §5.1. */
const UNCUT_MAX = ipv6.MTU_MIN - ipv6.HEADER_LEN + ipv4.HEADER_LEN;
/** More headroom that the longer header needs, and Ethernet with two tags. */
const ROOM = ipv6.HEADER_LEN - ipv4.HEADER_LEN + 22;

/** The family's number of a protocol. */
export const protocolIn = (family: number, protocol: number): number => {
  if (protocol !== Protocol.Icmp && protocol !== Protocol.Icmpv6) return protocol;
  return family === 4 ? Protocol.Icmp : Protocol.Icmpv6;
};

/**
 * A whole IPv6 packet whose headers have been judged becomes an IPv4 one (RFC 7915 §5.1), head at its header: with the ends `to` in the place of
 * `from`. It is no error of ICMP, and its octets are its own. Checksums are brought along, so that a wrong one stays wrong.
 */
export function toIpv4(packet: Packet, from: Tuple, to: Tuple, identification: number): void {
  const { view, transport, trafficClass } = packet;
  const cut = (packet.flags & (PacketFlag.Reassembled | PacketFlag.Fragmented)) !== 0;
  rewriteTransport(view, transport, packet.tail, packet.length - (transport - packet.head), packet.protocol, from, to, packet.checksum);
  const at = transport - ipv4.HEADER_LEN;
  packet.head = packet.network = at;
  const { length } = packet;
  const free = cut || (length <= UNCUT_MAX && packet.gsoType === Gso.None);
  const { source, destination, protocol } = to;
  const word = free ? 0 : ipv4.Flag.DontFragment;
  ipv4.put(view, at, trafficClass, length & 0xffff, free ? identification : 0, word, hops(packet), protocol, source.w3, destination.w3);
  if (packet.gsoType === Gso.Tcp6) packet.gsoType = Gso.Tcp4;
}

/** The opposite (RFC 7915 §4.1). Null when there is no memory: it was dropped. */
export function toIpv6(ctx: Context, given: Packet, from: Tuple, to: Tuple): Packet | null {
  const packet = ctx.roomy(given, ROOM, false);
  if (packet === null) return null;
  const { view, transport, trafficClass } = packet;
  const octets = packet.length - (transport - packet.head);
  rewriteTransport(view, transport, packet.tail, octets, packet.protocol, from, to, packet.checksum);
  const at = transport - ipv6.HEADER_LEN;
  packet.head = packet.network = at;
  ipv6.put(view, at, trafficClass, 0, octets & 0xffff, to.protocol, hops(packet), to.source, to.destination);
  if (packet.gsoType === Gso.Tcp4) packet.gsoType = Gso.Tcp6;
  return packet;
}

/** Both families' forwarding takes a hop off; together they are one router. */
const hops = ({ ttl, flags }: Packet): number => (flags & PacketFlag.Forwarded ? ttl + 1 : ttl);

/**
 * Ports, echo identifiers and types, and the checksum of the transport header at `at`, from one family to the other. `end` bounds what is there,
 * `octets` is the length the pseudo header has, `protocol` what it is in `from`'s family. What is cut off is left alone.
 */
export function rewriteTransport(
  view: DataView,
  at: number,
  end: number,
  octets: number,
  protocol: number,
  from: Tuple,
  to: Tuple,
  state: number,
): void {
  if (protocol === Protocol.Icmp || protocol === Protocol.Icmpv6) {
    rewriteEcho(view, at, octets, from, to);
    return;
  }
  const field = at + (protocol === Protocol.Tcp ? 16 : 6);
  const there = field + 2 <= end;
  const old = there ? view.getUint16(field) : 0;
  const ports = from.sourcePort + from.destinationPort;
  view.setUint16(at, to.sourcePort);
  view.setUint16(at + 2, to.destinationPort);
  if (!there) return;
  const before = pseudoSum(from.source, from.destination, 0, 0);
  const now = pseudoSum(to.source, to.destination, 0, 0);
  if (state === Checksum.Partial) view.setUint16(field, fold(old + (~fold(before) & 0xffff) + fold(now)));
  else if (protocol === Protocol.Udp && old === 0) {
    // RFC 6146 §3.4: IPv4 may do without, IPv6 may not. Of a quote that is cut off nothing can be computed.
    if (to.source.isV4 || end - at < octets) return;
    view.setUint16(field, finish(sum(view, at, octets, now + Protocol.Udp + octets)) || 0xffff);
  } else {
    const sums = exchange(old, before + ports, now + to.sourcePort + to.destinationPort);
    view.setUint16(field, protocol === Protocol.Udp && sums === 0 ? 0xffff : sums);
  }
}

/** ICMPv6 covers a pseudo header, ICMP does not. */
function rewriteEcho(view: DataView, at: number, octets: number, from: Tuple, to: Tuple): void {
  const kind = view.getUint8(at);
  const v4 = to.source.isV4;
  const request = kind === (v4 ? icmpv6.Type.Echo : icmpv4.Type.Echo);
  const now = v4 ? (request ? icmpv4.Type.Echo : icmpv4.Type.EchoReply) : request ? icmpv6.Type.Echo : icmpv6.Type.EchoReply;
  const pseudo = v4
    ? pseudoSum(from.source, from.destination, Protocol.Icmpv6, octets)
    : pseudoSum(to.source, to.destination, Protocol.Icmpv6, octets);
  const before = (kind << 8) + from.sourcePort + (v4 ? pseudo : 0);
  const behind = (now << 8) + to.sourcePort + (v4 ? 0 : pseudo);
  view.setUint8(at, now);
  view.setUint16(at + 2, exchange(view.getUint16(at + 2), before, behind));
  view.setUint16(at + 4, to.sourcePort);
}

/** A checksum when words that summed up to `before` are exchanged for others: RFC 1624 eqn. 3. */
const exchange = (checksum: number, before: number, now: number): number => finish((~checksum & 0xffff) + (~fold(before) & 0xffff) + fold(now));
