/**
 * Ethernet II (IEEE 802.3 §3.1.1, RFC 894).
 *
 * ```
 *  0               6               12     14
 *  |  destination  |    source     | type | payload, 46 octets and more
 * ```
 * A station address is a pair of numbers in the data path: its first 16 bits (`high`) and its last 32 as int32 (`low`).
 */
import { Drop } from '../base/drops.js';

/** Octets of the header, without tags. */
export const HEADER_LEN = 14;
/** Least octets of a frame without its check sequence; shorter ones are padded (IEEE 802.3 §3.2.8). */
export const FRAME_MIN = 60;

const DESTINATION = 0;
const SOURCE = 6;
const TYPE = 12;

/** EtherTypes (IANA ieee-802-numbers). Values below 0x600 are lengths (IEEE 802.3 §3.2.6). */
export const EtherType = { Ipv4: 0x0800, Arp: 0x0806, Vlan: 0x8100, Ipv6: 0x86dd, Qinq: 0x88a8 } as const;

/** 0 or a drop reason: a whole header, whose source is one station. */
export function check(view: DataView, at: number, end: number): number {
  if (end - at < HEADER_LEN) return Drop.EthernetTruncated;
  return (view.getUint8(at + SOURCE) & 1) === 0 ? 0 : Drop.EthernetBadSource;
}

export const destinationHigh = (view: DataView, at: number): number => view.getUint16(at + DESTINATION);
export const destinationLow = (view: DataView, at: number): number => view.getInt32(at + DESTINATION + 2);
export const sourceHigh = (view: DataView, at: number): number => view.getUint16(at + SOURCE);
export const sourceLow = (view: DataView, at: number): number => view.getInt32(at + SOURCE + 2);
/** EtherType, or a length when below 0x600. */
export const type = (view: DataView, at: number): number => view.getUint16(at + TYPE);

/** The destination is a group address, broadcast included. */
export const isGroup = (view: DataView, at: number): boolean => (view.getUint8(at) & 1) === 1;
/** The destination is ff:ff:ff:ff:ff:ff. */
export const isBroadcast = (view: DataView, at: number): boolean => view.getInt32(at + 2) === -1 && view.getUint16(at) === 0xffff;

/** Writes the header. */
export function put(view: DataView, at: number, dstHigh: number, dstLow: number, srcHigh: number, srcLow: number, etherType: number): void {
  view.setUint16(at + DESTINATION, dstHigh);
  view.setInt32(at + DESTINATION + 2, dstLow);
  view.setUint16(at + SOURCE, srcHigh);
  view.setInt32(at + SOURCE + 2, srcLow);
  view.setUint16(at + TYPE, etherType);
}

/** Text of a station address: 02:00:00:00:00:01. */
export function formatMac(high: number, low: number): string {
  const digits = (high & 0xffff).toString(16).padStart(4, '0') + (low >>> 0).toString(16).padStart(8, '0');
  return (digits.match(/../g) as string[]).join(':');
}

/** Six octets of a text such as 02:00:00:00:00:01 or 02-00-00-00-00-01; null when it is none. */
export function parseMac(text: string): Uint8Array | null {
  if (!/^[0-9a-f]{2}([:-][0-9a-f]{2}){5}$/i.test(text)) return null;
  return Uint8Array.from(text.split(/[:-]/), (octet) => Number.parseInt(octet, 16));
}

/** One line for people. */
export function format(view: DataView, at: number, end: number): string {
  if (check(view, at, end) === Drop.EthernetTruncated) return 'ethernet truncated';
  const destination = formatMac(destinationHigh(view, at), destinationLow(view, at));
  const source = formatMac(sourceHigh(view, at), sourceLow(view, at));
  return `${source} > ${destination} type 0x${type(view, at).toString(16).padStart(4, '0')}`;
}
