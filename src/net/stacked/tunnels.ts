// hot: bench/packet
import { type Address, mixAddress } from '../../base/address.js';
import { Drop } from '../../base/drops.js';
import { errnoName, NetError } from '../../base/errors.js';
import { Checksum, type Packet } from '../../base/packet.js';
import * as greWire from '../../wire/gre.js';
import { Protocol } from '../../wire/protocol.js';
import { finishChecksum } from '../../wire/segment.js';
import * as vxlanWire from '../../wire/vxlan.js';
import type { IcmpError } from '../ip/service.js';
import type { UdpSocket } from '../socket/udp-socket.js';
import type { Udp } from '../udp/udp.js';
import { GreTunnel } from './gre.js';
import type { IpTunnel } from './ip-tunnel.js';
import type { TunnelDevice, TunnelGround } from './tunnel.js';
import { VxlanTunnel } from './vxlan.js';

/** Tunnels of one stack; more are refused. */
export const TUNNELS_MAX = 4_096;

/** Where GRE's key and VXLAN's identifier stand for none. */
const NO_KEY = -1;

/** The UDP socket that VXLANs of one port share. */
interface Port {
  readonly socket: UdpSocket;
  users: number;
}

/** All tunnels of one stack by their ends: hands what comes in to the one it is for. A protocol is taken only while it has a tunnel. */
export class Tunnels {
  readonly ground: TunnelGround;
  private readonly udp: Udp;
  private readonly byEnds = new Map<number, TunnelDevice[]>();
  private readonly ports = new Map<string, Port>();
  private size = 0;

  constructor(ground: TunnelGround, udp: Udp) {
    this.ground = ground;
    this.udp = udp;
  }

  /** NetError EEXIST for a tunnel of the same kind, ends and key, ENOBUFS at the bound, EADDRINUSE for a UDP port that is taken. */
  add(device: TunnelDevice): void {
    const { local, remote, vrf } = device.options;
    if (this.size >= TUNNELS_MAX) throw new NetError('ENOBUFS', 'tunnel', `${remote}`);
    if (local.isV4 !== remote.isV4) throw new NetError('EINVAL', 'tunnel', `${remote}`, undefined, 'both ends are to be of one family');
    if (this.find(device.kind, local, remote, vrf, keyOf(device)) !== null) throw new NetError('EEXIST', 'tunnel', `${remote}`);
    if (device instanceof VxlanTunnel) this.open(device);
    const hash = hashOf(local, remote, vrf, keyOf(device));
    const chain = this.byEnds.get(hash);
    if (chain === undefined) this.byEnds.set(hash, [device]);
    else chain.push(device);
    this.size++;
    this.register();
  }

  remove(device: TunnelDevice): void {
    const { local, remote, vrf } = device.options;
    const hash = hashOf(local, remote, vrf, keyOf(device));
    const chain = (this.byEnds.get(hash) ?? []).filter((other) => other !== device);
    if (chain.length === 0) this.byEnds.delete(hash);
    else this.byEnds.set(hash, chain);
    this.size--;
    if (device instanceof VxlanTunnel) this.close(device);
    this.register();
  }

  /** Without a tunnel of it a protocol is nobody's, and its senders are told so. */
  private register(): void {
    const { transports } = this.ground.ip;
    const kinds = new Set([...this.byEnds.values()].flat().map(({ kind }) => kind));
    const error = (e: IcmpError): void => this.error(e);
    const ip = kinds.has('ip') ? { input: (packet: Packet) => this.ipInput(packet), error } : null;
    transports[Protocol.Ipip] = ip;
    transports[Protocol.Ipv6] = ip;
    transports[Protocol.Gre] = kinds.has('gre') ? { input: (packet: Packet) => this.greInput(packet), error } : null;
  }

