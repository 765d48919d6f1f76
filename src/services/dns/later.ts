import type { Context, Notified } from '../../net/context.js';

/** Calls that are to be made in the notify phase, whatever phase asks for them: application code runs nowhere else. */
export class Later implements Notified {
  notified = false;
  private readonly ctx: Context;
  private calls: (() => void)[] = [];

  constructor(ctx: Context) {
    this.ctx = ctx;
  }

  /** Queues a call; a stack that has ended has no further phase, there it is made at once. */
  run(call: () => void): void {
    if (this.ctx.ended !== 0) {
      call();
      return;
    }
    this.calls.push(call);
    this.ctx.notify(this);
  }

  notify(): void {
    const { calls } = this;
    this.calls = [];
    let made = 0;
    try {
      for (const call of calls) {
        made++;
        call();
      }
    } finally {
      // What one throws reaches the host; the others are made in the next poll.
      if (made < calls.length) {
        this.calls = [...calls.slice(made), ...this.calls];
        this.ctx.notify(this);
      }
    }
  }
}
