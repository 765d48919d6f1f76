import { interfaceNamed } from '../../api/link.js';
import { formatAddress, v4 } from '../../base/address.js';
import { type Micros, seconds } from '../../base/time.js';
import type { Interface } from '../../net/interface.js';
import type { Stack } from '../../net/stack.js';
import type { DnsSettings } from '../dns/settings.js';
import { type ClientState, DhcpClient } from './client.js';
import { DhcpServer } from './server.js';
import type { DhcpServerSpec } from './server-spec.js';

/** One client as `show` tells it. */
export interface DhcpClientInfo {
  readonly dev: string;
  readonly state: ClientState;
  /** '10.0.0.7/24', null before there is one. */
  readonly address: string | null;
  readonly server: string | null;
  /** Seconds until the lease ends; null for never, or no lease. */
  readonly expires: number | null;
  readonly renews: number | null;
}

/** One server and its leases. */
export interface DhcpServerInfo {
  readonly dev: string;
  readonly free: number;
  readonly leases: readonly { readonly address: string; readonly mac: string; readonly hostname: string; readonly expires: number | null }[];
}

/** The DHCP clients and servers of one stack, by interface. */
export class Dhcp {
  private readonly core: Stack;
  private readonly settings: DnsSettings;
  private readonly bound: () => void;
  private readonly clients = new Map<string, DhcpClient>();
  private readonly servers = new Map<string, DhcpServer>();

  /** `bound` is told when a client has a lease. */
  constructor(core: Stack, settings: DnsSettings, bound: () => void) {
    this.core = core;
    this.settings = settings;
    this.bound = bound;
  }

  /** Asks for an address on an interface, from now on. */
  start(dev: string): void {
    const iface = interfaceNamed(this.core, dev, 'dhcp');
    this.clients.set(dev, new DhcpClient(this.core, iface, this.settings, this.bound));
  }

  /** Gives the address back. */
  stop(dev: string): void {
    this.clients.get(dev)?.stop(true);
    this.clients.delete(dev);
  }

  /** Throws ConfigError with `place`, NetError EADDRINUSE. */
  serve(dev: string, spec: DhcpServerSpec, place: string): void {
    this.servers.set(dev, new DhcpServer(this.core, interfaceNamed(this.core, dev, 'dhcp'), spec, place));
  }

  endServing(dev: string): void {
    this.servers.get(dev)?.close();
    this.servers.delete(dev);
  }

  linkChanged(iface: Interface): void {
    this.clients.get(iface.name)?.linkChanged();
  }

  /** True when the interface waits for its first address. */
  pending(dev: string): boolean {
    const client = this.clients.get(dev);
    return client !== undefined && client.lease === null;
  }

  show(): { readonly clients: DhcpClientInfo[]; readonly servers: DhcpServerInfo[] } {
    const now = this.core.hyper.bootTime();
    return {
      clients: [...this.clients].map(([dev, client]) => clientInfo(dev, client, now)),
      servers: [...this.servers].map(([dev, server]) => serverInfo(dev, server, now)),
    };
  }

  /** Leases stay in the store, to be asked for again. */
  close(): void {
    for (const client of this.clients.values()) client.stop(false);
    for (const server of this.servers.values()) server.close();
    this.clients.clear();
    this.servers.clear();
  }
}

const left = (until: Micros, now: Micros): number | null =>
  until === Number.POSITIVE_INFINITY ? null : Math.max(0, Math.round((until - now) / seconds(1)));

function clientInfo(dev: string, { state, lease, began }: DhcpClient, now: Micros): DhcpClientInfo {
  if (lease === null) return { dev, state, address: null, server: null, expires: null, renews: null };
  return {
    dev,
    state,
    address: `${formatAddress(lease.address)}/${lease.length}`,
    server: formatAddress(v4(lease.server)),
    expires: left(began + lease.expire, now),
    renews: left(began + lease.renew, now),
  };
}

function serverInfo(dev: string, server: DhcpServer, now: Micros): DhcpServerInfo {
  const leases = server
    .leases()
    .map(({ address, mac, hostname, until }) => ({ address: formatAddress(v4(address)), mac, hostname, expires: left(until, now) }));
  return { dev, free: server.pool.free, leases };
}
