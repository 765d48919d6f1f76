/**
 * IKEv2 messages (RFC 7296 §3). Control traffic: payloads come apart as views of the datagram, each with its bounds checked.
 *
 * ```
 *  0         8         16     17        18         19      20           24       28
 *  | SPI i   | SPI r   | next | version | exchange | flags | message id | length | payloads …
 *  payload:  | next | C 0 | length | body …
 * ```
 */
import { Drop } from '../base/drops.js';

/** Octets of the header. */
export const HEADER_LEN = 28;
/** Octets of a payload's generic header. */
export const PAYLOAD_HEADER = 4;
/** Payloads in one message; more are refused. A long certificate chain has a dozen. */
export const PAYLOADS_MAX = 64;

/** Exchange types. RFC 7296 §3.1. */
export const Exchange = { SaInit: 34, Auth: 35, CreateChild: 36, Informational: 37 } as const;

/** Bits of the flags. RFC 7296 §3.1. */
export const Flag = { Initiator: 0x08, Version: 0x10, Response: 0x20 } as const;

/** Payload types. RFC 7296 §3.2, RFC 7383 §2.5. */
export const PayloadType = {
  None: 0,
  Sa: 33,
  Ke: 34,
  IdI: 35,
  IdR: 36,
  Cert: 37,
  CertReq: 38,
  Auth: 39,
  Nonce: 40,
  Notify: 41,
  Delete: 42,
  Vendor: 43,
  TsI: 44,
  TsR: 45,
  Sk: 46,
  Config: 47,
  Eap: 48,
  Skf: 53,
} as const;

/** Notify message types. RFC 7296 §3.10.1 and the RFCs behind the names; errors are below 16384. */
export const NotifyType = {
  UnsupportedCriticalPayload: 1,
  InvalidIkeSpi: 4,
  InvalidMajorVersion: 5,
  InvalidSyntax: 7,
  InvalidMessageId: 9,
  InvalidSpi: 11,
  NoProposalChosen: 14,
  InvalidKePayload: 17,
  AuthenticationFailed: 24,
  SinglePairRequired: 34,
  NoAdditionalSas: 35,
  InternalAddressFailure: 36,
  FailedCpRequired: 37,
  TsUnacceptable: 38,
  InvalidSelectors: 39,
  UnacceptableAddresses: 40,
  UnexpectedNatDetected: 41,
  TemporaryFailure: 43,
  ChildSaNotFound: 44,
  InitialContact: 16384,
  SetWindowSize: 16385,
  AdditionalTsPossible: 16386,
  IpcompSupported: 16387,
  NatDetectionSourceIp: 16388,
  NatDetectionDestinationIp: 16389,
  Cookie: 16390,
  UseTransportMode: 16391,
  HttpCertLookup: 16392,
  RekeySa: 16393,
  EspTfcPaddingNotSupported: 16394,
  NonFirstFragmentsAlso: 16395,
  MobikeSupported: 16396,
  AdditionalIp4Address: 16397,
  AdditionalIp6Address: 16398,
  NoAdditionalAddresses: 16399,
  UpdateSaAddresses: 16400,
  Cookie2: 16401,
  NoNatsAllowed: 16402,
  RedirectSupported: 16406,
  Redirect: 16407,
  RedirectedFrom: 16408,
  FragmentationSupported: 16430,
  SignatureHashAlgorithms: 16431,
} as const;

const names = new Map<number, string>(Object.entries(NotifyType).map(([name, n]) => [n, name]));
/** The name of a notify type, or its number. */
export const notifyName = (type: number): string => names.get(type) ?? `notify ${type}`;

/** The fields of a header. SPIs are 8 octets, views of the datagram. */
export interface Header {
  readonly spiI: Uint8Array;
  readonly spiR: Uint8Array;
  readonly next: number;
  /** Major version. */
  readonly version: number;
  readonly exchange: number;
  readonly flags: number;
  readonly id: number;
  readonly length: number;
}

/** One payload of a message: a range of its octets (RFC 7296 §3.2). */
export interface Payload {
  readonly type: number;
  readonly critical: boolean;
  readonly body: Uint8Array;
  /** The type its header announces behind it: in an encrypted payload that of the first inner one. */
  readonly next: number;
  /** Place of its generic header in the datagram. */
  readonly at: number;
}