  private find(kind: string, local: Address, remote: Address, vrf: number, key: number): TunnelDevice | null {
    const chain = this.byEnds.get(hashOf(local, remote, vrf, key));
    if (chain === undefined) return null;
    for (const device of chain) {
      const { options } = device;
      if (device.kind === kind && options.vrf === vrf && keyOf(device) === key && options.remote.equals(remote) && options.local.equals(local))
        return device;
    }
    return null;
  }

  /** The tunnel whose far end sent this. */
  private of(kind: string, packet: Packet, key: number): TunnelDevice | null {
    const device = this.find(kind, packet.destination, packet.source, this.ground.ip.vrfOf(packet.inIndex), key);
    if (device === null) this.ground.ctx.drop(packet, Drop.TunnelUnknown);
    return device;
  }

  private ipInput(packet: Packet): void {
    const device = this.of('ip', packet, NO_KEY) as IpTunnel | null;
    device?.input(packet);
  }

  private greInput(given: Packet): void {
    // A host on the other end of a TAP may leave GRE's own checksum to us, as it does with those of TCP and UDP.
    const unfinished = given.checksum === Checksum.Partial && given.csumStart === given.head;
    const packet = unfinished ? this.ground.ctx.unshare(given) : given;
    if (packet === null) return;
    if (unfinished) finishChecksum(packet);
    const { view, head } = packet;
    const reason = greWire.check(view, head, packet.tail);
    if (reason !== 0) {
      this.ground.ctx.drop(packet, reason);
      return;
    }
    const device = this.of('gre', packet, greWire.key(view, head)) as GreTunnel | null;
    device?.input(packet);
  }

  private vxlanInput(packet: Packet): void {
    const { view, head } = packet;
    const reason = vxlanWire.check(view, head, packet.tail);
    if (reason !== 0) {
      this.ground.ctx.drop(packet, reason);
      return;
    }
    const device = this.of('vxlan', packet, vxlanWire.vni(view, head)) as VxlanTunnel | null;
    device?.input(packet);
  }

  /** An ICMP error about an outer packet. Only too-big is believed, for a tunnel that is there (RFC 2003 §4, §5.1). */
  private error(error: IcmpError): void {
    if (error.kind !== 'too-big' || error.mtu === 0) return;
    for (const chain of this.byEnds.values()) {
      if (!chain.some(({ options }) => options.local.equals(error.source) && options.remote.equals(error.destination))) continue;
      this.ground.ip.learnMtu(error.destination, error.inIndex, error.mtu);
      return;
    }
  }

  private open({ port, options }: VxlanTunnel): void {
    const name = portName(port, options.local, options.vrf);
    const there = this.ports.get(name);
    if (there !== undefined) {
      there.users++;
      return;
    }
    const socket = this.udp.openSocket(options.local.isV4 ? 4 : 6);
    socket.vrf = options.vrf;
    const result = socket.bind(null, port);
    if (result < 0) {
      socket.close();
      throw new NetError(errnoName(result), 'bind', `${options.local}`, port);
    }
    socket.encapsulation = (packet) => {
      this.vxlanInput(packet);
      return true;
    };
    this.ports.set(name, { socket, users: 1 });
  }

  private close({ port, options }: VxlanTunnel): void {
    const name = portName(port, options.local, options.vrf);
    const there = this.ports.get(name);
    if (there === undefined || --there.users > 0) return;
    there.socket.close();
    this.ports.delete(name);
  }
}

const portName = (port: number, local: Address, vrf: number): string => `${local.isV4 ? 4 : 6} ${vrf} ${port}`;

/** What tells tunnels with the same ends apart. */
function keyOf(device: TunnelDevice): number {
  if (device instanceof GreTunnel) return device.gre.key;
  return device instanceof VxlanTunnel ? device.vni : NO_KEY;
}

const hashOf = (local: Address, remote: Address, vrf: number, key: number): number =>
  mixAddress(mixAddress(Math.imul(key, 0x9e3779b1) ^ vrf, local), remote);
