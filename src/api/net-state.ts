import { Errno } from '../base/errors.js';
import type { TcpSocket } from '../net/socket/tcp-socket.js';
import type { Stack } from '../net/stack.js';
import { formatEndpoint } from './endpoint.js';
import { Hold } from './hold.js';
import type { Lookup } from './lookup.js';
import type { SocketOptions } from './net-arguments.js';
import type { Attempt, Connecting } from './net-connect.js';
import type { SocketMethods } from './net-socket.js';
import { type OnRead, Transfer } from './tcp-transfer.js';

/** What all sockets and servers of one `createNet` share. */
export interface NetShared {
  readonly stack: Stack;
  readonly lookup: Lookup;
  /** Default of connect's autoSelectFamily and its delay in ms; setDefaultAutoSelectFamily… write them. */
  autoSelectFamily: boolean;
  attemptDelay: number;
  readonly socketPrototype: object;
}

/** What `address()` answers; empty without a connection. */
export interface AddressInfo {
  address?: string;
  family?: 'IPv4' | 'IPv6';
  port?: number;
}

/** What a net.Socket keeps to itself, and what its connect reports to. */
export class SocketState implements Connecting {
  readonly net: NetShared;
  readonly stack: Stack;
  readonly onRead: OnRead | null;
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
  private readonly socket: SocketMethods;
  private readonly asked = new Map<string, number | string>();
  private peer: AddressInfo | null = null;
  private name: AddressInfo | null = null;

  constructor(socket: SocketMethods, net: NetShared, options: SocketOptions) {
    this.socket = socket;
    this.net = net;
    this.stack = net.stack;
    this.options = options;
    this.onRead = checkedOnRead(options.onread);
    this.hold = new Hold(net.stack.hyper);
    this.transfer = new Transfer(socket, this.onRead, this.busy);
  }

  private readonly busy = (busy: boolean): void => {
    if (busy) this.hold.begin();
    else this.hold.end();
  };

  /** A destroyed socket connects again. */
  renew(): void {
    const { socket } = this;
    (socket as unknown as { _undestroy(): void })._undestroy();
    Reflect.deleteProperty(socket, 'write');
    this.transfer = new Transfer(socket, this.onRead, this.busy);
    this.peer = this.name = null;
  }

  /** An accepted connection. */
  adopt(core: TcpSocket): void {
    this.core = core;
    this.transfer.start(core);
  }

  emit(event: string, ...args: unknown[]): boolean {
    return this.socket.emit(event, ...args);
  }

  blocked(address: string, family: number): boolean {
    return this.socket.blockList?.check(address, family === 6 ? 'ipv6' : 'ipv4') ?? false;
  }

  prepare(core: TcpSocket): void {
    this.hold.begin();
    for (const [name, value] of this.asked) core.setOption(name, value);
  }

  attempted(address: string): void {
    (this.socket.autoSelectFamilyAttemptedAddresses ??= []).push(address);
  }

  failed(error: Error): void {
    this.socket.destroy(error);
  }

  connected(core: TcpSocket): void {
    const { socket } = this;
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
    return { address: formatEndpoint(this.stack, core.family, address, core.zone), family: core.family === 4 ? 'IPv4' : 'IPv6', port };
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

/** What is no complete onread option is none, as in Node. */
function checkedOnRead(onread: SocketOptions['onread']): OnRead | null {
  if (typeof onread !== 'object' || onread === null) return null;
  const buffer = onread.buffer instanceof Uint8Array || typeof onread.buffer === 'function';
  return buffer && typeof onread.callback === 'function' ? onread : null;
}
