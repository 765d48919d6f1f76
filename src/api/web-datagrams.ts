import { Errno, errnoName, NetError } from '../base/errors.js';
import { DatagramInfo } from '../net/socket/datagram-queue.js';
import type { UdpSocket } from '../net/socket/udp-socket.js';
import type { Stack } from '../net/stack.js';
import { AddressText, formatEndpoint, parseEndpoint } from './endpoint.js';
import { Hold } from './hold.js';
import { stackEndError } from './stack-end.js';

/** A received datagram, in memory of its own. */
export interface Datagram {
  readonly data: Uint8Array;
  readonly address: string;
  readonly port: number;
  /** Where it was sent to. */
  readonly destination: string;
  /** Name of the interface it came in on. */
  readonly interface: string;
  readonly ttl: number;
  readonly trafficClass: number;
}

type Taken = IteratorResult<Datagram, undefined>;

/** A UDP socket: `for await (const datagram of socket)`. The loop ends when it is closed, and leaving the loop closes it. */
export class WebDatagrams implements AsyncIterableIterator<Datagram>, AsyncDisposable {
  readonly address: string;
  readonly port: number;
  /** The core socket: options, connect. */
  readonly core: UdpSocket;
  private readonly stack: Stack;
  private readonly hold: Hold;
  private readonly info = new DatagramInfo();
  private readonly source: AddressText;
  private readonly destination: AddressText;
  /** Those who wait for a datagram, the longest first. */
  private readonly waiting: { resolve(taken: Taken): void; reject(error: unknown): void }[] = [];

  constructor(stack: Stack, core: UdpSocket) {
    this.stack = stack;
    this.core = core;
    this.address = formatEndpoint(stack, core.family, core.localAddress, core.boundIndex);
    this.port = core.localPort;
    this.source = new AddressText(stack, core.family);
    this.destination = new AddressText(stack, core.family);
    this.hold = new Hold(stack.hyper);
    this.hold.begin();
    core.onReady = () => this.ready();
  }

  /** Sends one datagram; false when the interface's queue is full and it was not sent. Throws NetError: EMSGSIZE, ENETUNREACH, EACCES for broadcasts, … */
  send(data: Uint8Array, address: string, port: number): boolean {
    const to = parseEndpoint(this.stack, address);
    const result = to === null ? -Errno.EINVAL : this.core.sendTo(data, 0, data.length, to.address, port, to.zone);
    if (result >= 0) return true;
    if (result === -Errno.EAGAIN) return false;
    throw new NetError(errnoName(result), 'send', address, port);
  }

  async next(): Promise<Taken> {
    const { core } = this;
    if (core.closed) return { done: true, value: undefined };
    if (core.nextSize >= 0) return this.take();
    return new Promise((resolve, reject) => this.waiting.push({ resolve, reject }));
  }

  async return(): Promise<Taken> {
    this.close();
    return { done: true, value: undefined };
  }

  /** What has not been taken is lost. */
  close(): void {
    this.core.close();
    this.hold.end();
    for (const { resolve } of this.waiting.splice(0)) resolve({ done: true, value: undefined });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  private ready(): void {
    const { core, waiting } = this;
    if (core.ctx.ended !== 0) {
      const reason = stackEndError(core.ctx, 'recvmsg');
      if (reason !== null) for (const { reject } of waiting.splice(0)) reject(reason);
      this.close();
      return;
    }
    // An ICMP error belongs to whoever waits now; the socket goes on.
    const error = waiting.length > 0 ? core.takeError() : 0;
    if (error !== 0) waiting.shift()?.reject(new NetError(errnoName(error), 'recvmsg', this.address, this.port));
    while (waiting.length > 0 && core.nextSize >= 0) waiting.shift()?.resolve(this.take());
  }

  private take(): Taken {
    const { core, info } = this;
    const data = new Uint8Array(core.nextSize);
    core.receive(data, 0, data.length, info);
    const value: Datagram = {
      data,
      address: this.source.of(info.address, info.index),
      port: info.port,
      destination: this.destination.of(info.destination, info.index),
      interface: this.stack.interfaces.at(info.index)?.name ?? '',
      ttl: info.ttl,
      trafficClass: info.trafficClass,
    };
    return { done: false, value };
  }
}
