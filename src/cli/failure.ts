/** Writes one sentence to stderr (with --json an object to stdout) and answers the exit code: 2 for what was asked wrongly, 1 for what failed. */
export function fail(error: unknown, json: boolean): number {
  const { code = 'ERR', message = String(error), name, stack } = error as { code?: string; message?: string; name?: string; stack?: string };
  const ours = ['Error', 'ConfigError', 'ControlError', 'UsageError'].includes(name ?? '') && typeof (error as { code?: string }).code === 'string';
  if (json) process.stdout.write(`${JSON.stringify({ error: { code, message } })}\n`);
  // What is not ours is a bug, and a bug shows where it is.
  else process.stderr.write(`anystack: ${ours ? message : (stack ?? message)}\n`);
  return name === 'UsageError' || name === 'ConfigError' ? 2 : 1;
}

/** The words behind a verb make no sense. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
  readonly code = 'ERR_USAGE';
}
