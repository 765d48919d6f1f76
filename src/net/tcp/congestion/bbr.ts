import { type Micros, millis, seconds } from '../../../base/time.js';
import type { Flight } from '../flight.js';
import { CaState } from '../info.js';
import type { Tcb } from '../tcb.js';
import { FullPipe, LOSS_THRESH, PathModel } from './bbr-model.js';
import type { Congestion, Delivery } from './controller.js';

/** The states of draft-ietf-ccwg-bbr §3.3, those of ProbeBW apart. The order matters: `Down` to `Up` are ProbeBW. */
export const BbrState = { Startup: 0, Drain: 1, Down: 2, Cruise: 3, Refill: 4, Up: 5, ProbeRtt: 6 } as const;

/** Pacing gain and window gain by state. §5.6.1. */
const PACING_GAIN = [2.77, 0.5, 0.9, 1, 1, 1.25, 1];
const CWND_GAIN = [2, 2, 2, 2, 2, 2.25, 0.5];
/** Where ACKs stand in relation to a probe. §5.3.3.9. */
const AckPhase = { Initial: 0, Stopping: 1, Refilling: 2, Starting: 3, Feedback: 4 } as const;

/** Startup ends at a round of so many losses and too much in all. §5.3.1.3. */
const FULL_LOSS_COUNT = 6;
/** Drain is over after so many rounds, whatever is in flight. §5.3.2. */
const DRAIN_ROUNDS_MAX = 3;
/** Least window in segments: what keeps delayed ACKs coming. §2.6. */
const MIN_PIPE_SEGMENTS = 4;
/** Paced below the estimate, so that a queue drains. §2.5. */
const PACING_MARGIN = 0.99;
/** At least so long in ProbeRTT. §2.16.2. */
const PROBE_RTT_DURATION = millis(200);
/** Rounds after which Reno would have probed, at most. §5.3.3.8. */
const RENO_ROUNDS_MAX = 63;
/** Growth of the slope while probing upward doubles each round, to here. */
const UP_ROUNDS_MAX = 30;
/** Round trip believed before the first measurement. */
const RTT_UNKNOWN = millis(1);

/**
 * BBR, third version (draft-ietf-ccwg-bbr): sends at the rate the bottleneck has been seen to deliver and keeps in flight what that
 * rate and the least round trip make, so that queues stay short and loss that is no congestion does not matter. Loss above 2 %, and
 * a mark of RFC 3168's ECN, bound what is in flight. What is lost is judged by ACK, not by segment.
 */
export class Bbr implements Congestion {
  readonly name = 'bbr';
  readonly ownsWindow = true;
  readonly model = new PathModel();
  /** BbrState. */
  state: number = BbrState.Startup;

  private readonly pipe = new FullPipe();
  private drainRound = 0;
  private ackPhase: number = AckPhase.Initial;
  private cycleAt: Micros = 0;
  private probeWait: Micros = 0;
  private roundsSinceProbe = 0;
  /** ACKs come of what was sent while probing: too much loss is answered once. */
  private probing = false;
  /** The last probe found too much; and the running one stopped where that one had, to be careful (§5.3.3.6). */
  private tooHigh = false;
  private precautionary = false;
  private upRounds = 0;
  private upAcked = 0;
  private upCount = Number.POSITIVE_INFINITY;
  private probeRttDoneAt: Micros = 0;
  private probeRttRoundDone = false;
  private priorCwnd = 0;
  private idleRestart = false;
  private recovering = false;
  /** The state that a conclusion of loss ended: Startup, Up, or Drain for none. */
  private undoState: number = BbrState.Drain;

  constructor(tcb: Tcb) {
    const { rtt, tcp } = tcb;
    if (rtt.min > 0) this.model.leastRtt(rtt.min, tcp.ctx.now);
    this.model.restarted(tcp.ctx.now);
  }

  acked(): void {}

  /** The model answers loss; slow start has no threshold here. §5.5.11.1. */
  loss(tcb: Tcb): number {
    this.saveCwnd(tcb);
    this.undoState = BbrState.Drain;
    this.model.keepBounds();
    return 0x7fffffff;
  }

  /** One segment goes out, then slow start's growth; the window comes back when the loss is mended. §5.6.4.4. */
  timeout(tcb: Tcb): void {
    this.saveCwnd(tcb);
    this.recovering = true;
  }

  /** §5.5.11.2. */
  undone(tcb: Tcb): void {
    this.restoreCwnd(tcb);
    this.pipe.reset(0);
    this.model.restoreBounds();
    if (this.undoState === BbrState.Startup) this.pipe.reached = false;
    if (this.state !== BbrState.ProbeRtt) {
      if (this.undoState === BbrState.Startup) this.state = BbrState.Startup;
      else if (this.undoState === BbrState.Up && this.state !== BbrState.Up) this.enterRefill(tcb.flight as Flight);
    }
    this.undoState = BbrState.Drain;
  }

