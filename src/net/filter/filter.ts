import { update16 } from '../../base/checksum.js';
import { Drop } from '../../base/drops.js';
import { ConfigError } from '../../base/errors.js';
import { Checksum, type Packet, PacketFlag } from '../../base/packet.js';
import { Unreachable } from '../../wire/icmpv4.js';
import * as ipv4 from '../../wire/ipv4.js';
import { Protocol } from '../../wire/protocol.js';
import type { Context } from '../context.js';
import type { Interface } from '../interface.js';
import type { IpLayer } from '../ip/ip.js';
import { type Connection, TrackState, trackStateNames } from './connection.js';
import { Conntrack } from './conntrack.js';
import { Nat } from './nat.js';
import { netmap, quoteAsSent, type Shown } from './netmap.js';
import { AddressSet, type FilterRule, type HookName, type Verdict } from './rule.js';

/** Jumps in jumps; a chain that jumps deeper is refused when it is set. */
const JUMP_DEPTH_MAX = 16;

/** Rules in order, and what happens to what passes them all. */
export interface Chain {
  readonly name: string;
  /** Where it hangs; null for one that is only jumped to. */
  readonly hook: HookName | null;
  readonly policy: 'accept' | 'drop';
  readonly rules: readonly FilterRule[];
}

/** What the filter needs of the families to put fragments together and to answer. */
export interface FilterRoads {
  /** The whole of which this is a fragment, or null while it waits for the others. */
  whole(packet: Packet): Packet | null;
  /** Takes a whole packet on from prerouting. */
  route(iface: Interface, packet: Packet): void;
  /** Errors to senders; they do not own the packet. */
  unreachable(packet: Packet, port: boolean): void;
  /** A RST for a TCP packet that was rejected. */
  reset(packet: Packet): void;
}

const PASS = 0;
const ACCEPT = 1;
const DROP = 2;
const REJECTED = 3;
/** NAT found no port. */
const EXHAUSTED = 4;
/** Drop reasons of the verdicts that end a packet. */
const ends: Readonly<Record<number, number>> = { [DROP]: Drop.FilterDrop, [REJECTED]: Drop.FilterReject, [EXHAUSTED]: Drop.NatNoPort };

/** The five hook points at work: tracking, rules, NAT. Made when the first chain is set; until then the hooks are null. */
export class Filter {
  readonly ctx: Context;
  readonly conntrack: Conntrack;
  readonly nat: Nat;
  private readonly ip: IpLayer;
  /** For others who need whole packets, and tell senders: NAT64. */
  readonly roads: FilterRoads;
  private readonly chains = new Map<string, Chain>();
  private readonly base: Record<HookName, Chain[]> = { prerouting: [], input: [], forward: [], output: [], postrouting: [] };

  /** The packet that entered last, the rules that counted it, and whether one was asked that looks at more than the flow. */
  private traced: Packet | null = null;
  private readonly trace: FilterRule[] = [];
  private varies = false;
  /** What destinations appear as, for errors of our own. */
  private shown: readonly Shown[] = [];

  constructor(ctx: Context, ip: IpLayer, roads: FilterRoads) {
    this.ctx = ctx;
    this.ip = ip;
    this.roads = roads;
    this.conntrack = new Conntrack(ctx);
    this.nat = new Nat(ctx, this.conntrack);
  }

  /** Replaces all chains at once; connections and mappings stay. Throws ConfigError for a jump to nowhere or in a circle. */
  set(chains: readonly Chain[]): void {
    const byName = new Map(chains.map((chain) => [chain.name, chain]));
    for (const chain of chains) checkJumps(chain, byName, 0);
    this.chains.clear();
    for (const [name, chain] of byName) this.chains.set(name, chain);
    for (const hook of Object.keys(this.base) as HookName[]) this.base[hook] = chains.filter((chain) => chain.hook === hook);
    this.conntrack.flows.renew(chains.flatMap(({ rules }) => rules.flatMap(setsOf)));
    this.shown = chains.flatMap(({ rules }) => rules.flatMap(shownBy));
    this.hang(chains.length > 0);
  }

