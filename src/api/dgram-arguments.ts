/** The overloads of dgram's `send`, sorted out. */
import { ArgumentRangeError, checkedPort, checkedString, invalidType, StateError } from './node-errors.js';

/** Called with null and the octets sent, or with an error. */
export type DgramCallback = (error: Error | null, bytes?: number) => void;

/** One message: text as UTF-8, octets, or pieces of either. */
export type DgramPayload = string | ArrayBufferView | readonly (string | ArrayBufferView)[];

/** A send, sorted out. */
export interface SendArguments {
  readonly data: Uint8Array;
  /** True: to the connected peer; address and port mean nothing. */
  readonly connected: boolean;
  readonly address: string;
  readonly port: number;
  readonly callback: DgramCallback | undefined;
}

/**
 * `rest` is what follows the message: [offset, length,] [port, [address,]] [callback]. The two forms differ, as in Node,
 * by whether an address or a numeric port follows the third argument.
 */
export function sendArguments(message: DgramPayload, rest: readonly unknown[], connected: boolean): SendArguments {
  const [a, b, c, d, e] = rest;
  const sliced = connected ? typeof b === 'number' : Boolean(d) || (Boolean(c) && typeof c !== 'function');
  const data = sliced ? slice(message, a, b) : gather(message);
  if (connected) {
    if ((c && !(sliced && typeof c === 'function')) || (d && typeof d !== 'function')) throw alreadyConnected();
    return { data, connected, address: '', port: 0, callback: sliced ? firstFunction(c, d, e) : firstFunction(a) };
  }
  const [port, address, callback] = sliced ? [c, d, e] : [a, b, c];
  const to = checkedPort(port, 'Port', false);
  const done = firstFunction(address, callback);
  const host = typeof address === 'function' || address === undefined || address === null ? '' : checkedString(address, 'address');
  return { data, connected, address: host, port: to, callback: done };
}

const alreadyConnected = (): StateError => new StateError('ERR_SOCKET_DGRAM_IS_CONNECTED', 'Already connected');

const firstFunction = (...values: unknown[]): DgramCallback | undefined => values.find((x) => typeof x === 'function') as DgramCallback | undefined;

const KINDS = 'of type string or an instance of Buffer, TypedArray, or DataView';

function octets(value: unknown, name: string, given: unknown = value): Uint8Array {
  if (value instanceof Uint8Array) return value;
  if (typeof value === 'string') return Buffer.from(value);
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  throw invalidType(name, KINDS, given);
}

function slice(message: DgramPayload, offset: unknown, length: unknown): Uint8Array {
  const whole = octets(message, 'buffer');
  const from = Number(offset) >>> 0;
  const count = Number(length) >>> 0;
  if (from > whole.length) throw outOfBounds('offset');
  if (from + count > whole.length) throw outOfBounds('length');
  return whole.subarray(from, from + count);
}

const outOfBounds = (what: string): ArgumentRangeError => new ArgumentRangeError('ERR_BUFFER_OUT_OF_BOUNDS', `"${what}" is outside of buffer bounds`);

function gather(message: DgramPayload): Uint8Array {
  if (!Array.isArray(message)) return octets(message, 'buffer');
  const parts = (message as readonly unknown[]).map((part) => octets(part, 'buffer list arguments', message));
  return parts.length === 1 ? (parts[0] as Uint8Array) : Buffer.concat(parts);
}
