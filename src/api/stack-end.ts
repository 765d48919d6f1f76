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
