/**
 * IPv4 through raw sockets of the host (the npm package raw-socket): no interface of our own, the host's addresses. The
 * host's kernel sees the same packets, so choose protocols it does not answer itself, or filter its answers. IPv6 is not
 * to be had this way: Linux gives raw IPv6 sockets no header.
 */
import { createRequire } from 'node:module';
import { formatAddress, v4 } from '../base/address.js';
import { ConfigError, NetError } from '../base/errors.js';
import { copyPacket, type Packet } from '../base/packet.js';
import * as ipv4 from '../wire/ipv4.js';
import type { DeviceContext } from './device-context.js';
import { checkKeys, optional } from './device-spec.js';
import type { Device, DeviceEvents, DeviceSpec } from './hypercalls.js';
import { QueuedDevice, type QueuedDeviceOptions } from './queued-device.js';

export interface RawSocketSpec extends DeviceSpec {
  readonly type: 'raw-socket';
  /** IANA numbers of the protocols to receive, one socket each. Default [1, 17]: ICMP and UDP. */
  readonly protocols?: readonly number[];
  /** Default 1,500. */
  readonly mtu?: number;
}

/** What the package gives. */
interface RawSocket {
  on(event: 'message', listener: (packet: Buffer, source: string) => void): this;
  on(event: 'error', listener: (error: Error) => void): this;
  send(packet: Uint8Array, offset: number, length: number, address: string, sent: (error: Error | null) => void): this;
  setOption(level: number, option: number, value: number): void;
  close(): this;
}

interface RawSocketPackage {
  createSocket(options: { protocol: number; bufferSize: number }): RawSocket;
  readonly SocketLevel: { readonly IPPROTO_IP: number };
  readonly SocketOption: { readonly IP_HDRINCL: number };
}

const BUFFER = 65_536;
/** Packets handed over and not sent yet, before a transmit comes up short. */
const UNSENT_MAX = 1_000;

/** Throws NetError ENOSYS without the package, EPERM without the privilege. */
export function openRawSocket(spec: DeviceSpec, context: DeviceContext): Device {
  checkKeys(spec, ['type', 'protocols', 'mtu']);
  const protocols = spec['protocols'] ?? [1, 17];
  if (!Array.isArray(protocols) || protocols.length === 0 || !protocols.every((n) => Number.isInteger(n) && n > 0 && n < 256)) {
    throw new ConfigError(`raw-socket device: 'protocols' is to be a list of protocol numbers, not ${JSON.stringify(protocols)}`);
  }
  return new RawSocketDevice({ kind: spec.type, medium: 'ip', mtu: optional(spec, 'mtu', 'number'), context }, protocols as number[]);
}

class RawSocketDevice extends QueuedDevice {
  /** Held here as long as the device is open: a collected socket closes its descriptor, even while receiving. */
  private sockets: RawSocket[];
  private unsent = 0;

  constructor(options: QueuedDeviceOptions, protocols: readonly number[]) {
    super(options);
    const raw = load();
    this.sockets = [];
    try {
      for (const protocol of protocols) {
        const socket = raw.createSocket({ protocol, bufferSize: BUFFER });
        this.sockets.push(socket);
        socket.setOption(raw.SocketLevel.IPPROTO_IP, raw.SocketOption.IP_HDRINCL, 1);
      }
    } catch (error) {
      this.close();
      throw new NetError('EPERM', 'socket', undefined, undefined, `${(error as Error).message}; raw sockets need root or CAP_NET_RAW`);
    }
  }

  get carrier(): boolean {
    return this.sockets.length > 0;
  }

  override start(events: DeviceEvents): void {
    super.start(events);
    for (const socket of this.sockets) {
      socket.on('message', (packet) => this.arrived(packet));
      socket.on('error', (error) => this.failed(new NetError('EIO', 'recv', this.kind, undefined, error.message)));
    }
  }

  transmit(packets: Packet[], count: number): number {
    const [socket] = this.sockets;
    let n = 0;
    for (; n < count; n++) {
      const packet = packets[n] as Packet;
      if (socket === undefined || packet.length < ipv4.HEADER_LEN || ipv4.version(packet.view, packet.head) !== 4) {
        this.txDropped++;
      } else if (this.unsent >= UNSENT_MAX) {
        break;
      } else {
        const octets = Buffer.allocUnsafe(packet.length);
        copyPacket(packet, octets, 0);
        const destination = formatAddress(v4(ipv4.destinationWord(packet.view, packet.head)));
        this.unsent++;
        socket.send(octets, 0, octets.length, destination, (error) => this.sent(error));
        this.txFrames++;
        this.txOctets += octets.length;
      }
      packet.release();
    }
    return n;
  }

  override close(): void {
    super.close();
    for (const socket of this.sockets.splice(0)) socket.close();
  }

  private sent(error: Error | null): void {
    if (error !== null) this.txDropped++;
    if (this.unsent-- === UNSENT_MAX) this.tell((events) => events.writable());
  }
}

function load(): RawSocketPackage {
  try {
    return createRequire(import.meta.url)('raw-socket') as RawSocketPackage;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const why =
      code === 'MODULE_NOT_FOUND'
        ? 'the npm package raw-socket is not installed: npm install raw-socket'
        : `the npm package raw-socket was not built for this Node: npm rebuild raw-socket (${message.split('\n')[0]})`;
    throw new NetError('ENOSYS', 'open', 'raw-socket', undefined, why);
  }
}
