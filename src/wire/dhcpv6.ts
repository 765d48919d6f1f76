/**
 * DHCP for IPv6 (RFC 9915 §8, §21).
 *
 * ```
 *  0      1                  4
 *  | type | transaction id   | options …
 *
 *  option:          | code (2) | length (2) | data …
 *  identity association (3, 25):  | iaid (4) | T1 (4) | T2 (4) | options …
 *  address (5):     | address (16) | preferred (4) | valid (4) | options …
 *  prefix (26):     | preferred (4) | valid (4) | length (1) | prefix (16) | options …
 *  status (13):     | code (2) | text …
 * ```
 */
import { Address } from '../base/address.js';
import { Drop } from '../base/drops.js';
import { readName } from './dns-name.js';
import { address, putAddress } from './ipv6.js';

/** Octets before the options. */
export const HEADER_LEN = 4;
/** Ports of RFC 9915 §7.2. */
export const CLIENT_PORT = 546;
/** Where servers and relays listen. */
export const SERVER_PORT = 547;
/** ff02::1:2, all relay agents and servers: RFC 9915 §7.1. */
export const ALL_SERVERS: Address = new Address(0xff020000, 0, 0, 0x00010002);
/** A lifetime without end. */
export const FOREVER = 0xffff_ffff;
/** Options looked at in one message, those within others counted there. More is an attack. */
export const OPTIONS_MAX = 64;

/** Message types: RFC 9915 §7.3. */
export const Type = {
  Solicit: 1,
  Advertise: 2,
  Request: 3,
  Confirm: 4,
  Renew: 5,
  Rebind: 6,
  Reply: 7,
  Release: 8,
  Decline: 9,
  InformationRequest: 11,
} as const;

/** Option codes: RFC 9915 §21, RFC 3646. */
export const Option = {
  ClientId: 1,
  ServerId: 2,
  IaNa: 3,
  IaAddress: 5,
  OptionRequest: 6,
  Preference: 7,
  ElapsedTime: 8,
  Status: 13,
  RapidCommit: 14,
  DnsServers: 23,
  DomainList: 24,
  IaPd: 25,
  IaPrefix: 26,
  InformationRefresh: 32,
  SolMaxRt: 82,
  InfMaxRt: 83,
} as const;

/** Status codes: RFC 9915 §21.13. */
export const Status = { Success: 0, Unspecified: 1, NoAddresses: 2, NoBinding: 3, NotOnLink: 4, NoPrefixes: 6 } as const;

/** One option. `data` of a parsed message is a copy. */
export interface Dhcp6Option {
  readonly code: number;
  readonly data: Uint8Array;
}

/** One message between client and server; those of relays are another. */
export interface Dhcp6Message {
  readonly type: number;
  /** 24 bits. */
  readonly xid: number;
  readonly options: readonly Dhcp6Option[];
}

/** An address (length 128) or a prefix in an identity association. Lifetimes in seconds. */
export interface Dhcp6Lease {
  readonly address: Address;
  readonly length: number;
  readonly preferred: number;
  readonly valid: number;
  readonly status: number;
}

/** An identity association: IA_NA for addresses, IA_PD for prefixes. */
export interface Dhcp6Ia {
  readonly delegation: boolean;
  readonly iaid: number;
  /** Seconds; 0 leaves them to the client. */
  readonly t1: number;
  readonly t2: number;
  readonly leases: readonly Dhcp6Lease[];
  readonly status: number;
}

/** The message bytes[at, end), or why there is none: Drop.DhcpTruncated, Drop.DhcpMalformed. */
export function parse(bytes: Uint8Array, at: number, end: number): Dhcp6Message | number {
  if (end - at < HEADER_LEN) return Drop.DhcpTruncated;
  const type = bytes[at] as number;
  if (type < Type.Solicit || type > Type.InformationRequest) return Drop.DhcpMalformed;
  const options = readOptions(bytes, at + HEADER_LEN, end);
  if (options === null) return Drop.DhcpTruncated;
  const xid = ((bytes[at + 1] as number) << 16) | ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number);
  return { type, xid, options };
}

function readOptions(bytes: Uint8Array, from: number, end: number): Dhcp6Option[] | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const options: Dhcp6Option[] = [];
  for (let o = from; o < end; ) {
    if (end - o < 4 || options.length === OPTIONS_MAX) return null;
    const length = view.getUint16(o + 2);
    if (length > end - o - 4) return null;
    options.push({ code: view.getUint16(o), data: bytes.slice(o + 4, o + 4 + length) });
    o += 4 + length;
  }
  return options;
}

/** Writes a message into octets of its own. */
export function write({ type, xid, options }: Dhcp6Message): Uint8Array {
  return joined(Uint8Array.of(type, xid >> 16, xid >> 8, xid), ...options.map(writeOption));
}

