import { type Address, formatAddress, type Prefix, parseAddress, parsePrefix, samePrefix } from '../../base/address.js';
import { Drop } from '../../base/drops.js';
import { ConfigError, errnoName, NetError } from '../../base/errors.js';
import { type Micros, seconds } from '../../base/time.js';
import type { Interface } from '../../net/interface.js';
import { MAIN_TABLE } from '../../net/ip/route.js';
import { DatagramInfo } from '../../net/socket/datagram-queue.js';
import type { UdpSocket } from '../../net/socket/udp-socket.js';
import type { Stack } from '../../net/stack.js';
import * as wire from '../../wire/dhcpv6.js';
import { labelsOf } from '../../wire/dns-name.js';
import { Alarm } from '../alarm.js';
import { DUID_MAX, duidOf, duidText } from './duid.js';
import { type Binding, Leases, type PoolSpec } from './leases.js';
import { type ReservationSpec, reservationsOf } from './reservations.js';

const { Option, Type, Status } = wire;

/** What a server gives on one link. Spans in seconds. */
export interface Dhcp6ServerSpec {
  /** Addresses: first and last. Left out: none are given. */
  readonly pool?: { readonly from: string; readonly to: string };
  /** Prefixes to delegate: of `length` bits, out of `prefix`. */
  readonly delegate?: { readonly prefix: string; readonly length: number };
  /** Default 7,200 and 3,600. */
  readonly valid?: number;
  readonly preferred?: number;
  readonly dns?: readonly string[];
  readonly search?: readonly string[];
  /** Among several servers, [0, 255]. Default 0. */
  readonly preference?: number;
  /** Answer a solicit that allows it with the lease itself. Default true. */
  readonly rapidCommit?: boolean;
  /** Leases kept for clients. */
  readonly reservations?: readonly ReservationSpec[];
}

/** Metric of routes to delegated prefixes. */
const METRIC = 1_024;
/** Requests with more associations than this are answered for the first ones: RFC 9915 leaves it open. */
const ASSOCIATIONS_MAX = 4;

/** A DHCPv6 server on one link: addresses, delegated prefixes, parameters. RFC 9915 §18.3. Without relays. */
export class Dhcp6Server {
  private readonly core: Stack;
  private readonly iface: Interface;
  private readonly spec: Dhcp6ServerSpec;
  private readonly duid: Uint8Array;
  private readonly socket: UdpSocket;
  private readonly leases: Leases;
  private readonly parameters: readonly wire.Dhcp6Option[];
  private readonly timer: Alarm;
  private readonly buffer = new Uint8Array(1_500);
  private readonly info = new DatagramInfo();
  private readonly routed = new Map<Binding, Address>();

  /** Throws ConfigError for a spec that cannot be, NetError when the port is taken. */
  constructor(core: Stack, iface: Interface, spec: Dhcp6ServerSpec) {
    this.core = core;
    this.iface = iface;
    this.spec = spec;
    this.duid = duidOf(core.hyper);
    this.parameters = parametersOf(spec);
    this.leases = new Leases(
      core,
      `dhcp6-leases-${iface.name.toLowerCase().replace(/[^a-z0-9]/g, '-')}`,
      poolsOf(spec),
      reservationsOf(spec.reservations ?? []),
    );
    this.timer = new Alarm(core.ctx, () => this.expire());
    this.socket = core.udp.openSocket(6);
    this.socket.onReady = () => this.readable();
    this.socket.reuse = true;
    const bound = this.socket.bind(null, wire.SERVER_PORT, iface.index);
    const joined = bound < 0 ? bound : this.socket.join(wire.ALL_SERVERS, iface.index, null);
    if (joined < 0) {
      this.socket.close();
      throw new NetError(errnoName(joined), 'dhcpv6 server', iface.name, wire.SERVER_PORT);
    }
    for (const binding of this.leases) if (binding.delegation) this.route(binding);
    this.expire();
  }

  /** Leases given and not over. */
  get bindings(): readonly Binding[] {
    return [...this.leases];
  }

