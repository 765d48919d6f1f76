// hot: bench/packet
import { Address } from '../../base/address.js';
import type { Packet } from '../../base/packet.js';
import { halfSipHash } from '../../base/siphash.js';
import * as icmpv4 from '../../wire/icmpv4.js';
import * as icmpv6 from '../../wire/icmpv6.js';
import { Protocol } from '../../wire/protocol.js';
import type { Connection } from './connection.js';

/** What tells one direction of a flow from all others. For echo both ports are its identifier. */
export class Tuple {
  readonly source = new Address();
  readonly destination = new Address();
  sourcePort = 0;
  destinationPort = 0;
  protocol = 0;
  vrf = 0;
  /** Set once the tuple lies in the table. */
  connection: Connection | null = null;
  hash = 0;
  next: Tuple | null = null;

  copy(from: Tuple): void {
    this.source.copy(from.source);
    this.destination.copy(from.destination);
    this.sourcePort = from.sourcePort;
    this.destinationPort = from.destinationPort;
    this.protocol = from.protocol;
    this.vrf = from.vrf;
  }

  /** The tuple of what comes back. */
  invert(from: Tuple): void {
    this.source.copy(from.destination);
    this.destination.copy(from.source);
    this.sourcePort = from.destinationPort;
    this.destinationPort = from.sourcePort;
    this.protocol = from.protocol;
    this.vrf = from.vrf;
  }

  equals(o: Tuple): boolean {
    return (
      this.sourcePort === o.sourcePort &&
      this.destinationPort === o.destinationPort &&
      this.protocol === o.protocol &&
      this.vrf === o.vrf &&
      this.source.equals(o.source) &&
      this.destination.equals(o.destination)
    );
  }

  /** Secret: strangers choose addresses and ports. */
  computeHash(secret: Int32Array, words: Int32Array): number {
    const { source: s, destination: d } = this;
    words[0] = s.w3;
    words[1] = d.w3;
    words[2] = (this.sourcePort << 16) | this.destinationPort;
    words[3] = (this.vrf << 8) | this.protocol;
    if (s.isV4) return halfSipHash(secret, words, 4);
    words[4] = s.w0;
    words[5] = s.w1;
    words[6] = s.w2;
    words[7] = d.w0;
    words[8] = d.w1;
    words[9] = d.w2;
    return halfSipHash(secret, words, 10);
  }
}

/** What `readTuple` found. */
export const Kind = { Flow: 0, Error: 1, Malformed: 2 } as const;

const withPorts = (protocol: number): boolean => protocol === Protocol.Tcp || protocol === Protocol.Udp || protocol === 132 || protocol === 136;

/** Reads a packet's tuple, network and transport being set. Error: an ICMP error, which belongs to the flow it quotes. */
export function readTuple(packet: Packet, vrf: number, into: Tuple): number {
  into.source.copy(packet.source);
  into.destination.copy(packet.destination);
  into.protocol = packet.protocol;
  into.vrf = vrf;
  const { view, transport, tail } = packet;
  if (withPorts(packet.protocol)) {
    if (tail - transport < 8) return Kind.Malformed;
    into.sourcePort = view.getUint16(transport);
    into.destinationPort = view.getUint16(transport + 2);
    packet.sourcePort = into.sourcePort;
    packet.destinationPort = into.destinationPort;
    return Kind.Flow;
  }
  into.sourcePort = into.destinationPort = 0;
  if (packet.protocol !== Protocol.Icmp && packet.protocol !== Protocol.Icmpv6) return Kind.Flow;
  if (tail - transport < 8) return Kind.Malformed;
  const type = view.getUint8(transport);
  if (packet.family === 4 ? icmpv4.isError(type) : type < 128) return Kind.Error;
  if (isEcho(packet.family, type)) into.sourcePort = into.destinationPort = view.getUint16(transport + 4);
  return Kind.Flow;
}

/** Echo request or reply. */
export function isEcho(family: number, type: number): boolean {
  if (family === 4) return type === icmpv4.Type.Echo || type === icmpv4.Type.EchoReply;
  return type === icmpv6.Type.Echo || type === icmpv6.Type.EchoReply;
}

/**
 * Reads the tuple of the packet that an ICMP error quotes, as it was on its way: of the flow's one direction, so the error
 * travels in the other. Ports of a quoted fragment or of too few octets make it Malformed.
 */
export function readQuoted(packet: Packet, vrf: number, into: Tuple, quoted: Quoted): number {
  const { view, tail } = packet;
  const at = packet.transport + 8;
  quoted.network = at;
  into.vrf = vrf;
  if (packet.family === 4) {
    if (tail - at < 28) return Kind.Malformed;
    const header = (view.getUint8(at) & 15) << 2;
    if (view.getUint8(at) >>> 4 !== 4 || header < 20 || tail - at < header + 8 || (view.getUint16(at + 6) & 0x1fff) !== 0) return Kind.Malformed;
    quoted.transport = at + header;
    into.protocol = view.getUint8(at + 9);
    into.source.setV4(view.getInt32(at + 12));
    into.destination.setV4(view.getInt32(at + 16));
  } else {
    if (tail - at < 48 || view.getUint8(at) >>> 4 !== 6) return Kind.Malformed;
    quoted.transport = at + 40;
    into.protocol = view.getUint8(at + 6);
    into.source.set(view.getInt32(at + 8), view.getInt32(at + 12), view.getInt32(at + 16), view.getInt32(at + 20));
    into.destination.set(view.getInt32(at + 24), view.getInt32(at + 28), view.getInt32(at + 32), view.getInt32(at + 36));
  }
  into.sourcePort = into.destinationPort = 0;
  const t = quoted.transport;
  if (withPorts(into.protocol)) {
    into.sourcePort = view.getUint16(t);
    into.destinationPort = view.getUint16(t + 2);
  } else if (into.protocol === Protocol.Icmp || into.protocol === Protocol.Icmpv6) {
    if (!isEcho(packet.family, view.getUint8(t))) return Kind.Malformed;
    into.sourcePort = into.destinationPort = view.getUint16(t + 4);
  }
  return Kind.Flow;
}

/** Where the headers of a quoted packet stand. */
export class Quoted {
  network = 0;
  transport = 0;
}
