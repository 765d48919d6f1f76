/** Sockets as web streams and async iterables. No node: import: they run where a browser's globals are. */
import { Errno, errnoName, NetError } from '../base/errors.js';
import type { TcpSocket } from '../net/socket/tcp-socket.js';
import type { Stack } from '../net/stack.js';
import { anyFamily, type Endpoint, parseEndpoint } from './endpoint.js';
import { WebConnection } from './web-connection.js';
import { WebDatagrams } from './web-datagrams.js';
import { WebListener } from './web-listener.js';

export type { ConnectionInfo, WebConnection } from './web-connection.js';
export type { Datagram, WebDatagrams } from './web-datagrams.js';
export type { WebListener } from './web-listener.js';

/** Where connect goes, and from where. */
export interface ConnectTo {
  /** An address of either family; names are the program's to resolve. */
  readonly address: string;
  readonly port: number;
  readonly localAddress?: string;
  readonly localPort?: number;
  /** Socket options by their setsockopt names. */
  readonly options?: Readonly<Record<string, number | string>>;
  /** Aborts the connection, under way or there. */
  readonly signal?: AbortSignal;
}

/** Where listen listens. */
export interface ListenAt {
  /** Default: any. */
  readonly address?: string;
  /** Default 0: an ephemeral one. */
  readonly port?: number;
  /** Default 511, Node's. */
  readonly backlog?: number;
  /** Socket options by their setsockopt names; connections inherit them. */
  readonly options?: Readonly<Record<string, number | string>>;
}

/** Where udp is bound. */
export interface DatagramsAt {
  /** Default: any. */
  readonly address?: string;
  /** Default 0: an ephemeral one. */
  readonly port?: number;
  readonly options?: Readonly<Record<string, number | string>>;
}

/** Opens a connection. What is wrong with the arguments throws; what goes wrong on the way rejects `opened` and `closed`. */
export function connect(stack: Stack, to: ConnectTo): WebConnection {
  const target = endpoint(stack, to.address, 'connect');
  const core = stack.tcp.openSocket(target.address.isV4 ? 4 : 6);
  try {
    setAll(core, to.options);
    if (to.localAddress !== undefined || to.localPort !== undefined) {
      const local = to.localAddress === undefined ? null : endpoint(stack, to.localAddress, 'bind');
      check(core.bind(local?.address ?? null, to.localPort ?? 0, local?.zone ?? 0), 'bind', to.localAddress, to.localPort);
    }
    const result = core.connect(target.address, to.port, target.zone);
    if (result !== -Errno.EINPROGRESS) check(result, 'connect', to.address, to.port);
  } catch (error) {
    core.close();
    throw error;
  }
  const connection = new WebConnection(stack, core, `${to.address}:${to.port}`);
  const { signal } = to;
  if (signal?.aborted) connection.abort(signal.reason);
  signal?.addEventListener('abort', () => connection.abort(signal.reason), { once: true });
  return connection;
}

/** Listens; connections come by async iteration, and wait in the backlog until they are taken. */
export function listen(stack: Stack, at: ListenAt = {}): WebListener {
  const local = at.address === undefined ? null : endpoint(stack, at.address, 'listen');
  const core = stack.tcp.openSocket(local === null ? anyFamily(stack) : local.address.isV4 ? 4 : 6);
  try {
    core.setOption('SO_REUSEADDR', 1);
    setAll(core, at.options);
    check(core.bind(local?.address ?? null, at.port ?? 0, local?.zone ?? 0), 'listen', at.address, at.port);
    check(core.listen(at.backlog ?? 511), 'listen', at.address, at.port);
  } catch (error) {
    core.close();
    throw error;
  }
  return new WebListener(stack, core);
}

/** A bound UDP socket; datagrams come by async iteration, and wait in the receive buffer until they are taken. */
export function udp(stack: Stack, at: DatagramsAt = {}): WebDatagrams {
  const local = at.address === undefined ? null : endpoint(stack, at.address, 'bind');
  const core = stack.udp.openSocket(local === null ? anyFamily(stack) : local.address.isV4 ? 4 : 6);
  try {
    setAll(core, at.options);
    check(core.bind(local?.address ?? null, at.port ?? 0, local?.zone ?? 0), 'bind', at.address, at.port);
  } catch (error) {
    core.close();
    throw error;
  }
  return new WebDatagrams(stack, core);
}

function endpoint(stack: Stack, text: string, syscall: string): Endpoint {
  const found = parseEndpoint(stack, text);
  if (found === null) throw new NetError('EINVAL', syscall, text, undefined, 'not an address of an interface here');
  return found;
}

function setAll(core: Pick<TcpSocket, 'setOption'>, options: Readonly<Record<string, number | string>> = {}): void {
  for (const [name, value] of Object.entries(options)) check(core.setOption(name, value), `setsockopt ${name}`);
}

function check(result: number, syscall: string, address?: string, port?: number): void {
  if (result < 0) throw new NetError(errnoName(result), syscall, address, port);
}