  private readable(): void {
    for (let n = this.take(); n >= 0; n = this.take()) {
      const message = wire.parse(this.buffer, 0, n);
      const reason = typeof message === 'number' ? message : this.receive(message);
      if (reason !== 0) this.core.ctx.countDrop(reason);
    }
  }

  private take(): number {
    return this.socket.receive(this.buffer, 0, this.buffer.length, this.info);
  }

  /** RFC 9915 §16: 0, or why the message is not for us. */
  private receive(message: wire.Dhcp6Message): number {
    const { type, options } = message;
    const client = wire.find(options, Option.ClientId);
    const server = wire.find(options, Option.ServerId);
    const forUs = server === null ? null : duidText(server) === duidText(this.duid);
    const anonymous = type === Type.InformationRequest;
    if (client === null ? !anonymous : client.length < 3 || client.length > DUID_MAX) return Drop.DhcpUnexpected;
    if (!this.info.address.isLinkLocal || !this.info.destination.isMulticast) return Drop.DhcpUnexpected; // RFC 9915 §16: no unicast from clients
    switch (type) {
      case Type.Solicit:
      case Type.Confirm:
      case Type.Rebind:
        if (forUs !== null) return Drop.DhcpUnexpected;
        break;
      case Type.Request:
      case Type.Renew:
      case Type.Release:
      case Type.Decline:
        if (forUs !== true) return Drop.DhcpUnexpected;
        break;
      case Type.InformationRequest:
        if (forUs === false || wire.associations(options).length > 0) return Drop.DhcpUnexpected;
        break;
      default:
        return Drop.DhcpUnexpected; // what servers say
    }
    this.answer(message, client);
    return 0;
  }

  private answer(message: wire.Dhcp6Message, client: Uint8Array | null): void {
    const { type, xid, options } = message;
    const rapid = type === Type.Solicit && (this.spec.rapidCommit ?? true) && wire.find(options, Option.RapidCommit) !== null;
    const key = client === null ? '' : duidText(client);
    const ias = wire.associations(options).slice(0, ASSOCIATIONS_MAX);
    const body = this.bodyOf(type, key, ias, type !== Type.Solicit || rapid);
    if (body === null) return;
    const reply: wire.Dhcp6Message = {
      type: type === Type.Solicit && !rapid ? Type.Advertise : Type.Reply,
      xid,
      options: [
        ...(client === null ? [] : [{ code: Option.ClientId, data: client }]),
        { code: Option.ServerId, data: this.duid },
        ...body,
        ...(rapid ? [{ code: Option.RapidCommit, data: new Uint8Array(0) }] : []),
        ...(type === Type.Solicit && (this.spec.preference ?? 0) > 0
          ? [{ code: Option.Preference, data: Uint8Array.of(this.spec.preference ?? 0) }]
          : []),
        ...this.asked(options),
      ],
    };
    const octets = wire.write(reply);
    this.socket.sendTo(octets, 0, octets.length, this.info.address, wire.CLIENT_PORT, this.iface.index);
    if (reply.type === Type.Reply) this.expire();
  }

  /** Associations and status of the answer; null when none is due. */
  private bodyOf(type: number, key: string, ias: readonly wire.Dhcp6Ia[], commit: boolean): wire.Dhcp6Option[] | null {
    switch (type) {
      case Type.Solicit:
      case Type.Request:
        return ias.map((ia) => wire.association(this.assign(key, ia, commit)));
      case Type.Renew:
        return ias.map((ia) => wire.association(this.extend(key, ia) ?? withGone(ia, this.assign(key, ia, true))));
      case Type.Rebind: {
        // RFC 9915 §18.3.5: of leases nobody here gave nothing is said, lest another server's client be sent away.
        const known = ias.flatMap((ia) => this.extend(key, ia) ?? []);
        return known.length === 0 ? null : known.map(wire.association);
      }
      case Type.Confirm:
        return this.confirm(ias);
      case Type.Release:
      case Type.Decline:
        return [wire.status(Status.Success), ...ias.flatMap((ia) => this.giveUp(key, ia, type === Type.Decline))];
      default:
        return [];
    }
  }

