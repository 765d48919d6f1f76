/** Traffic classes across a tunnel: RFC 6040, and RFC 4301 §5.1.2.1 for DSCP. */

import { update16 } from '../../base/checksum.js';
import * as ipv4 from '../../wire/ipv4.js';

const Ecn = { NotEct: 0, Ect1: 1, Ect0: 2, Ce: 3 } as const;

/** The outer traffic class: ECN is copied (RFC 6040 §4.1, normal mode), DSCP when the SA says so. */
export const outerClass = (inner: number, copyDscp: boolean): number => (copyDscp ? inner : inner & 3);

/** The inner traffic class after decapsulation, or −1: the packet is to be dropped. RFC 6040 §4.2, figure 4. */
export function innerClass(inner: number, outer: number): number {
  const ecn = outer & 3;
  if (ecn === Ecn.Ce) return (inner & 3) === Ecn.NotEct ? -1 : inner | Ecn.Ce;
  if (ecn === Ecn.Ect1 && (inner & 3) === Ecn.Ect0) return (inner & ~3) | Ecn.Ect1;
  return inner;
}

/** Gives the IP header at `at`, of the given version, another traffic class. */
export function setClass(view: DataView, at: number, version: number, trafficClass: number): void {
  if (version === 6) {
    view.setUint16(at, (view.getUint16(at) & 0xf00f) | (trafficClass << 4));
    return;
  }
  // As an update: the rest of the header has not been looked at yet.
  const old = view.getUint16(at);
  view.setUint8(at + 1, trafficClass);
  ipv4.setChecksum(view, at, update16(ipv4.checksum(view, at), old, view.getUint16(at)));
}
