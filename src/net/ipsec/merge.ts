// hot: bench/packet/esp
/**
 * Consecutive TCP segments of one flow out of one SA become one big packet, as a TAP's kernel would give it (GRO): IP, filter and TCP
 * then work once and not forty times. Undone wherever a device needs plain frames, by wire/segment. Of a tunnel's stream this
 * took a fifth off the CPU time.
 */
import { fold, sum } from '../../base/checksum.js';
import { Checksum, copyDescriptor, Gso, HEADROOM, type Packet } from '../../base/packet.js';
import { copyOctets } from '../../base/page.js';
import * as ipv4 from '../../wire/ipv4.js';
import * as ipv6 from '../../wire/ipv6.js';
import { Protocol } from '../../wire/protocol.js';
import * as tcp from '../../wire/tcp.js';
import type { Context } from '../context.js';
import type { Interface } from '../interface.js';

/** Octets of a big packet: its IP length field has 16 bits, and one more segment has to fit. */
const MERGED_MAX = 65_535;
/** Flags of segments that only bring text. */
const TEXT = tcp.Flag.Ack;
const LAST_TEXT = tcp.Flag.Ack | tcp.Flag.Psh;
const CHECKSUM = 16;

/** One per stack. Holds at most one packet, and none between two runs of the open stage. */
export class Merge {
  private readonly ctx: Context;
  private readonly forward: (packet: Packet, iface: Interface) => void;
  /** The packet that may still grow; `grown` once it stands in a big slot. */
  private held: Packet | null = null;
  private iface: Interface | null = null;
  private grown = false;
  /** Octets of the headers, and of text in all its segments but the last. */
  private headers = 0;
  private size = 0;
  /** Sequence number that goes on where it ends. */
  private next = 0;

  constructor(ctx: Context, forward: (packet: Packet, iface: Interface) => void) {
    this.ctx = ctx;
    this.forward = forward;
  }

  /** Takes a packet with its IP header at head. Owns it. */
  add(packet: Packet, iface: Interface): void {
    const headers = headersOf(packet);
    if (headers === 0) {
      this.flush();
      this.forward(packet, iface);
      return;
    }
    if (this.held !== null && this.continues(packet, iface, headers) && this.append(packet, headers)) return;
    this.flush();
    const { view, head } = packet;
    const at = head + headersOfIp(view, head);
    if (tcp.flags(view, at) !== TEXT) {
      this.forward(packet, iface);
      return;
    }
    this.held = packet;
    this.iface = iface;
    this.grown = false;
    this.headers = headers;
    this.size = packet.tail - head - headers;
    this.next = (tcp.seq(view, at) + this.size) | 0;
  }

  /** What is held goes on: the run is over, or what came next does not continue it. */
  flush(): void {
    const { held, iface } = this;
    if (held === null) return;
    this.held = this.iface = null;
    if (this.grown) this.finish(held);
    this.forward(held, iface as Interface);
  }

  /** Drops what is held: the stack ends. */
  purge(): void {
    this.held?.release();
    this.held = this.iface = null;
  }

  /** Same SA, interface, flow and headers; the text goes on where it ended, and fits. */
  private continues(packet: Packet, iface: Interface, headers: number): boolean {
    const held = this.held as Packet;
    const text = packet.tail - packet.head - headers;
    if (held.spi !== packet.spi || this.iface !== iface || headers !== this.headers || text > this.size) return false;
    if (held.tail - held.head + text > MERGED_MAX) return false;
    const { view, head } = packet;
    const ip = headersOfIp(view, head);
    return tcp.seq(view, head + ip) === this.next && sameHeaders(held.view, held.head, view, head, ip, headers);
  }

  private append(packet: Packet, headers: number): boolean {
    if (!this.grown && !this.grow()) return false;
    if (!sound(packet)) return false;
    const held = this.held as Packet;
    const { view, head } = packet;
    const text = packet.tail - head - headers;
    const at = head + headersOfIp(view, head);
    copyOctets(held.slot.page, held.tail, packet.slot.page, head + headers, text);
    held.tail += text;
    this.next = (this.next + text) | 0;
    const last = tcp.flags(view, at) === LAST_TEXT;
    if (last) tcp.setFlags(held.view, held.head + at - head, LAST_TEXT);
    packet.release();
    // A short one ends the run of equal ones; a push asks for delivery.
    if (last || text < this.size) this.flush();
    return true;
  }

