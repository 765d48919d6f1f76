import { Address } from '../../base/address.js';
import { Drop } from '../../base/drops.js';
import { errnoName } from '../../base/errors.js';
import { type Micros, NEVER, seconds } from '../../base/time.js';
import type { Interface } from '../../net/interface.js';
import { DatagramInfo } from '../../net/socket/datagram-queue.js';
import type { UdpSocket } from '../../net/socket/udp-socket.js';
import type { Stack } from '../../net/stack.js';
import * as wire from '../../wire/dhcpv6.js';
import { Alarm } from '../alarm.js';
import { duidOf, iaidOf } from './duid.js';
import { type Dhcp6Lease, HeldLeases } from './held.js';
import { ServerParameters } from './parameters.js';
import { Attempts, type Retransmission, retransmissions } from './retransmission.js';

const { Option, Type, Status } = wire;

/** What a client is to get. */
export interface Dhcp6ClientOptions {
  /** An address (IA_NA). Default true. */
  readonly address?: boolean;
  /** Prefixes to hand on (IA_PD); the length wished for, 0 leaves it to the server. Left out: none. */
  readonly delegation?: { readonly length?: number };
  /** Ask for nothing but parameters: stateless. Default false. */
  readonly stateless?: boolean;
  /** Told when addresses, prefixes or parameters have changed. */
  readonly onChange?: (client: Dhcp6Client) => void;
}

type State =
  | 'stopped'
  | 'soliciting'
  | 'requesting'
  | 'bound'
  | 'renewing'
  | 'rebinding'
  | 'confirming'
  | 'informing'
  | 'informed'
  | 'releasing'
  | 'declining';

/** Parameters a client asks for. */
const WANTED = [Option.SolMaxRt, Option.InfMaxRt, Option.DnsServers, Option.DomainList];

/** A DHCPv6 client on one interface: addresses, delegated prefixes, parameters. RFC 9915 §18.2. */
export class Dhcp6Client {
  readonly iface: Interface;
  private readonly core: Stack;
  private readonly options: Dhcp6ClientOptions;
  private readonly socket: UdpSocket;
  private readonly duid: Uint8Array;
  private readonly iaid: number;
  private readonly timer: Alarm;
  private readonly buffer = new Uint8Array(1_500);
  private readonly info = new DatagramInfo();
  private readonly held: HeldLeases;
  private current: State = 'stopped';
  private attempts: Attempts;
  private xid = 0;
  private server: Uint8Array | null = null;
  private best: { message: wire.Dhcp6Message; preference: number; leases: number } | null = null;
  private t1: Micros = NEVER;
  private t2: Micros = NEVER;
  private declined: Dhcp6Lease[] = [];
  /** What the server told besides leases. */
  readonly told = new ServerParameters();

  /** Begins at once, with a random wait of up to a second. */
  constructor(core: Stack, iface: Interface, options: Dhcp6ClientOptions = {}) {
    this.core = core;
    this.iface = iface;
    this.held = new HeldLeases(core, iface);
    this.options = options;
    this.duid = duidOf(core.hyper);
    this.iaid = iaidOf(iface.name);
    this.timer = new Alarm(core.ctx, () => this.due());
    this.attempts = new Attempts(retransmissions.solicit, core.ctx.prng, core.ctx.now);
    this.socket = core.udp.openSocket(6);
    this.socket.reuse = true;
    this.socket.onReady = () => this.readable();
    const bound = this.socket.bind(null, wire.CLIENT_PORT, iface.index);
    if (bound < 0) core.hyper.log('error', `${iface.name}: dhcpv6: ${errnoName(bound)}`);
    this.begin(
      options.stateless ? 'informing' : 'soliciting',
      options.stateless ? retransmissions.inform : retransmissions.solicit,
      core.ctx.prng.float(),
    );
  }

  get state(): State {
    return this.current;
  }