  list(): readonly Chain[] {
    return [...this.chains.values()];
  }

  private hang(on: boolean): void {
    const { hooks } = this.ip;
    hooks.prerouting = on ? (packet, input) => this.prerouting(packet, input as Interface) : null;
    hooks.flows = on ? this.conntrack.flows : null;
    hooks.input = on ? (packet, input) => this.last('input', packet, input as Interface) : null;
    hooks.forward = on ? (packet, input, output) => this.pass(this.run('forward', packet, input, output), packet) : null;
    hooks.output = on ? (packet, _input, output) => this.output(packet, output as Interface) : null;
    hooks.postrouting = on ? (packet, input, output) => this.postrouting(packet, input, output as Interface) : null;
  }

  private prerouting(given: Packet, input: Interface): boolean {
    // Ports are in the first fragment only: tracking works on whole packets, as Linux does (nf_defrag).
    if (given.family === 4 ? ipv4.isFragment(given.view, given.network) : (given.flags & PacketFlag.Fragmented) !== 0) {
      const whole = this.roads.whole(given);
      if (whole !== null && this.enter(whole, input)) this.roads.route(input, whole);
      return false;
    }
    return this.enter(given, input);
  }

  private enter(packet: Packet, input: Interface): boolean {
    this.traced = packet;
    this.trace.length = 0;
    this.varies = false;
    if (packet.track === null) {
      const reason = this.conntrack.input(packet, input.vrf);
      if (reason !== 0) return this.die(packet, reason);
      this.tell(packet);
    }
    const verdict = this.run('prerouting', packet, input, null);
    if (verdict >= DROP) return this.pass(verdict, packet);
    const connection = packet.track as Connection | null;
    if (connection === null) return true;
    if (!connection.confirmed && !connection.destinationNat && this.nat.size > 0) this.inbound(packet, connection, input);
    this.nat.prerouting(packet);
    return true;
  }

  private inbound(packet: Packet, connection: Connection, input: Interface): void {
    const owner = this.ip.locals.find(packet.destination, input.vrf, 0);
    const inside = owner !== null && owner.iface !== input;
    if (this.nat.inbound(connection, inside) && inside) connection.hairpin = packet.destination.clone();
  }

  private output(packet: Packet, output: Interface): boolean {
    if (this.shown.length > 0) quoteAsSent(packet, this.shown, output.index);
    if (packet.track === null) {
      const reason = this.conntrack.input(packet, output.vrf);
      if (reason !== 0) return this.die(packet, reason);
      this.tell(packet);
    }
    return this.pass(this.run('output', packet, null, output), packet);
  }

  private postrouting(packet: Packet, input: Interface | null, output: Interface): boolean {
    const connection = packet.track as Connection | null;
    if (connection !== null && !connection.confirmed && connection.hairpin !== null && !connection.sourceNat)
      this.nat.source(connection, connection.hairpin, undefined);
    const verdict = this.run('postrouting', packet, input, output);
    if (verdict >= DROP) return this.pass(verdict, packet);
    if (connection === null) return true;
    this.nat.postrouting(packet);
    if (!this.confirm(packet, connection)) return false;
    if (packet === this.traced && !this.varies && isLearned(packet)) {
      const vrf = this.ip.interfaces.at(packet.inIndex)?.vrf ?? 0;
      this.conntrack.flows.learn(packet, connection, vrf, output.index, this.trace);
    }
    return true;
  }

  /** The end of the road in: rules, and a new connection is one from now on. */
  private last(hook: 'input', packet: Packet, input: Interface): boolean {
    if (!this.pass(this.run(hook, packet, input, null), packet)) return false;
    const connection = packet.track as Connection | null;
    return connection === null || this.confirm(packet, connection);
  }

