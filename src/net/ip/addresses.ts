import { type Address, formatPrefix, type Prefix } from '../../base/address.js';
import { NetError } from '../../base/errors.js';
import type { Interface, InterfaceAddress } from '../interface.js';
import type { Arp } from '../link/arp.js';
import type { IpLayer } from './ip.js';
import { MAIN_TABLE } from './route.js';

/** What a family does when an address comes or goes: ARP claims, ND's duplicate detection, solicited-node groups. */
export interface Claims {
  claim(address: InterfaceAddress): void;
  abandon(address: InterfaceAddress): void;
}

/** The addresses of all interfaces: adding one makes it ours, its prefix on-link, and known to neighbours. */
export class Addresses {
  private readonly ip: IpLayer;
  private readonly arp: Arp;
  /** ND's side; null without IPv6. */
  nd: Claims | null = null;

  constructor(ip: IpLayer, arp: Arp) {
    this.ip = ip;
    this.arp = arp;
  }

  /** Throws EEXIST when the interface has it. `tentative`: probe for it first. */
  add(iface: Interface, prefix: Prefix, origin: InterfaceAddress['origin'], tentative = false): InterfaceAddress {
    const { address, length } = prefix;
    const text = formatPrefix(address, length);
    if (address.isMulticast || address.isUnspecified || address.isLimitedBroadcast) throw new NetError('EINVAL', 'addr add', text);
    if (iface.addresses.some((a) => a.address.equals(address))) throw new NetError('EEXIST', 'addr add', text);
    const resolves = iface.medium === 'ethernet';
    const entry: InterfaceAddress = {
      address: address.clone(),
      length,
      iface,
      state: tentative && resolves ? 'tentative' : 'preferred',
      origin,
      broadcast: address.isV4 && length < 31 && iface.medium !== 'loopback' ? broadcastOf(address, length) : 0,
    };
    iface.addresses.push(entry);
    this.ip.locals.add(entry);
    if (iface.medium !== 'loopback') this.connect(entry);
    if (resolves) (address.isV4 ? this.arp : this.nd)?.claim(entry);
    this.ip.routes.invalidate();
    return entry;
  }

  /** False when the interface does not have it. */
  remove(iface: Interface, address: Address): boolean {
    const i = iface.addresses.findIndex((a) => a.address.equals(address));
    if (i < 0) return false;
    const [entry] = iface.addresses.splice(i, 1) as [InterfaceAddress];
    this.ip.locals.remove(entry);
    (address.isV4 ? this.arp : this.nd)?.abandon(entry);
    const stays = iface.addresses.some((a) => a.length === entry.length && a.address.isV4 === address.isV4 && samePrefixOf(a, entry));
    if (!stays) {
      this.ip.routes.remove((r) => r.protocol === 'kernel' && r.index === iface.index && r.length === entry.length && r.gateway === null && r.source?.equals(address) === true);
    }
    this.ip.routes.invalidate();
    return true;
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

function samePrefixOf(a: InterfaceAddress, b: InterfaceAddress): boolean {
  return a.address.isV4 ? a.length === 0 || (a.address.w3 ^ b.address.w3) >>> (32 - a.length) === 0 : false;
}
