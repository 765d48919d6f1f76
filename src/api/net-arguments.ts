/** The overloads of `connect` and `listen`, and the checks of their options, in Node's words. */
import { ADDRCONFIG, ALL, V4MAPPED } from 'node:dns';
import type { BlockList } from 'node:net';
import type { Lookup } from './lookup.js';
import {
  ArgumentRangeError,
  ArgumentTypeError,
  checkedFunction,
  checkedNumber,
  checkedPort,
  checkedString,
  invalidType,
  invalidValue,
  outOfRange,
} from './node-errors.js';
import type { OnRead } from './tcp-transfer.js';

/** Options of `new net.Socket()`. */
export interface SocketOptions {
  readonly allowHalfOpen?: boolean;
  readonly readable?: boolean;
  readonly writable?: boolean;
  readonly highWaterMark?: number;
  readonly readableHighWaterMark?: number;
  readonly writableHighWaterMark?: number;
  readonly signal?: AbortSignal;
  readonly onread?: OnRead;
  readonly noDelay?: boolean;
  readonly keepAlive?: boolean;
  /** Milliseconds; whole seconds count. */
  readonly keepAliveInitialDelay?: number;
  readonly blockList?: BlockList;
  /** The host's own: such a socket is Node's. */
  readonly fd?: number;
  readonly handle?: unknown;
}

/** Options of `socket.connect()`. */
export interface ConnectOptions {
  readonly port?: number | string;
  /** Default 'localhost'. */
  readonly host?: string;
  /** A Unix socket or pipe: the host's. */
  readonly path?: string;
  readonly localAddress?: string;
  readonly localPort?: number;
  /** 4, 6, or 0 for both. */
  readonly family?: number | 'IPv4' | 'IPv6';
  readonly hints?: number;
  readonly lookup?: Lookup;
  /** Several addresses of a name are tried in a staggered race: RFC 8305. */
  readonly autoSelectFamily?: boolean;
  /** Milliseconds between two attempts of the race; at least 10. */
  readonly autoSelectFamilyAttemptTimeout?: number;
  /** Beyond Node: leaves by this interface only (SO_BINDTODEVICE). */
  readonly interface?: string;
}

/** Options of `net.connect()`. */
export interface ConnectionOptions extends SocketOptions, ConnectOptions {
  /** Milliseconds of `setTimeout`. */
  readonly timeout?: number;
}

/** Options of `server.listen()`. */
export interface ListenOptions {
  port?: number | string | null;
  readonly host?: string;
  readonly path?: string;
  readonly fd?: number;
  readonly backlog?: number;
  readonly exclusive?: boolean;
  readonly ipv6Only?: boolean;
  readonly reusePort?: boolean;
  readonly signal?: AbortSignal;
  /** Beyond Node: takes connections of this interface only (SO_BINDTODEVICE). */
  readonly interface?: string;
}

/** Any listener. */
export type Listener = (...args: unknown[]) => void;

/** A text that is no port is a path. */
const isPath = (value: unknown): value is string => typeof value === 'string' && !(Number(value) >= 0);

/** (options | path | port [, host]) [, callback]. */
export function connectArguments(args: readonly unknown[]): [ConnectionOptions, Listener | null] {
  const [options, callback] = common<ConnectionOptions>(args);
  if (options.port === undefined && options.path == null) {
    throw new ArgumentTypeError('ERR_MISSING_ARGS', 'The "options" or "port" or "path" argument must be specified');
  }
  return [options, callback];
}

/** (options | path | port [, host]) [, backlog] [, callback]. A missing port is any. */
export function listenArguments(args: readonly unknown[]): [ListenOptions, Listener | null, number] {
  const [given, callback] = common<ListenOptions>(args);
  const options = { ...given };
  const any = args.length === 0 || typeof args[0] === 'function' || (options.port === undefined && 'port' in options) || options.port === null;
  if (any) options.port = 0;
  const backlog = Number(options.backlog) || asCount(args[1]) || asCount(args[2]) || BACKLOG;
  return [options, callback, backlog];
}

/** Node's backlog when none is asked for. */
const BACKLOG = 511;

const asCount = (value: unknown): number => (Number(value) >= 0 ? Number(value) : 0);