  /** Addresses and prefixes held now. */
  get leases(): readonly Dhcp6Lease[] {
    return this.held.all;
  }

  private begin(state: State, parameters: Retransmission, delay = 0): void {
    const { ctx } = this.core;
    ctx.touch();
    this.current = state;
    this.attempts = new Attempts(parameters, ctx.prng, ctx.now);
    this.xid = ctx.prng.below(0x100_0000);
    this.best = null;
    this.wake(ctx.now + seconds(delay));
  }

  private wake(at: Micros): void {
    if (at === NEVER) this.timer.cancel();
    else this.timer.set(Math.max(0, at - this.core.ctx.now) / 1_000);
  }

  /** The timer: the time of a state is up, or a message is due (again). */
  private due(): void {
    const { now } = this.core.ctx;
    switch (this.current) {
      case 'bound':
        this.begin('renewing', retransmissions.renew);
        return;
      case 'informed':
        this.begin('informing', retransmissions.inform);
        return;
      case 'soliciting':
        if (this.best !== null) this.request();
        else this.transmit();
        return;
      case 'renewing':
        if (now >= this.t2) this.begin('rebinding', retransmissions.rebind);
        else this.transmit();
        return;
      case 'rebinding':
        if (this.held.expire()) this.options.onChange?.(this);
        if (this.held.all.length === 0) this.begin('soliciting', retransmissions.solicit);
        else this.transmit();
        return;
      case 'stopped':
        return;
      default:
        if (this.attempts.over(now)) this.unanswered();
        else this.transmit();
    }
  }

  /** Nobody answered a message that is not sent for ever. */
  private unanswered(): void {
    if (this.current === 'releasing') this.finish();
    else if (this.current === 'confirming')
      this.bind(); // RFC 9915 §18.2.3: goes on with what it has
    else this.begin('soliciting', retransmissions.solicit);
  }

  private transmit(): void {
    const { now } = this.core.ctx;
    const { attempts } = this;
    const elapsed = attempts.elapsed(now);
    const most = this.current === 'soliciting' ? this.told.solMaxRt : this.current === 'informing' ? this.told.infMaxRt : undefined;
    let wait = attempts.next(now, most);
    if (this.current === 'renewing') wait = Math.min(wait, Math.max(0, this.t2 - now));
    if (this.current === 'rebinding') wait = Math.min(wait, Math.max(0, this.held.lastValid - now));
    this.wake(now + wait);
    const octets = wire.write({ type: types[this.current] ?? Type.Solicit, xid: this.xid, options: this.optionsOf(elapsed) });
    this.socket.sendTo(octets, 0, octets.length, wire.ALL_SERVERS, wire.SERVER_PORT, this.iface.index);
  }

  private optionsOf(elapsed: number): wire.Dhcp6Option[] {
    const state = this.current;
    const named = state === 'requesting' || state === 'renewing' || state === 'releasing' || state === 'declining';
    const asks = state !== 'releasing' && state !== 'declining' && state !== 'confirming';
    return [
      { code: Option.ClientId, data: this.duid },
      ...(named && this.server !== null ? [{ code: Option.ServerId, data: this.server }] : []),
      ...(state === 'informing' ? [] : this.associations().map(wire.association)),
      wire.numbers16(Option.ElapsedTime, [elapsed]),
      ...(asks ? [wire.numbers16(Option.OptionRequest, state === 'informing' ? [...WANTED, Option.InformationRefresh] : WANTED)] : []),
      ...(state === 'soliciting' ? [{ code: Option.RapidCommit, data: new Uint8Array(0) }] : []),
    ];
  }

