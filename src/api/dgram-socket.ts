import { EventEmitter } from 'node:events';
import type { BlockList } from 'node:net';
import { Errno } from '../base/errors.js';
import type { Stack } from '../net/stack.js';
import { type DgramCallback, type DgramPayload, type SendArguments, sendArguments } from './dgram-arguments.js';
import { joinGroup, leaveGroup, multicastInterface } from './dgram-groups.js';
import { type DgramLookup, DgramState, type MessageInfo, report } from './dgram-state.js';
import { type Endpoint, formatEndpoint, interfaceIndex } from './endpoint.js';
import type { Lookup } from './lookup.js';
import {
  ArgumentTypeError,
  callError,
  checked,
  checkedFunction,
  checkedNumber,
  checkedPort,
  checkedString,
  invalidType,
  StateError,
} from './node-errors.js';

/** Options of createSocket. */
export interface DgramOptions {
  readonly type: 'udp4' | 'udp6';
  readonly reuseAddr?: boolean;
  readonly reusePort?: boolean;
  /** udp6 only: IPv4 is not taken. */
  readonly ipv6Only?: boolean;
  readonly recvBufferSize?: number;
  readonly sendBufferSize?: number;
  readonly lookup?: DgramLookup;
  readonly signal?: AbortSignal;
  /** Senders whose datagrams are thrown away, and destinations that are refused with ERR_IP_BLOCKED; as in Node 24. */
  readonly receiveBlockList?: BlockList;
  readonly sendBlockList?: BlockList;
  /** Beyond Node: sends and receives only there (SO_BINDTODEVICE). */
  readonly interface?: string;
}

/** What `address()` and `remoteAddress()` answer. */
export interface DgramAddress {
  address: string;
  family: 'IPv4' | 'IPv6';
  port: number;
}

interface BindOptions {
  readonly port?: number;
  readonly address?: string;
  readonly exclusive?: boolean;
}

/** The methods of a dgram.Socket; instances are made by createDgram. */
export class DgramMethods extends EventEmitter {
  declare readonly type: 'udp4' | 'udp6';
  /** Not for applications. */
  declare readonly _state: DgramState;

  bind(port?: number | BindOptions | DgramCallback | null, address?: string | DgramCallback, callback?: DgramCallback): this {
    const state = running(this);
    if (state.binding !== 'no') throw new StateError('ERR_SOCKET_ALREADY_BOUND', 'Socket is already bound');
    const listener = [port, address, callback].find((x) => typeof x === 'function') as DgramCallback | undefined;
    const options = typeof port === 'object' && port !== null ? port : { port, address };
    const portNumber = typeof options.port === 'function' || options.port == null ? 0 : checkedPort(options.port, 'options.port');
    state.binding = 'under way';
    if (listener !== undefined) onceBound(this, listener);
    const host = typeof options.address === 'string' && options.address !== '' ? options.address : this.type === 'udp4' ? '0.0.0.0' : '::';
    state.resolve(host, (error, to) => {
      if (state.closed) return;
      const result = error === null ? state.core.bind((to as Endpoint).address, portNumber, (to as Endpoint).zone) : 0;
      if (error === null && result === 0) {
        state.bound();
        return;
      }
      state.binding = 'no';
      this.emit('error', error ?? callError(result, 'bind', host, portNumber));
    });
    return this;
  }

  connect(port: number, address?: string | DgramCallback, callback?: DgramCallback): void {
    const state = running(this);
    const to = checkedPort(port, 'Port', false);
    const done = typeof address === 'function' ? address : callback;
    const host = typeof address === 'function' || address === undefined ? '' : checkedString(address, 'address');
    if (state.connection !== 'no') throw new StateError('ERR_SOCKET_DGRAM_IS_CONNECTED', 'Already connected');
    state.connection = 'under way';
    if (done !== undefined) this.once('connect', done);
    state.whenBound(() => {
      state.resolve(host, (error, target) => {
        if (state.closed) return;
        const refused = error ?? state.refused(target as Endpoint);
        const result = refused === null ? state.core.connect((target as Endpoint).address, to, (target as Endpoint).zone) : 0;
        state.connection = refused === null && result === 0 ? 'yes' : 'no';
        process.nextTick(() => {
          if (state.connection === 'yes') this.emit('connect');
          else report(this, 'connect', done, refused ?? callError(result, 'connect', host, to));
        });
      });
    });
  }

  disconnect(): void {
    const state = running(this);
    if (state.connection !== 'yes') throw notConnected();
    checked(state.core.disconnect(), 'connect');
    state.connection = 'no';
  }

