import { anyFamily } from '../api/endpoint.js';
import { errnoName, NetError } from '../base/errors.js';
import { TokenBucket } from '../base/token-bucket.js';
import { DatagramInfo } from '../net/socket/datagram-queue.js';
import type { UdpSocket } from '../net/socket/udp-socket.js';
import type { Stack } from '../net/stack.js';
import { answerable } from './onlink.js';

/** Fills `into` with the answer to a datagram of `length` octets that lies there, and answers its length; −1 for none. */
export type Answer = (into: Uint8Array, length: number) => number;

/** Answers a second that one service sends by default, to all stations together. */
export const RATE = 10_000;

/** Answers datagrams of stations on the link, within a rate. */
export class UdpService {
  private readonly core: Stack;
  private readonly sockets: UdpSocket[] = [];
  private readonly info = new DatagramInfo();
  private readonly datagram = new Uint8Array(65_535);
  private readonly bucket: TokenBucket;
  private readonly rate: number;
  private readonly answer: Answer;

  /** `indices`: interfaces to listen on, empty for all. Throws NetError EADDRINUSE. */
  constructor(core: Stack, port: number, indices: readonly number[], rate: number, answer: Answer) {
    this.core = core;
    this.rate = rate;
    this.answer = answer;
    this.bucket = new TokenBucket(core.ctx.now, rate);
    for (const index of indices.length === 0 ? [0] : indices) {
      const socket = core.udp.openSocket(anyFamily(core));
      this.sockets.push(socket);
      socket.boundIndex = index;
      const result = socket.bind(null, port);
      if (result !== 0) {
        this.close();
        throw new NetError(errnoName(result), 'bind', undefined, port);
      }
      socket.onReady = () => this.serve(socket);
    }
  }

  close(): void {
    for (const socket of this.sockets) socket.close();
  }

  private serve(socket: UdpSocket): void {
    const { core, datagram, info, rate } = this;
    for (let n = socket.receive(datagram, 0, datagram.length, info); n >= 0; n = socket.receive(datagram, 0, datagram.length, info)) {
      if (!answerable(core.interfaces, info) || !this.bucket.take(core.ctx.now, rate, rate)) continue;
      const length = this.answer(datagram, n);
      // An answer that cannot leave is lost like any datagram.
      if (length >= 0) socket.sendTo(datagram, 0, length, info.address, info.port, info.index);
    }
  }
}
