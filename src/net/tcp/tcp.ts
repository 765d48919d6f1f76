import { Drop } from '../../base/drops.js';
import { Errno, type NetError } from '../../base/errors.js';
import type { Packet } from '../../base/packet.js';
import type { Timer } from '../../base/timer-wheel.js';
import { TokenBucket } from '../../base/token-bucket.js';
import { Protocol } from '../../wire/protocol.js';
import { TcpOptions } from '../../wire/tcp-options.js';
import type { Context } from '../context.js';
import { Counter } from '../counters.js';
import type { Interface } from '../interface.js';
import { Flow, type Path } from '../ip/path.js';
import type { IcmpError, Ip, Transport } from '../ip/service.js';
import { TcpSocket } from '../socket/tcp-socket.js';
import { TimerKind } from '../timer-kind.js';
import { segmentArrives } from './arrives.js';
import { segmentArrivesHalfOpen, segmentArrivesListen, synAckTimer } from './arrives-listen.js';
import { segmentArrivesSynSent } from './arrives-syn-sent.js';
import { segmentArrivesTimeWait } from './arrives-time-wait.js';
import { abort, handshakeOver } from './close.js';
import { congestionNames, makeCongestion } from './congestion/choose.js';
import { AckSample } from './delivery.js';
import { Demux, type Flowing } from './demux.js';
import { FastOpenCache } from './fast-open.js';
import { Flight, SentPool } from './flight.js';
import { HalfOpen } from './half-open.js';
import { icmpArrives } from './icmp.js';
import { FlowSecrets } from './isn.js';
import { armKeepAlive, keepAliveTimer } from './keep-alive.js';
import type { Listener } from './listener.js';
import { Listeners } from './listeners.js';
import { OpenCookies } from './open-cookies.js';
import { ConnectionOptions } from './options.js';
import { mtuChanged } from './pmtu.js';
import { PortTable } from './ports.js';
import { refuse } from './reset.js';
import { Flag, Segment } from './segment.js';
import { output, waitingOctets } from './send.js';
import { windowOf } from './socket-buffer.js';
import { enter, State } from './states.js';
import { SynCookies } from './syn-cookie.js';
import { AckDue, Tcb } from './tcb.js';
import { TimeWait, TimeWaits } from './time-wait.js';
import { delayedAckTimer, retransmissionTimer } from './timeouts.js';
import { cancelAll } from './timers.js';

/** What a scanner sends; with ACK it answers our SYN and ends at once, which is no crime. */
const SYN_FIN = Flag.Syn | Flag.Fin;
const SYN_FIN_ACK = SYN_FIN | Flag.Ack;

/** The TCP of one stack: finds whom a segment is for, keeps all connections, and gives each its turn in the phases of a poll. */
export class Tcp implements Transport {
  readonly ctx: Context;
  readonly ip: Ip;
  /** Connections, half-open ones and those in TIME-WAIT. */
  readonly flows: Demux;
  readonly listeners = new Listeners();
  readonly ports = new PortTable();
  readonly secrets: FlowSecrets;
  readonly cookies: SynCookies;
  readonly sentPool = new SentPool();
  /** Servers' cookies of Fast Open. */
  readonly fastOpen = new FastOpenCache();
  /** Ours, as server. */
  readonly openCookies: OpenCookies;
  /** Options of sockets that have set none. */
  readonly defaults = new ConnectionOptions();
  /** The segment and the ACK in hand, and the options of the one being written. */
  readonly seg = new Segment();
  readonly sample = new AckSample();
  readonly out = new TcpOptions();
  /** Question to IP in hand. */
  readonly flow = new Flow();
  /** For paths.ts: what connections share. */
  readonly knownPaths: (Path | undefined)[] = [];
  /** net.ipv4-style habit read on every short segment. */
  minshall: boolean;
  /** anystack.tcp_buffers is 'bsd'. */
  plainBuffers: boolean;
  private dirty: Tcb[] = [];
  private sending: Tcb[] = [];
  readonly timeWaits: TimeWaits;
  private readonly challenges: TokenBucket;
  private readonly answers: TokenBucket;

