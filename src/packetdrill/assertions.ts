/**
 * The code scripts carry between `%{` and `}%` is Python. Understood are: `assert TEST[, MESSAGE]`, `NAME = VALUE`, `NAME += VALUE` and
 * `-=`, `print(…)`, divided by `;` or new lines; in values `or and not`, comparisons in a row, `+ - * / // %`, `abs min max`,
 * parentheses, numbers, strings, True and False, and names: those assigned before, `tcpi_…` and the constants of Linux's states. What else
 * stands there makes the script one we skip.
 */
import { CaState } from '../net/tcp/info.js';
import { State, stateNames } from '../net/tcp/states.js';
import { Mismatch, Unsupported } from './outcome.js';

type Value = number | string;

const CONSTANTS = new Map<string, number>([
  ['TCP_CA_Open', CaState.Open],
  ['TCP_CA_Disorder', CaState.Disorder],
  ['TCP_CA_CWR', CaState.Cwr],
  ['TCP_CA_Recovery', CaState.Recovery],
  ['TCP_CA_Loss', CaState.Loss],
  // tcpi_state counts as RFC 9293 does, and so do these.
  ['TCP_CLOSE', State.Closed],
  ['TCP_LISTEN', State.Listen],
  ['TCP_SYN_SENT', State.SynSent],
  ['TCP_SYN_RECV', State.SynReceived],
  ['TCP_ESTABLISHED', State.Established],
  ['TCP_FIN_WAIT1', State.FinWait1],
  ['TCP_FIN_WAIT2', State.FinWait2],
  ['TCP_CLOSE_WAIT', State.CloseWait],
  ['TCP_CLOSING', State.Closing],
  ['TCP_LAST_ACK', State.LastAck],
  ['TCP_TIME_WAIT', State.TimeWait],
  ['TCPI_OPT_TIMESTAMPS', 1],
  ['TCPI_OPT_SACK', 2],
  ['TCPI_OPT_WSCALE', 4],
  ['TCPI_OPT_ECN', 8],
  ['TCPI_OPT_ECN_SEEN', 16],
  ['TCPI_OPT_SYN_DATA', 32],
  // States as BSD's tcp_info has them; infoValue answers in the same numbers.
  ...stateNames.map((name, n): [string, number] => [`TCPI_${name.replaceAll('-', '_')}`, n]),
  ['True', 1],
  ['False', 0],
]);

