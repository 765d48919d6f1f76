/** What Node throws for wrong arguments: a TypeError or RangeError with a code, in Node's words, for programs that compare them. */
import { inspect } from 'node:util';
import { Errno, type ErrnoName, errnoName, NetError } from '../base/errors.js';

/** An argument of the wrong kind. */
export class ArgumentTypeError extends TypeError {
  readonly code: `ERR_${string}`;

  constructor(code: `ERR_${string}`, message: string) {
    super(message);
    this.code = code;
  }
}

/** An argument out of its range. */
export class ArgumentRangeError extends RangeError {
  readonly code: `ERR_${string}`;

  constructor(code: `ERR_${string}`, message: string) {
    super(message);
    this.code = code;
  }
}

/** A call that does not fit the object's state. */
export class StateError extends Error {
  readonly code: `ERR_${string}` | 'EPIPE';

  constructor(code: `ERR_${string}` | 'EPIPE', message: string) {
    super(message);
    this.code = code;
  }
}

/** 'type string ('x')', 'an instance of Date', …: how Node names what it received. */
function received(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value === 'function') return `function ${value.name}`;
  if (typeof value === 'object') {
    const { name } = (value as { constructor?: { name?: string } }).constructor ?? {};
    return name ? `an instance of ${name}` : inspect(value, { depth: -1 });
  }
  let text = inspect(value, { colors: false });
  if (text.length > 28) text = `${text.slice(0, 25)}...`;
  return `type ${typeof value} (${text})`;
}

/** `expected`: 'of type number', 'an instance of Buffer'. */
export function invalidType(name: string, expected: string, value: unknown): ArgumentTypeError {
  const what = name.includes('.') ? 'property' : 'argument';
  return new ArgumentTypeError('ERR_INVALID_ARG_TYPE', `The "${name}" ${what} must be ${expected}. Received ${received(value)}`);
}

/** ERR_INVALID_ARG_VALUE: of the right type, and yet not to be used. */
export function invalidValue(name: string, value: unknown, why = 'is invalid'): ArgumentTypeError {
  const what = name.includes('.') ? 'property' : 'argument';
  return new ArgumentTypeError('ERR_INVALID_ARG_VALUE', `The ${what} '${name}' ${why}. Received ${inspect(value)}`);
}

/** ERR_OUT_OF_RANGE. `range` as Node words it: '>= 0 && <= 255'. */
export function outOfRange(name: string, range: string, value: unknown): ArgumentRangeError {
  return new ArgumentRangeError('ERR_OUT_OF_RANGE', `The value of "${name}" is out of range. It must be ${range}. Received ${String(value)}`);
}

/** The port as a number, or Node's ERR_SOCKET_BAD_PORT. `name` as Node has it: 'Port', 'options.port'. */
export function checkedPort(value: unknown, name: string, allowZero = true): number {
  const text = typeof value === 'string' ? value.trim() : value;
  const port = typeof text === 'number' || (typeof text === 'string' && text !== '') ? Number(text) : Number.NaN;
  if (Number.isInteger(port) && port >= (allowZero ? 0 : 1) && port <= 65_535) return port;
  const least = allowZero ? '>=' : '>';
  throw new ArgumentRangeError('ERR_SOCKET_BAD_PORT', `${name} should be ${least} 0 and < 65536. Received ${received(value)}.`);
}

/** Throws ERR_INVALID_ARG_TYPE when `value` is no function. */
export function checkedFunction(value: unknown, name: string): void {
  if (typeof value !== 'function') throw invalidType(name, 'of type function', value);
}

/** The string, or ERR_INVALID_ARG_TYPE. */
export function checkedString(value: unknown, name: string): string {
  if (typeof value === 'string') return value;
  throw invalidType(name, 'of type string', value);
}

/** The number, or ERR_INVALID_ARG_TYPE. */
export function checkedNumber(value: unknown, name: string): number {
  if (typeof value === 'number') return value;
  throw invalidType(name, 'of type number', value);
}

/** An error of a core socket's call as an exception; `result` is the negative errno. */
export function callError(result: number, syscall: string, address?: string, port?: number): NetError {
  return new NetError(nameOf(result), syscall, address, port || undefined); // as Node has it: no port where it is 0
}

/** Throws what a core socket answered when it is an error; hands counts on. */
export function checked(result: number, syscall: string): number {
  if (result < 0) throw callError(result, syscall);
  return result;
}

const nameOf = (result: number): ErrnoName => errnoName(result === -Errno.EAGAIN ? -Errno.ENOBUFS : result);