  /** The associations as the state has them: wished for, offered, held, or refused. */
  private associations(): wire.Dhcp6Ia[] {
    if (this.current === 'requesting' && this.best !== null) return wire.associations(this.best.message.options).filter((ia) => this.ours(ia));
    const { address = true, delegation } = this.options;
    const leases = this.current === 'declining' ? this.declined : this.held.all;
    const ia = (isDelegation: boolean): wire.Dhcp6Ia => {
      const held = leases.filter((l) => l.delegation === isDelegation);
      const wish =
        isDelegation && held.length === 0 && (delegation?.length ?? 0) > 0 ? [{ address: ANY, length: delegation?.length ?? 0, ...NO_TIME }] : [];
      return {
        delegation: isDelegation,
        iaid: this.iaid,
        t1: 0,
        t2: 0,
        leases: [...held.map((l) => ({ address: l.address, length: l.length, ...NO_TIME })), ...wish],
        status: Status.Success,
      };
    };
    const both = [...(address ? [ia(false)] : []), ...(delegation === undefined ? [] : [ia(true)])];
    const only = this.current === 'releasing' || this.current === 'declining' || this.current === 'confirming';
    return only ? both.filter((x) => x.leases.length > 0) : both;
  }

  private ours(ia: wire.Dhcp6Ia): boolean {
    return ia.iaid === this.iaid && (ia.delegation ? this.options.delegation !== undefined : (this.options.address ?? true));
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
    const { type, xid, options } = message;
    const client = wire.find(options, Option.ClientId);
    const server = wire.find(options, Option.ServerId);
    if ((type !== Type.Advertise && type !== Type.Reply) || xid !== this.xid || server === null || !same(client, this.duid))
      return Drop.DhcpUnexpected;
    this.core.ctx.touch();
    this.told.maxTimes(options);
    if (type === Type.Advertise) return this.advertised(message);
    return this.replied(message, server);
  }

  /** RFC 9915 §18.2.9: the best of those heard within the first wait; afterwards, or with the highest preference, the first. */
  private advertised(message: wire.Dhcp6Message): number {
    if (this.current !== 'soliciting') return Drop.DhcpUnexpected;
    const leases = wire
      .associations(message.options)
      .reduce((n, ia) => n + (this.ours(ia) && ia.status === Status.Success ? ia.leases.length : 0), 0);
    if (leases === 0 || wire.statusOf(message.options) !== Status.Success) return 0; // it has nothing for us
    const preference = wire.find(message.options, Option.Preference)?.[0] ?? 0;
    const { best } = this;
    if (best === null || preference > best.preference || (preference === best.preference && leases > best.leases))
      this.best = { message, preference, leases };
    if (preference === 255 || this.attempts.sent > 1) this.request();
    return 0;
  }

  private request(): void {
    const { best } = this;
    if (best === null) return;
    this.begin('requesting', retransmissions.request);
    this.best = best;
    this.server = wire.find(best.message.options, Option.ServerId);
  }

  private replied(message: wire.Dhcp6Message, server: Uint8Array): number {
    const { options } = message;
    const code = wire.statusOf(options);
    switch (this.current) {
      case 'informing':
        this.told.take(options);
        this.current = 'informed';
        this.wake(this.core.ctx.now + this.told.refresh(options));
        this.options.onChange?.(this);
        return 0;
      case 'releasing':
        this.finish();
        return 0;
      case 'declining':
        this.begin('soliciting', retransmissions.solicit);
        return 0;
      case 'confirming':
        if (code === Status.NotOnLink) this.restart();
        else this.bind();
        return 0;
      case 'soliciting':
        if (wire.find(options, Option.RapidCommit) === null) return Drop.DhcpUnexpected;
        break;
      case 'requesting':
      case 'renewing':
      case 'rebinding':
        break;
      default:
        return Drop.DhcpUnexpected;
    }
    if (code === Status.Unspecified) return 0; // RFC 9915 §18.2.10: goes on sending, slower each time
    if (code === Status.NotOnLink) {
      this.restart();
      return 0;
    }
    this.server = server;
    this.granted(wire.associations(options).filter((ia) => this.ours(ia)));
    this.told.take(options);
    this.options.onChange?.(this);
    return 0;
  }

