import { formatAddress, samePrefix, v4 } from '../../base/address.js';
import { Drop } from '../../base/drops.js';
import { errnoName, NetError } from '../../base/errors.js';
import { seconds } from '../../base/time.js';
import { TokenBucket } from '../../base/token-bucket.js';
import type { Interface, InterfaceAddress } from '../../net/interface.js';
import { DatagramInfo } from '../../net/socket/datagram-queue.js';
import type { UdpSocket } from '../../net/socket/udp-socket.js';
import type { Stack } from '../../net/stack.js';
import { BROADCAST, CLIENT_PORT, type DhcpMessage, MESSAGE_MIN, MessageType, Op, Option, parse, SERVER_PORT, write } from '../../wire/dhcp.js';
import type { Running } from '../small.js';
import { octetsOf } from './client-speaker.js';
import { InUse } from './in-use.js';
import { leaseStore } from './kept.js';
import { INFINITE } from './lease.js';
import { EVERYBODY, sendDirect } from './link-socket.js';
import { Pool, type ServerLease } from './pool.js';
import { type DhcpServerSpec, macKey, macText, planOf, type ServerPlan } from './server-spec.js';

/** Messages a second that are looked at: a link of hosts that all wake up at once, not a flood. */
const RATE = 200;
/** Addresses that are asked for at one time before they are offered; further clients try again in some seconds. */
const PROBES_MAX = 32;
/** Seconds between two complaints that no address is left. */
const COMPLAIN_EVERY = 60;

/** Serves DHCP on one interface: RFC 2131 §4.3, for clients on the link; relayed ones are not. */
export class DhcpServer implements Running {
  readonly pool: Pool;
  private readonly core: Stack;
  private readonly iface: Interface;
  private readonly plan: ServerPlan;
  private readonly socket: UdpSocket;
  private readonly bucket: TokenBucket;
  private readonly probing = new Map<string, InUse>();
  private complainedAt = Number.NEGATIVE_INFINITY;

  /** Throws ConfigError for a pool that is not of the interface's network, NetError EADDRINUSE when somebody has port 67. */
  constructor(core: Stack, iface: Interface, spec: DhcpServerSpec, place: string) {
    if (iface.medium !== 'ethernet') throw new NetError('EOPNOTSUPP', 'dhcp', iface.name, undefined, 'DHCP needs an Ethernet device');
    this.core = core;
    this.iface = iface;
    this.plan = planOf(spec, iface.addresses, place);
    const { from, to, reservations } = this.plan;
    this.pool = new Pool(from, to, reservations, core.hyper, leaseStore(core.hyper), `dhcp-server-${hex(iface.name)}`);
    this.bucket = new TokenBucket(core.ctx.now, RATE);
    this.socket = core.udp.openSocket(4);
    this.socket.vrf = iface.vrf;
    this.socket.boundIndex = iface.index;
    const result = this.socket.bind(null, SERVER_PORT);
    if (result !== 0) {
      this.socket.close();
      throw new NetError(errnoName(result), 'bind', iface.name, SERVER_PORT);
    }
    this.socket.onReady = () => this.receive();
  }

  close(): void {
    this.socket.onReady = null;
    this.socket.close();
    for (const look of this.probing.values()) look.close();
    this.probing.clear();
  }

  /** The leases in force. */
  leases(): ServerLease[] {
    return this.pool.list();
  }

  private receive(): void {
    const { core, socket } = this;
    const octets = new Uint8Array(2_048);
    const info = new DatagramInfo();
    for (let n = socket.receive(octets, 0, octets.length, info); n >= 0; n = socket.receive(octets, 0, octets.length, info)) {
      const message = parse(octets, 0, n);
      if (typeof message === 'number') core.ctx.countDrop(message);
      else if (message.op !== Op.Request || message.giaddr !== 0 || this.own === null || !this.bucket.take(core.ctx.now, RATE, RATE))
        this.unexpected();
      else this.take(message);
    }
  }

