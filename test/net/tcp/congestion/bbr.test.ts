import assert from 'node:assert/strict';
import { millis } from '#src/base/time.js';
import { Bbr, BbrState } from '#src/net/tcp/congestion/bbr.js';
import type { Delivery } from '#src/net/tcp/congestion/controller.js';
import type { Flight } from '#src/net/tcp/flight.js';
import { CaState } from '#src/net/tcp/info.js';
import { race } from '../../../support/race.js';
import type { TcpBench } from '../../../support/tcp-bench.js';
import { established } from '../../../support/tcp-states.js';

const MSS = 1_000;
const RTT = millis(50);

/** The engine alone: each `round` is one ACK for a round trip's worth of data. */
class Engine {
  readonly bench: TcpBench;
  readonly bbr: Bbr;
  readonly flight: Flight;
  now = 1_000_000;
  private began = 0;

  constructor() {
    this.bench = established({ rtt: RTT });
    const { tcb } = this.bench;
    tcb.snd.mss = MSS;
    tcb.snd.cwnd = 10 * MSS;
    tcb.agreed.sack = true;
    this.flight = this.bench.tcp.openFlight(tcb);
    this.bbr = new Bbr(tcb);
    this.flight.congestion = this.bbr;
  }

  get state(): string {
    return Object.entries(BbrState).find(([, value]) => value === this.bbr.state)?.[0] as string;
  }

  get cwnd(): number {
    return this.bench.tcb.snd.cwnd / MSS;
  }

  /** Segments in flight after the ACK. */
  set inFlight(segments: number) {
    const { snd } = this.bench.tcb;
    snd.nxt = (snd.una + segments * MSS) | 0;
  }

  /** An ACK, a round trip after the one before: `segments` arrived in it. */
  round(segments: number, more: { lost?: number; appLimited?: boolean; rtt?: number; span?: number } = {}): void {
    const span = more.span ?? more.rtt ?? RTT;
    this.now += span;
    const { flight } = this;
    const priorDelivered = flight.delivered;
    this.began = priorDelivered;
    const priorLost = flight.lostEver;
    flight.delivered += segments * MSS;
    flight.lostEver += (more.lost ?? 0) * MSS;
    this.ack(priorDelivered, priorLost, segments, more, span);
  }

  /** One more ACK of the running round. */
  part(segments: number, more: { lost?: number } = {}): void {
    const { flight } = this;
    const priorDelivered = this.began;
    const priorLost = flight.lostEver;
    flight.delivered += segments * MSS;
    flight.lostEver += (more.lost ?? 0) * MSS;
    this.ack(priorDelivered, priorLost, segments, more, RTT);
  }

  end(): void {
    const { snd } = this.bench.tcb;
    snd.nxt = snd.una;
    this.bench.end();
  }

  private ack(
    priorDelivered: number,
    priorLost: number,
    segments: number,
    more: { lost?: number; appLimited?: boolean; rtt?: number },
    span: number,
  ): void {
    const delivered = segments * MSS;
    const delivery: Delivery = {
      delivered,
      acked: delivered,
      rtt: more.rtt ?? RTT,
      lost: (more.lost ?? 0) * MSS,
      rate: (delivered * 1e6) / span,
      appLimited: more.appLimited ?? false,
      priorDelivered,
      priorLost,
      txInFlight: delivered + (more.lost ?? 0) * MSS,
    };
    this.bbr.sampled(this.bench.tcb, delivery, this.now);
  }

  /** Through Startup and Drain, on a path of `bdp` segments. */
  filled(bdp: number): void {
    for (let n = 10; n < bdp; n *= 2) this.round(n);
    this.inFlight = 2 * bdp;
    for (let i = 0; i < 4; i++) this.round(bdp);
    assert.equal(this.state, 'Drain');
    this.inFlight = bdp - 1;
    this.round(bdp);
    assert.equal(this.state, 'Cruise');
  }

  /** On to the probe. */
  probing(bdp: number): void {
    this.filled(bdp);
    for (let i = 0; i < 70 && this.state !== 'Refill'; i++) this.round(bdp);
    assert.equal(this.state, 'Refill');
    this.round(bdp);
    assert.equal(this.state, 'Up');
  }
}

