// hot: bench/wire
import { Errno } from '../base/errors.js';
import { Ready } from '../net/socket/socket.js';
import type { TcpSocket } from '../net/socket/tcp-socket.js';
import { callError } from './node-errors.js';
import { stackEndError } from './stack-end.js';

/** Most octets of one 'data': what Node reads at a time. */
const READ_MAX = 65_536;
/** Reads from here up have memory of their own; smaller ones share Node's pool, whose pages they would otherwise pin for longer than they live. */
const POOLED_MAX = 2_048;
const NOTHING = new Uint8Array(0);

/** The Duplex at the upper end. */
export interface TransferStream {
  readonly destroyed: boolean;
  /** Takes octets up, null at their end; false asks for no more until the next `read`. */
  push(chunk: Buffer | null): boolean;
  read(size: number): unknown;
  destroy(error?: Error): unknown;
  /** Something has moved: restarts the idle timer. */
  _unrefTimer(): void;
}

/** Node's `onread` option: reads into the program's own memory. */
export interface OnRead {
  readonly buffer: Uint8Array | (() => Uint8Array);
  /** False asks for no more until `resume`. */
  readonly callback: (octets: number, buffer: Uint8Array) => boolean;
}

/** What a Writable is told when a write is done. */
export type WriteCallback = (error?: Error | null) => void;

/**
 * Moves octets between a core socket and a Duplex: up as long as the stream wants them, one copy into memory the
 * application may keep; down as the send buffer takes them. A stream that wants nothing leaves them in the receive buffer, and the window shuts.
 */
export class Transfer {
  core: TcpSocket | null = null;
  bytesRead = 0;
  /** Octets the core socket took. */
  bytesWritten = 0;
  /** Of them, those of the write under way. */
  underWay = 0;
  private readonly stream: TransferStream;
  private readonly onRead: OnRead | null;
  /** Where the next read of onRead goes. */
  private into: Uint8Array | null = null;
  private readonly busy: (busy: boolean) => void;
  /** The stream wants octets. */
  private wanting = false;
  private readonly chunks: Uint8Array[] = [];
  private next = 0;
  private offset = 0;
  private done: WriteCallback | null = null;
  private ending: WriteCallback | null = null;

  /** `busy` hears whether octets are wanted or a write waits: as in Node, only then is it worth a process. It may hear the same twice. */
  constructor(stream: TransferStream, onRead: OnRead | null, busy: (busy: boolean) => void) {
    this.stream = stream;
    this.onRead = onRead;
    if (onRead !== null) this.into = typeof onRead.buffer === 'function' ? onRead.buffer() : onRead.buffer;
    this.busy = busy;
  }

  /** `core` is connected: what was asked before begins now. */
  start(core: TcpSocket): void {
    this.core = core;
    core.onReady = () => this.ready();
    if (this.done !== null) this.flush();
    else if (this.ending !== null) this.finish();
    if (this.wanting) this.pump();
    else this.settle();
  }

  /** No more of anything. A write under way ends with `error`. */
  stop(error: Error | null): void {
    this.core = null;
    this.wanting = false;
    const { done } = this;
    if (done !== null) this.wrote(error);
  }

  /** The stream wants octets. */
  read(): void {
    if (this.wanting) return;
    this.wanting = true;
    if (this.core === null) return;
    this.busy(true);
    this.pump();
  }

  /** The stream wants none for now. */
  pause(): void {
    this.wanting = false;
    this.settle();
  }

  private settle(): void {
    if (this.core !== null) this.busy(this.wanting || this.done !== null);
  }

  write(chunk: Uint8Array, done: WriteCallback): void {
    const { core } = this;
    if (core !== null) {
      const n = core.write(chunk, 0, chunk.length);
      if (n === chunk.length) {
        this.bytesWritten += n;
        this.stream._unrefTimer();
        done();
        return;
      }
      if (n < 0 && n !== -Errno.EAGAIN) {
        done(callError(n, 'write'));
        return;
      }
      this.offset = this.underWay = Math.max(n, 0);
      this.bytesWritten += this.offset;
    }
    this.chunks.push(chunk);
    this.wait(done);
  }

