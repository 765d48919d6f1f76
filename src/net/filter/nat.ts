import type { Address } from '../../base/address.js';
import type { Packet } from '../../base/packet.js';
import { Protocol } from '../../wire/protocol.js';
import type { Context } from '../context.js';
import { type Connection, TrackState } from './connection.js';
import type { Conntrack } from './conntrack.js';
import { finishIcmp, rewriteDestination, rewriteQuoted, rewriteSource } from './rewrite.js';
import { Tuple } from './tuple.js';

/** Ports tried for one new flow; with a table as full as that the flow is refused (NatNoPort). */
const PORT_TRIES = 128;

/** How freely strangers reach a mapping from outside: RFC 4787 §5. */
export type Filtering = 'endpoint-independent' | 'address-dependent' | 'address-and-port-dependent';

/** One internal endpoint's external endpoint, the same for all its flows: RFC 4787 REQ-1. */
class Mapping {
  readonly internal: Tuple;
  readonly external: Address;
  readonly port: number;
  flows = 0;
  /** Addresses it has flows to, with their number: what address-dependent filtering admits. */
  readonly peers = new Map<string, number>();

  constructor(internal: Tuple, external: Address, port: number) {
    this.internal = internal;
    this.external = external;
    this.port = port;
  }
}

/** NAT by connection: the first packet decides, the others follow. RFC 4787 (UDP), 5382 (TCP), 5508 (ICMP), 7857. */
export class Nat {
  private readonly ctx: Context;
  private readonly conntrack: Conntrack;
  private readonly byInternal = new Map<string, Mapping>();
  private readonly byExternal = new Map<string, Mapping>();
  private readonly wanted = new Tuple();
  filtering: Filtering = 'address-and-port-dependent';

  constructor(ctx: Context, conntrack: Conntrack) {
    this.ctx = ctx;
    this.conntrack = conntrack;
    conntrack.ended = (connection) => this.release(connection);
  }

  /** Mappings in use. */
  get size(): number {
    return this.byInternal.size;
  }

  /** A new flow's destination becomes `to`; `ports` spreads over a range. */
  destination(connection: Connection, to: Address, ports: readonly [number, number] | undefined): void {
    connection.destinationNat = true;
    connection.reply.source.copy(to);
    if (ports === undefined || connection.original.protocol === Protocol.Icmp) return;
    const [low, high] = ports;
    const port = low + (high > low ? this.ctx.prng.below(high - low + 1) : 0);
    connection.reply.sourcePort = port;
  }

  /** The external address that the flow's inner endpoint has already, or null. */
  external({ original }: Connection): Address | null {
    return this.byInternal.get(endpointKey(original.protocol, original.vrf, original.source, original.sourcePort))?.external ?? null;
  }

  /** A new flow's source becomes `to` and a port of it. False: no port is free. */
  source(connection: Connection, to: Address, ports: readonly [number, number] | undefined): boolean {
    const { original, reply } = connection;
    const mapping = this.mapping(connection, to, ports);
    if (mapping === null) return false;
    connection.sourceNat = true;
    mapping.flows++;
    const peer = reply.source.toString();
    mapping.peers.set(peer, (mapping.peers.get(peer) ?? 0) + 1);
    connection.mapping = mapping;
    reply.destination.copy(mapping.external);
    reply.destinationPort = mapping.port;
    if (original.protocol === Protocol.Icmp || original.protocol === Protocol.Icmpv6) reply.sourcePort = mapping.port;
    return true;
  }

  private mapping(connection: Connection, to: Address, ports: readonly [number, number] | undefined): Mapping | null {
    const { original } = connection;
    const key = endpointKey(original.protocol, original.vrf, original.source, original.sourcePort);
    const kept = this.byInternal.get(key);
    if (kept?.external.equals(to)) return kept;
    const port = this.freePort(connection, to, ports);
    if (port < 0) return null;
    const mapping = new Mapping(original, to.clone(), port);
    this.byInternal.set(key, mapping);
    this.byExternal.set(endpointKey(original.protocol, original.vrf, to, port), mapping);
    return mapping;
  }

  /** The port itself if it is free (RFC 4787 §4.2.1), else one of its parity (REQ-4) and range (REQ-3: well-known ports stay well known). */
  private freePort(connection: Connection, to: Address, ports: readonly [number, number] | undefined): number {
    const { original } = connection;
    const { protocol, vrf, sourcePort } = original;
    const wellKnown = sourcePort > 0 && sourcePort < 1_024;
    const [low, high] = ports ?? (wellKnown ? [1, 1_023] : [1_024, 65_535]);
    const free = (port: number): boolean => !this.byExternal.has(endpointKey(protocol, vrf, to, port)) && !this.answersTaken(connection, to, port);
    if (sourcePort >= low && sourcePort <= high && free(sourcePort)) return sourcePort;
    const parity = protocol === Protocol.Udp && high - low >= 2;
    for (let i = 0; i < PORT_TRIES; i++) {
      let port = low + this.ctx.prng.below(high - low + 1);
      if (parity && ((port ^ sourcePort) & 1) === 1) port = port < high ? port + 1 : port - 1;
      if (free(port)) return port;
    }
    return -1;
  }

