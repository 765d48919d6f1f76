// hot: bench/packet
import type { Address } from '../../base/address.js';
import { finish, sum, update16, update32 } from '../../base/checksum.js';
import { Checksum, type Packet } from '../../base/packet.js';
import { Protocol } from '../../wire/protocol.js';
import { pseudoSum } from '../../wire/transport-checksum.js';
import { isEcho, type Quoted } from './tuple.js';

/**
 * Rewriting addresses and ports in place with checksums brought along (RFC 1624). A checksum that a device is still to
 * finish holds the plain sum of the pseudo header: it is brought along complemented.
 */

/** Gives the packet another source (and source port, −1 to leave it). network and transport must be set. */
export function rewriteSource(packet: Packet, address: Address, port: number): void {
  rewrite(packet, packet.network, packet.transport, packet.protocol, true, address, port, packet.checksum === Checksum.Partial);
  packet.source.copy(address);
  if (port >= 0) packet.sourcePort = port;
}

/** The same for the destination. */
export function rewriteDestination(packet: Packet, address: Address, port: number): void {
  rewrite(packet, packet.network, packet.transport, packet.protocol, false, address, port, packet.checksum === Checksum.Partial);
  packet.destination.copy(address);
  if (port >= 0) packet.destinationPort = port;
}

/**
 * The same in the packet an ICMP error quotes. The error's own checksum covers the quote: the caller recomputes it, since
 * a quoted transport checksum may be cut off.
 */
export function rewriteQuoted(packet: Packet, quoted: Quoted, protocol: number, source: boolean, address: Address, port: number): void {
  rewrite(packet, quoted.network, quoted.transport, protocol, source, address, port, false);
}

/** Computes the checksum of a whole ICMP message anew. */
export function finishIcmp(packet: Packet): void {
  const { view, transport, tail } = packet;
  const length = tail - transport;
  view.setUint16(transport + 2, 0);
  const pseudo = packet.family === 6 ? pseudoSum(packet.source, packet.destination, Protocol.Icmpv6, length) : 0;
  view.setUint16(transport + 2, finish(sum(view, transport, length, pseudo)));
}

function rewrite(
  packet: Packet,
  network: number,
  transport: number,
  protocol: number,
  source: boolean,
  address: Address,
  port: number,
  partial: boolean,
): void {
  const { view } = packet;
  const field = checksumField(packet, transport, protocol);
  let sum = field < 0 ? 0 : view.getUint16(field);
  const skipped = field < 0 || (protocol === Protocol.Udp && sum === 0 && packet.family === 4 && !partial);
  if (partial) sum = ~sum & 0xffff;
  const pseudo = protocol !== Protocol.Icmp;
  if (packet.family === 4) {
    const at = network + (source ? 12 : 16);
    const old = view.getInt32(at);
    view.setInt32(at, address.w3);
    view.setUint16(network + 10, update32(view.getUint16(network + 10), old, address.w3));
    if (pseudo) sum = update32(sum, old, address.w3);
  } else {
    const at = network + (source ? 8 : 24);
    for (let i = 0; i < 4; i++) {
      const word = i === 0 ? address.w0 : i === 1 ? address.w1 : i === 2 ? address.w2 : address.w3;
      sum = update32(sum, view.getInt32(at + 4 * i), word);
      view.setInt32(at + 4 * i, word);
    }
  }
  if (port >= 0) {
    const at = portField(packet, transport, protocol, source);
    if (at >= 0) {
      if (!partial) sum = update16(sum, view.getUint16(at), port);
      view.setUint16(at, port);
    }
  }
  if (skipped) return;
  if (partial) sum = ~sum & 0xffff;
  else if (protocol === Protocol.Udp && sum === 0) sum = 0xffff;
  view.setUint16(field, sum);
}

/** Where the port, or the identifier of an echo, stands; −1 where there is none. */
function portField(packet: Packet, transport: number, protocol: number, source: boolean): number {
  if (protocol === Protocol.Tcp || protocol === Protocol.Udp || protocol === 132 || protocol === 136) return transport + (source ? 0 : 2);
  if (protocol !== Protocol.Icmp && protocol !== Protocol.Icmpv6) return -1;
  return isEcho(packet.family, packet.view.getUint8(transport)) ? transport + 4 : -1;
}

/** Where the checksum stands that the pseudo header or the port goes into; −1 where there is none or it is cut off. */
function checksumField(packet: Packet, transport: number, protocol: number): number {
  let at = -1;
  if (protocol === Protocol.Tcp) at = transport + 16;
  else if (protocol === Protocol.Udp || protocol === 136) at = transport + 6;
  else if (protocol === Protocol.Icmp || protocol === Protocol.Icmpv6) at = transport + 2;
  return at >= 0 && at + 2 <= packet.tail ? at : -1;
}
