import { Drop } from '../../base/drops.js';
import { errnoName, NetError } from '../../base/errors.js';
import { type Micros, seconds } from '../../base/time.js';
import type { Store } from '../../hyper/hypercalls.js';
import type { Interface } from '../../net/interface.js';
import { DatagramInfo } from '../../net/socket/datagram-queue.js';
import type { UdpSocket } from '../../net/socket/udp-socket.js';
import type { Stack } from '../../net/stack.js';
import { CLIENT_PORT, type DhcpMessage, MessageType, Op, Option, parse, SERVER_PORT } from '../../wire/dhcp.js';
import { Alarm } from '../alarm.js';
import type { DnsSettings } from '../dns/settings.js';
import { Binding } from './binding.js';
import { ClientSpeaker, type Extra, octetsOf } from './client-speaker.js';
import { leaseStore } from './kept.js';
import { decodeLease, encodeLease, type Lease, leaseOf } from './lease.js';
import { LinkSocket, sendProbe } from './link-socket.js';

/** RFC 2131 figure 5, with the probing of §4.4.1, and 'waiting' for a carrier or after a refusal. */
export type ClientState = 'waiting' | 'selecting' | 'requesting' | 'rebooting' | 'probing' | 'bound' | 'renewing' | 'rebinding' | 'stopped';

/** RFC 2131 §4.1: the first answer is waited for 4 s, give or take one, then twice as long each time, up to 64. */
const RESEND_MIN = 4;
const RESEND_MAX = 64;
/** Requests that go unanswered before the client begins anew: some 28 s (RFC 2131 §3.1.5 gives 60 as an example). */
const REQUESTS_MAX = 3;
/** An old lease is asked for so often before the search for any begins. */
const REBOOTS_MAX = 2;
/** RFC 2131 §3.1.5: not before 10 s after a DECLINE. After a NAK one second, so that a forger does not make us a storm. */
const AFTER_DECLINE_MS = 10_000;
const AFTER_NAK_MS = 1_000;
/** RFC 5227's probes take up to 7 s before a host may speak. These find a station that is there at all. */
const PROBES = 2;
const PROBE_MS = 300;
/** RFC 2131 §4.4.5: renewals are repeated after half the time that is left, but not within 60 s. */
const RENEW_RESEND_MIN = seconds(60);
/** The clock of leases runs through suspend, alarms do not: it is looked at this often at least. */
const LOOK_MS = 60_000;

/** The address of one interface by DHCP (RFC 2131, RFC 4361): asked for, kept, and given back. */
export class DhcpClient {
  state: ClientState = 'waiting';
  /** What is in force; null before and after. */
  lease: Lease | null = null;
  /** When it was asked for, by the clock that runs through suspend. */
  began: Micros = 0;
  private readonly core: Stack;
  private readonly iface: Interface;
  private readonly bound: () => void;
  private readonly binding: Binding;
  private readonly alarm: Alarm;
  private readonly store: Store;
  private readonly socket: UdpSocket;
  private readonly speaker: ClientSpeaker;
  private link: LinkSocket | null = null;
  private offer: Lease | null = null;
  private tries = 0;
  private resendAt: Micros = 0;
  /** The station that the server's messages came from. */
  private nextHop: Uint8Array | null = null;
  /** The address of an earlier run, asked for again. */
  private last: number | null = null;

