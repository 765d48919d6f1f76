/**
 * One IKE SA: its keys, its message numbers, its requests in flight and their retransmission (RFC 7296 §2.1 to §2.4). What is said
 * in which exchange is in the files beside this one.
 */
import type { Address } from '../../../base/address.js';
import { Drop } from '../../../base/drops.js';
import { type Micros, seconds } from '../../../base/time.js';
import { Timer } from '../../../base/timer-wheel.js';
import { Exchange, Flag, type Header, message, NotifyType, type Part, type Payload, PayloadType, readPayloads } from '../../../wire/ike.js';
import { putDelete } from '../../../wire/ike-payload.js';
import { SaProtocol } from '../../../wire/ike-sa.js';
import { TimerKind } from '../../timer-kind.js';
import { KEEPALIVE } from '../nat-t.js';
import type { ChildSa } from './child-sa.js';
import type { Connection, Identity, WantedChild } from './connection.js';
import type { Ike } from './ike.js';
import { type IkeKeys, zeroKeys } from './keys.js';
import { askForLife, type Mobility } from './mobike.js';
import { notifyPart } from './notify.js';
import type { IkeSuite } from './proposal.js';
import type { Redirected } from './redirect.js';
import { type Request, Requests } from './requests.js';
import { type Fragment, Fragments, SecureChannel } from './secure.js';

/** A responder waits this long for IKE_AUTH. */
const HALF_OPEN: Micros = seconds(30);
/** A replaced IKE SA waits this long for the peer's delete. */
const RETIRED: Micros = seconds(60);
/** RFC 3948 §4. */
const KEEPALIVE_INTERVAL: Micros = seconds(20);
/** Octets of one message when fragments are agreed on: IPv6's least MTU less IPv6, UDP and the marker. RFC 7383 §2.5.1. */
const FRAGMENT_OCTETS = 1_280 - 40 - 8 - 4;

/** RFC 7296 names no states; these are what an IKE SA goes through, from left to right. */
export type IkeState = 'connecting' | 'established' | 'rekeyed' | 'deleting' | 'dead';

/** From where to where messages go. */
export interface Way {
  readonly local: Address;
  readonly localPort: number;
  readonly remote: Address;
  readonly remotePort: number;
}

/** See the head of the file. */
export class IkeSa implements Way {
  readonly ike: Ike;
  connection: Connection;
  /** We began it: we are the original initiator of RFC 7296 §3.1. */
  readonly initiator: boolean;
  spiI: Uint8Array;
  spiR: Uint8Array;
  readonly local: Address;
  readonly remote: Address;
  localPort: number;
  remotePort: number;
  state: IkeState = 'connecting';
  suite: IkeSuite | null = null;
  keys: IkeKeys | null = null;
  nonceI: Uint8Array = new Uint8Array();
  nonceR: Uint8Array = new Uint8Array();
  /** The first messages of both sides as they went: AUTH covers them. */
  initI: Uint8Array = new Uint8Array();
  initR: Uint8Array = new Uint8Array();
  /** A NAT stands before us, before the peer. */
  natLocal = false;
  natRemote = false;
  peerFragments = false;
  /** Hash algorithms of RFC 7427 that the peer verifies. */
  peerHashes: ReadonlySet<number> = new Set();
  peerId: Identity | null = null;
  children: ChildSa[] = [];
  /** The child to ask for in IKE_AUTH; null: the first that is configured. */
  firstChild: WantedChild | null = null;
  /** The IKE SA that takes its place. */
  successor: IkeSa | null = null;
  /** Made by the peer's rekey while ours is under way, with the lower of its nonces. */
  peerSuccessor: { readonly sa: IkeSa; readonly nonce: Uint8Array } | null = null;
  /** Inner addresses: given to us, or given by us. */
  virtual: readonly Address[] = [];
  /** Its place among the half-open ones. */
  halfOpenKey = '';
  /** Both ends can move: RFC 4555. */
  mobility: Mobility | null = null;
  /** How the request under work came: its answer goes back the same way. */
  came: Way | null = null;
  /** Other gateways have sent us here: RFC 5685. */
  redirected: Redirected | null = null;
  /** Why it failed. */
  error = '';
  /** The last authentic message from the peer. */
  heard: Micros;
  createdAt: Micros;
  /** An exchange of the peer's is being worked on in slow steps. */
  busy = false;
  /** Our rekey of this IKE SA is in flight. */
  rekeying = false;
  private out: SecureChannel | null = null;
  private in: SecureChannel | null = null;
  private expectedId = 0;
  private readonly requests = new Requests(this);
  /** The peer's last one, or its first fragment. */
  private lastRequest: Uint8Array = new Uint8Array();
  private answered: readonly Uint8Array[] = [];
  private readonly fragments = new Fragments();
  private readonly answerFragments = new Fragments();
  private readonly tick = new Timer(TimerKind.Ike, this);

