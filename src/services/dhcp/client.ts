import { v4 } from '../../base/address.js';
import { Drop } from '../../base/drops.js';
import { errnoName, NetError } from '../../base/errors.js';
import { type Micros, seconds } from '../../base/time.js';
import type { Interface } from '../../net/interface.js';
import { DatagramInfo } from '../../net/socket/datagram-queue.js';
import type { UdpSocket } from '../../net/socket/udp-socket.js';
import type { Stack } from '../../net/stack.js';
import { CLIENT_PORT, type DhcpMessage, MessageType, Op, Option, parse, SERVER_PORT, write } from '../../wire/dhcp.js';
import { Alarm } from '../alarm.js';
import { duidOf, iaidOf } from '../dhcpv6/duid.js';
import type { DnsSettings } from '../dns/settings.js';
import { Binding } from './binding.js';
import { decodeLease, encodeLease, type Lease, leaseOf } from './lease.js';
import { EVERYBODY, LinkSocket, sendDirect, sendProbe } from './link-socket.js';

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

const WANTED = [
  Option.SubnetMask,
  Option.ClasslessRoutes,
  Option.Router,
  Option.DnsServers,
  Option.DomainName,
  Option.SearchList,
  Option.Mtu,
  Option.LeaseTime,
  Option.RenewalTime,
  Option.RebindingTime,
];

/** The address of one interface by DHCP (RFC 2131, RFC 4361): asked for, kept, and given back. */
export class DhcpClient {
  state: ClientState = 'waiting';
  /** What is in force; null before and after. */
  lease: Lease | null = null;
  /** When it was asked for, by the clock that runs through suspend. */
  began: Micros = 0;
  private readonly core: Stack;
  private readonly iface: Interface;
  private readonly changed: () => void;
  private readonly binding: Binding;
  private readonly alarm: Alarm;
  private readonly socket: UdpSocket;
  private link: LinkSocket | null = null;
  private offer: Lease | null = null;
  private xid = 0;
  private tries = 0;
  private asked: Micros = 0;
  private resendAt: Micros = 0;
  /** The station that the server's messages came from. */
  private nextHop: Uint8Array | null = null;
  /** The address of an earlier run, asked for again. */
  private last: number | null = null;

  /** `changed` is told when the state is another. NetError EOPNOTSUPP where there is no Ethernet, EADDRINUSE where somebody has port 68. */
  constructor(core: Stack, iface: Interface, settings: DnsSettings, changed: () => void) {
    if (iface.medium !== 'ethernet') throw new NetError('EOPNOTSUPP', 'dhcp', iface.name, undefined, 'DHCP needs an Ethernet device');
    this.core = core;
    this.iface = iface;
    this.changed = changed;
    this.binding = new Binding(core, iface, settings);
    this.alarm = new Alarm(core.ctx, () => this.ring());
    this.socket = core.udp.openSocket(4);
    this.socket.boundIndex = iface.index;
    this.socket.setOption('SO_BROADCAST', 1);
    const result = this.socket.bind(null, CLIENT_PORT);
    if (result !== 0) {
      this.socket.close();
      throw new NetError(errnoName(result), 'bind', iface.name, CLIENT_PORT);
    }
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
      if (this.iface.running) this.release(this.lease);
      this.core.hyper.store.delete(this.storeKey);
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
    if (state !== 'requesting') this.xid = new DataView(word.buffer).getUint32(0);
    if (state === 'selecting' || state === 'rebooting') this.asked = this.now;
    this.tries = 0;
    this.become(state);
    if (state === 'renewing' || state === 'rebinding') return;
    this.link ??= new LinkSocket(this.core, this.iface, {
      message: (message, mac) => {
        this.nextHop = mac;
        this.take(message);
      },
      arp: (sender, target) => this.heard(sender, target),
    });
  }

  private become(state: ClientState): void {
    if (this.state === state) return;
    this.state = state;
    this.changed();
  }

