import type { Socket as Datagrams, RemoteInfo } from 'node:dgram';
import { isIPv6 } from 'node:net';
import type { Place } from './place.js';
import { Relay, type RelayContext } from './relay.js';

/** Seconds without a datagram after which a peer is forgotten, unless the configuration says otherwise. RFC 4787 REQ-5: not below two minutes; five by default. */
export const UDP_IDLE = 300;
/** Datagrams of one peer that wait until the far end's name is known; further ones are lost. */
const WAITING_MAX = 16;

/** One who sends here, and the socket that stands for it at the far side. */
interface Peer {
  readonly idle: NodeJS.Timeout;
  /** Null until the far end's address is known. */
  far: Datagrams | null;
  /** What came before the far socket was connected; null from then on. */
  waiting: Buffer[] | null;
}

/** Datagrams to one place go on to another from a socket for each sender; answers come back by it. */
export class UdpForward extends Relay {
  private readonly near: Datagrams;
  private readonly target: Place;
  private readonly idleMs: number;
  private readonly peers = new Map<string, Peer>();
  private closed = false;

  constructor(context: RelayContext, from: Place, to: Place, max: number, idle: number) {
    super(context, 'udp', from, to, max);
    this.target = to;
    this.idleMs = idle * 1_000;
    this.near = context.sides[from.side].datagrams(isIPv6(from.host));
    this.near.on('message', (datagram, sender) => this.input(datagram, sender));
    this.near.on('error', (error) => (this.pending ? this.failed(error) : undefined));
    this.near.on('listening', () => this.listening());
    this.near.bind(from.port, from.host);
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.near.close();
    for (const key of [...this.peers.keys()]) this.forget(key);
  }

  private input(datagram: Buffer, sender: RemoteInfo): void {
    const key = `${sender.address} ${sender.port}`;
    const peer = this.peers.get(key) ?? this.greet(key, sender);
    if (peer === null) return;
    peer.idle.refresh();
    if (peer.waiting === null) peer.far?.send(datagram, lost);
    else if (peer.waiting.length < WAITING_MAX) peer.waiting.push(datagram);
  }

  private greet(key: string, sender: RemoteInfo): Peer | null {
    // A stack that has ended sends nothing any more.
    if (this.context.core.ctx.ended !== 0 || !this.admit()) return null;
    const idle = setTimeout(() => this.forget(key), this.idleMs);
    idle.unref();
    const peer: Peer = { idle, far: null, waiting: [] };
    this.peers.set(key, peer);
    const { host, side } = this.target;
    this.context.sides[side].lookup(host, {}, (error, found) => {
      if (this.peers.get(key) !== peer) return;
      if (error === null) this.reach(key, peer, found as string, sender);
      else this.lose(key, error);
    });
    return peer;
  }

  private reach(key: string, peer: Peer, address: string, sender: RemoteInfo): void {
    const { port, side } = this.target;
    const far = this.context.sides[side].datagrams(isIPv6(address));
    peer.far = far;
    // The far end's port is shut, as ICMP tells: the next datagram tries anew.
    far.on('error', () => this.forget(key));
    far.on('message', (answer) => {
      peer.idle.refresh();
      this.near.send(answer, sender.port, sender.address, lost);
    });
    far.connect(port, address, (error?: Error) => {
      if (error) {
        this.lose(key, error);
        return;
      }
      for (const datagram of peer.waiting ?? []) far.send(datagram, lost);
      peer.waiting = null;
    });
  }

  private lose(key: string, why: Error): void {
    this.context.core.hyper.log('warn', `${this}: ${why.message}`);
    this.forget(key);
  }

  private forget(key: string): void {
    const peer = this.peers.get(key);
    if (peer === undefined) return;
    this.peers.delete(key);
    clearTimeout(peer.idle);
    peer.far?.close();
    this.leave();
  }
}

/** What cannot be sent is lost, as datagrams are. */
const lost = (): void => {};