  /** `bound` is told when a lease is in force, in the notify phase. NetError EOPNOTSUPP where there is no Ethernet, EADDRINUSE where somebody has port 68. */
  constructor(core: Stack, iface: Interface, settings: DnsSettings, bound: () => void) {
    if (iface.medium !== 'ethernet') throw new NetError('EOPNOTSUPP', 'dhcp', iface.name, undefined, 'DHCP needs an Ethernet device');
    this.core = core;
    this.iface = iface;
    this.bound = bound;
    this.binding = new Binding(core, iface, settings);
    this.alarm = new Alarm(core.ctx, () => this.ring());
    this.store = leaseStore(core.hyper);
    this.socket = core.udp.openSocket(4);
    this.socket.vrf = iface.vrf;
    this.socket.boundIndex = iface.index;
    this.socket.setOption('SO_BROADCAST', 1);
    const result = this.socket.bind(null, CLIENT_PORT);
    if (result !== 0) {
      this.socket.close();
      throw new NetError(errnoName(result), 'bind', iface.name, CLIENT_PORT);
    }
    this.speaker = new ClientSpeaker(core, iface, this.socket);
    this.socket.onReady = () => this.receive();
    this.linkChanged();
  }

  /** The interface got or lost its carrier. On a network that may be another one an old lease is asked for anew (RFC 2131 §3.7). */
  linkChanged(): void {
    if (this.state === 'stopped') return;
    if (this.state === 'waiting') this.ring();
    else if (!this.iface.running) return;
    else if (this.state === 'bound' || this.state === 'renewing' || this.state === 'rebinding') this.reboot(this.lease as Lease);
  }

  /** Ends it. `release`: the address goes back to its server; else the lease stays in the store, to be asked for again. */
  stop(release: boolean): void {
    if (this.state === 'stopped') return;
    if (release && this.lease !== null) {
      if (this.iface.running) this.speaker.release(this.lease, this.nextHop);
      this.store.delete(this.storeKey);
    }
    this.alarm.cancel();
    this.hangUp();
    this.socket.onReady = null;
    this.socket.close();
    this.binding.set(null);
    this.lease = null;
    this.state = 'stopped';
  }

  private begin(): void {
    const kept = this.kept();
    if (kept === null) this.discover();
    else this.reboot(kept);
  }

  /** INIT. RFC 2131 §4.4.1 would have us wait up to 10 s first; nobody does, and whoever starts a program waits for it. */
  private discover(): void {
    this.enter('selecting');
    this.offer = null;
    this.send();
  }

  /** INIT-REBOOT: RFC 2131 §4.4.2. */
  private reboot(lease: Lease): void {
    this.offer = lease;
    this.enter('rebooting');
    this.send();
  }

  /** A new exchange, with a number nobody can guess: it is all that tells an answer from a forgery. */
  private enter(state: ClientState): void {
    const word = new Uint8Array(4);
    this.core.hyper.random(word);
    if (state !== 'requesting') this.speaker.xid = new DataView(word.buffer).getUint32(0);
    if (state === 'selecting' || state === 'rebooting') this.speaker.asked = this.now;
    this.tries = 0;
    this.state = state;
    if (state === 'renewing' || state === 'rebinding') return;
    this.link ??= new LinkSocket(this.core, this.iface, {
      message: (message, mac) => {
        this.nextHop = mac;
        this.take(message);
      },
      arp: (sender, target) => this.heard(sender, target),
    });
  }

  /** What the state has to say, and when it is said again. */
  private send(): void {
    const { iface, offer, state } = this;
    if (!iface.running) {
      this.pause(AFTER_NAK_MS);
      return;
    }
    if (state === 'selecting')
      this.speaker.broadcast(MessageType.Discover, this.last === null ? [] : [[Option.RequestedAddress, octetsOf(this.last)]]);
    else {
      const server: Extra[] = state === 'requesting' ? [[Option.ServerId, octetsOf((offer as Lease).server)]] : [];
      this.speaker.broadcast(MessageType.Request, [[Option.RequestedAddress, octetsOf((offer as Lease).address.w3)], ...server]);
    }
    const wait = Math.min(RESEND_MAX, RESEND_MIN * 2 ** this.tries) + 2 * this.core.ctx.prng.float() - 1;
    this.tries++;
    this.alarm.set(1_000 * wait);
  }

