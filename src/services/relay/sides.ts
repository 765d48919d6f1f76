import type { Socket as Datagrams } from 'node:dgram';
import type { Server, Socket } from 'node:net';
import { createDgram } from '../../api/dgram.js';
import { HostSocket, hostDatagrams, hostListen, hostLookup } from '../../api/host.js';
import type { Lookup } from '../../api/lookup.js';
import { createNet } from '../../api/net.js';
import type { Stack } from '../../net/stack.js';
import type { SideName } from './place.js';

/** One of two networks, in Node's shapes. */
export interface Side {
  /** A connection under way; either end may stop sending before the other. */
  dial(host: string, port: number): Socket;
  /** Lets a server listen here. Errors, a taken port among them, come as its 'error'. */
  listen(server: Server, address: string, port: number): void;
  datagrams(six: boolean): Datagrams;
  readonly lookup: Lookup;
}

/** Both networks by name. */
export type Sides = Readonly<Record<SideName, Side>>;

/** `lookup`: the stack's names. The host's are asked for what the host dials. */
export function createSides(core: Stack, lookup: Lookup): Sides {
  const net = createNet(core, { lookup });
  const dgram = createDgram(core, { lookup });
  return {
    stack: {
      dial: (host, port) => net.connect({ host, port, allowHalfOpen: true }),
      listen: (server, address, port) => void net.adopt(server).listen(port, address),
      datagrams: (six) => dgram.createSocket({ type: six ? 'udp6' : 'udp4', ...(six ? { ipv6Only: true } : {}) }) as unknown as Datagrams,
      lookup,
    },
    host: {
      dial: (host, port) => new HostSocket({ allowHalfOpen: true }).connect({ host, port, lookup: hostLookup as never }),
      listen: (server, address, port) => void hostListen.call(server, { port, host: address }),
      datagrams: (six) => hostDatagrams({ type: six ? 'udp6' : 'udp4', ...(six ? { ipv6Only: true } : {}) }),
      lookup: hostLookup as Lookup,
    },
  };
}