  /** Without a port: to the connected peer. */
  send(message: DgramPayload, callback?: DgramCallback): void;
  send(message: DgramPayload, port: number, callback?: DgramCallback): void;
  send(message: DgramPayload, port: number, address?: string, callback?: DgramCallback): void;
  send(message: DgramPayload, offset: number, length: number, callback?: DgramCallback): void;
  send(message: DgramPayload, offset: number, length: number, port?: number, callback?: DgramCallback): void;
  send(message: DgramPayload, offset: number, length: number, port?: number, address?: string, callback?: DgramCallback): void;
  send(message: DgramPayload, ...rest: unknown[]): void {
    const state = this._state;
    const args = sendArguments(message, rest, state.connection === 'yes');
    running(this);
    if (state.binding === 'yes') this.sendNow(args);
    else state.whenBound(() => this.sendNow(args));
  }

  private sendNow(args: SendArguments): void {
    const { _state: state } = this;
    if (state.closed) return;
    if (args.connected) {
      state.sender.send(args, null);
      return;
    }
    const known = state.known(args.address);
    if (known !== null) this.sendTo(args, null, known);
    else state.resolve(args.address, (error, to) => state.closed || this.sendTo(args, error, to));
  }

  private sendTo(args: SendArguments, error: Error | null, to: Endpoint | null): void {
    const refused = error ?? this._state.refused(to as Endpoint);
    if (refused !== null) process.nextTick(() => report(this, null, args.callback, refused));
    else this._state.sender.send(args, to);
  }

  /** Node's older form of send. */
  sendto(message: DgramPayload, offset: number, length: number, port: number, address: string, callback?: DgramCallback): void {
    checkedNumber(offset, 'offset');
    checkedNumber(length, 'length');
    checkedNumber(port, 'port');
    checkedString(address, 'address');
    this.send(message, offset, length, port, address, callback);
  }

  close(callback?: () => void): this {
    const { _state: state } = this;
    if (typeof callback === 'function') this.on('close', callback);
    if (state.waiting !== null) {
      state.waiting.push(() => void this.close());
      return this;
    }
    running(this).close();
    process.nextTick(() => this.emit('close'));
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this._state.closed) await new Promise<void>((resolve) => this.close(resolve));
  }

  address(): DgramAddress {
    const { core, stack } = bound(this, 'getsockname');
    return endpoint(this, formatEndpoint(stack, core.family, core.localAddress, core.boundIndex), core.localPort);
  }

  remoteAddress(): DgramAddress {
    const { core, stack, connection } = running(this);
    if (connection !== 'yes') throw notConnected();
    return endpoint(this, formatEndpoint(stack, core.family, core.remoteAddress, core.boundIndex), core.remotePort);
  }

  setBroadcast(on: boolean): void {
    checked(bound(this, 'setBroadcast').core.setOption('SO_BROADCAST', on ? 1 : 0), 'setBroadcast');
  }

  setTTL(ttl: number): number {
    checked(bound(this, 'setTTL').core.setOption('IP_TTL', checkedNumber(ttl, 'ttl')), 'setTTL');
    return ttl;
  }

  setMulticastTTL(ttl: number): number {
    checked(bound(this, 'setMulticastTTL').core.setOption('IP_MULTICAST_TTL', checkedNumber(ttl, 'ttl')), 'setMulticastTTL');
    return ttl;
  }

  setMulticastLoopback(on: boolean): boolean {
    checked(bound(this, 'setMulticastLoopback').core.setOption('IP_MULTICAST_LOOP', on ? 1 : 0), 'setMulticastLoopback');
    return on;
  }

  /** The interface that has the address, or, for IPv6, the one after the '%': '::%eth0'. */
  setMulticastInterface(address: string): void {
    const { stack, core } = bound(this, 'setMulticastInterface');
    checked(multicastInterface(stack, core, checkedString(address, 'interfaceAddress')), 'setMulticastInterface');
  }

  addMembership(group: string, interfaceAddress?: string): void {
    checked(joinGroup(running(this), group, null, interfaceAddress), 'addMembership');
  }

  dropMembership(group: string, interfaceAddress?: string): void {
    checked(leaveGroup(running(this), group, null, interfaceAddress), 'dropMembership');
  }

  addSourceSpecificMembership(source: string, group: string, interfaceAddress?: string): void {
    checkedString(source, 'sourceAddress');
    checked(joinGroup(running(this), checkedString(group, 'groupAddress'), source, interfaceAddress), 'addSourceSpecificMembership');
  }

  dropSourceSpecificMembership(source: string, group: string, interfaceAddress?: string): void {
    checkedString(source, 'sourceAddress');
    checked(leaveGroup(running(this), checkedString(group, 'groupAddress'), source, interfaceAddress), 'dropSourceSpecificMembership');
  }

  getRecvBufferSize(): number {
    return Number(running(this).core.getOption('SO_RCVBUF'));
  }

  getSendBufferSize(): number {
    return Number(running(this).core.getOption('SO_SNDBUF'));
  }

  setRecvBufferSize(size: number): void {
    checked(running(this).core.setOption('SO_RCVBUF', checkedSize(size)), 'uv_recv_buffer_size');
  }

  setSendBufferSize(size: number): void {
    checked(running(this).core.setOption('SO_SNDBUF', checkedSize(size)), 'uv_send_buffer_size');
  }

  /** Octets of datagrams that wait for a full interface queue. */
  getSendQueueSize(): number {
    return this._state.sender.octets;
  }

  getSendQueueCount(): number {
    return this._state.sender.count;
  }

  ref(): this {
    this._state.hold.ref();
    return this;
  }

  unref(): this {
    this._state.hold.unref();
    return this;
  }

  /** Beyond Node: a socket option by its setsockopt name. */
  getOption(name: string): number | string {
    const value = running(this).core.getOption(name);
    return typeof value === 'number' ? checked(value, 'getsockopt') : value;
  }

  setOption(name: string, value: number | string): this {
    checked(running(this).core.setOption(name, value), 'setsockopt');
    return this;
  }
}

