import { type BlockList, isIP } from 'node:net';
import { Duplex } from 'node:stream';
import { Errno } from '../base/errors.js';
import type { TcpSocket } from '../net/socket/tcp-socket.js';
import type { Stack } from '../net/stack.js';
import type { TcpInfo } from '../net/tcp/info.js';
import { formatEndpoint } from './endpoint.js';
import { Hold } from './hold.js';
import { type HostServer, HostSocket } from './host.js';
import type { Lookup } from './lookup.js';
import { checkConnectOptions, checkedTimeout, checkSocketOptions, connectArguments, type Listener, type SocketOptions } from './net-arguments.js';
import { Attempt, type Connecting } from './net-connect.js';
import { callError, checked, checkedFunction, checkedNumber, invalidType, StateError } from './node-errors.js';
import { Transfer, type WriteCallback } from './tcp-transfer.js';

/** What all sockets and servers of one `createNet` share. */
export interface NetShared {
  readonly stack: Stack;
  readonly lookup: Lookup;
  /** Default of connect's autoSelectFamily and its delay in ms; setDefaultAutoSelectFamily… write them. */
  autoSelectFamily: boolean;
  attemptDelay: number;
  readonly socketPrototype: object;
}

/** The fields of Node's servers that a connection counts itself in. */
interface Counting {
  _connections: number;
  _emitCloseIfDrained?(): void;
}

interface AddressInfo {
  address?: string;
  family?: 'IPv4' | 'IPv6';
  port?: number;
}

/** The methods of a net.Socket; instances are made by createNet. Not an instance of Node's own net.Socket: node:tls would look for a native handle in it. */
export class SocketMethods extends Duplex {
  declare connecting: boolean;
  /** Milliseconds of setTimeout. */
  declare timeout: number | undefined;
  /** The server that accepted it. */
  declare server: HostServer | null;
  declare _server: (HostServer & Counting) | null;
  /** The name it was told to connect to: TLS checks the certificate against it. */
  declare _host: string | null;
  declare autoSelectFamilyAttemptedAddresses: string[] | undefined;
  declare blockList: BlockList | undefined;
  /** Not for applications. */
  declare readonly _state: SocketState;

  /** (options | port [, host]) [, callback]. A path connects to the host's Unix socket, and the socket becomes Node's. */
  connect(...args: unknown[]): this {
    const { _state: state } = this;
    const [options, callback] = connectArguments(args);
    if (options.path) {
      becomeHostSocket(this, state);
      return this.connect(...args);
    }
    const { net } = state;
    const target = checkConnectOptions(options, isIP, net.autoSelectFamily, net.attemptDelay);
    if (callback !== null) this.once('connect', callback);
    if (this.destroyed) state.renew(this);
    this.connecting = true;
    this._host = isIP(target.host) === 0 ? target.host : null;
    this._unrefTimer();
    state.hold.begin();
    this.autoSelectFamilyAttemptedAddresses = undefined;
    state.attempt = new Attempt(state.connecting, options, target, net.lookup);
    return this;
  }

  /** As on any Duplex; who listens for node:tls makes the socket a carrier. */
  override on(...[event, listener]: Parameters<Duplex['on']>): this {
    if (event === 'data' && isTlsReader(listener)) carryTls(this);
    return super.on(event, listener);
  }

  override _read(): void {
    this._state.transfer.read();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: WriteCallback): void {
    const { _state: state } = this;
    if (state.core === null && !this.connecting) done(new StateError('ERR_SOCKET_CLOSED', 'Socket is closed'));
    else state.transfer.write(chunk, done);
  }

  override _writev(chunks: { chunk: Buffer; encoding: BufferEncoding }[], done: WriteCallback): void {
    const { _state: state } = this;
    if (state.core === null && !this.connecting) done(new StateError('ERR_SOCKET_CLOSED', 'Socket is closed'));
    else state.transfer.writev(chunks, done);
  }

