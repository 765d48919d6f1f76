// hot: bench/packet
import { Drop } from '../../base/drops.js';
import type { NetError } from '../../base/errors.js';
import { Checksum, type Packet, PacketFlag, share } from '../../base/packet.js';
import { Unreachable } from '../../wire/icmpv4.js';
import { Protocol } from '../../wire/protocol.js';
import * as wire from '../../wire/udp.js';
import type { Context } from '../context.js';
import { Counter } from '../counters.js';
import type { Interface } from '../interface.js';
import type { Multicast } from '../ip/multicast.js';
import type { IcmpError, Ip, Transport } from '../ip/service.js';
import { Ports } from '../socket/ports.js';
import { UdpSocket } from '../socket/udp-socket.js';

/** Tells the sender that nobody listens; per family. Does not own the packet. */
export interface PortUnreachable {
  unreachable(packet: Packet, code: number, rest: number): void;
}

/** UDP (RFC 768, RFC 1122 §4.1). */
export class Udp implements Transport {
  readonly ctx: Context;
  readonly ip: Ip;
  readonly ports: Ports<UdpSocket>;
  /** ICMP of the two families; the code is that of port unreachable there. */
  icmp4: PortUnreachable | null = null;
  icmp6: PortUnreachable | null = null;
  /** Where sockets join groups; null: they cannot. */
  multicast: Multicast | null = null;

  constructor(ctx: Context, ip: Ip) {
    this.ctx = ctx;
    this.ip = ip;
    this.ports = new Ports(ctx);
    ip.register(Protocol.Udp, this);
  }

  openSocket(family: 4 | 6 | 46): UdpSocket {
    return new UdpSocket(this.ctx, this, family);
  }

  input(packet: Packet): void {
    const { view, head } = packet;
    const reason = wire.check(view, head, packet.tail);
    if (reason !== 0) {
      this.bad(packet, reason);
      return;
    }
    if (packet.checksum === Checksum.Unverified && !wire.verify(view, head, packet.source, packet.destination)) {
      this.bad(packet, Drop.UdpBadChecksum);
      return;
    }
    packet.sourcePort = wire.sourcePort(view, head);
    packet.destinationPort = wire.destinationPort(view, head);
    packet.tail = head + wire.length(view, head);
    const chain = this.ports.at(packet.destinationPort);
    if (packet.destination.isMulticast || packet.flags & PacketFlag.NetBroadcast) this.group(packet, chain);
    else this.unicast(packet, chain);
  }

  private bad(packet: Packet, reason: number): void {
    this.ctx.counters.count(Counter.UdpInErrors);
    this.ctx.drop(packet, reason);
  }

  private unicast(packet: Packet, chain: readonly UdpSocket[] | undefined): void {
    let best: UdpSocket | null = null;
    let bestScore = 0;
    if (chain !== undefined) {
      for (let i = 0; i < chain.length; i++) {
        const socket = chain[i] as UdpSocket;
        const score = socket.score(packet);
        if (score > bestScore) {
          best = socket;
          bestScore = score;
        }
      }
    }
    if (best === null) {
      this.ctx.counters.count(Counter.UdpNoPorts);
      const icmp = packet.family === 6 ? this.icmp6 : this.icmp4;
      icmp?.unreachable(packet, packet.family === 6 ? PORT_UNREACHABLE_6 : Unreachable.Port, 0);
      this.ctx.drop(packet, Drop.UdpNoPort);
      return;
    }
    packet.head += wire.HEADER_LEN;
    best.deliver(packet);
  }

  /** RFC 1122 §4.1.3.6: to every socket that wants the group; nobody is told when none does. */
  private group(packet: Packet, chain: readonly UdpSocket[] | undefined): void {
    packet.head += wire.HEADER_LEN;
    let taken = false;
    if (chain !== undefined) {
      for (const socket of chain) {
        if (socket.score(packet) === 0 || !socket.wantsGroup(packet)) continue;
        const twin = share(packet);
        if (twin === null) this.ctx.countDrop(Drop.NoBuffer);
        else socket.deliver(twin);
        taken = true;
      }
    }
    if (taken) packet.release();
    else {
      this.ctx.counters.count(Counter.UdpNoPorts);
      this.ctx.drop(packet, Drop.UdpNoPort);
    }
  }

  /** RFC 1122 §4.1.3.3: errors reach the socket that sent. */
  error(error: IcmpError): void {
    const chain = this.ports.at(error.sourcePort);
    if (chain === undefined) return;
    let ours = false;
    for (const socket of chain) {
      if (!socket.sent(error)) continue;
      ours = true;
      socket.icmp(error);
    }
    if (ours && error.kind === 'too-big' && error.mtu > 0) this.ip.learnMtu(error.destination, error.inIndex, error.mtu);
  }

  /** Sockets bound to the interface or to its address get the device's error. */
  interfaceDied(iface: Interface, error: NetError): void {
    for (const socket of this.ports.all()) {
      const uses = socket.boundIndex === iface.index || iface.addresses.some((a) => a.address.equals(socket.localAddress));
      if (uses) socket.fail(-error.errno);
    }
  }

  fail(errno: number): void {
    for (const socket of [...this.ports.all()]) socket.fail(errno);
  }
}

/** ICMPv6 destination unreachable, code 4: port unreachable. RFC 4443 §3.1. */
const PORT_UNREACHABLE_6 = 4;
