import { chmodSync, rmdirSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import type { AnyStack } from '../anystack.js';
import { ConfigError, NetError } from '../base/errors.js';
import { nearest } from '../net/sysctl.js';
import { methods } from './methods.js';
import { controlDirectory, ensureDirectory, lines, type Reply, type Request, socketPath, VERSION } from './protocol.js';
import { Stream } from './stream.js';

/** What the one who runs the stack decides. */
export interface ControlHooks {
  /** `down`: ends the stack. */
  down(): void;
  /** `reload` without a configuration: reads the file again. Throws what is wrong with it. */
  reload(): void;
  /** Told to clients: what the process is, and where its namespace is. */
  readonly about?: Readonly<Record<string, unknown>>;
}

/** Streams one client may have open at a time. */
const STREAMS_MAX = 64;

/** One client's connection and what it has under way. */
interface Session {
  readonly socket: Socket;
  readonly streams: Map<number, Stream>;
  send(reply: Reply): boolean;
  open(id: number): Stream;
}

/** The control socket of one stack. Its folder is the owner's alone, so whoever connects may do everything. */
export class ControlServer {
  readonly path: string;
  private readonly stack: AnyStack;
  private readonly hooks: ControlHooks;
  private readonly server: Server;
  private readonly clients = new Set<Socket>();

  private constructor(stack: AnyStack, hooks: ControlHooks, path: string) {
    this.stack = stack;
    this.hooks = hooks;
    this.path = path;
    this.server = createServer((socket) => this.serve(socket));
  }

  /** Listens. NetError EADDRINUSE when a stack of that name runs; what a dead one left is cleared away. */
  static async listen(stack: AnyStack, hooks: ControlHooks, directory = controlDirectory()): Promise<ControlServer> {
    ensureDirectory(directory);
    const path = socketPath(stack.name, directory);
    if (await answers(path))
      throw new NetError('EADDRINUSE', 'control', path, undefined, `a stack named '${stack.name}' runs; give this one another "name"`);
    rmSync(path, { force: true });
    const made = new ControlServer(stack, hooks, path);
    await new Promise<void>((resolve, reject) => {
      made.server.once('error', reject);
      made.server.listen(path, resolve);
    });
    chmodSync(path, 0o600);
    return made;
  }

  /** Ends the connections and takes the socket away. */
  close(): void {
    for (const client of this.clients) client.destroy();
    this.server.close();
    rmSync(this.path, { force: true });
    try {
      // Leaves nothing behind, unless other stacks are there.
      rmdirSync(dirname(this.path));
    } catch {
      // They are.
    }
  }

  private serve(socket: Socket): void {
    this.clients.add(socket);
    const streams = new Map<number, Stream>();
    const send = (reply: Reply): boolean => socket.writable && socket.write(`${JSON.stringify(reply)}\n`);
    const open = (id: number): Stream => new Stream(id, send, (held) => (held ? socket.pause() : socket.resume()));
    const session: Session = { socket, streams, send, open };
    socket.setEncoding('utf8');
    const take = lines(
      (text) => this.request(text, session),
      () => socket.destroy(),
    );
    socket.on('data', (chunk) => take(String(chunk)));
    socket.on('drain', () => streams.forEach((stream) => stream.drained()));
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      this.clients.delete(socket);
      for (const stream of streams.values()) stream.cancelled();
    });
  }

  private request(text: string, session: Session): void {
    const request = parse(text);
    if (request === null) {
      session.socket.destroy();
      return;
    }
    const open = session.streams.get(request.id);
    if (request.method === undefined) open?.input(request);
    else if (open !== undefined || session.streams.size >= STREAMS_MAX)
      session.send({ id: request.id, error: { code: 'EBUSY', message: 'too many requests at a time' } });
    else this.run(request, session);
  }

  private run({ id, v, method = '', params = [] }: Request, { streams, send, open }: Session): void {
    const stream = open(id);
    streams.set(id, stream);
    const finish = (reply: Reply): void => {
      streams.delete(id);
      send(reply);
    };
    const failed = (error: unknown): void => finish({ id, error: described(error) });
    try {
      if (v !== VERSION)
        throw new NetError(
          'EPROTONOSUPPORT',
          'control',
          undefined,
          undefined,
          `this stack speaks version ${VERSION}, not ${String(v)}: use the anystack it came with`,
        );
      if (!Object.hasOwn(methods, method)) throw new ConfigError(`no method '${method}'; did you mean '${nearest(method, Object.keys(methods))}'?`);
      const call = methods[method] as (typeof methods)[string];
      Promise.resolve(call({ stack: this.stack, hooks: this.hooks, stream }, ...params)).then(
        (result) => finish({ id, result: result ?? null }),
        failed,
      );
    } catch (error) {
      failed(error);
    }
  }
}

function parse(text: string): Request | null {
  try {
    const request = JSON.parse(text) as Request;
    return typeof request.id === 'number' && (request.params === undefined || Array.isArray(request.params)) ? request : null;
  } catch {
    return null;
  }
}

function described(error: unknown): { code: string; message: string } {
  const { code, message } = error as { code?: string; message?: string };
  return { code: code ?? 'EINVAL', message: message ?? String(error) };
}

/** Does somebody listen there? */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}
