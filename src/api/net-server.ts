import { isIP } from 'node:net';
import { Errno } from '../base/errors.js';
import type { TcpSocket } from '../net/socket/tcp-socket.js';
import type { Stack } from '../net/stack.js';
import { anyFamily, formatEndpoint, interfaceIndex, parseEndpoint } from './endpoint.js';
import { Hold } from './hold.js';
import { HostServer } from './host.js';
import type { LookupAddress } from './lookup.js';
import { type ListenOptions, listenArguments } from './net-arguments.js';
import type { SocketMethods } from './net-socket.js';
import type { NetShared } from './net-state.js';
import { callError, checkedPort, invalidType, invalidValue, StateError } from './node-errors.js';
import { stackEndError } from './stack-end.js';
import { showCarrier } from './tls-carrier.js';

/** Makes the socket of an accepted connection. */
export type AcceptSocket = (core: TcpSocket, server: ListeningServer) => SocketMethods;

/** What a listening server of Node has besides its public face. A decade old, and the same in 20, 22 and 24. */
export interface ListeningServer extends HostServer {
  _handle: Acceptor | null;
  _connections: number;
  _listeningId: number;
  /** What it was told to listen on: 'family:address:port'. */
  _connectionKey?: string;
  _unref: boolean;
  readonly allowHalfOpen: boolean;
  readonly pauseOnConnect: boolean;
  readonly noDelay: boolean;
  readonly keepAlive: boolean;
  /** Seconds. */
  readonly keepAliveInitialDelay: number;
  readonly highWaterMark: number;
  /** Servers of node:tls have it. */
  readonly setSecureContext?: unknown;
  readonly blockList?: { check(address: string, family: 'ipv4' | 'ipv6'): boolean };
}

interface ServerAddress {
  address?: string;
  family?: string;
  port?: number;
}

/**
 * A listening core socket in the place of Node's native handle: `close`, `address`, `ref`, `getConnections`, `listening`
 * and the events of a server, net's, http's and tls's alike, are then Node's own.
 */
export class Acceptor {
  private readonly server: ListeningServer;
  private readonly net: NetShared;
  private readonly core: TcpSocket;
  private readonly accept: AcceptSocket;
  private readonly hold: Hold;

  constructor(server: ListeningServer, net: NetShared, core: TcpSocket, accept: AcceptSocket) {
    this.server = server;
    this.net = net;
    this.core = core;
    this.accept = accept;
    this.hold = new Hold(net.stack.hyper);
    this.hold.begin();
    core.onReady = () => this.ready();
  }

  close(done?: () => void): void {
    this.core.close();
    this.hold.end();
    if (done !== undefined) process.nextTick(done);
  }

  ref(): void {
    this.hold.ref();
  }

  unref(): void {
    this.hold.unref();
  }

  hasRef(): boolean {
    return this.hold.hasRef;
  }

  /** Fills in address, family and port; answers 0. */
  getsockname(into: ServerAddress): number {
    const { core } = this;
    into.address = formatEndpoint(this.net.stack, core.family, core.localAddress, core.zone);
    into.family = core.family === 4 ? 'IPv4' : 'IPv6';
    into.port = core.localPort;
    return 0;
  }

  /** Beyond Node: an option of the listening socket, which its connections inherit. 0 or a negative errno. */
  setOption(name: string, value: number | string): number {
    return this.core.setOption(name, value);
  }

  private ready(): void {
    const { core } = this;
    if (core.ctx.ended !== 0) {
      this.stackEnded();
      return;
    }
    try {
      for (let one = core.accept(); one !== null; one = core.accept()) this.admit(one);
    } finally {
      // A listener threw: the rest comes in the next poll.
      if (!core.closed && core.readiness() !== 0) core.ctx.notify(core);
    }
  }

  private stackEnded(): void {
    const { server } = this;
    const error = stackEndError(this.core.ctx, 'accept');
    if (server._handle === this) server.close();
    if (error !== null) process.nextTick(() => server.emit('error', error));
  }

  private admit(core: TcpSocket): void {
    const { server } = this;
    const max = server.maxConnections;
    if (max != null && server._connections >= max && (max > 0 || NONE_MEANS_NONE)) {
      server.emit('drop', this.describe(core));
      core.close();
      return;
    }
    const { blockList } = server;
    if (blockList?.check(formatEndpoint(this.net.stack, 4, core.remoteAddress), core.remoteAddress.isV4 ? 'ipv4' : 'ipv6')) {
      core.close();
      return;
    }
    if (server.noDelay) core.setOption('TCP_NODELAY', 1);
    if (server.keepAlive) core.setOption('SO_KEEPALIVE', 1);
    if (server.keepAlive && server.keepAliveInitialDelay > 0) core.setOption('TCP_KEEPIDLE', server.keepAliveInitialDelay);
    server._connections++;
    server.emit('connection', this.accept(core, server));
  }

