import { Address, v4 } from '../../base/address.js';
import { Drop } from '../../base/drops.js';
import type { Interface } from '../../net/interface.js';
import { FrameInfo, type PacketSocket } from '../../net/socket/packet-socket.js';
import type { Stack } from '../../net/stack.js';
import * as arp from '../../wire/arp.js';
import { CLIENT_PORT, type DhcpMessage, parse } from '../../wire/dhcp.js';
import * as ethernet from '../../wire/ethernet.js';
import * as ipv4 from '../../wire/ipv4.js';
import { Protocol } from '../../wire/protocol.js';
import * as udp from '../../wire/udp.js';

/** What a client without an address hears on its link. */
export interface LinkEvents {
  /** `mac`: the station that sent the frame. */
  message(message: DhcpMessage, mac: Uint8Array): void;
  /** An ARP packet of another station. Addresses are IPv4 words. */
  arp(sender: number, target: number): void;
}

/** Octets of the longest frame that is looked at. */
const FRAME_MAX = 2_048;
const FRAGMENT = 0x3fff;

/** Hears DHCP messages to an address that is not ours yet, and ARP: frames, before IP sees and refuses them. */
export class LinkSocket {
  private readonly core: Stack;
  private readonly iface: Interface;
  private readonly events: LinkEvents;
  private readonly socket: PacketSocket;
  private readonly frame = new Uint8Array(FRAME_MAX);
  private readonly view = new DataView(this.frame.buffer);

  constructor(core: Stack, iface: Interface, events: LinkEvents) {
    this.core = core;
    this.iface = iface;
    this.events = events;
    this.socket = core.packets.openSocket();
    this.socket.outgoing = false;
    this.socket.filter = wanted;
    this.socket.bind(iface.index);
    this.socket.onReady = () => this.receive();
  }

  close(): void {
    this.socket.onReady = null;
    this.socket.close();
  }

  private receive(): void {
    const info = new FrameInfo();
    for (;;) {
      const n = this.socket.receive(this.frame, 0, FRAME_MAX, info);
      if (n < 0) return;
      if (info.size > n) continue;
      if (ethernet.type(this.view, 0) === ethernet.EtherType.Arp) this.arp(n);
      else this.datagram(n);
      if (this.socket.closed) return;
    }
  }

  private arp(end: number): void {
    const { iface, view } = this;
    const at = ethernet.HEADER_LEN;
    if (arp.check(view, at, end) !== 0) return;
    if (arp.senderMacHigh(view, at) === iface.macHigh && arp.senderMacLow(view, at) === iface.macLow) return;
    this.events.arp(arp.sender(view, at), arp.target(view, at));
  }

  /** IP and UDP check frames for themselves and count what is wrong there. */
  private datagram(end: number): void {
    const { core, frame, view } = this;
    const at = ethernet.HEADER_LEN;
    if (ipv4.check(view, at, end) !== 0) return;
    const start = at + ipv4.headerLength(view, at);
    const behind = at + ipv4.totalLength(view, at);
    if (udp.check(view, start, behind) !== 0) return;
    const [source, destination] = [new Address(), new Address()];
    ipv4.source(view, at, source);
    ipv4.destination(view, at, destination);
    if (!udp.verify(view, start, source, destination)) return;
    const message = parse(frame, start + udp.HEADER_LEN, start + udp.length(view, start));
    if (typeof message === 'number') core.ctx.countDrop(message);
    else this.events.message(message, frame.slice(6, 12));
  }
}

/** ARP, and unfragmented UDP to the client's port. Runs in the stack's poll. */
function wanted(bytes: Uint8Array, start: number, end: number): number {
  const word = (at: number): number => ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
  const at = start + ethernet.HEADER_LEN;
  if (end < at + 28) return 0;
  const type = word(start + 12);
  if (type === ethernet.EtherType.Arp) return end - start;
  if (type !== ethernet.EtherType.Ipv4 || bytes[at + 9] !== Protocol.Udp || (word(at + 6) & FRAGMENT) !== 0) return 0;
  return word(at + ((bytes[at] as number) & 15) * 4 + 2) === CLIENT_PORT ? end - start : 0;
}

/** Where a datagram goes that no route leads to. `mac` of 6 octets. Addresses are IPv4 words. */
export interface Direct {
  readonly source: number;
  readonly destination: number;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly mac: Uint8Array;
}

/** The station address of everybody. */
export const EVERYBODY = new Uint8Array(6).fill(255);

/** Sends a datagram in a frame of its own making: from 0.0.0.0, or to an address its station does not answer for yet. False without memory. */
export function sendDirect(
  core: Stack,
  iface: Interface,
  { source, destination, sourcePort, destinationPort, mac }: Direct,
  payload: Uint8Array,
): boolean {
  core.ctx.touch();
  const packet = core.ctx.packet();
  if (packet === null) {
    core.ctx.countDrop(Drop.NoBuffer);
    return false;
  }
  const at = packet.head;
  const length = udp.HEADER_LEN + payload.length;
  packet.tail = at + length;
  packet.bytes.set(payload, at + udp.HEADER_LEN);
  udp.put(packet.view, at, sourcePort, destinationPort, length, 0);
  udp.finishDatagram(packet.view, at, v4(source), v4(destination));
  const network = packet.push(ipv4.HEADER_LEN);
  packet.network = network;
  packet.transport = at;
  packet.family = 4;
  packet.protocol = Protocol.Udp;
  packet.outIndex = iface.index;
  ipv4.put(packet.view, network, 0, ipv4.HEADER_LEN + length, 0, 0, core.ctx.sysctl.v['net.ipv4.ip_default_ttl'], Protocol.Udp, source, destination);
  const view = new DataView(mac.buffer, mac.byteOffset, 6);
  core.ethernet.frame(iface, packet, view.getUint16(0), view.getInt32(2));
  return true;
}

/** RFC 5227 §1.1: does anybody have `target`? Asked from 0.0.0.0, so that no cache learns. */
export function sendProbe(core: Stack, iface: Interface, target: number): void {
  core.ctx.touch();
  const packet = core.ctx.packet();
  if (packet === null) {
    core.ctx.countDrop(Drop.NoBuffer);
    return;
  }
  packet.outIndex = iface.index;
  packet.tail = arp.put(packet.view, packet.head, arp.Op.Request, iface.macHigh, iface.macLow, 0, 0, 0, target);
  core.ethernet.arpFrame(iface, packet, 0xffff, -1);
}