  override _final(done: WriteCallback): void {
    const { _state: state } = this;
    if (state.core === null && !this.connecting) done();
    else state.transfer.end(done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    const { _state: state } = this;
    const early = this.connecting;
    const used = early || state.core !== null;
    this.connecting = false;
    state.close(
      early && error === null ? new StateError('ERR_SOCKET_CLOSED_BEFORE_CONNECTION', 'Socket closed before the connection was established') : error,
    );
    done(error);
    // As late as Node's, where the handle closes first: who awaits 'error' must still see 'close'.
    if (used) setImmediate(closed, this, error !== null);
    else process.nextTick(closed, this, error !== null);
    const { _server: server } = this;
    if (server === null) return;
    server._connections--;
    server._emitCloseIfDrained?.();
  }

  override pause(): this {
    if (this._state.onRead) this._state.transfer.pause();
    return super.pause();
  }

  override resume(): this {
    if (this._state.onRead && !this.connecting) this._state.transfer.read();
    return super.resume();
  }

  /** Ends, and destroys when everything is written. */
  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once('finish', this.destroy);
  }

  /** Sends RST. */
  resetAndDestroy(): this {
    const { _state: state } = this;
    if (this.connecting) this.once('connect', () => this.resetAndDestroy());
    else if (state.core === null) this.destroy(new StateError('ERR_SOCKET_CLOSED', 'Socket is closed'));
    else {
      state.resetting = true;
      this.destroy();
    }
    return this;
  }

  setTimeout(ms: number, callback?: Listener): this {
    if (this.destroyed) return this;
    const delay = checkedTimeout(ms);
    if (callback !== undefined) checkedFunction(callback, 'callback');
    this.timeout = ms;
    this._state.idleAfter(delay, () => this.emit('timeout'));
    if (callback !== undefined) {
      if (delay === 0) this.removeListener('timeout', callback);
      else this.once('timeout', callback);
    }
    return this;
  }

  /** Something has moved: the idle timer begins anew. Under the name that node:http2 and node:tls call. */
  _unrefTimer(): void {
    this._state.timer?.refresh();
  }

  setNoDelay(on = true): this {
    this._state.setOption('TCP_NODELAY', on ? 1 : 0);
    return this;
  }

  /** Milliseconds; whole seconds count. `interval` and `count` as in newer Nodes: between probes, and how many. */
  setKeepAlive(
    on: boolean | { enable?: boolean; initialDelay?: number; interval?: number; count?: number } = false,
    initialDelay = 0,
    interval = 0,
    count = 0,
  ): this {
    if (typeof on === 'object' && on !== null) return this.setKeepAlive(on.enable, on.initialDelay, on.interval, on.count);
    const { _state: state } = this;
    const seconds = (ms: number): number => Math.trunc(ms / 1_000);
    state.setOption('SO_KEEPALIVE', on ? 1 : 0);
    if (on && seconds(initialDelay) > 0) state.setOption('TCP_KEEPIDLE', seconds(initialDelay));
    if (on && seconds(interval) > 0) state.setOption('TCP_KEEPINTVL', seconds(interval));
    if (on && count > 0) state.setOption('TCP_KEEPCNT', count);
    return this;
  }

  setTypeOfService(tos: number): this {
    this._state.setOption('IP_TOS', checkedNumber(tos, 'tos'));
    return this;
  }

  getTypeOfService(): number {
    return Number(this.getOption('IP_TOS'));
  }

  /** Beyond Node: milliseconds that data may stay unacknowledged before the connection ends with ETIMEDOUT; 0 leaves it to the stack. RFC 5482 §3. */
  setUserTimeout(ms: number): this {
    return this.setOption('TCP_USER_TIMEOUT', checkedNumber(ms, 'ms'));
  }

  /** Beyond Node: a socket option by its setsockopt name; before connect it is kept for the connection. */
  setOption(name: string, value: number | string): this {
    checked(this._state.setOption(name, value), 'setsockopt');
    return this;
  }

  getOption(name: string): number | string {
    const value = this._state.getOption(name);
    return typeof value === 'number' ? checked(value, 'getsockopt') : value;
  }

  /** Beyond Node: what Linux calls tcp_info; null without a connection. */
  info(): TcpInfo | null {
    return this._state.core?.info() ?? null;
  }

  ref(): this {
    this._state.hold.ref();
    return this;
  }

  unref(): this {
    this._state.hold.unref();
    return this;
  }

  address(): AddressInfo {
    return this._state.local();
  }

  get localAddress(): string | undefined {
    return this._state.local().address;
  }

  get localPort(): number | undefined {
    return this._state.local().port;
  }

  get localFamily(): string | undefined {
    return this._state.local().family;
  }

  get remoteAddress(): string | undefined {
    return this._state.remote().address;
  }

  get remotePort(): number | undefined {
    return this._state.remote().port;
  }

  get remoteFamily(): string | undefined {
    return this._state.remote().family;
  }

