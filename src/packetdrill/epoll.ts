import { Ready } from '../net/socket/socket.js';
import type { Expression } from './ast.js';
import type { OpenSocket } from './process.js';
import { Poll } from './values.js';

/** One interest of an epoll instance. */
interface Interest {
  readonly fd: number;
  readonly file: OpenSocket;
  events: number;
  /** What the program wants back: `fd`, `ptr`, `u32` or `u64`, as the script writes it. */
  data: Expression | null;
  /** Something has changed since it was reported: what edges wait for. */
  edge: boolean;
}

/** Polled bits of a socket. ERR and HUP come unasked. */
export function pollEvents(file: OpenSocket, asked: number): number {
  const ready = file.socket.readiness();
  let events = 0;
  if ((ready & Ready.Readable) !== 0) events |= Poll.IN | Poll.RDNORM;
  if ((ready & Ready.Priority) !== 0) events |= Poll.PRI;
  if ((ready & Ready.Writable) !== 0) events |= Poll.OUT | Poll.WRNORM;
  if ((ready & Ready.ReadHangUp) !== 0) events |= Poll.RDHUP;
  return (events & asked) | ((ready & Ready.Error) !== 0 ? Poll.ERR : 0) | ((ready & Ready.HangUp) !== 0 ? Poll.HUP : 0);
}

/** epoll(7) over the readiness of sockets. */
export class Epoll {
  readonly kind = 'epoll';
  private readonly interests = new Map<number, Interest>();

  has(fd: number): boolean {
    return this.interests.has(fd);
  }

  add(fd: number, file: OpenSocket, events: number, data: Expression | null): void {
    const interest: Interest = { fd, file, events, data, edge: true };
    this.interests.set(fd, interest);
    const before = file.socket.onReady;
    file.socket.onReady = () => {
      before?.();
      interest.edge = true;
    };
  }

  modify(fd: number, events: number, data: Expression | null): void {
    const interest = this.interests.get(fd) as Interest;
    interest.events = events;
    interest.data = data;
    interest.edge = true;
  }

  remove(fd: number): void {
    this.interests.delete(fd);
  }

  /** What is ready, at most `max`; edges and one-shots reported count as reported. */
  ready(max: number): { fd: number; events: number; data: Expression | null }[] {
    const found: { fd: number; events: number; data: Expression | null }[] = [];
    for (const interest of this.interests.values()) {
      const { fd, file, data } = interest;
      if (found.length === max) break;
      const events = interest.events === 0 ? 0 : pollEvents(file, interest.events);
      if (events === 0 || ((interest.events & Poll.ET) !== 0 && !interest.edge)) continue;
      interest.edge = false;
      if ((interest.events & Poll.ONESHOT) !== 0) interest.events = 0;
      found.push({ fd, events, data });
    }
    return found;
  }
}
