import type { Server, Socket } from 'node:net';
import { Drop } from '../../base/drops.js';
import type { Stack } from '../../net/stack.js';
import { formatPlace, type Place } from './place.js';
import type { Sides } from './sides.js';

/** One forward or proxy, as `anystack forward` shows it. */
export interface RelayInfo {
  readonly kind: RelayKind;
  /** Where it listens. */
  readonly from: string;
  /** Where it leads; null for a proxy, whose clients say. */
  readonly to: string | null;
  readonly state: 'opening' | 'listening' | 'failed';
  /** Why it failed. */
  readonly error: string | null;
  /** Connections now, or UDP peers; at most `max`. */
  readonly connections: number;
  readonly max: number;
  /** Since it began. */
  readonly total: number;
  readonly refused: number;
}

/** What it carries. */
export type RelayKind = 'tcp' | 'udp' | 'socks5' | 'http';

/** What all relays of a stack share. */
export interface RelayContext {
  readonly core: Stack;
  readonly sides: Sides;
  /** Told when one begins to listen, or cannot. */
  settled(error: Error | null): void;
}

/** Connections, or UDP peers, one relay has at a time unless it says otherwise. */
export const RELAY_MAX = 256;

/** Something that listens on one side and leads to the other, with room for `max` at a time. */
export abstract class Relay {
  readonly kind: RelayKind;
  readonly from: Place;
  readonly to: Place | null;
  protected readonly context: RelayContext;
  private readonly max: number;
  private state: RelayInfo['state'] = 'opening';
  private error: Error | null = null;
  private connections = 0;
  private total = 0;
  private refused = 0;

  protected constructor(context: RelayContext, kind: RelayKind, from: Place, to: Place | null, max: number) {
    this.context = context;
    this.kind = kind;
    this.from = from;
    this.to = to;
    this.max = max;
  }

  /** Hangs up on everybody. */
  abstract close(): void;

  get pending(): boolean {
    return this.state === 'opening';
  }

  get info(): RelayInfo {
    const { connections, error, from, kind, max, refused, state, to, total } = this;
    const ends = { from: formatPlace(from), to: to === null ? null : formatPlace(to) };
    return { kind, ...ends, state, error: error?.message ?? null, connections, max, total, refused };
  }

  /** Takes a place, to be given back by `leave`; false, counted and told, when all are taken. */
  protected admit(): boolean {
    if (this.connections < this.max) {
      this.connections++;
      this.total++;
      return true;
    }
    const { core } = this.context;
    core.ctx.countDrop(Drop.ForwardFull);
    if (this.refused++ === 0) core.hyper.log('warn', `${this}: all ${this.max} places are taken, and one more was refused; 'max' raises them`);
    return false;
  }

  protected leave(): void {
    this.connections--;
  }

  protected listening(): void {
    this.state = 'listening';
    this.context.settled(null);
  }

  protected failed(error: Error): void {
    this.state = 'failed';
    this.error = error;
    this.context.core.hyper.log('error', `${this}: ${error.message}`);
    this.context.settled(error);
  }

  toString(): string {
    return `${this.kind} ${formatPlace(this.from)}${this.to === null ? '' : ` to ${formatPlace(this.to)}`}`;
  }
}

/** A relay that takes connections. */
export abstract class StreamRelay extends Relay {
  private readonly server: Server;
  private readonly sockets = new Set<Socket>();

  protected constructor(context: RelayContext, kind: RelayKind, from: Place, to: Place | null, max: number, server: Server) {
    super(context, kind, from, to, max);
    this.server = server;
    server.on('connection', (socket: Socket) => this.own(socket));
    server.on('listening', () => this.listening());
    server.on('error', (error) => this.failed(error));
    context.sides[from.side].listen(server, from.host, from.port);
  }

  close(): void {
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
  }

  /** Ends with the relay; its errors end it and nothing else. */
  protected own(socket: Socket): Socket {
    this.sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.sockets.delete(socket));
    // A peer that vanished is found by keep-alive: a relay has no idle time of its own.
    return socket.setKeepAlive(true);
  }
}
