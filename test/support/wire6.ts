import assert from 'node:assert/strict';
import { seconds } from '#src/base/time.js';
import { address, type NetOptions } from './stacks.js';
import { Bench, checksum, concat, hex, toHex } from './wire.js';

/** The test's own station: link-local and global address, and its link address. */
export const PEER_LL = 'fe80::9';
export const PEER = 'fd00::9';
export const PEER_MAC = '020000000009';
/** The router a test plays. */
export const ROUTER_LL = 'fe80::5';
export const ROUTER_MAC = '020000000005';

const word = (n: number): number[] => [(n >>> 24) & 255, (n >>> 16) & 255, (n >>> 8) & 255, n & 255];

/** Sixteen octets of an address. */
export function octets6(text: string): Uint8Array {
  const { w0, w1, w2, w3 } = address(text);
  return Uint8Array.from([w0, w1, w2, w3].flatMap(word));
}

/** Fields of an IPv6 packet as a test writes them; what is missing is right. */
export interface Ipv6Fields {
  src?: string;
  dst?: string;
  hops?: number;
  /** Next header behind the fixed one. */
  next?: number;
  tclass?: number;
  flow?: number;
  payload?: Uint8Array;
  version?: number;
  length?: number;
}

export function ipv6(fields: Ipv6Fields): Uint8Array {
  const payload = fields.payload ?? new Uint8Array(0);
  const head = (((fields.version ?? 6) << 28) | ((fields.tclass ?? 0) << 20) | (fields.flow ?? 0)) >>> 0;
  const length = fields.length ?? payload.length;
  return concat(
    Uint8Array.from([...word(head), length >> 8, length & 255, fields.next ?? 17, fields.hops ?? 64]),
    octets6(fields.src ?? PEER),
    octets6(fields.dst ?? 'fd00::1'),
    payload,
  );
}

/** Checksum over the pseudo header and a message: the slow twin of wire/transport-checksum. */
export function sum6(src: string, dst: string, next: number, message: Uint8Array): number {
  return checksum(concat(octets6(src), octets6(dst), Uint8Array.from([...word(message.length), 0, 0, 0, next]), message));
}

/** UDP with its checksum. */
export function udp6(from: number, to: number, data: Uint8Array | string = 'x', src = PEER, dst = 'fd00::1'): Uint8Array {
  const payload = typeof data === 'string' ? new TextEncoder().encode(data) : data;
  const n = 8 + payload.length;
  const message = concat(Uint8Array.from([from >> 8, from & 255, to >> 8, to & 255, n >> 8, n & 255, 0, 0]), payload);
  const sum = sum6(src, dst, 17, message) || 0xffff;
  message.set([sum >> 8, sum & 255], 6);
  return message;
}

/** ICMPv6 with its checksum; `rest` is the second word. */
export function icmp6(type: number, code: number, rest: number, data: Uint8Array, src: string, dst: string): Uint8Array {
  const message = concat(Uint8Array.from([type, code, 0, 0, ...word(rest)]), data);
  const sum = sum6(src, dst, 58, message);
  message.set([sum >> 8, sum & 255], 2);
  return message;
}

/** Options of neighbour discovery. */
export const sourceLink = (mac: string = PEER_MAC): Uint8Array => hex(`0101${mac}`);
export const targetLink = (mac: string = PEER_MAC): Uint8Array => hex(`0201${mac}`);
export const prefixOption = (prefix: string, length: number, flags: number, valid: number, preferred: number): Uint8Array =>
  concat(Uint8Array.from([3, 4, length, flags, ...word(valid), ...word(preferred), 0, 0, 0, 0]), octets6(prefix));
export const mtuOption = (mtu: number): Uint8Array => Uint8Array.from([5, 1, 0, 0, ...word(mtu)]);
export const routeOption = (prefix: string, length: number, preference: number, lifetime: number): Uint8Array =>
  concat(
    Uint8Array.from([24, length === 0 ? 1 : length <= 64 ? 2 : 3, length, (preference & 3) << 3, ...word(lifetime)]),
    octets6(prefix).subarray(0, length === 0 ? 0 : length <= 64 ? 8 : 16),
  );
export const rdnssOption = (lifetime: number, ...servers: string[]): Uint8Array =>
  concat(Uint8Array.from([25, 1 + 2 * servers.length, 0, 0, ...word(lifetime)]), ...servers.map(octets6));

export interface RaFields {
  src?: string;
  dst?: string;
  hops?: number;
  curHop?: number;
  flags?: number;
  lifetime?: number;
  reachable?: number;
  retrans?: number;
  code?: number;
  options?: Uint8Array[];
}

/** What a received packet says, read slowly. */
export interface Seen {
  readonly src: string;
  readonly dst: string;
  readonly next: number;
  readonly hops: number;
  readonly flow: number;
  readonly tclass: number;
  readonly payload: Uint8Array;
  readonly toMac: string;
}

/** Group membership: ICMPv6 130 to 132 and 143, behind a hop-by-hop header. */
const isMembership = ({ next, payload: p }: Seen): boolean => next === 0 && p[0] === 58 && [130, 131, 132, 143].includes(p[8] as number);

const text = (bytes: Uint8Array): string => {
  const v = new DataView(bytes.buffer, bytes.byteOffset, 16);
  const a = address('::');
  a.set(v.getInt32(0), v.getInt32(4), v.getInt32(8), v.getInt32(12));
  return a.toString();
};

