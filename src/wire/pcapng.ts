/**
 * Capture files (draft-ietf-opsawg-pcapng §3, §4). Written little-endian, read in both orders.
 *
 * ```
 *  block:      | type | length | body, padded to words | length |          the length counts all of it, twice
 *  section:    | byte order magic | 1 | 0 | section length, −1 unknown | options
 *  interface:  | link type | 0 | snapshot length | options
 *  packet:     | interface | time high | time low | captured | original | octets, padded | options
 *  secrets:    | type | length | octets, padded | options
 *  option:     | code | length | value, padded |  …  | 0 | 0 |
 * ```
 */

import type { Micros } from '../base/time.js';
import { type CapturedFrame, type CaptureReader, isPcap, LinkType, PcapReader } from './pcap.js';

export { LinkType };

/** Block types. */
export const Block = { Interface: 1, SimplePacket: 3, Packet: 6, Secrets: 10, Section: 0x0a0d0d0a } as const;
/** Types of a secrets block. */
export const Secrets = { Tls: 0x544c534b, Ssh: 0x5353484b, WireGuard: 0x57474b4c } as const;
/** Direction bits of a packet's flags. */
export const Direction = { Unknown: 0, Inbound: 1, Outbound: 2 } as const;

const ORDER = 0x1a2b3c4d;
const OPT_END = 0;
const OPT_COMMENT = 1;
const OPT_FLAGS = 2;
const OPT_APPLICATION = 4;
const OPT_NAME = 2;
const OPT_TSRESOL = 9;
/** Octets around a body. */
const FRAME = 12;
const PACKET_FIXED = 20;
/** Where times are microseconds: 10^−6. */
const MICROSECONDS = 6;

const pad = (octets: number): number => (octets + 3) & ~3;
const NONE = new Uint8Array(0);
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The octets of a text option. */
export const text = (value: string): Uint8Array => encoder.encode(value);

/** Octets `putSection` writes. */
export const sectionLength = (application: Uint8Array): number => FRAME + 16 + 4 + pad(application.length) + 4;

/** Writes a section header, with which a file begins, naming the program that writes; all `put` return the octet behind. */
export function putSection(view: DataView, at: number, application: Uint8Array): number {
  view.setUint32(at + 8, ORDER, true);
  view.setUint16(at + 12, 1, true);
  view.setUint16(at + 14, 0, true);
  view.setBigInt64(at + 16, -1n, true);
  return close(view, at, Block.Section, putEnd(view, putOption(view, at + 24, OPT_APPLICATION, application)));
}

/** Octets `putInterface` writes. */
export const interfaceLength = (name: Uint8Array): number => FRAME + 8 + 4 + pad(name.length) + 8 + 4;

/** Writes an interface description: times of its packets count microseconds. `snapLength` 0 is no limit. */
export function putInterface(view: DataView, at: number, linkType: number, snapLength: number, name: Uint8Array): number {
  view.setUint16(at + 8, linkType, true);
  view.setUint16(at + 10, 0, true);
  view.setUint32(at + 12, snapLength, true);
  const o = putOption(view, at + 16, OPT_NAME, name);
  view.setUint16(o, OPT_TSRESOL, true);
  view.setUint16(o + 2, 1, true);
  view.setUint32(o + 4, MICROSECONDS, true);
  return close(view, at, Block.Interface, putEnd(view, o + 8));
}

/** Octets of a packet block with `captured` octets. */
export function packetLength(captured: number, comment: Uint8Array = NONE): number {
  return FRAME + PACKET_FIXED + pad(captured) + 8 + (comment.length > 0 ? 4 + pad(comment.length) : 0) + 4;
}

/** Writes what stands before a packet's octets; the caller copies them to the place returned, then `putPacketEnd`. `time` is since the epoch. */
export function putPacket(view: DataView, at: number, interfaceIndex: number, time: Micros, captured: number, original: number): number {
  const whole = Math.floor(time);
  view.setUint32(at + 8, interfaceIndex, true);
  view.setUint32(at + 12, Math.floor(whole / 0x1_0000_0000), true);
  view.setUint32(at + 16, whole >>> 0, true);
  view.setUint32(at + 20, captured, true);
  view.setUint32(at + 24, original, true);
  return at + 8 + PACKET_FIXED;
}

/** Ends the packet block that began at `at`: padding, direction, comment. */
export function putPacketEnd(view: DataView, at: number, direction: number, comment: Uint8Array = NONE): number {
  let o = at + 8 + PACKET_FIXED + view.getUint32(at + 20, true);
  o = putPadding(view, o, at);
  view.setUint16(o, OPT_FLAGS, true);
  view.setUint16(o + 2, 4, true);
  view.setUint32(o + 4, direction, true);
  o += 8;
  if (comment.length > 0) o = putOption(view, o, OPT_COMMENT, comment);
  return close(view, at, Block.Packet, putEnd(view, o));
}

/** Octets `putSecrets` writes. */
export const secretsLength = (secrets: Uint8Array): number => FRAME + 8 + pad(secrets.length);

/** Writes keys with which a reader opens the packets that follow. */
export function putSecrets(view: DataView, at: number, type: number, secrets: Uint8Array): number {
  view.setUint32(at + 8, type, true);
  view.setUint32(at + 12, secrets.length, true);
  return close(view, at, Block.Secrets, putOctets(view, at + 16, at, secrets));
}

function putOption(view: DataView, at: number, code: number, value: Uint8Array): number {
  view.setUint16(at, code, true);
  view.setUint16(at + 2, value.length, true);
  return putOctets(view, at + 4, at, value);
}

function putEnd(view: DataView, at: number): number {
  view.setUint32(at, OPT_END, true);
  return at + 4;
}