/** The constructor's work. */
export function setupDgram(
  self: DgramMethods,
  stack: Stack,
  lookup: Lookup,
  given: 'udp4' | 'udp6' | DgramOptions,
  listener?: (message: Buffer, info: MessageInfo) => void,
): void {
  const options: DgramOptions = typeof given === 'object' && given !== null ? given : { type: given };
  const { type, signal } = options;
  if (type !== 'udp4' && type !== 'udp6')
    throw new ArgumentTypeError('ERR_SOCKET_BAD_TYPE', 'Bad socket type specified. Valid types are: udp4, udp6');
  if (options.lookup !== undefined) checkedFunction(options.lookup, 'lookup');
  const core = stack.udp.openSocket(type === 'udp4' ? 4 : options.ipv6Only ? 6 : 46);
  if (options.reuseAddr) core.setOption('SO_REUSEADDR', 1);
  if (options.reusePort) core.setOption('SO_REUSEPORT', 1);
  if (options.recvBufferSize) core.setOption('SO_RCVBUF', checkedSize(checkedNumber(options.recvBufferSize, 'options.recvBufferSize')));
  if (options.sendBufferSize) core.setOption('SO_SNDBUF', checkedSize(checkedNumber(options.sendBufferSize, 'options.sendBufferSize')));
  if (options.interface !== undefined) {
    const index = interfaceIndex(stack, options.interface);
    if (index < 0) throw callError(-Errno.ENODEV, 'setsockopt', options.interface);
    core.boundIndex = index;
  }
  Object.assign(self, { type, _state: new DgramState(self, stack, core, lookup, options) });
  if (listener !== undefined) self.on('message', listener);
  if (signal !== undefined) closeOnAbort(self, signal);
}

function closeOnAbort(socket: DgramMethods, signal: AbortSignal): void {
  if (typeof signal !== 'object' || signal === null || !('aborted' in signal))
    throw invalidType('options.signal', 'an instance of AbortSignal', signal);
  const abort = (): void => {
    if (!socket._state.closed) socket.close();
  };
  if (signal.aborted) abort();
  else {
    signal.addEventListener('abort', abort, { once: true });
    socket.once('close', () => signal.removeEventListener('abort', abort));
  }
}

/** The bind's callback, unless the bind fails. */
function onceBound(socket: DgramMethods, listener: DgramCallback): void {
  const forget = (): void => {
    socket.removeListener('error', forget);
    socket.removeListener('listening', listening);
  };
  const listening = (): void => {
    forget();
    listener.call(socket, null);
  };
  socket.on('error', forget);
  socket.on('listening', listening);
}

function running(socket: DgramMethods): DgramState {
  if (socket._state.closed) throw new StateError('ERR_SOCKET_DGRAM_NOT_RUNNING', 'Not running');
  return socket._state;
}

/** These need a socket that is bound, as in Node: EBADF before. */
function bound(socket: DgramMethods, call: string): DgramState {
  const state = running(socket);
  if (state.binding !== 'yes') throw callError(-Errno.EBADF, call);
  return state;
}

const notConnected = (): StateError => new StateError('ERR_SOCKET_DGRAM_NOT_CONNECTED', 'Not connected');

function checkedSize(size: number): number {
  if (size >>> 0 === size) return size;
  throw new ArgumentTypeError('ERR_SOCKET_BAD_BUFFER_SIZE', 'Buffer size must be a positive integer');
}

const endpoint = (socket: DgramMethods, address: string, port: number): DgramAddress => ({
  address,
  family: socket.type === 'udp4' ? 'IPv4' : 'IPv6',
  port,
});
