import { formatAddress } from '../base/address.js';
import { dropNames } from '../base/drops.js';
import { counterNames } from '../net/counters.js';
import type { Socket } from '../net/socket/socket.js';
import type { Stack } from '../net/stack.js';
import type { Flowing } from '../net/tcp/demux.js';
import type { TcpInfo } from '../net/tcp/info.js';
import { connectionInfo } from '../net/tcp/info-of.js';
import { stateNames } from '../net/tcp/states.js';
import { Tcb } from '../net/tcp/tcb.js';
import { TimeWait } from '../net/tcp/time-wait.js';

/** One socket as `ss` tells it. */
export interface SocketInfo {
  readonly kind: 'tcp' | 'udp' | 'raw' | 'packet';
  /** RFC 9293's name for TCP; 'UNCONN' and 'ESTAB' else, as ss prints them. */
  readonly state: string;
  /** Octets that wait to be read, and that wait to be acknowledged or sent. */
  readonly receiveQueue: number;
  readonly sendQueue: number;
  readonly localAddress: string;
  readonly localPort: number;
  readonly remoteAddress: string | null;
  readonly remotePort: number | null;
  /** The interface it is bound to, null for any. */
  readonly dev: string | null;
  readonly vrf: number;
  /** Of a TCP connection. */
  readonly info?: TcpInfo;
}

/** Counters by name, and drops by reason; zeros left out unless asked for. */
export interface CounterTable {
  readonly counters: Readonly<Record<string, number>>;
  readonly drops: Readonly<Record<string, number>>;
  /** Packets and slots held now: a stack at rest holds none but what sockets keep. */
  readonly held: { readonly packets: number; readonly slots: number; readonly chunks: number };
}

/** All sockets, TCP's connections that no program has any more included. */
export function ss(core: Stack): SocketInfo[] {
  return [
    ...tcpSockets(core),
    ...[...core.udp.ports.all()].map((socket) => row(core, socket, socket.connected ? 'ESTAB' : 'UNCONN', socket.queue.charged, 0)),
  ];
}

function tcpSockets(core: Stack): SocketInfo[] {
  const listening = core.tcp.listeners.all().map(({ socket, waiting }) => row(core, socket, 'LISTEN', waiting, 0));
  return [...listening, ...core.tcp.flows.all().map((flow) => flowRow(core, flow))];
}

/** A connection, or what is left of one. */
function flowRow(core: Stack, flow: Flowing): SocketInfo {
  const ends = {
    localAddress: formatAddress(flow.local),
    localPort: flow.localPort,
    remoteAddress: formatAddress(flow.remote),
    remotePort: flow.remotePort,
    vrf: flow.vrf,
  };
  if (!(flow instanceof Tcb))
    return { kind: 'tcp', state: flow instanceof TimeWait ? 'TIME-WAIT' : 'SYN-RECEIVED', receiveQueue: 0, sendQueue: 0, ...ends, dev: null };
  const dev = core.interfaces.at(flow.socket?.boundIndex ?? 0)?.name ?? null;
  const state = stateNames[flow.state] as string;
  return {
    kind: 'tcp',
    state,
    receiveQueue: flow.receiveBuffer?.available ?? 0,
    sendQueue: flow.sendBuffer?.octets ?? 0,
    ...ends,
    dev,
    info: connectionInfo(flow),
  };
}

function row(core: Stack, socket: Socket, state: string, receiveQueue: number, sendQueue: number): SocketInfo {
  const connected = socket.remotePort !== 0;
  return {
    kind: socket.kind,
    state,
    receiveQueue,
    sendQueue,
    localAddress: formatAddress(socket.localAddress),
    localPort: socket.localPort,
    remoteAddress: connected ? formatAddress(socket.remoteAddress) : null,
    remotePort: connected ? socket.remotePort : null,
    dev: core.interfaces.at(socket.boundIndex)?.name ?? null,
    vrf: socket.vrf,
  };
}

/** Everything counted since the stack started. */
export function nstat(core: Stack, { zeros = false }: { readonly zeros?: boolean } = {}): CounterTable {
  const { counters, pool, slab, big, chunks } = core.ctx;
  const wanted = ([, n]: readonly [string, number]): boolean => zeros || n !== 0;
  return {
    counters: Object.fromEntries(counterNames.map((name, i) => [name, counters.values[i] as number] as const).filter(wanted)),
    drops: Object.fromEntries(
      dropNames.map((name, i) => [name, counters.drops[i] as number] as const).filter((entry) => entry[0] !== 'None' && wanted(entry)),
    ),
    held: { packets: pool.held, slots: slab.held + big.held, chunks: chunks.held },
  };
}
