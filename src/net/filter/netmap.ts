import { Address, maskAddress, samePrefix } from '../../base/address.js';
import { fold } from '../../base/checksum.js';
import type { Packet } from '../../base/packet.js';
import { Protocol } from '../../wire/protocol.js';
import { finishIcmp, rewriteDestination, rewriteQuoted, rewriteSource } from './rewrite.js';
import { Kind, Quoted, readQuoted, readTuple, Tuple } from './tuple.js';

/**
 * Stateless translation of a prefix: the bits behind it stay. Of IPv6 addresses one word behind the prefix takes up the difference, so
 * that no checksum changes (RFC 6296 §3.1). What an ICMP error quotes went the other way, and its other end is translated. False: the address
 * has no counterpart, and the packet is to be refused.
 */
export function netmap(packet: Packet, side: 'source' | 'destination', to: Address, length: number): boolean {
  const own = side === 'source' ? packet.source : packet.destination;
  if (own.isV4 !== to.isV4) return true;
  const mapped = counterpart(own, to, length);
  if (mapped === null) return false;
  quotedToo(packet, side, own, to, length);
  if (side === 'source') rewriteSource(packet, mapped, -1);
  else rewriteDestination(packet, mapped, -1);
  return true;
}

/** An error's quote shows its reader the addresses that he sent with or to. Where the quoted end lies in another prefix, it is left alone. */
function quotedToo(packet: Packet, side: 'source' | 'destination', own: Address, to: Address, length: number): void {
  if (packet.protocol !== Protocol.Icmp && packet.protocol !== Protocol.Icmpv6) return;
  const tuple = new Tuple();
  const quoted = new Quoted();
  if (readTuple(packet, 0, tuple) !== Kind.Error || readQuoted(packet, 0, tuple, quoted) !== Kind.Flow) return;
  const end = side === 'source' ? tuple.destination : tuple.source;
  const mapped = samePrefix(end, own, to.isV4 ? length + 96 : length) ? counterpart(end, to, length) : null;
  if (mapped === null) return;
  rewriteQuoted(packet, quoted, tuple.protocol, side === 'destination', mapped, -1);
  finishIcmp(packet);
}

/** A prefix that appears under another one by a rule on the way in, from one interface or any (0). */
export interface Shown {
  readonly as: { readonly address: Address; readonly length: number };
  readonly is: { readonly address: Address; readonly length: number };
  readonly inIndex: number;
}

/**
 * An error of our own, about a packet whose destination was translated as it came in, quotes it as we saw it: its sender is to know it again
 * (RFC 6296 §3, as any translator). `outIndex`: where the error leaves, and the packet came in.
 */
export function quoteAsSent(packet: Packet, shown: readonly Shown[], outIndex: number): void {
  if (packet.protocol !== Protocol.Icmp && packet.protocol !== Protocol.Icmpv6) return;
  const tuple = new Tuple();
  const quoted = new Quoted();
  if (readTuple(packet, 0, tuple) !== Kind.Error || readQuoted(packet, 0, tuple, quoted) !== Kind.Flow) return;
  const to = tuple.destination;
  for (const { as, is, inIndex } of shown) {
    if (inIndex !== 0 && inIndex !== outIndex) continue;
    if (to.isV4 !== is.address.isV4 || !samePrefix(to, is.address, to.isV4 ? is.length + 96 : is.length)) continue;
    const before = as.length === is.length ? counterpart(to, as.address, as.length) : null;
    if (before === null) return;
    rewriteQuoted(packet, quoted, tuple.protocol, false, before, -1);
    finishIcmp(packet);
    return;
  }
}

/** What an address becomes, or null. */
function counterpart(own: Address, to: Address, length: number): Address | null {
  const mapped = replacePrefix(own, to, to.isV4 ? length + 96 : length);
  return to.isV4 || neutralize(mapped, own, length) ? mapped : null;
}

/** The address with the first `bits` of another. */
function replacePrefix(own: Address, to: Address, bits: number): Address {
  const network = maskAddress(to, bits);
  const old = maskAddress(own, bits);
  return new Address(network.w0 | (own.w0 ^ old.w0), network.w1 | (own.w1 ^ old.w1), network.w2 | (own.w2 ^ old.w2), network.w3 | (own.w3 ^ old.w3));
}

/**
 * Adds to one 16-bit word what the prefix took: the subnet's for prefixes up to 48 bits (RFC 6296 §3.4), else the first of the interface identifier
 * that is not all ones (§3.5). False when there is none, and for the identifier of all zeros behind a longer prefix, which is every router's (§3.5).
 */
function neutralize(mapped: Address, own: Address, length: number): boolean {
  const words = [mapped.w0, mapped.w1, mapped.w2, mapped.w3].flatMap((w) => [w >>> 16, w & 0xffff]);
  if (length > 48 && mapped.w2 === 0 && mapped.w3 === 0) return false;
  let place = length <= 48 ? 3 : Math.max(4, Math.ceil(length / 16));
  if (length > 48) while (place < 8 && words[place] === 0xffff) place++;
  if (place > 7 || words[place] === 0xffff) return false;
  const difference = fold(sumOf(own) + (~fold(sumOf(mapped)) & 0xffff));
  const word = fold((words[place] as number) + difference);
  words[place] = word === 0xffff ? 0 : word; // ones' complement has two zeros, and all ones is refused
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = words;
  mapped.set((a << 16) | b, (c << 16) | d, (e << 16) | f, (g << 16) | h);
  return true;
}

const sumOf = ({ w0, w1, w2, w3 }: Address): number => (w0 >>> 0) + (w1 >>> 0) + (w2 >>> 0) + (w3 >>> 0);
