import { nearest } from '../net/sysctl.js';
import { UsageError } from './failure.js';

/** Kinds of values behind a keyword; a 'flag' has none. */
type Kind = 'string' | 'number' | 'flag';

/** iproute2's grammar: keywords with a value each, in any order. Unknown ones are refused with the nearest. */
export function keywords<K extends string>(
  words: readonly string[],
  known: Readonly<Record<K, Kind>>,
  verb: string,
): Partial<Record<K, string & number & boolean>> {
  const found: Record<string, unknown> = {};
  for (let i = 0; i < words.length; i++) {
    const word = words[i] as string;
    if (!Object.hasOwn(known, word)) throw new UsageError(`${verb}: '${word}' is unknown; did you mean '${nearest(word, Object.keys(known))}'?`);
    const kind = known[word as K];
    if (kind === 'flag') {
      found[word] = true;
      continue;
    }
    const value = words[++i];
    if (value === undefined) throw new UsageError(`${verb}: '${word}' needs a value`);
    found[word] = kind === 'number' ? whole(value, `${verb}: '${word}'`) : value;
  }
  return found as never;
}

/** A whole number of 0 or more. */
export function whole(text: string, what: string): number {
  if (!/^\d+$/.test(text)) throw new UsageError(`${what} is to be a whole number, not '${text}'`);
  return Number(text);
}

/** A number of seconds, in milliseconds. */
export function seconds(text: string, what: string): number {
  const n = Number(text);
  if (!(n >= 0) || text.trim() === '') throw new UsageError(`${what} is to be a number of seconds, not '${text}'`);
  return n * 1_000;
}

/** The action a word names, or begins: iproute2 takes 's' for 'show'. Without a word it is the first. */
export function action<A extends string>(word: string | undefined, actions: readonly A[], verb: string): A {
  if (word === undefined) return actions[0] as A;
  const alias = word === 'delete' ? 'del' : word === 'list' || word === 'ls' ? 'show' : word;
  const hit = actions.find((a) => a === alias) ?? actions.find((a) => a.startsWith(alias));
  if (hit === undefined) throw new UsageError(`${verb}: '${word}' is unknown; did you mean '${nearest(word, actions)}'?`);
  return hit;
}

/** The word at a place, which must be there. */
export function needed(words: readonly string[], at: number, verb: string, what: string): string {
  const word = words[at];
  if (word === undefined) throw new UsageError(`${verb} needs ${what}`);
  return word;
}
