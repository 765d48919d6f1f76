import { errnoName, NetError } from '../base/errors.js';
import type { TcpSocket } from '../net/socket/tcp-socket.js';
import type { Stack } from '../net/stack.js';
import { formatEndpoint } from './endpoint.js';
import { Hold } from './hold.js';
import { stackEndError } from './stack-end.js';
import { WebConnection } from './web-connection.js';

type Taken = IteratorResult<WebConnection, undefined>;

/** A listening socket: `for await (const connection of listener)`. The loop ends when it is closed, and leaving the loop closes it. */
export class WebListener implements AsyncIterableIterator<WebConnection>, AsyncDisposable {
  readonly address: string;
  readonly port: number;
  /** The core socket: options. */
  readonly core: TcpSocket;
  private readonly stack: Stack;
  private readonly hold: Hold;
  /** Those who wait for a connection, the longest first. */
  private readonly waiting: { resolve(taken: Taken): void; reject(error: unknown): void }[] = [];

  constructor(stack: Stack, core: TcpSocket) {
    this.stack = stack;
    this.core = core;
    this.address = formatEndpoint(stack, core.family, core.localAddress, core.zone);
    this.port = core.localPort;
    this.hold = new Hold(stack.hyper);
    this.hold.begin();
    core.onReady = () => this.ready();
  }

  async next(): Promise<Taken> {
    const core = this.core.closed ? null : this.core.accept();
    if (core !== null) return { done: false, value: this.wrap(core) };
    if (this.core.closed) return { done: true, value: undefined };
    return new Promise((resolve, reject) => this.waiting.push({ resolve, reject }));
  }

  async return(): Promise<Taken> {
    this.close();
    return { done: true, value: undefined };
  }

  /** Connections accepted by nobody are closed; those taken go on. */
  close(): void {
    this.core.close();
    this.hold.end();
    for (const { resolve } of this.waiting.splice(0)) resolve({ done: true, value: undefined });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  private ready(): void {
    const { core, waiting } = this;
    const error = core.ctx.ended === 0 ? core.takeError() : core.ctx.ended;
    if (error !== 0) {
      const reason = core.ctx.ended === 0 ? new NetError(errnoName(error), 'accept', this.address, this.port) : stackEndError(core.ctx, 'accept');
      if (reason !== null) for (const { reject } of waiting.splice(0)) reject(reason);
      this.close();
      return;
    }
    while (waiting.length > 0) {
      const accepted = core.accept();
      if (accepted === null) return;
      waiting.shift()?.resolve({ done: false, value: this.wrap(accepted) });
    }
  }

  private wrap(core: TcpSocket): WebConnection {
    return new WebConnection(this.stack, core, `${formatEndpoint(this.stack, core.family, core.remoteAddress, core.zone)}:${core.remotePort}`);
  }
}
