// hot: bench/packet/forward
import { Address } from '../../base/address.js';
import type { Packet } from '../../base/packet.js';
import { halfSipHash } from '../../base/siphash.js';
import type { Micros } from '../../base/time.js';
import { Protocol } from '../../wire/protocol.js';
import type { Context } from '../context.js';
import type { FlowCache } from '../ip/hooks.js';
import { type Connection, TrackState } from './connection.js';
import type { Conntrack } from './conntrack.js';
import { rewriteDestination, rewriteSource } from './rewrite.js';
import type { AddressSet, FilterRule } from './rule.js';
import { TcpTrack } from './track-tcp.js';

/** Flows that are remembered, two for a connection: 64 MB. One more takes the place of another, which is learned again when it speaks. */
const FLOWS_MAX = 1 << 20;
const FLOWS_MIN = 1 << 10;
/** Places looked at for one flow, side by side. */
const PROBES = 8;
/** Ways through the rules that are remembered; a flow with one more goes the long road. */
const TRACES_MAX = 4_096;

/** Words of an entry: a cache line. */
const WORDS = 16;
const KEY = 0;
const SOURCE = 1;
const DESTINATION = 2;
const PORTS = 3;
const IN = 4;
const OUT = 5;
const NEW_SOURCE = 6;
const NEW_DESTINATION = 7;
const NEW_PORTS = 8;
const TRACE = 9;
const PACKETS = 10;
/** Second in which the connection was last put at the end of its list. */
const LISTED = 11;
/** Of doubles: octets, and time of the last packet. */
const DOUBLES = 8;
const OCTETS = 6;
const USED = 7;

const REPLY = 1 << 30;
const FREE = 0;
/** An entry that is gone: others may lie behind it. */
const GONE = -1;

/**
 * What tracking, rules and NAT have decided of a flow, where they would decide the same of each of its packets: by which interfaces it
 * passes, what its addresses become, which rules count it. One direction of an IPv4 connection of UDP or TCP is learned from a packet
 * that went the long road, once the connection is established and when no rule was asked that looks at more than the flow
 * (`FilterRule.fixed`). Tables of 100,000 connections are larger than the caches: here a packet costs one line of them, on the long road forty.
 *
 * TCP's windows are followed for every segment, and segments with SYN, FIN or RST go the long road. The time of use is exact; the
 * place in the list of idle connections is renewed once a second, and is made right when the list is read.
 *
 * ```
 *   | vrf, protocol | source | destination | ports | in | out | new source | new destination | new ports | trace | packets | listed | octets (double) | used (double) |
 * ```
 */
export class FlowTable implements FlowCache {
  private readonly ctx: Context;
  private readonly conntrack: Conntrack;
  /** One entry until something is learned. */
  private mask = 0;
  private words = new Int32Array(WORDS);
  private doubles = new Float64Array(this.words.buffer);
  private connections: (Connection | null)[] = [null];
  private traces: (readonly FilterRule[])[] = [];
  /** Of the rules; and their changes so far. */
  private sets: readonly AddressSet[] = [];
  private changes = 0;
  private readonly key = new Int32Array(4);
  private readonly address = new Address();

  constructor(ctx: Context, conntrack: Conntrack) {
    this.ctx = ctx;
    this.conntrack = conntrack;
  }

  find(vrf: number, protocol: number, source: number, destination: number, ports: number, inIndex: number): number {
    const { words } = this;
    const key = (vrf << 8) | protocol;
    const home = this.home(key, source, destination, ports);
    for (let i = 0; i < PROBES; i++) {
      const n = (home + i) & this.mask;
      const at = n * WORDS;
      const there = words[at + KEY] as number;
      if (there === FREE) return -1;
      if (there === key && words[at + SOURCE] === source && words[at + DESTINATION] === destination && words[at + PORTS] === ports)
        return words[at + IN] === inIndex ? n : -1;
    }
    return -1;
  }

  destination(flow: number): number {
    return this.words[flow * WORDS + NEW_DESTINATION] as number;
  }

  admit(flow: number, packet: Packet, outIndex: number): boolean {
    const { words } = this;
    const at = flow * WORDS;
    if (words[at + OUT] !== outIndex) return false;
    if (packet.protocol !== Protocol.Tcp) return true;
    const connection = this.connections[flow] as Connection;
    if (packet.tail - packet.transport < 20 || (packet.view.getUint8(packet.transport + 13) & 7) !== 0) return false;
    return connection.tcp === TcpTrack.Established && this.conntrack.tcp.track(connection, packet, ((words[at + TRACE] as number) & REPLY) !== 0);
  }

  rewriteDestination(flow: number, packet: Packet): void {
    const at = flow * WORDS;
    const to = this.words[at + NEW_DESTINATION] as number;
    const port = (this.words[at + NEW_PORTS] as number) & 0xffff;
    const ports = this.words[at + PORTS] as number;
    if (to === this.words[at + DESTINATION] && port === (ports & 0xffff)) return;
    this.address.setV4(to);
    rewriteDestination(packet, this.address, ports === 0 && port === 0 ? -1 : port);
  }

  rewriteSource(flow: number, packet: Packet): void {
    const at = flow * WORDS;
    const from = this.words[at + NEW_SOURCE] as number;
    const port = (this.words[at + NEW_PORTS] as number) >>> 16;
    const ports = this.words[at + PORTS] as number;
    if (from === this.words[at + SOURCE] && port === ports >>> 16) return;
    this.address.setV4(from);
    rewriteSource(packet, this.address, ports === 0 && port === 0 ? -1 : port);
  }

