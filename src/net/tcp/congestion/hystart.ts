import { type Seq, seqGt } from '../../../base/sequence.js';
import { millis } from '../../../base/time.js';
import type { Tcb } from '../tcb.js';

/** RFC 9406 §4.3. */
const MIN_RTT_THRESH = millis(4);
const MAX_RTT_THRESH = millis(16);
const MIN_RTT_DIVISOR = 8;
const N_RTT_SAMPLE = 8;
const CSS_GROWTH_DIVISOR = 4;
const CSS_ROUNDS = 5;

const UNKNOWN = 0x7fffffff;

/** HyStart++ (RFC 9406): leaves slow start when round trips grow, by way of Conservative Slow Start, before the queue overflows. */
export class HyStart {
  private windowEnd: Seq;
  private lastRoundMinRtt = UNKNOWN;
  private currentRoundMinRtt = UNKNOWN;
  private samples = 0;
  /** Rounds left in Conservative Slow Start; 0 while in slow start. */
  private cssRounds = 0;
  private cssBaselineMinRtt = UNKNOWN;

  /** Grows on, slower, until it is sure that the queue and not jitter was seen; else it ends at once. */
  private readonly conservative: boolean;

  constructor(windowEnd: Seq, conservative: boolean) {
    this.windowEnd = windowEnd;
    this.conservative = conservative;
  }

  /** Octets by which `acked` octets open the window in slow start; −1 when slow start is over. `rtt` in µs, −1 without a sample. */
  growth(tcb: Tcb, acked: number, rtt: number): number {
    // What goes beyond the end belongs to the next round: after a pause all had been acknowledged, and SND.NXT was no end.
    if (seqGt(tcb.snd.una, this.windowEnd)) {
      if (this.cssRounds > 0 && --this.cssRounds === 0) return -1;
      this.round(tcb.snd.nxt);
    }
    if (rtt >= 0) this.sample(rtt);
    if (this.cssRounds === 0) return acked;
    return this.conservative ? acked / CSS_GROWTH_DIVISOR : -1;
  }

  private sample(rtt: number): void {
    if (rtt < this.currentRoundMinRtt) this.currentRoundMinRtt = rtt;
    this.samples++;
    // Linux looks at the one after.
    if (this.samples < N_RTT_SAMPLE + (this.conservative ? 0 : 1) || this.currentRoundMinRtt === UNKNOWN || this.lastRoundMinRtt === UNKNOWN) return;
    if (this.cssRounds === 0) {
      const thresh = Math.max(MIN_RTT_THRESH, Math.min(this.lastRoundMinRtt / MIN_RTT_DIVISOR, MAX_RTT_THRESH));
      if (this.currentRoundMinRtt >= this.lastRoundMinRtt + thresh) {
        this.cssBaselineMinRtt = this.currentRoundMinRtt;
        this.cssRounds = CSS_ROUNDS;
      }
    } else if (this.currentRoundMinRtt < this.cssBaselineMinRtt) {
      // The growth was jitter: back to slow start (RFC 9406 §4.2).
      this.cssBaselineMinRtt = UNKNOWN;
      this.cssRounds = 0;
    }
  }

  private round(windowEnd: Seq): void {
    this.windowEnd = windowEnd;
    this.lastRoundMinRtt = this.currentRoundMinRtt;
    this.currentRoundMinRtt = UNKNOWN;
    this.samples = 0;
  }
}
