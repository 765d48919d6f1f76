/**
 * A host on virtual time. Many hosts share one clock; what they ask for runs in the order of its time, and in the order
 * of asking where times are equal, so that a run is a function of its inputs. Simulator, unit tests and packetdrill live here.
 */
import { assert } from '../base/assert.js';
import { ConfigError, NetError } from '../base/errors.js';
import { Prng } from '../base/prng.js';
import { type Micros, NEVER } from '../base/time.js';
import { AlarmQueue, type QueuedAlarm } from './alarm-queue.js';
import type { Crypto } from './crypto.js';
import type { Device, DeviceSpec, Hypercalls, Store } from './hypercalls.js';
import { memoryStore } from './memory-store.js';
import type { Timing } from './timing.js';

/** Events at one instant before the clock calls it a livelock: somebody asks again and again for a time already past. */
const SAME_INSTANT_MAX = 1_000_000;

/** Virtual time: moves only from event to event, and only when somebody runs it. */
export class VirtualClock implements Timing {
  now: Micros;
  private readonly queue = new AlarmQueue();
  private sameInstant = 0;

  /** Default start: 5 s short of 2^31 µs, so that every run crosses the sign of int32 microseconds. */
  constructor(start: Micros = 2 ** 31 - 5_000_000) {
    this.now = start;
  }

  monotonic(): Micros {
    return this.now;
  }

  alarm(fire: () => void): QueuedAlarm {
    return this.queue.alarm(fire);
  }

  /** Alarms set. */
  get pending(): number {
    return this.queue.size;
  }

  /** Time of the next event, or NEVER. */
  next(): Micros {
    return this.queue.next();
  }

  /** Runs the next event, moving time to it. False when there is none. */
  step(): boolean {
    const alarm = this.queue.take();
    if (alarm === undefined) return false;
    // An alarm set for the past is due now; time does not run backwards.
    if (alarm.time > this.now) {
      this.now = alarm.time;
      this.sameInstant = 0;
    }
    assert(++this.sameInstant < SAME_INSTANT_MAX, 'time moves on: no endless chain of events at one instant');
    alarm.fire();
    return true;
  }

  /** Runs all events up to and at `until`, then stands at `until`. NEVER runs until none is left, which a stack with periodic timers does not reach. */
  run(until: Micros): void {
    while (this.pending > 0 && this.next() <= until) this.step();
    this.rest(until);
  }

  /** `run` for a span of time. */
  advance(by: Micros): void {
    this.run(this.now + by);
  }

  /** `run` for programs that await: time moves only when their promises have settled as far as they can without it. */
  async runAsync(until: Micros): Promise<void> {
    const { port1, port2 } = new MessageChannel();
    // A message arrives in a turn of its own, when all microtasks of this one are done.
    const turn = (): Promise<void> =>
      new Promise((resolve) => {
        port1.onmessage = () => resolve();
        port2.postMessage(0);
      });
    try {
      for (;;) {
        while (this.next() <= this.now) this.step();
        await turn();
        if (this.next() <= this.now) continue;
        if (this.next() > until || this.pending === 0) break;
        this.step();
      }
    } finally {
      port1.close();
    }
    this.rest(until);
  }

  private rest(until: Micros): void {
    if (until === NEVER || until <= this.now) return;
    this.now = until;
    this.sameInstant = 0;
  }
}

/** What a test may give the host of its stack. */
export interface VirtualHostOptions {
  /** Shared by all hosts of a run. Default: a clock of its own. */
  readonly clock?: VirtualClock;
  /** Of all randomness. Default 1. */
  readonly seed?: number;
  /** Wall clock at monotonic zero, µs since 1970. Default 2026-01-01T00:00:00Z. */
  readonly epoch?: Micros;
  /** Default: a host without algorithms. */
  readonly crypto?: Crypto;
  /** Default: in memory, empty. Pass one to let it survive a restart. */
  readonly store?: Store;
  /** Opens what `open` is asked for and is not of type 'memory'. Default: ConfigError. */
  readonly open?: (spec: DeviceSpec, timing: Timing) => Device;
  readonly log?: (level: string, message: string) => void;
}

/** Hypercalls on virtual time. */
export class VirtualHost implements Hypercalls {
  readonly clock: VirtualClock;
  readonly crypto: Crypto;
  readonly store: Store;
  /** hold() less release(). */
  holds = 0;
  /** Polls made so far. */
  polls = 0;
  private readonly epoch: Micros;
  private readonly prng: Prng;
  private readonly wake: QueuedAlarm;
  private readonly next: QueuedAlarm;
  private readonly options: VirtualHostOptions;
  private suspended = 0;
  private jumped = 0;
  private poll: () => void = () => {};

  constructor(options: VirtualHostOptions = {}) {
    this.options = options;
    this.clock = options.clock ?? new VirtualClock();
    this.epoch = options.epoch ?? Date.UTC(2026, 0, 1) * 1_000;
    this.prng = new Prng(options.seed ?? 1);
    this.crypto = options.crypto ?? NO_CRYPTO;
    this.store = options.store ?? memoryStore();
    const poll = (): void => {
      this.polls++;
      this.poll();
    };
    this.wake = this.clock.alarm(poll);
    this.next = this.clock.alarm(poll);
  }

  attach(poll: () => void): void {
    this.poll = poll;
  }

  monotonic(): Micros {
    return this.clock.now;
  }

  wallClock(): Micros {
    return this.epoch + this.clock.now + this.suspended + this.jumped;
  }

  bootTime(): Micros {
    return this.clock.now + this.suspended;
  }

  random(into: Uint8Array): void {
    for (let i = 0; i < into.length; i++) into[i] = this.prng.uint32() >>> 24;
  }

  wakeAt(at: Micros): void {
    this.wake.set(Math.max(at, this.clock.now));
  }

  soon(): void {
    if (!this.next.pending) this.next.set(this.clock.now);
  }

  hold(): void {
    this.holds++;
  }

  release(): void {
    assert(this.holds > 0, 'each release answers a hold');
    this.holds--;
  }

  /** A spec of type 'memory' brings its device along: `{ type: 'memory', device }`. */
  open(spec: DeviceSpec): Device {
    if (spec.type === 'memory') return spec['device'] as Device;
    if (this.options.open !== undefined) return this.options.open(spec, this.clock);
    throw new ConfigError(`device type '${spec.type}': a virtual host opens 'memory' only`);
  }

  log(level: 'debug' | 'info' | 'warn' | 'error', message: string): void {
    this.options.log?.(level, message);
  }

  /** The machine slept: boot time and wall clock move, monotonic time does not. */
  suspend(span: Micros): void {
    this.suspended += span;
  }

  /** Somebody set the wall clock. */
  jumpWallClock(by: Micros): void {
    this.jumped += by;
  }
}

/** A host without algorithms, as the contract puts it: no context to be had, and slow work answers with an error. */
export const NO_CRYPTO: Crypto = {
  transform: () => null,
  seal: () => {},
  open: () => {},
  mac: () => null,
  hash: () => {
    throw new NetError('ENOSYS', 'hash', undefined, undefined, 'this host has no cryptography');
  },
  exchanges: () => false,
  request: (_work, done) => queueMicrotask(() => done(null, 'this host has no cryptography')),
};
