import type { Hypercalls } from '../hyper/hypercalls.js';

/** Keeps the process alive for one socket, while it is open and referenced (ref, unref). */
export class Hold {
  private readonly hyper: Hypercalls;
  private open = false;
  private referenced = true;

  constructor(hyper: Hypercalls) {
    this.hyper = hyper;
  }

  /** The socket is open. Idempotent. */
  begin(): void {
    if (!this.open && this.referenced) this.hyper.hold();
    this.open = true;
  }

  /** The socket is closed. Idempotent. */
  end(): void {
    if (this.open && this.referenced) this.hyper.release();
    this.open = false;
  }

  ref(): void {
    if (this.open && !this.referenced) this.hyper.hold();
    this.referenced = true;
  }

  unref(): void {
    if (this.open && this.referenced) this.hyper.release();
    this.referenced = false;
  }

  get hasRef(): boolean {
    return this.open && this.referenced;
  }
}
