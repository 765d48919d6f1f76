/** A UDP socket of the host as the medium: one frame per datagram. What QEMU calls `-netdev dgram`, and a tunnel of the simplest kind. */
import { createSocket, type Socket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { ConfigError, NetError } from '../base/errors.js';
import { copyPacket, type Packet } from '../base/packet.js';
import type { DeviceContext } from './device-context.js';
import { checkKeys, optional } from './device-spec.js';
import type { Device, DeviceEvents, DeviceSpec } from './hypercalls.js';
import { randomMac } from './mac.js';
import { QueuedDevice, type QueuedDeviceOptions } from './queued-device.js';

export interface UdpSpec extends DeviceSpec {
  readonly type: 'udp';
  /** Default 127.0.0.1, and a port of the system's choice. */
  readonly localAddress?: string;
  readonly localPort?: number;
  /** Where frames go, and the only place they are taken from. Default: wherever the last frame came from. */
  readonly remoteAddress?: string;
  readonly remotePort?: number;
  /** Default 'ethernet'. */
  readonly medium?: 'ethernet' | 'ip';
  /** Default 1,500: the host fragments the datagrams that its own MTU is too small for. */
  readonly mtu?: number;
  /** Default: random. */
  readonly mac?: string;
}

/** Datagrams handed to the socket and not sent yet, before a transmit comes up short. */
const UNSENT_MAX = 1_000;

/** Carrier comes when the socket is bound. */
export function openUdp(spec: DeviceSpec, context: DeviceContext): UdpDevice {
  checkKeys(spec, ['type', 'localAddress', 'localPort', 'remoteAddress', 'remotePort', 'medium', 'mtu', 'mac']);
  const medium = optional(spec, 'medium', 'string') ?? 'ethernet';
  if (medium !== 'ethernet' && medium !== 'ip') throw new ConfigError(`udp device: medium '${medium}' is neither ethernet nor ip`);
  const remote = { address: optional(spec, 'remoteAddress', 'string'), port: optional(spec, 'remotePort', 'number') };
  if ((remote.address === undefined) !== (remote.port === undefined)) throw new ConfigError('udp device: remoteAddress and remotePort go together');
  const mac = medium === 'ethernet' ? randomMac(spec, context) : undefined;
  const options = { kind: spec.type, medium, mac, mtu: optional(spec, 'mtu', 'number'), context } as const;
  const local = { address: optional(spec, 'localAddress', 'string') ?? '127.0.0.1', port: optional(spec, 'localPort', 'number') ?? 0 };
  return new UdpDevice(options, local, remote.address === undefined ? null : { address: remote.address, port: remote.port as number });
}

interface Place {
  readonly address: string;
  readonly port: number;
}

/** The device, which also tells its port. */
export class UdpDevice extends QueuedDevice implements Device {
  private readonly local: Place;
  private readonly fixed: boolean;
  private remote: Place | null;
  private socket: Socket | null = null;
  private bound = false;
  private unsent = 0;

  constructor(options: QueuedDeviceOptions, local: Place, remote: Place | null) {
    super(options);
    this.local = local;
    this.remote = remote;
    this.fixed = remote !== null;
  }

  get carrier(): boolean {
    return this.bound;
  }

  /** The port it is bound to; 0 while opening. */
  get port(): number {
    return this.bound && this.socket !== null ? this.socket.address().port : 0;
  }

  override start(events: DeviceEvents): void {
    super.start(events);
    const socket = createSocket(isIPv6(this.local.address) ? 'udp6' : 'udp4');
    this.socket = socket;
    socket.on('message', (frame, from) => {
      if (!this.fixed) this.remote = from;
      else if (from.port !== this.remote?.port || from.address !== this.remote.address) {
        this.rxDropped++;
        return;
      }
      this.arrived(frame);
    });
    socket.on('error', (error) =>
      this.failed(new NetError(((error as NodeJS.ErrnoException).code ?? 'EIO') as 'EIO', 'bind', this.local.address, this.local.port)),
    );
    socket.bind(this.local.port, this.local.address, () => {
      socket.unref();
      this.bound = true;
      this.tell((e) => e.carrier(true));
    });
  }

  transmit(packets: Packet[], count: number): number {
    const { socket, remote } = this;
    let n = 0;
    for (; n < count; n++) {
      const packet = packets[n] as Packet;
      if (socket === null || !this.bound || remote === null) {
        this.txDropped++;
      } else if (this.unsent >= UNSENT_MAX) {
        break;
      } else {
        const frame = Buffer.allocUnsafe(packet.length);
        copyPacket(packet, frame, 0);
        this.unsent++;
        socket.send(frame, remote.port, remote.address, (error) => this.sent(error));
        this.txFrames++;
        this.txOctets += frame.length;
      }
      packet.release();
    }
    return n;
  }

  override close(): void {
    super.close();
    this.bound = false;
    this.socket?.close();
    this.socket = null;
  }

  /** An unreachable far end is no error of this one: the frame is lost as on any wire. */
  private sent(error: Error | null): void {
    if (error !== null) this.txDropped++;
    if (this.unsent-- === UNSENT_MAX) this.tell((events) => events.writable());
  }
}
