import type { Address } from '../base/address.js';
import { Checksum, HEADROOM, type Packet } from '../base/packet.js';
import * as ethernet from '../wire/ethernet.js';
import * as ipv4 from '../wire/ipv4.js';
import * as ipv6 from '../wire/ipv6.js';
import { Protocol } from '../wire/protocol.js';
import * as udp from '../wire/udp.js';

/** Simple IMIX: seven frames of 64, four of 594 and one of 1,518 octets, check sequence counted (RFC 6985 §4 names the mix by its shares). */
export const IMIX: readonly number[] = [64, 64, 64, 64, 64, 64, 64, 594, 594, 594, 594, 1_518];

/** Octets of the frame check sequence, which sizes count and memory does not hold. */
const CHECK_SEQUENCE = 4;

/** What frames of a template look like. */
export interface Template {
  /** Octets of the frames in turn, check sequence included: [64, 1518]. */
  readonly sizes: readonly number[];
  readonly source: Address;
  readonly destination: Address;
  readonly destinationPort: number;
  /** Source ports in turn from 1,024 on: [1, 60000]. */
  readonly flows: number;
  /** Station addresses, 6 octets. */
  readonly from: Uint8Array;
  readonly to: Uint8Array;
}

/** A function of one's own: writes frame number `i` to `into` at `at` and answers its octets; 0 ends the run. */
export type FrameMaker = (i: number, into: Uint8Array, view: DataView, at: number) => number;

/** Writes UDP frames by a template. The payload begins with the frame's number, so that what comes back can be matched. */
export function template(t: Template): FrameMaker {
  const v4 = t.destination.isV4;
  const header = ethernet.HEADER_LEN + (v4 ? ipv4.HEADER_LEN : ipv6.HEADER_LEN) + udp.HEADER_LEN;
  const word = (mac: Uint8Array, i: number): number =>
    ((mac[i] as number) << 24) | ((mac[i + 1] as number) << 16) | ((mac[i + 2] as number) << 8) | (mac[i + 3] as number);
  const high = (mac: Uint8Array): number => ((mac[0] as number) << 8) | (mac[1] as number);
  return (i, _into, view, at) => {
    const octets = Math.max(header + 4, (t.sizes[i % t.sizes.length] as number) - CHECK_SEQUENCE);
    ethernet.put(view, at, high(t.to), word(t.to, 2), high(t.from), word(t.from, 2), v4 ? ethernet.EtherType.Ipv4 : ethernet.EtherType.Ipv6);
    const ip = at + ethernet.HEADER_LEN;
    const length = octets - ethernet.HEADER_LEN;
    let transport = ip + ipv4.HEADER_LEN;
    if (v4) ipv4.put(view, ip, 0, length, i & 0xffff, ipv4.Flag.DontFragment, 64, Protocol.Udp, t.source.w3, t.destination.w3);
    else {
      transport = ip + ipv6.HEADER_LEN;
      ipv6.put(view, ip, 0, 0, length - ipv6.HEADER_LEN, Protocol.Udp, 64, t.source, t.destination);
    }
    const octetsUdp = octets - (transport - at);
    udp.put(view, transport, 1_024 + (i % t.flows), t.destinationPort, octetsUdp, 0);
    view.setUint32(transport + udp.HEADER_LEN, i >>> 0);
    udp.finishDatagram(view, transport, t.source, t.destination);
    return octets;
  };
}

/** Puts a made frame into an empty packet, the network header on an 8-octet boundary. False when there was none to make. */
export function fill(packet: Packet, make: FrameMaker, i: number): boolean {
  const at = packet.slot.start + HEADROOM - ethernet.HEADER_LEN;
  const octets = make(i, packet.bytes, packet.view, at);
  packet.head = packet.link = at;
  packet.tail = at + octets;
  packet.checksum = Checksum.Unverified;
  return octets > 0;
}
