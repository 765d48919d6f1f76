/** The shape of `node:net` over a stack's TCP sockets. */
import * as hostNet from 'node:net';
import type { TcpSocket } from '../net/socket/tcp-socket.js';
import type { Stack } from '../net/stack.js';
import type { TcpInfo } from '../net/tcp/info.js';
import { type Callable, callable } from './callable.js';
import { HostServer, HostSocket } from './host.js';
import { type Lookup, localLookup } from './lookup.js';
import { type ConnectionOptions, checkedDelay, connectArguments, type Listener, type SocketOptions } from './net-arguments.js';
import { type AcceptSocket, type ListeningServer, listen } from './net-server.js';
import { setupSocket } from './net-setup.js';
import { SocketMethods } from './net-socket.js';
import type { NetShared } from './net-state.js';

export type { ConnectionOptions, ListenOptions, SocketOptions } from './net-arguments.js';

/** What a socket has beyond Node's. */
export interface SocketExtras {
  /** A socket option by its setsockopt name; kept for the connection when there is none yet. Throws NetError. */
  setOption(name: string, value: number | string): this;
  getOption(name: string): number | string;
  /** What Linux calls tcp_info; null without a connection. */
  info(): TcpInfo | null;
  /** Milliseconds that data may stay unacknowledged; 0 leaves it to the stack. */
  setUserTimeout(ms: number): this;
  /** The octet of the IP header, 0 to 255; as in Node 25. */
  setTypeOfService(tos: number): this;
  getTypeOfService(): number;
}

/** A TCP socket: node:net's, over a stack. */
export type Socket = hostNet.Socket & SocketExtras;

/** A TCP server: node:net's own, listening on a stack. */
export type Server = hostNet.Server;

/** Options of createServer: Node's. */
export type ServerOptions = hostNet.ServerOpts;
/** Listens to 'connection'. */
export type ConnectionListener = (socket: Socket) => void;

/** What `import net from 'node:net'` gives, for one stack, and `adopt`. */
export interface Net {
  readonly Socket: Callable<Socket, [SocketOptions?]>;
  readonly Stream: Callable<Socket, [SocketOptions?]>;
  readonly Server: Callable<Server, [(ServerOptions | ConnectionListener)?, ConnectionListener?]>;
  /** (options | port [, host] | path) [, callback]. */
  connect(...args: unknown[]): Socket;
  createConnection(...args: unknown[]): Socket;
  createServer(options?: ServerOptions | ConnectionListener, listener?: ConnectionListener): Server;
  readonly isIP: typeof hostNet.isIP;
  readonly isIPv4: typeof hostNet.isIPv4;
  readonly isIPv6: typeof hostNet.isIPv6;
  readonly BlockList: typeof hostNet.BlockList;
  readonly SocketAddress: typeof hostNet.SocketAddress;
  getDefaultAutoSelectFamily(): boolean;
  setDefaultAutoSelectFamily(value: boolean): void;
  getDefaultAutoSelectFamilyAttemptTimeout(): number;
  setDefaultAutoSelectFamilyAttemptTimeout(ms: number): void;
  /** Beyond Node: lets any server of Node (http, https, http2, tls) listen on this stack. Answers it. */
  adopt<T extends hostNet.Server>(server: T): T;
  /** Beyond Node: the socket as one that passes for an instance of Node's own net.Socket, for libraries that ask. Not for node:tls, which would look for a native handle in it. */
  disguise(socket: Socket): Socket;
}

/** Options of createNet. */
export interface CreateNetOptions {
  /** How names become addresses. Default: only addresses and localhost do. */
  readonly lookup?: Lookup;
}