  private confirm(packet: Packet, connection: Connection): boolean {
    if ((packet.trackState & ~TrackState.Reply) === TrackState.Related || this.conntrack.confirm(connection)) return true;
    this.nat.abandon(connection);
    return this.die(packet, Drop.NatNoPort);
  }

  private tell(packet: Packet): void {
    const { observer } = this.ctx;
    if (observer.verdict === null) return;
    const reply = packet.trackState & TrackState.Reply ? ' reply' : '';
    observer.verdict(packet, 'track', (trackStateNames[packet.trackState & ~TrackState.Reply] ?? 'untracked') + reply);
  }

  private die(packet: Packet, reason: number): false {
    this.ctx.drop(packet, reason);
    return false;
  }

  private pass(verdict: number, packet: Packet): boolean {
    if (verdict >= DROP) {
      const connection = packet.track as Connection | null;
      if (connection !== null && !connection.confirmed) this.nat.abandon(connection);
      this.ctx.drop(packet, ends[verdict] as number);
      return false;
    }
    return true;
  }

  private run(hook: HookName, packet: Packet, input: Interface | null, output: Interface | null): number {
    for (const chain of this.base[hook]) {
      const verdict = this.walk(chain, packet, input, output);
      if (verdict >= DROP) return verdict;
      if (verdict === PASS && chain.policy === 'drop') {
        if (this.ctx.observer.verdict !== null) this.ctx.observer.verdict(packet, chain.name, 'policy drop');
        return DROP;
      }
    }
    return ACCEPT;
  }

  private walk(chain: Chain, packet: Packet, input: Interface | null, output: Interface | null): number {
    const { rules } = chain;
    const { now, observer } = this.ctx;
    const inIndex = input?.index ?? 0;
    const outIndex = output?.index ?? 0;
    for (let i = 0; i < rules.length; i++) {
      const rule = rules[i] as FilterRule;
      const traced = packet === this.traced;
      if (traced && !rule.fixed) this.varies = true;
      if (!rule.matches(packet, inIndex, outIndex, now)) continue;
      if (traced) this.trace.push(rule);
      if (observer.verdict !== null) observer.verdict(packet, `${chain.name}[${i}]`, rule.verdict.kind);
      if (rule.verdict.kind === 'return') return PASS;
      const result = this.act(rule.verdict, packet, input, output);
      if (result !== PASS) return result;
    }
    return PASS;
  }

  private act(verdict: Verdict, packet: Packet, input: Interface | null, output: Interface | null): number {
    const connection = packet.track as Connection | null;
    const opens = connection !== null && !connection.confirmed;
    switch (verdict.kind) {
      case 'accept':
        return ACCEPT;
      case 'drop':
        return DROP;
      case 'reject':
        if (verdict.with === 'tcp-reset' && packet.protocol === Protocol.Tcp) this.roads.reset(packet);
        else this.roads.unreachable(packet, verdict.with !== 'admin-prohibited');
        return REJECTED;
      case 'jump':
        return this.walk(this.chains.get(verdict.chain) as Chain, packet, input, output);
      case 'mark':
        packet.mark = verdict.mark;
        return PASS;
      case 'mss':
        clampMss(packet, verdict.mss === 'path' ? (output?.mtu ?? 1_500) - (packet.family === 4 ? 40 : 60) : verdict.mss);
        return PASS;
      case 'dnat':
        if (!opens || connection.destinationNat) return PASS;
        this.nat.destination(connection, verdict.address, verdict.ports);
        return ACCEPT;
      case 'snat':
        if (!opens || connection.sourceNat) return PASS;
        return this.nat.source(connection, verdict.address, verdict.ports) ? ACCEPT : EXHAUSTED;
      case 'masquerade':
        return this.masquerade(connection, opens, packet, output);
      case 'netmap':
        if (netmap(packet, verdict.side, verdict.to.address, verdict.to.length)) return PASS;
        this.roads.unreachable(packet, false);
        return REJECTED;
      case 'log':
        this.ctx.hyper.log('info', `${verdict.prefix}${packet.source} > ${packet.destination} protocol ${packet.protocol} length ${packet.length}`);
        return PASS;
      case 'notrack':
        packet.track = null;
        packet.trackState = TrackState.Untracked;
        return PASS;
      default:
        return PASS;
    }
  }