  constructor(ctx: Context, ip: Ip) {
    this.ctx = ctx;
    this.ip = ip;
    this.flows = new Demux(ctx.secret);
    this.secrets = new FlowSecrets(ctx.secret);
    // The same key for two purposes: the inputs differ in length, so one never answers for the other.
    this.cookies = new SynCookies(ctx.secret);
    this.timeWaits = new TimeWaits(ctx, this.flows);
    this.challenges = new TokenBucket(ctx.now, ctx.sysctl.v['net.ipv4.tcp_challenge_ack_limit']);
    this.answers = new TokenBucket(ctx.now, ctx.sysctl.v['anystack.tcp_answers_limit']);
    ctx.sysctl.onChange('net.ipv4.tcp_fastopen', () => this.fastOpen.clear());
    this.openCookies = new OpenCookies(ctx.secret);
    const key = (): void => this.openCookies.setKey(ctx.sysctl.v['net.ipv4.tcp_fastopen_key']);
    key();
    ctx.sysctl.onChange('net.ipv4.tcp_fastopen_key', key);
    const nagle = (): boolean => ctx.sysctl.v['anystack.tcp_nagle'] === 'minshall';
    this.minshall = nagle();
    ctx.sysctl.onChange('anystack.tcp_nagle', () => {
      this.minshall = nagle();
    });
    const plain = (): boolean => ctx.sysctl.v['anystack.tcp_buffers'] === 'bsd';
    this.plainBuffers = plain();
    ctx.sysctl.onChange('anystack.tcp_buffers', () => {
      this.plainBuffers = plain();
    });
    ip.register(Protocol.Tcp, this);
  }

  // ---- the phases of a poll

  /** Ingress: a segment for one of our addresses. Takes the packet over. */
  input(packet: Packet): void {
    const { ctx, seg } = this;
    ctx.counters.count(Counter.TcpInSegs);
    const wrong = seg.read(packet);
    if (wrong !== 0) {
      ctx.counters.count(Counter.TcpInErrs);
      return ctx.drop(packet, wrong);
    }
    const reason = this.dispatch(packet);
    if (reason !== 0) ctx.drop(packet, reason);
    else packet.release();
  }

  /** Answers a packet that a filter rejects with a RST, as if nobody listened. The packet stays the caller's. */
  reject(packet: Packet): void {
    packet.head = packet.transport;
    if (this.seg.read(packet) === 0) refuse(this, packet, this.seg);
    packet.head = packet.network;
  }

  /** Egress: every connection marked dirty sends what it now may. */
  egress(): void {
    while (this.dirty.length > 0) {
      const batch = this.dirty;
      this.dirty = this.sending;
      this.sending = batch;
      for (let i = 0; i < batch.length; i++) {
        const tcb = batch[i] as Tcb;
        tcb.dirty = false;
        output(tcb);
      }
      batch.length = 0;
    }
  }

  /** Timers: one of ours is due. */
  expire(timer: Timer): void {
    switch (timer.kind) {
      case TimerKind.TcpRetransmit:
        return retransmissionTimer(timer.owner as Tcb);
      case TimerKind.TcpDelayedAck:
        return delayedAckTimer(timer.owner as Tcb);
      case TimerKind.TcpKeepAlive:
        return keepAliveTimer(timer.owner as Tcb);
      case TimerKind.TcpPacing:
        return this.touch(timer.owner as Tcb);
      case TimerKind.TcpSynAck:
        return synAckTimer(this, timer.owner as HalfOpen);
      case TimerKind.TcpTimeWait:
        return this.timeWaits.expire();
    }
  }

  error(error: IcmpError): void {
    const { source, destination } = error;
    const vrf = this.ip.vrfOf(error.inIndex);
    const zone = destination.isLinkLocal && !destination.isV4 ? error.inIndex : 0;
    const entry = this.flows.find(source, destination, error.sourcePort, error.destinationPort, vrf, zone);
    if (entry instanceof Tcb) icmpArrives(this, entry, error);
    else this.ctx.countDrop(Drop.IcmpErrorUnmatched);
  }

  /** True when somebody waits for egress. */
  get pending(): boolean {
    return this.dirty.length > 0;
  }

  /** Marks a connection for the next egress; outside a poll it also asks for one. */
  touch(tcb: Tcb): void {
    if (tcb.dirty) return;
    tcb.dirty = true;
    this.dirty.push(tcb);
    this.ctx.soon();
  }

