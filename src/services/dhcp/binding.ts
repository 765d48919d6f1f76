import { Link } from '../../api/link.js';
import type { NetError } from '../../base/errors.js';
import type { Interface } from '../../net/interface.js';
import { MAIN_TABLE } from '../../net/ip/route.js';
import type { Stack } from '../../net/stack.js';
import { DNS_PORT, type DnsSettings } from '../dns/settings.js';
import type { Lease } from './lease.js';

/** Metric of routes that DHCP told: netplan's. Static ones without a metric win. */
const METRIC = 100;

/** What a lease has put into the stack: address, routes, MTU, name servers; and how it goes away again. */
export class Binding {
  private readonly core: Stack;
  private readonly iface: Interface;
  private readonly settings: DnsSettings;
  private lease: Lease | null = null;
  private ours = false;
  private mtuBefore = 0;

  constructor(core: Stack, iface: Interface, settings: DnsSettings) {
    this.core = core;
    this.iface = iface;
    this.settings = settings;
  }

  /** Puts a lease in the place of the one before. An address that stays is not touched, so that connections live on. */
  set(lease: Lease | null): void {
    const before = this.lease;
    const stays = before !== null && lease !== null && before.address.equals(lease.address) && before.length === lease.length;
    this.clear(stays);
    this.lease = lease;
    if (lease === null) return;
    if (!stays) this.addAddress(lease);
    this.addRoutes(lease);
    this.setMtu(lease.mtu);
    const servers = lease.servers.map((address) => ({ address, port: DNS_PORT, zone: 0 }));
    this.settings.learn(this.source, { servers, search: lease.search });
  }

  private get source(): string {
    return `dhcp ${this.iface.name}`;
  }

  private clear(keepAddress: boolean): void {
    const { core, iface, lease } = this;
    if (lease === null) return;
    core.ip.routes.remove((r) => r.protocol === 'dhcp' && r.index === iface.index);
    if (!keepAddress && this.ours) core.addresses.remove(iface, lease.address);
    this.settings.learn(this.source, null);
    if (this.mtuBefore !== 0 && iface.device !== null) new Link(core).set(iface.name, { mtu: this.mtuBefore });
    this.mtuBefore = 0;
  }

  private addAddress({ address, length }: Lease): void {
    this.core.ctx.touch();
    try {
      this.core.addresses.add(this.iface, { address, length }, 'dhcp');
      this.ours = true;
    } catch (error) {
      // The configuration has the same address: it stays when the lease goes.
      if ((error as NetError).code !== 'EEXIST') throw error;
      this.ours = false;
    }
    this.core.hyper.soon();
  }

  private addRoutes({ address, routes }: Lease): void {
    const { core, iface } = this;
    for (const { to, gateway } of routes) {
      core.ip.routes.add({
        family: 4,
        prefix: to.address,
        length: to.length,
        type: 'unicast',
        index: iface.index,
        gateway,
        source: address,
        metric: METRIC,
        mtu: 0,
        table: MAIN_TABLE,
        vrf: iface.vrf,
        protocol: 'dhcp',
      });
    }
    core.ip.routes.invalidate();
  }

  private setMtu(mtu: number): void {
    const { core, iface } = this;
    const most = iface.device?.mtu ?? 0;
    if (mtu === 0 || mtu > most || mtu === iface.mtu) return;
    this.mtuBefore = iface.mtu;
    new Link(core).set(iface.name, { mtu });
  }
}
