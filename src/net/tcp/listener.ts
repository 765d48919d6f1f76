import { Errno } from '../../base/errors.js';
import { TcpSocket } from '../socket/tcp-socket.js';
import { abort } from './close.js';
import type { HalfOpen } from './half-open.js';
import type { ConnectionOptions } from './options.js';
import type { Tcb } from './tcb.js';
import type { Tcp } from './tcp.js';

/** A port in LISTEN: its half-open connections, and the established ones nobody has accepted yet. */
export class Listener {
  readonly tcp: Tcp;
  readonly socket: TcpSocket;
  /** Inherited by its connections. */
  options: ConnectionOptions;
  /** Established connections that may wait. As in Linux one more than asked for. */
  backlog: number;
  readonly halfOpen = new Set<HalfOpen>();
  /** Connections whose data was taken with the SYN and whose handshake is not done: at most TCP_FASTOPEN of them (RFC 7413 §5.1). */
  early = 0;
  private readonly queue: TcpSocket[] = [];

  constructor(tcp: Tcp, socket: TcpSocket, backlog: number) {
    this.tcp = tcp;
    this.socket = socket;
    this.options = socket.options;
    this.backlog = backlog;
  }

  /** Connections that wait for accept. */
  get waiting(): number {
    return this.queue.length;
  }

  get full(): boolean {
    return this.queue.length > this.backlog;
  }

  /** Half-open connections it may have. */
  get halfOpenMax(): number {
    return this.tcp.ctx.sysctl.v['net.ipv4.tcp_max_syn_backlog'];
  }

  accept(): TcpSocket | null {
    return this.queue.shift() ?? null;
  }

  /** A connection is ready to be accepted. */
  push(tcb: Tcb): void {
    const socket = new TcpSocket(this.tcp, this.socket.family);
    socket.adopt(tcb);
    this.queue.push(socket);
    this.socket.report(0);
  }

  /** Ends LISTEN: what nobody has accepted is reset (RFC 9293 §3.10.4). */
  close(): void {
    for (const half of this.halfOpen) this.tcp.endHalfOpen(half);
    for (const socket of this.queue.splice(0)) {
      if (socket.tcb !== null) abort(socket.tcb, Errno.ECONNABORTED);
      socket.close();
    }
    this.tcp.unlisten(this);
  }
}
