import { connect, type Socket } from 'node:net';
import { NetError } from '../base/errors.js';
import { controlDirectory, lines, type Reply, type Request, socketPath, VERSION } from './protocol.js';

/** What a client does with a stream. */
export interface StreamHandlers {
  data?(octets: Buffer): void;
  event?(event: Record<string, unknown>): void;
}

/** A request under way. */
export interface Pending {
  /** The result, when the request is over; rejects with a ControlError. */
  readonly result: Promise<unknown>;
  write(octets: Uint8Array): boolean;
  end(): void;
  cancel(): void;
}

/** The stack refused: `code` is that of its NetError or ConfigError. */
export class ControlError extends Error {
  override readonly name = 'ControlError';
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

interface Open extends StreamHandlers {
  resolve(result: unknown): void;
  reject(error: Error): void;
}

/** A connection to a running stack. */
export class ControlClient {
  /** The connection itself, for `drain`. */
  readonly socket: Socket;
  private readonly open = new Map<number, Open>();
  private nextId = 1;

  private constructor(socket: Socket, name: string) {
    this.socket = socket;
    socket.setEncoding('utf8');
    const take = lines(
      (text) => this.reply(JSON.parse(text) as Reply),
      () => socket.destroy(),
    );
    socket.on('data', (chunk) => take(String(chunk)));
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      for (const { reject } of this.open.values()) reject(new ControlError('ECONNRESET', `stack '${name}' went away`));
      this.open.clear();
    });
  }

  /** NetError ENOENT when no stack of that name runs. */
  static connect(name: string, directory = controlDirectory()): Promise<ControlClient> {
    const path = socketPath(name, directory);
    return new Promise((resolve, reject) => {
      const socket = connect(path);
      socket.once('connect', () => {
        socket.removeAllListeners('error');
        resolve(new ControlClient(socket, name));
      });
      socket.once('error', () =>
        reject(new NetError('ENOENT', 'connect', path, undefined, `no stack named '${name}' runs; start one with: anystack up FILE`)),
      );
    });
  }

  /** Asks, and waits for the answer. */
  call(method: string, ...params: unknown[]): Promise<unknown> {
    return this.start(method, params).result;
  }

  /** Begins a request that goes on. */
  start(method: string, params: readonly unknown[], handlers: StreamHandlers = {}): Pending {
    const id = this.nextId++;
    const result = new Promise<unknown>((resolve, reject) => {
      this.open.set(id, { ...handlers, resolve, reject });
    });
    const send = (request: Omit<Request, 'id'>): boolean => this.socket.write(`${JSON.stringify({ ...request, id })}\n`);
    send({ v: VERSION, method, params });
    return {
      result,
      write: (octets) => send({ data: Buffer.from(octets).toString('base64') }),
      end: () => void send({ end: true }),
      cancel: () => void send({ cancel: true }),
    };
  }

  close(): void {
    this.socket.destroy();
  }

  private reply({ id, result, error, data, event }: Reply): void {
    const open = this.open.get(id);
    if (open === undefined) return;
    if (data !== undefined) open.data?.(Buffer.from(data, 'base64'));
    else if (event !== undefined) open.event?.(event as Record<string, unknown>);
    else {
      this.open.delete(id);
      if (error !== undefined) open.reject(new ControlError(error.code, error.message));
      else open.resolve(result);
    }
  }
}