  private dispatch(packet: Packet): number {
    const { seg } = this;
    const { source, destination, sourcePort, destinationPort } = packet;
    if ((seg.flags & SYN_FIN_ACK) === SYN_FIN && this.ctx.sysctl.v['anystack.tcp_drop_synfin'] === 1) return Drop.TcpBadFlags;
    if (source.isMulticast || destination.isMulticast || source.isLimitedBroadcast || destination.isLimitedBroadcast || source.isUnspecified)
      return Drop.TcpBadAddress;
    const vrf = this.ip.vrfOf(packet.inIndex);
    const zone = source.isLinkLocal && !source.isV4 ? packet.inIndex : 0;
    const entry = this.flows.find(destination, source, destinationPort, sourcePort, vrf, zone);
    if (entry instanceof Tcb) {
      if (entry.state === State.SynSent) return segmentArrivesSynSent(entry, seg, packet);
      return segmentArrives(entry, seg, packet);
    }
    if (entry instanceof HalfOpen) return segmentArrivesHalfOpen(this, entry, seg, packet);
    let before: TimeWait | null = null;
    if (entry instanceof TimeWait) {
      const reason = segmentArrivesTimeWait(this, entry, seg, packet);
      if (reason >= 0) return reason;
      before = entry;
    }
    const listener = this.listeners.find(destination, destinationPort, vrf, zone, packet.inIndex);
    if (listener !== null) return segmentArrivesListen(this, listener, seg, packet, vrf, zone, before);
    refuse(this, packet, seg);
    return (seg.flags & 4) !== 0 ? Drop.TcpRstNoConnection : Drop.TcpNoPort;
  }

  // ---- sockets

  /** A socket of family 4, 6 (IPv6 only) or 46 (both). */
  openSocket(family: 4 | 6 | 46): TcpSocket {
    return new TcpSocket(this, family);
  }

  /** See TcpSocket.setOption of TCP_CONGESTION. */
  setCongestion(socket: TcpSocket, name: string): number {
    if (!congestionNames.includes(name)) return -Errno.ENOENT;
    socket.options.congestion = name;
    return 0;
  }

  /** An option of a connected socket has changed. */
  optionsChanged(tcb: Tcb, name: string): void {
    if (tcb.state < State.Established) return;
    if (name === 'SO_KEEPALIVE' || name.startsWith('TCP_KEEP')) {
      if (tcb.options.keepAlive !== 0) armKeepAlive(tcb);
    } else if (name === 'SO_RCVBUF') tcb.rcv.space = Math.max(tcb.rcv.space, windowOf(this, tcb.options.receiveBuffer));
    else if (name === 'TCP_NODELAY' && tcb.options.noDelay !== 0) tcb.snd.push = waitingOctets(tcb) > 0;
    else if (name === 'TCP_MAXSEG' && tcb.path !== null) mtuChanged(tcb, tcb.path.mtu);
    else if (name === 'TCP_CONGESTION' && tcb.flight !== null && tcb.flight.congestion.name !== tcb.options.congestion) {
      tcb.flight.congestion = makeCongestion(tcb, tcb.options.congestion);
    } else if (name === 'TCP_QUICKACK') {
      if (tcb.options.quickAck !== 0) {
        tcb.rcv.quick = Math.max(tcb.rcv.quick, 2);
        if (tcb.rcv.due === AckDue.Delayed) tcb.rcv.due = AckDue.Now;
      }
    }
    this.touch(tcb);
  }

  // ---- connections

  /** More connections than the stack may have. */
  get crowded(): boolean {
    return this.flows.count - this.timeWaits.count >= this.ctx.sysctl.v['anystack.tcp_connections_max'];
  }

  /** RFC 6928: ten segments, but not more than 14,600 octets, or two segments. */
  initialWindow(tcb: Tcb): number {
    const segments = this.ctx.sysctl.v['anystack.tcp_initial_window'];
    const { mss } = tcb.snd;
    return Math.min(segments * mss, Math.max(2 * mss, segments * 1_460));
  }

  /** Scoreboard and congestion control of a connection that begins to send. */
  openFlight(tcb: Tcb): Flight {
    const name = tcb.options.congestion || this.ctx.sysctl.v['net.ipv4.tcp_congestion_control'];
    const flight = new Flight(this.sentPool, makeCongestion(tcb, name), tcb.snd.una);
    flight.reordering = this.ctx.sysctl.v['net.ipv4.tcp_reordering'];
    tcb.flight = flight;
    return flight;
  }