/** 0 or a drop reason: the header is there and its length is the datagram's. */
export function check(bytes: Uint8Array): number {
  if (bytes.length < HEADER_LEN) return Drop.IkeTruncated;
  const view = viewOf(bytes);
  if (view.getUint32(24) !== bytes.length) return Drop.IkeTruncated;
  // An initiator's SPI is never 0 (RFC 7296 §3.1).
  return view.getInt32(0) === 0 && view.getInt32(4) === 0 ? Drop.IkeMalformed : 0;
}

/** After check. */
export function readHeader(bytes: Uint8Array): Header {
  const view = viewOf(bytes);
  return {
    spiI: bytes.subarray(0, 8),
    spiR: bytes.subarray(8, 16),
    next: view.getUint8(16),
    version: view.getUint8(17) >>> 4,
    exchange: view.getUint8(18),
    flags: view.getUint8(19),
    id: view.getUint32(20),
    length: view.getUint32(24),
  };
}

/** The payloads of [at, bytes.length), the first of type `next`; or a drop reason. An encrypted payload is the last (RFC 7296 §3.14). */
export function readPayloads(bytes: Uint8Array, at: number, next: number): Payload[] | number {
  const view = viewOf(bytes);
  const payloads: Payload[] = [];
  let type = next;
  while (type !== PayloadType.None) {
    if (payloads.length === PAYLOADS_MAX || bytes.length - at < PAYLOAD_HEADER) return Drop.IkeMalformed;
    const length = view.getUint16(at + 2);
    if (length < PAYLOAD_HEADER || length > bytes.length - at) return Drop.IkeMalformed;
    const following = view.getUint8(at);
    payloads.push({
      type,
      critical: (view.getUint8(at + 1) & 0x80) !== 0,
      body: bytes.subarray(at + PAYLOAD_HEADER, at + length),
      next: following,
      at,
    });
    at += length;
    if (type === PayloadType.Sk || type === PayloadType.Skf) return at === bytes.length ? payloads : Drop.IkeMalformed;
    type = following;
  }
  return at === bytes.length ? payloads : Drop.IkeMalformed;
}

/** A payload to be written. */
export interface Part {
  readonly type: number;
  readonly body: Uint8Array;
}

/** Octets of the parts one after the other, as a chain. */
export function putPayloads(parts: readonly Part[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((n, part) => n + PAYLOAD_HEADER + part.body.length, 0));
  const view = viewOf(out);
  let at = 0;
  for (const [i, part] of parts.entries()) {
    view.setUint8(at, parts[i + 1]?.type ?? PayloadType.None);
    view.setUint16(at + 2, PAYLOAD_HEADER + part.body.length);
    out.set(part.body, at + PAYLOAD_HEADER);
    at += PAYLOAD_HEADER + part.body.length;
  }
  return out;
}

/** Writes a header of version 2.0 at the front. */
export function putHeader(into: Uint8Array, spiI: Uint8Array, spiR: Uint8Array, next: number, exchange: number, flags: number, id: number): void {
  const view = viewOf(into);
  into.set(spiI, 0);
  into.set(spiR, 8);
  view.setUint8(16, next);
  view.setUint8(17, 0x20);
  view.setUint8(18, exchange);
  view.setUint8(19, flags);
  view.setUint32(20, id);
  view.setUint32(24, into.length);
}

/** A message in clear. */
export function message(spiI: Uint8Array, spiR: Uint8Array, exchange: number, flags: number, id: number, parts: readonly Part[]): Uint8Array {
  const payloads = putPayloads(parts);
  const out = new Uint8Array(HEADER_LEN + payloads.length);
  out.set(payloads, HEADER_LEN);
  putHeader(out, spiI, spiR, parts[0]?.type ?? PayloadType.None, exchange, flags, id);
  return out;
}

/** A view of exactly these octets. */
export const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** One line for people. */
export function format(bytes: Uint8Array): string {
  if (check(bytes) !== 0) return 'ike malformed';
  const { exchange, flags, id } = readHeader(bytes);
  const name = Object.entries(Exchange).find(([, n]) => n === exchange)?.[0] ?? `exchange ${exchange}`;
  return `ike ${name} ${id} ${flags & Flag.Response ? 'response' : 'request'}`;
}
