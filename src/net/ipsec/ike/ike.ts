/** IKEv2 of one stack: connections, the table of IKE SAs, and the way of datagrams to them. Pure but for what its transport does. */
import { type Address, formatAddress, parsePrefix } from '../../../base/address.js';
import { Drop } from '../../../base/drops.js';
import { type Micros, millis, seconds } from '../../../base/time.js';
import { Timer } from '../../../base/timer-wheel.js';
import { check, Exchange, Flag, readHeader } from '../../../wire/ike.js';
import { join } from '../../../wire/ike-payload.js';
import { Protocol } from '../../../wire/protocol.js';
import type { Context } from '../../context.js';
import { TimerKind } from '../../timer-kind.js';
import type { Ipsec } from '../ipsec.js';
import { NON_ESP_MARKER } from '../nat-t.js';
import type { Sa } from '../sa.js';
import { ANY_PORTS, type FlowKey, type Selector, selectorOf } from '../selector.js';
import type { Policy } from '../spd.js';
import { TunnelDevice } from '../tunnel-device.js';
import type { ChildSa } from './child-sa.js';
import { type ChildConfig, type Connection, childFor, pairs, type WantedChild } from './connection.js';
import { Door } from './door.js';
import { Exchanges } from './exchanges.js';
import { IkeSa, type Way } from './ike-sa.js';
import { checkPath } from './mobike.js';
import type { Redirected } from './redirect.js';

/** Carries datagrams. `port` is ours: 500, or 4500 where messages have a marker. */
export interface IkeTransport {
  /** Our address towards a peer; null without a way there. */
  localFor(remote: Address): Address | null;
  /** Is it ours, and up? */
  isLocal(address: Address): boolean;
  /** Those a peer may use: neither of the loopback nor of one link. */
  addresses(): Address[];
  /** Tells of changes of routes and addresses, until called with null. */
  watch(changed: (() => void) | null): void;
  send(local: Address, port: number, remote: Address, remotePort: number, datagram: Uint8Array): void;
}

/** What IKE tells. */
export interface IkeEvents {
  up(sa: IkeSa): void;
  down(sa: IkeSa, reason: string): void;
  child(child: ChildSa, what: 'up' | 'rekeyed' | 'down'): void;
  /** A child, or with an empty name something of the IKE SA, did not come about. */
  failed(sa: IkeSa, child: string, reason: string): void;
  /** The IKE SA has keys: for whoever exports them. */
  keys(sa: IkeSa): void;
  /** The peer has given us addresses. */
  configured(sa: IkeSa, addresses: readonly Address[], dns: readonly Address[]): void;
}

/** Tells nobody. */
export const silent: IkeEvents = { up: () => {}, down: () => {}, child: () => {}, failed: () => {}, keys: () => {}, configured: () => {} };

/** IKE SAs of one stack. */
const IKE_SAS_MAX = 16_384;
const RETRY: Micros = seconds(1);
/** From a change of our addresses to a look at the paths. */
const PATH_CHECK: Micros = millis(100);

/** See the head of the file. One per stack. */
export class Ike {
  readonly ctx: Context;
  readonly ipsec: Ipsec;
  readonly exchanges: Exchanges;
  readonly ports: readonly [number, number];
  events: IkeEvents = silent;
  /** Replaced children whose inbound SA still opens what was on its way. */
  readonly lingering = new Set<ChildSa>();
  /** Goes on at port 4500 after the first exchange, NAT or not. */
  natPortAlways = false;
  private readonly transport: IkeTransport;
  private readonly connections: Connection[] = [];
  /** By our SPI, as 16 hexadecimal digits. */
  private readonly table = new Map<string, IkeSa>();
  private readonly door: Door;
  private readonly policies = new Map<Policy, { children: number; trap: ChildConfig | null; connection: Connection }>();
  private readonly leases = new Map<string, IkeSa>();
  private readonly bypass: Policy;
  private readonly timers = new Set<Timer>();
  private whenEmpty: (() => void) | null = null;
  private checking = false;

