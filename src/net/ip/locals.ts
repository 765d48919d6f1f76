import { type Address, mixAddress } from '../../base/address.js';
import type { InterfaceAddress } from '../interface.js';

/** Our own unicast addresses of all interfaces, by hash. Only we fill it, so the hash needs no secret. */
export class Locals {
  private readonly table = new Map<number, InterfaceAddress[]>();
  /** A bit for each address by eight bits of its hash: a forwarded packet's two misses cost no look into the map. Bits stay when addresses go. */
  private readonly there = new Int32Array(8);

  add(entry: InterfaceAddress): void {
    const key = mixAddress(entry.iface.vrf, entry.address);
    this.there[(key >>> 5) & 7] = (this.there[(key >>> 5) & 7] as number) | (1 << (key & 31));
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
    const key = mixAddress(vrf, address);
    if (((this.there[(key >>> 5) & 7] as number) & (1 << (key & 31))) === 0) return null;
    const chain = this.table.get(key);
    if (chain === undefined) return null;
    for (const entry of chain) {
      if (entry.iface.vrf === vrf && entry.address.equals(address) && (index === 0 || entry.iface.index === index)) return entry;
    }
    return null;
  }
}
