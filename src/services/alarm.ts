import { Timer } from '../base/timer-wheel.js';
import type { Context, Notified } from '../net/context.js';
import { TimerKind } from '../net/timer-kind.js';

/** setTimeout by the stack's own clock, virtual or not: `ring` runs among applications, in the notify phase. */
export class Alarm implements Notified {
  notified = false;
  private readonly ctx: Context;
  private readonly timer = new Timer(TimerKind.Callback, this);
  private readonly ring: () => void;

  constructor(ctx: Context, ring: () => void) {
    this.ctx = ctx;
    this.ring = ring;
  }

  /** Milliseconds from now; set again, it moves. */
  set(ms: number): void {
    const { ctx } = this;
    ctx.touch();
    ctx.wheel.arm(this.timer, ctx.now + ms * 1_000);
    // The next poll asks the host for the new deadline.
    ctx.hyper.soon();
  }

  cancel(): void {
    this.ctx.wheel.cancel(this.timer);
  }

  /** For Stack.expire. */
  expire(): void {
    this.ctx.notify(this);
  }

  /** For Context.deliver. */
  notify(): void {
    this.ring();
  }
}