  private describe(core: TcpSocket): Record<string, string | number> {
    const { stack } = this.net;
    const family = core.family === 4 ? 'IPv4' : 'IPv6';
    return {
      localAddress: formatEndpoint(stack, core.family, core.localAddress, core.zone),
      localPort: core.localPort,
      localFamily: family,
      remoteAddress: formatEndpoint(stack, core.family, core.remoteAddress, core.zone),
      remotePort: core.remotePort,
      remoteFamily: family,
    };
  }
}

/** maxConnections 0 means none from Node 21 on, and no limit before. */
const NONE_MEANS_NONE = Number(process.versions.node.split('.')[0]) >= 21;

/** `server.listen` of a server of Node, on a stack. A path or a descriptor is the host's, and listens there. */
export function listen(server: ListeningServer, net: NetShared, accept: AcceptSocket, args: readonly unknown[]): void {
  const [options, callback, backlog] = listenArguments(args);
  if (server._handle !== null) throw new StateError('ERR_SERVER_ALREADY_LISTEN', 'Listen method has been called more than once without closing.');
  if (typeof options.port !== 'number' && typeof options.port !== 'string') {
    if (!(typeof options.path === 'string' && options.path !== '') && !(Number(options.fd) >= 0))
      throw invalidValue('options', options, 'port' in options || 'path' in options ? undefined : 'must have the property "port" or "path"');
    HostServer.prototype.listen.apply(server, args as Parameters<HostServer['listen']>);
    return;
  }
  const port = checkedPort(options.port, 'options.port');
  if (options.signal !== undefined) closeOnAbort(server, options.signal);
  if (callback !== null) server.once('listening', callback);
  const id = ++server._listeningId;
  const { host } = options;
  if (!host || isIP(host) !== 0) open(server, net, accept, host ?? '', port, backlog, options);
  else {
    net.lookup(host, {}, (error, found: string | LookupAddress[]) => {
      if (server._listeningId !== id || server._handle !== null) return;
      if (error !== null) server.emit('error', error);
      else open(server, net, accept, String(found), port, backlog, options);
    });
  }
}

function open(
  server: ListeningServer,
  net: NetShared,
  accept: AcceptSocket,
  host: string,
  port: number,
  backlog: number,
  options: ListenOptions,
): void {
  const { stack } = net;
  const core = stack.tcp.openSocket(familyOf(stack, host, options));
  const result = bindAndListen(stack, core, host, port, backlog, options);
  if (result < 0) {
    core.close();
    process.nextTick(() => server.emit('error', callError(result, 'listen', host || (core.family === 4 ? '0.0.0.0' : '::'), port)));
    return;
  }
  server._handle = new Acceptor(server, net, core, accept);
  server._connectionKey = `${core.family === 4 ? 4 : 6}:${host || (core.family === 4 ? '0.0.0.0' : '::')}:${port}`;
  if (server.setSecureContext !== undefined) server.removeListener('secureConnection', showCarrier).prependListener('secureConnection', showCarrier);
  if (server._unref) server.unref();
  process.nextTick(() => {
    if (server._handle !== null) server.emit('listening');
  });
}

function familyOf(stack: Stack, host: string, { ipv6Only }: ListenOptions): 4 | 6 | 46 {
  if (host === '') return ipv6Only ? 6 : anyFamily(stack);
  if (isIP(host) === 4) return 4;
  return host === '::' && !ipv6Only ? 46 : 6;
}

function bindAndListen(stack: Stack, core: TcpSocket, host: string, port: number, backlog: number, options: ListenOptions): number {
  const at = host === '' ? null : parseEndpoint(stack, host);
  if (at === null && host !== '') return -Errno.EADDRNOTAVAIL;
  if (options.interface !== undefined) {
    const index = interfaceIndex(stack, options.interface);
    if (index < 0) return -Errno.ENODEV;
    core.boundIndex = index;
  }
  // A server that starts again finds its old connections in TIME-WAIT; Node sets it too.
  core.setOption('SO_REUSEADDR', 1);
  if (options.reusePort) core.setOption('SO_REUSEPORT', 1);
  const any = at === null || at.address.isUnspecified;
  const bound = core.bind(any ? null : at.address, port, at?.zone ?? 0);
  return bound < 0 ? bound : core.listen(backlog);
}

function closeOnAbort(server: HostServer, signal: AbortSignal): void {
  if (typeof signal !== 'object' || signal === null || !('aborted' in signal))
    throw invalidType('options.signal', 'an instance of AbortSignal', signal);
  const abort = (): void => void server.close();
  if (signal.aborted) process.nextTick(abort);
  else {
    signal.addEventListener('abort', abort, { once: true });
    server.once('close', () => signal.removeEventListener('abort', abort));
  }
}
