/** A WebSocket as the medium, one frame per binary message: how a browser page reaches a network, through a relay that has one. */
import { ConfigError, NetError } from '../base/errors.js';
import { copyPacket, type Packet } from '../base/packet.js';
import { checkKeys, optional } from './device-spec.js';
import type { Device, DeviceEvents, DeviceSpec } from './hypercalls.js';
import { randomMac } from './mac.js';
import { QueuedDevice, type QueuedDeviceOptions } from './queued-device.js';

/** As much of the web's WebSocket as is used. */
export interface FrameSocket {
  binaryType: string;
  readonly readyState: number;
  readonly bufferedAmount: number;
  send(frame: Uint8Array): void;
  close(): void;
  addEventListener(type: 'open' | 'close' | 'error', listener: () => void): void;
  addEventListener(type: 'message', listener: (event: { readonly data: unknown }) => void): void;
}

/** Exactly one of `url` and `socket`. */
export interface WebSocketSpec extends DeviceSpec {
  readonly type: 'websocket';
  /** ws: or wss:. */
  readonly url?: string;
  /** In place of the URL: one that is open or opening. */
  readonly socket?: FrameSocket;
  /** Default 'ethernet'. */
  readonly medium?: 'ethernet' | 'ip';
  readonly mtu?: number;
  /** Default: random. */
  readonly mac?: string;
}

const OPEN = 1;
/** Octets that may wait in the socket; frames past it are dropped, since no event tells when there is room again. */
const BACKLOG_MAX = 1_048_576;

/** Carrier comes when the socket is open; its end is a failure. Throws ConfigError. */
export function openWebSocket(spec: DeviceSpec, context: { random(into: Uint8Array): void }): Device {
  checkKeys(spec, ['type', 'url', 'socket', 'medium', 'mtu', 'mac']);
  const medium = optional(spec, 'medium', 'string') ?? 'ethernet';
  if (medium !== 'ethernet' && medium !== 'ip') throw new ConfigError(`websocket device: medium '${medium}' is neither ethernet nor ip`);
  const url = optional(spec, 'url', 'string');
  const given = spec['socket'] as FrameSocket | undefined;
  if ((url === undefined) === (given === undefined)) throw new ConfigError("websocket device: needs 'url', or 'socket'");
  const mac = medium === 'ethernet' ? randomMac(spec, context) : undefined;
  const options = { kind: spec.type, medium, mac, mtu: optional(spec, 'mtu', 'number') } as const;
  return new WebSocketDevice(options, () => given ?? (new WebSocket(url as string) as unknown as FrameSocket), url ?? 'socket');
}

class WebSocketDevice extends QueuedDevice {
  private readonly connect: () => FrameSocket;
  private readonly name: string;
  private socket: FrameSocket | null = null;

  constructor(options: QueuedDeviceOptions, connect: () => FrameSocket, name: string) {
    super(options);
    this.connect = connect;
    this.name = name;
  }

  get carrier(): boolean {
    return this.socket?.readyState === OPEN;
  }

  override start(events: DeviceEvents): void {
    super.start(events);
    const socket = this.connect();
    this.socket = socket;
    socket.binaryType = 'arraybuffer';
    socket.addEventListener('open', () => this.tell((e) => e.carrier(true)));
    socket.addEventListener('message', ({ data }) => {
      if (data instanceof ArrayBuffer) this.arrived(new Uint8Array(data));
      else this.rxDropped++;
    });
    // An error is followed by close, and says nothing.
    socket.addEventListener('error', () => {});
    socket.addEventListener('close', () => this.ended());
  }

  transmit(packets: Packet[], count: number): number {
    const { socket } = this;
    for (let i = 0; i < count; i++) {
      const packet = packets[i] as Packet;
      if (socket === null || socket.readyState !== OPEN || socket.bufferedAmount > BACKLOG_MAX) {
        this.txDropped++;
      } else {
        const frame = new Uint8Array(packet.length);
        copyPacket(packet, frame, 0);
        socket.send(frame);
        this.txFrames++;
        this.txOctets += frame.length;
      }
      packet.release();
    }
    return count;
  }

  override close(): void {
    super.close();
    const { socket } = this;
    this.socket = null;
    socket?.close();
  }

  private ended(): void {
    if (this.socket === null) return;
    this.socket = null;
    this.failed(new NetError('ECONNRESET', 'read', this.name, undefined, 'the WebSocket closed; open the device again'));
  }
}
