/**
 * ARP for IPv4 over Ethernet (RFC 826).
 *
 * ```
 *  0     2     4   5   6    8            14      18           24      28
 *  | hrd | pro |hln|pln| op | sender mac | sender | target mac | target |
 * ```
 */

import { formatAddress, v4 } from '../base/address.js';
import { Drop } from '../base/drops.js';
import { EtherType, formatMac } from './ethernet.js';

/** Octets of the packet. */
export const PACKET_LEN = 28;
/** ar$op (RFC 826). */
export const Op = { Request: 1, Reply: 2 } as const;

const ETHERNET = 1;
const OP = 6;
const SENDER_MAC = 8;
const SENDER = 14;
const TARGET_MAC = 18;
const TARGET = 24;

/** 0 or a drop reason: Ethernet and IPv4, a known opcode, a sender that is one station. Octets past 28 are the frame's padding. */
export function check(view: DataView, at: number, end: number): number {
  if (end - at < PACKET_LEN) return Drop.ArpTruncated;
  if (view.getUint16(at) !== ETHERNET || view.getUint16(at + 2) !== EtherType.Ipv4 || view.getUint16(at + 4) !== 0x0604) return Drop.ArpMalformed;
  const op = view.getUint16(at + OP);
  if (op !== Op.Request && op !== Op.Reply) return Drop.ArpMalformed;
  return (view.getUint8(at + SENDER_MAC) & 1) === 0 && view.getUint8(at + SENDER) >>> 4 !== 14 ? 0 : Drop.ArpBadSender;
}

export const op = (view: DataView, at: number): number => view.getUint16(at + OP);
export const senderMacHigh = (view: DataView, at: number): number => view.getUint16(at + SENDER_MAC);
export const senderMacLow = (view: DataView, at: number): number => view.getInt32(at + SENDER_MAC + 2);
/** Sender's IPv4 address as int32. */
export const sender = (view: DataView, at: number): number => view.getInt32(at + SENDER);
export const targetMacHigh = (view: DataView, at: number): number => view.getUint16(at + TARGET_MAC);
export const targetMacLow = (view: DataView, at: number): number => view.getInt32(at + TARGET_MAC + 2);
/** Target's IPv4 address as int32. */
export const target = (view: DataView, at: number): number => view.getInt32(at + TARGET);

/** Writes a packet; returns the octet behind it. */
export function put(
  view: DataView,
  at: number,
  opcode: number,
  fromHigh: number,
  fromLow: number,
  from: number,
  toHigh: number,
  toLow: number,
  to: number,
): number {
  view.setUint16(at, ETHERNET);
  view.setUint16(at + 2, EtherType.Ipv4);
  view.setUint16(at + 4, 0x0604);
  view.setUint16(at + OP, opcode);
  view.setUint16(at + SENDER_MAC, fromHigh);
  view.setInt32(at + SENDER_MAC + 2, fromLow);
  view.setInt32(at + SENDER, from);
  view.setUint16(at + TARGET_MAC, toHigh);
  view.setInt32(at + TARGET_MAC + 2, toLow);
  view.setInt32(at + TARGET, to);
  return at + PACKET_LEN;
}

/** One line for people. */
export function format(view: DataView, at: number, end: number): string {
  if (end - at < PACKET_LEN) return 'arp truncated';
  const from = formatAddress(v4(sender(view, at)));
  const to = formatAddress(v4(target(view, at)));
  if (op(view, at) === Op.Request) return `arp who has ${to} tell ${from}`;
  return `arp ${from} is at ${formatMac(senderMacHigh(view, at), senderMacLow(view, at))}`;
}
