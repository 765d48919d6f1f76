/**
 * SOCKS version 5 (RFC 1928), with user names and passwords (RFC 1929).
 *
 * ```
 *  greeting   |5|n|methods n|              choice  |5|method|
 *  user       |1|n|name n|m|password m|    verdict |1|status|
 *  request    |5|command|0|where|          reply   |5|code|0|where|
 *  datagram   |0|0|fragment|where|data
 *
 *  where: |1|address 4|port 2|  |3|n|name n|port 2|  |4|address 16|port 2|
 * ```
 *
 * The messages come on a stream: a length function answers the octets of the message that lies there, 0 while some of them are missing, or a drop
 * reason, negated. After a length above 0 no getter can fail.
 */
import { Address, formatAddress, v4 } from '../base/address.js';
import { Drop } from '../base/drops.js';

/** RFC 1928 §3. */
export const SocksMethod = { None: 0, Password: 2, NoneAcceptable: 255 } as const;
/** RFC 1928 §4. */
export const SocksCommand = { Connect: 1, Bind: 2, Associate: 3 } as const;
/** RFC 1928 §6. */
export const SocksReply = {
  Succeeded: 0,
  Failed: 1,
  NotAllowed: 2,
  NetworkUnreachable: 3,
  HostUnreachable: 4,
  Refused: 5,
  CommandUnknown: 7,
  AddressKindUnknown: 8,
} as const;
/** Octets of the longest header before the data of a datagram: a name of 255. */
export const SOCKS_UDP_HEADER_MAX = 262;

const VERSION = 5;
const PASSWORD_VERSION = 1;
const Kind = { V4: 1, Name: 3, V6: 4 } as const;

/** A destination, as text: an address or a name. */
export interface SocksWhere {
  readonly host: string;
  readonly port: number;
}

/** A greeting's length; SocksMalformed for another version. No method at all is a greeting that nobody can answer. */
export function greetingLength(octets: Uint8Array): number {
  if (octets.length > 0 && octets[0] !== VERSION) return -Drop.SocksMalformed;
  if (octets.length < 2) return 0;
  const length = 2 + (octets[1] as number);
  return length === 2 ? -Drop.SocksMalformed : octets.length < length ? 0 : length;
}

/** Whether the client of a greeting knows `method`. */
export const offers = (greeting: Uint8Array, method: number): boolean => greeting.subarray(2, 2 + (greeting[1] as number)).includes(method);

/** The length of a name with its password; SocksMalformed for another version of them, and for an empty name. RFC 1929 §2. */
export function credentialsLength(octets: Uint8Array): number {
  if (octets.length > 0 && octets[0] !== PASSWORD_VERSION) return -Drop.SocksMalformed;
  if (octets.length < 2) return 0;
  const name = octets[1] as number;
  if (name === 0) return -Drop.SocksMalformed;
  if (octets.length < 3 + name) return 0;
  const length = 3 + name + (octets[2 + name] as number);
  return octets.length < length ? 0 : length;
}

/** Name and password. */
export function credentials(octets: Uint8Array): { readonly user: string; readonly password: string } {
  const name = octets[1] as number;
  const text = (from: number, length: number): string => new TextDecoder().decode(octets.subarray(from, from + length));
  return { user: text(2, name), password: text(3 + name, octets[2 + name] as number) };
}

/** A request's length. SocksMalformed for another version, a reserved octet that is none, a kind of address that is none, a name no host can have. */
export function requestLength(octets: Uint8Array): number {
  if (octets.length > 0 && octets[0] !== VERSION) return -Drop.SocksMalformed;
  if (octets.length > 2 && octets[2] !== 0) return -Drop.SocksMalformed;
  return whereEnd(octets);
}

/** The offset of a datagram's data. SocksTruncated, SocksMalformed, or SocksFragment: fragments are not put together (RFC 1928 §7). */
export function datagramHeader(octets: Uint8Array): number {
  if (octets.length < 4) return -Drop.SocksTruncated;
  if (octets[0] !== 0 || octets[1] !== 0) return -Drop.SocksMalformed;
  if (octets[2] !== 0) return -Drop.SocksFragment;
  const end = whereEnd(octets);
  return end === 0 ? -Drop.SocksTruncated : end;
}

/** What is asked for. */
export const command = (request: Uint8Array): number => request[1] as number;

/** The offset behind the destination, which begins at octet 3 of requests and datagrams alike. */
function whereEnd(octets: Uint8Array): number {
  if (octets.length < 5) return octets.length === 4 && !isKind(octets[3] as number) ? -Drop.SocksMalformed : 0;
  const kind = octets[3] as number;
  if (!isKind(kind)) return -Drop.SocksMalformed;
  const end = 6 + (kind === Kind.V4 ? 4 : kind === Kind.V6 ? 16 : 1 + (octets[4] as number));
  if (kind === Kind.Name && octets[4] === 0) return -Drop.SocksMalformed;
  if (octets.length < end) return 0;
  // Printing characters without a blank: what a resolver, a log or an HTTP header would read as something else is no name.
  return kind === Kind.Name && octets.subarray(5, end - 2).some((c) => c <= 0x20 || c >= 0x7f) ? -Drop.SocksMalformed : end;
}

const isKind = (kind: number): boolean => kind === Kind.V4 || kind === Kind.Name || kind === Kind.V6;

/** The destination of a request or datagram. */
export function where(octets: Uint8Array): SocksWhere {
  const kind = octets[3] as number;
  const word = (at: number): number => (port(octets, at) << 16) | port(octets, at + 2);
  if (kind === Kind.V4) return { host: formatAddress(v4(word(4))), port: port(octets, 8) };
  if (kind === Kind.V6) return { host: formatAddress(new Address(word(4), word(8), word(12), word(16))), port: port(octets, 20) };
  const end = 5 + (octets[4] as number);
  return { host: String.fromCharCode(...octets.subarray(5, end)), port: port(octets, end) };
}

const port = (octets: Uint8Array, at: number): number => ((octets[at] as number) << 8) | (octets[at + 1] as number);

/** A reply that names the end the proxy uses: IPv4 as such, IPv6 else. */
export const putReply = (code: number, address: Address, at: number): Uint8Array => putWhere(VERSION, code, address, at);

/** The header of a datagram that came from `address`. */
export const putDatagramHeader = (address: Address, at: number): Uint8Array => putWhere(0, 0, address, at);

function putWhere(first: number, second: number, address: Address, at: number): Uint8Array {
  const { isV4, w0, w1, w2, w3 } = address;
  const words = isV4 ? [w3] : [w0, w1, w2, w3];
  const view = new DataView(new ArrayBuffer(6 + 4 * words.length));
  view.setUint16(0, (first << 8) | second);
  view.setUint16(2, isV4 ? Kind.V4 : Kind.V6);
  words.forEach((word, i) => view.setInt32(4 + 4 * i, word));
  view.setUint16(4 + 4 * words.length, at);
  return new Uint8Array(view.buffer);
}

/** The server's choice among the methods of a greeting. */
export const putChoice = (method: number): Uint8Array => Uint8Array.of(VERSION, method);

/** Whether name and password are right. RFC 1929 §2: whoever is refused is hung up on. */
export const putVerdict = (right: boolean): Uint8Array => Uint8Array.of(PASSWORD_VERSION, right ? 0 : 1);