  constructor(ctx: Context, ipsec: Ipsec, transport: IkeTransport, ports: readonly [number, number] = [500, 4_500]) {
    this.ctx = ctx;
    this.ipsec = ipsec;
    this.transport = transport;
    this.ports = ports;
    this.exchanges = new Exchanges(this);
    this.door = new Door(this);
    // RFC 4301 §4.4.1: key exchange itself is let by, first of all.
    const all = parsePrefix('::/0') as NonNullable<ReturnType<typeof parsePrefix>>;
    const selectors = ports.map((port) => selectorOf(all, all, Protocol.Udp, [port, port], ANY_PORTS));
    this.bypass = ipsec.addPolicy({ name: 'ike', action: 'bypass', selectors, priority: -1_000_000 });
    ipsec.onAcquire = (policy, flow) => this.acquire(policy, flow);
    transport.watch(() => this.routesChanged());
    ipsec.onMoved = (sa, packet) => this.moved(sa, packet.source, packet.sourcePort);
  }

  /** Adds a connection: its trapping policies stand from now on, its starting children are begun. */
  add(connection: Connection): void {
    this.connections.push(connection);
    for (const config of connection.children) {
      if (config.iface === null && config.start === 'trap') {
        const fromPacket = config.fromPacket === null ? {} : { fromPacket: config.fromPacket };
        const policy = this.ipsec.addPolicy({ name: config.name, action: 'protect', selectors: pairs(config.local, config.remote), ...fromPacket });
        this.policies.set(policy, { children: 0, trap: config, connection });
      } else if (config.iface?.device instanceof TunnelDevice) {
        this.policies.set(config.iface.device.policy, { children: 0, trap: config, connection });
      }
    }
    if (connection.children.some((c) => c.start === 'start')) this.initiate(connection);
  }

  /** Takes a connection away with all that is up of it. */
  remove(connection: Connection): void {
    const i = this.connections.indexOf(connection);
    if (i >= 0) this.connections.splice(i, 1);
    for (const sa of this.list()) if (sa.connection === connection) sa.close();
    for (const [policy, entry] of this.policies) {
      if (entry.connection !== connection || entry.trap === null) continue;
      entry.trap = null;
      if (entry.children === 0) this.forgetPolicy(policy);
    }
  }

  /** Brings a connection up, or one more child of it. Null without a peer's address. */
  initiate(connection: Connection, wanted: WantedChild | null = null): IkeSa | null {
    const up = this.list().find((sa) => sa.connection === connection && (sa.state === 'established' || (sa.state === 'connecting' && sa.initiator)));
    if (up !== undefined) {
      // With PFP there may be many, and this one was asked for since none of them fits.
      const has = (config: ChildConfig): boolean => config.fromPacket === null && up.children.some((child) => child.config === config);
      if (wanted !== null && up.state === 'established' && !has(wanted.config)) this.exchanges.createChild(up, wanted);
      return up;
    }
    return connection.remoteAddress === null ? null : this.begin(connection, connection.remoteAddress, wanted, null);
  }

  /** A new IKE SA with whoever is at `remote`. Null without a way there. */
  begin(connection: Connection, remote: Address, wanted: WantedChild | null, redirected: Redirected | null): IkeSa | null {
    const local = this.full ? null : (connection.localAddress ?? this.localFor(remote));
    if (local === null) return null;
    const sa = new IkeSa(this, connection, true, this.newSpi(), new Uint8Array(8), local, remote, [this.ports[0], this.ports[0]]);
    sa.redirected = redirected;
    sa.firstChild = wanted;
    this.table.set(keyOf(sa.spi), sa);
    this.exchanges.startInit(sa);
    return sa;
  }

  /** A connection by its name. */
  connection(name: string): Connection | undefined {
    return this.connections.find((c) => c.name === name);
  }

  /** All IKE SAs. */
  list(): IkeSa[] {
    return [...this.table.values()];
  }

  localFor(remote: Address): Address | null {
    return this.transport.localFor(remote);
  }

  isLocal(address: Address): boolean {
    return this.transport.isLocal(address);
  }

