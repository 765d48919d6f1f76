import type { Expression, Field } from './ast.js';
import type { Cursor } from './cursor.js';

/** `a | b | …`, each an ellipsis, number, word, call, strings in a row, list or structure. */
export function parseExpression(c: Cursor): Expression {
  let left = parseTerm(c);
  while (c.accepts('|')) left = { kind: 'or', left, right: parseTerm(c) };
  return left;
}

/** Expressions up to `close`, which is taken. */
export function parseList(c: Cursor, close: string): Expression[] {
  const items: Expression[] = [];
  if (c.accepts(close)) return items;
  do items.push(parseNamed(c));
  while (c.accepts(','));
  c.expect(close);
  return items;
}

/** Google's dialect also knows `NAME = value` as an argument. */
function parseNamed(c: Cursor): Expression {
  if (!c.seesKind('word') || !c.sees('=', 1)) return parseExpression(c);
  return { kind: 'struct', fields: [parseField(c)] };
}

function parseTerm(c: Cursor): Expression {
  const { kind, value, text } = c.peek();
  if (c.accepts('...')) return { kind: 'any' };
  if (c.accepts('[')) return { kind: 'list', items: parseList(c, ']') };
  if (c.accepts('{')) return parseStruct(c);
  if (kind === 'integer' || kind === 'hex' || kind === 'float') {
    c.take();
    return { kind: 'number', value };
  }
  if (kind === 'string') return parseStrings(c);
  if (kind !== 'word') c.fail('an expression expected');
  c.take();
  return c.accepts('(') ? { kind: 'call', name: text, args: parseList(c, ')') } : { kind: 'word', name: text };
}

/** Strings in a row are one; an ellipsis behind them leaves the end open. */
function parseStrings(c: Cursor): Expression {
  let text = '';
  while (c.seesKind('string')) text += unquote(c.take().text);
  return { kind: 'string', text, open: c.accepts('...') };
}

function unquote(text: string): string {
  return text.replace(/\\(x[0-9a-fA-F]{2}|[\s\S])/g, (whole, what: string) => {
    if (what.length === 3) return String.fromCharCode(Number.parseInt(what.slice(1), 16));
    return { n: '\n', t: '\t', r: '\r', '0': '\0', '\\': '\\', '"': '"' }[what] ?? whole;
  });
}

function parseStruct(c: Cursor): Expression {
  const fields: Field[] = [];
  while (!c.sees('}')) {
    fields.push(parseField(c));
    // GRE and MPLS headers in braces stand without commas.
    c.accepts(',');
  }
  c.expect('}');
  return { kind: 'struct', fields };
}

/** `name = value`, `name(length) = value`, or a value alone. */
function parseField(c: Cursor): Field {
  if (c.sees('(')) return { name: '', length: null, value: { kind: 'list', items: c.balanced().map((t) => ({ kind: 'word', name: t.text })) } };
  if (!c.seesKind('word')) return { name: '', length: null, value: parseExpression(c) };
  if (c.sees('=', 1)) {
    const name = c.word();
    c.expect('=');
    return { name, length: null, value: parseExpression(c) };
  }
  const value = parseExpression(c);
  if (value.kind !== 'call' || !c.accepts('=')) return { name: '', length: null, value };
  return { name: value.name, length: value.args[0] ?? null, value: parseExpression(c) };
}
