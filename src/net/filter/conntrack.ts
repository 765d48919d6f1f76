// hot: bench/packet
import { Drop } from '../../base/drops.js';
import type { Packet } from '../../base/packet.js';
import { type Micros, seconds } from '../../base/time.js';
import { Timer } from '../../base/timer-wheel.js';
import { Protocol } from '../../wire/protocol.js';
import type { Context } from '../context.js';
import { TimerKind } from '../timer-kind.js';
import { Connection, Idle, TrackState } from './connection.js';
import { FlowTable } from './flows.js';
import { type TcpTracker, trackWindows } from './track-tcp.js';
import { Kind, Quoted, readQuoted, readTuple, Tuple } from './tuple.js';

/** A full table is told of at most this often. */
const FULL_INTERVAL = seconds(60);
/** How often idle connections are looked for. */
const SWEEP = seconds(1);

/** Connections of one idle class, least recently used first. */
class IdleList {
  first: Connection | null = null;
  last: Connection | null = null;
}

/** The table of tracked flows: bounded, the longest idle of the most transient class going first. */
export class Conntrack {
  private readonly ctx: Context;
  private buckets: (Tuple | null)[] = new Array<Tuple | null>(256).fill(null);
  private readonly lists: readonly IdleList[] = Array.from({ length: 6 }, () => new IdleList());
  private readonly timer: Timer;
  private readonly key = new Tuple();
  private readonly inverse = new Tuple();
  private readonly words = new Int32Array(10);
  readonly quoted = new Quoted();
  size = 0;
  private fullAt: Micros = Number.NEGATIVE_INFINITY;
  /** Directions whose packets need not come here. */
  readonly flows: FlowTable;
  /** Told of a connection's end: NAT frees its mapping. */
  ended: ((connection: Connection) => void) | null = null;

  readonly tcp: TcpTracker;

  constructor(ctx: Context, tcp: TcpTracker = trackWindows) {
    this.ctx = ctx;
    this.tcp = tcp;
    this.flows = new FlowTable(ctx, this);
    this.timer = new Timer(TimerKind.Tracking, this);
  }

  /**
   * Finds or makes the packet's connection and sets packet.track and trackState. 0, or a drop reason. For an ICMP error
   * `quoted` holds the quoted headers' places.
   */
  input(packet: Packet, vrf: number): number {
    const { key } = this;
    const kind = readTuple(packet, vrf, key);
    if (kind === Kind.Malformed) return this.invalid(packet);
    if (kind === Kind.Error) return this.error(packet, vrf);
    const found = this.find(key);
    if (found === null) return this.open(packet);
    const connection = found.connection as Connection;
    const reply = found === connection.reply;
    if (packet.protocol === Protocol.Tcp && !this.tcp.track(connection, packet, reply)) return this.invalid(packet);
    if (reply && !connection.answered) {
      connection.answered = true;
      if (packet.protocol === Protocol.Udp) this.move(connection, Idle.Udp);
    }
    packet.track = connection;
    packet.trackState = (connection.answered ? TrackState.Established : TrackState.New) | (reply ? TrackState.Reply : 0);
    this.touch(connection, packet, reply);
    return 0;
  }

  private invalid(packet: Packet): number {
    packet.track = null;
    packet.trackState = TrackState.Invalid;
    return 0; // the rules decide; NAT leaves it alone
  }

  private open(packet: Packet): number {
    const v = this.ctx.sysctl.v;
    if (packet.protocol === Protocol.Tcp && !this.tcp.opens(packet, v['net.netfilter.nf_conntrack_tcp_loose'] !== 0)) return this.invalid(packet);
    if (this.size >= v['net.netfilter.nf_conntrack_max'] && !this.makeRoom()) return Drop.TrackFull;
    const connection = new Connection();
    connection.original.copy(this.key);
    connection.reply.invert(this.key);
    connection.idle = this.classOf(packet.protocol);
    connection.usedAt = this.ctx.now;
    if (packet.protocol === Protocol.Tcp) this.tcp.track(connection, packet, false);
    connection.packets[0] = 1;
    connection.octets[0] = packet.length;
    packet.track = connection;
    packet.trackState = TrackState.New;
    return 0;
  }

