import { type Address, formatAddress, parseAddress, parsePrefix } from '../../base/address.js';
import { ConfigError } from '../../base/errors.js';

/** What one client always gets: RFC 9915 §11 has a client known by its DUID. */
export interface ReservationSpec {
  /** Hexadecimal, with or without colons: '00:04:…'. */
  readonly duid: string;
  /** An address of the link, in the pool or not. */
  readonly address?: string;
  /** A prefix to delegate, such as '2001:db8:8100::/56'. */
  readonly prefix?: string;
}

/** One lease that is kept for one client, by its DUID as text. */
export interface Reservation {
  readonly client: string;
  readonly delegation: boolean;
  readonly address: Address;
  readonly length: number;
}

/** Throws ConfigError: a DUID that is none, neither address nor prefix, or one of them given twice. */
export function reservationsOf(specs: readonly ReservationSpec[]): Reservation[] {
  const all: Reservation[] = [];
  const taken = new Set<string>();
  const add = (place: string, reservation: Reservation): void => {
    const key = `${formatAddress(reservation.address)}/${reservation.length}`;
    if (taken.has(key)) throw new ConfigError(`${place}: ${key} is reserved twice`);
    taken.add(key);
    all.push(reservation);
  };
  specs.forEach(({ duid, address, prefix }, i) => {
    const place = `reservations[${i}]`;
    const client = duid.replaceAll(':', '').toLowerCase();
    if (!/^([0-9a-f]{2}){3,130}$/.test(client)) throw new ConfigError(`${place}.duid: '${duid}' is no DUID of 3 to 130 octets in hexadecimal`);
    if (address === undefined && prefix === undefined) throw new ConfigError(`${place} has neither address nor prefix`);
    if (address !== undefined) {
      const parsed = parseAddress(address);
      if (parsed === null || parsed.isV4 || parsed.isMulticast || parsed.isUnspecified)
        throw new ConfigError(`${place}.address: '${address}' is no IPv6 address`);
      add(place, { client, delegation: false, address: parsed, length: 128 });
    }
    if (prefix !== undefined) {
      const parsed = parsePrefix(prefix);
      if (parsed === null || parsed.address.isV4 || parsed.length < 16 || parsed.length > 64)
        throw new ConfigError(`${place}.prefix: '${prefix}' is no IPv6 prefix of 16 to 64 bits`);
      add(place, { client, delegation: true, ...parsed });
    }
  });
  return all;
}
