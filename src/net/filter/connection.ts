import type { Address } from '../../base/address.js';
import type { Micros } from '../../base/time.js';
import { Tuple } from './tuple.js';

/** What tracking says of a packet; `Reply` is added in the direction of the answers. */
export const TrackState = { None: 0, New: 1, Established: 2, Related: 3, Invalid: 4, Untracked: 5, Reply: 8 } as const;
export const trackStateNames = ['none', 'new', 'established', 'related', 'invalid', 'untracked'] as const;

/** How long a connection may be idle: connections of one class have the same span, so that a list in order of use is one in order of expiry. */
export const Idle = { Icmp: 0, UdpNew: 1, Generic: 2, TcpTransitory: 3, Udp: 4, TcpEstablished: 5 } as const;
export const idleNames = ['icmp', 'udp-new', 'generic', 'tcp-transitory', 'udp', 'tcp-established'] as const;

/** One direction's window as a middle box knows it (van Rooij, "Real Stateful TCP Packet Filtering in IP Filter", 2001). Sequence numbers are int32. */
export class Window {
  /** Highest sequence number sent, plus one. */
  end = 0;
  /** Highest acknowledgement plus window seen from the other side: what this side may send up to. */
  maxEnd = 0;
  /** Greatest window this side has offered, scaled; at least 1. */
  maxWindow = 0;
  /** Its window scale, −1 while unknown or not offered. */
  scale = -1;
  seen = false;
}

/** A tracked flow: two tuples, its NAT, its state. */
export class Connection {
  readonly original = new Tuple();
  readonly reply = new Tuple();
  /** In the table. Before that the packet that opens it is its only holder. */
  confirmed = false;
  /** An answer has been seen. */
  answered = false;
  sourceNat = false;
  destinationNat = false;
  mark = 0;
  idle: number = Idle.Generic;
  /** The list it stands in, which `idle` may be ahead of. */
  listed = 0;
  usedAt: Micros = 0;
  /** TcpTrack value, see track-tcp. */
  tcp = 0;
  /** The first FIN came in the direction of the answers. */
  finReply = false;
  readonly windows: readonly [Window, Window] = [new Window(), new Window()];
  packets: [number, number] = [0, 0];
  octets: [number, number] = [0, 0];
  /** Where FlowTable has its two directions, −1: nowhere. */
  readonly flows: [number, number] = [-1, -1];
  /** List of its idle class, least recently used first. */
  older: Connection | null = null;
  newer: Connection | null = null;
  /** Of a flow between two insiders by their outer endpoint: that endpoint's address, which its source shall have too. */
  hairpin: Address | null = null;
  /** The endpoint-independent mapping it holds, if any. */
  mapping: unknown = null;

  constructor() {
    this.original.connection = this;
    this.reply.connection = this;
  }
}
