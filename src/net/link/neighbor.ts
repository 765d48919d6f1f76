import { Address } from '../../base/address.js';
import type { Packet } from '../../base/packet.js';
import { Timer } from '../../base/timer-wheel.js';
import type { Interface } from '../interface.js';
import { TimerKind } from '../timer-kind.js';
import type { NeighborTable } from './neighbor-table.js';

/**
 * Packets waiting for one neighbour's address; the oldest is dropped (NeighborQueueFull). RFC 4861 §7.2.2 asks for at least one; a
 * datagram of 64 KB is 45 fragments, and a program's first burst to a new peer should not lose what Linux (212,992 octets) keeps.
 */
export const NEIGHBOR_PENDING_MAX = 64;

/** RFC 4861 §7.3.2; Failed is "no entry", and begins anew with the next packet: a question a retransmit time, whatever is sent (RFC 1122 §2.3.2.1). */
export const NeighborState = { Incomplete: 0, Reachable: 1, Stale: 2, Delay: 3, Probe: 4, Failed: 5, Permanent: 6 } as const;
export const neighborStateNames = ['INCOMPLETE', 'REACHABLE', 'STALE', 'DELAY', 'PROBE', 'FAILED', 'PERMANENT'] as const;

/** Asks for a neighbour's link address: ARP or ND. */
export interface Solicitor {
  /** `unicast`: to the address known so far, else to everybody. `pending` is the packet that asked, for its source address; may be null. */
  solicit(iface: Interface, target: Neighbor, unicast: boolean, pending: Packet | null): void;
  /** The neighbour did not answer: tells the senders of these packets, and drops them. */
  unreachable(iface: Interface, target: Neighbor, pending: Packet): void;
}

/** Whom a table serves. */
export interface NeighborOwner {
  /** Sends a packet whose next hop is resolved. Owns it. */
  resolved(iface: Interface, packet: Packet, neighbor: Neighbor): void;
  /** An entry is gone: paths that keep it must be made anew. */
  forgotten(): void;
  /** A neighbour stopped answering, or a router (`isRouter`) was heard of again: RFC 4861 §6.3.6, §7.3.3 choose another way by it. */
  reachability(neighbor: Neighbor): void;
}

/** One entry. ARP and ND share it: ARP replies count as solicited advertisements (RFC 4861 §7.2.5). */
export class Neighbor {
  readonly table: NeighborTable;
  readonly address = new Address();
  state: number = NeighborState.Incomplete;
  /** Link address as 16 + 32 bits. Meaningful unless Incomplete or Failed. */
  macHigh = 0;
  macLow = 0;
  /** RFC 4861 §4.4 R flag: it forwards. */
  isRouter = false;
  probes = 0;
  /** Last use or confirmation: eviction order. */
  usedAt = 0;
  readonly timer: Timer;
  pendingHead: Packet | null = null;
  pendingTail: Packet | null = null;
  pending = 0;
  /** Chains entries of one bucket. */
  next: Neighbor | null = null;

  constructor(table: NeighborTable, address: Address) {
    this.table = table;
    this.address.copy(address);
    this.timer = new Timer(TimerKind.Neighbor, this);
  }

  /** Its link address may be used: Reachable, Stale, Delay, Probe or Permanent. */
  get usable(): boolean {
    return this.state !== NeighborState.Incomplete && this.state !== NeighborState.Failed;
  }
}
