import { createServer, type Socket } from 'node:net';
import { hostListen } from '../api/host.js';
import { interfaceNamed } from '../api/link.js';
import { Ready } from '../net/socket/socket.js';
import type { TcpSocket } from '../net/socket/tcp-socket.js';
import type { Stack } from '../net/stack.js';
import { FpmSession, FpmStats } from './fpm-session.js';
import type { Running } from './small.js';
import { type Serve, TcpService } from './tcp-service.js';

/** Options of the Forwarding Plane Manager's server. */
export interface FpmSpec {
  /** Default 2620, zebra's. */
  readonly port?: number;
  /** Whose TCP it listens on: the host's (the default), or the stack's own. */
  readonly on?: 'host' | 'stack';
  /** Of the host, where it listens. Default 127.0.0.1. */
  readonly address?: string;
  /** Of the stack, where it listens. Default: everywhere. */
  readonly interfaces?: readonly string[];
  /** Our interfaces by the engine's interface numbers. Others are found by the gateway, on whose link they are. */
  readonly ports?: Readonly<Record<string, string>>;
  /** The network its routes belong to. Default 0. */
  readonly vrf?: number;
  /** Seconds its routes outlive the connection. A new one has as long to tell them again: then those it has not told go. Default 30. */
  readonly grace?: number;
  /** Routes it may have. Default 2,000,000. */
  readonly routesMax?: number;
}

/** Zebra's default. */
const PORT = 2_620;

/**
 * Lets a routing engine program our tables: FRRouting's zebra with `-M dplane_fpm_nl` connects and tells its routes. One connection at a time:
 * a new one takes over, since an engine that was restarted, or whose host vanished, may have left the old one open. We forward by what
 * the old one told until the new one has told it again. What it says is bounded; what makes no sense is counted and ends the connection.
 */
export class Fpm implements Running {
  readonly stats = new FpmStats();
  private readonly core: Stack;
  private readonly spec: FpmSpec;
  private readonly listener: Running;
  private session: FpmSession | null = null;
  /** Ends the connection of the session. */
  private hangUp: () => void = () => {};
  private sessions = 0;
  private grace: NodeJS.Timeout | null = null;

  constructor(core: Stack, spec: FpmSpec) {
    this.core = core;
    this.spec = spec;
    for (const name of Object.values(spec.ports ?? {})) interfaceNamed(core, name, 'fpm');
    this.listener = spec.on === 'stack' ? this.onStack() : this.onHost();
  }

  /** Ends the connection; the engine's routes go. */
  close(): void {
    this.listener.close();
    this.session = null;
    this.forget();
  }

  private onHost(): Running {
    const { port = PORT, address = '127.0.0.1' } = this.spec;
    const sockets = new Set<Socket>();
    const server = createServer((socket) => {
      const session = this.begin(() => socket.destroy());
      sockets.add(socket);
      socket.on('data', (octets: Buffer) => {
        if (!this.input(session, octets)) socket.destroy();
      });
      socket.on('error', () => socket.destroy());
      socket.on('close', () => {
        sockets.delete(socket);
        this.end(session);
      });
    });
    server.on('error', (error) => this.core.hyper.log('error', `fpm: ${error.message}`));
    hostListen.call(server, { port, host: address });
    return {
      close: () => {
        server.close();
        for (const socket of sockets) socket.destroy();
      },
    };
  }

  private onStack(): Running {
    const { port = PORT, interfaces = [] } = this.spec;
    const indices = interfaces.map((name) => interfaceNamed(this.core, name, 'listen').index);
    const sessions = new Map<Serve, FpmSession>();
    const begin = (): Serve => {
      let connection: TcpSocket | null = null;
      const session = this.begin(() => {
        connection?.abort();
        connection?.onReady?.();
      });
      const serve: Serve = (socket, ready) => {
        connection = socket;
        return this.session === session && this.drain(socket, session) && (ready & (Ready.HangUp | Ready.ReadHangUp)) === 0;
      };
      sessions.set(serve, session);
      return serve;
    };
    return new TcpService(this.core, port, indices, begin, (serve) => {
      const session = sessions.get(serve);
      sessions.delete(serve);
      if (session !== undefined) this.end(session);
    });
  }

  private drain(socket: TcpSocket, session: FpmSession): boolean {
    for (let octets = socket.peek(); octets !== null; octets = socket.peek()) {
      const sound = this.input(session, octets);
      socket.consume(octets.length);
      if (!sound) return false;
    }
    return true;
  }

  private begin(hangUp: () => void): FpmSession {
    const { ports = {}, vrf = 0, routesMax = 2_000_000 } = this.spec;
    const byNumber = new Map(Object.entries(ports).map(([number, name]) => [Number(number), name]));
    const session = new FpmSession(this.core, { ports: byNumber, vrf, routesMax, session: ++this.sessions }, this.stats);
    const before = this.session === null ? null : this.hangUp;
    this.session = session;
    this.hangUp = hangUp;
    if (before !== null) {
      this.core.hyper.log('warn', 'fpm: a new connection takes over');
      before();
    }
    this.after(() => session.sweep());
    return session;
  }

  private input(session: FpmSession, octets: Uint8Array): boolean {
    const sound = session.input(octets);
    if (!sound) this.core.hyper.log('warn', 'fpm: a malformed message; the connection ends');
    this.core.hyper.soon();
    return sound;
  }

  private end(session: FpmSession): void {
    if (this.session !== session) return;
    this.session = null;
    this.after(() => this.forget());
  }

  /** When the grace is over that begins now; what was to happen then before does not. */
  private after(what: () => void): void {
    if (this.grace !== null) clearTimeout(this.grace);
    this.grace = setTimeout(what, 1_000 * (this.spec.grace ?? 30));
    this.grace.unref();
  }

  /** Nobody came back: all the engine's routes go. */
  private forget(): void {
    if (this.grace !== null) clearTimeout(this.grace);
    this.grace = null;
    if (this.stats.routes > 0) this.core.ip.routes.removeHops((hop) => hop.protocol === 'zebra');
    this.stats.routes = 0;
  }
}

/** For the table of services. */
export const fpm = (core: Stack, spec: FpmSpec): Running => new Fpm(core, spec);