  constructor(
    ike: Ike,
    connection: Connection,
    initiator: boolean,
    spiI: Uint8Array,
    spiR: Uint8Array,
    local: Address,
    remote: Address,
    ports: readonly [number, number],
  ) {
    this.ike = ike;
    this.connection = connection;
    this.initiator = initiator;
    this.spiI = spiI.slice();
    this.spiR = spiR.slice();
    this.local = local.clone();
    this.remote = remote.clone();
    [this.localPort, this.remotePort] = ports;
    this.heard = this.createdAt = ike.ctx.now;
    if (!initiator) ike.ctx.wheel.arm(this.tick, ike.ctx.now + HALF_OPEN);
  }

  /** Ours, by which the peer's messages find it. */
  get spi(): Uint8Array {
    return this.initiator ? this.spiI : this.spiR;
  }

  /** ESP travels in UDP. */
  get encapsulated(): boolean {
    return this.natLocal || this.natRemote || this.connection.encapsulate;
  }

  /** Octets of one message to the peer. */
  private get messageOctets(): number {
    return this.peerFragments && this.connection.fragmentation ? FRAGMENT_OCTETS : 65_535;
  }

  /** Puts the keys to use. False when the host lacks the algorithm. */
  install(suite: IkeSuite, keys: IkeKeys): boolean {
    const { crypto, bench } = this.ike.exchanges;
    const out = SecureChannel.make(crypto, bench, suite.suite, this.initiator ? keys.ei : keys.er);
    const inward = SecureChannel.make(crypto, bench, suite.suite, this.initiator ? keys.er : keys.ei);
    if (out === null || inward === null) return false;
    this.suite = suite;
    this.keys = keys;
    this.out = out;
    this.in = inward;
    return true;
  }

  /** Its children may use it now. */
  establish(): void {
    this.state = 'established';
    const { ctx } = this.ike;
    this.createdAt = this.heard = ctx.now;
    this.armTick();
  }

  // Sending

  /** Sends a request when its turn comes. */
  request(request: Request): void {
    this.requests.add(request);
  }

  /** Starts over with message number 0. */
  restart(request: Request): void {
    this.requests.restart(request);
  }

  /** None of our requests is in flight or waits. */
  get idle(): boolean {
    return this.requests.idle;
  }

  /** The datagrams of a message: one in clear before there are keys. */
  seal(exchange: number, flags: number, id: number, parts: readonly Part[]): readonly Uint8Array[] {
    if (exchange === Exchange.SaInit || this.out === null) return [message(this.spiI, this.spiR, exchange, flags, id, parts)];
    const head = { spiI: this.spiI, spiR: this.spiR, exchange, flags, id, random: (into: Uint8Array) => this.ike.ctx.hyper.random(into) };
    return this.out.seal(head, parts, this.messageOctets);
  }

  /** Answers the peer's request under work; the answer is kept for its retransmissions. */
  respond(exchange: number, parts: readonly Part[]): void {
    const flags = Flag.Response | (this.initiator ? Flag.Initiator : 0);
    this.answered = this.seal(exchange, flags, this.expectedId, parts);
    if (exchange === Exchange.SaInit) this.initR = this.answered[0] as Uint8Array;
    this.expectedId++;
    this.busy = false;
    for (const datagram of this.answered) this.ike.send(this.mobility === null ? this : (this.came ?? this), datagram);
  }

