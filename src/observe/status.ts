import { Addr, type AddrInfo } from '../api/addr.js';
import { Link, type LinkInfo } from '../api/link.js';
import { Neigh, type NeighInfo } from '../api/neigh.js';
import { Route, type RouteInfo } from '../api/route.js';
import type { Stack } from '../net/stack.js';
import { type CounterTable, nstat, type SocketInfo, ss } from './tables.js';

/** All there is to see of a stack at one moment: what /status.json answers. */
export interface Status extends CounterTable {
  readonly version: 1;
  readonly name: string;
  readonly state: Stack['state'];
  /** Seconds since the epoch, and since the stack started. */
  readonly time: number;
  readonly uptime: number;
  readonly links: readonly LinkInfo[];
  readonly addresses: readonly AddrInfo[];
  readonly routes: readonly RouteInfo[];
  readonly neighbors: readonly NeighInfo[];
  readonly sockets: readonly SocketInfo[];
}

/** `started` is the stack's monotonic time at its start. */
export function statusOf(core: Stack, started: number): Status {
  return {
    version: 1,
    name: core.ctx.name,
    state: core.state,
    time: core.hyper.wallClock() / 1e6,
    uptime: (core.hyper.monotonic() - started) / 1e6,
    links: new Link(core).show(),
    addresses: new Addr(core).show(),
    routes: new Route(core).show(),
    neighbors: new Neigh(core).show(),
    sockets: ss(core),
    ...nstat(core),
  };
}
