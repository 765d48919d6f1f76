import { ConfigError, NetError } from '../base/errors.js';
import type { Config } from './config.js';
import type { Step, Target } from './section.js';
import { sections } from './sections.js';

/**
 * Leads `target` from one checked configuration to another by their difference: what is the same in both is not touched,
 * connections included. One transaction: when a step fails the earlier ones are undone, the last first, and the error,
 * with its place, is thrown.
 */
export function applyConfig(target: Target, before: Config, after: Config): void {
  const differences = sections.map((section) => section.difference(before, after));
  const steps = [
    ...differences
      .map((d) => d.remove)
      .reverse()
      .flat(),
    ...differences.flatMap((d) => d.add),
  ];
  const done: Step[] = [];
  for (const step of steps) {
    try {
      step.run(target);
      done.push(step);
    } catch (error) {
      rollBack(target, done);
      throw placed(error, step.place);
    }
  }
}

/** Undoing what was just done fails only where the host has changed meanwhile; the others are undone all the same. */
function rollBack(target: Target, done: Step[]): void {
  for (const step of done.reverse()) {
    try {
      step.undo(target);
    } catch (error) {
      target.core.hyper.log('error', `${step.place}: not restored: ${(error as Error).message}`);
    }
  }
}

/** What the host refuses keeps its code; both kinds name the place. */
function placed(error: unknown, place: string): unknown {
  if (error instanceof NetError || error instanceof ConfigError) {
    if (!error.message.startsWith(place)) error.message = `${place}: ${error.message}`;
  }
  return error;
}
