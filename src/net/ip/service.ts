import type { Address } from '../../base/address.js';
import type { Packet } from '../../base/packet.js';
import type { Flow, Path } from './path.js';

/** What a transport is for IP: it takes packets of its protocol number and errors about those it sent. */
export interface Transport {
  /**
   * A packet for one of our addresses: network and transport offsets, source, destination, family, ttl and trafficClass
   * are set, head at the transport header. The transport owns it.
   */
  input(packet: Packet): void;
  /** An ICMP error whose quoted packet is of this protocol. `error` is reused: keep nothing of it. */
  error(error: IcmpError): void;
}

/** An ICMP error of either family, in one shape. Addresses and ports are as in the packet that we are said to have sent. */
export interface IcmpError {
  readonly family: number;
  readonly kind: 'unreachable' | 'too-big' | 'time-exceeded' | 'parameter-problem' | 'source-quench';
  /** The family's own code. */
  readonly code: number;
  /** What a socket reports; Linux's mapping (icmp_err_convert), e.g. ECONNREFUSED for port unreachable. */
  readonly errno: number;
  /** RFC 1122 §4.2.3.9: an error after which trying again is pointless. */
  readonly hard: boolean;
  /** Next-hop MTU of too-big, else 0. */
  readonly mtu: number;
  /** Who sent the error. */
  readonly from: Address;
  readonly inIndex: number;
  readonly source: Address;
  readonly destination: Address;
  readonly protocol: number;
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** The quoted transport header: at least 8 octets from `at` in `view`. */
  readonly view: DataView;
  readonly at: number;
  readonly end: number;
}

/** What transports ask of IP; one for both families. Implemented by ip/ip.ts, and by the tests' benches. */
export interface Ip {
  /** Tells IP who takes a protocol number. */
  register(protocol: number, transport: Transport): void;
  /** The way to flow.destination, or a negative errno: −ENETUNREACH, −EHOSTUNREACH, −EADDRNOTAVAIL, −EACCES, −EINVAL. */
  path(flow: Flow): Path | number;
  /** False when routes, addresses, interfaces or path MTUs have changed since the path was made: ask anew. */
  valid(path: Path): boolean;
  /**
   * Sends: head at the transport header, source, destination, protocol, ttl (0: the default), trafficClass and flags set,
   * the transport checksum complete or Partial. Takes the packet over.
   */
  output(packet: Packet, path: Path): void;
  /** VRF of the interface a packet came in on; 0 for one of our own, or when the interface is gone. */
  vrfOf(inIndex: number): number;
  /** Can packets for this address be ours? A unicast address of an interface that belongs to `vrf`. */
  isLocal(address: Address, vrf: number): boolean;
  /** A transport that has checked a too-big error against its connection lowers the path MTU (RFC 1191, 8201). Paths become invalid. */
  learnMtu(destination: Address, inIndex: number, mtu: number): void;
  /** Forward progress: the next hop is reachable (RFC 4861 §7.3.1). */
  confirm(path: Path): void;
  /** Doubts the next hop after repeated timeouts: probes it. */
  suspect(path: Path): void;
}
