import { type Token, tokens } from './lexer.js';
import { ScriptError } from './script-error.js';

/** The definitions given, and those of the script's own `--define` options. */
export function defined(all: readonly Token[], given: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  const known = new Map(given);
  for (let i = 0; i + 2 < all.length && (all[i] as Token).kind !== 'command'; i++) {
    if ((all[i] as Token).kind !== 'option' || (all[i] as Token).text !== 'define') continue;
    const name = all[i + 2] as Token;
    const value = all[i + 3]?.text === '=' ? (all[i + 4] as Token) : null;
    known.set(name.text, value === null ? '' : quote(value));
  }
  return known;
}

function quote(token: Token): string {
  if (token.kind === 'string') return `"${token.text}"`;
  return token.kind === 'command' ? `\`${token.text}\`` : token.text;
}

/** Leaves out what `#ifdef`, `#ifndef` and `#else` exclude. They do not nest, as in the fork that has them. */
export function preprocess(all: readonly Token[], known: ReadonlyMap<string, string>): Token[] {
  const kept: Token[] = [];
  let inside = false;
  let wanted = true;
  for (let i = 0; i < all.length; i++) {
    const token = all[i] as Token;
    if (token.kind !== 'directive') {
      if (token.kind === 'end' && inside) throw new ScriptError(token.line, '#ifdef without #endif');
      if (wanted) kept.push(token);
      continue;
    }
    const begins = token.text === 'ifdef' || token.text === 'ifndef';
    if (begins === inside) throw new ScriptError(token.line, begins ? '#ifdef inside #ifdef' : `#${token.text} without #ifdef`);
    if (begins) wanted = known.has((all[++i] as Token).text) === (token.text === 'ifdef');
    else wanted = token.text === 'else' ? !wanted : true;
    inside = token.text !== 'endif';
  }
  return kept;
}

/** A word that was defined as something is that. */
export function substitute(token: Token, known: ReadonlyMap<string, string>): readonly Token[] {
  const value = token.kind === 'word' ? known.get(token.text) : undefined;
  if (value === undefined || value === '') return [token];
  return tokens(value)
    .slice(0, -1)
    .map((t) => ({ ...t, line: token.line }));
}
