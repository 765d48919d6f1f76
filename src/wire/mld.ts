/**
 * MLD (version 1: RFC 2710 §3, version 2: RFC 9777 §5), over ICMPv6 messages that passed `icmpv6.check`.
 *
 * ```
 *  0      1      2          4                8       24          25     26
 *  |  130 | code | checksum | max delay | 0  | group | s, qrv    | qqic | sources | sources (16 each)   query; v1 ends at 24
 *  |  131 or 132 | checksum | 0         | 0  | group |                                              v1 report, done
 *  |  143 | 0    | checksum | 0 | records    | record …                                             v2 report
 *
 *  record:  | type | aux length in words | sources | group (16) | sources (16 each) | aux |
 * ```
 */
import type { Address } from '../base/address.js';
import { Drop } from '../base/drops.js';
import { Type } from './icmpv6.js';
import { encode } from './igmp.js';
import { address, putAddress } from './ipv6.js';

/** Octets of a version 1 message, of a version 2 query without sources, and of a report before its records. */
export const V1_LEN = 24;
export const QUERY_LEN = 28;
export const REPORT_LEN = 8;
/** Octets of a record without sources. */
export const RECORD_LEN = 20;

const GROUP = 8;
const SOURCE_LEN = 16;

/** Record types (RFC 9777 §5.2.12). IGMPv3's have the same numbers. */
export const Record = { IsInclude: 1, IsExclude: 2, ToInclude: 3, ToExclude: 4, Allow: 5, Block: 6 } as const;

/** 0 or a drop reason: sources and records are all there. A query between the lengths of both versions is neither (RFC 9777 §8.1). */
export function check(view: DataView, at: number, end: number): number {
  if (end - at < REPORT_LEN) return Drop.MldTruncated;
  if (view.getUint8(at) === Type.MulticastReportV2) return checkRecords(view, at, end);
  if (end - at < V1_LEN) return Drop.MldTruncated;
  if (view.getUint8(at) !== Type.MulticastQuery || end - at === V1_LEN) return 0;
  return end - at < QUERY_LEN || end - at < QUERY_LEN + SOURCE_LEN * view.getUint16(at + 26) ? Drop.MldTruncated : 0;
}

function checkRecords(view: DataView, at: number, end: number): number {
  let o = at + REPORT_LEN;
  for (let left = view.getUint16(at + 6); left > 0; left--) {
    if (end - o < RECORD_LEN) return Drop.MldTruncated;
    o = nextRecord(view, o);
    if (o > end) return Drop.MldTruncated;
  }
  return 0;
}

/** Version of a query: 1 or 2, by its length. */
export const queryVersion = (at: number, end: number): number => (end - at === V1_LEN ? 1 : 2);
/** Milliseconds; version 2 encodes those from 32,768 on (RFC 9777 §5.1.3). Version 1 has the field as it stands. */
export function maxDelayMs(view: DataView, at: number, end: number): number {
  const code = view.getUint16(at + 4);
  if (code < 0x8000 || queryVersion(at, end) === 1) return code;
  return ((code & 0xfff) | 0x1000) << (((code >>> 12) & 7) + 3);
}
/** Of all but version 2 reports. Unspecified in a general query. */
export const group = (view: DataView, at: number, into: Address): void => address(view, at + GROUP, into);
/** Of a version 2 query: routers suppress their timers. */
export const suppress = (view: DataView, at: number): boolean => (view.getUint8(at + 24) & 8) !== 0;
/** The querier's robustness, 0 when above 7. */
export const robustness = (view: DataView, at: number): number => view.getUint8(at + 24) & 7;
/** The querier's interval in seconds (RFC 9777 §5.1.9). */
export function intervalSeconds(view: DataView, at: number): number {
  const code = view.getUint8(at + 25);
  return code < 128 ? code : ((code & 15) | 16) << (((code >>> 4) & 7) + 3);
}
/** Sources a version 2 query asks for, and one of them. */
export const sources = (view: DataView, at: number): number => view.getUint16(at + 26);
export const source = (view: DataView, at: number, index: number, into: Address): void => address(view, at + QUERY_LEN + SOURCE_LEN * index, into);

/** Records of a version 2 report. */
export const records = (view: DataView, at: number): number => view.getUint16(at + 6);
export const firstRecord = (at: number): number => at + REPORT_LEN;
export const nextRecord = (view: DataView, record: number): number =>
  record + RECORD_LEN + SOURCE_LEN * view.getUint16(record + 2) + (view.getUint8(record + 1) << 2);
export const recordType = (view: DataView, record: number): number => view.getUint8(record);
export const recordSources = (view: DataView, record: number): number => view.getUint16(record + 2);
export const recordGroup = (view: DataView, record: number, into: Address): void => address(view, record + 4, into);
export const recordSource = (view: DataView, record: number, index: number, into: Address): void =>
  address(view, record + RECORD_LEN + SOURCE_LEN * index, into);

/** Writes a version 1 report or done with a zero checksum; all `put` return the octet behind. */
export function putV1(view: DataView, at: number, kind: number, about: Address): number {
  view.setInt32(at, kind << 24);
  view.setInt32(at + 4, 0);
  putAddress(view, at + GROUP, about);
  return at + V1_LEN;
}

/** Writes the head of a version 2 query with `count` sources to follow, 16 octets each. `delayMs` below 32,768. */
export function putQuery(view: DataView, at: number, delayMs: number, about: Address, robust: number, interval: number, count: number): number {
  view.setInt32(at, Type.MulticastQuery << 24);
  view.setInt32(at + 4, delayMs << 16);
  putAddress(view, at + GROUP, about);
  view.setInt32(at + V1_LEN, (robust << 24) | (encode(interval) << 16) | count);
  return at + QUERY_LEN;
}

/** Writes the head of a version 2 report; records follow. */
export function putReport(view: DataView, at: number, count: number): number {
  view.setInt32(at, Type.MulticastReportV2 << 24);
  view.setInt32(at + 4, count);
  return at + REPORT_LEN;
}

/** Writes a record with `count` sources to follow, 16 octets each. */
export function putRecord(view: DataView, at: number, kind: number, count: number, about: Address): number {
  view.setInt32(at, (kind << 24) | count);
  putAddress(view, at + 4, about);
  return at + RECORD_LEN;
}

/** One line for people. */
export function format(view: DataView, at: number, end: number): string {
  if (check(view, at, end) !== 0) return 'mld truncated';
  const kind = view.getUint8(at);
  if (kind === Type.MulticastReportV2) return `mld report, ${records(view, at)} records`;
  if (kind === Type.MulticastQuery) return `mld query version ${queryVersion(at, end)}`;
  return kind === Type.MulticastDone ? 'mld done' : 'mld report version 1';
}