  count(flow: number, octets: number): void {
    const { words, doubles } = this;
    const { now } = this.ctx;
    const at = flow * WORDS;
    words[at + PACKETS] = (words[at + PACKETS] as number) + 1;
    doubles[flow * DOUBLES + OCTETS] = (doubles[flow * DOUBLES + OCTETS] as number) + octets;
    doubles[flow * DOUBLES + USED] = now;
    const rules = this.traces[(words[at + TRACE] as number) & ~REPLY] as readonly FilterRule[];
    for (let i = 0; i < rules.length; i++) {
      const rule = rules[i] as FilterRule;
      rule.packets++;
      rule.octets += octets;
    }
    const second = (now / 1e6) | 0;
    if (words[at + LISTED] === second) return;
    words[at + LISTED] = second;
    this.sync(flow);
    this.conntrack.used(this.connections[flow] as Connection);
  }

  /** Brings a connection's counters and time of use up to date. */
  refresh(connection: Connection): void {
    for (const flow of connection.flows) if (flow >= 0) this.sync(flow);
  }

  /** The same for all. */
  refreshAll(): void {
    for (let n = 0; n <= this.mask; n++) if (this.connections[n] !== null) this.sync(n);
  }

  /** A connection ends. */
  forget(connection: Connection): void {
    for (const flow of connection.flows) if (flow >= 0) this.drop(flow);
  }

  /** All are to be decided anew: the rules are others, with these sets. */
  renew(sets: readonly AddressSet[]): void {
    this.sets = sets;
    this.clear();
  }

  ready(): boolean {
    let changes = 0;
    for (let i = 0; i < this.sets.length; i++) changes += (this.sets[i] as AddressSet).changes;
    if (changes !== this.changes) this.clear();
    this.changes = changes;
    return true;
  }

  private clear(): void {
    for (let n = 0; n <= this.mask; n++) if (this.connections[n] !== null) this.drop(n);
    this.words.fill(0);
    this.traces = [];
  }

  /** An established connection's packet has passed all hooks, counted by the rules of `trace`. */
  learn(packet: Packet, connection: Connection, vrf: number, outIndex: number, trace: readonly FilterRule[]): void {
    const reply = (packet.trackState & TrackState.Reply) !== 0;
    const from = reply ? connection.reply : connection.original;
    const back = reply ? connection.original : connection.reply;
    if ((connection.flows[reply ? 1 : 0] as number) >= 0) return;
    if (this.conntrack.size * 4 > this.mask + 1 && this.mask + 1 < FLOWS_MAX) this.grow();
    const id = this.trace(trace);
    if (id < 0) return;
    const key = (vrf << 8) | packet.protocol;
    const ports = (from.sourcePort << 16) | from.destinationPort;
    const n = this.place(key, from.source.w3, from.destination.w3, ports);
    const { words, doubles } = this;
    words.set([key, from.source.w3, from.destination.w3, ports, packet.inIndex, outIndex, back.destination.w3, back.source.w3], n * WORDS);
    words[n * WORDS + NEW_PORTS] = (back.destinationPort << 16) | back.sourcePort;
    words[n * WORDS + TRACE] = id | (reply ? REPLY : 0);
    words[n * WORDS + PACKETS] = 0;
    words[n * WORDS + LISTED] = (this.ctx.now / 1e6) | 0;
    doubles[n * DOUBLES + OCTETS] = 0;
    doubles[n * DOUBLES + USED] = connection.usedAt;
    this.connections[n] = connection;
    connection.flows[reply ? 1 : 0] = n;
  }

  /** Secret: strangers choose addresses and ports. */
  private home(key: number, source: number, destination: number, ports: number): number {
    const k = this.key;
    k[0] = source;
    k[1] = destination;
    k[2] = ports;
    k[3] = key;
    return halfSipHash(this.ctx.secret, k, 4) & this.mask;
  }

  /** A free place for a flow, or one made free. */
  private place(key: number, source: number, destination: number, ports: number): number {
    const home = this.home(key, source, destination, ports);
    for (let i = 0; i < PROBES; i++) {
      const n = (home + i) & this.mask;
      if (this.connections[n] === null) return n;
    }
    this.drop(home);
    return home;
  }

  private trace(rules: readonly FilterRule[]): number {
    const { traces } = this;
    for (let id = 0; id < traces.length; id++) {
      const known = traces[id] as readonly FilterRule[];
      if (known.length === rules.length && known.every((rule, i) => rule === rules[i])) return id;
    }
    return traces.length === TRACES_MAX ? -1 : traces.push([...rules]) - 1;
  }

  private sync(flow: number): void {
    const { words, doubles } = this;
    const at = flow * WORDS;
    const connection = this.connections[flow] as Connection;
    const i = (words[at + TRACE] as number) & REPLY ? 1 : 0;
    connection.packets[i] += words[at + PACKETS] as number;
    connection.octets[i] += doubles[flow * DOUBLES + OCTETS] as number;
    const used: Micros = doubles[flow * DOUBLES + USED] as number;
    if (used > connection.usedAt) connection.usedAt = used;
    words[at + PACKETS] = 0;
    doubles[flow * DOUBLES + OCTETS] = 0;
  }

  private drop(flow: number): void {
    this.sync(flow);
    const connection = this.connections[flow] as Connection;
    connection.flows[(this.words[flow * WORDS + TRACE] as number) & REPLY ? 1 : 0] = -1;
    this.connections[flow] = null;
    this.words[flow * WORDS + KEY] = GONE;
  }

  private grow(): void {
    this.clear();
    const flows = Math.max(FLOWS_MIN, (this.mask + 1) * 4);
    this.mask = flows - 1;
    this.words = new Int32Array(flows * WORDS);
    this.doubles = new Float64Array(this.words.buffer);
    this.connections = new Array<Connection | null>(flows).fill(null);
  }
}
