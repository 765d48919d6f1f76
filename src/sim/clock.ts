import type { Micros } from '../base/time.js';
import type { VirtualClock } from '../hyper/virtual-host.js';

/** Rounds of the loop at one instant after which nothing more of it is expected: an immediate may queue an immediate, and streams do so two deep. */
const QUIET_ROUNDS = 3;

/** A timer of a simulation. */
export interface SimTimer {
  cancel(): void;
}

/** The simulation's time, for programs under test: they take their timers from here instead of from Node. */
export class SimClock {
  private readonly virtual: VirtualClock;
  private readonly start: Micros;

  constructor(virtual: VirtualClock) {
    this.virtual = virtual;
    this.start = virtual.now;
  }

  /** µs since the simulation's start. */
  get now(): Micros {
    return this.virtual.now - this.start;
  }

  /** Calls back once after `ms` milliseconds of virtual time. */
  setTimeout(callback: () => void, ms: number): SimTimer {
    const alarm = this.virtual.alarm(callback);
    alarm.set(this.virtual.now + Math.max(0, ms) * 1_000);
    return alarm;
  }

  /** Calls back every `ms` milliseconds, at least 1, until cancelled. */
  setInterval(callback: () => void, ms: number): SimTimer {
    const period = Math.max(1, ms) * 1_000;
    const alarm = this.virtual.alarm(() => {
      alarm.set(this.virtual.now + period);
      callback();
    });
    alarm.set(this.virtual.now + period);
    return alarm;
  }

  /** Resolves after `ms` milliseconds of virtual time. */
  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => void this.setTimeout(resolve, ms));
  }

  /** For Simulation.run: everything up to `until`, the loop of the host drained at each instant. Stops early when `enough` says so. */
  async drive(until: Micros, enough: () => boolean): Promise<void> {
    const { virtual } = this;
    for (let quiet = 0; quiet < QUIET_ROUNDS; ) {
      while (virtual.pending > 0 && virtual.next() <= virtual.now) {
        virtual.step();
        quiet = 0;
      }
      await turn();
      if (enough()) return;
      if (virtual.pending > 0 && virtual.next() <= virtual.now) continue;
      if (++quiet < QUIET_ROUNDS) continue;
      if (virtual.pending === 0 || virtual.next() > until) break;
      virtual.step();
      quiet = 0;
    }
    virtual.run(until);
  }
}

/** One turn of the host's loop: microtasks, ticks and the immediates queued before. */
function turn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}