  /** What the state has to say, and when it is said again. */
  private send(): void {
    const { iface, offer, state } = this;
    if (!iface.running) {
      this.pause(AFTER_NAK_MS);
      return;
    }
    if (state === 'selecting') this.broadcast(MessageType.Discover, this.last === null ? [] : [[Option.RequestedAddress, octetsOf(this.last)]]);
    else {
      const server: Extra[] = state === 'requesting' ? [[Option.ServerId, octetsOf((offer as Lease).server)]] : [];
      this.broadcast(MessageType.Request, [[Option.RequestedAddress, octetsOf((offer as Lease).address.w3)], ...server]);
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
      this.become('bound');
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
    const ours = message.op === Op.Reply && message.xid === this.xid && message.chaddr.every((octet, i) => octet === iface.mac[i]);
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
    this.become('probing');
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
    this.broadcast(MessageType.Decline, [
      [Option.RequestedAddress, octetsOf(address.w3)],
      [Option.ServerId, octetsOf(server)],
    ]);
    this.forget();
    this.pause(AFTER_DECLINE_MS);
  }

  private bind(lease: Lease): void {
    const { core } = this;
    this.lease = lease;
    this.began = this.asked;
    this.hangUp();
    this.binding.set(lease);
    core.hyper.store.set(this.storeKey, encodeLease(lease, core.hyper.wallClock() - (this.now - this.began)));
    this.become('bound');
    this.keep();
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
      this.asked = this.now;
      if (state === 'renewing') this.unicast(MessageType.Request, lease);
      else this.rebroadcast(lease);
      this.resendAt = this.now + Math.max(RENEW_RESEND_MIN, (this.began + limit - this.now) / 2);
    }
    const next = Math.min(this.began + limit, state === 'bound' ? Number.POSITIVE_INFINITY : this.resendAt) - this.now;
    this.alarm.set(Math.min(LOOK_MS, Math.max(1, next / 1_000)));
  }

  /** The lease is gone, here and in the store. */
  private forget(): void {
    this.core.hyper.store.delete(this.storeKey);
    this.binding.set(null);
    this.lease = this.offer = null;
  }

  private pause(ms: number): void {
    this.hangUp();
    this.become('waiting');
    this.alarm.set(ms);
  }

  private hangUp(): void {
    this.link?.close();
    this.link = null;
  }

  private broadcast(type: number, extra: readonly Extra[]): void {
    const direct = { source: 0, destination: -1, sourcePort: CLIENT_PORT, destinationPort: SERVER_PORT, mac: EVERYBODY };
    sendDirect(this.core, this.iface, direct, this.message(type, 0, extra));
  }

  /** RFC 2131 §4.4.6. In a frame of our own making: the address is gone before ARP could answer. */
  private release({ address, server }: Lease): void {
    if (this.nextHop === null) return;
    const direct = { source: address.w3, destination: server, sourcePort: CLIENT_PORT, destinationPort: SERVER_PORT, mac: this.nextHop };
    sendDirect(this.core, this.iface, direct, this.message(MessageType.Release, address.w3, [[Option.ServerId, octetsOf(server)]]));
  }

  private unicast(type: number, { address, server }: Lease): void {
    const octets = this.message(type, address.w3, []);
    this.socket.sendTo(octets, 0, octets.length, v4(server), SERVER_PORT);
  }

  private rebroadcast({ address }: Lease): void {
    const octets = this.message(MessageType.Request, address.w3, []);
    this.socket.sendTo(octets, 0, octets.length, v4(-1), SERVER_PORT, this.iface.index);
  }

  private message(type: number, ciaddr: number, extra: readonly Extra[]): Uint8Array {
    const options = new Map<number, Uint8Array>([
      [Option.MessageType, Uint8Array.of(type)],
      [Option.ClientId, clientId(this.core, this.iface)],
      ...extra,
    ]);
    if (type === MessageType.Discover || type === MessageType.Request) {
      options.set(Option.ParameterList, Uint8Array.from(WANTED));
      options.set(Option.MaxSize, Uint8Array.of(1_472 >>> 8, 1_472 & 255));
    }
    const secs = Math.min(0xffff, Math.floor((this.now - this.asked) / seconds(1)));
    const head = { op: Op.Request, xid: this.xid, secs, flags: 0, ciaddr, yiaddr: 0, siaddr: 0, giaddr: 0, chaddr: this.iface.mac };
    return write({ ...head, options }, 576);
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
    const octets = hyper.store.get(this.storeKey);
    const kept = octets === null ? null : decodeLease(octets);
    if (kept === null) return null;
    this.last = kept.lease.address.w3;
    const age = hyper.wallClock() - kept.began;
    return age >= 0 && age < kept.lease.expire ? kept.lease : null;
  }
}

type Extra = readonly [number, Uint8Array];

/** RFC 4361 §6.1: type 255, the number of the interface, the DUID of the host, which DHCPv6 says too. */
function clientId(core: Stack, iface: Interface): Uint8Array {
  const duid = duidOf(core.hyper);
  const id = new Uint8Array(5 + duid.length);
  id[0] = 255;
  new DataView(id.buffer).setUint32(1, iaidOf(iface.name));
  id.set(duid, 5);
  return id;
}

const octetsOf = (word: number): Uint8Array => Uint8Array.of(word >>> 24, (word >>> 16) & 255, (word >>> 8) & 255, word & 255);
const wordOf = (octets: Uint8Array): number => new DataView(octets.buffer, octets.byteOffset).getInt32(0);
