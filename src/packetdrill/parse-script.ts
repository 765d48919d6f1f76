/** From the text of a script to its events. */
import { seconds } from '../base/time.js';
import type { Action, EventTime, Script, ScriptEvent, ScriptOption, SyscallAction } from './ast.js';
import { Cursor } from './cursor.js';
import { type Token, tokens } from './lexer.js';
import { parseExpression, parseList } from './parse-expression.js';
import { parsePacket } from './parse-packet.js';
import { defined, preprocess, substitute } from './preprocess.js';

/** Reads a script. `defines` are the names `#ifdef` knows and words that stand for others. Throws ScriptError. */
export function parseScript(source: string, defines: ReadonlyMap<string, string> = new Map()): Script {
  const all = tokens(source);
  const known = defined(all, defines);
  const c = new Cursor(preprocess(all, known));
  const options = parseOptions(c);
  const rest: Token[] = [];
  for (let token = c.take(); ; token = c.take()) {
    rest.push(...substitute(token, known));
    if (token.kind === 'end') break;
  }
  return { options, ...parseEvents(new Cursor(rest)) };
}

function parseOptions(c: Cursor): ScriptOption[] {
  const options: ScriptOption[] = [];
  // A published script begins with a stray letter: a lone word before the options is passed over.
  if (c.seesKind('word') && c.seesKind('option', 1)) c.take();
  while (c.seesKind('option')) {
    const { text: name, line } = c.take();
    let value = '';
    if (c.accepts('=')) {
      value = c.take().text;
      // A prefix ("2001:db8::1/32") or a definition ("CC=reno").
      while (c.sees('=') || c.sees('/')) value += c.take().text + c.take().text;
    }
    options.push({ name, value, line });
  }
  return options;
}

function parseEvents(c: Cursor): Omit<Script, 'options'> {
  const init: string[] = [];
  const events: ScriptEvent[] = [];
  const cleanup: string[] = [];
  while (c.seesKind('command')) init.push(c.take().text);
  while (!c.seesKind('end') && !c.seesKind('command')) events.push(parseEvent(c));
  while (c.seesKind('command')) cleanup.push(c.take().text);
  if (!c.seesKind('end')) c.fail('an event expected');
  return { init, events, cleanup };
}

function parseEvent(c: Cursor): ScriptEvent {
  const { line } = c;
  const time = parseTime(c);
  return { line, time, action: parseAction(c) };
}

/** `0.1`, `+0.1`, `*`, `1~2`, `+0.1~+0.2`. */
function parseTime(c: Cursor): EventTime {
  if (c.accepts('*')) return { kind: 'any', from: 0, to: 0 };
  const kind = c.accepts('+') ? 'relative' : 'absolute';
  const from = parseSeconds(c);
  if (!c.accepts('~')) return { kind, from, to: from };
  if (kind === 'relative') c.expect('+');
  const to = parseSeconds(c);
  if (to < from) c.fail('a time range that runs backwards;');
  return { kind, from, to };
}

function parseSeconds(c: Cursor): number {
  const { kind, value } = c.peek();
  if ((kind !== 'integer' && kind !== 'float') || value < 0) c.fail('a time in seconds expected');
  c.take();
  return Math.round(seconds(value));
}

function parseAction(c: Cursor): Action {
  if (c.sees('<') || c.sees('>')) return parsePacket(c);
  if (c.seesKind('command')) return { kind: 'command', text: c.take().text };
  if (c.seesKind('code')) return { kind: 'code', text: c.take().text };
  return parseSyscall(c);
}

/** `...0.2 read(3, ..., 1000) = -1 EAGAIN (Resource temporarily unavailable)`. */
function parseSyscall(c: Cursor): SyscallAction {
  const end = c.accepts('...') ? parseSeconds(c) : null;
  const name = c.word('a packet, a system call, a command or code');
  c.expect('(');
  const args = parseList(c, ')');
  c.expect('=');
  const result = parseExpression(c);
  const errno = c.seesKind('word') ? c.take().text : null;
  while (c.sees('(')) c.balanced();
  return { kind: 'syscall', name, args, result, errno, end };
}
