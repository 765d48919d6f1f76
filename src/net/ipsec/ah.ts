/**
 * AH's part of a job (RFC 4302 §3.3, §3.4): the ICV covers the IP header with its mutable fields as zeros, AH with its ICV as
 * zeros, and all behind it. The headers are authenticated as associated data, written so into the scratch page; nothing
 * in the packet is changed for the computation.
 */
import type { Packet } from '../../base/packet.js';
import { copyOctets, type Page } from '../../base/page.js';
import * as wire from '../../wire/ah.js';
import * as ipv4 from '../../wire/ipv4.js';
import * as ipv6 from '../../wire/ipv6.js';
import { Protocol } from '../../wire/protocol.js';
import { AAD_MAX, type Batch } from './batch.js';
import type { Sa } from './sa.js';

const TWO32 = 0x1_0000_0000;

/** Octets of the header: a multiple of 4 over IPv4, of 8 over IPv6 (RFC 4302 §3.3.3.2.1). */
export function ahLength(sa: Sa, family: number): number {
  const octets = wire.HEADER_LEN + sa.icvLength;
  return family === 6 ? (octets + 7) & ~7 : (octets + 3) & ~3;
}

/**
 * Fills the AH at `at`, between the finished IP header at packet.network and what it protects, and adds the packet to the batch. False when
 * its headers are longer than a job has room for.
 */
export function sealAh(batch: Batch, packet: Packet, sa: Sa, at: number, next: number): boolean {
  const octets = ahLength(sa, packet.family);
  const sequence = sa.next();
  wire.put(packet.view, at, next, octets, sa.spi, sequence | 0);
  packet.bytes.fill(0, at + wire.HEADER_LEN, at + octets);
  return describe(batch, packet, sa, sequence, at, octets);
}

/** Adds a received packet, AH at head. False when its ICV has not the SA's length, or its headers are too long. */
export function openAh(batch: Batch, packet: Packet, sa: Sa, sequence: number): boolean {
  const octets = wire.headerLength(packet.view, packet.head);
  // Peers may pad the ICV over IPv4 to 8 octets too; RFC 4302 §3.3.3.2.1 has the receiver take what the length says.
  if (octets < wire.HEADER_LEN + sa.icvLength || octets > ahLength(sa, 6)) return false;
  return describe(batch, packet, sa, sequence, packet.head, octets);
}

function describe(batch: Batch, packet: Packet, sa: Sa, sequence: number, at: number, octets: number): boolean {
  const headers = at - packet.network;
  if (headers + octets + 4 > AAD_MAX) return false;
  const { scratch } = batch;
  const to = batch.aadAt;
  copyOctets(scratch, to, packet.slot.page, packet.network, headers + octets);
  if (packet.family === 6) maskV6(scratch, to, headers);
  else maskV4(scratch, to);
  const ah = to + headers;
  // The padding behind the ICV is whatever its sender left there, and counts: RFC 4302 §3.3.3.2.1.
  scratch.bytes.fill(0, ah + wire.HEADER_LEN, ah + wire.HEADER_LEN + sa.icvLength);
  // RFC 4302 §2.5.1: the high half is checked and not sent.
  if (sa.esn) scratch.view.setInt32(ah + octets, (sequence / TWO32) | 0);
  const data = at + octets;
  batch.add(packet, sa, sequence, data, packet.tail - data, at + wire.HEADER_LEN, headers + octets, sa.esn ? 4 : 0);
  return true;
}

/** IPv4 options that no router changes: RFC 4302 appendix A1. */
const IMMUTABLE: ReadonlySet<number> = new Set([130, 133, 134, 148, 149]);

/** RFC 4302 §3.3.3.1.1: traffic class, flags and offset, TTL and checksum are zeros, and so are whole options that routers change. */
function maskV4(page: Page, at: number): void {
  const { view } = page;
  for (let o = ipv4.firstOption(view, at); o >= 0; ) {
    const next = ipv4.nextOption(view, at, o);
    if (!IMMUTABLE.has(view.getUint8(o))) page.bytes.fill(0, o, o + view.getUint8(o + 1));
    o = next;
  }
  view.setUint8(at + 1, 0);
  view.setUint16(at + 6, 0);
  view.setUint8(at + 8, 0);
  view.setUint16(at + 10, 0);
}

/** RFC 4302 §3.3.3.1.2: traffic class, flow label and hop limit, and the data of options whose third bit says they change on the way. */
function maskV6(page: Page, at: number, headers: number): void {
  const { view } = page;
  view.setInt32(at, 0x60000000);
  view.setUint8(at + 7, 0);
  let next = view.getUint8(at + 6);
  let o = at + ipv6.HEADER_LEN;
  while (o < at + headers) {
    const length = (view.getUint8(o + 1) + 1) << 3;
    if (next === Protocol.HopByHop || next === Protocol.DestinationOptions) maskOptions(page, o + 2, o + length);
    next = view.getUint8(o);
    o += length;
  }
}

function maskOptions(page: Page, from: number, end: number): void {
  const { view } = page;
  for (let o = from; o < end; ) {
    const type = view.getUint8(o);
    if (type === ipv6.Option.Pad1) {
      o++;
      continue;
    }
    const length = view.getUint8(o + 1);
    if (type & 0x20) page.bytes.fill(0, o + 2, o + 2 + length);
    o += 2 + length;
  }
}

/** Place of the octet that names the header at `at`, which an earlier walk has reached from the fixed header at `network`. */
export function nextField6(view: DataView, network: number, at: number): number {
  let field = network + 6;
  let o = network + ipv6.HEADER_LEN;
  while (o < at) {
    field = o;
    o += (view.getUint8(o + 1) + 1) << 3;
  }
  return field;
}
