import { type Seq, seqGte } from '../../base/sequence.js';
import type { Micros } from '../../base/time.js';
import { RTO_INITIAL, RTO_MAX } from './constants.js';

/** Round trip estimation of one connection (RFC 6298). Whole microseconds below 2^31, so that they stay small integers. */
export class Rtt {
  /** SRTT; 0 until the first measurement. */
  srtt = 0;
  /** RTTVAR as it enters RTO: grows at once, shrinks once per round trip. */
  rttvar = 0;
  /** The running mean deviation, and its greatest value in this round trip. */
  deviation = 0;
  greatest = 0;
  /** The round trip ends when this is acknowledged. */
  roundEnd: Seq = 0;
  /** RTO without back-off. */
  rto = RTO_INITIAL;
  /** Doublings of `rto` now in force. */
  backoff = 0;
  /** Least round trip of the last MIN_RTT_WINDOW_S; 0 until the first. */
  min = 0;
  /** When `min` was measured, in seconds of the monotonic clock. */
  minAt = 0;
}

/** How long a least round trip is believed. Linux's tcp_min_rtt_wlen. */
const MIN_RTT_WINDOW_S = 300;

/**
 * Takes a round trip of `sample` µs (RFC 6298 §2.2, §2.3). Every ACK is measured; RTTVAR would then forget a spike within
 * a part of one round trip (RFC 7323 appendix G), so it takes the greatest deviation of each round trip, as Linux does.
 */
export function measured(rtt: Rtt, sample: Micros, now: Micros, una: Seq, nxt: Seq, rtoMin: Micros): void {
  const r = Math.max(1, Math.round(sample));
  const second = Math.floor(now / 1e6);
  if (rtt.min === 0 || r <= rtt.min || second - rtt.minAt > MIN_RTT_WINDOW_S) {
    rtt.min = r;
    rtt.minAt = second;
  }
  const floor = rtoMin >> 2;
  if (rtt.srtt === 0) {
    rtt.srtt = r;
    rtt.deviation = r >> 1;
    rtt.rttvar = rtt.greatest = Math.max(rtt.deviation, floor);
    rtt.roundEnd = nxt;
  } else {
    const off = Math.abs(rtt.srtt - r);
    rtt.srtt = Math.max(1, Math.round(rtt.srtt + (r - rtt.srtt) / 8));
    rtt.deviation = Math.round(rtt.deviation + (off - rtt.deviation) / 4);
    if (rtt.deviation > rtt.greatest) {
      rtt.greatest = rtt.deviation;
      if (rtt.greatest > rtt.rttvar) rtt.rttvar = rtt.greatest;
    }
    if (seqGte(una, rtt.roundEnd)) {
      if (rtt.greatest < rtt.rttvar) rtt.rttvar -= (rtt.rttvar - rtt.greatest) >> 2;
      rtt.roundEnd = nxt;
      rtt.greatest = floor;
    }
  }
  // 4·RTTVAR is at least rtoMin, so RTO stays that far above the round trip: room for the peer's delayed ACK.
  rtt.rto = Math.min(RTO_MAX, rtt.srtt + 4 * rtt.rttvar);
}

/** RTO with its back-off (RFC 6298 §5.5). */
export const timeoutOf = (rtt: Rtt): Micros => (rtt.backoff === 0 ? rtt.rto : Math.min(RTO_MAX, rtt.rto * 2 ** rtt.backoff));
