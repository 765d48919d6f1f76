/** Addresses as the APIs write them. No node: import: the web streams use it too. */
import { Address, formatAddress, parseAddress } from '../base/address.js';
import type { Stack } from '../net/stack.js';

/** An address with the interface that gives it its meaning, 0 for any. */
export interface Endpoint {
  readonly address: Address;
  readonly zone: number;
}

/** '10.0.0.1', 'fe80::1%eth0', 'fe80::1%3'. Null when it is no address, or the stack has no such interface. RFC 4007 §11. */
export function parseEndpoint(stack: Stack, text: string): Endpoint | null {
  const percent = text.indexOf('%');
  const address = parseAddress(percent < 0 ? text : text.slice(0, percent));
  if (address === null) return null;
  const zone = percent < 0 ? 0 : interfaceIndex(stack, text.slice(percent + 1));
  return zone < 0 ? null : { address, zone };
}

/** The index of an interface given by name or index; −1 when there is none. */
export function interfaceIndex(stack: Stack, name: string | number): number {
  const byName = typeof name === 'string' ? stack.interfaces.named(name) : null;
  if (byName !== null) return byName.index;
  const index = Number(name);
  return Number.isInteger(index) && index > 0 && stack.interfaces.at(index) !== null ? index : -1;
}

/** As a program on a socket of `family` sees it: a socket for both families shows IPv4 as ::ffff:10.0.0.1 (RFC 3493 §3.7). */
export function formatEndpoint(stack: Stack, family: 4 | 6 | 46, address: Address, zone = 0): string {
  if (family === 46 && address.isV4) return address.isUnspecified ? '::' : `::ffff:${formatAddress(address)}`;
  const text = formatAddress(address);
  if (zone === 0 || address.isV4 || !address.isLinkLocal) return text;
  return `${text}%${stack.interfaces.at(zone)?.name ?? zone}`;
}

/** The address families a new socket of unknown purpose should take: both where the stack has IPv6. */
export const anyFamily = (stack: Stack): 4 | 46 => (stack.ip.v6 === null ? 4 : 46);

/** The text of the address formatted last: datagrams come in runs from one peer, and formatting costs 200 ns. */
export class AddressText {
  private readonly stack: Stack;
  private readonly family: 4 | 6 | 46;
  private readonly last = new Address(-1, -1, -1, -1);
  private lastZone = -1;
  private text = '';

  constructor(stack: Stack, family: 4 | 6 | 46) {
    this.stack = stack;
    this.family = family;
  }

  of(address: Address, zone: number): string {
    if (this.lastZone === zone && this.last.equals(address)) return this.text;
    this.last.copy(address);
    this.lastZone = zone;
    this.text = formatEndpoint(this.stack, this.family, address, zone);
    return this.text;
  }
}