  ownAddresses(): Address[] {
    return this.transport.addresses();
  }

  /** Routes or addresses have changed, perhaps many times at once: in a moment each IKE SA that can move is looked at. */
  private routesChanged(): void {
    if (this.checking || this.table.size === 0) return;
    this.checking = true;
    this.later(() => {
      this.checking = false;
      for (const sa of this.table.values()) checkPath(this.exchanges, sa);
    }, PATH_CHECK);
  }

  // Datagrams

  /** A datagram, its marker taken off. */
  input(bytes: Uint8Array, local: Address, localPort: number, remote: Address, remotePort: number): void {
    this.ctx.touch();
    const bad = check(bytes);
    if (bad !== 0) {
      this.drop(bad);
      return;
    }
    const header = readHeader(bytes);
    if (header.version !== 2) {
      this.drop(Drop.IkeVersion);
      return;
    }
    this.exchanges.lastDatagram = bytes;
    const request = (header.flags & Flag.Response) === 0;
    const fromInitiator = (header.flags & Flag.Initiator) !== 0;
    if (header.exchange === Exchange.SaInit && request && isZero(header.spiR)) {
      this.door.knock(header, bytes, { local, localPort, remote, remotePort });
      return;
    }
    const sa = this.table.get(keyOf(fromInitiator ? header.spiR : header.spiI));
    if (sa === undefined || sa.initiator === fromInitiator) {
      this.drop(Drop.IkeUnknownSa);
      return;
    }
    // An answer to our first message brings the responder's SPI; from then on both must fit.
    const known = sa.suite === null && sa.initiator ? header.exchange === Exchange.SaInit : same(header.spiI, sa.spiI) && same(header.spiR, sa.spiR);
    if (!known || (header.exchange === Exchange.SaInit && (request || sa.suite !== null))) {
      this.drop(Drop.IkeUnknownSa);
      return;
    }
    sa.receive(header, bytes, { local, localPort, remote, remotePort });
  }

  /** Connections that may be meant by these addresses, in their order. */
  candidates(local: Address, remote: Address): Connection[] {
    return this.connections.filter(
      (c) => (c.localAddress === null || c.localAddress.equals(local)) && (c.remoteAddress === null || c.remoteAddress.equals(remote)),
    );
  }

  send({ local, localPort, remote, remotePort }: Way, datagram: Uint8Array): void {
    this.transport.send(local, localPort, remote, remotePort, this.marked(localPort, datagram));
  }

  /** Without a marker: a keep-alive. */
  sendRaw(sa: IkeSa, datagram: Uint8Array): void {
    this.transport.send(sa.local, sa.localPort, sa.remote, sa.remotePort, datagram);
  }

  private marked(port: number, datagram: Uint8Array): Uint8Array {
    return port === this.ports[1] ? join(new Uint8Array(NON_ESP_MARKER), datagram) : datagram;
  }

  /** Where the peer's other port is. */
  remoteNatPort(_sa: IkeSa): number {
    return this.ports[1];
  }

  drop(reason: number): void {
    this.ctx.countDrop(reason);
  }

  // SAs and policies

  /** No more IKE SAs are begun. */
  get full(): boolean {
    return this.table.size >= IKE_SAS_MAX;
  }

  /** How the table names an SPI. */
  keyOf(spi: Uint8Array): string {
    return keyOf(spi);
  }

  newSpi(): Uint8Array {
    for (;;) {
      const spi = this.exchanges.random(8);
      if (!isZero(spi) && !this.table.has(keyOf(spi))) return spi;
    }
  }

  /** A successor stands in the table before its first message. */
  enter(sa: IkeSa): void {
    this.table.set(keyOf(sa.spi), sa);
  }

  up(sa: IkeSa): void {
    this.door.left(sa);
    this.events.up(sa);
  }

  ended(sa: IkeSa, reason: string): void {
    this.table.delete(keyOf(sa.spi));
    this.door.left(sa);
    for (const [address, holder] of this.leases) if (holder === sa && sa.successor === null) this.leases.delete(address);
    if (sa.successor === null) this.events.down(sa, reason);
    this.checkEmpty();
  }