  private take(message: DhcpMessage): void {
    switch (message.options.get(Option.MessageType)?.[0]) {
      case MessageType.Discover:
        return this.discover(message);
      case MessageType.Request:
        return this.request(message);
      case MessageType.Decline:
        return this.decline(message);
      case MessageType.Release:
        if (message.ciaddr !== 0 && this.forUs(message)) this.pool.release(clientOf(message), message.ciaddr);
        return;
      case MessageType.Inform:
        // RFC 2131 §4.3.5: what is asked, without an address or a time; to nobody off the link, who would not have asked.
        return this.onSubnet(message.ciaddr) ? this.answer(message, MessageType.Ack, 0, null) : this.unexpected();
      default:
        this.unexpected();
    }
  }

  /** RFC 2131 §4.3.1. An address that is not the client's already is asked for first. */
  private discover(message: DhcpMessage): void {
    const client = clientOf(message);
    if (this.probing.has(client)) return;
    const address = this.pool.choose(client, wordOf(message.options.get(Option.RequestedAddress)) ?? 0);
    if (address === null) {
      this.full();
      return;
    }
    const before = this.pool.of(client);
    const known = before?.address === address && before.state === 'bound';
    if (!this.plan.probe || known) {
      this.offer(message, address);
      return;
    }
    if (this.probing.size >= PROBES_MAX) {
      this.unexpected();
      return;
    }
    this.pool.offer(client, macText(message.chaddr), address);
    const look = new InUse(this.core, this.iface, address, (used) => {
      this.probing.delete(client);
      if (!used) {
        this.offer(message, address);
        return;
      }
      this.core.hyper.log('warn', `dhcp ${this.iface.name}: ${formatAddress(v4(address))} is in use without a lease`);
      this.pool.decline(address);
      this.discover(message);
    });
    this.probing.set(client, look);
  }

  private offer(message: DhcpMessage, address: number): void {
    this.pool.offer(clientOf(message), macText(message.chaddr), address);
    this.answer(message, MessageType.Offer, address, this.plan.leaseTime);
  }

  /** RFC 2131 §4.3.2, table 4: which kind of request it is, server identifier, requested address and ciaddr tell. */
  private request(message: DhcpMessage): void {
    const client = clientOf(message);
    const wish = wordOf(message.options.get(Option.RequestedAddress));
    const address = message.ciaddr !== 0 ? message.ciaddr : wish;
    if (!this.forUs(message) || address === null) {
      this.unexpected(); // another server was chosen; what we offered is free again in a minute
      return;
    }
    const lease = this.pool.of(client);
    if (lease?.address === address && this.pool.allows(client, address)) {
      this.grant(message, client, address);
      return;
    }
    const selecting = message.options.has(Option.ServerId);
    // Of a client that we do not know others may: silence, unless its address is of no network here, or another's.
    if (selecting || lease !== null || !this.onSubnet(address) || (this.pool.holds(address) && !this.pool.allows(client, address))) {
      this.answer(message, MessageType.Nak, 0, null);
      return;
    }
    this.unexpected();
  }

  private grant(message: DhcpMessage, client: string, address: number): void {
    const { leaseTime } = this.plan;
    const hostname = new TextDecoder().decode(message.options.get(Option.HostName) ?? new Uint8Array());
    this.pool.bind(client, macText(message.chaddr), hostname, address, leaseTime === INFINITE ? Number.POSITIVE_INFINITY : seconds(leaseTime));
    this.answer(message, MessageType.Ack, address, leaseTime);
  }

  private decline(message: DhcpMessage): void {
    const address = wordOf(message.options.get(Option.RequestedAddress));
    if (address === null || !this.forUs(message) || this.pool.of(clientOf(message))?.address !== address) {
      this.unexpected();
      return;
    }
    this.core.hyper.log('warn', `dhcp ${this.iface.name}: ${formatAddress(v4(address))} was declined by ${macText(message.chaddr)}`);
    this.pool.decline(address);
  }

  private full(): void {
    const { core, iface, plan, pool } = this;
    core.ctx.countDrop(Drop.DhcpPoolFull);
    if (core.ctx.now - this.complainedAt < seconds(COMPLAIN_EVERY)) return;
    this.complainedAt = core.ctx.now;
    const range = `${formatAddress(v4(plan.from))}-${formatAddress(v4(plan.to))}`;
    core.hyper.log('warn', `dhcp ${iface.name}: no address is free in ${range}, ${pool.list().length} of ${pool.size} are leased`);
  }

