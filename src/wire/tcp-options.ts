// hot: bench/micro/wire
/**
 * TCP options (RFC 9293 §3.2, RFC 7323 §2, §3, RFC 2018 §2, §3, RFC 7413 §4.1.1).
 *
 * ```
 *  | 0 |  end   | 1 |  nop   | kind | length | value …
 *
 *  as written, SYN:    mss(4)  sack-ok(2) ts(10) | nop nop sack-ok(2) | nop nop ts(10)   nop ws(3)   cookie, padding
 *  as written, others: nop nop ts(10)   nop nop sack(2 + 8n)
 * ```
 */
import { Drop } from '../base/drops.js';
import { HEADER_LEN, headerLength } from './tcp.js';

/** Option kinds (IANA tcp-parameters). Those not here are ignored (RFC 9293 MUST-6), MD5 and TCP-AO among them. */
export const Kind = { End: 0, Nop: 1, Mss: 2, WindowScale: 3, SackPermitted: 4, Sack: 5, Timestamps: 8, FastOpen: 34, Experimental: 254 } as const;

/** Which experiment it is (RFC 6994 §3): Fast Open's before it had a kind of its own. Linux speaks both. */
const FAST_OPEN_EXPERIMENT = 0xf989;

/** Blocks of a SACK option: 40 octets of options hold four (RFC 2018 §3). */
export const SACK_MAX = 4;
/** Octets of a timestamps option with its two NOPs (RFC 7323 appendix A). */
export const TIMESTAMPS_LEN = 12;
/** Greatest shift of a window; more is taken as 14 (RFC 7323 §2.3). */
export const WINDOW_SCALE_MAX = 14;
/** Octets of a Fast Open cookie, an even number in between (RFC 7413 §4.1.1). */
export const COOKIE_MIN = 4;
export const COOKIE_MAX = 16;

/** NOP, NOP, timestamps, 10: the only options most segments carry. */
const TIMESTAMPS_WORD = 0x0101080a;

/** The options of one segment, and of one to write. Owned and reused by the caller. */
export class TcpOptions {
  /** Greatest segment the sender takes, [0, 65535]; −1 without the option. */
  mss = -1;
  /** Shift of the sender's windows, [0, 14]; −1 without. */
  windowScale = -1;
  sackPermitted = false;
  timestamps = false;
  /** TSval and TSecr as int32. Meaningful with `timestamps`. */
  tsVal = 0;
  tsEcr = 0;
  /** Blocks in `sack`, [0, 4]. */
  sackCount = 0;
  /** Left and right edges as int32, right past the last octet: left0, right0, left1, … */
  readonly sack = new Int32Array(2 * SACK_MAX);
  /** Octets of the Fast Open cookie, 0 for a request of one; −1 without the option. */
  cookieLength = -1;
  readonly cookie = new Uint8Array(COOKIE_MAX);
  /** The cookie stands in the experimental option. */
  cookieExperimental = false;

  /** No options. */
  clear(): void {
    this.mss = -1;
    this.windowScale = -1;
    this.sackPermitted = false;
    this.timestamps = false;
    this.sackCount = 0;
    this.cookieLength = -1;
    this.cookieExperimental = false;
  }
}

/**
 * Reads the options of the segment whose header at `at` has been checked. 0, or TcpBadOptions when a length is below 2 or runs
 * past the header (RFC 9293 MUST-7). A known kind of another length than its own is ignored like an unknown one; of two the last counts.
 */
export function parseOptions(view: DataView, at: number, into: TcpOptions): number {
  into.clear();
  const end = at + headerLength(view, at);
  let o = at + HEADER_LEN;
  if (end - o === TIMESTAMPS_LEN && view.getInt32(o) === TIMESTAMPS_WORD) {
    into.timestamps = true;
    into.tsVal = view.getInt32(o + 4);
    into.tsEcr = view.getInt32(o + 8);
    return 0;
  }
  while (o < end) {
    const kind = view.getUint8(o);
    if (kind === Kind.End) return 0;
    if (kind === Kind.Nop) {
      o++;
      continue;
    }
    if (o + 2 > end) return Drop.TcpBadOptions;
    const length = view.getUint8(o + 1);
    if (length < 2 || length > end - o) return Drop.TcpBadOptions;
    parseOption(view, o, kind, length, into);
    o += length;
  }
  return 0;
}

function parseOption(view: DataView, o: number, kind: number, length: number, into: TcpOptions): void {
  switch (kind) {
    case Kind.Mss:
      if (length === 4) into.mss = view.getUint16(o + 2);
      break;
    case Kind.WindowScale:
      if (length === 3) into.windowScale = Math.min(view.getUint8(o + 2), WINDOW_SCALE_MAX);
      break;
    case Kind.SackPermitted:
      if (length === 2) into.sackPermitted = true;
      break;
    case Kind.Sack:
      if (length % 8 === 2 && length > 2) parseSack(view, o + 2, (length - 2) >> 3, into);
      break;
    case Kind.Timestamps:
      if (length !== 10) break;
      into.timestamps = true;
      into.tsVal = view.getInt32(o + 2);
      into.tsEcr = view.getInt32(o + 6);
      break;
    case Kind.FastOpen:
      parseCookie(view, o + 2, length - 2, into);
      break;
    case Kind.Experimental:
      if (length < 4 || view.getUint16(o + 2) !== FAST_OPEN_EXPERIMENT) break;
      into.cookieExperimental = true;
      parseCookie(view, o + 4, length - 4, into);
      break;
  }
}

