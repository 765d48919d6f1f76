import { NEVER } from '#src/base/time.js';
import type { Timer } from '#src/base/timer-wheel.js';

/** What a timer wheel does, as a list that is searched: the twin the wheel is compared with. */
export class TimerList {
  private readonly deadlines = new Map<Timer, number>();

  arm(timer: Timer, at: number): void {
    this.deadlines.set(timer, at);
  }

  cancel(timer: Timer): void {
    this.deadlines.delete(timer);
  }

  /** Takes out and returns all that are due. */
  advance(now: number): Set<Timer> {
    const due = new Set<Timer>();
    for (const [timer, at] of this.deadlines) if (at <= now) due.add(timer);
    for (const timer of due) this.deadlines.delete(timer);
    return due;
  }

  next(): number {
    return Math.min(NEVER, ...this.deadlines.values());
  }

  get armed(): number {
    return this.deadlines.size;
  }
}
