/**
 * A stack behind the host's UDP sockets, without any privilege: an IP medium on which only UDP passes, each port of the stack by a
 * socket of the host. To the outside it is a NAT; IKE finds it out and sends ESP in UDP, and so a program has its own VPN.
 */
import { createSocket, type Socket } from 'node:dgram';
import { formatAddress, parseAddress, v4 } from '../base/address.js';
import { ConfigError } from '../base/errors.js';
import { copyPacket, type Packet } from '../base/packet.js';
import * as ipv4 from '../wire/ipv4.js';
import { Protocol } from '../wire/protocol.js';
import * as udp from '../wire/udp.js';
import type { DeviceContext } from './device-context.js';
import { checkKeys, optional } from './device-spec.js';
import type { Device, DeviceEvents, DeviceSpec } from './hypercalls.js';
import { QueuedDevice } from './queued-device.js';

/** What a configuration says of it. */
export interface UdpNatSpec extends DeviceSpec {
  readonly type: 'udp-nat';
  /** The stack's own address on it: where datagrams for published ports go. */
  readonly address: string;
  /** Default 1,400: what most paths carry when a VPN's headers are on it. */
  readonly mtu?: number;
  /** Ports of the stack that are to be reached from outside, with the host's ports for them: { "4500": 14500 }. Others get one of the system's choice. */
  readonly publish?: Readonly<Record<string, number>>;
  /** Peers that are elsewhere than they are said to be: { "192.0.2.1:500": "127.0.0.1:15500" }. */
  readonly map?: Readonly<Record<string, string>>;
  /** What the host's own loopback address is called inside, where it means the stack itself. */
  readonly loopbackAs?: string;
}

/** Ports with a socket; the datagram that would need one more is lost. */
const SOCKETS_MAX = 64;
const HEADERS = ipv4.HEADER_LEN + udp.HEADER_LEN;
const TTL = 64;

/** Throws ConfigError for addresses that are none. */
export function openUdpNat(spec: DeviceSpec, context: DeviceContext): UdpNatDevice {
  checkKeys(spec, ['type', 'address', 'mtu', 'publish', 'map', 'loopbackAs']);
  return new UdpNatDevice(spec as UdpNatSpec, optional(spec, 'mtu', 'number') ?? 1_400, context);
}

/** One port of the stack. */
interface Mapping {
  readonly socket: Socket;
  readonly port: number;
}

/** Loses whatever is not a whole UDP datagram of IPv4. */
export class UdpNatDevice extends QueuedDevice implements Device {
  readonly carrier = true;
  private readonly mappings = new Map<number, Mapping>();
  private readonly out = new Map<string, string>();
  private readonly back = new Map<string, string>();
  private readonly publish: ReadonlyMap<number, number>;
  private readonly loopback: string | null;
  private readonly address: number;

  constructor(spec: UdpNatSpec, mtu: number, context: DeviceContext) {
    super({ kind: spec.type, medium: 'ip', mtu, context });
    this.publish = new Map(Object.entries(spec.publish ?? {}).map(([port, host]) => [Number(port), host]));
    for (const [inside, outside] of Object.entries(spec.map ?? {})) {
      for (const place of [inside, outside]) placeOf(place);
      this.out.set(inside, outside);
      this.back.set(outside, inside);
    }
    const own = parseAddress(spec.address ?? '');
    if (own?.isV4 !== true) throw new ConfigError(`udp-nat device: address '${spec.address}' is no IPv4 address`);
    this.address = own.w3;
    this.loopback = spec.loopbackAs ?? null;
    if (this.loopback !== null && parseAddress(this.loopback)?.isV4 !== true)
      throw new ConfigError(`udp-nat device: loopbackAs '${this.loopback}' is no IPv4 address`);
  }

  override start(events: DeviceEvents): void {
    super.start(events);
    for (const port of this.publish.keys()) this.mapping(port);
  }

  transmit(packets: Packet[], count: number): number {
    for (let i = 0; i < count; i++) {
      const packet = packets[i] as Packet;
      if (!this.send(packet)) this.txDropped++;
      packet.release();
    }
    return count;
  }

  private send(packet: Packet): boolean {
    const frame = Buffer.allocUnsafe(packet.length);
    copyPacket(packet, frame, 0);
    const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
    if (ipv4.check(view, 0, frame.length) !== 0 || ipv4.protocol(view, 0) !== Protocol.Udp || ipv4.isFragment(view, 0)) return false;
    const at = ipv4.headerLength(view, 0);
    if (udp.check(view, at, frame.length) !== 0) return false;
    const mapping = this.mapping(udp.sourcePort(view, at));
    if (mapping === null) return false;
    const inside = `${formatAddress(v4(ipv4.destinationWord(view, 0)))}:${udp.destinationPort(view, at)}`;
    const { address, port } = placeOf(this.out.get(inside) ?? inside);
    this.txFrames++;
    this.txOctets += frame.length;
    const host = address === this.loopback ? '127.0.0.1' : address;
    mapping.socket.send(frame.subarray(at + udp.HEADER_LEN, at + udp.length(view, at)), port, host, (error) => {
      if (error !== null) this.txDropped++;
    });
    return true;
  }

  private mapping(port: number): Mapping | null {
    const known = this.mappings.get(port);
    if (known !== undefined) return known;
    if (this.mappings.size === SOCKETS_MAX) return null;
    const mapping: Mapping = { socket: createSocket('udp4'), port };
    this.mappings.set(port, mapping);
    mapping.socket.on('message', (data, from) => this.received(mapping, data, from.address, from.port));
    mapping.socket.on('error', () => {
      // One port is lost, not the device: the next datagram tries anew.
      this.mappings.delete(port);
      mapping.socket.close();
      this.txDropped++;
    });
    mapping.socket.bind(this.publish.get(port) ?? 0, () => mapping.socket.unref());
    return mapping;
  }

  private received(mapping: Mapping, data: Uint8Array, address: string, port: number): void {
    const outside = `${address}:${port}`;
    const { address: text, port: from } = placeOf(this.back.get(outside) ?? outside);
    const source = parseAddress(text === '127.0.0.1' && this.loopback !== null ? this.loopback : text);
    if (source === null || data.length + HEADERS > 65_535) {
      this.rxDropped++;
      return;
    }
    const frame = new Uint8Array(HEADERS + data.length);
    const view = new DataView(frame.buffer);
    ipv4.put(view, 0, 0, frame.length, 0, 0, TTL, Protocol.Udp, source.w3, this.address);
    udp.put(view, ipv4.HEADER_LEN, from, mapping.port, udp.HEADER_LEN + data.length, 0);
    frame.set(data, HEADERS);
    this.arrived(frame);
  }

  override close(): void {
    super.close();
    for (const { socket } of this.mappings.values()) socket.close();
    this.mappings.clear();
  }
}

/** 'address:port' of IPv4. */
function placeOf(text: string): { address: string; port: number } {
  const [, address = '', port = ''] = /^([\d.]+):(\d+)$/.exec(text) ?? [];
  if (parseAddress(address) === null || Number(port) > 65_535) throw new ConfigError(`udp-nat device: '${text}' is no IPv4 address with a port`);
  return { address, port: Number(port) };
}
