import { EventEmitter } from 'node:events';
import { Ready, type Socket } from '../net/socket/socket.js';
import { Hold } from './hold.js';
import { callError, checked, StateError } from './node-errors.js';
import { stackEndError } from './stack-end.js';

/** What facades of message sockets share: the core socket's events as Node's, options, ref and unref, close. Emits 'error' and 'close'. */
export abstract class EventSocket<S extends Socket> extends EventEmitter {
  /** The core socket: what the facade does not show. */
  readonly core: S;
  private readonly hold: Hold;

  constructor(core: S) {
    super();
    this.core = core;
    this.hold = new Hold(core.ctx.hyper);
    this.hold.begin();
    core.onReady = () => this.ready();
  }

  /** Emits what has come; called again while it answers true. */
  protected abstract deliver(): boolean;

  private ready(): void {
    const { core } = this;
    if (core.ctx.ended !== 0) {
      this.ended();
      return;
    }
    try {
      const error = core.takeError();
      if (error !== 0) this.emit('error', callError(-error, 'recvmsg'));
      while (!core.closed && this.deliver());
    } finally {
      // A listener threw: the rest comes in the next poll.
      if (core.readiness() & (Ready.Readable | Ready.Priority)) core.ctx.notify(core);
    }
  }

  private ended(): void {
    const error = stackEndError(this.core.ctx, 'recvmsg');
    this.close();
    if (error !== null) process.nextTick(() => this.emit('error', error));
  }

  /** The core socket, while it is open. */
  protected get open(): S {
    if (this.core.closed) throw new StateError('ERR_SOCKET_DGRAM_NOT_RUNNING', 'Not running');
    return this.core;
  }

  /** A socket option by its setsockopt name. Throws NetError. */
  getOption(name: string): number | string {
    const value = this.open.getOption(name);
    return typeof value === 'number' ? checked(value, 'getsockopt') : value;
  }

  setOption(name: string, value: number | string): this {
    checked(this.open.setOption(name, value), 'setsockopt');
    return this;
  }

  /** Idempotent. */
  close(callback?: () => void): this {
    if (callback !== undefined) this.once('close', callback);
    if (this.core.closed) return this;
    this.core.close();
    this.hold.end();
    process.nextTick(() => this.emit('close'));
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.core.closed) await new Promise<void>((resolve) => this.close(resolve));
  }

  ref(): this {
    this.hold.ref();
    return this;
  }

  unref(): this {
    this.hold.unref();
    return this;
  }
}
