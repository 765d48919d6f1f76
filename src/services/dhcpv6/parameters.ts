import type { Address } from '../../base/address.js';
import { type Micros, seconds } from '../../base/time.js';
import * as wire from '../../wire/dhcpv6.js';
import { retransmissions } from './retransmission.js';

const { Option } = wire;

/** RFC 9915 §7.6: default and least of the information refresh time, in seconds. */
const IRT_DEFAULT = 86_400;
const IRT_MINIMUM = 600;

/** What a server tells besides leases. */
export class ServerParameters {
  resolvers: readonly Address[] = [];
  domains: readonly string[] = [];
  /** Greatest waits between two messages, in seconds. */
  solMaxRt: number = retransmissions.solicit.mrt;
  infMaxRt: number = retransmissions.inform.mrt;

  /** Resolvers and search domains of a reply. */
  take(options: readonly wire.Dhcp6Option[]): void {
    this.resolvers = wire.readAddresses(wire.find(options, Option.DnsServers)) ?? [];
    this.domains = wire.readNames(wire.find(options, Option.DomainList)) ?? [];
  }

  /** RFC 9915 §18.2.9, §21.24, §21.25: believed in any answer, within bounds. */
  maxTimes(options: readonly wire.Dhcp6Option[]): void {
    this.solMaxRt = bounded(wire.find(options, Option.SolMaxRt)) ?? this.solMaxRt;
    this.infMaxRt = bounded(wire.find(options, Option.InfMaxRt)) ?? this.infMaxRt;
  }

  /** How long the parameters of a stateless reply serve: RFC 9915 §21.23. */
  refresh(options: readonly wire.Dhcp6Option[]): Micros {
    const told = wire.readNumber32(wire.find(options, Option.InformationRefresh)) ?? IRT_DEFAULT;
    return seconds(told === wire.FOREVER ? IRT_DEFAULT : Math.max(told, IRT_MINIMUM));
  }
}

function bounded(data: Uint8Array | null): number | null {
  const told = wire.readNumber32(data);
  return told !== null && told >= 60 && told <= 86_400 ? told : null;
}
