/** Our own bug: an invariant of the stack does not hold. Never a reaction to a packet or to a caller. */
export class AssertionError extends Error {
  override readonly name = 'AssertionError';
}

/** Throws AssertionError when `fact` is false. `what` states the invariant, not the failure. */
export function assert(fact: boolean, what: string): asserts fact {
  if (!fact) throw new AssertionError(what);
}

/** For the branch a correct program never takes. */
export function unreachable(what: string): never {
  throw new AssertionError(`unreachable: ${what}`);
}
