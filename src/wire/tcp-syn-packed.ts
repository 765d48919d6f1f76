/**
 * The options of a SYN as BSD lays them out: each after as few NOPs as bring it to its place, End and zeros behind the last.
 *
 * ```
 *  | MSS: 4 | NOP | window scale: 3 | SACK permitted: 2 | timestamps: 10 | fast open … | End, 0 …
 * ```
 */
import { Kind, type TcpOptions } from './tcp-options.js';

/** Writes the options; returns the octet behind them, a multiple of 4 from `at`. At most 40 octets with a cookie of 16. */
export function putPackedSynOptions(view: DataView, at: number, options: TcpOptions): number {
  let o = at;
  if (options.mss >= 0) {
    view.setInt32(o, (Kind.Mss << 24) | (4 << 16) | options.mss);
    o += 4;
  }
  if (options.windowScale >= 0) {
    o = nops(view, at, o, 2, 1);
    view.setUint8(o, Kind.WindowScale);
    view.setUint16(o + 1, (3 << 8) | options.windowScale);
    o += 3;
  }
  if (options.sackPermitted) {
    o = nops(view, at, o, 2, 0);
    view.setUint16(o, (Kind.SackPermitted << 8) | 2);
    o += 2;
  }
  if (options.timestamps) {
    o = nops(view, at, o, 4, 2);
    view.setUint16(o, (Kind.Timestamps << 8) | 10);
    view.setInt32(o + 2, options.tsVal);
    view.setInt32(o + 6, options.tsEcr);
    o += 10;
  }
  if (options.cookieLength >= 0) {
    view.setUint16(o, (Kind.FastOpen << 8) | (2 + options.cookieLength));
    for (let i = 0; i < options.cookieLength; i++) view.setUint8(o + 2 + i, options.cookie[i] as number);
    o += 2 + options.cookieLength;
  }
  while ((o - at) % 4 !== 0) view.setUint8(o++, Kind.End);
  return o;
}

/** NOPs until the place is `rest` modulo `step`. */
function nops(view: DataView, at: number, o: number, step: number, rest: number): number {
  while ((o - at) % step !== rest) view.setUint8(o++, Kind.Nop);
  return o;
}
