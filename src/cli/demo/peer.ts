import type { Duplex } from 'node:stream';

/** What came of a bulk transfer. */
export interface Transfer {
  readonly octets: number;
  readonly megabytesPerSecond: number;
  /** Every octet was the one it was to be; only where asked for. */
  readonly intact: boolean;
}

export interface Echo {
  /** Milliseconds, mean. */
  readonly rtt: number;
  readonly ttl: number;
  readonly sent: number;
  readonly received: number;
}

/** Whoever is at the other end of the cable: the host's kernel, or a second stack. Addresses are the stack's. */
export interface Peer {
  /** 'kernel' or 'second stack', for sentences. */
  readonly name: string;
  ping(address: string): Promise<Echo>;
  /** Fetches a page; milliseconds. `by` says with what. */
  fetch(address: string, path: string): Promise<{ readonly by: string; readonly status: number; readonly octets: number; readonly ms: number }>;
  /** Into the stack's discard service, or out of its chargen, for `ms`. */
  bulk(address: string, way: 'in' | 'out', ms: number): Promise<Transfer>;
  /** A connection to the stack. */
  connect(address: string, port: number): Duplex;
}

/** Ports of the small services. */
export const DISCARD = 9;
export const CHARGEN = 19;

/** Counts and checks what chargen sends: 72 characters a line, each line begun one further (RFC 864). */
export class Checker {
  octets = 0;
  intact = true;
  private static readonly round = Checker.make();

  private static make(): Buffer {
    const lines = Array.from(
      { length: 95 },
      (_, line) => `${Array.from({ length: 72 }, (_, i) => String.fromCharCode(32 + ((line + i) % 95))).join('')}\r\n`,
    );
    return Buffer.from(lines.join('').repeat(20), 'latin1');
  }

  take(chunk: Buffer): void {
    const length = 95 * 74;
    for (let at = 0; at < chunk.length; ) {
      const from = (this.octets + at) % length;
      const n = Math.min(chunk.length - at, Checker.round.length - from);
      if (chunk.compare(Checker.round, from, from + n, at, at + n) !== 0) this.intact = false;
      at += n;
    }
    this.octets += chunk.length;
  }
}

/** Runs one transfer over a connection of whatever kind. */
export function transfer(socket: Duplex & { readonly bytesWritten?: number }, way: 'in' | 'out', ms: number): Promise<Transfer> {
  return new Promise((resolve, reject) => {
    const checker = new Checker();
    const block = Buffer.alloc(262_144, 0x61);
    let from = 0;
    const done = (): void => {
      const seconds = (performance.now() - from) / 1_000;
      const octets = way === 'out' ? checker.octets : (socket.bytesWritten ?? 0) - socket.writableLength;
      socket.destroy();
      resolve({ octets, megabytesPerSecond: octets / seconds / 1e6, intact: checker.intact });
    };
    const fill = (): void => {
      while (!socket.destroyed && socket.write(block));
    };
    socket.on('error', reject);
    socket.once('connect', () => {
      from = performance.now();
      setTimeout(done, ms);
      if (way === 'in') fill();
    });
    if (way === 'in') socket.on('drain', fill);
    socket.on('data', (chunk: Buffer) => checker.take(chunk));
  });
}
