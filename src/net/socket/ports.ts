import type { Address } from '../../base/address.js';
import { Errno } from '../../base/errors.js';
import type { Context } from '../context.js';
import type { Socket } from './socket.js';

/** A binding that may stand beside another: what SO_REUSEADDR and SO_REUSEPORT decide. */
export interface Bound extends Socket {
  readonly reuse: boolean;
}

/** Do two bindings of one port claim the same packets? An unspecified address claims all of its family; 46 claims both. */
export function overlaps(a: Socket, b: Socket): boolean {
  if (a.vrf !== b.vrf) return false;
  if (a.boundIndex !== 0 && b.boundIndex !== 0 && a.boundIndex !== b.boundIndex) return false;
  const both = (version: 4 | 6): boolean => claims(a, version) && claims(b, version);
  if (!both(4) && !both(6)) return false;
  return a.localAddress.isUnspecified || b.localAddress.isUnspecified || a.localAddress.equals(b.localAddress);
}

/** Can packets of a family be for the binding? One for both families with an address has that address's alone. */
function claims({ family, localAddress }: Socket, version: 4 | 6): boolean {
  if (family !== 46) return family === version;
  return localAddress.isUnspecified || localAddress.isV4 === (version === 4);
}

/** UDP's ports of one stack: sockets by port, few to each. */
export class Ports<T extends Bound> {
  private readonly ctx: Context;
  private readonly table = new Map<number, T[]>();

  constructor(ctx: Context) {
    this.ctx = ctx;
  }

  at(port: number): readonly T[] | undefined {
    return this.table.get(port);
  }

  /** Binds `socket`, whose local address is set, to `port` or, for 0, to a free ephemeral one (RFC 6056 §3.3.1). 0 or a negative errno. */
  bind(socket: T, port: number): number {
    if (port !== 0) return this.conflict(socket, port) ? -Errno.EADDRINUSE : this.insert(socket, port);
    const v = this.ctx.sysctl.v;
    const low = v['net.ipv4.ip_local_port_range_low'];
    const count = Math.max(1, v['net.ipv4.ip_local_port_range_high'] - low + 1);
    const first = this.ctx.prng.below(count);
    for (let i = 0; i < count; i++) {
      const candidate = low + ((first + i) % count);
      if (!this.table.has(candidate)) return this.insert(socket, candidate);
    }
    return -Errno.EADDRINUSE;
  }

  private conflict(socket: T, port: number): boolean {
    return this.table.get(port)?.some((other) => overlaps(socket, other) && !(socket.reuse && other.reuse)) ?? false;
  }

  private insert(socket: T, port: number): number {
    const chain = this.table.get(port);
    if (chain === undefined) this.table.set(port, [socket]);
    else chain.push(socket);
    socket.localPort = port;
    return 0;
  }

  remove(socket: T): void {
    const chain = this.table.get(socket.localPort);
    const i = chain?.indexOf(socket) ?? -1;
    if (chain === undefined || i < 0) return;
    chain.splice(i, 1);
    if (chain.length === 0) this.table.delete(socket.localPort);
  }

  *all(): Generator<T> {
    for (const chain of this.table.values()) yield* chain;
  }
}

/** Can a socket of `family` speak to `address`? */
export const reaches = (family: 4 | 6 | 46, address: Address): boolean => (address.isV4 ? family !== 6 : family !== 4);