  private ring(): void {
    switch (this.state) {
      case 'waiting':
        if (this.iface.running) this.begin();
        else this.pause(AFTER_NAK_MS);
        return;
      case 'selecting':
        this.send();
        return;
      case 'requesting':
      case 'rebooting':
        if (this.tries < (this.state === 'requesting' ? REQUESTS_MAX : REBOOTS_MAX)) this.send();
        else this.lost();
        return;
      case 'probing':
        this.probe();
        return;
      case 'stopped':
        return;
      default:
        this.keep();
    }
  }

  /** Nobody confirms the old lease, or the offer. An old one that is in force and not over stays so: RFC 2131 §3.2 3. */
  private lost(): void {
    if (this.state === 'rebooting' && this.lease !== null) {
      this.hangUp();
      this.state = 'bound';
      this.keep();
    } else this.discover();
  }

  private receive(): void {
    const octets = new Uint8Array(2_048);
    const info = new DatagramInfo();
    for (let n = this.socket.receive(octets, 0, octets.length, info); n >= 0; n = this.socket.receive(octets, 0, octets.length, info)) {
      // While the link is listened to, everything comes that way.
      if (this.link !== null || info.port !== SERVER_PORT) continue;
      const message = parse(octets, 0, n);
      if (typeof message === 'number') this.core.ctx.countDrop(message);
      else this.take(message);
    }
  }

  private take(message: DhcpMessage): void {
    const { iface, state } = this;
    const type = message.options.get(Option.MessageType)?.[0];
    const ours = message.op === Op.Reply && message.xid === this.speaker.xid && message.chaddr.every((octet, i) => octet === iface.mac[i]);
    if (ours && type === MessageType.Offer && state === 'selecting') this.offered(message);
    else if (ours && type === MessageType.Ack) this.acknowledged(message);
    else if (ours && type === MessageType.Nak && this.fromOurServer(message)) this.refused();
    else this.core.ctx.countDrop(Drop.DhcpUnexpected);
  }

  /** The first offer one can live by is taken. */
  private offered(message: DhcpMessage): void {
    const lease = leaseOf(message);
    if (lease === null) {
      this.core.ctx.countDrop(Drop.DhcpMalformed);
      return;
    }
    this.offer = lease;
    this.enter('requesting');
    this.send();
  }

  private acknowledged(message: DhcpMessage): void {
    const { offer, state } = this;
    const waiting = state === 'requesting' || state === 'rebooting' || state === 'renewing' || state === 'rebinding';
    const wanted = state === 'requesting' || state === 'rebooting' ? offer : this.lease;
    const lease = waiting && wanted !== null && this.fromOurServer(message) ? leaseOf(message, wanted.server) : null;
    if (lease === null || wanted === null || !lease.address.equals(wanted.address)) {
      this.core.ctx.countDrop(Drop.DhcpUnexpected);
      return;
    }
    this.offer = lease;
    this.alarm.cancel();
    if (this.lease !== null) {
      this.bind(lease);
      return;
    }
    this.tries = 0;
    this.state = 'probing';
    this.probe();
  }

  /** In requesting and renewing one server was spoken to; rebooting and rebinding are for all. */
  private fromOurServer({ options }: DhcpMessage): boolean {
    const id = options.get(Option.ServerId);
    if (this.state === 'rebooting' || this.state === 'rebinding' || this.state === 'bound') return true;
    const server = this.state === 'renewing' ? this.lease?.server : this.offer?.server;
    return id === undefined ? this.state === 'renewing' : id.length === 4 && wordOf(id) === server;
  }

  /** RFC 2131 §3.1.5, §4.4.5: the address is no longer ours. */
  private refused(): void {
    if (this.state !== 'requesting' && this.state !== 'rebooting' && this.state !== 'renewing' && this.state !== 'rebinding') {
      this.core.ctx.countDrop(Drop.DhcpUnexpected);
      return;
    }
    this.core.hyper.log('info', `dhcp ${this.iface.name}: the server refuses ${this.offer?.address ?? this.lease?.address}`);
    this.forget();
    this.pause(AFTER_NAK_MS);
  }

