import { type Address, formatAddress, parseAddress } from '../base/address.js';
import { NetError } from '../base/errors.js';
import type { Interface } from '../net/interface.js';
import { type Neighbor, neighborStateNames } from '../net/link/neighbor.js';
import type { NeighborTable } from '../net/link/neighbor-table.js';
import type { Stack } from '../net/stack.js';
import { formatMac, parseMac } from '../wire/ethernet.js';
import { interfaceNamed } from './link.js';

/** A neighbour by hand. */
export interface NeighborSpec {
  readonly to: string;
  /** Its station address. */
  readonly lladdr: string;
  readonly dev: string;
}

/** One neighbour as `neigh show` tells it. */
export interface NeighInfo {
  readonly to: string;
  readonly dev: string;
  /** Null while it is not known. */
  readonly lladdr: string | null;
  readonly state: (typeof neighborStateNames)[number];
  readonly router: boolean;
  /** Packets that wait for its address. */
  readonly waiting: number;
}

/** `stack.neigh`: link addresses of neighbours, both families. */
export class Neigh {
  private readonly core: Stack;

  constructor(core: Stack) {
    this.core = core;
  }

  show(dev?: string): NeighInfo[] {
    const interfaces = dev === undefined ? [...this.core.interfaces] : [interfaceNamed(this.core, dev, 'neigh show')];
    return interfaces.flatMap((iface) => [...(iface.neighbors?.entries() ?? [])].map((n) => neighInfo(iface, n)));
  }

  /** An entry that is not asked for and does not expire; replaces what was learned. NetError EEXIST when there is one by hand already. */
  add(to: string, { lladdr, dev }: { readonly lladdr: string; readonly dev: string }): void {
    const { table, address } = target(this.core, to, dev, 'neigh add');
    if (table.find(address)?.state === PERMANENT) throw new NetError('EEXIST', 'neigh add', to);
    addNeighbor(this.core, { to, lladdr, dev });
  }

  /** Like add, in the place of whatever there is. */
  replace(to: string, { lladdr, dev }: { readonly lladdr: string; readonly dev: string }): void {
    addNeighbor(this.core, { to, lladdr, dev });
  }

  /** Forgets an entry, learned or by hand. NetError ENOENT when there is none. */
  del(to: string, { dev }: { readonly dev: string }): void {
    const { table, address } = target(this.core, to, dev, 'neigh del');
    if (!table.remove(address)) throw new NetError('ENOENT', 'neigh del', to, undefined, `${dev} has no such neighbour`);
  }
}

const PERMANENT = neighborStateNames.indexOf('PERMANENT');
const INCOMPLETE = neighborStateNames.indexOf('INCOMPLETE');
const FAILED = neighborStateNames.indexOf('FAILED');

/** See Neigh.replace. */
export function addNeighbor(core: Stack, { to, lladdr, dev }: NeighborSpec): void {
  const { table, address } = target(core, to, dev, 'neigh add');
  const mac = parseMac(lladdr);
  if (mac === null || (mac[0] as number) & 1)
    throw new NetError('EINVAL', 'neigh add', lladdr, undefined, 'not the address of a single station, such as 02:00:00:00:00:01');
  const words = new DataView(mac.buffer, mac.byteOffset);
  if (!table.setPermanent(address, words.getUint16(0), words.getInt32(2)))
    throw new NetError('ENOBUFS', 'neigh add', to, undefined, 'the table is full of entries in use');
  core.hyper.soon();
}

/** Forgets an entry if there is one. */
export function removeNeighbor(core: Stack, to: string, dev: string): void {
  const { table, address } = target(core, to, dev, 'neigh del');
  table.remove(address);
}

function target(core: Stack, to: string, dev: string, call: string): { table: NeighborTable; address: Address } {
  const iface = interfaceNamed(core, dev, call);
  const address = parseAddress(to);
  if (address === null) throw new NetError('EINVAL', call, to, undefined, 'not an address');
  if (iface.neighbors === null) throw new NetError('EOPNOTSUPP', call, dev, undefined, 'its medium has no station addresses');
  return { table: iface.neighbors, address };
}

/** One neighbour for people. */
export function neighInfo(iface: Interface, n: Neighbor): NeighInfo {
  const known = n.state !== INCOMPLETE && n.state !== FAILED;
  return {
    to: formatAddress(n.address),
    dev: iface.name,
    lladdr: known ? formatMac(n.macHigh, n.macLow) : null,
    state: neighborStateNames[n.state] as NeighInfo['state'],
    router: n.isRouter,
    waiting: n.pending,
  };
}