function putOctets(view: DataView, at: number, base: number, value: Uint8Array): number {
  for (let i = 0; i < value.length; i++) view.setUint8(at + i, value[i] as number);
  return putPadding(view, at + value.length, base);
}

/** Zeros up to a word, counted from `base`. */
function putPadding(view: DataView, at: number, base: number): number {
  while (((at - base) & 3) !== 0) view.setUint8(at++, 0);
  return at;
}

function close(view: DataView, at: number, type: number, end: number): number {
  const length = end + 4 - at;
  view.setUint32(at, type, true);
  view.setUint32(at + 4, length, true);
  view.setUint32(end, length, true);
  return end + 4;
}

/** A reader for either kind of capture file; null when the octets begin like none. */
export function openCapture(view: DataView): CaptureReader | null {
  if (isPcap(view)) return new PcapReader(view);
  return view.byteLength >= FRAME && view.getUint32(0) === Block.Section ? new PcapngReader(view) : null;
}

/** What the packets of one interface have in common. */
interface Interface {
  readonly linkType: number;
  readonly snapLength: number;
  /** Microseconds per unit of its times, and their offset. */
  readonly unit: number;
}

/** Reads a pcapng file; blocks it does not know are passed over. */
export class PcapngReader implements CaptureReader {
  problem = '';
  private readonly view: DataView;
  private little = true;
  private interfaces: Interface[] = [];
  private at = 0;

  constructor(view: DataView) {
    this.view = view;
  }

  next(frame: CapturedFrame): boolean {
    while (this.problem === '' && this.at < this.view.byteLength) {
      const at = this.at;
      const end = this.blockEnd(at);
      if (end < 0) return false;
      this.at = end;
      const type = this.view.getUint32(at, this.little);
      if (type === Block.Section) this.interfaces = [];
      else if (type === Block.Interface) this.interface(at + 8, end - 4);
      else if (type === Block.Packet && this.packet(at + 8, end - 4, frame)) return true;
      else if (type === Block.SimplePacket && this.simplePacket(at + 8, end - 4, frame)) return true;
    }
    return false;
  }

  /** One past the block at `at`, or −1 with the problem set. A section header sets the byte order first. */
  private blockEnd(at: number): number {
    const left = this.view.byteLength - at;
    if (left < FRAME) return this.broken(at);
    if (this.view.getUint32(at) === Block.Section) {
      this.little = this.view.getUint32(at + 8, true) === ORDER;
      if (!this.little && this.view.getUint32(at + 8) !== ORDER) return this.broken(at);
    }
    const length = this.view.getUint32(at + 4, this.little);
    if (length < FRAME || length > left || length % 4 !== 0) return this.broken(at);
    return at + length;
  }

  private broken(at: number): number {
    this.problem = `the block at octet ${at} is broken`;
    return -1;
  }

  private interface(at: number, end: number): void {
    if (end - at < 8) {
      this.broken(at - 8);
      return;
    }
    const resolution = this.option(at + 8, end, OPT_TSRESOL);
    const exponent = resolution < 0 ? MICROSECONDS : this.view.getUint8(resolution);
    // The high bit chooses between powers of 2 and of 10: draft-ietf-opsawg-pcapng §4.2.
    const unit = 1e6 * (exponent & 0x80 ? 2 ** -(exponent & 0x7f) : 10 ** -exponent);
    this.interfaces.push({ linkType: this.view.getUint16(at, this.little), snapLength: this.view.getUint32(at + 4, this.little), unit });
  }

  private packet(at: number, end: number, frame: CapturedFrame): boolean {
    const { view, little } = this;
    const index = end - at < PACKET_FIXED ? -1 : view.getUint32(at, little);
    const captured = index < 0 ? 0 : view.getUint32(at + 12, little);
    const from = this.interfaces[index];
    if (from === undefined || captured > end - at - PACKET_FIXED) {
      this.broken(at - 8);
      return false;
    }
    frame.start = at + PACKET_FIXED;
    frame.end = frame.start + captured;
    frame.originalLength = view.getUint32(at + 16, little);
    frame.time = view.getUint32(at + 4, little) * (from.unit * 0x1_0000_0000) + view.getUint32(at + 8, little) * from.unit;
    frame.linkType = from.linkType;
    frame.interfaceIndex = index;
    const comment = this.option(frame.start + pad(captured), end, OPT_COMMENT);
    frame.comment = comment < 0 ? '' : this.text(comment, view.getUint16(comment - 2, little));
    return true;
  }

  /** Without a time, of the first interface, cut at its snapshot length: draft-ietf-opsawg-pcapng §4.4. */
  private simplePacket(at: number, end: number, frame: CapturedFrame): boolean {
    const from = this.interfaces[0];
    if (from === undefined || end - at < 4) {
      this.broken(at - 8);
      return false;
    }
    frame.originalLength = this.view.getUint32(at, this.little);
    frame.start = at + 4;
    frame.end = frame.start + Math.min(frame.originalLength, from.snapLength === 0 ? Number.POSITIVE_INFINITY : from.snapLength, end - frame.start);
    frame.time = 0;
    frame.linkType = from.linkType;
    frame.interfaceIndex = 0;
    frame.comment = '';
    return true;
  }

  /** First octet of the value of the first option with this code and a length above 0, or −1. */
  private option(at: number, end: number, code: number): number {
    while (end - at >= 4) {
      const found = this.view.getUint16(at, this.little);
      const length = this.view.getUint16(at + 2, this.little);
      if (found === OPT_END || length > end - at - 4) return -1;
      if (found === code && length > 0) return at + 4;
      at += 4 + pad(length);
    }
    return -1;
  }

  private text(at: number, length: number): string {
    return decoder.decode(new Uint8Array(this.view.buffer, this.view.byteOffset + at, length));
  }
}
