import { EventEmitter } from 'node:events';
import { type BlockList, isIPv4 } from 'node:net';
import { formatAddress } from '../base/address.js';
import { DatagramInfo } from '../net/socket/datagram-queue.js';
import { Ready } from '../net/socket/socket.js';
import type { UdpSocket } from '../net/socket/udp-socket.js';
import type { Stack } from '../net/stack.js';
import type { DgramCallback } from './dgram-arguments.js';
import { DatagramSender } from './dgram-sender.js';
import { AddressText, type Endpoint, parseEndpoint } from './endpoint.js';
import { Hold } from './hold.js';
import { type Lookup, LookupError } from './lookup.js';
import { callError, StateError } from './node-errors.js';
import { stackEndError } from './stack-end.js';

/** What is known of a received datagram. The last four go beyond Node. */
export interface MessageInfo {
  readonly address: string;
  readonly family: 'IPv4' | 'IPv6';
  readonly port: number;
  readonly size: number;
  /** Name of the interface it came in on. */
  readonly interface: string;
  /** Where it was sent to: one of our addresses, a group, a broadcast. */
  readonly destination: string;
  readonly ttl: number;
  readonly trafficClass: number;
}

/** Datagrams from 4 KB up have memory of their own; smaller ones share Node's pool. */
const POOLED_MAX = 4_096;

/** What a dgram.Socket keeps to itself: the core socket, whether it is bound and connected, what waits, and the way of received datagrams. */
export class DgramState {
  readonly stack: Stack;
  readonly core: UdpSocket;
  readonly hold: Hold;
  readonly sender: DatagramSender;
  binding: 'no' | 'under way' | 'yes' = 'no';
  connection: 'no' | 'under way' | 'yes' = 'no';
  /** Calls that wait for the bind; null when none do. */
  waiting: (() => void)[] | null = null;
  private readonly owner: DgramOwner;
  private readonly lookup: DgramLookup;
  /** A program's own lookup is asked for addresses too, as in Node. */
  private readonly asksAlways: boolean;
  private readonly lists: DgramLists;
  private readonly info = new DatagramInfo();
  private readonly source: AddressText;
  private readonly destination: AddressText;
  private knownText = '';
  private knownEndpoint: Endpoint | null = null;

  constructor(owner: DgramOwner, stack: Stack, core: UdpSocket, lookup: Lookup, options: DgramLists) {
    this.owner = owner;
    this.stack = stack;
    this.core = core;
    const { lookup: own } = options;
    this.lists = options;
    this.lookup = own ?? ((name, family, callback) => lookup(name, { family }, callback));
    this.asksAlways = own !== undefined;
    this.hold = new Hold(stack.hyper);
    this.source = new AddressText(stack, core.family);
    this.destination = new AddressText(stack, core.family);
    this.sender = new DatagramSender(core, (callback, error) => report(owner, null, callback, error));
  }

  get closed(): boolean {
    return this.core.closed;
  }

  /** The address behind a text that needs no lookup; a program sends to few. */
  known(text: string): Endpoint | null {
    if (text === this.knownText && this.knownEndpoint !== null) return this.knownEndpoint;
    const found = text === '' || this.asksAlways ? null : parseEndpoint(this.stack, text);
    if (found !== null) {
      this.knownText = text;
      this.knownEndpoint = found;
    }
    return found;
  }

  /** Name to address, in a later turn. '' is ourselves, as in Node. */
  resolve(host: string, done: (error: Error | null, to: Endpoint | null) => void): void {
    const v4 = this.core.family === 4;
    const name = host === '' ? (v4 ? '127.0.0.1' : '::1') : host;
    const known = this.known(name);
    if (known !== null) {
      process.nextTick(done, null, known);
      return;
    }
    this.lookup(name, v4 ? 4 : 6, (error, address) => {
      const to = error === null && typeof address === 'string' ? parseEndpoint(this.stack, address) : null;
      done(error ?? (to === null ? new LookupError(name) : null), to);
    });
  }

  /** The core socket has its port: tell, and run what waited. */
  bound(): void {
    this.binding = 'yes';
    this.hold.begin();
    this.core.onReady = () => this.ready();
    this.owner.emit('listening');
    const { waiting } = this;
    this.forget();
    if (waiting !== null) for (const call of waiting) call();
    if (this.core.nextSize >= 0) this.ready();
  }

