import type { Address } from '../../base/address.js';
import { Drop } from '../../base/drops.js';
import { Errno } from '../../base/errors.js';
import { DatagramInfo } from '../../net/socket/datagram-queue.js';
import type { UdpSocket } from '../../net/socket/udp-socket.js';
import type { Stack } from '../../net/stack.js';
import { type Message, parse } from '../../wire/dns.js';
import { answers, type Request, randomUint16 } from './request.js';
import type { NameServer } from './settings.js';

/** Wrong answers at one port after which somebody is taken to guess: the question goes over TCP then, whose sequence numbers he would have to guess too. */
const GUESSES_MAX = 16;
/** Ports from which a random one is drawn (RFC 6056 §3.2), and how often one may be taken. */
const PORT_MIN = 1_024;
const PORT_TRIES = 16;

/** What became of a question to one server: an answer, or a positive errno; EPROTO when somebody guesses. */
export type Reply = Message | number;

/** One question to one server, from a random port of its own (RFC 5452 §9.2), until an answer that fits. */
export class UdpExchange {
  private readonly core: Stack;
  private readonly socket: UdpSocket;
  private readonly request: Request;
  private readonly done: (reply: Reply) => void;
  private guesses = 0;

  /** `done` is called in the notify phase, once at most; never after `close`. */
  constructor(core: Stack, server: NameServer, request: Request, done: (reply: Reply) => void) {
    this.core = core;
    this.request = request;
    this.done = done;
    this.socket = core.udp.openSocket(server.address.isV4 ? 4 : 6);
  }

  /** Sends. 0, or a negative errno. */
  start({ address, port, source, zone }: NameServer): number {
    const { request, socket } = this;
    let result = this.bind(source ?? null);
    if (result === 0) result = socket.connect(address, port, zone);
    if (result === 0) result = Math.min(0, socket.sendTo(request.octets, 0, request.octets.length, null, 0));
    if (result === 0) socket.onReady = () => this.receive();
    else socket.close();
    return result;
  }

  close(): void {
    this.socket.onReady = null;
    this.socket.close();
  }

  private bind(source: Address | null): number {
    for (let tries = 0; tries < PORT_TRIES; tries++) {
      const port = PORT_MIN + (randomUint16(this.core.hyper) % (65_536 - PORT_MIN));
      const result = this.socket.bind(source, port);
      if (result !== -Errno.EADDRINUSE) return result;
    }
    return this.socket.bind(source, 0);
  }

  private receive(): void {
    const { core, request, socket } = this;
    const info = new DatagramInfo();
    const octets = new Uint8Array(65_535);
    for (let n = socket.receive(octets, 0, octets.length, info); n !== -Errno.EAGAIN; n = socket.receive(octets, 0, octets.length, info)) {
      if (n < 0) {
        this.end(-n);
        return;
      }
      const message = parse(octets, 0, n);
      if (typeof message === 'object' && answers(message, request)) {
        this.end(message);
        return;
      }
      core.ctx.countDrop(typeof message === 'number' ? message : Drop.DnsUnexpected);
      if (++this.guesses === GUESSES_MAX) {
        this.end(Errno.EPROTO);
        return;
      }
    }
  }

  private end(reply: Reply): void {
    this.close();
    this.done(reply);
  }
}
