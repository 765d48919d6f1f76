/** Resolves after `ms`. */
export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Resolves when `fact` holds; rejects with `what` after `seconds`, which only a failing test waits for: the machine may be busy with other work. */
export async function until(fact: () => boolean, what: string | (() => string), seconds = 15): Promise<void> {
  for (const end = Date.now() + seconds * 1_000; !fact(); await sleep(5)) {
    if (Date.now() > end) throw new NotInTime(`not within ${seconds} s: ${typeof what === 'string' ? what : what()}`);
  }
}

class NotInTime extends Error {
  override readonly name = 'NotInTime';
}