  /** Runs `call` once there is a port, binding to any when nobody has asked. */
  whenBound(call: () => void): void {
    if (this.binding === 'no') this.owner.bind({ port: 0 });
    // At once, too, where a lookup answers within the call.
    if ((this.binding as string) === 'yes') {
      call();
      return;
    }
    if (this.waiting === null) {
      this.waiting = [];
      this.owner.on(EventEmitter.errorMonitor, this.forget);
    }
    this.waiting.push(call);
  }

  /** The bind is over, or failed and takes what waited for it along, as in Node. */
  private readonly forget = (): void => {
    this.waiting = null;
    this.owner.removeListener(EventEmitter.errorMonitor, this.forget);
  };

  close(): void {
    this.sender.close();
    this.core.close();
    this.hold.end();
  }

  private stackEnded(): void {
    const { owner } = this;
    const error = stackEndError(this.core.ctx, 'recvmsg');
    this.close();
    process.nextTick(() => {
      if (error !== null) owner.emit('error', error);
      owner.emit('close');
    });
  }

  /** Each datagram in memory of its own: the application may keep it. */
  private ready(): void {
    const { core, info, owner } = this;
    if (core.ctx.ended !== 0) {
      this.stackEnded();
      return;
    }
    try {
      if (core.readiness() & Ready.Error) {
        const error = core.takeError();
        if (error !== 0) owner.emit('error', callError(-error, 'recvmsg'));
      }
      for (let size = core.nextSize; size >= 0 && !core.closed; size = core.nextSize) {
        const message = size < POOLED_MAX ? Buffer.allocUnsafe(size) : Buffer.allocUnsafeSlow(size);
        if (core.receive(message, 0, size, info) < 0) break;
        const described = this.describe(core.family);
        if (!blocks(this.lists.receiveBlockList, described.address)) owner.emit('message', message, described);
      }
    } finally {
      // A listener threw: the rest comes in the next poll.
      if (!core.closed && core.nextSize >= 0) core.ctx.notify(core);
    }
  }

  /** Why nothing is sent there: the program's own list. */
  refused({ address }: Endpoint): Error | null {
    const { sendBlockList: list } = this.lists;
    if (list === undefined) return null;
    const text = formatAddress(address);
    return blocks(list, text) ? new StateError('ERR_IP_BLOCKED', `IP(${text}) is blocked by net.BlockList`) : null;
  }

  private describe(family: 4 | 6 | 46): MessageInfo {
    const { info } = this;
    return {
      address: this.source.of(info.address, info.index),
      family: family === 4 ? 'IPv4' : 'IPv6',
      port: info.port,
      size: info.size,
      interface: this.stack.interfaces.at(info.index)?.name ?? '',
      destination: this.destination.of(info.destination, info.index),
      ttl: info.ttl,
      trafficClass: info.trafficClass,
    };
  }
}

/** Of a socket's options, what its state asks again and again. */
interface DgramLists {
  readonly lookup?: DgramLookup;
  readonly receiveBlockList?: BlockList;
  readonly sendBlockList?: BlockList;
}

/** A zone is not part of what a list knows. */
const blocks = (list: BlockList | undefined, address: string): boolean =>
  list?.check(address.split('%')[0] as string, isIPv4(address) ? 'ipv4' : 'ipv6') ?? false;

/** Name to address for datagrams: called as Node calls it, with the family for options. */
export type DgramLookup = (hostname: string, family: 4 | 6, callback: Parameters<Lookup>[2]) => void;

/** What the state needs of its dgram.Socket. */
export interface DgramOwner extends EventEmitter {
  bind(options: { port: number }): unknown;
}

/** An error goes to the callback of its call, or to everybody. `event`: what the callback is registered for, if anything. */
export function report(owner: EventEmitter, event: string | null, callback: DgramCallback | undefined, error: Error): void {
  if (callback === undefined) {
    owner.emit('error', error);
    return;
  }
  if (event !== null) owner.removeListener(event, callback);
  callback(error);
}