  /** RFC 9915 §18.2.10.1: what is granted, extended and taken back. */
  private granted(ias: readonly wire.Dhcp6Ia[]): void {
    const noBinding = ias.some((ia) => ia.status === Status.NoBinding);
    for (const ia of ias) for (const lease of ia.leases) this.held.grant(ia.delegation, lease);
    if (this.held.all.length === 0) {
      this.begin('soliciting', retransmissions.solicit, this.current === 'requesting' ? 1 : 0);
      return;
    }
    if (noBinding && this.current !== 'requesting') {
      this.begin('requesting', retransmissions.request); // RFC 9915 §18.2.10.1: the server knows nothing of it any more
      return;
    }
    const told = (pick: (ia: wire.Dhcp6Ia) => number, part: number): Micros => {
      const { now } = this.core.ctx;
      const given = ias.map(pick).filter((n) => n > 0);
      if (given.length > 0) return now + Math.min(...given.map((n) => (n === wire.FOREVER ? NEVER : seconds(n))));
      const shortest = this.held.firstPreferred;
      return shortest === NEVER ? NEVER : now + part * Math.max(0, shortest - now);
    };
    this.t1 = told((ia) => ia.t1, 0.5);
    this.t2 = Math.max(
      this.t1,
      told((ia) => ia.t2, 0.8),
    );
    this.bind();
  }

  private bind(): void {
    this.current = 'bound';
    this.wake(Math.min(this.t1, this.held.lastValid));
  }

  private restart(): void {
    this.held.loseAll();
    this.options.onChange?.(this);
    this.begin('soliciting', retransmissions.solicit);
  }

  /** Another station has an address we were given: it is refused and another asked for (RFC 9915 §18.2.8). */
  conflict(address: Address): void {
    const lease = this.held.all.find((l) => !l.delegation && l.address.equals(address));
    if (lease === undefined) return;
    this.held.lose(lease);
    this.declined = [lease];
    this.begin('declining', retransmissions.decline);
  }

  /** The link came back: are we still where we were? RFC 9915 §18.2.3, §18.2.12. */
  linkUp(): void {
    if (this.held.all.length === 0) return;
    if (this.held.all.some((l) => l.delegation)) this.begin('rebinding', retransmissions.rebind, this.core.ctx.prng.float());
    else this.begin('confirming', retransmissions.confirm, this.core.ctx.prng.float());
  }

  /** Gives the leases back, for a few seconds; `close` ends it at once. RFC 9915 §18.2.7. */
  release(): void {
    if (this.current === 'stopped' || this.current === 'releasing') return;
    const had = this.held.all;
    for (const lease of had) if (!lease.delegation) this.core.addresses.remove(this.iface, lease.address);
    this.options.onChange?.(this);
    if (had.length === 0 || this.server === null) this.finish();
    else this.begin('releasing', retransmissions.release);
  }

  private finish(): void {
    this.held.loseAll();
    this.close();
  }

  /** Ends at once: one release is sent, no answer waited for. */
  close(): void {
    if (this.current === 'stopped') return;
    if (this.held.all.length > 0 && this.server !== null && this.iface.running) {
      this.current = 'releasing';
      this.transmit();
    }
    this.held.loseAll();
    this.timer.cancel();
    this.socket.close();
    this.current = 'stopped';
  }
}

const types: Partial<Record<State, number>> = {
  soliciting: Type.Solicit,
  requesting: Type.Request,
  renewing: Type.Renew,
  rebinding: Type.Rebind,
  confirming: Type.Confirm,
  informing: Type.InformationRequest,
  releasing: Type.Release,
  declining: Type.Decline,
};

const ANY = new Address();
const NO_TIME = { preferred: 0, valid: 0, status: Status.Success } as const;

const same = (a: Uint8Array | null, b: Uint8Array): boolean => a !== null && a.length === b.length && a.every((octet, i) => octet === b[i]);