  /** RFC 9915 §18.3.1, §18.3.2: the lease the client has, or a new one. */
  private assign(key: string, ia: wire.Dhcp6Ia, commit: boolean): wire.Dhcp6Ia {
    const wish = ia.leases[0]?.address ?? null;
    const binding = this.leases.find(key, ia) ?? this.leases.offer(key, ia, wish, commit);
    if (binding === null) {
      if ((ia.delegation ? this.spec.delegate : this.spec.pool) !== undefined) this.core.ctx.countDrop(Drop.DhcpPoolFull);
      return { ...ia, t1: 0, t2: 0, leases: [], status: ia.delegation ? Status.NoPrefixes : Status.NoAddresses };
    }
    if (commit) this.commit(binding);
    return this.granted(ia, binding);
  }

  /** RFC 9915 §18.3.4: null when there is no such binding. */
  private extend(key: string, ia: wire.Dhcp6Ia): wire.Dhcp6Ia | null {
    const binding = this.leases.find(key, ia);
    if (binding === null) return null;
    this.commit(binding);
    return withGone(ia, this.granted(ia, binding));
  }

  private granted({ delegation, iaid }: wire.Dhcp6Ia, { address, length }: Binding): wire.Dhcp6Ia {
    const { preferred, valid } = this.lifetimes;
    // RFC 9915 §21.4: half and four fifths of the preferred lifetime.
    return {
      delegation,
      iaid,
      t1: Math.floor(preferred / 2),
      t2: Math.floor(preferred * 0.8),
      leases: [{ address, length, preferred, valid, status: Status.Success }],
      status: Status.Success,
    };
  }

  private get lifetimes(): { preferred: number; valid: number } {
    const valid = this.spec.valid ?? 7_200;
    return { valid, preferred: Math.min(this.spec.preferred ?? 3_600, valid) };
  }

  private commit(binding: Binding): void {
    this.leases.commit(binding, this.core.hyper.wallClock() + seconds(this.lifetimes.valid));
    if (binding.delegation) this.route(binding);
  }

  /** A delegated prefix is reached through its client. */
  private route(binding: Binding): void {
    const via = this.info.address.isLinkLocal ? this.info.address.clone() : (binding.via ?? null);
    if (via === null) return;
    if (this.routed.get(binding)?.equals(via)) return;
    this.unroute(binding);
    binding.via = via;
    this.routed.set(binding, via);
    this.core.ip.routes.add(this.routeOf(binding, via));
  }

  private unroute(binding: Binding): void {
    const via = this.routed.get(binding);
    if (via === undefined) return;
    this.routed.delete(binding);
    this.core.ip.routes.delete(this.routeOf(binding, via), (hop) => hop.protocol === 'dhcp' && hop.index === this.iface.index);
  }

  private routeOf({ address, length }: Binding, via: Address): Parameters<Stack['ip']['routes']['add']>[0] {
    const { index, vrf } = this.iface;
    return {
      family: 6,
      prefix: address,
      length,
      type: 'unicast',
      index,
      gateway: via,
      source: null,
      metric: METRIC,
      mtu: 0,
      table: MAIN_TABLE,
      vrf,
      protocol: 'dhcp',
    };
  }

  /** RFC 9915 §18.3.3: are the addresses of this link? Nothing is said of none. */
  private confirm(ias: readonly wire.Dhcp6Ia[]): wire.Dhcp6Option[] | null {
    const addresses = ias.flatMap((ia) => (ia.delegation ? [] : ia.leases.map((l) => l.address)));
    if (addresses.length === 0) return null;
    const onLink = addresses.every(
      (a) => this.leases.holds(a) || this.iface.addresses.some((own) => !own.address.isV4 && samePrefix(own.address, a, own.length)),
    );
    return [wire.status(onLink ? Status.Success : Status.NotOnLink)];
  }

  /** RFC 9915 §18.3.7, §18.3.8: back into the pool, or out of use for a while when another station has it. */
  private giveUp(key: string, ia: wire.Dhcp6Ia, declined: boolean): wire.Dhcp6Option[] {
    const binding = this.leases.find(key, ia);
    if (binding === null || !ia.leases.some((l) => l.address.equals(binding.address)))
      return [wire.association({ ...ia, t1: 0, t2: 0, leases: [], status: Status.NoBinding })];
    this.unroute(binding);
    if (declined) this.leases.decline(binding, this.core.hyper.wallClock() + seconds(this.lifetimes.valid));
    else this.leases.remove(binding);
    return [];
  }

