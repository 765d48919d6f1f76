import type { Token, TokenKind } from './lexer.js';
import { ScriptError } from './script-error.js';

/** Where the recursive descent stands in the tokens of a script. */
export class Cursor {
  private readonly tokens: readonly Token[];
  private at = 0;

  /** The last token is of kind 'end'. */
  constructor(tokens: readonly Token[]) {
    this.tokens = tokens;
  }

  /** The token `ahead` places from here, without moving. */
  peek(ahead = 0): Token {
    return this.tokens[Math.min(this.at + ahead, this.tokens.length - 1)] as Token;
  }

  get line(): number {
    return this.peek().line;
  }

  /** Takes the next token, whatever it is. */
  take(): Token {
    const token = this.peek();
    if (token.kind !== 'end') this.at++;
    return token;
  }

  /** Is the next token this mark or word? */
  sees(text: string, ahead = 0): boolean {
    const { kind, text: found } = this.peek(ahead);
    return (kind === 'mark' || kind === 'word') && found === text;
  }

  seesKind(kind: TokenKind, ahead = 0): boolean {
    return this.peek(ahead).kind === kind;
  }

  /** Takes the next token if it is this mark or word. */
  accepts(text: string): boolean {
    if (!this.sees(text)) return false;
    this.at++;
    return true;
  }

  /** Takes this mark or word, which must be next. */
  expect(text: string): void {
    if (!this.accepts(text)) this.fail(`'${text}' expected`);
  }

  word(what = 'a word'): string {
    if (!this.seesKind('word')) this.fail(`${what} expected`);
    return this.take().text;
  }

  /** A decimal or hexadecimal number in [low, high]. */
  number(what: string, low = 0, high = 0xffff_ffff): number {
    const { kind, value } = this.peek();
    if (kind !== 'integer' && kind !== 'hex') this.fail(`${what} expected`);
    if (value < low || value > high) this.fail(`${what} out of range [${low}, ${high}]`);
    this.take();
    return value;
  }

  /** The tokens between a bracket that is next and the one that closes it, both taken: for what we read over. */
  balanced(): readonly Token[] {
    const from = this.at;
    let depth = 0;
    do {
      const { kind, text } = this.take();
      if (kind === 'end') this.fail('a bracket that is not closed');
      if (kind === 'mark' && '([{'.includes(text)) depth++;
      if (kind === 'mark' && ')]}'.includes(text)) depth--;
    } while (depth > 0);
    return this.tokens.slice(from + 1, this.at - 1);
  }

  /** Throws ScriptError, naming what stands here. */
  fail(message: string): never {
    const { line, kind, text } = this.peek();
    throw new ScriptError(line, `${message}, but here is ${kind === 'end' ? text : `'${text}'`}`);
  }
}
