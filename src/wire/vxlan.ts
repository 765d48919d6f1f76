/**
 * VXLAN (RFC 7348 §5): what stands between the UDP header and the inner Ethernet frame.
 *
 * ```
 *  0                1          4                   7          8
 *  |R R R R I R R R | reserved | network identifier | reserved | Ethernet frame
 * ```
 */
import { Drop } from '../base/drops.js';

/** Octets of the header. */
export const HEADER_LEN = 8;
/** The UDP port of IANA. */
export const PORT = 4_789;
/** Network identifiers are below. */
export const VNI_END = 0x1000000;

/** The identifier is valid. */
const FLAG_VNI = 0x08;

/** 0 or a drop reason: a whole header with a valid identifier. The reserved bits are ignored on receipt. */
export function check(view: DataView, at: number, end: number): number {
  if (end - at < HEADER_LEN) return Drop.VxlanTruncated;
  return (view.getUint8(at) & FLAG_VNI) === 0 ? Drop.VxlanBadFlags : 0;
}

/** Network identifier, [0, 2^24). */
export const vni = (view: DataView, at: number): number => view.getUint32(at + 4) >>> 8;

/** Writes the header. */
export function put(view: DataView, at: number, network: number): void {
  view.setUint32(at, FLAG_VNI << 24);
  view.setUint32(at + 4, (network << 8) >>> 0);
}

/** One line for people. */
export function format(view: DataView, at: number, end: number): string {
  return end - at < HEADER_LEN ? 'vxlan truncated' : `vxlan ${vni(view, at)}`;
}
