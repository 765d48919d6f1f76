import type { Address } from '../../base/address.js';

/** Scopes as multicast addresses number them (RFC 4291 §2.7); unicast ones compare with them (RFC 6724 §3.1). */
export const Scope = { InterfaceLocal: 1, LinkLocal: 2, AdminLocal: 4, SiteLocal: 5, OrganizationLocal: 8, Global: 14 } as const;

/** The scope of an address of either family. RFC 6724 §3.1, §3.2: IPv4's loopback and 169.254/16 are link-local. */
export function scopeOf(a: Address): number {
  if (a.isV4) return a.isLoopback || a.isLinkLocal ? Scope.LinkLocal : Scope.Global;
  if (a.w0 >>> 24 === 0xff) return (a.w0 >>> 16) & 15;
  if (a.isLinkLocal || a.isLoopback) return Scope.LinkLocal;
  return a.w0 >>> 22 === 0x3fb ? Scope.SiteLocal : Scope.Global;
}

/** ff02::1:ffXX:XXXX of an address. RFC 4291 §2.7.1. */
export function solicitedNode(a: Address, into: Address): Address {
  into.set(0xff020000 | 0, 0, 1, 0xff000000 | (a.w3 & 0xffffff));
  return into;
}

/** Is it some address's solicited-node group? */
export const isSolicitedNode = (a: Address): boolean => a.w0 === (0xff020000 | 0) && a.w1 === 0 && a.w2 === 1 && a.w3 >>> 24 === 0xff;
