import type { AssertionError } from '../base/assert.js';
import { Errno, NetError } from '../base/errors.js';
import type { Context } from '../net/context.js';

/** What a socket reports when its stack has ended: null when the program closed it, else an error that names stack and assertion. */
export function stackEndError(ctx: Context, syscall: string): NetError | null {
  if (ctx.ended === Errno.ECANCELED) return null;
  const detail = `stack '${ctx.name}' failed${ctx.failure === null ? '' : `: not true that ${ctx.failure.message}`}`;
  const error = new NetError('EIO', syscall, undefined, undefined, detail);
  error.cause = ctx.failure ?? undefined;
  return error;
}

/** A stack failed by an assertion of its own. `cause` is the assertion, `capture` the file with its last packets. */
export class StackFailure extends Error {
  override readonly name = 'StackFailure';
  readonly code = 'ERR_STACK_FAILED';
  readonly stackName: string;
  readonly capture: string | null;

  constructor(stackName: string, cause: AssertionError, packets: number, capture: string | null) {
    const where = capture === null ? '' : `; its last ${packets} packets are in ${capture}`;
    super(`stack '${stackName}' failed: not true that ${cause.message}${where}`, { cause });
    this.stackName = stackName;
    this.capture = capture;
  }
}

/** What `ready` rejects with when the stack was closed before it was ready. */
export class StackClosed extends Error {
  override readonly name = 'StackClosed';
  readonly code = 'ERR_STACK_CLOSED';

  constructor(stackName: string) {
    super(`stack '${stackName}' was closed before it was ready`);
  }
}