  /** §5.4.1: after a silence of the application data goes at the rate of the path, not in a burst. */
  restarted(tcb: Tcb, flight: Flight, now: Micros): void {
    if (flight.appLimitedUntil === 0) return;
    this.idleRestart = true;
    this.model.restarted(now);
    if (this.inProbeBw()) this.pace(tcb, flight, 1);
    else if (this.state === BbrState.ProbeRtt) this.checkProbeRttDone(tcb, flight, now);
  }

  /** §5.2.3: each ACK moves the model, the state, the rate and the window. */
  sampled(tcb: Tcb, d: Delivery, now: Micros): void {
    const flight = tcb.flight as Flight;
    const { model, state } = this;
    const inFlight = flight.pipe((tcb.snd.nxt - tcb.snd.una) | 0);
    const probesBw = state === BbrState.Startup || state === BbrState.Refill || state === BbrState.Up;
    model.take(d, flight.delivered, tcb.snd.cwnd, probesBw, flight.state === CaState.Cwr);
    if (model.roundStart) this.roundsSinceProbe++;
    model.aggregation(d, now, tcb.snd.cwnd, !this.pipe.reached);
    this.pipe.check(d, model.roundStart);
    this.checkStartupDone(d, flight);
    const drained = inFlight <= this.inflightOf(tcb, 1) || model.rounds > this.drainRound + DRAIN_ROUNDS_MAX;
    if (this.state === BbrState.Drain && drained) this.enterDown(tcb, flight, now);
    this.cycle(tcb, flight, d, inFlight, now);
    model.leastRtt(d.rtt, now);
    this.checkProbeRtt(tcb, flight, d, inFlight, now);
    model.conclude(d, flight.delivered);
    this.pace(tcb, flight, PACING_GAIN[this.state] as number);
    this.window(tcb, flight, d);
  }

  // Startup and Drain

  private checkStartupDone(d: Delivery, flight: Flight): void {
    if (this.state !== BbrState.Startup) return;
    const { model } = this;
    // §5.3.1.3: a queue too short for a doubling overflows before the rate stops growing.
    if (!this.pipe.reached && model.lossRoundStart && model.lossEvents >= FULL_LOSS_COUNT && this.lossRateHigh(d, flight)) {
      this.pipe.reached = true;
      this.undoState = BbrState.Startup;
      model.inflightLongterm = Math.max(model.bdp(1), model.inflightLatest);
    }
    if (!this.pipe.reached) return;
    this.state = BbrState.Drain;
    this.drainRound = model.rounds;
  }

  // ProbeBW

  private inProbeBw(): boolean {
    return this.state >= BbrState.Down && this.state <= BbrState.Up;
  }

  private enterDown(tcb: Tcb, flight: Flight, now: Micros): void {
    const { prng } = tcb.tcp.ctx;
    this.model.resetSignals();
    this.upCount = Number.POSITIVE_INFINITY;
    // §5.3.3.8.3: flows that probe at different times find each other's share.
    this.roundsSinceProbe = prng.below(2);
    this.probeWait = seconds(2) + prng.float() * seconds(1);
    this.cycleAt = now;
    this.ackPhase = AckPhase.Stopping;
    this.model.startRound(flight.delivered);
    this.state = BbrState.Down;
  }

  private enterRefill(flight: Flight): void {
    this.model.resetShortterm();
    this.upRounds = 0;
    this.upAcked = 0;
    this.precautionary = false;
    this.ackPhase = AckPhase.Refilling;
    this.model.startRound(flight.delivered);
    this.state = BbrState.Refill;
  }

  private enterUp(tcb: Tcb, flight: Flight, d: Delivery): void {
    this.ackPhase = AckPhase.Starting;
    this.model.startRound(flight.delivered);
    this.pipe.reset(d.rate);
    this.state = BbrState.Up;
    this.steepen(tcb);
  }

  /** §5.3.3.9: the cycle of ProbeBW. */
  private cycle(tcb: Tcb, flight: Flight, d: Delivery, inFlight: number, now: Micros): void {
    if (!this.pipe.reached) return;
    if (this.adaptLongterm(tcb, flight, d, now)) return;
    if (this.state === BbrState.Down) {
      if (this.timeToProbe(tcb, flight, now)) return;
      const { mss } = tcb.snd;
      if (inFlight <= this.inflightOf(tcb, 1) && inFlight <= this.model.headroom(mss)) this.state = BbrState.Cruise;
    } else if (this.state === BbrState.Cruise) this.timeToProbe(tcb, flight, now);
    else if (this.state === BbrState.Refill) {
      if (!this.model.roundStart) return;
      this.probing = true;
      this.enterUp(tcb, flight, d);
    } else if (this.state === BbrState.Up && this.timeToGoDown(tcb, flight, d, inFlight)) {
      this.tooHigh = false;
      this.enterDown(tcb, flight, now);
    }
  }

