import { type Address, formatPrefix, type Prefix, samePrefix } from '../../base/address.js';
import { NetError } from '../../base/errors.js';
import { NEVER } from '../../base/time.js';
import type { Interface, InterfaceAddress, Station } from '../interface.js';
import type { Arp } from '../link/arp.js';
import type { IpLayer } from './ip.js';
import { MAIN_TABLE } from './route.js';

/** What a family does when an address comes or goes: ARP claims, ND's duplicate detection, solicited-node groups. */
export interface Claims {
  claim(address: InterfaceAddress): void;
  abandon(address: InterfaceAddress): void;
}

/** What is particular about an address of router advertisements. */
export interface AddressTraits {
  readonly onLink?: boolean;
  readonly temporary?: boolean;
  /** Of a virtual router. */
  readonly station?: Station;
  readonly silent?: boolean;
}

/** The addresses of all interfaces: adding one makes it ours, its prefix on-link, and known to neighbours. */
export class Addresses {
  private readonly ip: IpLayer;
  private readonly arp: Arp;
  /** ND's side; null without IPv6. */
  nd: Claims | null = null;
  /** An interface got or lost an address. */
  changedOn: ((iface: Interface) => void) | null = null;

  constructor(ip: IpLayer, arp: Arp) {
    this.ip = ip;
    this.arp = arp;
  }

  /** Throws EEXIST when the interface has it. `tentative`: probe for it first. */
  add(iface: Interface, prefix: Prefix, origin: InterfaceAddress['origin'], tentative = false, traits: AddressTraits = {}): InterfaceAddress {
    const { address, length } = prefix;
    const text = formatPrefix(address, length);
    if (address.isMulticast || address.isUnspecified || address.isLimitedBroadcast) throw new NetError('EINVAL', 'addr add', text);
    if (iface.bare) throw new NetError('EINVAL', 'addr add', text, undefined, `${iface.name} is a mirror, which shows the addresses of its port`);
    if (iface.addresses.some((a) => a.address.equals(address))) throw new NetError('EEXIST', 'addr add', text);
    const resolves = iface.medium === 'ethernet';
    const entry: InterfaceAddress = {
      address: address.clone(),
      length,
      iface,
      // Nothing of our own begins from a virtual router's address: it may be another's the next moment.
      state: tentative && resolves ? 'tentative' : origin === 'vrrp' ? 'deprecated' : 'preferred',
      origin,
      broadcast: address.isV4 && length < 31 && iface.medium !== 'loopback' ? broadcastOf(address, length) : 0,
      onLink: traits.onLink ?? true,
      temporary: traits.temporary ?? false,
      station: traits.station ?? null,
      silent: traits.silent ?? false,
      preferredUntil: NEVER,
      validUntil: NEVER,
    };
    iface.addresses.push(entry);
    this.ip.locals.add(entry);
    if (entry.onLink && iface.medium !== 'loopback') this.connect(entry);
    if (resolves) (address.isV4 ? this.arp : this.nd)?.claim(entry);
    this.ip.routes.invalidate();
    this.changedOn?.(iface);
    return entry;
  }

  /** False when the interface does not have it. */
  remove(iface: Interface, address: Address): boolean {
    const i = iface.addresses.findIndex((a) => a.address.equals(address));
    if (i < 0) return false;
    const [entry] = iface.addresses.splice(i, 1) as [InterfaceAddress];
    this.ip.locals.remove(entry);
    (address.isV4 ? this.arp : this.nd)?.abandon(entry);
    if (entry.onLink && iface.medium !== 'loopback') this.disconnect(entry);
    this.ip.routes.invalidate();
    this.changedOn?.(iface);
    return true;
  }

  /** An address of ours answers from a virtual router's station from now on, or from the interface's own again. IPv4 neighbours are told. */
  moveTo(entry: InterfaceAddress, station: Station | null): void {
    entry.station = station;
    if (!entry.address.isV4) return;
    this.arp.abandon(entry);
    this.arp.claim(entry);
  }

  /** An address became preferred or deprecated: paths choose their source anew. */
  changed(): void {
    this.ip.routes.invalidate();
  }

  /** Takes the prefix's route away, unless another address has the same prefix: then it is that one's from now on. */
  private disconnect(entry: InterfaceAddress): void {
    const { iface, address, length } = entry;
    const bits = length + (address.isV4 ? 96 : 0);
    const at = { family: address.isV4 ? (4 as const) : (6 as const), prefix: address, length, table: MAIN_TABLE, vrf: iface.vrf };
    this.ip.routes.delete(at, (hop) => hop.protocol === 'kernel' && hop.index === iface.index && hop.gateway === null);
    const heir = iface.addresses.find(
      (a) => a.onLink && a.length === length && a.address.isV4 === address.isV4 && samePrefix(a.address, address, bits),
    );
    if (heir !== undefined) this.connect(heir);
  }

  /** The prefix is on-link: a route without gateway. */
  private connect(entry: InterfaceAddress): void {
    const { iface, address, length } = entry;
    const v4 = address.isV4;
    if (length === (v4 ? 32 : 128)) return;
    this.ip.routes.add({
      family: v4 ? 4 : 6,
      prefix: address,
      length,
      type: 'unicast',
      index: iface.index,
      gateway: null,
      source: v4 ? entry.address : null,
      metric: v4 ? 0 : 256,
      mtu: 0,
      table: MAIN_TABLE,
      vrf: iface.vrf,
      protocol: 'kernel',
    });
  }
}

const broadcastOf = (address: Address, length: number): number => (length === 0 ? -1 : address.w3 | (-1 >>> length)) | 0;