  // Receiving

  /** A datagram for this SA. */
  receive(header: Header, bytes: Uint8Array, way: Way): void {
    const response = (header.flags & Flag.Response) !== 0;
    if (response) {
      if (!this.requests.awaits(header)) {
        this.ike.drop(Drop.IkeMessageId);
        return;
      }
    } else if (header.id === this.expectedId - 1 && this.answered.length > 0) {
      // RFC 7296 §2.1: the same answer once more, to the same octets only: a stranger who makes up a number draws none.
      // Of a message in fragments the first stands for all (RFC 7383 §2.6.1).
      const known = header.exchange === Exchange.SaInit ? this.initI : this.lastRequest;
      if (known.length === bytes.length && known.every((octet, i) => octet === bytes[i]))
        for (const datagram of this.answered) this.ike.send(this.mobility === null ? this : way, datagram);
      this.ike.drop(Drop.IkeMessageId);
      return;
    } else if (header.id !== this.expectedId || this.busy) {
      this.ike.drop(Drop.IkeMessageId);
      return;
    }
    const payloads = this.open(header, bytes, response);
    if (payloads === null) return;
    if (!response) this.came = { ...way, local: way.local.clone(), remote: way.remote.clone() };
    // Who may move says so itself: RFC 4555 §3.8.
    if (header.exchange !== Exchange.SaInit && this.mobility === null) {
      // RFC 7296 §2.23: the initiator goes on at the other port when it sees a NAT, and a NAT may map it anew at any time; who is authentic is followed.
      this.localPort = way.localPort;
      if (this.natRemote || way.remote.equals(this.remote)) this.move(way.remote, way.remotePort);
    }
    this.dispatch(header, payloads, response);
  }

  /** The peer is there from now on, and so are its children. */
  move(address: Address, port: number): void {
    if (port === this.remotePort && address.equals(this.remote)) return;
    this.remote.copy(address);
    this.remotePort = port;
    for (const { inbound, outbound } of this.children) {
      inbound.source.copy(address);
      if (inbound.remotePort === 0) continue;
      inbound.remotePort = port;
      outbound.destination.copy(address);
      outbound.remotePort = port;
      outbound.path = null;
    }
  }

  /** What is known of the peer goes over to the IKE SA that takes its place. */
  inherit(old: IkeSa): void {
    this.natLocal = old.natLocal;
    this.natRemote = old.natRemote;
    this.peerFragments = old.peerFragments;
    this.peerHashes = old.peerHashes;
    this.peerId = old.peerId;
    this.virtual = old.virtual;
    this.mobility = old.mobility;
    this.ike.enter(this);
  }

  private open(header: Header, bytes: Uint8Array, response: boolean): readonly Payload[] | null {
    const outer = readPayloads(bytes, 28, header.next);
    if (typeof outer === 'number') {
      this.ike.drop(outer);
      return null;
    }
    if (header.exchange === Exchange.SaInit) return outer;
    const last = outer.at(-1);
    if (this.in === null || last === undefined || (last.type !== PayloadType.Sk && last.type !== PayloadType.Skf)) {
      this.ike.drop(Drop.IkeState);
      return null;
    }
    if (last.type === PayloadType.Skf && (!this.connection.fragmentation || last.body.length < 4)) {
      this.ike.drop(Drop.IkeFragment);
      return null;
    }
    const opened = this.in.open(bytes, last);
    if (typeof opened === 'number') {
      this.ike.drop(opened);
      return null;
    }
    this.heard = this.ike.ctx.now;
    if (!response && (opened.fragment === null || opened.fragment.number === 1)) this.lastRequest = bytes;
    if (opened.fragment === null) return opened.payloads;
    const whole = (response ? this.answerFragments : this.fragments).add(header.id, opened.fragment as Fragment);
    if (typeof whole !== 'number') return whole;
    this.ike.drop(whole);
    return null;
  }