/** What an Ethernet frame says; null when it is not of IPv6. */
export function seenIn(f: Uint8Array): Seen | null {
  if (f[12] !== 0x86 || f[13] !== 0xdd) return null;
  const v = new DataView(f.buffer, f.byteOffset);
  return {
    toMac: toHex(f.subarray(0, 6)),
    src: text(f.subarray(22, 38)),
    dst: text(f.subarray(38, 54)),
    next: f[20] as number,
    hops: f[21] as number,
    tclass: (v.getUint16(14) >>> 4) & 255,
    flow: v.getUint32(14) & 0xfffff,
    payload: f.slice(54, 54 + v.getUint16(18)),
  };
}

/** A stack with fd00::1/64 and fe80::ff:fe00:1, silent unless asked, and the test as its neighbour. */
export class Bench6 extends Bench {
  /** EUI-64 of 02:00:00:00:00:01. */
  static readonly LL = 'fe80::ff:fe00:1';

  constructor(sysctl: Readonly<Record<string, unknown>> = {}, addresses: readonly string[] = ['fd00::1/64'], options: NetOptions = {}) {
    super(addresses, {
      ...options,
      sysctl: {
        'net.ipv6.conf.all.disable_ipv6': 0,
        'net.ipv6.conf.all.addr_gen_mode': 0,
        'net.ipv6.conf.all.dad_transmits': 0,
        'net.ipv6.conf.all.ndisc_notify': 0,
        'net.ipv6.conf.all.router_solicitations': 0,
        ...sysctl,
      },
    });
  }

  /** An IPv6 packet for the stack. */
  ip6(fields: Ipv6Fields, to: Uint8Array = this.mac, from = PEER_MAC): void {
    this.ether(0x86dd, ipv6(fields), to, hex(from));
  }

  /** An ICMPv6 message for the stack. */
  icmp(type: number, code: number, rest: number, data: Uint8Array, fields: Ipv6Fields = {}, from = PEER_MAC): void {
    const src = fields.src ?? PEER;
    const dst = fields.dst ?? 'fd00::1';
    const to = address(dst);
    const mac = to.isMulticast ? hex(`3333${(to.w3 >>> 0).toString(16).padStart(8, '0')}`) : this.mac;
    this.ip6({ ...fields, src, dst, next: 58, payload: icmp6(type, code, rest, data, src, dst) }, mac, from);
  }

  /** A neighbour discovery message: hop limit 255 unless said otherwise. */
  ns(target: string, options: Uint8Array[] = [], fields: Ipv6Fields = {}): void {
    this.icmp(135, 0, 0, concat(octets6(target), ...options), { src: PEER_LL, dst: target, hops: 255, ...fields });
  }

  na(target: string, flags: number, options: Uint8Array[] = [], fields: Ipv6Fields = {}): void {
    this.icmp(136, 0, flags << 24, concat(octets6(target), ...options), { src: PEER_LL, dst: Bench6.LL, hops: 255, ...fields });
  }

  ra(f: RaFields = {}, from = ROUTER_MAC): void {
    const rest = ((f.curHop ?? 0) << 24) | ((f.flags ?? 0) << 16) | (f.lifetime ?? 1_800);
    const data = concat(Uint8Array.from([...word(f.reachable ?? 0), ...word(f.retrans ?? 0)]), ...(f.options ?? []));
    this.icmp(134, f.code ?? 0, rest, data, { src: f.src ?? ROUTER_LL, dst: f.dst ?? 'ff02::1', hops: f.hops ?? 255 }, from);
  }

  /** Makes the peer's addresses known by its own solicitations, and takes the answers. */
  meet(...addresses: string[]): void {
    for (const src of addresses.length === 0 ? [PEER, PEER_LL] : addresses)
      this.ns(src.startsWith('fe80') ? Bench6.LL : 'fd00::1', [sourceLink()], { src });
    this.seen();
  }

  /** IPv6 packets the stack has sent since the last look, but for group membership. */
  seen(): Seen[] {
    return this.all().filter((p) => !isMembership(p));
  }

  /** Messages of group membership the stack has sent since the last look, behind their hop-by-hop header. */
  mld(): Seen[] {
    return this.all()
      .filter(isMembership)
      .map((p) => ({ ...p, next: p.payload[0] as number, payload: p.payload.slice(8) }));
  }

  private all(): Seen[] {
    return this.frames().flatMap((frame) => seenIn(frame) ?? []);
  }

  /** The only packet sent since the last look. */
  one(): Seen {
    const all = this.seen();
    assert.equal(all.length, 1, `one packet, not ${all.map((p) => `${p.src} > ${p.dst} next ${p.next} type ${p.payload[0]}`).join(', ') || 'none'}`);
    return all[0] as Seen;
  }

  /** The only packet sent, an ICMPv6 message with a right checksum. */
  message(): Seen & { type: number; code: number; rest: number; body: Uint8Array } {
    const p = this.one();
    assert.equal(p.next, 58);
    assert.equal(sum6(p.src, p.dst, 58, p.payload), 0, 'the checksum is right');
    const v = new DataView(p.payload.buffer, p.payload.byteOffset);
    return { ...p, type: p.payload[0] as number, code: p.payload[1] as number, rest: v.getUint32(4), body: p.payload.slice(8) };
  }

  /** Addresses of the interface with their states. */
  addresses(): string[] {
    return this.eth0.addresses.map((a) => `${a.address}/${a.length} ${a.state}`);
  }

  /** Lets seconds pass. */
  wait(s: number): void {
    this.run(seconds(s));
  }

  /** All seconds one by one, for tests that watch what is sent when. */
  override quiet(): void {
    assert.deepEqual(
      this.seen().map((p) => `${p.src} > ${p.dst} next ${p.next} type ${p.payload[0]}`),
      [],
    );
  }
}
