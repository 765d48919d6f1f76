import { type Micros, seconds } from '../../../base/time.js';
import type { Delivery } from './controller.js';

/** Loss of a round or of a probe that is too much (BBRLossThresh), and what a round with loss leaves of the bounds (BBRBeta). draft-ietf-ccwg-bbr §2.9, §2.10. */
export const LOSS_THRESH = 0.02;
const BETA = 0.7;
/** Share of the long-term bound left to other flows while cruising (BBRHeadroom). */
const HEADROOM = 0.15;
/** Windows of this many rounds for the filter of aggregation; two of them are kept. BBRExtraAckedFilterLen is 10 rounds. */
const EXTRA_ACKED_ROUNDS = 5;
/** How long a least round trip is believed (MinRTTFilterLen), and after how long a new one is looked for (ProbeRTTInterval). */
const MIN_RTT_WINDOW = seconds(10);
const PROBE_RTT_INTERVAL = seconds(5);

/**
 * What BBR believes of the path (draft-ietf-ccwg-bbr §5.5): the bottleneck's rate, the least round trip, how bursty ACKs come, and how
 * much in flight the path bears, for long (from probing) and for the moment (since loss). Octets, µs, octets per second.
 */
export class PathModel {
  /** BBR.bw: the rate believed now, the lower of the long-term maximum and the short-term bound. */
  bw = 0;
  /** BBR.bw_shortterm (bw_lo). */
  bwShortterm = Number.POSITIVE_INFINITY;
  /** BBR.inflight_shortterm (inflight_lo). */
  inflightShortterm = Number.POSITIVE_INFINITY;
  /** BBR.inflight_longterm (inflight_hi). */
  inflightLongterm = Number.POSITIVE_INFINITY;
  /** BBR.inflight_latest, bw_latest: the most delivered in the round of the loss signals. */
  inflightLatest = 0;
  bwLatest = 0;
  /** BBR.min_rtt; 0 until measured. */
  minRtt: Micros = 0;
  /** The search for a new least round trip is due. */
  probeRttExpired = false;
  /** BBR.round_count, and whether this ACK began one. */
  rounds = 0;
  roundStart = false;
  /** Losses, or a mark of congestion, since the round of the signals began; and how many ACKs told of losses in it. */
  lossInRound = false;
  lossEvents = 0;
  /** This ACK ended a round of the signals. */
  lossRoundStart = false;

  /** What a conclusion of loss may replace, for taking it back. */
  private undoBw = Number.POSITIVE_INFINITY;
  private undoShortterm = Number.POSITIVE_INFINITY;
  private undoLongterm = Number.POSITIVE_INFINITY;
  private nextRound = 0;
  private lossRound = 0;
  private probeRttMin: Micros = 0;
  private probeRttMinAt: Micros = 0;
  private minRttAt: Micros = 0;
  // The maximum of two probing cycles, of two windows of rounds: the running one and the one before.
  private bwNow = 0;
  private bwBefore = 0;
  private extraNow = 0;
  private extraBefore = 0;
  private extraRounds = 0;
  private extraSince: Micros = 0;
  private extraDelivered = 0;

  /** BBR.max_bw. */
  get maxBw(): number {
    return Math.max(this.bwNow, this.bwBefore);
  }

  /** BBR.extra_acked: octets that arrive ahead of the rate, because receivers or radios gather ACKs. */
  get extraAcked(): number {
    return Math.max(this.extraNow, this.extraBefore);
  }

  /** The bandwidth-delay product times `gain`; 0 until both are known. */
  bdp(gain: number): number {
    return (gain * this.bw * this.minRtt) / 1e6;
  }

  /** The long-term bound less what is left to others. */
  headroom(mss: number): number {
    const bound = this.inflightLongterm;
    return bound === Number.POSITIVE_INFINITY ? bound : bound - Math.max(mss, HEADROOM * bound);
  }

  /** A round begins now: it ends when something sent from now on has been delivered. */
  startRound(delivered: number): void {
    this.nextRound = delivered;
  }

  /** One cycle of probing is over: its maximum becomes the one before. */
  advanceMaxBw(): void {
    if (this.bwNow === 0) return;
    this.bwBefore = this.bwNow;
    this.bwNow = 0;
  }

  resetSignals(): void {
    this.lossInRound = false;
    this.lossEvents = 0;
    this.bwLatest = this.inflightLatest = 0;
  }

  resetShortterm(): void {
    this.bwShortterm = this.inflightShortterm = Number.POSITIVE_INFINITY;
  }

  /** Loss has been concluded: the bounds are kept for the case that it was none. §5.5.11.1. */
  keepBounds(): void {
    this.undoBw = this.bwShortterm;
    this.undoShortterm = this.inflightShortterm;
    this.undoLongterm = this.inflightLongterm;
  }

  /** It was none. §5.5.11.2. */
  restoreBounds(): void {
    this.bwShortterm = Math.max(this.bwShortterm, this.undoBw);
    this.inflightShortterm = Math.max(this.inflightShortterm, this.undoShortterm);
    this.inflightLongterm = Math.max(this.inflightLongterm, this.undoLongterm);
    this.lossInRound = false;
  }

  /** The search for a least round trip is over: the next one is due in an interval from now. */
  rttProbed(now: Micros): void {
    this.probeRttMinAt = now;
  }

