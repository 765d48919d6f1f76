/**
 * Requests to Linux's rtnetlink, each asking for an acknowledgement; in the host's order, little-endian here. Layout of messages and
 * attributes: rtnetlink.ts.
 *
 * ```
 *  link:    | family | 0 | type(16) | index(32) | flags(32) | change(32) |
 *  address: | family | prefix length | flags | scope | index(32) |
 * ```
 */
import type { Address } from '../base/address.js';

const Type = { NewLink: 16, NewAddress: 20, DelAddress: 21 } as const;
const Flag = { Request: 1, Acknowledge: 4, Replace: 0x100, Create: 0x400 } as const;
const Ifla = { Address: 1, Mtu: 4, AfSpec: 26, Carrier: 33 } as const;
const Ifa = { Address: 1, Local: 2 } as const;
const IFLA_INET6_ADDR_GEN_MODE = 8;
/** No link-local address by itself. */
const GEN_MODE_NONE = 1;
/** Usable at once: nobody but us is on the link, and tentative addresses cost a second. */
const IFA_F_NODAD = 2;
const IFF_UP = 1;
const AF_INET = 2;
const AF_INET6 = 10;

/** What of a host's interface is to change; left out: as it is. */
export interface LinkRequest {
  readonly up?: boolean;
  readonly carrier?: boolean;
  readonly mtu?: number;
  /** Station address, 6 octets. */
  readonly mac?: Uint8Array;
  /** False: IPv6 makes no link-local address from the station address. */
  readonly linkLocal?: false;
}

/** The request that changes interface `index`. */
export function linkRequest(index: number, { up, carrier, mtu, mac, linkLocal }: LinkRequest): Uint8Array {
  const body = [...[0, 0, 0, 0], ...word(index), ...word(up === true ? IFF_UP : 0), ...word(up === undefined ? 0 : IFF_UP)];
  if (mac !== undefined) body.push(...attribute(Ifla.Address, mac));
  if (mtu !== undefined) body.push(...attribute(Ifla.Mtu, word(mtu)));
  if (carrier !== undefined) body.push(...attribute(Ifla.Carrier, [carrier ? 1 : 0]));
  if (linkLocal === false) body.push(...attribute(Ifla.AfSpec, attribute(AF_INET6, attribute(IFLA_INET6_ADDR_GEN_MODE, [GEN_MODE_NONE]))));
  return request(Type.NewLink, 0, body);
}

/** The request that puts an address on interface `index` (one that is there stays), or takes it away. `length` in the family's own bits. */
export function addressRequest(index: number, address: Address, length: number, add: boolean): Uint8Array {
  const { isV4, w0, w1, w2, w3 } = address;
  const octets = (isV4 ? [w3] : [w0, w1, w2, w3]).flatMap((w) => word(w).reverse());
  const head = [isV4 ? AF_INET : AF_INET6, length, isV4 ? 0 : IFA_F_NODAD, 0, ...word(index)];
  const body = [...head, ...attribute(Ifa.Local, octets), ...attribute(Ifa.Address, octets)];
  return request(add ? Type.NewAddress : Type.DelAddress, add ? Flag.Create | Flag.Replace : 0, body);
}

function request(type: number, flags: number, body: readonly number[]): Uint8Array {
  const all = flags | Flag.Request | Flag.Acknowledge;
  return Uint8Array.from([...word(16 + body.length), type, 0, all & 255, all >> 8, ...word(0), ...word(0), ...body]);
}

function attribute(type: number, value: ArrayLike<number>): number[] {
  const octets = [4 + value.length, 0, type, 0, ...Array.from(value)];
  while (octets.length % 4 !== 0) octets.push(0);
  return octets;
}

const word = (n: number): number[] => [n & 255, (n >>> 8) & 255, (n >>> 16) & 255, n >>> 24];