  /** Into a big slot. False without memory, or when its own checksum is wrong: TCP is to see that. */
  private grow(): boolean {
    const held = this.held as Packet;
    const big = sound(held) ? this.ctx.pool.from(this.ctx.big) : null;
    if (big === null) return false;
    copyDescriptor(big, held);
    big.head = big.link = big.slot.start + HEADROOM;
    big.tail = big.head + held.tail - held.head;
    copyOctets(big.slot.page, big.head, held.slot.page, held.head, held.tail - held.head);
    held.release();
    this.held = big;
    this.grown = true;
    return true;
  }

  /** Lengths, and the sum of the pseudo header in the place of a checksum: as a device gives big frames. */
  private finish(packet: Packet): void {
    const { view, head } = packet;
    const v6 = ipv4.version(view, head) === 6;
    const at = head + headersOfIp(view, head);
    if (v6) ipv6.setPayloadLength(view, head, packet.tail - head - ipv6.HEADER_LEN);
    else {
      ipv4.setTotalLength(view, head, packet.tail - head);
      ipv4.finishHeader(view, head);
    }
    tcp.setChecksum(view, at, fold(pseudo(view, head, packet.tail - at)));
    packet.checksum = Checksum.Partial;
    packet.csumStart = at;
    packet.csumOffset = CHECKSUM;
    packet.gsoType = v6 ? Gso.Tcp6 : Gso.Tcp4;
    packet.gsoSize = this.size;
  }
}

const headersOfIp = (view: DataView, at: number): number => (ipv4.version(view, at) === 6 ? ipv6.HEADER_LEN : ipv4.HEADER_LEN);

/** Octets of plain IP and TCP headers in front of text and nothing else, all of them checked; 0 for what is to go on as it is. */
function headersOf(packet: Packet): number {
  const { view, head, tail } = packet;
  if (tail - head < ipv6.HEADER_LEN) return 0;
  let at = head;
  if (ipv4.version(view, head) === 4) {
    if (view.getUint8(head) !== 0x45 || view.getUint8(head + 9) !== Protocol.Tcp || ipv4.fragmentWord(view, head) !== ipv4.Flag.DontFragment)
      return 0;
    if (ipv4.totalLength(view, head) !== tail - head || ipv4.check(view, head, tail) !== 0) return 0;
    at += ipv4.HEADER_LEN;
  } else {
    if (view.getUint8(head + ipv6.NEXT_HEADER) !== Protocol.Tcp || ipv6.check(view, head, tail) !== 0) return 0;
    if (view.getUint16(head + ipv6.PAYLOAD_LENGTH) !== tail - head - ipv6.HEADER_LEN) return 0;
    at += ipv6.HEADER_LEN;
  }
  if (tail - at < tcp.HEADER_LEN || tcp.check(view, at, tail) !== 0) return 0;
  const flags = tcp.flags(view, at);
  const headers = at - head + tcp.headerLength(view, at);
  return (flags === TEXT || flags === LAST_TEXT) && head + headers < tail ? headers : 0;
}

/** All but lengths, identification, checksums, sequence number and flags. */
function sameHeaders(a: DataView, at: number, b: DataView, from: number, ip: number, headers: number): boolean {
  const v4 = ip === ipv4.HEADER_LEN;
  if (a.getUint16(at) !== b.getUint16(from) || (!v4 && a.getInt32(at) !== b.getInt32(from))) return false;
  if (v4 ? a.getUint16(at + 8) !== b.getUint16(from + 8) : a.getUint16(at + 6) !== b.getUint16(from + 6)) return false;
  for (let o = v4 ? 12 : 8; o < ip; o += 4) if (a.getInt32(at + o) !== b.getInt32(from + o)) return false;
  if (a.getInt32(at + ip) !== b.getInt32(from + ip) || a.getInt32(at + ip + 8) !== b.getInt32(from + ip + 8)) return false;
  if (a.getUint8(at + ip + 12) !== b.getUint8(from + ip + 12) || a.getUint16(at + ip + 14) !== b.getUint16(from + ip + 14)) return false;
  for (let o = ip + tcp.HEADER_LEN; o < headers; o += 4) if (a.getInt32(at + o) !== b.getInt32(from + o)) return false;
  return true;
}

/** Unfolded sum of the pseudo header, from the addresses where they stand. */
function pseudo(view: DataView, head: number, octets: number): number {
  const [at, length] = ipv4.version(view, head) === 6 ? [head + 8, 32] : [head + 12, 8];
  return sum(view, at, length, octets + Protocol.Tcp);
}

/** The TCP checksum holds, or need not be looked at. */
function sound(packet: Packet): boolean {
  if (packet.checksum === Checksum.Verified) return true;
  const { view, head, tail } = packet;
  const at = head + headersOfIp(view, head);
  return fold(sum(view, at, tail - at, pseudo(view, head, tail - at))) === 0xffff;
}
