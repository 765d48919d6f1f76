/**
 * VLAN tag (IEEE 802.1Q §9.6). `at` is the octet behind the tag's own EtherType (0x8100 or 0x88a8).
 *
 * ```
 *  0   3   4             2      4
 *  |pcp|dei|     vid     | type | payload
 * ```
 */
import { Drop } from '../base/drops.js';

/** Octets a tag adds to a frame: its EtherType and its control information. */
export const TAG_LEN = 4;

/** Octets of both station addresses, which stand before the tag. */
const MACS = 12;

/** 0 or a drop reason: control information and the EtherType behind it are there. */
export const check = (_view: DataView, at: number, end: number): number => (end - at < TAG_LEN ? Drop.VlanTruncated : 0);

/** Tag control information: priority, drop eligibility and identifier. */
export const tci = (view: DataView, at: number): number => view.getUint16(at);
/** VLAN identifier, [0, 4095]; 0 is a priority tag, 4095 reserved. */
export const vid = (view: DataView, at: number): number => view.getUint16(at) & 0xfff;
/** Priority code point, [0, 7]. */
export const pcp = (view: DataView, at: number): number => view.getUint8(at) >>> 5;
/** EtherType of what follows. */
export const type = (view: DataView, at: number): number => view.getUint16(at + 2);

/** Tags the Ethernet frame at `at`: its addresses move four octets ahead, where the frame begins now. Returns that place. */
export function push(view: DataView, at: number, etherType: number, control: number): number {
  for (let i = 0; i < MACS; i += 4) view.setInt32(at - TAG_LEN + i, view.getInt32(at + i));
  view.setUint16(at + MACS - TAG_LEN, etherType);
  view.setUint16(at + MACS - TAG_LEN + 2, control);
  return at - TAG_LEN;
}

/** Takes the outer tag off the Ethernet frame at `at`: its addresses move four octets back. Returns where the frame begins now. */
export function pop(view: DataView, at: number): number {
  for (let i = MACS - 4; i >= 0; i -= 4) view.setInt32(at + TAG_LEN + i, view.getInt32(at + i));
  return at + TAG_LEN;
}

/** One line for people. */
export function format(view: DataView, at: number, end: number): string {
  if (check(view, at, end) !== 0) return 'vlan truncated';
  return `vlan ${vid(view, at)} priority ${pcp(view, at)} type 0x${type(view, at).toString(16).padStart(4, '0')}`;
}