  private timeToProbe(tcb: Tcb, flight: Flight, now: Micros): boolean {
    // As often as Reno would, where the window is small: §5.3.3.8.1.
    const rounds = Math.min(this.target(tcb) / tcb.snd.mss, RENO_ROUNDS_MAX);
    if (now - this.cycleAt <= this.probeWait && this.roundsSinceProbe < rounds) return false;
    this.enterRefill(flight);
    return true;
  }

  private timeToGoDown(tcb: Tcb, flight: Flight, d: Delivery, inFlight: number): boolean {
    if (this.tooHigh && inFlight >= this.model.inflightLongterm) {
      this.precautionary = true;
      return true;
    }
    if (flight.cwndLimited && tcb.snd.cwnd >= this.model.inflightLongterm) {
      // Held back by the bound that is being raised: the rate cannot show yet.
      this.pipe.reset(d.rate);
      return false;
    }
    return this.pipe.now;
  }

  /** §5.3.3.9: what a probe tells of the long-term bound. True when it decided on the next state. */
  private adaptLongterm(tcb: Tcb, flight: Flight, d: Delivery, now: Micros): boolean {
    const { model } = this;
    if (this.ackPhase === AckPhase.Starting && model.roundStart) this.ackPhase = AckPhase.Feedback;
    if (this.ackPhase === AckPhase.Stopping && model.roundStart) {
      this.probing = false;
      this.ackPhase = AckPhase.Initial;
      if (this.inProbeBw()) {
        if (!d.appLimited) model.advanceMaxBw();
        if (this.precautionary && !this.tooHigh) {
          this.enterRefill(flight);
          return true;
        }
      }
    }
    if (this.lossRateHigh(d, flight) || flight.state === CaState.Cwr || (d.lost > 0 && !tcb.agreed.sack)) {
      if (this.probing) this.tooMuch(tcb, flight, d, now);
      return false;
    }
    if (model.inflightLongterm === Number.POSITIVE_INFINITY) return false;
    if (d.txInFlight > model.inflightLongterm) model.inflightLongterm = d.txInFlight;
    if (this.state === BbrState.Up) this.probeUpward(tcb, flight, d);
    return false;
  }

  private tooMuch(tcb: Tcb, flight: Flight, d: Delivery, now: Micros): void {
    this.tooHigh = true;
    this.probing = false;
    if (!d.appLimited) this.model.tooMuch(d.txInFlight, this.target(tcb));
    if (this.state !== BbrState.Up) return;
    this.undoState = BbrState.Up;
    this.enterDown(tcb, flight, now);
  }

  /** More than 2 % of what was in flight with the sampled segment has been lost since. */
  private lossRateHigh(d: Delivery, flight: Flight): boolean {
    return d.rate > 0 && flight.lostEver - d.priorLost > d.txInFlight * LOSS_THRESH;
  }

  private probeUpward(tcb: Tcb, flight: Flight, d: Delivery): void {
    const { snd } = tcb;
    if (!flight.cwndLimited || snd.cwnd < this.model.inflightLongterm) return;
    this.upAcked += d.delivered;
    if (this.upAcked >= this.upCount) {
      const segments = Math.floor(this.upAcked / this.upCount);
      this.upAcked -= segments * this.upCount;
      this.model.inflightLongterm += segments * snd.mss;
    }
    if (this.model.roundStart) this.steepen(tcb);
  }

  /** The bound grows by 1, 2, 4 … segments in each round of a probe. */
  private steepen(tcb: Tcb): void {
    const growth = 2 ** this.upRounds;
    this.upRounds = Math.min(this.upRounds + 1, UP_ROUNDS_MAX);
    this.upCount = Math.max(tcb.snd.cwnd / growth, tcb.snd.mss);
  }

  // ProbeRTT

  /** §5.3.4.3: the pipe is emptied for a moment when no least round trip has shown itself for five seconds. */
  private checkProbeRtt(tcb: Tcb, flight: Flight, d: Delivery, inFlight: number, now: Micros): void {
    const { model } = this;
    if (this.state !== BbrState.ProbeRtt && model.probeRttExpired && !this.idleRestart) {
      this.saveCwnd(tcb);
      this.state = BbrState.ProbeRtt;
      this.probeRttDoneAt = 0;
      this.ackPhase = AckPhase.Stopping;
      model.startRound(flight.delivered);
    }
    if (this.state === BbrState.ProbeRtt) {
      // What is sent now says nothing of the rate.
      flight.appLimitedUntil = flight.delivered + inFlight || 1;
      if (this.probeRttDoneAt === 0) {
        if (inFlight <= this.probeRttCwnd(tcb)) {
          this.probeRttDoneAt = now + PROBE_RTT_DURATION;
          this.probeRttRoundDone = false;
          model.startRound(flight.delivered);
        }
      } else {
        if (model.roundStart) this.probeRttRoundDone = true;
        if (this.probeRttRoundDone) this.checkProbeRttDone(tcb, flight, now);
      }
    }
    if (d.delivered > 0) this.idleRestart = false;
  }