  /** The handshake of `tcb` is done: its socket is writable. */
  established(tcb: Tcb): void {
    tcb.socket?.report(0);
  }

  /** The connection is over: nothing of it is kept but what its application has not read. `errno` 0: it ended well. */
  finish(tcb: Tcb, errno: number): void {
    if (tcb.state === State.Closed) return;
    enter(tcb, State.Closed);
    handshakeOver(tcb);
    this.flows.remove(tcb);
    this.strip(tcb);
    const { socket } = tcb;
    if (socket === null) this.forget(tcb);
    else {
      this.release(socket);
      socket.report(errno);
    }
  }

  /** Gives up what a connection that is over has left to read. */
  forget(tcb: Tcb): void {
    tcb.receiveBuffer?.clear();
    tcb.receiveBuffer = null;
  }

  /** The socket's port is free again. Idempotent. */
  release(socket: TcpSocket): void {
    if (socket.binding !== null) this.ports.remove(socket.binding);
    socket.binding = null;
  }

  private strip(tcb: Tcb): void {
    cancelAll(tcb);
    tcb.sendBuffer?.clear();
    tcb.sendBuffer = null;
    tcb.flight?.clear();
    tcb.flight = null;
    tcb.rcv.due = AckDue.No;
  }

  // ---- TIME-WAIT

  /** The connection is in TIME-WAIT: a small entry takes its place. */
  timeWait(tcb: Tcb): void {
    // The ACK of the peer's FIN, while there still is a connection to send it.
    if (tcb.rcv.due !== AckDue.No) output(tcb);
    this.timeWaits.enter(tcb);
    this.strip(tcb);
    const { socket } = tcb;
    if (socket === null) this.forget(tcb);
    else {
      this.release(socket);
      socket.report(0);
    }
  }

  // ---- half-open connections and listeners

  /** Forgets a half-open connection. */
  endHalfOpen(half: HalfOpen): void {
    this.ctx.wheel.cancel(half.timer);
    half.listener.halfOpen.delete(half);
    this.flows.remove(half);
  }

  unlisten(listener: Listener): void {
    this.listeners.remove(listener);
    this.release(listener.socket);
  }

  /** May a challenge ACK be sent? One token is taken. RFC 5961 §7. */
  mayChallenge(): boolean {
    const limit = this.ctx.sysctl.v['net.ipv4.tcp_challenge_ack_limit'];
    return this.challenges.take(this.ctx.now, limit, limit);
  }

  /** May a segment of no connection be answered? One token is taken. A flood from forged addresses would else be doubled on its way to them. */
  mayAnswer(): boolean {
    const limit = this.ctx.sysctl.v['anystack.tcp_answers_limit'];
    return this.answers.take(this.ctx.now, limit, limit);
  }

  // ---- the whole

  /** All connections that have a TCB. */
  connections(): Tcb[] {
    return this.flows.all().filter((flow: Flowing): flow is Tcb => flow instanceof Tcb);
  }

  /** Ends everything without a word on the wire: sockets report `errno`. For a stack that fails. */
  fail(errno: number): void {
    for (const listener of this.listeners.all()) listener.socket.fail(errno);
    for (const tcb of this.connections()) this.finish(tcb, errno);
    this.clear();
  }

  /** Connections over a device that died get its error; nothing is sent, as nothing could be. */
  interfaceDied(iface: Interface, error: NetError): void {
    for (const tcb of this.connections()) {
      const uses = tcb.path?.iface === iface || iface.addresses.some((a) => a.address.equals(tcb.local));
      if (uses) this.finish(tcb, -error.errno);
    }
  }

  /** Ends everything: connections are reset, as the peers will otherwise learn only by timeouts. */
  close(): void {
    for (const listener of this.listeners.all()) listener.socket.fail(Errno.ENETDOWN);
    for (const tcb of this.connections()) abort(tcb, Errno.ENETDOWN);
    this.clear();
  }

  private clear(): void {
    for (const flow of this.flows.all()) {
      if (flow instanceof HalfOpen) this.endHalfOpen(flow);
      else if (flow instanceof TimeWait) this.timeWaits.end(flow);
    }
    this.dirty.length = 0;
  }
}
