import { Errno, errnoName, NetError } from '../base/errors.js';
import { Ready } from '../net/socket/socket.js';
import type { TcpSocket } from '../net/socket/tcp-socket.js';
import type { Stack } from '../net/stack.js';
import { formatEndpoint } from './endpoint.js';
import { Hold } from './hold.js';
import { stackEndError } from './stack-end.js';

/** Most octets of one chunk. */
const READ_MAX = 65_536;
/** Octets that `writable` takes before its writer should wait; the send buffer holds more. */
const WRITE_QUEUE = 65_536;
const NOTHING = new Uint8Array(0);

/** Both ends of an open connection. */
export interface ConnectionInfo {
  readonly localAddress: string;
  readonly localPort: number;
  readonly remoteAddress: string;
  readonly remotePort: number;
}

/**
 * A TCP connection as two web streams, which end independently. `readable` is a byte stream: a BYOB reader has its
 * octets in its own memory. What nobody reads stays in the receive buffer, and the window shuts.
 */
export class WebConnection implements AsyncIterable<Uint8Array>, AsyncDisposable {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
  /** Resolves when the connection is there. */
  readonly opened: Promise<ConnectionInfo>;
  /** Resolves when both directions have ended or `close` was called; rejects with what ended it otherwise. */
  readonly closed: Promise<void>;
  /** The core socket: options, info, readiness. */
  readonly core: TcpSocket;
  private readonly stack: Stack;
  private readonly hold: Hold;
  /** Whom errors name. */
  private readonly peer: string;
  private connecting = true;
  private reader!: ReadableByteStreamController;
  private writer!: WritableStreamDefaultController;
  /** The reader waits. */
  private wanted = false;
  private readEnded = false;
  private writeEnded = false;
  private over = false;
  private chunk: Uint8Array = NOTHING;
  private settleWrite: { resolve(): void; reject(error: unknown): void } | null = null;
  private settleOpened!: { resolve(info: ConnectionInfo): void; reject(error: unknown): void };
  private settleClosed!: { resolve(): void; reject(error: unknown): void };

  constructor(stack: Stack, core: TcpSocket, peer: string) {
    this.stack = stack;
    this.core = core;
    this.peer = peer;
    this.hold = new Hold(stack.hyper);
    this.hold.begin();
    this.opened = new Promise((resolve, reject) => {
      this.settleOpened = { resolve, reject };
    });
    this.closed = new Promise((resolve, reject) => {
      this.settleClosed = { resolve, reject };
    });
    // Who asks neither must not be punished with an unhandled rejection.
    this.opened.catch(() => {});
    this.closed.catch(() => {});
    this.readable = new ReadableStream({
      type: 'bytes',
      start: (controller) => {
        this.reader = controller;
      },
      pull: () => this.pull(),
      cancel: () => this.endRead(),
    }) as ReadableStream<Uint8Array>;
    this.writable = new WritableStream(
      {
        start: (controller) => {
          this.writer = controller;
        },
        write: (chunk: Uint8Array) => this.write(chunk),
        close: () => this.endWrite(),
        abort: (reason) => this.abort(reason),
      },
      new ByteLengthQueuingStrategy({ highWaterMark: WRITE_QUEUE }),
    );
    core.onReady = () => this.ready();
    if (core.readiness() !== 0) core.ctx.notify(core);
  }

  /** Ends both directions: what was written is sent, what has not been read is lost. */
  async close(): Promise<void> {
    if (this.over) return;
    if (!this.readEnded) this.closeReader();
    if (!this.writeEnded) this.writer.error(this.error('ECANCELED', 'close'));
    this.finish();
  }

  /** Resets the connection; both streams, `opened` and `closed` fail with `reason`. */
  abort(reason: unknown = this.error('ECONNABORTED', 'abort')): void {
    if (this.over) return;
    this.core.abort();
    this.fail(reason);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    const reader = this.readable.getReader();
    return {
      next: async () => (await reader.read()) as IteratorResult<Uint8Array>,
      return: async () => {
        await reader.cancel();
        reader.releaseLock();
        return { done: true, value: undefined };
      },
    };
  }

  private ready(): void {
    const { core } = this;
    if (core.ctx.ended !== 0) {
      this.fail(stackEndError(core.ctx, 'read') ?? this.error('ECANCELED', 'read'));
      return;
    }
    if (this.connecting && !this.connected()) return;
    if (this.settleWrite !== null) this.flush();
    if (this.wanted && !this.over) this.pull();
  }

