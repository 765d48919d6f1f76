import { formatAddress, type Prefix, parsePrefix } from '../base/address.js';
import { NetError } from '../base/errors.js';
import type { InterfaceAddress } from '../net/interface.js';
import type { Stack } from '../net/stack.js';
import { interfaceNamed } from './link.js';

/** One address as `addr show` tells it. */
export interface AddrInfo {
  readonly dev: string;
  readonly index: number;
  readonly family: 4 | 6;
  readonly address: string;
  readonly length: number;
  readonly state: InterfaceAddress['state'];
  readonly origin: InterfaceAddress['origin'];
}

/** `stack.addr`: addresses of interfaces. */
export class Addr {
  private readonly core: Stack;

  constructor(core: Stack) {
    this.core = core;
  }

  /** All addresses, or those of one interface. */
  show(dev?: string): AddrInfo[] {
    const interfaces = dev === undefined ? [...this.core.interfaces] : [interfaceNamed(this.core, dev, 'addr show')];
    return interfaces.flatMap((iface) => iface.addresses.map(addrInfo));
  }

  /** Adds '10.0.0.2/24' to an interface. NetError EEXIST when it has it, EINVAL when nobody can have it. */
  add(prefix: string, { dev }: { readonly dev: string }): void {
    this.core.addAddress(interfaceNamed(this.core, dev, 'addr add'), parsed(prefix, 'addr add'));
    this.core.hyper.soon();
  }

  /** Takes an address away; connections that use it end by their own timeouts. NetError EADDRNOTAVAIL when the interface does not have it. */
  del(prefix: string, { dev }: { readonly dev: string }): void {
    const iface = interfaceNamed(this.core, dev, 'addr del');
    const { address } = parsed(prefix, 'addr del');
    if (!this.core.addresses.remove(iface, address)) throw new NetError('EADDRNOTAVAIL', 'addr del', prefix, undefined, `${dev} does not have it`);
  }
}

function parsed(text: string, call: string): Prefix {
  const prefix = parsePrefix(text);
  if (prefix === null) throw new NetError('EINVAL', call, text, undefined, 'an address with its prefix length is needed, such as 10.0.0.2/24');
  return prefix;
}

const addrInfo = (a: InterfaceAddress): AddrInfo => ({
  dev: a.iface.name,
  index: a.iface.index,
  family: a.address.isV4 ? 4 : 6,
  address: formatAddress(a.address),
  length: a.length,
  state: a.state,
  origin: a.origin,
});
