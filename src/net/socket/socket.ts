import { Address } from '../../base/address.js';
import type { Context, Notified } from '../context.js';

/** What a socket is ready for. Bits, as poll(2) has them. */
export const Ready = {
  Readable: 1,
  /** Urgent data (TCP) or an error in the error queue. */
  Priority: 2,
  Writable: 4,
  Error: 8,
  /** Both directions are closed. */
  HangUp: 16,
  /** The peer closed its direction. */
  ReadHangUp: 32,
} as const;

/**
 * The socket: synchronous, non-blocking, readiness instead of waiting. Calls answer 0 or a count, or a negative errno
 * (a throw costs 8,700 ns, a return code 3). Every API is a facade over this. Application code is called only from
 * `notify`, in the stack's notify phase.
 */
export abstract class Socket implements Notified {
  abstract readonly kind: 'tcp' | 'udp' | 'raw' | 'packet';
  readonly ctx: Context;
  notified = false;
  /** Called in the notify phase after readiness has changed or data has come. Reads `readiness()` anew: it may have passed. */
  onReady: (() => void) | null = null;
  readonly localAddress = new Address();
  localPort = 0;
  readonly remoteAddress = new Address();
  remotePort = 0;
  /** 4, 6 (IPv6 only), or 46 (IPv6 that takes IPv4 too). */
  family: 4 | 6 | 46;
  /** SO_BINDTODEVICE: interface index, 0 for any. */
  boundIndex = 0;
  /** The network it lives in; keys of all tables include it. */
  vrf = 0;
  closed = false;

  constructor(ctx: Context, family: 4 | 6 | 46) {
    this.ctx = ctx;
    this.family = family;
  }

  /** Ready bits at this moment. */
  abstract readiness(): number;

  /** Takes the pending error: a positive errno, 0 when there is none (SO_ERROR). */
  abstract takeError(): number;

  /** Ends the socket's use by the application. A TCP connection goes on to its end by itself. Idempotent. */
  abstract close(): void;

  /** The value of a socket option by its setsockopt name, or a negative errno (ENOPROTOOPT). */
  abstract getOption(name: string): number | string;
  /** Sets a socket option; 0 or a negative errno. */
  abstract setOption(name: string, value: number | string): number;

  /** The stack failed or closes: the socket reports `errno` and is dead. No packet is sent. */
  abstract fail(errno: number): void;

  notify(): void {
    this.onReady?.();
  }

  /** Asks for onReady in the notify phase. */
  protected changed(): void {
    if (this.onReady !== null) this.ctx.notify(this);
  }
}