function writeOption({ code, data }: Dhcp6Option): Uint8Array {
  return joined(Uint8Array.of(code >> 8, code, data.length >> 8, data.length), data);
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Data of the first option with the code, or null. */
export const find = (options: readonly Dhcp6Option[], code: number): Uint8Array | null => options.find((o) => o.code === code)?.data ?? null;

/** The status of a list of options: Success when it has none (RFC 9915 §21.13). */
export function statusOf(options: readonly Dhcp6Option[]): number {
  const data = find(options, Option.Status);
  return data === null || data.length < 2 ? Status.Success : ((data[0] as number) << 8) | (data[1] as number);
}

/** A status option. */
export const status = (code: number): Dhcp6Option => ({ code: Option.Status, data: Uint8Array.of(code >> 8, code) });
/** An option of one 32-bit number. */
export const number32 = (code: number, value: number): Dhcp6Option => ({ code, data: words(value) });
/** The number of such an option, or null when its length is another. */
export const readNumber32 = (data: Uint8Array | null): number | null => (data === null || data.length !== 4 ? null : viewOf(data).getUint32(0));
/** An option of several 16-bit numbers: the option request, the elapsed time. */
export const numbers16 = (code: number, values: readonly number[]): Dhcp6Option => ({
  code,
  data: Uint8Array.from(values.flatMap((v) => [(v >> 8) & 255, v & 255])),
});
/** The numbers of such an option. */
export const readNumbers16 = (data: Uint8Array | null): number[] =>
  Array.from({ length: (data?.length ?? 0) >> 1 }, (_, i) => viewOf(data as Uint8Array).getUint16(2 * i));

/** The identity associations of a message, broken ones left out. */
export function associations(options: readonly Dhcp6Option[]): Dhcp6Ia[] {
  return options.flatMap(({ code, data }) => {
    if ((code !== Option.IaNa && code !== Option.IaPd) || data.length < 12) return [];
    const inner = readOptions(data, 12, data.length);
    if (inner === null) return [];
    const view = viewOf(data);
    const delegation = code === Option.IaPd;
    const [t1, t2] = [view.getUint32(4), view.getUint32(8)];
    if (t1 > t2 && t2 > 0) return []; // RFC 9915 §21.4, §21.21
    const leases = inner.flatMap((o) => (o.code === (delegation ? Option.IaPrefix : Option.IaAddress) ? leaseOf(o.data, delegation) : []));
    return [{ delegation, iaid: view.getUint32(0), t1, t2, leases, status: statusOf(inner) }];
  });
}

function leaseOf(data: Uint8Array, delegation: boolean): Dhcp6Lease[] {
  const fixed = delegation ? 25 : 24;
  if (data.length < fixed) return [];
  const view = viewOf(data);
  const inner = readOptions(data, fixed, data.length);
  const at = delegation ? 0 : 16;
  const [preferred, valid] = [view.getUint32(at), view.getUint32(at + 4)];
  const length = delegation ? (data[8] as number) : 128;
  if (inner === null || preferred > valid || length > 128) return []; // RFC 9915 §21.6, §21.22
  const value = new Address();
  address(view, delegation ? 9 : 0, value);
  return [{ address: value, length, preferred, valid, status: statusOf(inner) }];
}

/** The option of an identity association. */
export function association({ delegation, iaid, t1, t2, leases, status: code }: Dhcp6Ia): Dhcp6Option {
  const inner = leases.map((lease) => writeOption(leaseOption(lease, delegation)));
  const told = code === Status.Success ? [] : [writeOption(status(code))];
  return { code: delegation ? Option.IaPd : Option.IaNa, data: joined(words(iaid, t1, t2), ...inner, ...told) };
}

function leaseOption({ address: value, length, preferred, valid, status: code }: Dhcp6Lease, delegation: boolean): Dhcp6Option {
  const told = code === Status.Success ? new Uint8Array(0) : writeOption(status(code));
  const times = words(preferred, valid);
  if (!delegation) return { code: Option.IaAddress, data: joined(octetsOf(value), times, told) };
  return { code: Option.IaPrefix, data: joined(times, Uint8Array.of(length), octetsOf(value), told) };
}

/** Addresses of an option that is a list of them, or null when its length does not fit. */
export function readAddresses(data: Uint8Array | null): Address[] | null {
  if (data === null || data.length % 16 !== 0) return null;
  return Array.from({ length: data.length >> 4 }, (_, i) => {
    const value = new Address();
    address(viewOf(data), 16 * i, value);
    return value;
  });
}

/** An option that is a list of addresses. */
export const addresses = (code: number, values: readonly Address[]): Dhcp6Option => ({ code, data: joined(...values.map(octetsOf)) });

/** Names of a domain list (RFC 9915 §10), or null when one is malformed; compression is not allowed there. */
export function readNames(data: Uint8Array | null): string[] | null {
  const names: string[] = [];
  for (let at = 0; data !== null && at < data.length; ) {
    const read = readName(data, at, at, data.length);
    if (read === null) return null;
    names.push(read.name.toLowerCase());
    at = read.end;
  }
  return names;
}

function octetsOf(value: Address): Uint8Array {
  const octets = new Uint8Array(16);
  putAddress(viewOf(octets), 0, value);
  return octets;
}

const words = (...values: readonly number[]): Uint8Array =>
  Uint8Array.from(values.flatMap((v) => [(v >>> 24) & 255, (v >>> 16) & 255, (v >>> 8) & 255, v & 255]));
const viewOf = (data: Uint8Array): DataView => new DataView(data.buffer, data.byteOffset, data.length);

const names = new Map<number, string>(Object.entries(Type).map(([name, n]) => [n, name.toLowerCase()]));

/** One line for people. */
export function format(bytes: Uint8Array, at: number, end: number): string {
  const message = parse(bytes, at, end);
  if (typeof message === 'number') return 'dhcpv6 malformed';
  return `dhcpv6 ${names.get(message.type) ?? `type ${message.type}`} ${message.xid.toString(16).padStart(6, '0')}`;
}