  /** The policy a child's traffic goes by: that of its interface, the trap it fell into, the one it inherits, or its own. */
  policyOf(child: ChildSa, selectors: readonly Selector[]): Policy {
    const { config, terms } = child;
    const { connection } = child.ike;
    let policy = terms.replaces?.policy ?? null;
    if (config.iface?.device instanceof TunnelDevice) policy = config.iface.device.policy;
    if (policy === null)
      for (const [candidate, entry] of this.policies) if (entry.trap === config && entry.connection === connection) policy = candidate;
    policy ??= this.ipsec.addPolicy({ name: config.name, action: 'protect', selectors });
    const entry = this.policies.get(policy) ?? { children: 0, trap: null, connection };
    entry.children++;
    this.policies.set(policy, entry);
    return policy;
  }

  policyLeft(child: ChildSa): void {
    const entry = this.policies.get(child.policy);
    if (entry === undefined) return;
    entry.children--;
    if (entry.children <= 0 && entry.trap === null) this.forgetPolicy(child.policy);
  }

  private forgetPolicy(policy: Policy): void {
    this.policies.delete(policy);
    this.ipsec.removePolicy(policy);
  }

  private acquire(policy: Policy, flow: FlowKey): void {
    const entry = this.policies.get(policy);
    if (entry?.trap == null) return;
    const { connection, trap } = entry;
    const wanted = childFor(trap, flow);
    // Not from within the stage that has asked.
    this.later(() => this.initiate(connection, wanted), 0);
  }

  /** The peer's NAT has given it another address or port: traffic follows (RFC 7296 §2.23). */
  private moved(sa: Sa, address: Address, port: number): void {
    const child = this.list()
      .flatMap((ike) => ike.children)
      .find((c) => c.inbound === sa);
    if (child?.ike.natRemote === true) child.ike.move(address, port);
  }

  /** An address of the connection's pool for a peer; the same one as before when it is free. */
  lease(sa: IkeSa): Address | null {
    for (const address of sa.connection.pool) {
      const key = formatAddress(address);
      const holder = this.leases.get(key);
      if (holder?.alive === true && holder !== sa) continue;
      this.leases.set(key, sa);
      return address;
    }
    return null;
  }

  /** Runs `work` in the timers phase, after `delay`. */
  later(work: () => void, delay: Micros = RETRY): void {
    const timer: Timer = new Timer(TimerKind.Ike, {
      expire: () => {
        this.timers.delete(timer);
        work();
      },
    });
    this.timers.add(timer);
    this.ctx.wheel.arm(timer, this.ctx.now + delay);
    if (!this.ctx.polling) this.ctx.hyper.soon();
  }

  /** Takes all down by telling the peers, and begins nothing more; `done` when the last has answered. The caller says how long it waits, and closes. */
  shutdown(done: () => void): void {
    for (const connection of [...this.connections]) this.remove(connection);
    for (const sa of this.list()) if (sa.state === 'rekeyed') sa.end('closed');
    this.whenEmpty = done;
    this.checkEmpty();
  }

  private checkEmpty(): void {
    if (this.table.size > 0) return;
    this.whenEmpty?.();
    this.whenEmpty = null;
  }

  /** Ends all without a word: the stack goes. */
  close(): void {
    for (const sa of this.list()) sa.end('closed');
    for (const child of [...this.lingering]) child.finish();
    for (const timer of this.timers) this.ctx.wheel.cancel(timer);
    for (const policy of [...this.policies.keys()]) this.forgetPolicy(policy);
    this.ipsec.removePolicy(this.bypass);
    this.transport.watch(null);
    this.ipsec.onAcquire = null;
    this.ipsec.onMoved = null;
  }
}

const isZero = (spi: Uint8Array): boolean => spi.every((octet) => octet === 0);
const same = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && a.every((octet, i) => octet === b[i]);
const keyOf = (spi: Uint8Array): string => Array.from(spi, (octet) => octet.toString(16).padStart(2, '0')).join('');