  private connected(): boolean {
    const { core, stack } = this;
    const error = core.takeError();
    if (error !== 0) {
      this.fail(this.error(errnoName(error), 'connect'));
      return false;
    }
    if ((core.readiness() & (Ready.Writable | Ready.Readable)) === 0) return false;
    this.connecting = false;
    this.settleOpened.resolve({
      localAddress: formatEndpoint(stack, core.family, core.localAddress, core.zone),
      localPort: core.localPort,
      remoteAddress: formatEndpoint(stack, core.family, core.remoteAddress, core.zone),
      remotePort: core.remotePort,
    });
    return true;
  }

  /** Gives the reader one chunk, or remembers that it waits. */
  private pull(): void {
    const { core, reader } = this;
    this.wanted = true;
    if (this.connecting) return;
    const available = Math.min(core.available, READ_MAX);
    if (available === 0) {
      this.nothing();
      return;
    }
    this.wanted = false;
    const request = reader.byobRequest;
    if (request?.view) {
      const { buffer, byteOffset, byteLength } = request.view;
      request.respond(core.read(new Uint8Array(buffer, byteOffset, byteLength)));
    } else {
      const chunk = new Uint8Array(available);
      core.read(chunk);
      reader.enqueue(chunk);
    }
  }

  private nothing(): void {
    const n = this.core.read(NOTHING);
    if (n === -Errno.EAGAIN) return;
    if (n < 0) this.fail(this.error(errnoName(n), 'read'));
    else {
      this.closeReader();
      this.half();
    }
  }

  private closeReader(): void {
    this.readEnded = true;
    this.wanted = false;
    this.reader.close();
    // A BYOB read is answered with its memory, empty.
    this.reader.byobRequest?.respond(0);
  }

  /** The reader cancelled. */
  private endRead(): void {
    if (this.over) return;
    this.readEnded = true;
    this.wanted = false;
    this.core.shutdown('read');
    this.half();
  }

  private write(given: Uint8Array): Promise<void> | undefined {
    // Not instanceof: octets of a frame or worker are of another realm.
    if (!ArrayBuffer.isView(given)) throw this.error('EINVAL', 'write');
    const chunk = new Uint8Array(given.buffer, given.byteOffset, given.byteLength);
    if (!this.connecting) {
      const n = this.core.write(chunk);
      if (n === chunk.length) return undefined;
      this.chunk = n > 0 ? chunk.subarray(n) : chunk;
      if (n < 0 && n !== -Errno.EAGAIN) throw this.broken(n);
    } else this.chunk = chunk;
    return new Promise((resolve, reject) => {
      this.settleWrite = { resolve, reject };
    });
  }

  private flush(): void {
    const n = this.core.write(this.chunk);
    if (n === -Errno.EAGAIN) return;
    if (n < 0) {
      this.broken(n);
      return;
    }
    this.chunk = this.chunk.subarray(n);
    if (this.chunk.length > 0) return;
    const { settleWrite } = this;
    this.settleWrite = null;
    settleWrite?.resolve();
  }

  private broken(n: number): NetError {
    const error = this.error(errnoName(n), 'write');
    this.fail(error);
    return error;
  }

  /** The writer closed: FIN goes behind what was written. */
  private async endWrite(): Promise<void> {
    await this.opened;
    this.writeEnded = true;
    this.core.shutdown('write');
    this.half();
  }

  /** One direction has ended; with the second the connection is over. */
  private half(): void {
    if (this.readEnded && this.writeEnded) this.finish();
  }

  private finish(): void {
    if (this.over) return;
    this.over = true;
    this.core.close();
    this.hold.end();
    if (this.connecting) this.settleOpened.reject(this.error('ECANCELED', 'connect'));
    this.settleWrite?.reject(this.error('ECANCELED', 'write'));
    this.settleClosed.resolve();
  }

  private fail(reason: unknown): void {
    if (this.over) return;
    this.over = true;
    this.core.close();
    this.hold.end();
    if (!this.readEnded) this.reader.error(reason);
    if (!this.writeEnded) this.writer.error(reason);
    this.settleWrite?.reject(reason);
    this.settleOpened.reject(reason);
    this.settleClosed.reject(reason);
  }

  private error(code: ConstructorParameters<typeof NetError>[0], syscall: string): NetError {
    return new NetError(code, syscall, undefined, undefined, this.peer);
  }
}