  private classOf(protocol: number): number {
    if (protocol === Protocol.Tcp) return Idle.TcpTransitory;
    if (protocol === Protocol.Udp) return Idle.UdpNew;
    return protocol === Protocol.Icmp || protocol === Protocol.Icmpv6 ? Idle.Icmp : Idle.Generic;
  }

  /** An error is related to the flow it quotes: the quoted packet went one way, the error goes the other. RFC 5508 §4. */
  private error(packet: Packet, vrf: number): number {
    if (readQuoted(packet, vrf, this.inverse, this.quoted) !== Kind.Flow) return this.invalid(packet);
    this.key.invert(this.inverse);
    const found = this.find(this.key);
    if (found === null) return this.invalid(packet);
    const connection = found.connection as Connection;
    packet.track = connection;
    packet.trackState = TrackState.Related | (found === connection.reply ? TrackState.Reply : 0);
    return 0;
  }

  /** The connection has passed all hooks: from now on others find it. False when its answers would be those of another. */
  confirm(connection: Connection): boolean {
    if (connection.confirmed) return true;
    if (this.taken(connection.reply)) return false;
    connection.confirmed = true;
    if (this.size * 2 >= this.buckets.length) this.grow();
    this.link(connection.original);
    this.link(connection.reply);
    this.size++;
    this.append(connection);
    if (!this.timer.armed) this.ctx.wheel.arm(this.timer, this.ctx.now + SWEEP);
    return true;
  }

  /** Is there a connection with this tuple? */
  taken(tuple: Tuple): boolean {
    return this.find(tuple) !== null;
  }

  /** The tuple in the table that equals `tuple`, or null. */
  find(tuple: Tuple): Tuple | null {
    const hash = tuple.computeHash(this.ctx.secret, this.words);
    tuple.hash = hash;
    for (let t = this.buckets[hash & (this.buckets.length - 1)] as Tuple | null; t !== null; t = t.next) {
      if (t.hash === hash && t.equals(tuple)) return t;
    }
    return null;
  }

  /** Of all connections, the longest idle first within their class. */
  *entries(): Generator<Connection> {
    this.flows.refreshAll();
    for (const list of this.lists) for (let c = list.first; c !== null; c = c.newer) yield c;
  }

  /** Ends those that match; says how many. */
  flush(match: (connection: Connection) => boolean = () => true): number {
    const victims = [...this.entries()].filter(match);
    for (const c of victims) this.end(c);
    return victims.length;
  }

  /** No timer is left. */
  stop(): void {
    this.ctx.wheel.cancel(this.timer);
  }

  expire(): void {
    const { now } = this.ctx;
    for (let i = 0; i < this.lists.length; i++) {
      const list = this.lists[i] as IdleList;
      const span = this.span(i);
      while (list.first !== null && list.first.usedAt + span <= now) {
        const { first } = list;
        this.flows.refresh(first);
        if (first.usedAt + span > now) this.used(first);
        else this.end(first);
      }
    }
    if (this.size > 0) this.ctx.wheel.arm(this.timer, now + SWEEP);
  }

  /** Idle time of a class. RFC 4787 REQ-5, 5382 REQ-5, 5508 REQ-1. */
  span(idle: number): Micros {
    const v = this.ctx.sysctl.v;
    switch (idle) {
      case Idle.Icmp:
        return seconds(v['net.netfilter.nf_conntrack_icmp_timeout']);
      case Idle.UdpNew:
        return seconds(v['net.netfilter.nf_conntrack_udp_timeout']);
      case Idle.Udp:
        return seconds(v['net.netfilter.nf_conntrack_udp_timeout_stream']);
      case Idle.TcpTransitory:
        return seconds(v['anystack.conntrack_tcp_timeout_transitory']);
      case Idle.TcpEstablished:
        return seconds(v['net.netfilter.nf_conntrack_tcp_timeout_established']);
      default:
        return seconds(v['net.netfilter.nf_conntrack_generic_timeout']);
    }
  }

