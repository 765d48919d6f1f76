import { Address, type Prefix } from '../../base/address.js';
import type { Micros } from '../../base/time.js';
import type { Interface } from '../../net/interface.js';
import { MAIN_TABLE } from '../../net/ip/route.js';
import type { Stack } from '../../net/stack.js';
import type { Dhcp6Client } from './client.js';
import type { Dhcp6Clients } from './clients.js';
import type { Dhcp6Lease } from './held.js';

/** A downstream interface and the number of its /64 in the delegated prefix. */
export interface Downstream {
  readonly iface: Interface;
  readonly subnet: number;
}

/** Metric of the route that catches what no downstream link takes: the last of all. */
const CATCH_ALL = 0x7fff_ffff;

/**
 * Hands a delegated prefix on: each downstream interface gets the first address of its /64, from which its router advertisements
 * follow, and the rest of the prefix is unreachable, so that it does not bounce to the provider and back (RFC 7084 WPD-5, L-2).
 */
export class Delegation {
  private readonly core: Stack;
  private readonly clients: Dhcp6Clients;
  private readonly upstream: Interface;
  private readonly to: readonly Downstream[];
  private readonly given = new Map<Interface, Address>();
  private caught: Prefix | null = null;

  constructor(core: Stack, clients: Dhcp6Clients, upstream: Interface, to: readonly Downstream[], length: number) {
    this.core = core;
    this.clients = clients;
    this.upstream = upstream;
    this.to = to;
    clients.want(upstream, 'delegation', { delegation: { length }, onChange: (client) => this.changed(client) });
  }

  private changed(client: Dhcp6Client): void {
    const lease = client.leases.find((l) => l.delegation && l.length <= 64) ?? null;
    this.catch(lease);
    for (const downstream of this.to) this.assign(downstream, lease);
  }

  /** The /64 of a number, or null when the prefix is too small for it. */
  private assign({ iface, subnet }: Downstream, lease: Dhcp6Lease | null): void {
    const { addresses, v6 } = this.core;
    const wanted = lease === null ? null : subnetOf(lease, subnet);
    const before = this.given.get(iface) ?? null;
    if (before !== null && (wanted === null || !before.equals(wanted))) {
      addresses.remove(iface, before);
      this.given.delete(iface);
    }
    if (wanted !== null && lease !== null) {
      const own =
        iface.addresses.find((a) => a.address.equals(wanted)) ??
        addresses.add(iface, { address: wanted, length: 64 }, 'dhcp', iface.conf6.dad_transmits > 0);
      this.given.set(iface, wanted);
      this.age(own, lease.preferredUntil, lease.validUntil);
    }
    if (before === null ? wanted !== null : wanted === null || !before.equals(wanted)) v6.advertiser.changed(iface);
  }

  private age(own: { preferredUntil: Micros; validUntil: Micros }, preferred: Micros, valid: Micros): void {
    own.preferredUntil = preferred;
    own.validUntil = valid;
  }

  private catch(lease: Dhcp6Lease | null): void {
    const { routes } = this.core.ip;
    const route = (prefix: Prefix): Parameters<typeof routes.add>[0] => ({
      family: 6,
      prefix: prefix.address,
      length: prefix.length,
      type: 'unreachable',
      index: 0,
      gateway: null,
      source: null,
      metric: CATCH_ALL,
      mtu: 0,
      table: MAIN_TABLE,
      vrf: this.upstream.vrf,
      protocol: 'dhcp',
    });
    const same = lease !== null && this.caught !== null && this.caught.length === lease.length && this.caught.address.equals(lease.address);
    if (same) return;
    if (this.caught !== null) routes.delete(route(this.caught), (hop) => hop.protocol === 'dhcp' && hop.type === 'unreachable');
    this.caught = lease === null ? null : { address: lease.address, length: lease.length };
    if (this.caught !== null) routes.add(route(this.caught));
  }

  close(): void {
    this.clients.unwant(this.upstream, 'delegation');
    this.catch(null);
    for (const downstream of this.to) this.assign(downstream, null);
  }
}

/** The router's address in the numbered /64 of a prefix: its interface identifier is 1. */
function subnetOf({ address, length }: Dhcp6Lease, subnet: number): Address | null {
  const bits = 64 - length;
  if (bits < 32 && subnet >= 2 ** bits) return null;
  return new Address(address.w0, address.w1 | subnet, 0, 1);
}
