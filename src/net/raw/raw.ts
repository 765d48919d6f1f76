import { Drop } from '../../base/drops.js';
import type { Packet } from '../../base/packet.js';
import { share } from '../../base/packet.js';
import type { Context } from '../context.js';
import type { IpLayer, RawTap } from '../ip/ip.js';
import type { IcmpError } from '../ip/service.js';
import { RawSocket } from '../socket/raw-socket.js';

/** Raw IP sockets: each sees its protocol's packets in a descriptor of its own, before the protocol does. raw(7). */
export class Raw implements RawTap {
  readonly ctx: Context;
  readonly ip: IpLayer;
  private readonly sockets: RawSocket[] = [];

  constructor(ctx: Context, ip: IpLayer) {
    this.ctx = ctx;
    this.ip = ip;
  }

  openSocket(family: 4 | 6, protocol: number): RawSocket {
    const socket = new RawSocket(this.ctx, this, family, protocol);
    this.sockets.push(socket);
    this.ip.raw = this;
    return socket;
  }

  /** Only for RawSocket.close. */
  remove(socket: RawSocket): void {
    const i = this.sockets.indexOf(socket);
    if (i >= 0) this.sockets.splice(i, 1);
    if (this.sockets.length === 0) this.ip.raw = null;
  }

  deliver(packet: Packet): boolean {
    let taken = false;
    for (const socket of this.sockets) {
      if (!socket.wants(packet)) continue;
      taken = true;
      const twin = share(packet);
      if (twin === null) {
        this.ctx.countDrop(Drop.NoBuffer);
        continue;
      }
      // Linux hands IPv4's header over with the packet and keeps IPv6's back (RFC 3542 §3).
      twin.head = twin.family === 4 ? twin.network : twin.transport;
      twin.next = null;
      socket.deliver(twin);
    }
    return taken;
  }

  error(error: IcmpError): void {
    for (const socket of this.sockets) if (socket.protocol === error.protocol) socket.icmp(error);
  }

  fail(errno: number): void {
    for (const socket of [...this.sockets]) socket.fail(errno);
  }
}