  private touch(connection: Connection, packet: Packet, reply: boolean): void {
    const i = reply ? 1 : 0;
    connection.packets[i]++;
    connection.octets[i] += packet.length;
    connection.usedAt = this.ctx.now;
    this.used(connection);
  }

  /** Puts it behind all others of its class. */
  used(connection: Connection): void {
    const list = this.lists[connection.idle] as IdleList; // TCP's state may just have changed it
    if (list.last === connection || !connection.confirmed) return;
    this.unlist(connection);
    this.append(connection);
  }

  private move(connection: Connection, idle: number): void {
    if (connection.confirmed) this.unlist(connection);
    connection.idle = idle;
    if (connection.confirmed) this.append(connection);
  }

  private append(connection: Connection): void {
    const list = this.lists[connection.idle] as IdleList;
    connection.listed = connection.idle;
    connection.newer = null;
    connection.older = list.last;
    if (list.last === null) list.first = connection;
    else list.last.newer = connection;
    list.last = connection;
  }

  private unlist(connection: Connection): void {
    const list = this.lists[connection.listed] as IdleList;
    if (connection.older === null) list.first = connection.newer;
    else connection.older.newer = connection.newer;
    if (connection.newer === null) list.last = connection.older;
    else connection.newer.older = connection.older;
    connection.older = connection.newer = null;
  }

  private end(connection: Connection): void {
    this.flows.forget(connection);
    this.unlist(connection);
    this.unlink(connection.original);
    this.unlink(connection.reply);
    connection.confirmed = false;
    this.size--;
    this.ended?.(connection);
  }

  private makeRoom(): boolean {
    const made = this.evict();
    const { ctx } = this;
    if (ctx.now - this.fullAt >= FULL_INTERVAL) {
      this.fullAt = ctx.now;
      ctx.hyper.log(
        'warn',
        `tracking: ${this.size + (made ? 1 : 0)} connections, as many as may be; ${made ? 'the longest idle go' : 'new ones are refused'}`,
      );
    }
    return made;
  }

  /** Room for one more: the longest idle (to a second: see FlowTable) of the first class that has any; established connections are never displaced by new ones. */
  private evict(): boolean {
    for (let i = 0; i < Idle.TcpEstablished; i++) {
      const { first } = this.lists[i] as IdleList;
      if (first === null) continue;
      this.end(first);
      return true;
    }
    return false;
  }

  private link(tuple: Tuple): void {
    tuple.hash = tuple.computeHash(this.ctx.secret, this.words);
    const b = tuple.hash & (this.buckets.length - 1);
    tuple.next = this.buckets[b] as Tuple | null;
    this.buckets[b] = tuple;
  }

  private unlink(tuple: Tuple): void {
    const b = tuple.hash & (this.buckets.length - 1);
    let t = this.buckets[b] as Tuple | null;
    if (t === tuple) this.buckets[b] = tuple.next;
    else {
      while (t !== null && t.next !== tuple) t = t.next;
      if (t !== null) t.next = tuple.next;
    }
    tuple.next = null;
  }

  private grow(): void {
    const old = this.buckets;
    this.buckets = new Array<Tuple | null>(old.length * 4).fill(null);
    for (const head of old) {
      for (let t = head; t !== null; ) {
        const { next }: Tuple = t;
        const b = t.hash & (this.buckets.length - 1);
        t.next = this.buckets[b] as Tuple | null;
        this.buckets[b] = t;
        t = next;
      }
    }
  }
}
