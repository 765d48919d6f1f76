import { Drop } from '../../base/drops.js';
import type { Packet } from '../../base/packet.js';
import { Protocol } from '../../wire/protocol.js';
import type { Context } from '../context.js';
import type { UdpSocket } from '../socket/udp-socket.js';
import type { Inbound } from './inbound.js';

/** Where ESP and IKE share a UDP port: RFC 3948, RFC 7296 §2.23. */
export const NAT_PORT = 4_500;
/** In front of IKE messages on that port: no SPI is 0. RFC 3948 §2.2. */
export const NON_ESP_MARKER = 4;
/** RFC 3948 §2.3: one octet that nobody answers. */
export const KEEPALIVE = Uint8Array.of(0xff);

/**
 * Makes a bound UDP socket the end of ESP in UDP: ESP goes to the inbound stage, keep-alives end here, and IKE's
 * messages come out of the socket without their marker.
 */
export function encapsulate(ctx: Context, inbound: Inbound, socket: UdpSocket): void {
  socket.encapsulation = (packet) => take(ctx, inbound, packet);
}

function take(ctx: Context, inbound: Inbound, packet: Packet): boolean {
  const { view, head } = packet;
  const length = packet.tail - head;
  if (length === 1 && view.getUint8(head) === 0xff) {
    ctx.drop(packet, Drop.NatKeepalive);
    return true;
  }
  if (length < NON_ESP_MARKER) {
    ctx.drop(packet, Drop.EspTruncated);
    return true;
  }
  if (view.getInt32(head) === 0) {
    packet.head += NON_ESP_MARKER;
    return false;
  }
  inbound.input(packet, Protocol.Esp, packet.sourcePort);
  return true;
}
