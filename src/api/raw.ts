/** Sockets for an IP protocol, with events: ping, traceroute, OSPF. */
import { Errno } from '../base/errors.js';
import { DatagramInfo } from '../net/socket/datagram-queue.js';
import type { RawSocket as CoreRawSocket, RawError } from '../net/socket/raw-socket.js';
import type { Stack } from '../net/stack.js';
import { AddressText, interfaceIndex, parseEndpoint } from './endpoint.js';
import { EventSocket } from './event-socket.js';
import { callError, checked, invalidType, outOfRange } from './node-errors.js';

export type { RawError } from '../net/socket/raw-socket.js';

/** Options of createSocket. */
export interface RawOptions {
  /** IANA protocol number, [0, 255]. */
  readonly protocol: number;
  /** Default 'IPv4'. */
  readonly family?: 'IPv4' | 'IPv6';
  /** Sends and receives only there. */
  readonly interface?: string;
  /** Octets. Default net.core.rmem_default. */
  readonly recvBufferSize?: number;
}

/** What is known of a received packet. */
export interface RawInfo {
  readonly address: string;
  readonly family: 'IPv4' | 'IPv6';
  readonly interface: string;
  readonly destination: string;
  readonly ttl: number;
  readonly trafficClass: number;
  readonly size: number;
}

/** What a RawSocket emits. */
export interface RawEvents {
  /** IPv4 packets with their header, IPv6 packets without, as raw(7) and RFC 3542 §3 have it. */
  message: [packet: Buffer, info: RawInfo];
  /** An ICMP error about a packet of this protocol. */
  icmp: [error: RawError];
  error: [error: Error];
  close: [];
}

/** Raw sockets of one stack. */
export interface RawApi {
  createSocket(options: RawOptions, onMessage?: (packet: Buffer, info: RawInfo) => void): RawSocket;
}

/** Raw sockets of `stack`. */
export function createRaw(stack: Stack): RawApi {
  return {
    createSocket(options, onMessage) {
      const socket = new RawSocket(stack, options);
      if (onMessage !== undefined) socket.on('message', onMessage);
      return socket;
    },
  };
}

/** Emits RawEvents. */
export class RawSocket extends EventSocket<CoreRawSocket> {
  private readonly stack: Stack;
  private readonly info = new DatagramInfo();
  private readonly source: AddressText;
  private readonly destination: AddressText;

  constructor(stack: Stack, options: RawOptions) {
    const { protocol, family = 'IPv4' } = options;
    if (!Number.isInteger(protocol) || protocol < 0 || protocol > 255) throw outOfRange('options.protocol', 'an integer >= 0 && <= 255', protocol);
    if (family !== 'IPv4' && family !== 'IPv6') throw invalidType('options.family', "one of 'IPv4' or 'IPv6'", family);
    super(stack.raw.openSocket(family === 'IPv4' ? 4 : 6, protocol));
    this.stack = stack;
    this.source = new AddressText(stack, this.core.family);
    this.destination = new AddressText(stack, this.core.family);
    if (options.recvBufferSize !== undefined) this.setOption('SO_RCVBUF', options.recvBufferSize);
    if (options.interface !== undefined) this.bind(undefined, options.interface);
  }

  /** Receives only what is sent to `address`, and sends from there; `device` as in the options. Throws EADDRNOTAVAIL, ENODEV. */
  bind(address?: string, device?: string): this {
    const index = device === undefined ? this.core.boundIndex : interfaceIndex(this.stack, device);
    if (index < 0) throw callError(-Errno.ENODEV, 'bind', device);
    const at = address === undefined ? null : parseEndpoint(this.stack, address);
    if (at === null && address !== undefined) throw callError(-Errno.EINVAL, 'bind', address);
    const result = this.open.bind(at?.address ?? null, at?.zone || index);
    if (result < 0) throw callError(result, 'bind', address);
    return this;
  }

  /** Sends a transport header and payload; the IP header is the stack's. The callback has the octets sent or the error. */
  send(data: Uint8Array, address: string, callback?: (error: Error | null, bytes?: number) => void): void {
    const { open } = this;
    if (!(data instanceof Uint8Array)) throw invalidType('data', 'an instance of Uint8Array', data);
    const to = parseEndpoint(this.stack, address);
    const result = to === null ? -Errno.EINVAL : open.sendTo(data, 0, data.length, to.address, to.zone);
    if (callback === undefined) return;
    if (result < 0) process.nextTick(callback, callError(result, 'send', address));
    else process.nextTick(callback, null, result);
  }

  /** IP_TTL, or the hop limit. */
  setTTL(ttl: number): number {
    checked(this.open.setOption('IP_TTL', ttl), 'setTTL');
    return ttl;
  }

  protected override deliver(): boolean {
    const { core, info } = this;
    const error = core.errors.shift();
    if (error !== undefined) {
      this.emit('icmp', error);
      return true;
    }
    const size = core.nextSize;
    if (size < 0) return false;
    const packet = Buffer.allocUnsafe(size);
    if (core.receive(packet, 0, size, info) < 0) return false;
    this.emit('message', packet, {
      address: this.source.of(info.address, info.index),
      family: core.family === 4 ? 'IPv4' : 'IPv6',
      interface: this.stack.interfaces.at(info.index)?.name ?? '',
      destination: this.destination.of(info.destination, info.index),
      ttl: info.ttl,
      trafficClass: info.trafficClass,
      size,
    });
    return true;
  }
}