  private probe(): void {
    const { address } = this.offer as Lease;
    if (this.tries++ === PROBES) {
      this.bind(this.offer as Lease);
      return;
    }
    sendProbe(this.core, this.iface, address.w3);
    this.alarm.set(PROBE_MS);
  }

  /** RFC 2131 §4.4.4: somebody has the address that was given to us. */
  private heard(sender: number, target: number): void {
    if (this.state !== 'probing') return;
    const { address, server } = this.offer as Lease;
    if (sender !== address.w3 && !(sender === 0 && target === address.w3)) return;
    this.core.hyper.log('warn', `dhcp ${this.iface.name}: ${address} is in use by another station; declined`);
    this.speaker.broadcast(MessageType.Decline, [
      [Option.RequestedAddress, octetsOf(address.w3)],
      [Option.ServerId, octetsOf(server)],
    ]);
    this.forget();
    this.pause(AFTER_DECLINE_MS);
  }

  private bind(lease: Lease): void {
    const { core } = this;
    this.lease = lease;
    this.began = this.speaker.asked;
    this.hangUp();
    this.binding.set(lease);
    this.store.set(this.storeKey, encodeLease(lease, core.hyper.wallClock() - (this.now - this.began)));
    this.state = 'bound';
    this.keep();
    this.bound();
  }

  /** BOUND, RENEWING, REBINDING: what the clock asks for. RFC 2131 §4.4.5. */
  private keep(): void {
    const lease = this.lease as Lease;
    const age = this.now - this.began;
    if (age >= lease.expire) {
      this.core.hyper.log('warn', `dhcp ${this.iface.name}: the lease of ${lease.address} ended`);
      this.forget();
      this.discover();
      return;
    }
    const state = age >= lease.rebind ? 'rebinding' : age >= lease.renew ? 'renewing' : 'bound';
    if (state !== this.state && state !== 'bound') {
      this.enter(state);
      this.resendAt = 0;
    }
    const limit = state === 'bound' ? lease.renew : state === 'renewing' ? lease.rebind : lease.expire;
    if (state !== 'bound' && this.now >= this.resendAt) {
      this.speaker.asked = this.now;
      if (state === 'renewing') this.speaker.renew(lease);
      else this.speaker.rebind(lease);
      this.resendAt = this.now + Math.max(RENEW_RESEND_MIN, (this.began + limit - this.now) / 2);
    }
    const next = Math.min(this.began + limit, state === 'bound' ? Number.POSITIVE_INFINITY : this.resendAt) - this.now;
    this.alarm.set(Math.min(LOOK_MS, Math.max(1, next / 1_000)));
  }

  /** The lease is gone, here and in the store. */
  private forget(): void {
    this.store.delete(this.storeKey);
    this.binding.set(null);
    this.lease = this.offer = null;
  }

  private pause(ms: number): void {
    this.hangUp();
    this.state = 'waiting';
    this.alarm.set(ms);
  }

  private hangUp(): void {
    this.link?.close();
    this.link = null;
  }

  private get now(): Micros {
    return this.core.hyper.bootTime();
  }

  /** Keys are of lower case letters, names of interfaces of both. */
  private get storeKey(): string {
    return `dhcp-client-${Array.from(this.iface.name, (c) => c.charCodeAt(0).toString(16)).join('')}`;
  }

  /** The lease of an earlier run that is not over. */
  private kept(): Lease | null {
    const { hyper } = this.core;
    const octets = this.store.get(this.storeKey);
    const kept = octets === null ? null : decodeLease(octets);
    if (kept === null) return null;
    this.last = kept.lease.address.w3;
    const age = hyper.wallClock() - kept.began;
    return age >= 0 && age < kept.lease.expire ? kept.lease : null;
  }
}

const wordOf = (octets: Uint8Array): number => new DataView(octets.buffer, octets.byteOffset).getInt32(0);