function common<T extends object>(args: readonly unknown[]): [T, Listener | null] {
  const [first, second] = args;
  const last = args[args.length - 1];
  const callback = typeof last === 'function' ? (last as Listener) : null;
  if (args.length === 0) return [{} as T, callback];
  if (typeof first === 'object' && first !== null) return [first as T, callback];
  if (isPath(first)) return [{ path: first } as unknown as T, callback];
  return [(typeof second === 'string' ? { port: first, host: second } : { port: first }) as unknown as T, callback];
}

/** Refuses what Node refuses in the options of a Socket. */
export function checkSocketOptions(
  options: SocketOptions & { objectMode?: unknown; readableObjectMode?: unknown; writableObjectMode?: unknown },
): void {
  for (const name of ['objectMode', 'readableObjectMode', 'writableObjectMode'] as const) {
    if (options[name])
      throw new ArgumentTypeError('ERR_INVALID_ARG_VALUE', `The property 'options.${name}' is not supported. Received ${String(options[name])}`);
  }
  if (options.keepAliveInitialDelay !== undefined) checkedNumber(options.keepAliveInitialDelay, 'options.keepAliveInitialDelay');
}

/** A checked connect. */
export interface Target {
  readonly host: string;
  readonly port: number;
  readonly localAddress: string | undefined;
  readonly localPort: number;
  /** 4, 6, or 0 for both. */
  readonly family: number;
  readonly hints: number;
  readonly race: boolean;
  /** Milliseconds. */
  readonly attemptDelay: number;
}

const FAMILIES: Readonly<Record<string, number>> = { IPv4: 4, IPv6: 6 };

/** Refuses what Node refuses in the options of `connect`, and fills in the defaults. */
export function checkConnectOptions(options: ConnectOptions, isIp: (text: string) => number, autoSelect: boolean, attemptDelay: number): Target {
  const { localAddress, localPort, port, lookup } = options;
  if (localAddress && !isIp(localAddress)) throw new ArgumentTypeError('ERR_INVALID_IP_ADDRESS', `Invalid IP address: ${localAddress}`);
  if (localPort) checkedNumber(localPort, 'options.localPort');
  if (typeof port !== 'number' && typeof port !== 'string') throw invalidType('options.port', 'one of type number or string', port);
  if (options.autoSelectFamily != null && typeof options.autoSelectFamily !== 'boolean')
    throw invalidType('options.autoSelectFamily', 'of type boolean', options.autoSelectFamily);
  if (lookup != null) checkedFunction(lookup, 'options.lookup');
  const hints = options.hints ?? 0;
  if ((hints & ~(ADDRCONFIG | V4MAPPED | ALL)) !== 0) throw invalidValue('hints', hints);
  if (options.host) checkedString(options.host, 'options.host');
  return {
    host: options.host || 'localhost',
    port: checkedPort(port, 'Port'),
    localAddress: localAddress || undefined,
    localPort: localPort ?? 0,
    family: FAMILIES[String(options.family)] ?? Number(options.family ?? 0),
    hints,
    race: options.autoSelectFamily ?? autoSelect,
    attemptDelay: checkedDelay(options.autoSelectFamilyAttemptTimeout, attemptDelay),
  };
}

/** RFC 8305 §5 forbids less than 10 ms between attempts. */
const ATTEMPT_DELAY_MIN = 10;

/** The delay of a race in ms, at least ATTEMPT_DELAY_MIN; `otherwise` when none is given. */
export function checkedDelay(value: unknown, otherwise: number): number {
  if (value == null) return otherwise;
  const ms = checkedNumber(value, 'options.autoSelectFamilyAttemptTimeout');
  if (!Number.isInteger(ms) || ms < 1 || ms > TIMEOUT_MAX) throw outOfRange('options.autoSelectFamilyAttemptTimeout', '>= 1 && <= 2147483647', ms);
  return Math.max(ms, ATTEMPT_DELAY_MIN);
}

/** Longest setTimeout. */
const TIMEOUT_MAX = 2 ** 31 - 1;

/** Milliseconds for a timer, as Node checks them. */
export function checkedTimeout(value: unknown): number {
  const ms = checkedNumber(value, 'msecs');
  if (!(ms >= 0 && Number.isFinite(ms))) {
    throw new ArgumentRangeError('ERR_OUT_OF_RANGE', `The value of "msecs" is out of range. It must be a non-negative finite number. Received ${ms}`);
  }
  return Math.min(ms, TIMEOUT_MAX);
}