  private asked(options: readonly wire.Dhcp6Option[]): wire.Dhcp6Option[] {
    const request = wire.readNumbers16(wire.find(options, Option.OptionRequest));
    return this.parameters.filter((p) => request.includes(p.code));
  }

  /** Leases whose time is over go; looks again at the next end. */
  private expire(): void {
    const now = this.core.hyper.wallClock();
    for (const binding of this.leases.expire(now)) this.unroute(binding);
    const next: Micros = this.leases.nextEnd();
    if (next === Number.POSITIVE_INFINITY) this.timer.cancel();
    else this.timer.set(Math.max(1_000, (next - now) / 1_000));
  }

  /** Leases stay in the store: the next server of this host knows them. */
  close(): void {
    for (const binding of [...this.routed.keys()]) this.unroute(binding);
    this.timer.cancel();
    this.socket.close();
  }
}

/** An answer to who renews: what he has and is not given again ends (RFC 9915 §18.3.4). */
function withGone(asked: wire.Dhcp6Ia, answer: wire.Dhcp6Ia): wire.Dhcp6Ia {
  const gone = asked.leases.filter((l) => answer.leases.every((a) => !a.address.equals(l.address)));
  return { ...answer, leases: [...answer.leases, ...gone.map((l) => ({ ...l, preferred: 0, valid: 0 }))] };
}

/** Throws ConfigError. */
export function poolsOf({ pool, delegate }: Dhcp6ServerSpec): PoolSpec[] {
  const pools: PoolSpec[] = [];
  if (pool !== undefined) {
    const [from, to] = [v6(pool.from, 'pool.from'), v6(pool.to, 'pool.to')];
    const count = (to.w3 >>> 0) - (from.w3 >>> 0) + 1;
    if (!samePrefix(from, to, 96) || count < 1)
      throw new ConfigError(`pool '${pool.from}' to '${pool.to}': both in one /96, the first not behind the last`);
    pools.push({ delegation: false, first: from, length: 128, count });
  }
  if (delegate !== undefined) {
    const prefix: Prefix | null = parsePrefix(delegate.prefix);
    if (prefix === null || prefix.address.isV4 || prefix.length < 16)
      throw new ConfigError(`delegate.prefix '${delegate.prefix}' is no IPv6 prefix such as 2001:db8:8000::/40`);
    const { length } = delegate;
    if (length < prefix.length || length > 64 || length - prefix.length > 24)
      throw new ConfigError(`delegate.length ${length} is to be from ${prefix.length} to ${Math.min(64, prefix.length + 24)}`);
    pools.push({ delegation: true, first: prefix.address, length, count: 2 ** (length - prefix.length) });
  }
  return pools;
}

/** The options a client may ask for. Throws ConfigError. */
export function parametersOf({ dns = [], search = [] }: Dhcp6ServerSpec): wire.Dhcp6Option[] {
  const octets = search.flatMap((name) => {
    const labels = labelsOf(name);
    if (labels === null || labels.length === 0) throw new ConfigError(`search: '${name}' is no domain name`);
    return [...labels.flatMap((label) => [label.length, ...label]), 0];
  });
  return [
    ...(dns.length === 0
      ? []
      : [
          wire.addresses(
            Option.DnsServers,
            dns.map((text) => v6(text, 'dns')),
          ),
        ]),
    ...(octets.length === 0 ? [] : [{ code: Option.DomainList, data: Uint8Array.from(octets) }]),
  ];
}

function v6(text: string, place: string): Address {
  const address = parseAddress(text);
  if (address === null || address.isV4 || address.isMulticast || address.isUnspecified)
    throw new ConfigError(`${place}: '${text}' is no IPv6 address`);
  return address;
}

/** One line for people. */
export const formatBinding = ({ address, length, client }: Binding): string => `${formatAddress(address)}/${length} ${client}`;