describe('TCP: BBR (draft-ietf-ccwg-bbr)', () => {
  let e: Engine;
  beforeEach(() => {
    e = new Engine();
  });
  afterEach(() => e.end());

  it('§10.1: Startup ends when three rounds bring less than a quarter more', () => {
    e.inFlight = 400;
    for (const n of [10, 20, 40, 80, 100]) e.round(n);
    e.round(110);
    e.round(115);
    assert.equal(e.state, 'Startup');
    e.round(118);
    assert.equal(e.state, 'Drain');
  });

  it('§10.7: what the application held back does not end Startup', () => {
    for (let i = 0; i < 20; i++) e.round(5, { appLimited: true });
    assert.equal(e.state, 'Startup');
  });

  it('§5.3.1.3: Startup ends at a round of six losses and more than 2 %', () => {
    e.inFlight = 400;
    for (const n of [10, 20, 40, 80, 160]) e.round(n);
    for (let i = 0; i < 6; i++) e.part(10, { lost: 2 });
    assert.equal(e.state, 'Startup');
    e.round(300, { lost: 20 });
    assert.equal(e.state, 'Drain');
    assert.ok(e.bbr.model.inflightLongterm < 600 * MSS, 'a bound is remembered');
  });

  it('§10.3, §10.4: Drain ends when the queue is gone, or after three rounds', () => {
    e.filled(100);
    const other = new Engine();
    for (const n of [10, 20, 40, 80, 100]) other.round(n);
    other.inFlight = 1_000;
    for (let i = 0; i < 3; i++) other.round(100);
    assert.equal(other.state, 'Drain');
    for (let i = 0; i < 3; i++) {
      other.round(100);
      assert.equal(other.state, 'Drain');
    }
    other.round(100);
    assert.equal(other.state, 'Down');
    other.end();
  });

  it('§5.6.2, §5.6.4: paced at 99 % of the rate and two bandwidth-delay products in flight', () => {
    e.filled(100);
    e.round(100);
    assert.equal(e.state, 'Cruise');
    for (let i = 0; i < 20; i++) e.round(100);
    assert.equal(Math.round(e.flight.pacingRate), (100 * MSS * 20 * 99) / 100);
    assert.ok(e.cwnd >= 200 && e.cwnd <= 300, `${e.cwnd}`);
  });

  it('§10.15: a probe that finds more goes on until the rate stops growing, and the path is known to bear it', () => {
    e.probing(40);
    for (const n of [50, 65, 85, 110]) {
      e.inFlight = n;
      e.round(n);
      assert.equal(e.state, 'Up');
    }
    for (let i = 0; i < 3; i++) e.round(115);
    assert.equal(e.state, 'Down');
    assert.equal(e.bbr.model.maxBw, 115 * MSS * 20);
  });

  it('§10.6: a probe that loses more than 2 % ends, and sets the long-term bound', () => {
    e.probing(40);
    e.inFlight = 60;
    e.round(57, { lost: 3 });
    assert.equal(e.state, 'Down');
    assert.equal(e.bbr.model.inflightLongterm, 60 * MSS);
    for (let i = 0; i < 3; i++) e.round(40);
    assert.ok(e.cwnd <= 60, 'what is in flight keeps below it');
  });

  it('RFC 3168: a mark ends a probe as loss does', () => {
    e.probing(40);
    e.inFlight = 50;
    e.flight.state = CaState.Cwr;
    e.round(50);
    assert.equal(e.state, 'Down');
    assert.equal(e.bbr.model.inflightLongterm, 50 * MSS);
  });

  it('§5.5.10.3: loss while cruising lowers the bounds of the moment to what arrives, once per round; the next probe forgets them', () => {
    e.filled(100);
    e.round(100);
    e.inFlight = 90;
    e.part(1, { lost: 1 });
    assert.equal(e.bbr.model.bwShortterm, Number.POSITIVE_INFINITY, 'not before the round is over');
    e.round(60);
    assert.equal(Math.round(e.bbr.model.bwShortterm / MSS / 20), 100, 'what arrived in the round of the loss');
    e.part(1, { lost: 1 });
    e.round(60);
    assert.equal(Math.round(e.bbr.model.bwShortterm / MSS / 20), 70, 'beta of it, since less arrived');
    assert.equal(Math.round(e.flight.pacingRate), 0.99 * 70 * MSS * 20);
    for (let i = 0; i < 70 && e.state !== 'Refill'; i++) e.round(60);
    assert.equal(e.bbr.model.bwShortterm, Number.POSITIVE_INFINITY);
  });

  it('§5.5.11.2: what was no loss is taken back', () => {
    e.filled(100);
    e.round(100);
    e.bbr.loss(e.bench.tcb);
    e.part(1, { lost: 1 });
    e.round(60);
    e.bbr.undone(e.bench.tcb);
    assert.equal(e.bbr.model.bwShortterm, Number.POSITIVE_INFINITY);
  });

  it('§10.10: after five seconds without a new least round trip half a bandwidth-delay product is in flight for 200 ms', () => {
    e.filled(100);
    e.round(100, { rtt: millis(40) });
    for (let i = 0; i < 200 && e.state !== 'ProbeRtt'; i++) e.round(100);
    assert.equal(e.state, 'ProbeRtt');
    assert.equal(Math.round(e.cwnd), Math.round((e.bbr.model.bdp(0.5) / MSS) | 0));
    const before = e.now;
    e.inFlight = 20;
    for (let i = 0; i < 20 && e.state === 'ProbeRtt'; i++) e.round(20, { appLimited: true, rtt: millis(38) });
    assert.equal(e.state, 'Cruise');
    assert.ok(e.now - before > millis(200));
    assert.equal(e.bbr.model.minRtt, millis(38));
    assert.ok(e.cwnd >= 100, 'the window is back');
  });

  it('§10.14: the window is never below four segments', () => {
    e.filled(8);
    for (let i = 0; i < 10; i++) e.round(1);
    assert.ok(e.cwnd >= 4);
  });

  it('§5.6.4.4: a timeout begins with one segment, and the window comes back with the end of recovery', () => {
    e.filled(100);
    for (let i = 0; i < 10; i++) e.round(100);
    const { cwnd } = e;
    const { snd } = e.bench.tcb;
    e.bbr.loss(e.bench.tcb);
    e.flight.state = CaState.Loss;
    e.bbr.timeout(e.bench.tcb);
    snd.cwnd = MSS;
    e.round(1);
    assert.equal(e.cwnd, 2);
    e.flight.state = CaState.Open;
    e.round(2);
    assert.ok(e.cwnd >= 0.7 * cwnd, `${e.cwnd} of ${cwnd}`);
  });

  it('§5.4.1: after a silence of the application the rate of the path is sent at', () => {
    e.filled(100);
    e.round(100);
    for (let i = 0; i < 60 && e.state !== 'Down'; i++) e.round(100);
    e.flight.pacingRate = 1;
    e.flight.appLimitedUntil = 1;
    e.bbr.restarted(e.bench.tcb, e.flight, e.now + millis(500));
    assert.equal(Math.round(e.flight.pacingRate), (100 * MSS * 20 * 99) / 100);
  });
});