const TOKEN =
  /\s*(?:(0x[0-9a-fA-F]+|\d+(?:\.\d+)?(?:e\d+)?)|([A-Za-z_]\w*)|('(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")|(\/\/|[-+]=|[<>=!]=|[-+*/%<>=(),&|]))/y;

/** Runs code. `variables` keep what it assigns, from one piece of a script to the next. Throws Mismatch or Unsupported. */
export function runCode(code: string, variables: Map<string, Value>, info: (name: string) => number | undefined): void {
  for (const statement of statements(code)) new Statement(statement, variables, info).run();
}

/** Divided at `;` and line ends that stand in no string and no bracket. */
function statements(code: string): string[] {
  const text = code.replace(/\\\r?\n/g, ' ');
  const found: string[] = [];
  let from = 0;
  let depth = 0;
  let quote = '';
  for (let i = 0; i <= text.length; i++) {
    const c = text[i] ?? '\n';
    if (quote !== '') {
      if (c === quote) quote = '';
    } else if (c === "'" || c === '"') quote = c;
    else if (c === '(' || c === '[') depth++;
    else if (c === ')' || c === ']') depth--;
    else if (c === '#' && depth === 0) {
      found.push(text.slice(from, i));
      while (i < text.length && text[i] !== '\n') i++;
      from = i + 1;
    } else if ((c === ';' || c === '\n') && depth === 0) {
      found.push(text.slice(from, i));
      from = i + 1;
    }
  }
  return found.map((s) => s.trim()).filter((s) => s !== '');
}

class Statement {
  private readonly text: string;
  private readonly tokens: string[] = [];
  private readonly variables: Map<string, Value>;
  private readonly info: (name: string) => number | undefined;
  private at = 0;

  constructor(text: string, variables: Map<string, Value>, info: (name: string) => number | undefined) {
    this.text = text;
    this.variables = variables;
    this.info = info;
    TOKEN.lastIndex = 0;
    while (TOKEN.lastIndex < text.trimEnd().length) {
      const found = TOKEN.exec(text);
      if (found === null) throw this.unsupported();
      this.tokens.push(found[0].trim());
    }
  }

  run(): void {
    if (this.tokens[0] === 'print') return;
    if (this.accepts('assert')) {
      const holds = this.or();
      if (holds === 0 || holds === '') throw new Mismatch(`assertion failed: ${this.text.slice('assert'.length).trim()}${this.message()}`);
      if (this.accepts(',')) this.or();
    } else {
      this.assign();
    }
    if (this.at < this.tokens.length) throw this.unsupported();
  }

  private message(): string {
    return this.accepts(',') ? ` (it is ${this.or()})` : '';
  }

  private assign(): void {
    const name = this.take();
    const operator = this.take();
    if (!/^[A-Za-z_]\w*$/.test(name) || !['=', '+=', '-='].includes(operator)) throw this.unsupported();
    const value = this.or();
    if (operator === '=') this.variables.set(name, value);
    else this.variables.set(name, this.numeric(this.name(name)) + (operator === '+=' ? 1 : -1) * this.numeric(value));
  }

  private or(): Value {
    let left = this.and();
    while (this.accepts('or')) {
      const right = this.and();
      left = truth(left) ? left : right;
    }
    return left;
  }

  private and(): Value {
    let left = this.not();
    while (this.accepts('and')) {
      const right = this.not();
      left = truth(left) ? right : left;
    }
    return left;
  }

  private not(): Value {
    return this.accepts('not') ? Number(!truth(this.not())) : this.comparison();
  }

  /** `a <= b <= c` holds when each pair does. */
  private comparison(): Value {
    let left = this.bits();
    let holds = true;
    let compared = false;
    for (let operator = this.comparator(); operator !== ''; operator = this.comparator()) {
      const right = this.bits();
      holds &&= compare(operator, left, right);
      left = right;
      compared = true;
    }
    return compared ? Number(holds) : left;
  }

  private comparator(): string {
    const operator = this.tokens[this.at] ?? '';
    if (!['==', '!=', '<', '>', '<=', '>='].includes(operator)) return '';
    this.at++;
    return operator;
  }

  private bits(): Value {
    let left = this.sum();
    for (;;) {
      if (this.accepts('&')) left = Number(BigInt(this.numeric(left)) & BigInt(this.numeric(this.sum())));
      else if (this.accepts('|')) left = Number(BigInt(this.numeric(left)) | BigInt(this.numeric(this.sum())));
      else return left;
    }
  }

  private sum(): Value {
    let left = this.product();
    for (;;) {
      if (this.accepts('+')) {
        const right = this.product();
        left = typeof left === 'string' ? left + right : left + this.numeric(right);
      } else if (this.accepts('-')) left = this.numeric(left) - this.numeric(this.product());
      else return left;
    }
  }

  private product(): Value {
    let left = this.factor();
    for (;;) {
      if (this.accepts('*')) left = this.numeric(left) * this.numeric(this.factor());
      else if (this.accepts('//')) left = Math.floor(this.numeric(left) / this.numeric(this.factor()));
      else if (this.accepts('/')) left = this.numeric(left) / this.numeric(this.factor());
      else if (this.accepts('%')) {
        const right = this.factor();
        left = typeof left === 'string' ? `${left} % ${right}` : left - this.numeric(right) * Math.floor(left / this.numeric(right));
      } else return left;
    }
  }

  private factor(): Value {
    if (this.accepts('-')) return -this.numeric(this.factor());
    if (this.accepts('(')) {
      const value = this.or();
      if (this.accepts(',')) while (!this.accepts(')')) this.take();
      else this.expect(')');
      return value;
    }
    const token = this.take();
    if (/^\d/.test(token)) return Number(token);
    if (/^['"]/.test(token)) return token.slice(1, -1);
    if (!/^[A-Za-z_]/.test(token)) throw this.unsupported();
    return this.accepts('(') ? this.call(token) : this.name(token);
  }

  private call(name: string): Value {
    const args: number[] = [];
    do args.push(this.numeric(this.or()));
    while (this.accepts(','));
    this.expect(')');
    if (name === 'abs') return Math.abs(args[0] as number);
    if (name === 'min') return Math.min(...args);
    if (name === 'max') return Math.max(...args);
    if (name === 'int') return Math.trunc(args[0] as number);
    throw this.unsupported();
  }

  private name(name: string): Value {
    const value = this.variables.get(name) ?? CONSTANTS.get(name) ?? this.info(name);
    if (value === undefined) throw new Unsupported(`code: name ${name}`);
    return value;
  }

  private numeric(value: Value): number {
    if (typeof value === 'string') throw this.unsupported();
    return value;
  }

  private accepts(token: string): boolean {
    if (this.tokens[this.at] !== token) return false;
    this.at++;
    return true;
  }

  private expect(token: string): void {
    if (!this.accepts(token)) throw this.unsupported();
  }

  private take(): string {
    const token = this.tokens[this.at++];
    if (token === undefined) throw this.unsupported();
    return token;
  }

  private unsupported(): Unsupported {
    return new Unsupported(`code: ${this.text.split('\n')[0]}`);
  }
}

const truth = (value: Value): boolean => value !== 0 && value !== '';

function compare(operator: string, left: Value, right: Value): boolean {
  switch (operator) {
    case '==':
      return left === right;
    case '!=':
      return left !== right;
    case '<':
      return left < right;
    case '>':
      return left > right;
    case '<=':
      return left <= right;
    default:
      return left >= right;
  }
}
