import type { Interface, InterfaceAddress } from '../../net/interface.js';
import type { AdvertisementFlags } from '../../net/ipv6/advertisements.js';
import type { LinkWatcher } from '../../net/ipv6/family.js';
import type { Stack } from '../../net/stack.js';
import { Dhcp6Client } from './client.js';

/** What somebody wants of an interface's client. */
export interface Dhcp6Wish {
  /** An address where routers say so (M flag), parameters where they say that (O flag). */
  readonly automatic?: boolean;
  /** Prefixes to hand on; always asked for. */
  readonly delegation?: { readonly length?: number };
  readonly onChange?: (client: Dhcp6Client) => void;
}

/** The DHCPv6 clients of a stack: one to an interface, whatever the number of wishes. RFC 7084 WPD-4 has addresses and prefixes asked for together. */
export class Dhcp6Clients implements LinkWatcher {
  private readonly core: Stack;
  private readonly wishes = new Map<Interface, Map<string, Dhcp6Wish>>();
  private readonly flags = new Map<Interface, AdvertisementFlags>();
  private readonly running = new Map<Interface, { readonly client: Dhcp6Client; readonly shape: string }>();

  constructor(core: Stack) {
    this.core = core;
  }

  /** Adds or replaces the wish of `owner`. */
  want(iface: Interface, owner: string, wish: Dhcp6Wish): void {
    this.core.v6.watchers.add(this);
    const all = this.wishes.get(iface) ?? new Map<string, Dhcp6Wish>();
    this.wishes.set(iface, all.set(owner, wish));
    this.review(iface);
  }

  unwant(iface: Interface, owner: string): void {
    const all = this.wishes.get(iface);
    all?.delete(owner);
    if (all?.size === 0) this.wishes.delete(iface);
    this.review(iface);
  }

  at(iface: Interface): Dhcp6Client | null {
    return this.running.get(iface)?.client ?? null;
  }

  /** Starts, replaces or ends the client as the wishes and the routers' flags ask for. */
  private review(iface: Interface): void {
    const wishes = [...(this.wishes.get(iface)?.values() ?? [])];
    const flags = this.flags.get(iface);
    const automatic = wishes.some((w) => w.automatic === true);
    const delegation = wishes.find((w) => w.delegation !== undefined)?.delegation;
    const address = automatic && flags?.managed === true;
    const stateless = automatic && flags?.other === true && !address && delegation === undefined;
    const shape = address || delegation !== undefined || stateless ? JSON.stringify({ address, delegation, stateless }) : '';
    const now = this.running.get(iface);
    if ((now?.shape ?? '') === shape) return;
    now?.client.close();
    this.running.delete(iface);
    if (shape === '') return;
    const onChange = (client: Dhcp6Client): void => {
      for (const wish of this.wishes.get(iface)?.values() ?? []) wish.onChange?.(client);
    };
    const client = new Dhcp6Client(this.core, iface, { address, stateless, onChange, ...(delegation === undefined ? {} : { delegation }) });
    this.running.set(iface, { client, shape });
  }

  advertised(iface: Interface, flags: AdvertisementFlags): void {
    const before = this.flags.get(iface);
    this.flags.set(iface, flags);
    if (this.wishes.has(iface) && (before?.managed !== flags.managed || before.other !== flags.other)) this.review(iface);
  }

  linkUp(iface: Interface): void {
    this.at(iface)?.linkUp();
  }

  duplicate(address: InterfaceAddress): void {
    if (address.origin === 'dhcp') this.at(address.iface)?.conflict(address.address);
  }

  close(): void {
    this.core.v6.watchers.delete(this);
    for (const { client } of this.running.values()) client.close();
    this.running.clear();
    this.wishes.clear();
  }
}
