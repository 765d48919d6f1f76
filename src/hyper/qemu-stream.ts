/**
 * Ethernet frames over a stream as QEMU's `-netdev stream` and `socket` send them: each behind its length in four octets,
 * big-endian. A client connects; a server takes one peer at a time, and the next when that has gone.
 */
import { connect, createServer, type Server, type Socket } from 'node:net';
import { NetError } from '../base/errors.js';
import { copyPacket, type Packet } from '../base/packet.js';
import type { DeviceContext } from './device-context.js';
import { checkKeys, optional, required } from './device-spec.js';
import type { Device, DeviceEvents, DeviceSpec } from './hypercalls.js';
import { randomMac } from './mac.js';
import { QueuedDevice, type QueuedDeviceOptions } from './queued-device.js';

export interface QemuStreamSpec extends DeviceSpec {
  readonly type: 'qemu-stream';
  /** A unix socket, or `host` and `port`. */
  readonly path?: string;
  /** Default 127.0.0.1. */
  readonly host?: string;
  readonly port?: number;
  /** Default false: connect. */
  readonly listen?: boolean;
  /** Default 1,500. */
  readonly mtu?: number;
  /** Default: random. */
  readonly mac?: string;
}

const LENGTH = 4;
/** Greatest frame QEMU sends: 64 KB and an Ethernet header with its tags. */
const FRAME_MAX = 65_536 + 18;
/** Octets that may wait in the socket before a transmit comes up short. */
const BACKLOG_MAX = 1_048_576;

/** Opening until the other end is there: carrier. A failed or ended client is to be opened anew; a server waits for the next. */
export function openQemuStream(spec: DeviceSpec, context: DeviceContext): Device {
  checkKeys(spec, ['type', 'path', 'host', 'port', 'listen', 'mtu', 'mac']);
  const path = optional(spec, 'path', 'string');
  const address = path === undefined ? { host: optional(spec, 'host', 'string') ?? '127.0.0.1', port: required(spec, 'port', 'number') } : { path };
  const mtu = optional(spec, 'mtu', 'number');
  const options = { kind: spec.type, medium: 'ethernet', mac: randomMac(spec, context), mtu, context } as const;
  return new QemuStream(options, address, optional(spec, 'listen', 'boolean') ?? false);
}

type StreamAddress = { path: string } | { host: string; port: number };

class QemuStream extends QueuedDevice {
  private readonly address: StreamAddress;
  private readonly listens: boolean;
  private server: Server | null = null;
  private socket: Socket | null = null;
  private connected = false;
  /** Octets of a frame, or of its length, that came without their rest. */
  private rest: Buffer = Buffer.alloc(0);

  constructor(options: QueuedDeviceOptions, address: StreamAddress, listens: boolean) {
    super(options);
    this.address = address;
    this.listens = listens;
  }

  get carrier(): boolean {
    return this.connected;
  }

  override start(events: DeviceEvents): void {
    super.start(events);
    if (this.listens) {
      this.server = createServer((socket) => this.accept(socket));
      this.server.on('error', (error) => this.lost(error));
      this.server.listen(this.address);
      this.server.unref();
    } else {
      this.attach(connect(this.address));
      this.socket?.once('connect', () => this.up());
    }
  }

  transmit(packets: Packet[], count: number): number {
    const { socket } = this;
    let n = 0;
    socket?.cork();
    for (; n < count; n++) {
      const packet = packets[n] as Packet;
      if (socket === null || !this.connected) {
        this.txDropped++;
      } else if (socket.writableLength > BACKLOG_MAX) {
        break;
      } else {
        const { length } = packet;
        const out = Buffer.allocUnsafe(LENGTH + length);
        out.writeUInt32BE(length, 0);
        copyPacket(packet, out, LENGTH);
        socket.write(out);
        this.txFrames++;
        this.txOctets += length;
      }
      packet.release();
    }
    socket?.uncork();
    return n;
  }

  override close(): void {
    super.close();
    this.connected = false;
    this.socket?.destroy();
    this.server?.close();
    this.socket = null;
  }

  private accept(socket: Socket): void {
    if (this.socket !== null) {
      socket.destroy();
      return;
    }
    this.attach(socket);
    this.up();
  }

  private attach(socket: Socket): void {
    this.socket = socket;
    this.rest = Buffer.alloc(0);
    socket.setNoDelay(true);
    socket.unref();
    socket.on('data', (chunk: Buffer) => this.parse(chunk));
    socket.on('drain', () => this.tell((events) => events.writable()));
    socket.on('error', (error) => this.lost(error));
    socket.on('close', () => this.down(socket));
  }

  private up(): void {
    this.connected = true;
    this.tell((events) => events.carrier(true));
  }

  private down(socket: Socket): void {
    if (this.socket !== socket) return;
    this.socket = null;
    const was = this.connected;
    this.connected = false;
    if (was) this.tell((events) => events.carrier(false));
    if (was && !this.listens)
      this.failed(new NetError('ECONNRESET', 'read', this.name, undefined, 'the other end closed the stream; open the device again'));
  }

  /** Of a server's peer: the next may come. Else the device is dead. */
  private lost(error: Error): void {
    if (this.listens && this.connected) return;
    const { code = 'EIO' } = error as NodeJS.ErrnoException;
    this.failed(new NetError(code as 'EIO', this.listens ? 'listen' : 'connect', this.name));
  }

  private get name(): string {
    return 'path' in this.address ? this.address.path : `${this.address.host}:${this.address.port}`;
  }

  private parse(chunk: Buffer): void {
    const data = this.rest.length === 0 ? chunk : Buffer.concat([this.rest, chunk]);
    let at = 0;
    while (data.length - at >= LENGTH) {
      const length = data.readUInt32BE(at);
      if (length > FRAME_MAX) {
        // No way to find the next frame in what follows.
        this.socket?.destroy(new NetError('EPROTO', 'read', this.name, undefined, `a frame of ${length} octets`));
        return;
      }
      if (data.length - at - LENGTH < length) break;
      this.arrived(data.subarray(at + LENGTH, at + LENGTH + length));
      at += LENGTH + length;
    }
    this.rest = at === data.length ? Buffer.alloc(0) : data.subarray(at);
  }
}