  writev(chunks: readonly { chunk: Uint8Array }[], done: WriteCallback): void {
    for (const { chunk } of chunks) this.chunks.push(chunk);
    this.wait(done);
    if (this.core !== null) this.flush();
  }

  private wait(done: WriteCallback): void {
    this.done = done;
    this.settle();
  }

  /** Sends FIN behind everything written. */
  end(done: WriteCallback): void {
    this.ending = done;
    if (this.core !== null) this.finish();
  }

  private ready(): void {
    const { ctx } = this.core as TcpSocket;
    if (ctx.ended !== 0) {
      this.stream.destroy(stackEndError(ctx, 'read') ?? undefined);
      return;
    }
    if (this.done !== null) this.flush();
    if (this.wanting && this.core !== null) this.pump();
  }

  /** Octets go up until there are none, the stream has enough, or the end has come. */
  private pump(): void {
    const core = this.core as TcpSocket;
    const { stream } = this;
    try {
      while (this.wanting && !stream.destroyed) {
        const size = Math.min(core.available, READ_MAX);
        if (size === 0) {
          this.nothing(core);
          return;
        }
        if (this.onRead === null) this.wanting = this.push(core, size);
        else this.wanting = this.fill(core, this.onRead);
        stream._unrefTimer();
      }
    } finally {
      if (!this.wanting) this.settle();
      // A listener threw: the rest comes in the next poll.
      if (this.wanting && core.available > 0 && !core.closed) core.ctx.notify(core);
    }
  }

  private push(core: TcpSocket, size: number): boolean {
    const chunk = size < POOLED_MAX ? Buffer.allocUnsafe(size) : Buffer.allocUnsafeSlow(size);
    core.read(chunk, 0, size);
    this.bytesRead += size;
    return this.stream.push(chunk);
  }

  /** A function is asked for the next buffer behind each read, as in Node: one is always in hand. */
  private fill(core: TcpSocket, { buffer, callback }: OnRead): boolean {
    const into = this.into as Uint8Array;
    const n = core.read(into, 0, into.length);
    this.bytesRead += n;
    const more = callback.call(this.stream, n, into) !== false && this.wanting;
    if (typeof buffer === 'function') this.into = buffer();
    return more;
  }

  /** The end of the stream, an error, or nothing yet. */
  private nothing(core: TcpSocket): void {
    const n = core.read(NOTHING, 0, 0);
    if (n === -Errno.EAGAIN) return;
    this.wanting = false;
    if (n < 0) {
      this.stream.destroy(callError(n, 'read'));
      return;
    }
    this.settle();
    this.stream.push(null);
    // 'end' comes only of a read, and a stream without a reader would wait for ever.
    this.stream.read(0);
  }

  private flush(): void {
    const core = this.core as TcpSocket;
    const { chunks } = this;
    while (this.next < chunks.length) {
      const chunk = chunks[this.next] as Uint8Array;
      const n = core.write(chunk, this.offset, chunk.length - this.offset);
      if (n === -Errno.EAGAIN) return;
      if (n < 0) {
        this.wrote(callError(n, 'write'));
        return;
      }
      this.stream._unrefTimer();
      this.bytesWritten += n;
      this.underWay += n;
      this.offset += n;
      if (this.offset < chunk.length) return;
      this.offset = 0;
      this.next++;
    }
    this.wrote(null);
  }

  private wrote(error: Error | null): void {
    const done = this.done as WriteCallback;
    this.done = null;
    this.chunks.length = 0;
    this.next = 0;
    this.offset = this.underWay = 0;
    this.settle();
    done(error);
    if (error === null && this.ending !== null && this.done === null && this.core !== null) this.finish();
  }

  private finish(): void {
    const core = this.core as TcpSocket;
    const done = this.ending as WriteCallback;
    this.ending = null;
    // Not connected any more: the reader hears why.
    const n = core.readiness() & Ready.HangUp ? 0 : core.shutdown('write');
    done(n < 0 && n !== -Errno.ENOTCONN ? callError(n, 'shutdown') : null);
  }
}