  get bytesRead(): number {
    return this._state.transfer.bytesRead;
  }

  /** Octets written by the application, taken by the stack or not. */
  get bytesWritten(): number {
    const { transfer } = this._state;
    // A write under way counts whole in writableLength, though some of it has been taken.
    return transfer.bytesWritten + this.writableLength - transfer.underWay;
  }

  get bufferSize(): number | undefined {
    return this._state.core === null ? undefined : this.writableLength;
  }

  get pending(): boolean {
    return this._state.core === null || this.connecting;
  }

  get readyState(): 'opening' | 'open' | 'readOnly' | 'writeOnly' | 'closed' {
    if (this.connecting) return 'opening';
    if (this.readable) return this.writable ? 'open' : 'readOnly';
    return this.writable ? 'writeOnly' : 'closed';
  }

  /** Older names that programs still look for. */
  get _connecting(): boolean {
    return this.connecting;
  }

  get _handle(): null {
    return null;
  }
}

/** What a net.Socket keeps to itself. */
export class SocketState {
  readonly net: NetShared;
  readonly connecting: Connecting;
  readonly onRead: boolean;
  readonly options: SocketOptions;
  transfer: Transfer;
  hold: Hold;
  /** Null while there is no connection. */
  core: TcpSocket | null = null;
  attempt: Attempt | null = null;
  timer: NodeJS.Timeout | null = null;
  /** A TLS socket reads from it: see carryTls. */
  carriesTls = false;
  /** RST instead of FIN. */
  resetting = false;
  private readonly asked = new Map<string, number | string>();
  private peer: AddressInfo | null = null;
  private name: AddressInfo | null = null;

  constructor(socket: SocketMethods, net: NetShared, options: SocketOptions) {
    this.net = net;
    this.options = options;
    this.onRead = isOnRead(options.onread);
    this.transfer = new Transfer(socket, this.onRead ? (options.onread ?? null) : null);
    this.hold = new Hold(net.stack.hyper);
    this.connecting = {
      stack: net.stack,
      emit: (event, ...args) => socket.emit(event, ...args),
      blocked: (address, family) => socket.blockList?.check(address, family === 6 ? 'ipv6' : 'ipv4') ?? false,
      prepare: (core) => this.prepare(core),
      attempted: (address) => (socket.autoSelectFamilyAttemptedAddresses ??= []).push(address),
      failed: (error) => socket.destroy(error),
      connected: (core) => this.connected(socket, core),
    };
  }

  /** A destroyed socket connects again. */
  renew(socket: SocketMethods): void {
    (socket as unknown as { _undestroy(): void })._undestroy();
    Reflect.deleteProperty(socket, 'write');
    this.transfer = new Transfer(socket, this.onRead ? (this.options.onread ?? null) : null);
    this.peer = this.name = null;
  }

  /** An accepted connection. */
  adopt(core: TcpSocket): void {
    this.core = core;
    this.hold.begin();
    this.transfer.start(core);
  }

  private connected(socket: SocketMethods, core: TcpSocket): void {
    this.attempt = null;
    this.core = core;
    this.name = this.peer = null;
    socket.connecting = false;
    socket._unrefTimer();
    socket.emit('connect');
    socket.emit('ready');
    if (this.core !== core) return;
    this.transfer.start(core);
    if (!socket.isPaused()) socket.read(0);
  }

  private prepare(core: TcpSocket): void {
    for (const [name, value] of this.asked) core.setOption(name, value);
  }

  setOption(name: string, value: number | string): number {
    this.asked.set(name, value);
    return this.core?.setOption(name, value) ?? 0;
  }

  getOption(name: string): number | string {
    return this.core?.getOption(name) ?? this.asked.get(name) ?? -Errno.ENOTCONN;
  }

  /** `ms` 0 ends it. */
  idleAfter(ms: number, fire: () => void): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = ms === 0 ? null : setTimeout(fire, ms).unref();
  }

  local(): AddressInfo {
    const { core } = this;
    if (core === null) return this.name ?? {};
    this.name ??= this.describe(core, core.localAddress, core.localPort);
    return this.name;
  }

  remote(): AddressInfo {
    const { core } = this;
    if (core === null) return this.peer ?? {};
    this.peer ??= this.describe(core, core.remoteAddress, core.remotePort);
    return this.peer;
  }

  private describe(core: TcpSocket, address: TcpSocket['localAddress'], port: number): AddressInfo {
    return { address: formatEndpoint(this.net.stack, core.family, address, core.zone), family: core.family === 4 ? 'IPv4' : 'IPv6', port };
  }

  /** Gives the core socket back; writes under way end with `error`. */
  close(error: Error | null): void {
    this.idleAfter(0, () => {});
    this.attempt?.cancel();
    this.attempt = null;
    this.name = null;
    const { core } = this;
    this.core = null;
    if (core !== null && this.resetting) core.abort();
    else core?.close();
    this.resetting = false;
    this.hold.end();
    this.transfer.stop(error);
  }
}