/** `node:net` for `stack`. */
export function createNet(stack: Stack, options: CreateNetOptions = {}): Net {
  // Between two attempts of a race, in ms (RFC 8305 §8 has 250): what this Node has.
  const attemptDelay = hostNet.getDefaultAutoSelectFamilyAttemptTimeout();
  const lookup = options.lookup ?? localLookup(() => stack.ip.v6 !== null);
  const Socket = callable<SocketMethods, [SocketOptions?]>({
    name: 'Socket',
    methods: SocketMethods,
    shared: {},
    setup: (self, given) => setupSocket(self, shared, given),
    foreign: callHost(HostSocket),
  });
  // Where a preload has put this class in Node's place, Node's own sockets (of TLS, of Unix) are sockets still, and node:tls would
  // wait for the 'connect' of one of ours that it takes for Node's.
  Object.defineProperty(Socket, Symbol.hasInstance, {
    value: (x: Partial<SocketMethods>) => {
      const ours = Object.prototype.isPrototypeOf.call(Socket.prototype, x);
      return ours ? x._state?.carriesTls !== true : x instanceof HostSocket && !('_state' in x);
    },
  });
  const shared: NetShared = { stack, lookup, autoSelectFamily: true, attemptDelay, socketPrototype: Socket.prototype };
  const accept: AcceptSocket = (core, server) => accepted(new Socket(acceptOptions(server)), core, server);
  const listenHere = function (this: hostNet.Server, ...args: unknown[]): hostNet.Server {
    listen(this as ListeningServer, shared, accept, args);
    return this;
  };
  const Server = callable<hostNet.Server, [(ServerOptions | ConnectionListener)?, ConnectionListener?]>({
    name: 'Server',
    methods: HostServer,
    shared: { listen: listenHere },
    setup(self, ...args) {
      (HostServer as unknown as (this: object, ...args: unknown[]) => void).apply(self, args);
      return undefined;
    },
    foreign: callHost(HostServer),
  });
  const connect = (...args: unknown[]): Socket => dial(Socket, args);
  return {
    Socket: Socket as unknown as Net['Socket'],
    Stream: Socket as unknown as Net['Stream'],
    Server,
    connect,
    createConnection: connect,
    createServer: (given, listener) => new Server(given, listener),
    isIP: hostNet.isIP,
    isIPv4: hostNet.isIPv4,
    isIPv6: hostNet.isIPv6,
    BlockList: hostNet.BlockList,
    SocketAddress: hostNet.SocketAddress,
    getDefaultAutoSelectFamily: () => shared.autoSelectFamily,
    setDefaultAutoSelectFamily(value) {
      shared.autoSelectFamily = value;
    },
    getDefaultAutoSelectFamilyAttemptTimeout: () => shared.attemptDelay,
    setDefaultAutoSelectFamilyAttemptTimeout(ms) {
      shared.attemptDelay = checkedDelay(ms, attemptDelay);
    },
    adopt: (server) => Object.assign(server, { listen: listenHere }),
    disguise: (socket) => new Proxy(socket, { getPrototypeOf: () => HostSocket.prototype }),
  };
}

/** node:tls calls `net.Socket.call(this)` on instances of Node's own class: they stay Node's. */
function callHost(Host: typeof HostSocket | typeof HostServer): (self: object, ...args: unknown[]) => boolean {
  return (self, ...args) => {
    if (!(self instanceof Host)) return false;
    (Host as unknown as (this: object, ...args: unknown[]) => void).apply(self, args);
    return true;
  };
}

function dial(Socket: Callable<SocketMethods, [SocketOptions?]>, args: readonly unknown[]): Socket {
  const [options, callback] = connectArguments(args);
  const socket = new Socket(options);
  const { timeout } = options as ConnectionOptions;
  if (timeout) socket.setTimeout(timeout);
  const all: [ConnectionOptions, Listener?] = callback === null ? [options] : [options, callback];
  return socket.connect(...all) as unknown as Socket;
}

function acceptOptions({ allowHalfOpen, highWaterMark }: ListeningServer): SocketOptions {
  return highWaterMark === undefined
    ? { allowHalfOpen }
    : { allowHalfOpen, readableHighWaterMark: highWaterMark, writableHighWaterMark: highWaterMark };
}

function accepted(socket: SocketMethods, core: TcpSocket, server: ListeningServer): SocketMethods {
  socket.server = server;
  socket._server = server;
  socket._state.adopt(core);
  if (server.pauseOnConnect) socket.pause();
  else socket.read(0);
  return socket;
}