  private dispatch(header: Header, payloads: readonly Payload[], response: boolean): void {
    if (!response) {
      this.busy = true;
      // RFC 7296 §2.5: a critical payload nobody here knows refuses the request.
      const unknown = payloads.find((p) => p.critical && !KNOWN.has(p.type));
      if (unknown !== undefined) this.respond(header.exchange, [notifyPart(NotifyType.UnsupportedCriticalPayload, Uint8Array.of(unknown.type))]);
      else this.ike.exchanges.requested(this, header.exchange, payloads);
      return;
    }
    this.requests.answered(payloads, () => this.state !== 'connecting' || this.suite !== null || this.accepted);
  }

  /** The answer to our IKE_SA_INIT has been taken and is being worked on. */
  accepted = false;

  /** False when it has given everything back. */
  get alive(): boolean {
    return this.state !== 'dead';
  }

  // Time

  /** Sign of life, keep-alive, lifetime: whichever is next. For the timer wheel. */
  expire(): void {
    const { ctx } = this.ike;
    if (this.state === 'connecting') {
      this.fail('the peer did not go on');
      return;
    }
    if (this.state === 'rekeyed') {
      this.end('replaced'); // the peer's delete did not come
      return;
    }
    if (this.state !== 'established') return;
    const { dpdSeconds, rekeySeconds } = this.connection;
    if (this.natLocal) this.ike.sendRaw(this, KEEPALIVE);
    if (rekeySeconds > 0 && ctx.now >= this.createdAt + seconds(rekeySeconds) && !this.rekeying) this.ike.exchanges.rekeyIke(this);
    if (dpdSeconds > 0 && ctx.now >= this.heard + seconds(dpdSeconds) && this.idle) askForLife(this.ike.exchanges, this);
    this.armTick();
  }

  private armTick(): void {
    const { ctx } = this.ike;
    const { dpdSeconds, rekeySeconds } = this.connection;
    let at = Number.POSITIVE_INFINITY;
    if (this.natLocal) at = ctx.now + KEEPALIVE_INTERVAL;
    if (dpdSeconds > 0) at = Math.min(at, Math.max(this.heard + seconds(dpdSeconds), ctx.now + seconds(1)));
    // Up to a tenth earlier, so that both ends do not rekey at once (RFC 7296 §2.8).
    if (rekeySeconds > 0 && !this.rekeying) at = Math.min(at, Math.max(ctx.now, this.createdAt + seconds(rekeySeconds)));
    if (at === Number.POSITIVE_INFINITY) ctx.wheel.cancel(this.tick);
    else ctx.wheel.arm(this.tick, at);
  }

  // The end

  /** Its children have moved on: the peer's delete, or ours, ends it. */
  retire(successor: IkeSa): void {
    this.state = 'rekeyed';
    this.successor = successor;
    this.ike.ctx.wheel.arm(this.tick, this.ike.ctx.now + RETIRED);
  }

  /** Deletes it after its children have moved on. */
  closeReplaced(): void {
    this.tellDelete(() => this.end('replaced'));
  }

  /** Closes it by telling the peer; its children go with it. */
  close(done: () => void = () => {}): void {
    if (this.state === 'connecting') {
      this.fail('closed');
      done();
      return;
    }
    if (this.state === 'dead' || this.state === 'deleting') return;
    this.state = 'deleting';
    this.tellDelete(() => {
      this.end('closed');
      done();
    });
  }

  private tellDelete(done: () => void): void {
    this.request({ exchange: Exchange.Informational, build: () => [{ type: PayloadType.Delete, body: putDelete(SaProtocol.Ike, []) }], done });
  }

  /** It is of no use any more. */
  fail(reason: string): void {
    this.error = reason;
    this.end(reason);
  }

  /** Gives everything back: keys, timers, children, its place in the table. */
  end(reason: string): void {
    if (this.state === 'dead') return;
    this.state = 'dead';
    const { ctx } = this.ike;
    ctx.wheel.cancel(this.tick);
    this.out?.close();
    this.in?.close();
    if (this.keys !== null) zeroKeys(this.keys);
    for (const child of [...this.children]) child.remove();
    this.requests.end();
    this.ike.ended(this, reason);
  }
}

const KNOWN: ReadonlySet<number> = new Set(Object.values(PayloadType));
