import { Errno } from '../base/errors.js';
import type { UdpSocket } from '../net/socket/udp-socket.js';
import type { DgramCallback, SendArguments } from './dgram-arguments.js';
import type { Endpoint } from './endpoint.js';
import { callError } from './node-errors.js';

/** Datagrams that wait for a full interface queue, per socket; past that `send` answers ENOBUFS. Twice Linux's txqueuelen. */
const QUEUE_MAX = 2_000;
/** Milliseconds between attempts while the interface takes nothing: doubled from the first to the second. */
const RETRY_MIN = 1;
const RETRY_MAX = 64;

interface Waiting {
  readonly args: SendArguments;
  readonly to: Endpoint | null;
}

/** Hands datagrams to a core socket in order; what meets a full interface waits here, bounded, and is tried again. */
export class DatagramSender {
  /** Octets that wait. */
  octets = 0;
  private readonly core: UdpSocket;
  private readonly fail: (callback: DgramCallback | undefined, error: Error) => void;
  private queue: Waiting[] = [];
  private timer: NodeJS.Timeout | null = null;
  private delay = RETRY_MIN;

  constructor(core: UdpSocket, fail: (callback: DgramCallback | undefined, error: Error) => void) {
    this.core = core;
    this.fail = fail;
  }

  get count(): number {
    return this.queue.length;
  }

  /** `to`: null for the connected peer. The octets must not change while they wait, as in Node. */
  send(args: SendArguments, to: Endpoint | null): void {
    if (this.queue.length > 0 || !this.attempt(args, to)) this.wait(args, to);
  }

  /** What waits is lost. */
  close(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    this.queue = [];
    this.octets = 0;
  }

  /** False when the interface takes no more. */
  private attempt(args: SendArguments, to: Endpoint | null): boolean {
    const { data, callback } = args;
    const result = this.core.sendTo(data, 0, data.length, to === null ? null : to.address, args.port, to === null ? 0 : to.zone);
    if (result === -Errno.EAGAIN) return false;
    if (callback !== undefined) {
      const error = result >= 0 ? null : callError(result, 'send', args.address || undefined, args.port || undefined);
      // Who closes in the turn of the send hears no more of it, as in Node.
      process.nextTick(() => this.core.closed || callback(error, result));
    }
    // Without a callback a failed send is lost silently: Node, for what UDP promises.
    return true;
  }

  private wait(args: SendArguments, to: Endpoint | null): void {
    if (this.queue.length >= QUEUE_MAX) {
      const { callback } = args;
      if (callback !== undefined)
        process.nextTick(this.fail, callback, callError(-Errno.ENOBUFS, 'send', args.address || undefined, args.port || undefined));
      return;
    }
    this.queue.push({ args, to });
    this.octets += args.data.length;
    this.timer ??= setTimeout(() => this.retry(), this.delay);
  }

  private retry(): void {
    this.timer = null;
    let sent = 0;
    while (sent < this.queue.length) {
      const { args, to } = this.queue[sent] as Waiting;
      if (!this.attempt(args, to)) break;
      this.octets -= args.data.length;
      sent++;
    }
    if (sent > 0) this.queue.splice(0, sent);
    this.delay = sent > 0 ? RETRY_MIN : Math.min(RETRY_MAX, 2 * this.delay);
    if (this.queue.length > 0) this.timer = setTimeout(() => this.retry(), this.delay);
  }
}