/** The constructor's work. */
export function setupSocket(socket: SocketMethods, net: NetShared, given: SocketOptions | undefined): HostSocket | undefined {
  const options: SocketOptions = typeof given === 'number' ? { fd: given } : { ...given };
  if (options.fd !== undefined || options.handle) return new HostSocket(options as ConstructorParameters<typeof HostSocket>[0]);
  checkSocketOptions(options);
  (Duplex as unknown as (this: Duplex, options: object) => void).call(socket, {
    ...options,
    allowHalfOpen: Boolean(options.allowHalfOpen),
    // 'close' tells whether there was an error, which Duplex's own does not.
    emitClose: false,
    autoDestroy: true,
  });
  const { blockList } = options;
  if (blockList !== undefined && typeof blockList?.check !== 'function')
    throw invalidType('options.blockList', 'an instance of net.BlockList', blockList);
  Object.assign(socket, { connecting: false, timeout: undefined, server: null, _server: null, _host: null, _parent: null, blockList });
  Object.assign(socket, { _state: new SocketState(socket, net, options) });
  if (options.noDelay) socket.setNoDelay();
  if (options.keepAlive) socket.setKeepAlive(true, options.keepAliveInitialDelay);
  socket.on('end', endedByPeer);
  return undefined;
}

function closed(socket: SocketMethods, hadError: boolean): void {
  socket.emit('close', hadError);
}

/** Writing to who has ended, and with us, is an error of its own in Node. */
function endedByPeer(this: SocketMethods): void {
  // Not before: the TLS socket takes its own allowHalfOpen from ours.
  if (this._state.carriesTls) this.allowHalfOpen = true;
  if (!this.allowHalfOpen) this.write = writeAfterEnd;
}

function writeAfterEnd(this: SocketMethods, chunk: unknown, encoding?: unknown, callback?: unknown): boolean {
  if (!this.writableEnded) return Duplex.prototype.write.call(this, chunk, encoding as BufferEncoding, callback as WriteCallback);
  const error = new StateError('EPIPE', 'This socket has been ended by the other party');
  const done = typeof encoding === 'function' ? encoding : callback;
  if (typeof done === 'function') process.nextTick(done as WriteCallback, error);
  this.destroy(error);
  return false;
}

/**
 * node:tls reads a socket that is not its own through a wrapper, whose listener has this error in it. There is no other
 * sign: a TLS socket over ours is made by node:tls, in servers of https, by libraries.
 */
const isTlsReader = (listener: { readonly name: string }): boolean => listener.name === 'ondata' && String(listener).includes('ERR_STREAM_WRAP');

/**
 * The TLS socket above decides about the end: ours neither answers FIN by itself (the answer may be half written) nor closes
 * while the one above has something to be read, which it would lose.
 */
function carryTls(socket: SocketMethods): void {
  socket._state.carriesTls = true;
  const { _readableState: readable, _writableState: writable } = socket as unknown as Record<'_readableState' | '_writableState', { autoDestroy: boolean }>;
  readable.autoDestroy = false;
  writable.autoDestroy = false;
}

function isOnRead(onread: SocketOptions['onread']): boolean {
  if (typeof onread !== 'object' || onread === null) return false;
  return (onread.buffer instanceof Uint8Array || typeof onread.buffer === 'function') && typeof onread.callback === 'function';
}

/** Unix sockets are the host's: from here on the object is Node's own socket, with the listeners it had. */
function becomeHostSocket(socket: SocketMethods, { net, options }: SocketState): void {
  if (Object.getPrototypeOf(socket) !== net.socketPrototype) throw callError(-Errno.EAFNOSUPPORT, 'connect');
  Object.setPrototypeOf(socket, HostSocket.prototype);
  (HostSocket as unknown as (this: object, options: object) => void).call(socket, options);
}
