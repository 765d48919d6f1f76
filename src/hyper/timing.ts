/** Time as a device needs it that holds frames back: what hosts lend to fault injectors, replays and whoever retries. */
import type { Micros } from '../base/time.js';

export interface Timing {
  /** The host's monotonic clock. */
  monotonic(): Micros;
  /** A new alarm, not set. `fire` runs in a turn of its own, never inside a poll. */
  alarm(fire: () => void): Alarm;
}

/** Fires once for each time it was set. Setting it again moves it. */
export interface Alarm {
  /** Fires at `at` or soon after; a time already past means at once, but not within this call. */
  set(at: Micros): void;
  cancel(): void;
}
