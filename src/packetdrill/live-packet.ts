/** A packet the stack has sent, taken apart. */
import { Address } from '../base/address.js';
import * as ipv4 from '../wire/ipv4.js';
import * as ipv6 from '../wire/ipv6.js';
import { Protocol } from '../wire/protocol.js';
import * as tcp from '../wire/tcp.js';
import * as udp from '../wire/udp.js';
import type { TcpOption } from './ast.js';
import { Mismatch } from './outcome.js';
import type { Sent } from './script-device.js';
import { decodeOptions } from './tcp-option-octets.js';

/** As it was on the wire; numbers unsigned. */
export interface LivePacket {
  readonly sent: Sent;
  readonly view: DataView;
  readonly family: 4 | 6;
  readonly source: Address;
  readonly destination: Address;
  readonly trafficClass: number;
  readonly ttl: number;
  readonly flowLabel: number;
  readonly protocol: number;
  /** Where the transport header begins, and where the packet ends. */
  readonly at: number;
  readonly end: number;
  /** 0 for protocols without. */
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly tcp: LiveSegment | null;
}

/** The TCP part of it. */
export interface LiveSegment {
  readonly seq: number;
  readonly ack: number;
  /** With AE as 256 (RFC 9768). */
  readonly flags: number;
  readonly window: number;
  readonly urgent: number;
  readonly options: readonly TcpOption[];
  /** Where the payload begins, and its length. */
  readonly payload: number;
  readonly octets: number;
}

/** Takes a packet apart. Throws Mismatch when a checksum or a length in it is wrong: no script would ask for that. */
export function dissect(sent: Sent): LivePacket {
  const { octets } = sent;
  const view = new DataView(octets.buffer, octets.byteOffset, octets.length);
  const source = new Address();
  const destination = new Address();
  const family = view.getUint8(0) >>> 4 === 6 ? 6 : 4;
  const { check } = family === 4 ? ipv4 : ipv6;
  if (check(view, 0, octets.length) !== 0) throw new Mismatch('outbound packet: its IP header is broken');
  if (family === 4) {
    ipv4.source(view, 0, source);
    ipv4.destination(view, 0, destination);
  } else {
    ipv6.source(view, 0, source);
    ipv6.destination(view, 0, destination);
  }
  const protocol = family === 4 ? ipv4.protocol(view, 0) : ipv6.nextHeader(view, 0);
  const at = family === 4 ? ipv4.headerLength(view, 0) : ipv6.HEADER_LEN;
  const end = family === 4 ? ipv4.totalLength(view, 0) : ipv6.HEADER_LEN + ipv6.payloadLength(view, 0);
  const ports = protocol === Protocol.Tcp || protocol === Protocol.Udp;
  return {
    sent,
    view,
    family,
    source,
    destination,
    trafficClass: family === 4 ? ipv4.trafficClass(view, 0) : ipv6.trafficClass(view, 0),
    ttl: family === 4 ? ipv4.ttl(view, 0) : ipv6.hopLimit(view, 0),
    flowLabel: family === 4 ? 0 : ipv6.flowLabel(view, 0),
    protocol,
    at,
    end,
    sourcePort: ports ? tcp.sourcePort(view, at) : 0,
    destinationPort: ports ? tcp.destinationPort(view, at) : 0,
    tcp: protocol === Protocol.Tcp ? dissectTcp(view, at, end, source, destination) : checked(view, at, end, source, destination, protocol),
  };
}

function dissectTcp(view: DataView, at: number, end: number, source: Address, destination: Address): LiveSegment {
  if (tcp.check(view, at, end) !== 0) throw new Mismatch('outbound packet: its TCP header is broken');
  if (!tcp.verify(view, at, end, source, destination)) throw new Mismatch('outbound packet: its TCP checksum is wrong');
  const payload = at + tcp.headerLength(view, at);
  return {
    seq: tcp.seq(view, at) >>> 0,
    ack: tcp.ack(view, at) >>> 0,
    flags: tcp.flags(view, at) | ((view.getUint8(at + 12) & 1) << 8),
    window: tcp.window(view, at),
    urgent: tcp.urgent(view, at),
    options: decodeOptions(view, at + tcp.HEADER_LEN, payload),
    payload,
    octets: end - payload,
  };
}

function checked(view: DataView, at: number, end: number, source: Address, destination: Address, protocol: number): null {
  if (protocol !== Protocol.Udp) return null;
  if (udp.check(view, at, end) !== 0 || !udp.verify(view, at, source, destination))
    throw new Mismatch('outbound packet: its UDP header or checksum is wrong');
  return null;
}
