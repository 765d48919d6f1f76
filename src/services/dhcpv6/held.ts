import type { Address } from '../../base/address.js';
import { type Micros, NEVER, seconds } from '../../base/time.js';
import type { Interface, InterfaceAddress } from '../../net/interface.js';
import type { Stack } from '../../net/stack.js';
import * as wire from '../../wire/dhcpv6.js';

/** Leases of one client; more are not believed. */
const LEASES_MAX = 32;

/** A lease in use: an address (length 128), or a prefix to hand on. */
export interface Dhcp6Lease {
  readonly address: Address;
  readonly length: number;
  readonly delegation: boolean;
  preferredUntil: Micros;
  validUntil: Micros;
}

/** The leases of one client, its addresses on the interface. */
export class HeldLeases {
  private readonly core: Stack;
  private readonly iface: Interface;
  all: readonly Dhcp6Lease[] = [];

  constructor(core: Stack, iface: Interface) {
    this.core = core;
    this.iface = iface;
  }

  /** RFC 9915 §18.2.10.1: a lease granted or extended; one of no time is taken back. */
  grant(delegation: boolean, { address, length, preferred, valid }: wire.Dhcp6Lease): void {
    const known = this.all.find((l) => l.delegation === delegation && l.length === length && l.address.equals(address));
    if (valid === 0) {
      if (known !== undefined) this.lose(known);
      return;
    }
    if (known === undefined && (this.all.length >= LEASES_MAX || !isUnicast(address))) return;
    const { now } = this.core.ctx;
    const until = (n: number): Micros => (n === wire.FOREVER ? NEVER : now + seconds(n));
    const lease: Dhcp6Lease = known ?? { address, length, delegation, preferredUntil: 0, validUntil: 0 };
    lease.preferredUntil = until(preferred);
    lease.validUntil = until(valid);
    if (known === undefined) this.all = [...this.all, lease];
    if (!delegation) this.configure(lease);
  }

  /** The address on the interface; on-link is what routers say, not this. One given by hand stays as it is. */
  private configure(lease: Dhcp6Lease): void {
    const { core, iface } = this;
    if (iface.addresses.every((a) => !a.address.equals(lease.address))) {
      const probes = iface.conf6.dad_transmits > 0;
      core.addresses.add(iface, { address: lease.address, length: 128 }, 'dhcp', probes, { onLink: false });
    }
    this.age(lease);
  }

  private own(lease: Dhcp6Lease): InterfaceAddress | null {
    return this.iface.addresses.find((a) => a.origin === 'dhcp' && a.address.equals(lease.address)) ?? null;
  }

  private age(lease: Dhcp6Lease): void {
    const own = this.own(lease);
    if (own === null) return;
    own.preferredUntil = lease.preferredUntil;
    own.validUntil = lease.validUntil;
    if (own.state === 'preferred' || own.state === 'deprecated') own.state = lease.preferredUntil > this.core.ctx.now ? 'preferred' : 'deprecated';
    this.core.addresses.changed();
  }

  lose(lease: Dhcp6Lease): void {
    this.all = this.all.filter((l) => l !== lease);
    if (!lease.delegation && this.own(lease) !== null) this.core.addresses.remove(this.iface, lease.address);
  }

  loseAll(): void {
    for (const lease of this.all) this.lose(lease);
  }

  /** Leases whose time is over go, others may be deprecated now. True when some went. */
  expire(): boolean {
    const { now } = this.core.ctx;
    const gone = this.all.filter((l) => l.validUntil <= now);
    for (const lease of gone) this.lose(lease);
    for (const lease of this.all) if (!lease.delegation) this.age(lease);
    return gone.length > 0;
  }

  /** The end of the last one. */
  get lastValid(): Micros {
    return Math.max(...this.all.map((l) => l.validUntil));
  }

  /** The end of the shortest preferred lifetime. */
  get firstPreferred(): Micros {
    return Math.min(...this.all.map((l) => l.preferredUntil));
  }
}

const isUnicast = (a: Address): boolean => !a.isLinkLocal && !a.isMulticast && !a.isUnspecified && !a.isLoopback && !a.isV4;
