/** Traffic selectors (RFC 4301 §4.4.1.1, RFC 7296 §3.13.1) and the values of a packet that they look at. */
import { Address, compareAddresses, formatAddress, maskAddress, type Prefix } from '../../base/address.js';
import type { Packet } from '../../base/packet.js';
import * as ipv4 from '../../wire/ipv4.js';
import { Protocol } from '../../wire/protocol.js';

/** Of a fragment that has no ports, and of protocols without. Matches ANY and OPAQUE (RFC 4301 §4.4.1.1). */
export const OPAQUE = -1;

/** First and last address, both included. */
export interface AddressRange {
  readonly first: Address;
  readonly last: Address;
}

/** One line of a policy: traffic between two ranges. For ICMP both port ranges hold type · 256 + code (RFC 7296 §3.13.1). */
export interface Selector {
  readonly local: AddressRange;
  readonly remote: AddressRange;
  /** 0: any. */
  readonly protocol: number;
  /** Inclusive; [0, 65535] is any, [65535, 0] only what has no ports to be seen (OPAQUE). */
  readonly localPorts: readonly [number, number];
  readonly remotePorts: readonly [number, number];
}

/** Any port, and none. */
export const ANY_PORTS: readonly [number, number] = [0, 65_535];
/** Only what has no ports to be seen. */
export const OPAQUE_PORTS: readonly [number, number] = [65_535, 0];

/** The values of one packet, seen from here: `local` is the source of what goes out, the destination of what comes in. */
export class FlowKey {
  readonly local = new Address();
  readonly remote = new Address();
  protocol = 0;
  localPort = OPAQUE;
  remotePort = OPAQUE;
  /** The interface it goes out on or came in on. */
  index = 0;
  vrf = 0;
  inbound = false;
}

/** Reads a packet whose network header has been checked. Fragments behind the first have no ports. */
export function readFlow(packet: Packet, inbound: boolean, index: number, vrf: number, into: FlowKey): void {
  into.local.copy(inbound ? packet.destination : packet.source);
  into.remote.copy(inbound ? packet.source : packet.destination);
  into.protocol = packet.protocol;
  into.index = index;
  into.vrf = vrf;
  into.inbound = inbound;
  into.localPort = into.remotePort = OPAQUE;
  const { view, transport } = packet;
  if (packet.tail - transport < 4) return;
  if (packet.family === 4 && ipv4.fragmentOffset(view, packet.network) !== 0) return;
  switch (packet.protocol) {
    case Protocol.Tcp:
    case Protocol.Udp:
    case SCTP:
    case DCCP:
    case UDP_LITE: {
      const from = view.getUint16(transport);
      const to = view.getUint16(transport + 2);
      into.localPort = inbound ? to : from;
      into.remotePort = inbound ? from : to;
      return;
    }
    case Protocol.Icmp:
    case Protocol.Icmpv6:
      into.localPort = into.remotePort = view.getUint16(transport);
      return;
    default:
  }
}

const SCTP = 132;
const DCCP = 33;
const UDP_LITE = 136;

/** Does the selector cover the packet? */
export function covers(selector: Selector, flow: FlowKey): boolean {
  if (selector.protocol !== 0 && selector.protocol !== flow.protocol) return false;
  return (
    within(selector.remote, flow.remote) &&
    within(selector.local, flow.local) &&
    portWithin(selector.localPorts, flow.localPort) &&
    portWithin(selector.remotePorts, flow.remotePort)
  );
}

/** Does one of them? */
export function anyCovers(selectors: readonly Selector[], flow: FlowKey): boolean {
  for (let i = 0; i < selectors.length; i++) if (covers(selectors[i] as Selector, flow)) return true;
  return false;
}

export const within = (range: AddressRange, a: Address): boolean => compareAddresses(range.first, a) <= 0 && compareAddresses(a, range.last) <= 0;

function portWithin(ports: readonly [number, number], port: number): boolean {
  const [low, high] = ports;
  if (low > high) return port === OPAQUE;
  if (port === OPAQUE) return low === 0 && high === 65_535;
  return port >= low && port <= high;
}

/** All addresses of a prefix. */
export function rangeOf(prefix: Prefix): AddressRange {
  const bits = prefix.length + (prefix.address.isV4 ? 96 : 0);
  const first = maskAddress(prefix.address, bits);
  const ones = maskAddress(new Address(-1, -1, -1, -1), bits);
  return { first, last: new Address(first.w0 | ~ones.w0, first.w1 | ~ones.w1, first.w2 | ~ones.w2, first.w3 | ~ones.w3) };
}

/** A selector of two prefixes: all protocols and ports unless said. */
export function selectorOf(local: Prefix, remote: Prefix, protocol = 0, localPorts = ANY_PORTS, remotePorts = ANY_PORTS): Selector {
  return { local: rangeOf(local), remote: rangeOf(remote), protocol, localPorts, remotePorts };
}

/** "10.1.0.0/24", "10.0.0.1", or "10.0.0.1-10.0.0.9". */
export function formatRange(range: AddressRange): string {
  const v4 = range.first.isV4;
  for (let length = v4 ? 32 : 128; length >= 0; length--) {
    const whole = rangeOf({ address: range.first, length });
    if (!whole.first.equals(range.first) || !whole.last.equals(range.last)) continue;
    const text = formatAddress(range.first);
    return length === (v4 ? 32 : 128) ? text : `${text}/${length}`;
  }
  return `${formatAddress(range.first)}-${formatAddress(range.last)}`;
}
