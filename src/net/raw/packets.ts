import type { Packet } from '../../base/packet.js';
import type { Context } from '../context.js';
import type { Interface } from '../interface.js';
import type { Interfaces } from '../interfaces.js';
import type { Demux, FrameTap } from '../link/link.js';
import { PacketSocket } from '../socket/packet-socket.js';

/** Packet sockets: they see every frame that enters or leaves by a device, in copies, before the stack does. packet(7). */
export class Packets implements FrameTap {
  readonly transit = true;
  readonly ctx: Context;
  readonly interfaces: Interfaces;
  private readonly demux: Demux;
  private readonly sockets: PacketSocket[] = [];
  /** Who saw frames first before we did. */
  private beneath: FrameTap | null = null;

  constructor(ctx: Context, demux: Demux, interfaces: Interfaces) {
    this.ctx = ctx;
    this.demux = demux;
    this.interfaces = interfaces;
  }

  openSocket(): PacketSocket {
    const socket = new PacketSocket(this);
    this.sockets.push(socket);
    if (this.sockets.length === 1) this.install();
    return socket;
  }

  /** Only for PacketSocket.close. */
  remove(socket: PacketSocket): void {
    const i = this.sockets.indexOf(socket);
    if (i >= 0) this.sockets.splice(i, 1);
    if (this.sockets.length > 0) return;
    this.ctx.observer.sent = null;
    // Somebody who came later hands frames on to us: then we stay, and hand them on too.
    if (this.demux.tap === this) this.demux.tap = this.beneath;
  }

  private install(): void {
    this.ctx.observer.sent = (iface, packet) => this.see(iface, packet, true);
    if (this.demux.tap === this) return;
    this.beneath = this.demux.tap;
    this.demux.tap = this;
  }

  frame(iface: Interface, packet: Packet): boolean {
    this.see(iface, packet, false);
    return this.beneath?.frame(iface, packet) ?? false;
  }

  private see(iface: Interface, packet: Packet, outgoing: boolean): void {
    for (const socket of this.sockets) socket.see(iface, packet, outgoing);
  }

  fail(errno: number): void {
    for (const socket of [...this.sockets]) socket.fail(errno);
  }
}
