import type { Micros } from '../../../base/time.js';
import type { Tcb } from '../tcb.js';
import { NewReno } from './newreno.js';

/** RFC 9438 §4.1.2, §4.6. */
const C = 0.4;
const BETA = 0.7;
/** Additive increase that is fair to Reno with this beta. RFC 9438 §4.3. */
const ALPHA = (3 * (1 - BETA)) / (1 + BETA);

/** CUBIC (RFC 9438), with HyStart++ at the beginning. Its window is computed in segments, as the RFC's formulas are. */
export class Cubic extends NewReno {
  override readonly name = 'cubic';
  /** W_max: the window before the last reduction, in segments. */
  private wMax = 0;
  /** cwnd_prior of the last reduction, for alpha. */
  private priorWindow = 0;
  /** When the running growth began, µs; 0 when it is to begin. */
  private epoch: Micros = 0;
  /** K in seconds. */
  private k = 0;
  /** W_est: what Reno would have. */
  private wEst = 0;
  /** When data was last acknowledged: time without any does not count as growth. */
  private lastAck: Micros = 0;
  private undoMax = 0;
  /** Part of an octet that the window has grown by. */
  private fraction = 0;

  override loss(tcb: Tcb, now: Micros): number {
    super.loss(tcb, now);
    const { snd } = tcb;
    const window = snd.cwnd / snd.mss;
    this.undoMax = this.wMax;
    // Fast convergence (RFC 9438 §4.7): a flow that shrinks leaves room to new ones.
    this.wMax = window < this.wMax ? (window * (1 + BETA)) / 2 : window;
    this.priorWindow = window;
    this.epoch = 0;
    return Math.max(Math.floor(snd.cwnd * BETA), 2 * snd.mss);
  }

  override timeout(tcb: Tcb): void {
    super.timeout(tcb);
    this.epoch = 0;
  }

  override undone(_tcb: Tcb): void {
    this.wMax = this.undoMax;
    this.epoch = 0;
  }

  protected override avoid(tcb: Tcb, acked: number, now: Micros): void {
    const { snd } = tcb;
    const window = (snd.cwnd + this.fraction) / snd.mss;
    // Idle time is no growth (RFC 9438 §5.8): the epoch moves with it.
    if (this.epoch !== 0 && now - this.lastAck > 4 * Math.max(tcb.rtt.srtt, 1_000)) this.epoch += now - this.lastAck;
    this.lastAck = now;
    if (this.epoch === 0) this.begin(window, now);
    const t = (now - this.epoch) / 1e6;
    const segments = acked / snd.mss;
    this.wEst += (this.wEst >= this.priorWindow ? 1 : ALPHA) * (segments / window);
    const at = this.cubic(t + tcb.rtt.srtt / 1e6);
    let next: number;
    if (this.cubic(t) < this.wEst) {
      next = Math.max(window, this.wEst);
    } else {
      const target = Math.min(Math.max(at, window), 1.5 * window);
      next = window + ((target - window) / window) * segments;
    }
    // Never faster than slow start would.
    const octets = Math.min(next * snd.mss, snd.cwnd + acked);
    snd.cwnd = Math.floor(octets);
    this.fraction = octets - snd.cwnd;
  }

  private begin(window: number, now: Micros): void {
    this.epoch = now;
    this.wEst = window;
    if (window >= this.wMax) {
      this.wMax = window;
      this.k = 0;
    } else {
      this.k = Math.cbrt((this.wMax - window) / C);
    }
  }

  /** W_cubic(t), in segments. RFC 9438 §4.2. */
  private cubic(t: number): number {
    const d = t - this.k;
    return C * d * d * d + this.wMax;
  }
}
