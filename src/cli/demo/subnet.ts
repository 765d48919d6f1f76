import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { formatPrefix, parsePrefix, v4 } from '../../base/address.js';

/** A range of IPv4 addresses as word and mask. */
interface Range {
  readonly word: number;
  readonly mask: number;
}

/** Where two /24 side by side may lie: private (RFC 1918), and rarely anybody's. */
const candidates: readonly string[] = [
  ...Array.from({ length: 64 }, (_, i) => `10.${77 + i}.0.0/23`),
  ...Array.from({ length: 100 }, (_, i) => `192.168.${100 + 2 * (i % 75)}.0/23`),
  '172.30.76.0/23',
];

/** The first 24 bits of two neighbouring subnets, '10.77.0.' and '10.77.1.', that overlap no address and no route of the host. */
export function freeSubnets(taken: readonly string[] = ofHost()): readonly [string, string] {
  const used = taken.map(range).filter((r) => r !== null);
  const free = candidates.find((text) => {
    const wanted = range(text) as Range;
    return !used.some((r) => ((r.word ^ wanted.word) & r.mask & wanted.mask) === 0);
  });
  const { word } = range(free ?? (candidates[0] as string)) as Range;
  const first = (w: number): string => `${w >>> 24}.${(w >>> 16) & 255}.${(w >>> 8) & 255}.`;
  return [first(word), first(word + 256)];
}

function range(text: string): Range | null {
  const prefix = parsePrefix(text);
  if (prefix === null || !prefix.address.isV4) return null;
  const mask = prefix.length === 0 ? 0 : -1 << (32 - prefix.length);
  return { word: prefix.address.w3 & mask, mask };
}

/** Addresses and routes of the host; the default route overlaps everything and counts for nothing. */
function ofHost(): string[] {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map((a) => a.cidr ?? ''));
  return [...addresses, ...routes()];
}

function routes(): string[] {
  let text: string;
  try {
    text = readFileSync('/proc/net/route', 'utf8');
  } catch {
    return [];
  }
  // Words in the host's own order, little-endian, in hexadecimal.
  const word = (hex: string): number => Buffer.from(hex, 'hex').readInt32LE();
  const fields = text
    .trimEnd()
    .split('\n')
    .slice(1)
    .map((line) => line.split('\t'));
  const masked = fields.map((f) => ({ to: word(f[1] as string), mask: word(f[7] as string) })).filter(({ mask }) => mask !== 0);
  return masked.map(({ to, mask }) => formatPrefix(v4(to), Math.clz32(~mask)));
}