  private checkProbeRttDone(tcb: Tcb, flight: Flight, now: Micros): void {
    if (this.probeRttDoneAt === 0 || now <= this.probeRttDoneAt) return;
    this.model.rttProbed(now);
    this.restoreCwnd(tcb);
    this.model.resetShortterm();
    if (!this.pipe.reached) {
      this.state = BbrState.Startup;
      return;
    }
    this.enterDown(tcb, flight, now);
    this.state = BbrState.Cruise;
  }

  // Rate and window

  /** §5.6.2. Before the pipe has been filled the rate only grows. */
  private pace(tcb: Tcb, flight: Flight, gain: number): void {
    const { model } = this;
    let rate = gain * model.bw * PACING_MARGIN;
    if (rate === 0) rate = (gain * tcb.snd.cwnd * 1e6) / (tcb.rtt.srtt || RTT_UNKNOWN);
    if (this.pipe.reached || rate > flight.pacingRate) flight.pacingRate = Math.max(1, rate);
  }

  /** §5.6.4: the window, bounded by the model. */
  private window(tcb: Tcb, flight: Flight, d: Delivery): void {
    const { snd } = tcb;
    const { model } = this;
    const least = MIN_PIPE_SEGMENTS * snd.mss;
    if (this.recovering && flight.state < CaState.Cwr) {
      this.recovering = false;
      this.restoreCwnd(tcb);
    }
    let gain = CWND_GAIN[this.state] as number;
    if (this.state === BbrState.ProbeRtt) gain = CWND_GAIN[BbrState.Cruise] as number;
    const most = this.inflightOf(tcb, gain) + model.extraAcked;
    let { cwnd } = snd;
    if (this.pipe.reached) cwnd = Math.min(cwnd + d.delivered, most);
    else if (cwnd < most || flight.delivered < tcb.tcp.initialWindow(tcb)) cwnd += d.delivered;
    // After a timeout the window begins at one segment and the floor waits.
    if (!this.recovering) cwnd = Math.max(cwnd, least);
    if (this.state === BbrState.ProbeRtt) cwnd = Math.min(cwnd, this.probeRttCwnd(tcb));
    snd.cwnd = Math.floor(Math.min(cwnd, Math.max(least, this.bound(snd.mss))));
  }

  private bound(mss: number): number {
    const { model, state } = this;
    let bound = Number.POSITIVE_INFINITY;
    if (state === BbrState.ProbeRtt || state === BbrState.Cruise) bound = model.headroom(mss);
    else if (this.inProbeBw()) bound = model.inflightLongterm;
    return Math.min(bound, model.inflightShortterm);
  }

  /** BBRInflight: `gain` bandwidth-delay products, and what bursts and delayed ACKs take (§5.6.4.2). The initial window before the model knows. */
  private inflightOf(tcb: Tcb, gain: number): number {
    const { mss } = tcb.snd;
    const bdp = this.model.bdp(gain);
    if (bdp === 0) return tcb.tcp.initialWindow(tcb);
    // Three bursts of a millisecond each, two segments at least.
    const quantum = Math.max(2 * mss, Math.min(65_536, this.model.bw / 1_000));
    return Math.max(bdp, 3 * quantum, MIN_PIPE_SEGMENTS * mss) + (this.state === BbrState.Up ? 2 * mss : 0);
  }

  private target(tcb: Tcb): number {
    const bdp = this.model.bdp(1);
    return bdp === 0 ? tcb.snd.cwnd : Math.min(bdp, tcb.snd.cwnd);
  }

  private probeRttCwnd(tcb: Tcb): number {
    return Math.max(this.model.bdp(CWND_GAIN[BbrState.ProbeRtt] as number), MIN_PIPE_SEGMENTS * tcb.snd.mss);
  }

  private saveCwnd(tcb: Tcb): void {
    const fresh = !this.recovering && this.state !== BbrState.ProbeRtt;
    this.priorCwnd = fresh ? tcb.snd.cwnd : Math.max(this.priorCwnd, tcb.snd.cwnd);
  }

  private restoreCwnd(tcb: Tcb): void {
    tcb.snd.cwnd = Math.max(tcb.snd.cwnd, this.priorCwnd);
  }
}
