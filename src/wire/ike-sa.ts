/**
 * The Security Association payload of IKEv2 (RFC 7296 §3.3): proposals, each with transforms to choose one of each type from.
 *
 * ```
 *  proposal:   | last 0/2 | 0 | length | number | protocol | SPI size | transforms | SPI … | transforms …
 *  transform:  | last 0/3 | 0 | length | type | 0 | id | attributes: | 1 type(15) | value |
 * ```
 */
import { Drop } from '../base/drops.js';
import { viewOf } from './ike.js';

/** Security protocols. RFC 7296 §3.3.1. */
export const SaProtocol = { Ike: 1, Ah: 2, Esp: 3 } as const;
/** Transform types. RFC 7296 §3.3.2. */
export const TransformType = { Encr: 1, Prf: 2, Integ: 3, Group: 4, Esn: 5 } as const;

/** Proposals of one payload, transforms of one proposal; more are refused. */
const PROPOSALS_MAX = 32;
const TRANSFORMS_MAX = 64;
const KEY_LENGTH = 0x800e;

/** One transform: RFC 7296 §3.3.2. */
export interface Transform {
  readonly type: number;
  readonly id: number;
  /** Bits of the key length attribute, 0 without. */
  readonly keyBits: number;
}

/** One proposal: RFC 7296 §3.3.1. */
export interface Proposal {
  readonly number: number;
  readonly protocol: number;
  readonly spi: Uint8Array;
  /** Those with attributes nobody here knows are left out: they cannot be chosen (RFC 7296 §3.3.6). */
  readonly transforms: readonly Transform[];
}

/** The proposals of a payload's body, or a drop reason. */
export function readProposals(body: Uint8Array): Proposal[] | number {
  const view = viewOf(body);
  const proposals: Proposal[] = [];
  let at = 0;
  for (let more = true; more; ) {
    if (proposals.length === PROPOSALS_MAX || body.length - at < 8) return Drop.IkeMalformed;
    const length = view.getUint16(at + 2);
    const spiSize = view.getUint8(at + 6);
    if (length < 8 + spiSize || length > body.length - at) return Drop.IkeMalformed;
    more = view.getUint8(at) === 2;
    if (!more && view.getUint8(at) !== 0) return Drop.IkeMalformed;
    const transforms = readTransforms(view, at + 8 + spiSize, at + length, view.getUint8(at + 7));
    if (typeof transforms === 'number') return transforms;
    proposals.push({ number: view.getUint8(at + 4), protocol: view.getUint8(at + 5), spi: body.subarray(at + 8, at + 8 + spiSize), transforms });
    at += length;
  }
  return at === body.length ? proposals : Drop.IkeMalformed;
}

function readTransforms(view: DataView, from: number, end: number, count: number): Transform[] | number {
  if (count > TRANSFORMS_MAX) return Drop.IkeMalformed;
  const transforms: Transform[] = [];
  let at = from;
  for (let i = 0; i < count; i++) {
    if (end - at < 8) return Drop.IkeMalformed;
    const length = view.getUint16(at + 2);
    if (length < 8 || length > end - at || view.getUint8(at) !== (i === count - 1 ? 0 : 3)) return Drop.IkeMalformed;
    const keyBits = readAttributes(view, at + 8, at + length);
    if (keyBits === MALFORMED) return Drop.IkeMalformed;
    if (keyBits >= 0) transforms.push({ type: view.getUint8(at + 4), id: view.getUint16(at + 6), keyBits });
    at += length;
  }
  return at === end ? transforms : Drop.IkeMalformed;
}

const MALFORMED = -2;
const UNKNOWN = -1;

/** The key length in bits, 0 without; UNKNOWN when there are other attributes. */
function readAttributes(view: DataView, from: number, end: number): number {
  let bits = 0;
  for (let at = from; at < end; ) {
    if (end - at < 4) return MALFORMED;
    const type = view.getUint16(at);
    if (type === KEY_LENGTH) bits = bits === UNKNOWN ? UNKNOWN : view.getUint16(at + 2);
    else bits = UNKNOWN;
    at += type & 0x8000 ? 4 : 4 + view.getUint16(at + 2);
    if (at > end) return MALFORMED;
  }
  return bits;
}

/** The body of a payload with these proposals. */
export function putProposals(proposals: readonly Proposal[]): Uint8Array {
  const octets: number[] = [];
  for (const [i, p] of proposals.entries()) {
    const body: number[] = [];
    for (const [k, t] of p.transforms.entries()) {
      const attribute = t.keyBits === 0 ? [] : [KEY_LENGTH >> 8, KEY_LENGTH & 255, t.keyBits >> 8, t.keyBits & 255];
      body.push(k === p.transforms.length - 1 ? 0 : 3, 0, 0, 8 + attribute.length, t.type, 0, t.id >> 8, t.id & 255, ...attribute);
    }
    const length = 8 + p.spi.length + body.length;
    octets.push(
      i === proposals.length - 1 ? 0 : 2,
      0,
      length >> 8,
      length & 255,
      p.number,
      p.protocol,
      p.spi.length,
      p.transforms.length,
      ...p.spi,
      ...body,
    );
  }
  return Uint8Array.from(octets);
}
