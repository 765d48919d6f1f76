import type { Reply, Request } from './protocol.js';

/** A request that goes on: octets and events to the client, octets from it, until it is done or the client has enough. */
export class Stream {
  /** Octets from the client, null at their end. */
  onData: (octets: Buffer | null) => void = () => {};
  /** The client has enough, or is gone. Set by methods that run until then. */
  onCancel: () => void = () => {};
  /** The client takes more after a `data` that answered false. */
  onDrain: () => void = () => {};
  private readonly id: number;
  private readonly send: (reply: Reply) => boolean;
  private readonly hold: (held: boolean) => void;

  constructor(id: number, send: (reply: Reply) => boolean, hold: (held: boolean) => void) {
    this.id = id;
    this.send = send;
    this.hold = hold;
  }

  /** Takes nothing more from the client, in this stream or another, until it is called with false. */
  pause(held: boolean): void {
    this.hold(held);
  }

  /** False when the client is slower: wait for onDrain. */
  data(octets: Uint8Array): boolean {
    return this.send({ id: this.id, data: Buffer.from(octets.buffer, octets.byteOffset, octets.length).toString('base64') });
  }

  event(event: unknown): void {
    this.send({ id: this.id, event });
  }

  /** For the server. */
  input(request: Request): void {
    if (request.cancel) this.onCancel();
    else if (request.data !== undefined) this.onData(Buffer.from(request.data, 'base64'));
    else if (request.end) this.onData(null);
  }

  /** For the server. */
  cancelled(): void {
    this.onCancel();
  }

  /** For the server. */
  drained(): void {
    this.onDrain();
  }
}