  /** ACKs are measured anew after a silence. */
  restarted(now: Micros): void {
    this.extraSince = now;
    this.extraDelivered = 0;
  }

  /** §5.5.10.3 first half: signals of this ACK, rounds and the rate. `total` is C.delivered; `probing` keeps the short-term bounds as they are. */
  take(d: Delivery, total: number, cwnd: number, probing: boolean, marked: boolean): void {
    const inSample = total - d.priorDelivered;
    const lossy = d.lost > 0 || marked;
    this.lossRoundStart = false;
    if (lossy && !this.lossInRound) this.lossRound = total;
    if (d.rate > 0) {
      this.bwLatest = Math.max(this.bwLatest, d.rate);
      this.inflightLatest = Math.max(this.inflightLatest, inSample);
      if (d.priorDelivered >= this.lossRound) {
        this.lossRound = total;
        this.lossRoundStart = true;
      }
      this.round(d, total);
      if (d.rate >= this.maxBw || !d.appLimited) this.bwNow = Math.max(this.bwNow, d.rate);
    } else this.roundStart = false;
    if (d.lost > 0) this.lossEvents++;
    if (lossy) this.lossInRound = true;
    if (this.lossRoundStart && this.lossInRound && !probing) this.lower(cwnd);
  }

  /** §5.5.10.3 second half, when the state machine has seen the signals: the next round's begin. */
  conclude(d: Delivery, total: number): void {
    if (this.lossRoundStart) {
      this.lossInRound = false;
      this.lossEvents = 0;
      this.bwLatest = d.rate;
      this.inflightLatest = total - d.priorDelivered;
    }
    this.bw = Math.min(this.maxBw, this.bwShortterm);
  }

  /** §5.5.9: how much more has arrived than the rate explains. `startup` keeps one round only. */
  aggregation(d: Delivery, now: Micros, cwnd: number, startup: boolean): void {
    if (this.roundStart && ++this.extraRounds >= (startup ? 1 : EXTRA_ACKED_ROUNDS)) {
      this.extraRounds = 0;
      this.extraBefore = this.extraNow;
      this.extraNow = 0;
    }
    let expected = (this.bw * (now - this.extraSince)) / 1e6;
    if (this.extraDelivered <= expected) {
      this.restarted(now);
      expected = 0;
    }
    this.extraDelivered += d.delivered;
    this.extraNow = Math.max(this.extraNow, Math.min(this.extraDelivered - expected, cwnd));
  }

  /** §5.3.4.3: the least round trip, of ten seconds, looked for every five. `rtt` −1 without a measurement. */
  leastRtt(rtt: Micros, now: Micros): void {
    this.probeRttExpired = this.probeRttMin > 0 && now > this.probeRttMinAt + PROBE_RTT_INTERVAL;
    if (rtt >= 0 && (this.probeRttMin === 0 || rtt < this.probeRttMin || this.probeRttExpired)) {
      this.probeRttMin = Math.max(1, rtt);
      this.probeRttMinAt = now;
    }
    if (this.probeRttMin === 0) return;
    if (this.minRtt === 0 || this.probeRttMin < this.minRtt || now > this.minRttAt + MIN_RTT_WINDOW) {
      this.minRtt = this.probeRttMin;
      this.minRttAt = this.probeRttMinAt;
    }
  }

  private round(d: Delivery, total: number): void {
    this.roundStart = d.priorDelivered >= this.nextRound;
    if (!this.roundStart) return;
    this.startRound(total);
    this.rounds++;
  }

  /** Loss in a round that was no probe: the bounds of the moment follow what was delivered. §5.5.10.3. */
  private lower(cwnd: number): void {
    if (this.bwShortterm === Number.POSITIVE_INFINITY) this.bwShortterm = this.maxBw;
    if (this.inflightShortterm === Number.POSITIVE_INFINITY) this.inflightShortterm = cwnd;
    this.bwShortterm = Math.max(this.bwLatest, BETA * this.bwShortterm);
    this.inflightShortterm = Math.max(this.inflightLatest, BETA * this.inflightShortterm);
  }

  /** What a probe that found too much leaves as the long-term bound: at least `BETA` of what is aimed at. */
  tooMuch(txInFlight: number, target: number): void {
    this.inflightLongterm = Math.max(txInFlight, target * BETA);
  }
}

/** The pipe is full when three rounds bring less than a quarter more. §5.3.1.2. */
const FULL_BW_GROWTH = 1.25;
const FULL_BW_ROUNDS = 3;

/** Whether a phase that sends ever more has found the path's rate. */
export class FullPipe {
  /** BBR.full_bw_now: this phase has. */
  now = false;
  /** BBR.full_bw_reached: one has. */
  reached = false;
  private bw = 0;
  private rounds = 0;

  /** Begins anew, from `rate`. */
  reset(rate: number): void {
    this.bw = Math.max(0, rate);
    this.rounds = 0;
    this.now = false;
  }

  /** An ACK's sample. */
  check(d: Delivery, roundStart: boolean): void {
    if (this.now || d.appLimited || d.rate < 0) return;
    // Any ACK of a round may show the growth (Linux; the draft looks at its first one only, which jitter makes a poor witness).
    if (d.rate >= this.bw * FULL_BW_GROWTH) return this.reset(d.rate);
    if (!roundStart) return;
    this.now = ++this.rounds >= FULL_BW_ROUNDS;
    if (this.now) this.reached = true;
  }
}
