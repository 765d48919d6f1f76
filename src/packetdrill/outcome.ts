/** How a script ended. */
export interface Outcome {
  readonly result: 'pass' | 'fail' | 'skip';
  /** Line and sentence of a failure, what is missing for a skip; '' for a pass. */
  readonly reason: string;
}

/** The stack did something else than the script says. */
export class Mismatch extends Error {
  override readonly name = 'Mismatch';
}

/** The script needs what this interpreter or the stack does not have: it is skipped, and the reason counted. */
export class Unsupported extends Error {
  override readonly name = 'Unsupported';
}
