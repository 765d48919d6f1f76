/** Sockets for whole frames, with events: captures, link-layer protocols, tests. */
import { Errno } from '../base/errors.js';
import { type PacketSocket as CorePacketSocket, type FrameFilter, FrameInfo } from '../net/socket/packet-socket.js';
import type { Stack } from '../net/stack.js';
import { interfaceIndex } from './endpoint.js';
import { EventSocket } from './event-socket.js';
import { callError, invalidType, outOfRange } from './node-errors.js';

export type { FrameFilter } from '../net/socket/packet-socket.js';

/** Options of createSocket. */
export interface PacketOptions {
  /** Name of an interface. Default: all. */
  readonly interface?: string;
  /** Octets of a frame to keep; it runs inside the stack and must be quick. Default: all of every frame. */
  readonly filter?: FrameFilter;
  /** Most octets of a frame to keep. Default: all. */
  readonly snapLength?: number;
  /** Default 'both'. */
  readonly direction?: 'in' | 'out' | 'both';
  /** Octets. Default net.core.rmem_default. */
  readonly recvBufferSize?: number;
}

/** What is known of a frame. */
export interface PacketInfo {
  readonly interface: string;
  readonly direction: 'in' | 'out';
  /** Octets on the wire; the frame is shorter when it was cut to the snap length. */
  readonly size: number;
  /** Payload octets per segment of an offloaded frame, 0 for plain ones. */
  readonly segmentSize: number;
  /** Microseconds of the stack's monotonic clock. */
  readonly time: number;
}

/** What a PacketSocket emits. */
export interface PacketEvents {
  message: [frame: Buffer, info: PacketInfo];
  error: [error: Error];
  close: [];
}

/** Packet sockets of one stack. */
export interface PacketApi {
  createSocket(options?: PacketOptions, onMessage?: (frame: Buffer, info: PacketInfo) => void): PacketSocket;
}

/** Packet sockets of `stack`. */
export function createPacket(stack: Stack): PacketApi {
  return {
    createSocket(options = {}, onMessage) {
      const socket = new PacketSocket(stack, options);
      if (onMessage !== undefined) socket.on('message', onMessage);
      return socket;
    },
  };
}

/** Emits PacketEvents. */
export class PacketSocket extends EventSocket<CorePacketSocket> {
  private readonly stack: Stack;
  private readonly info = new FrameInfo();

  constructor(stack: Stack, options: PacketOptions) {
    const { direction = 'both', snapLength, filter } = options;
    const index = options.interface === undefined ? 0 : interfaceIndex(stack, options.interface);
    if (index < 0) throw callError(-Errno.ENODEV, 'bind', options.interface);
    if (filter !== undefined && typeof filter !== 'function') throw invalidType('options.filter', 'of type function', filter);
    if (snapLength !== undefined && !(snapLength > 0)) throw outOfRange('options.snapLength', '> 0', snapLength);
    super(stack.packets.openSocket());
    this.stack = stack;
    const { core } = this;
    core.bind(index);
    core.filter = filter ?? null;
    core.snapLength = snapLength ?? core.snapLength;
    core.incoming = direction !== 'out';
    core.outgoing = direction !== 'in';
    if (options.recvBufferSize !== undefined) this.setOption('SO_RCVBUF', options.recvBufferSize);
  }

  /** Sends a frame, from its link header on, out of the interface bound to or of `device`. The callback has the octets sent or the error. */
  send(
    frame: Uint8Array,
    device?: string | ((error: Error | null, bytes?: number) => void),
    callback?: (error: Error | null, bytes?: number) => void,
  ): void {
    const { open } = this;
    if (!(frame instanceof Uint8Array)) throw invalidType('frame', 'an instance of Uint8Array', frame);
    const done = typeof device === 'function' ? device : callback;
    const index = typeof device === 'string' ? interfaceIndex(this.stack, device) : 0;
    const result = index < 0 ? -Errno.ENODEV : open.send(frame, 0, frame.length, index);
    if (done === undefined) return;
    if (result < 0) process.nextTick(done, callError(result, 'send'));
    else process.nextTick(done, null, result);
  }

  protected override deliver(): boolean {
    const { core, info } = this;
    const size = core.nextSize;
    if (size < 0) return false;
    const frame = Buffer.allocUnsafe(size);
    if (core.receive(frame, 0, size, info) < 0) return false;
    this.emit('message', frame, {
      interface: this.stack.interfaces.at(info.index)?.name ?? '',
      direction: info.outgoing ? 'out' : 'in',
      size: info.size,
      segmentSize: info.segmentSize,
      time: info.time,
    });
    return true;
  }
}