function parseSack(view: DataView, o: number, count: number, into: TcpOptions): void {
  into.sackCount = count;
  for (let i = 0; i < 2 * count; i++) into.sack[i] = view.getInt32(o + 4 * i);
}

function parseCookie(view: DataView, o: number, length: number, into: TcpOptions): void {
  if (length !== 0 && (length < COOKIE_MIN || length > COOKIE_MAX || length % 2 !== 0)) return;
  into.cookieLength = length;
  for (let i = 0; i < length; i++) into.cookie[i] = view.getUint8(o + i);
}

/** Octets `putSynOptions` writes: a multiple of 4, and at most 40 with the longest cookie. */
export function synOptionsLength(options: TcpOptions): number {
  const sack = options.sackPermitted && !options.timestamps ? 4 : 0;
  const cookie = options.cookieLength < 0 ? 0 : cookieRoom(options);
  return (options.mss >= 0 ? 4 : 0) + (options.timestamps ? TIMESTAMPS_LEN : 0) + sack + (options.windowScale >= 0 ? 4 : 0) + cookie;
}

/** Writes the options of a SYN; returns the octet behind them. */
export function putSynOptions(view: DataView, at: number, options: TcpOptions): number {
  if (options.mss >= 0) {
    view.setInt32(at, (Kind.Mss << 24) | (4 << 16) | options.mss);
    at += 4;
  }
  if (options.timestamps) {
    const pair = options.sackPermitted ? (Kind.SackPermitted << 8) | 2 : 0x0101;
    view.setInt32(at, (pair << 16) | (Kind.Timestamps << 8) | 10);
    view.setInt32(at + 4, options.tsVal);
    view.setInt32(at + 8, options.tsEcr);
    at += TIMESTAMPS_LEN;
  } else if (options.sackPermitted) {
    view.setInt32(at, (0x0101 << 16) | (Kind.SackPermitted << 8) | 2);
    at += 4;
  }
  if (options.windowScale >= 0) {
    view.setInt32(at, (Kind.Nop << 24) | (Kind.WindowScale << 16) | (3 << 8) | options.windowScale);
    at += 4;
  }
  return options.cookieLength < 0 ? at : putCookie(view, at, options);
}

/** Octets of the cookie option and the NOPs before it. */
const cookieRoom = (options: TcpOptions): number => (options.cookieLength + (options.cookieExperimental ? 4 : 2) + 3) & ~3;

function putCookie(view: DataView, at: number, options: TcpOptions): number {
  const end = at + cookieRoom(options);
  let o = at + 2;
  if (options.cookieExperimental) {
    view.setUint16(o, FAST_OPEN_EXPERIMENT);
    o += 2;
  }
  for (let i = 0; i < options.cookieLength; i++) view.setUint8(o++, options.cookie[i] as number);
  view.setUint16(at, ((options.cookieExperimental ? Kind.Experimental : Kind.FastOpen) << 8) | (o - at));
  while (o < end) view.setUint8(o++, Kind.Nop);
  return end;
}

/** Octets `putOptions` writes for a segment with or without timestamps and `blocks` SACK blocks. */
export const optionsLength = (timestamps: boolean, blocks: number): number =>
  (timestamps ? TIMESTAMPS_LEN : 0) + (blocks > 0 ? 4 + 8 * sackFit(timestamps, blocks) : 0);

/** How many of `blocks` fit: four, three beside timestamps. */
export const sackFit = (timestamps: boolean, blocks: number): number => Math.min(blocks, timestamps ? SACK_MAX - 1 : SACK_MAX);

/** Writes the options of a segment that is no SYN: timestamps, and as many SACK blocks of `options` as fit. Returns the octet behind. */
export function putOptions(view: DataView, at: number, options: TcpOptions): number {
  if (options.timestamps) {
    view.setInt32(at, TIMESTAMPS_WORD);
    view.setInt32(at + 4, options.tsVal);
    view.setInt32(at + 8, options.tsEcr);
    at += TIMESTAMPS_LEN;
  }
  if (options.sackCount === 0) return at;
  const blocks = sackFit(options.timestamps, options.sackCount);
  view.setInt32(at, (0x0101 << 16) | (Kind.Sack << 8) | (2 + 8 * blocks));
  for (let i = 0; i < 2 * blocks; i++) view.setInt32(at + 4 + 4 * i, options.sack[i] as number);
  return at + 4 + 8 * blocks;
}

/** Text of the options. */
export function format(options: TcpOptions): string {
  const parts: string[] = [];
  if (options.mss >= 0) parts.push(`mss ${options.mss}`);
  if (options.sackPermitted) parts.push('sackOK');
  if (options.timestamps) parts.push(`TS ${options.tsVal >>> 0} ecr ${options.tsEcr >>> 0}`);
  if (options.windowScale >= 0) parts.push(`wscale ${options.windowScale}`);
  for (let i = 0; i < options.sackCount; i++)
    parts.push(`sack ${(options.sack[2 * i] as number) >>> 0}:${(options.sack[2 * i + 1] as number) >>> 0}`);
  if (options.cookieLength >= 0) parts.push(`cookie ${options.cookieLength}`);
  return parts.join(',');
}
