/** Our requests to one peer: one in flight at a time, sent again until it is answered (RFC 7296 §2.1 to §2.4). */
import { type Micros, seconds } from '../../../base/time.js';
import { Timer } from '../../../base/timer-wheel.js';
import { Exchange, Flag, type Header, type Part, type Payload } from '../../../wire/ike.js';
import { TimerKind } from '../../timer-kind.js';
import type { IkeSa } from './ike-sa.js';
import { pathWorks, tryPath } from './mobike.js';

/** First retransmission; each later one waits twice as long. RFC 7296 §2.4 leaves it to us. */
const RETRANSMIT: Micros = seconds(1);
/** Sent this often in all, the peer is dead: 1 + 2 + 4 + 8 + 16 + 32 s. */
const TRIES = 6;
/** A delete is sent this often: 1 + 2 + 4 s, and the SA is gone here all the same. */
const DELETE_TRIES = 3;
/** After so many without an answer another path is tried, where the peer can move. */
const PATH_TRIES = 3;
/** Requests that wait for their turn; the window is 1 (RFC 7296 §2.3). */
const QUEUE_MAX = 64;

/** A request that waits or is in flight. */
export interface Request {
  readonly exchange: number;
  /** Made when its turn has come; null: no longer wanted. */
  build(): readonly Part[] | null;
  /** The answer's payloads; null when there was none: the IKE SA is dead then. */
  done(payloads: readonly Payload[] | null): void;
}

interface InFlight {
  readonly request: Request;
  readonly id: number;
  readonly datagrams: readonly Uint8Array[];
  tries: number;
}

/** Owned by its IKE SA. */
export class Requests {
  private readonly sa: IkeSa;
  private nextId = 0;
  private flight: InFlight | null = null;
  private readonly queue: Request[] = [];
  private readonly timer = new Timer(TimerKind.Ike, this);

  constructor(sa: IkeSa) {
    this.sa = sa;
  }

  /** Sends a request when its turn comes. */
  add(request: Request): void {
    if (!this.sa.alive || this.queue.length >= QUEUE_MAX) {
      request.done(null);
      return;
    }
    this.queue.push(request);
    this.pump();
  }

  /** Nothing is in flight and nothing waits. */
  get idle(): boolean {
    return this.flight === null && this.queue.length === 0;
  }

  /** Is this the answer that is waited for? */
  awaits(header: Header): boolean {
    return this.flight !== null && header.id === this.flight.id && header.exchange === this.flight.request.exchange;
  }

  /** Starts over with message number 0: a cookie or another group was asked for (RFC 7296 §2.6, §2.7). */
  restart(request: Request): void {
    this.sa.ike.ctx.wheel.cancel(this.timer);
    this.flight = null;
    this.nextId = 0;
    this.queue.unshift(request);
    this.pump();
  }

  /** The answer has come. `kept`: says whether it was of use; the answer to the first message is not authentic, and another one may follow (RFC 7296 §2.4). */
  answered(payloads: readonly Payload[], kept: () => boolean): void {
    const { flight, sa } = this;
    if (flight === null) return;
    const { ctx } = sa.ike;
    ctx.wheel.cancel(this.timer);
    this.flight = null;
    pathWorks(sa.ike.exchanges, sa);
    flight.request.done(payloads);
    if (flight.request.exchange === Exchange.SaInit && this.flight === null && !kept()) {
      this.flight = flight;
      ctx.wheel.arm(this.timer, ctx.now + RETRANSMIT);
      return;
    }
    if (sa.alive) this.pump();
  }

  private pump(): void {
    const { sa } = this;
    while (this.flight === null && this.queue.length > 0) {
      const request = this.queue.shift() as Request;
      const parts = request.build();
      if (parts === null) continue;
      const id = this.nextId++;
      const datagrams = sa.seal(request.exchange, sa.initiator ? Flag.Initiator : 0, id, parts);
      this.flight = { request, id, datagrams, tries: 0 };
      if (request.exchange === Exchange.SaInit) sa.initI = datagrams[0] as Uint8Array;
      this.transmit();
    }
  }

  private transmit(): void {
    const flight = this.flight as InFlight;
    const { ike } = this.sa;
    ike.ctx.touch();
    for (const datagram of flight.datagrams) ike.send(this.sa, datagram);
    ike.ctx.wheel.arm(this.timer, ike.ctx.now + RETRANSMIT * 2 ** flight.tries);
    flight.tries++;
  }

  /** For the timer wheel. */
  expire(): void {
    if (this.flight === null) return;
    if (this.flight.tries >= PATH_TRIES) tryPath(this.sa.ike.exchanges, this.sa);
    if (this.flight.tries < (this.sa.state === 'deleting' ? DELETE_TRIES : TRIES)) this.transmit();
    else this.sa.fail(`no answer to ${this.flight.tries} requests`);
  }

  /** The IKE SA is dead: nobody waits any more. */
  end(): void {
    this.sa.ike.ctx.wheel.cancel(this.timer);
    const waiting = this.flight === null ? [...this.queue] : [this.flight.request, ...this.queue];
    this.flight = null;
    this.queue.length = 0;
    for (const request of waiting) request.done(null);
  }
}