describe('TCP: BBR on paths', () => {
  const mbit = 1e6;

  it('2 % loss and 20 ms: half as much again as CUBIC carries, and more', () => {
    const link = { forward: { rate: 8 * mbit, delay: millis(10), loss: 0.02 } };
    const [bbr] = race([{ congestion: 'bbr' }], link, 4, 1);
    const [cubic] = race([{ congestion: 'cubic' }], link, 4, 1);
    assert.ok(bbr && cubic && bbr.rate > 1.5 * cubic.rate, JSON.stringify([bbr, cubic]));
  });

  it('66 ms and 0.003 % loss: no less than nine tenths of CUBIC', () => {
    const link = { forward: { rate: 8 * mbit, delay: millis(33), loss: 0.000_03, reorder: 0.000_5, reorderBy: 300, queueFrames: 80 } };
    const [bbr] = race([{ congestion: 'bbr' }], link, 7, 1);
    const [cubic] = race([{ congestion: 'cubic' }], link, 7, 1);
    assert.ok(bbr && cubic && bbr.rate > 0.9 * cubic.rate, JSON.stringify([bbr, cubic]));
  });

  it('a DSL line with a buffer of seconds: the line is full and the queue below a quarter of what CUBIC makes', () => {
    const link = { forward: { rate: 4 * mbit, delay: millis(10), queueFrames: 1_000 } };
    const [bbr] = race([{ congestion: 'bbr' }], link, 12, 4);
    const [cubic] = race([{ congestion: 'cubic' }], link, 12, 4);
    assert.ok(bbr && cubic && bbr.rate > 0.85 * 4 * mbit && bbr.srtt < cubic.srtt / 4, JSON.stringify([bbr, cubic]));
  });

  it('two BBR flows: the lesser has at least a third', () => {
    const link = { forward: { rate: 8 * mbit, delay: millis(20), queueFrames: 60 } };
    const rates = race([{ congestion: 'bbr' }, { congestion: 'bbr', start: 1_000 }], link, 25, 10).map(({ rate }) => rate);
    assert.ok(Math.min(...rates) > ((rates[0] as number) + (rates[1] as number)) / 3, JSON.stringify(rates));
  });

  it('BBR and CUBIC: neither has less than a quarter', () => {
    const link = { forward: { rate: 8 * mbit, delay: millis(20), queueFrames: 60 } };
    for (const order of [
      ['bbr', 'cubic'],
      ['cubic', 'bbr'],
    ]) {
      const rates = race(
        order.map((congestion, i) => ({ congestion, start: 1_000 * i })),
        link,
        25,
        10,
      ).map(({ rate }) => rate);
      assert.ok(Math.min(...rates) > ((rates[0] as number) + (rates[1] as number)) / 4, `${order}: ${JSON.stringify(rates)}`);
    }
  });
});
