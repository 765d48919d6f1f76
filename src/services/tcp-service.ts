import { anyFamily } from '../api/endpoint.js';
import { Errno, errnoName, NetError } from '../base/errors.js';
import { Ready } from '../net/socket/socket.js';
import type { TcpSocket } from '../net/socket/tcp-socket.js';
import type { Stack } from '../net/stack.js';

/** What a service does with a connection that has something: octets, room, or an end. Answers false when it wants no more of it. */
export type Serve = (socket: TcpSocket, ready: number) => boolean;

/** Connections one service has at a time; further ones are reset. */
const CONNECTIONS_MAX = 256;

/** A listener on the core socket, and its connections. */
export class TcpService {
  private readonly listeners: TcpSocket[] = [];
  private readonly connections = new Set<TcpSocket>();
  private readonly over: (serve: Serve) => void;

  /** `indices`: interfaces to listen on, empty for all. Throws NetError EADDRINUSE. `serve` is made anew for each connection, `over` told of its end. */
  constructor(core: Stack, port: number, indices: readonly number[], serve: () => Serve, over: (serve: Serve) => void = () => {}) {
    this.over = over;
    for (const index of indices.length === 0 ? [0] : indices) {
      const listener = core.tcp.openSocket(anyFamily(core));
      this.listeners.push(listener);
      listener.boundIndex = index;
      const result = listener.bind(null, port) || listener.listen(128);
      if (result !== 0) {
        this.close();
        throw new NetError(errnoName(result), 'listen', undefined, port);
      }
      listener.onReady = () => this.accept(listener, serve);
    }
  }

  close(): void {
    for (const listener of this.listeners) listener.close();
    for (const connection of this.connections) connection.abort();
    this.connections.clear();
  }

  private accept(listener: TcpSocket, serve: () => Serve): void {
    for (let socket = listener.accept(); socket !== null; socket = listener.accept()) {
      if (this.connections.size >= CONNECTIONS_MAX) socket.abort();
      else this.serve(socket, serve());
    }
  }

  private serve(socket: TcpSocket, serve: Serve): void {
    this.connections.add(socket);
    // A peer that vanished is found by keep-alive: these services have no idle time of their own.
    socket.setOption('SO_KEEPALIVE', 1);
    socket.onReady = () => {
      const ready = socket.readiness();
      if ((ready & Ready.Error) === 0 && serve(socket, ready)) return;
      this.connections.delete(socket);
      socket.close();
      this.over(serve);
    };
    socket.onReady();
  }
}

/** Throws away what has come; false at the end of the stream or on an error. */
export function discardInput(socket: TcpSocket): boolean {
  for (let octets = socket.peek(); octets !== null; octets = socket.peek()) socket.consume(octets.length);
  return socket.read(NOTHING) === -Errno.EAGAIN;
}

const NOTHING = new Uint8Array(1);
