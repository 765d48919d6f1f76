import { type Address, parseAddress } from '../base/address.js';
import { finish, sum } from '../base/checksum.js';
import { Errno, errnoName, NetError } from '../base/errors.js';
import type { Micros } from '../base/time.js';
import { DatagramInfo } from '../net/socket/datagram-queue.js';
import type { RawError, RawSocket } from '../net/socket/raw-socket.js';
import type { Stack } from '../net/stack.js';
import { Protocol } from '../wire/protocol.js';

const ECHO_LEN = 8;

/** What came back for a probe. */
export interface ProbeAnswer {
  readonly sequence: number;
  readonly from: string;
  /** Round trip. */
  readonly rtt: Micros;
  readonly ttl: number;
  readonly size: number;
  /** Null for an echo reply; else who could not deliver it says why. */
  readonly error: RawError | null;
}

/** Echo requests of one identifier, and what becomes of them, both families: what ping and traceroute are made of. */
export class EchoProbe {
  readonly address: Address;
  private readonly core: Stack;
  private readonly socket: RawSocket;
  private readonly identifier: number;
  private readonly zone: number;
  private readonly sent = new Map<number, Micros>();
  private readonly buffer = new Uint8Array(65_535);
  private readonly info = new DatagramInfo();

  /** `ended` is called when the stack is closed or fails. NetError EINVAL when `target` is no address; names are resolved by whoever calls. */
  constructor(core: Stack, target: string, dev: string | undefined, answered: (answer: ProbeAnswer) => void, ended: (error: NetError) => void) {
    const address = parseAddress(target);
    if (address === null) throw new NetError('EINVAL', 'ping', target, undefined, 'not an address');
    this.core = core;
    this.address = address;
    this.identifier = core.ctx.prng.below(65_536);
    this.zone = dev === undefined ? 0 : (core.interfaces.named(dev)?.index ?? -1);
    if (this.zone < 0) throw new NetError('ENODEV', 'ping', dev);
    this.socket = core.raw.openSocket(address.isV4 ? 4 : 6, address.isV4 ? Protocol.Icmp : Protocol.Icmpv6);
    this.socket.onReady = () => {
      const result = this.take(answered);
      if (result !== -Errno.EAGAIN) ended(sendError(result, target));
    };
    // Somebody waits for the answers.
    core.hyper.hold();
  }

  /** Sends one. `size` octets follow the echo header. 0, or a negative errno of what is wrong here. */
  send(sequence: number, size: number, ttl?: number): number {
    const { address, buffer, core, socket } = this;
    const length = ECHO_LEN + size;
    const view = new DataView(buffer.buffer, 0, length);
    buffer.fill(0x61, 0, length);
    view.setUint16(0, address.isV4 ? 0x0800 : 0x8000);
    view.setUint16(2, 0);
    view.setUint16(4, this.identifier);
    view.setUint16(6, sequence & 0xffff);
    if (address.isV4) view.setUint16(2, finish(sum(view, 0, length)));
    if (ttl !== undefined) socket.setOption('IP_TTL', ttl);
    this.sent.set(sequence & 0xffff, core.hyper.monotonic());
    const result = socket.sendTo(buffer, 0, length, address, this.zone);
    return result < 0 ? result : 0;
  }

  /** Idempotent. */
  close(): void {
    if (!this.socket.closed) this.core.hyper.release();
    this.socket.close();
  }

  /** Takes all that has come; the errno that ended it. */
  private take(answered: (answer: ProbeAnswer) => void): number {
    const { buffer, info, socket } = this;
    let n = socket.receive(buffer, 0, buffer.length, info);
    for (; n >= 0 && !socket.closed; n = socket.receive(buffer, 0, buffer.length, info)) {
      // IPv4 comes with its header, IPv6 without (RFC 3542 §3).
      const at = this.address.isV4 ? ((buffer[0] as number) & 15) * 4 : 0;
      const reply = this.address.isV4 ? 0 : 129;
      if (n - at >= ECHO_LEN && buffer[at] === reply) this.match(buffer, at, info.address.toString(), info.ttl, n - at - ECHO_LEN, null, answered);
    }
    for (const error of socket.errors.splice(0)) this.match(error.quoted, 0, error.from, 0, 0, error, answered);
    return n < 0 ? n : -Errno.EAGAIN;
  }

  private match(
    octets: Uint8Array,
    at: number,
    from: string,
    ttl: number,
    size: number,
    error: RawError | null,
    answered: (answer: ProbeAnswer) => void,
  ): void {
    if (octets.length < at + ECHO_LEN || word(octets, at + 4) !== this.identifier) return;
    const sequence = word(octets, at + 6);
    const sentAt = this.sent.get(sequence);
    if (sentAt === undefined) return;
    this.sent.delete(sequence);
    // The time of the poll the answer came in, when the stack is told: the loop may have been busy since it arrived.
    answered({ sequence, from, rtt: Math.max(0, this.core.ctx.now - sentAt), ttl, size, error });
  }
}

const word = (octets: Uint8Array, at: number): number => ((octets[at] as number) << 8) | (octets[at + 1] as number);

/** The sentence of an errno that `send` answered. */
export const sendError = (result: number, target: string): NetError => new NetError(errnoName(result), 'sendto', target);
