import { type BlockList, isIP } from 'node:net';
import { Duplex } from 'node:stream';
import { Errno } from '../base/errors.js';
import type { TcpInfo } from '../net/tcp/info.js';
import { type HostServer, HostSocket } from './host.js';
import { checkConnectOptions, checkedTimeout, connectArguments, type Listener } from './net-arguments.js';
import { Attempt } from './net-connect.js';
import type { AddressInfo, SocketState } from './net-state.js';
import { callError, checked, checkedFunction, checkedNumber, invalidType, outOfRange, StateError } from './node-errors.js';
import type { WriteCallback } from './tcp-transfer.js';
import { carryTls, isTlsReader } from './tls-carrier.js';

/** The fields of Node's servers that a connection counts itself in. */
interface Counting {
  _connections: number;
  _emitCloseIfDrained?(): void;
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
  declare _state: SocketState;

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
    if (this.destroyed) state.renew();
    this.connecting = true;
    this._host = isIP(target.host) === 0 ? target.host : null;
    this._unrefTimer();
    // A lookup of the program's own is its own to wait for.
    if (options.lookup === undefined) state.hold.begin();
    this.autoSelectFamilyAttemptedAddresses = undefined;
    state.attempt = new Attempt(state, options, target, net.lookup);
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
    if (this._state.onRead !== null) this._state.transfer.pause();
    return super.pause();
  }

  override resume(): this {
    if (this._state.onRead !== null && !this.connecting) this._state.transfer.read();
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
    if (Number.isNaN(checkedNumber(tos, 'tos'))) throw invalidType('tos', 'of type number', tos);
    if (!Number.isInteger(tos) || tos < 0 || tos > 255) throw outOfRange('tos', '>= 0 && <= 255', tos);
    this._state.setOption('IP_TOS', tos);
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

  /** Undefined on the prototype, where programs look too. */
  get bytesRead(): number {
    return this._state?.transfer.bytesRead;
  }

  /** Octets written by the application, taken by the stack or not; undefined on the prototype. */
  get bytesWritten(): number {
    const transfer = this._state?.transfer;
    if (transfer === undefined) return transfer as never;
    // A write under way counts whole in writableLength, though some of it has been taken.
    return transfer.bytesWritten + this.writableLength - transfer.underWay;
  }

  get bufferSize(): number | undefined {
    return this._state.core === null && !this.connecting ? undefined : this.writableLength;
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

function closed(socket: SocketMethods, hadError: boolean): void {
  socket.emit('close', hadError);
}

/** Unix sockets are the host's: from here on the object is Node's own socket, with the listeners it had. */
function becomeHostSocket(socket: SocketMethods, { net, options }: SocketState): void {
  if (Object.getPrototypeOf(socket) !== net.socketPrototype) throw callError(-Errno.EAFNOSUPPORT, 'connect');
  Object.setPrototypeOf(socket, HostSocket.prototype);
  (HostSocket as unknown as (this: object, options: object) => void).call(socket, options);
}
