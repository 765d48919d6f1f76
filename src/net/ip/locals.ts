import { type Address, mixAddress } from '../../base/address.js';
import type { InterfaceAddress } from '../interface.js';

/** Our own unicast addresses of all interfaces, by hash. Only we fill it, so the hash needs no secret. */
export class Locals {
  private readonly table = new Map<number, InterfaceAddress[]>();

  add(entry: InterfaceAddress): void {
    const key = mixAddress(entry.iface.vrf, entry.address);
    const chain = this.table.get(key);
    if (chain === undefined) this.table.set(key, [entry]);
    else chain.push(entry);
  }

  remove(entry: InterfaceAddress): void {
    const key = mixAddress(entry.iface.vrf, entry.address);
    const chain = this.table.get(key);
    const i = chain?.indexOf(entry) ?? -1;
    if (chain === undefined || i < 0) return;
    chain.splice(i, 1);
    if (chain.length === 0) this.table.delete(key);
  }

  /** The entry for an address in a VRF; on interface `index` unless that is 0. */
  find(address: Address, vrf: number, index: number): InterfaceAddress | null {
    const chain = this.table.get(mixAddress(vrf, address));
    if (chain === undefined) return null;
    for (const entry of chain) {
      if (entry.iface.vrf === vrf && entry.address.equals(address) && (index === 0 || entry.iface.index === index)) return entry;
    }
    return null;
  }
}