  /** Would the answers be those of another flow, e.g. of our own socket on that port? */
  private answersTaken(connection: Connection, to: Address, port: number): boolean {
    this.wanted.copy(connection.reply);
    this.wanted.destination.copy(to);
    this.wanted.destinationPort = port;
    return this.conntrack.taken(this.wanted);
  }

  /**
   * A packet from outside for an external endpoint without a connection of its own: to the internal one if the filtering
   * lets it (RFC 4787 REQ-8), and from inside always (hairpinning, REQ-9). True when the connection was turned.
   */
  inbound(connection: Connection, fromInside: boolean): boolean {
    const { original } = connection;
    const mapping = this.byExternal.get(endpointKey(original.protocol, original.vrf, original.destination, original.destinationPort));
    if (mapping === undefined) return false;
    if (!fromInside && !this.admits(mapping, original)) return false;
    connection.destinationNat = true;
    connection.reply.source.copy(mapping.internal.source);
    connection.reply.sourcePort = mapping.internal.sourcePort;
    return true;
  }

  private admits(mapping: Mapping, stranger: Tuple): boolean {
    if (this.filtering === 'endpoint-independent') return true;
    if (this.filtering === 'address-and-port-dependent') return false;
    return mapping.peers.has(stranger.source.toString());
  }

  private release(connection: Connection): void {
    const mapping = connection.mapping as Mapping | null;
    if (mapping === null) return;
    connection.mapping = null;
    const peer = connection.reply.source.toString();
    const flows = (mapping.peers.get(peer) ?? 1) - 1;
    if (flows === 0) mapping.peers.delete(peer);
    else mapping.peers.set(peer, flows);
    if (--mapping.flows > 0) return;
    const { internal, external, port } = mapping;
    const key = endpointKey(internal.protocol, internal.vrf, internal.source, internal.sourcePort);
    if (this.byInternal.get(key) === mapping) this.byInternal.delete(key);
    this.byExternal.delete(endpointKey(internal.protocol, internal.vrf, external, port));
  }

  /** The connection never got to its table. */
  abandon(connection: Connection): void {
    this.release(connection);
  }

  /** Before routing: the destination this direction has behind us. */
  prerouting(packet: Packet): void {
    const connection = packet.track as Connection;
    if (!connection.sourceNat && !connection.destinationNat) return;
    const back = packet.trackState & TrackState.Reply ? connection.original : connection.reply;
    if ((packet.trackState & ~TrackState.Reply) === TrackState.Related) return this.error(packet, connection, true);
    if (packet.destination.equals(back.source) && packet.destinationPort === back.sourcePort) return;
    this.tell(packet, 'destination', back.source, back.sourcePort);
    rewriteDestination(packet, back.source, portOf(packet, back.sourcePort));
  }

  /** After routing: the source. */
  postrouting(packet: Packet): void {
    const connection = packet.track as Connection;
    if (!connection.sourceNat && !connection.destinationNat) return;
    const back = packet.trackState & TrackState.Reply ? connection.original : connection.reply;
    if ((packet.trackState & ~TrackState.Reply) === TrackState.Related) return this.error(packet, connection, false);
    if (packet.source.equals(back.destination) && packet.sourcePort === back.destinationPort) return;
    this.tell(packet, 'source', back.destination, back.destinationPort);
    rewriteSource(packet, back.destination, portOf(packet, back.destinationPort));
  }

  private tell(packet: Packet, side: 'source' | 'destination', to: Address, port: number): void {
    const { observer } = this.ctx;
    if (observer.verdict !== null) observer.verdict(packet, 'nat', `${side} ${packet[side]}:${packet[`${side}Port`]} becomes ${to}:${port}`);
  }

  /**
   * An ICMP error travels like an answer to the packet it quotes: outside its addresses change as an answer's would, inside
   * the quoted ones the other way round (RFC 5508 REQ-4, REQ-5).
   */
  private error(packet: Packet, connection: Connection, pre: boolean): void {
    const reply = (packet.trackState & TrackState.Reply) !== 0;
    const back = reply ? connection.original : connection.reply;
    const { quoted } = this.conntrack;
    // After routing the quoted places are those of this same packet: read again, since others may have passed between.
    quoted.network = packet.transport + 8;
    quoted.transport = quoted.network + (packet.family === 4 ? (packet.view.getUint8(quoted.network) & 15) << 2 : 40);
    const { protocol } = back;
    if (pre) {
      rewriteQuoted(packet, quoted, protocol, true, back.source, back.sourcePort);
      rewriteDestination(packet, back.source, -1);
    } else {
      rewriteQuoted(packet, quoted, protocol, false, back.destination, back.destinationPort);
      // A router's error keeps its own source; one of the other end itself shows the end's outer address.
      const other = reply ? connection.reply : connection.original;
      if (packet.source.equals(other.source)) rewriteSource(packet, back.destination, -1);
    }
    finishIcmp(packet);
  }
}

const portOf = (packet: Packet, port: number): number => (packet.sourcePort === 0 && packet.destinationPort === 0 && port === 0 ? -1 : port);

/** Echo of both families has one key: behind a NAT64 an endpoint has an end in either. */
function endpointKey(protocol: number, vrf: number, a: Address, port: number): string {
  return `${protocol === Protocol.Icmpv6 ? Protocol.Icmp : protocol} ${vrf} ${a.w0} ${a.w1} ${a.w2} ${a.w3} ${port}`;
}
