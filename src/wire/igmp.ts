/**
 * IGMP (version 1: RFC 1112 appendix I, version 2: RFC 2236 §2, version 3: RFC 9776 §4).
 *
 * ```
 *  0      1          2          4       8        9      10
 *  | 0x11 | max time | checksum | group | s, qrv | qqic | sources | sources (4 each)     query; versions 1 and 2 end at 8
 *  | 0x12, 0x16, 0x17| checksum | group |                                              v1, v2 report, leave
 *  | 0x22 | 0        | checksum | 0 | records | record …                               v3 report
 *
 *  record:  | type | aux length in words | sources | group (4) | sources (4 each) | aux |
 * ```
 */
import { finish, fold, sum } from '../base/checksum.js';
import { Drop } from '../base/drops.js';

/** Octets of messages up to version 2, of a version 3 query without sources, and of a report before its records. */
export const HEADER_LEN = 8;
export const QUERY_LEN = 12;
/** Octets of a record without sources. */
export const RECORD_LEN = 8;

const CHECKSUM = 2;
const GROUP = 4;

/** Message types (IANA igmp-type-numbers). */
export const Type = { Query: 0x11, ReportV1: 0x12, ReportV2: 0x16, Leave: 0x17, ReportV3: 0x22 } as const;
/** Record types (RFC 9776 §4.2.12). */
export const Record = { IsInclude: 1, IsExclude: 2, ToInclude: 3, ToExclude: 4, Allow: 5, Block: 6 } as const;

/** 0 or a drop reason: checksum, and sources and records are all there. A query of 9 to 11 octets is of no version (RFC 9776 §7.1). */
export function check(view: DataView, at: number, end: number): number {
  if (end - at < HEADER_LEN) return Drop.IgmpTruncated;
  if (fold(sum(view, at, end - at)) !== 0xffff) return Drop.IgmpBadChecksum;
  const kind = view.getUint8(at);
  if (kind === Type.ReportV3) return checkRecords(view, at, end);
  if (kind !== Type.Query || end - at === HEADER_LEN) return 0;
  return end - at < QUERY_LEN || end - at < QUERY_LEN + 4 * view.getUint16(at + 10) ? Drop.IgmpTruncated : 0;
}

function checkRecords(view: DataView, at: number, end: number): number {
  let o = at + HEADER_LEN;
  for (let left = view.getUint16(at + 6); left > 0; left--) {
    if (end - o < RECORD_LEN) return Drop.IgmpTruncated;
    o = nextRecord(view, o);
    if (o > end) return Drop.IgmpTruncated;
  }
  return 0;
}

export const type = (view: DataView, at: number): number => view.getUint8(at);
/** Version of a query: by its length, and 1 when it gives no time (RFC 9776 §7.1). */
export const queryVersion = (view: DataView, at: number, end: number): number => (end - at > HEADER_LEN ? 3 : view.getUint8(at + 1) === 0 ? 1 : 2);
/** Tenths of a second; version 3 encodes those from 128 on (RFC 9776 §4.1.1). 100 in version 1 (RFC 2236 §4). */
export function maxTime(view: DataView, at: number, end: number): number {
  const code = view.getUint8(at + 1);
  if (end - at === HEADER_LEN) return code === 0 ? 100 : code;
  return decode(code);
}
/** Of all but version 3 reports, as int32; 0 in a general query. */
export const group = (view: DataView, at: number): number => view.getInt32(at + GROUP);
/** Of a version 3 query: routers suppress their timers. */
export const suppress = (view: DataView, at: number): boolean => (view.getUint8(at + 8) & 8) !== 0;
/** The querier's robustness, 0 when above 7. */
export const robustness = (view: DataView, at: number): number => view.getUint8(at + 8) & 7;
/** The querier's interval in seconds. */
export const intervalSeconds = (view: DataView, at: number): number => decode(view.getUint8(at + 9));
/** Sources a version 3 query asks for, and one of them as int32. */
export const sources = (view: DataView, at: number): number => view.getUint16(at + 10);
export const source = (view: DataView, at: number, index: number): number => view.getInt32(at + QUERY_LEN + 4 * index);

/** The greatest code whose value is not above: RFC 9776 §4.1.1. */
export function encode(value: number): number {
  if (value < 128) return value;
  const exponent = Math.min(7, 31 - Math.clz32(value) - 7);
  return 0x80 | (exponent << 4) | Math.min(15, (value >>> (exponent + 3)) & 15);
}

const decode = (code: number): number => (code < 128 ? code : ((code & 15) | 16) << (((code >>> 4) & 7) + 3));

/** Records of a version 3 report. */
export const records = (view: DataView, at: number): number => view.getUint16(at + 6);
export const firstRecord = (at: number): number => at + HEADER_LEN;
export const nextRecord = (view: DataView, record: number): number =>
  record + RECORD_LEN + 4 * view.getUint16(record + 2) + (view.getUint8(record + 1) << 2);
export const recordType = (view: DataView, record: number): number => view.getUint8(record);
export const recordSources = (view: DataView, record: number): number => view.getUint16(record + 2);
/** As int32. */
export const recordGroup = (view: DataView, record: number): number => view.getInt32(record + 4);
export const recordSource = (view: DataView, record: number, index: number): number => view.getInt32(record + RECORD_LEN + 4 * index);

/** Writes a message of 8 octets, checksum finished; all `put` return the octet behind. */
export function put(view: DataView, at: number, kind: number, time: number, about: number): number {
  view.setInt32(at, (kind << 24) | (time << 16));
  view.setInt32(at + GROUP, about);
  finishMessage(view, at, at + HEADER_LEN);
  return at + HEADER_LEN;
}

/** Writes the head of a version 3 query with `count` sources to follow, 4 octets each; then `finishMessage`. `time` in tenths of a second. */
export function putQuery(view: DataView, at: number, time: number, about: number, robust: number, interval: number, count: number): number {
  view.setInt32(at, (Type.Query << 24) | (encode(time) << 16));
  view.setInt32(at + GROUP, about);
  view.setInt32(at + 8, (robust << 24) | (encode(interval) << 16) | count);
  return at + QUERY_LEN;
}

/** Writes the head of a version 3 report; records follow, then `finishMessage`. */
export function putReport(view: DataView, at: number, count: number): number {
  view.setInt32(at, Type.ReportV3 << 24);
  view.setInt32(at + 4, count);
  return at + HEADER_LEN;
}

/** Writes a record with `count` sources to follow, 4 octets each. */
export function putRecord(view: DataView, at: number, kind: number, count: number, about: number): number {
  view.setInt32(at, (kind << 24) | count);
  view.setInt32(at + 4, about);
  return at + RECORD_LEN;
}

/** Computes the checksum of the message in [at, end). */
export function finishMessage(view: DataView, at: number, end: number): void {
  view.setUint16(at + CHECKSUM, 0);
  view.setUint16(at + CHECKSUM, finish(sum(view, at, end - at)));
}

/** One line for people. */
export function format(view: DataView, at: number, end: number): string {
  if (end - at < HEADER_LEN) return 'igmp truncated';
  const kind = type(view, at);
  if (kind === Type.ReportV3) return `igmp report version 3, ${records(view, at)} records`;
  if (kind === Type.Query) return `igmp query version ${queryVersion(view, at, end)}`;
  return kind === Type.Leave ? 'igmp leave' : `igmp type 0x${kind.toString(16)}`;
}
