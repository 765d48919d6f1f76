/**
 * Tokens of the packetdrill language. The longest match wins, as in the scanners of the public forks: `1:1001` are three
 * tokens and `2001:db8::1` is one; `1.00...6.00` are a number, an ellipsis and a number.
 */
import { parseAddress } from '../base/address.js';
import { ScriptError } from './script-error.js';

/** Kinds of tokens; marks are punctuation. */
export type TokenKind =
  | 'integer'
  | 'hex'
  | 'float'
  | 'word'
  | 'string'
  | 'command'
  | 'code'
  | 'option'
  | 'ipv4'
  | 'ipv6'
  | 'directive'
  | 'mark'
  | 'end';

/** One token. `text` is what it means: strings and commands come without their quotes, options without their dashes. */
export interface Token {
  readonly kind: TokenKind;
  readonly text: string;
  /** Of integers, hexadecimals and floats. */
  readonly value: number;
  /** From 1. */
  readonly line: number;
}

const BLANK = /(?:[ \t\r\n\f\v]+|\/\/[^\n]*|\/\*[\s\S]*?\*\/)+/y;
const CODE = /%\{[\s\S]*?\}%/y;
const STRING = /"(?:\\[\s\S]|[^"\\])*"/y;
const COMMAND = /`(?:\\[\s\S]|[^`\\])*`/y;
const OPTION = /--[a-zA-Z0-9_]+/y;
const DIRECTIVE = /#(?:ifdef|ifndef|else|endif)\b/y;
/** Words that hold a mark no other word does. */
const ODD_WORD = /(?:(?:exp|EXP)-[a-zA-Z0-9]+|gen-[0-9]+|voice-admit\b|sequence#)/y;
const IPV4 = /[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+/y;
/** More than any IPv6 address, cut back until it is one: a colon may follow it. */
const IPV6_AT_MOST = /[0-9a-fA-F:]*:[0-9a-fA-F:]*:[0-9a-fA-F:.]*/y;
const FLOAT = /-?[0-9]*\.[0-9]+/y;
const INTEGER = /-?[0-9]+/y;
const WORD = /[a-zA-Z0-9_]+/y;
const ELLIPSIS = '...';

/** All tokens of a script, an 'end' the last. Throws ScriptError where there is none. */
export function tokens(source: string): Token[] {
  const found: Token[] = [];
  let line = 1;
  let at = 0;
  const skip = (text: string): void => {
    at += text.length;
    for (let i = text.indexOf('\n'); i >= 0; i = text.indexOf('\n', i + 1)) line++;
  };
  for (;;) {
    skip(match(BLANK, source, at));
    if (at >= source.length) break;
    const token = tokenAt(source, at, line);
    found.push(token.token);
    skip(source.slice(at, at + token.length));
  }
  found.push({ kind: 'end', text: 'the end of the script', value: 0, line });
  return found;
}

function tokenAt(source: string, at: number, line: number): { token: Token; length: number } {
  const make = (kind: TokenKind, length: number, text: string, value = 0) => ({ token: { kind, text, value, line }, length });
  const quoted = (kind: TokenKind, text: string, marks: number) => make(kind, text.length, text.slice(marks, -marks));
  const first = source[at] as string;
  if (first === '"' && match(STRING, source, at) !== '') return quoted('string', match(STRING, source, at), 1);
  if (first === '`' && match(COMMAND, source, at) !== '') return quoted('command', match(COMMAND, source, at), 1);
  if (first === '%' && match(CODE, source, at) !== '') return quoted('code', match(CODE, source, at), 2);
  if (first === '#' && match(DIRECTIVE, source, at) !== '')
    return make('directive', match(DIRECTIVE, source, at).length, match(DIRECTIVE, source, at).slice(1));
  const option = match(OPTION, source, at);
  if (option !== '') return make('option', option.length, option.slice(2));
  const odd = match(ODD_WORD, source, at);
  if (odd !== '') return make('word', odd.length, odd);
  const v6 = ipv6At(source, at);
  if (v6 !== '') return make('ipv6', v6.length, v6);
  const v4 = match(IPV4, source, at);
  if (v4 !== '') return make('ipv4', v4.length, v4);
  const float = match(FLOAT, source, at);
  const integer = match(INTEGER, source, at);
  const word = match(WORD, source, at);
  if (float.length > Math.max(integer.length, word.length)) return make('float', float.length, float, Number(float));
  if (integer !== '' && integer.length >= word.length) return make('integer', integer.length, integer, Number(integer));
  if (/^0x[0-9a-fA-F]+$/.test(word)) return make('hex', word.length, word, Number(word));
  if (word !== '') return make('word', word.length, word);
  if (source.startsWith(ELLIPSIS, at)) return make('mark', 3, ELLIPSIS);
  if (first === '"' || first === '`') throw new ScriptError(line, 'a quotation that does not end');
  return make('mark', 1, first);
}

function match(pattern: RegExp, source: string, at: number): string {
  pattern.lastIndex = at;
  return pattern.exec(source)?.[0] ?? '';
}

/** The longest IPv6 address at a place; what has neither `::` nor eight groups is not one. */
function ipv6At(source: string, at: number): string {
  let text = match(IPV6_AT_MOST, source, at);
  for (; text.length >= 2; text = text.slice(0, -1)) {
    const next = source[at + text.length] ?? '';
    if (!/[0-9a-zA-Z_]/.test(next) && parseAddress(text) !== null) return text;
  }
  return '';
}