  private masquerade(connection: Connection | null, opens: boolean, packet: Packet, output: Interface | null): number {
    if (!opens || connection === null || connection.sourceNat || output === null) return PASS;
    const family = packet.family === 4 ? this.ip.v4 : this.ip.v6;
    const from = family?.source(output, packet.destination, packet.destination) ?? null;
    if (from === null) return DROP;
    if (from.address.equals(packet.source)) return ACCEPT; // it is ours already
    return this.nat.source(connection, from.address, undefined) ? ACCEPT : EXHAUSTED;
  }

  purge(): void {
    this.conntrack.flush();
    this.conntrack.stop();
  }
}

const setsOf = ({ match: { source, destination } }: FilterRule): AddressSet[] => [source, destination].filter((x) => x instanceof AddressSet);

/** The flow table keeps what is forwarded of established IPv4 connections of UDP and TCP. */
function isLearned({ flags, family, protocol, trackState }: Packet): boolean {
  if ((flags & PacketFlag.Forwarded) === 0 || family !== 4 || (trackState & ~TrackState.Reply) !== TrackState.Established) return false;
  return protocol === Protocol.Udp || protocol === Protocol.Tcp;
}

function checkJumps(chain: Chain, chains: ReadonlyMap<string, Chain>, depth: number): void {
  if (depth > JUMP_DEPTH_MAX) throw new ConfigError(`filter: chain ${chain.name} jumps in a circle, or deeper than ${JUMP_DEPTH_MAX}`);
  for (const { verdict } of chain.rules) {
    if (verdict.kind !== 'jump') continue;
    const target = chains.get(verdict.chain);
    if (target === undefined) throw new ConfigError(`filter: chain ${chain.name} jumps to ${verdict.chain}, which does not exist`);
    checkJumps(target, chains, depth + 1);
  }
}

/** Lowers the MSS option of a SYN: for paths whose too-big errors get lost. */
function clampMss(packet: Packet, mss: number): void {
  const { view, transport: at, tail } = packet;
  if (packet.protocol !== Protocol.Tcp || tail - at < 20 || (view.getUint8(at + 13) & 2) === 0) return;
  if (packet.flags & PacketFlag.Looped) return;
  const end = Math.min(tail, at + ((view.getUint8(at + 12) >>> 4) << 2));
  for (let o = at + 20; o + 3 < end; ) {
    const kind = view.getUint8(o);
    if (kind === 0) return;
    if (kind === 1) {
      o++;
      continue;
    }
    const length = view.getUint8(o + 1);
    if (length < 2) return;
    if (kind === 2 && length === 4) {
      const old = view.getUint16(o + 2);
      if (old <= mss) return;
      view.setUint16(o + 2, mss);
      // An option may lie at an odd octet: its octets then swap places in the sum.
      const odd = (o - at) & 1;
      const turn = (x: number): number => (odd ? ((x & 255) << 8) | (x >>> 8) : x);
      if (packet.checksum !== Checksum.Partial) view.setUint16(at + 16, update16(view.getUint16(at + 16), turn(old), turn(mss)));
      return;
    }
    o += length;
  }
}

/** ICMP codes for reject: port unreachable, or communication administratively prohibited (RFC 1812 §5.2.7.1). */
export const rejectCode4 = (port: boolean): number => (port ? Unreachable.Port : Unreachable.AdminProhibited);

/** The prefix that a rule's NETMAP shows under another one. */
function shownBy({ match, verdict }: FilterRule): Shown[] {
  if (verdict.kind !== 'netmap' || verdict.side !== 'destination' || match.destination === undefined || match.destination instanceof AddressSet)
    return [];
  return [{ as: match.destination, is: verdict.to, inIndex: match.inIndex ?? 0 }];
}