  /** `time` null: without one, and without an address. RFC 2131 table 3. */
  private answer(message: DhcpMessage, type: number, yiaddr: number, time: number | null): void {
    const own = this.own as InterfaceAddress;
    const { plan } = this;
    const options = new Map<number, Uint8Array>([
      [Option.MessageType, Uint8Array.of(type)],
      [Option.ServerId, octetsOf(own.address.w3)],
    ]);
    const id = message.options.get(Option.ClientId);
    if (type !== MessageType.Nak) {
      if (time !== null) options.set(Option.LeaseTime, octetsOf(time));
      options.set(Option.SubnetMask, octetsOf(own.length === 0 ? 0 : -1 << (32 - own.length)));
      const router = plan.router ?? (this.iface.conf4.forwarding === 0 ? null : own.address.w3);
      if (router !== null) options.set(Option.Router, octetsOf(router));
      for (const [option, value] of plan.options) options.set(option, value);
    }
    if (id !== undefined) options.set(Option.ClientId, id); // RFC 6842 §3
    const most = message.options.get(Option.MaxSize);
    const max = most?.length === 2 ? Math.min(1_472, Math.max(MESSAGE_MIN, ((most[0] as number) << 8) | (most[1] as number)) - 28) : MESSAGE_MIN;
    const ciaddr = type === MessageType.Ack ? message.ciaddr : 0;
    const head = { op: Op.Reply, xid: message.xid, secs: 0, flags: message.flags, ciaddr, yiaddr, siaddr: 0, giaddr: 0, chaddr: message.chaddr };
    this.send(write({ ...head, options }, Math.max(MESSAGE_MIN, max)), message, type === MessageType.Nak, yiaddr);
  }

  /** RFC 2131 §4.1: to who has an address there; to everybody where it is asked for, or refused; else to the new address at its station. */
  private send(octets: Uint8Array, message: DhcpMessage, refusal: boolean, yiaddr: number): void {
    if (message.ciaddr !== 0 && !refusal) {
      this.socket.sendTo(octets, 0, octets.length, v4(message.ciaddr), CLIENT_PORT, this.iface.index);
      return;
    }
    const everybody = refusal || yiaddr === 0 || (message.flags & BROADCAST) !== 0;
    const [destination, mac] = everybody ? [-1, EVERYBODY] : [yiaddr, message.chaddr];
    const source = (this.own as InterfaceAddress).address.w3;
    sendDirect(this.core, this.iface, { source, destination, sourcePort: SERVER_PORT, destinationPort: CLIENT_PORT, mac }, octets);
  }

  /** Our address in the pool's network. */
  private get own(): InterfaceAddress | null {
    const from = v4(this.plan.from);
    return this.iface.addresses.find((a) => a.address.isV4 && samePrefix(a.address, from, 96 + a.length)) ?? null;
  }

  private onSubnet(address: number): boolean {
    const { own } = this;
    return own !== null && samePrefix(own.address, v4(address), 96 + own.length);
  }

  /** Names us, or nobody. */
  private forUs({ options }: DhcpMessage): boolean {
    const server = wordOf(options.get(Option.ServerId));
    return server === null || server === this.own?.address.w3;
  }

  private unexpected(): void {
    this.core.ctx.countDrop(Drop.DhcpUnexpected);
  }
}

/** RFC 2131 §4.2: the identifier where there is one, else the station address. */
function clientOf({ options, chaddr }: DhcpMessage): string {
  const id = options.get(Option.ClientId);
  if (id === undefined || id.length < 2) return macKey(chaddr);
  // Type 1 is a station address: the same client whether it says so or not.
  if (id.length === 7 && id[0] === 1) return macKey(id.subarray(1));
  return `id ${Array.from(id.subarray(0, 255), (octet) => octet.toString(16).padStart(2, '0')).join('')}`;
}

const wordOf = (octets: Uint8Array | undefined): number | null =>
  octets?.length === 4 ? new DataView(octets.buffer, octets.byteOffset).getInt32(0) : null;
const hex = (name: string): string => Array.from(name, (c) => c.charCodeAt(0).toString(16)).join('');
