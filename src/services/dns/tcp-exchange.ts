import { Drop } from '../../base/drops.js';
import { Errno } from '../../base/errors.js';
import { Ready } from '../../net/socket/socket.js';
import type { TcpSocket } from '../../net/socket/tcp-socket.js';
import type { Stack } from '../../net/stack.js';
import { parse } from '../../wire/dns.js';
import { answers, type Request } from './request.js';
import type { NameServer } from './settings.js';
import type { Reply } from './udp-exchange.js';

/** One question to one server over a connection of its own. RFC 7766; each message is preceded by its length (RFC 1035 §4.2.2). */
export class TcpExchange {
  private readonly core: Stack;
  private readonly socket: TcpSocket;
  private readonly request: Request;
  private readonly done: (reply: Reply) => void;
  private readonly outgoing: Uint8Array;
  private written = 0;
  private readonly incoming = new Uint8Array(2 + 65_535);
  private received = 0;

  /** `done` is called in the notify phase, once at most; never after `close`. */
  constructor(core: Stack, server: NameServer, request: Request, done: (reply: Reply) => void) {
    this.core = core;
    this.request = request;
    this.done = done;
    this.socket = core.tcp.openSocket(server.address.isV4 ? 4 : 6);
    const { octets } = request;
    this.outgoing = Uint8Array.of(octets.length >>> 8, octets.length & 255, ...octets);
  }

  /** Connects. 0, or a negative errno. */
  start({ address, port, source, zone }: NameServer): number {
    const result = (source === undefined ? 0 : this.socket.bind(source, 0)) || this.socket.connect(address, port, zone);
    if (result < 0 && result !== -Errno.EINPROGRESS) {
      this.socket.close();
      return result;
    }
    this.socket.onReady = () => this.ready();
    return 0;
  }

  close(): void {
    this.socket.onReady = null;
    this.socket.close();
  }

  private ready(): void {
    const { socket } = this;
    const error = socket.takeError();
    if (error !== 0) {
      this.end(error);
      return;
    }
    if ((socket.readiness() & Ready.Writable) !== 0 && this.written < this.outgoing.length) {
      const n = socket.write(this.outgoing, this.written);
      if (n > 0) this.written += n;
    }
    if (this.written === this.outgoing.length) this.read();
  }

  private read(): void {
    const { incoming, socket } = this;
    for (;;) {
      const wanted = this.received < 2 ? 2 : 2 + (((incoming[0] as number) << 8) | (incoming[1] as number));
      if (this.received === wanted && wanted > 2) {
        this.take(wanted);
        return;
      }
      const n = socket.read(incoming, this.received, wanted - this.received);
      if (n === -Errno.EAGAIN) return;
      // A length of 0 is no message; the end of the stream comes too early.
      if (n <= 0 || wanted - this.received === 0) {
        this.end(n < 0 ? -n : Errno.ECONNRESET);
        return;
      }
      this.received += n;
    }
  }

  private take(end: number): void {
    const message = parse(this.incoming, 2, end);
    if (typeof message === 'object' && answers(message, this.request)) {
      this.end(message);
      return;
    }
    this.core.ctx.countDrop(typeof message === 'number' ? message : Drop.DnsUnexpected);
    this.end(Errno.EPROTO);
  }

  private end(reply: Reply): void {
    this.close();
    this.done(reply);
  }
}
