import { Address } from '../../base/address.js';
import type { Packet } from '../../base/packet.js';
import { SipHash } from '../../base/siphash.js';
import { type Micros, NEVER } from '../../base/time.js';
import { HalfOpen } from './half-open.js';
import type { Listener } from './listener.js';
import type { Segment } from './segment.js';

/** A cookie is good for this minute and the one before: between one and two minutes. */
const MINUTE: Micros = 60_000_000;
const AGE_MAX = 2;

/** MSS values a cookie can name: most peers lie just above one of them. 3 bits. */
const MSS_V4 = [536, 1_220, 1_300, 1_360, 1_400, 1_440, 1_452, 1_460] as const;
const MSS_V6 = [536, 1_220, 1_280, 1_340, 1_380, 1_420, 1_432, 1_440] as const;

/** Low bits of the timestamp that carry options: 4 of window scale (15: none), SACK, ECN. */
const STAMP_BITS = 6;
const NO_SHIFT = 15;

/**
 * SYN cookies (RFC 4987 §3.6): the SYN-ACK's sequence number is all we remember of a SYN.
 *
 * ```
 *  ISS:   | hash(flow, irs, minute, mss) 24 bits | minute mod 32: 5 | mss: 3 |      TSval: | time | ECN SACK wscale |
 * ```
 */
export class SynCookies {
  private readonly hash: SipHash;
  private lastSent: Micros = -NEVER;
  private half: HalfOpen | null = null;

  constructor(key: Int32Array) {
    this.hash = new SipHash(key, 12);
  }

  /** True while a cookie that was sent may come back: otherwise an ACK out of nowhere is never worth a hash. */
  recent(now: Micros): boolean {
    return now - this.lastSent < AGE_MAX * MINUTE;
  }

  sent(now: Micros): void {
    this.lastSent = now;
  }

  /** A half-open connection that is filled, read and forgotten: a flood costs no memory. */
  scratch(listener: Listener, packet: Packet): HalfOpen {
    if (this.half === null || this.half.listener !== listener) this.half = new HalfOpen(listener, new Address(), new Address());
    const { half } = this;
    half.local.copy(packet.destination);
    half.remote.copy(packet.source);
    half.localPort = packet.destinationPort;
    half.remotePort = packet.sourcePort;
    return half;
  }

  /** 24 bits over the flow, the peer's ISN, the minute and the MSS. */
  digest(half: HalfOpen, minute: number, mss: number): number {
    const { input } = this.hash;
    const { local, remote } = half;
    input[0] = local.w0;
    input[1] = local.w1;
    input[2] = local.w2;
    input[3] = local.w3;
    input[4] = remote.w0;
    input[5] = remote.w1;
    input[6] = remote.w2;
    input[7] = remote.w3;
    input[8] = (half.localPort << 16) | half.remotePort;
    input[9] = half.irs;
    input[10] = minute | 0;
    input[11] = mss;
    return this.hash.words(12) >>> 8;
  }
}

/** Sets half.iss to a cookie and puts the options into the low bits of half.tsOffset's clock. */
export function makeCookie(cookies: SynCookies, half: HalfOpen, now: Micros): void {
  const table = half.remote.isV4 ? MSS_V4 : MSS_V6;
  let mss = table.length - 1;
  while (mss > 0 && (table[mss] as number) > half.peerMss) mss--;
  const minute = Math.floor(now / MINUTE);
  half.iss = (cookies.digest(half, minute, mss) << 8) | ((minute & 31) << 3) | mss;
  cookies.sent(now);
  if (!half.timestamps) return;
  const bits = (half.peerShift < 0 ? NO_SHIFT : half.peerShift) | (half.sack ? 16 : 0) | (half.ecn ? 32 : 0);
  const stamp = (Math.floor(now / 1_000) + half.tsOffset) | 0;
  // Not later than now: a timestamp of the future would be older than the next one.
  let coded = ((stamp >> STAMP_BITS) << STAMP_BITS) | bits;
  if (((coded - stamp) | 0) > 0) coded -= 1 << STAMP_BITS;
  half.tsOffset = (half.tsOffset + coded - stamp) | 0;
}

/** Is half.iss a cookie of ours? Then fills in what it says. `half` has flow, irs, iss and the true tsOffset. */
export function checkCookie(cookies: SynCookies, half: HalfOpen, seg: Segment, now: Micros): boolean {
  const mss = half.iss & 7;
  const minute = Math.floor(now / MINUTE);
  const age = (minute - ((half.iss >> 3) & 31)) & 31;
  if (age >= AGE_MAX || half.iss >>> 8 !== cookies.digest(half, minute - age, mss)) return false;
  half.peerMss = (half.remote.isV4 ? MSS_V4 : MSS_V6)[mss] as number;
  const { options } = seg;
  if (!options.timestamps) return true;
  half.timestamps = true;
  half.tsRecent = options.tsVal;
  const bits = options.tsEcr & ((1 << STAMP_BITS) - 1);
  half.peerShift = (bits & 15) === NO_SHIFT ? -1 : bits & 15;
  half.sack = (bits & 16) !== 0;
  half.ecn = (bits & 32) !== 0;
  return true;
}
