import type { Address } from '../../base/address.js';
import { Drop } from '../../base/drops.js';
import { NetError } from '../../base/errors.js';
import { type Packet, PacketFlag } from '../../base/packet.js';
import { NEVER, seconds } from '../../base/time.js';
import type { Timer } from '../../base/timer-wheel.js';
import { Unreachable } from '../../wire/icmpv4.js';
import { Protocol } from '../../wire/protocol.js';
import type { Context } from '../context.js';
import type { Interface } from '../interface.js';
import type { IpLayer } from '../ip/ip.js';
import type { Flow } from '../ip/path.js';
import type { IcmpError } from '../ip/service.js';
import type { Demux } from '../link/link.js';
import { keyMaterial, transformSpec } from './algorithms.js';
import type { Ike } from './ike/ike.js';
import { Inbound } from './inbound.js';
import { Outbound } from './outbound.js';
import { REPLAY_WINDOW_MAX } from './replay.js';
import { Sa, type SaEvents, type SaOptions } from './sa.js';
import { Sad } from './sad.js';
import { anyCovers, FlowKey, OPAQUE, readFlow } from './selector.js';
import { POLICIES_MAX, POLICY_SAS_MAX, Policy, type PolicyOptions, Spd } from './spd.js';
import { TunnelDevice } from './tunnel-device.js';

/** SPIs below are IANA's: RFC 4303 §2.1. */
const SPI_MIN = 256;

/** ICMP's part, per family: tells another host of the tunnel's MTU. */
export interface IcmpSenders {
  readonly v4: { unreachable(packet: Packet, code: number, rest: number): void };
  readonly v6: { packetTooBig(packet: Packet, mtu: number): void } | null;
}

/** IPsec of one stack: RFC 4301. Hooks itself into IP when the first policy or SA comes, and costs nothing before. */
export class Ipsec {
  readonly spd: Spd;
  readonly sad = new Sad();
  readonly inbound: Inbound;
  readonly outbound: Outbound;
  /** Traffic that no policy matches: RFC 4301 §5.1.1 and §5.2 discard it. Linux and swanctl let it pass, as 'bypass' does. */
  unmatched: 'bypass' | 'discard' = 'discard';
  /** Asked for an SA when a policy has none that covers the packet. `flow` is reused. IKE listens here. */
  onAcquire: ((policy: Policy, flow: FlowKey) => void) | null = null;
  /** A peer behind a NAT has got a new address or port, by an authentic packet (RFC 7296 §2.23). IKE listens here. */
  onMoved: ((sa: Sa, packet: Packet) => void) | null = null;
  /** Sees the keys of each SA made: for a capture that somebody wants to read. Null unless asked for. */
  onKeys: ((options: SaOptions) => void) | null = null;
  /** IKE, where it runs. */
  driver: { readonly ike: Ike; close(): void } | null = null;
  private readonly ctx: Context;
  private readonly ip: IpLayer;
  private readonly outboundSas = new Map<number, Sa[]>();
  private readonly key = new FlowKey();
  /** Tunnel devices made. */
  private tunnels = 0;

  constructor(ctx: Context, ip: IpLayer, demux: Demux, icmp: () => IcmpSenders) {
    this.ctx = ctx;
    this.ip = ip;
    this.spd = new Spd(ctx.secret[3] as number);
    const errors = {
      tooBig: (packet: Packet, mtu: number): void => {
        if (packet.family === 6) icmp().v6?.packetTooBig(packet, mtu);
        else icmp().v4.unreachable(packet, Unreachable.FragmentationNeeded, mtu);
      },
    };
    this.outbound = new Outbound(ctx, ip, errors, this);
    this.inbound = new Inbound(ctx, ip, this.sad, demux, this);
    for (const protocol of [Protocol.Esp, Protocol.Ah]) {
      ip.register(protocol, { input: (packet) => this.inbound.input(packet, protocol, 0), error: (error) => this.error(error) });
    }
  }

  /** Adds a policy; throws ENOBUFS at POLICIES_MAX. */
  addPolicy(options: PolicyOptions): Policy {
    if (this.spd.size >= POLICIES_MAX) throw new NetError('ENOBUFS', 'policy add', undefined, undefined, options.name);
    const policy = this.spd.add(options);
    this.hook();
    return policy;
  }

  removePolicy(policy: Policy): void {
    this.spd.remove(policy);
    this.hook();
  }

  /**
   * Makes an SA. Throws EINVAL for values that fit not together, EEXIST for an inbound SPI that is taken, EPROTONOSUPPORT
   * where the host lacks the algorithm, ENOBUFS at the bounds. With a policy an outbound SA carries its traffic at once; on `standby` when those before it are gone.
   */
  addSa(options: SaOptions, policy: Policy | null = null, events: SaEvents | null = null, standby = false): Sa {
    const problem = unfit(options);
    if (problem !== null) throw new NetError('EINVAL', 'sa add', undefined, undefined, problem);
    if (policy !== null && policy.outbound.length >= POLICY_SAS_MAX) throw new NetError('ENOBUFS', 'sa add', undefined, undefined, policy.name);
    const transform = this.ctx.hyper.crypto.transform(transformSpec(options.suite, options.keys));
    if (transform === null) throw new NetError('EPROTONOSUPPORT', 'sa add', undefined, undefined, options.suite.name);
    const sa = new Sa(options, transform, this.ctx.hyper.bootTime());
    if (sa.inbound && !this.sad.add(sa)) {
      sa.close();
      throw new NetError(this.sad.find(sa.spi) === null ? 'ENOBUFS' : 'EEXIST', 'sa add', undefined, undefined, formatSpi(sa.spi));
    }
    sa.events = events;
    sa.owner = this;
    if (!sa.inbound) {
      const chain = this.outboundSas.get(sa.spi);
      if (chain === undefined) this.outboundSas.set(sa.spi, [sa]);
      else chain.push(sa);
      if (standby) policy?.outbound.push(sa);
      else policy?.outbound.unshift(sa);
    }
    this.onKeys?.(options);
    this.armLifetime(sa);
    this.hook();
    this.ip.routes.invalidate(); // paths have less room now
    return sa;
  }

  /** Takes an SA away and zeroes its keys. Twice is once. */
  removeSa(sa: Sa): void {
    if (sa.dead) return;
    // What waits still leaves under this SA: a rekey loses nothing.
    if (!sa.inbound) this.outbound.run();
    sa.dead = true;
    this.ctx.wheel.cancel(sa.timer);
    if (sa.inbound) this.sad.remove(sa);
    else {
      const chain = (this.outboundSas.get(sa.spi) ?? []).filter((other) => other !== sa);
      if (chain.length === 0) this.outboundSas.delete(sa.spi);
      else this.outboundSas.set(sa.spi, chain);
      for (const policy of this.spd.list()) {
        const i = policy.outbound.indexOf(sa);
        if (i >= 0) policy.outbound.splice(i, 1);
      }
    }
    sa.close();
    this.hook();
    this.ip.routes.invalidate();
  }

  /** An SPI that no inbound SA has, at random: RFC 4301 §4.4.2.1. */
  newSpi(): number {
    const octets = new Uint8Array(4);
    for (;;) {
      this.ctx.hyper.random(octets);
      const spi = new DataView(octets.buffer).getUint32(0);
      if (spi >= SPI_MIN && this.sad.find(spi) === null) return spi;
    }
  }

  /** The seal stage: what was routed into tunnels joins it, one crypto call, and on down the road. For the egress phase. */
  egress(interfaces: Iterable<Interface>): void {
    if (this.tunnels > 0) for (const iface of interfaces) if (iface.device instanceof TunnelDevice) iface.flush();
    this.outbound.run();
  }

  /** The device of a route-based tunnel: what is routed to it is sealed by the SAs of its policy, whatever its addresses. */
  tunnelDevice(name: string, mtu: number): TunnelDevice {
    this.tunnels++;
    return new TunnelDevice(this, new Policy({ name, action: 'protect', selectors: [] }), mtu);
  }

  /** All SAs: inbound, then outbound. */
  sas(): Sa[] {
    return [...this.sad.list(), ...[...this.outboundSas.values()].flat()];
  }

  /** RFC 4301 §5.1: what leaves. For Hooks. */
  private readonly protect = (packet: Packet, _input: Interface | null, output: Interface | null): boolean => {
    if (packet.flags & PacketFlag.Protected || output === null || output.medium === 'loopback' || output.device instanceof TunnelDevice) return true;
    const { key } = this;
    readFlow(packet, false, output.index, output.vrf, key);
    if (isNeighborDiscovery(key)) return true;
    const policy = this.spd.lookup(key);
    if (policy !== null) policy.packets++;
    if (policy?.action === 'protect') {
      this.seal(packet, policy, key);
      return false;
    }
    const action = policy?.action ?? (this.unmatched === 'bypass' || keepsLink(packet, key) ? 'bypass' : 'discard');
    const { observer } = this.ctx;
    if (observer.verdict !== null) observer.verdict(packet, 'ipsec', `${policy === null ? 'no policy matches' : `policy ${policy.name}`}: ${action}`);
    if (action === 'bypass') return true;
    this.ctx.drop(packet, Drop.IpsecDiscard);
    return false;
  };

  /** Seals a packet by the policy's SA, or asks for one. Owns the packet. */
  seal(packet: Packet, policy: Policy, key: FlowKey): void {
    const sa = policy.select(key);
    const { observer } = this.ctx;
    if (observer.verdict !== null)
      observer.verdict(packet, 'ipsec', `policy ${policy.name} ${sa === null ? 'has no SA' : `seals by ${formatSpi(sa.spi)}`}`);
    if (sa !== null) {
      this.outbound.protect(packet, sa);
      return;
    }
    if (this.onAcquire !== null && policy.asks(key, this.ctx.now)) this.onAcquire(policy, key);
    this.ctx.drop(packet, Drop.IpsecNoSa);
  }

  /** RFC 4301 §5.2, steps 3 and 4: what arrives, clear or out of an SA. For Hooks. */
  private readonly verify = (packet: Packet, input: Interface | null): boolean => {
    if (packet.flags & PacketFlag.Looped || input === null) return true;
    const { key } = this;
    readFlow(packet, true, input.index, input.vrf, key);
    if (packet.spi !== 0) {
      const sa = this.sad.find(packet.spi);
      if (sa !== null && (sa.selectors === null || anyCovers(sa.selectors, key))) return true;
      this.ctx.drop(packet, Drop.IpsecSelector);
      return false;
    }
    // ESP and AH for us are judged by their SA; what only passes through is traffic like other.
    if ((packet.protocol === Protocol.Esp || packet.protocol === Protocol.Ah) && (packet.flags & PacketFlag.Forwarded) === 0) return true;
    if (isNeighborDiscovery(key)) return true;
    const policy = this.spd.lookup(key);
    if (policy === null ? this.unmatched === 'bypass' || keepsLink(packet, key) : policy.action === 'bypass') return true;
    this.ctx.drop(packet, policy?.action === 'protect' ? Drop.IpsecClear : Drop.IpsecDiscard);
    return false;
  };

  /** RFC 4301 §8: what a protected flow may send. For Hooks. */
  private readonly room = (flow: Flow, source: Address, output: Interface, mtu: number): number => {
    if (flow.protocol === Protocol.Esp || flow.protocol === Protocol.Ah || flow.destination.isMulticast) return mtu;
    const { key } = this;
    key.local.copy(source);
    key.remote.copy(flow.destination);
    key.protocol = flow.protocol;
    key.localPort = flow.sourcePort === 0 ? OPAQUE : flow.sourcePort;
    key.remotePort = flow.destinationPort === 0 ? OPAQUE : flow.destinationPort;
    key.index = output.index;
    key.vrf = output.vrf;
    key.inbound = false;
    const device = output.device instanceof TunnelDevice ? output.device : null;
    const policy = device !== null ? device.policy : this.spd.lookup(key);
    const sa = policy?.action === 'protect' ? policy.select(key) : null;
    const path = sa === null ? null : this.outbound.pathOf(sa);
    if (sa === null || path === null) return mtu;
    // A transport SA goes the way that is being asked for; the rest have a way of their own.
    return Math.min(mtu, this.outbound.room(sa, Math.min(path.mtu, sa.mode === 'transport' ? mtu : path.mtu), flow.destination.isV4 ? 20 : 40));
  };

  /** RFC 4301 §6.1.1: an ICMP error about a packet of ours. Only too-big is believed, only for an SA that is there, and it kills nothing. */
  private error(error: IcmpError): void {
    if (error.kind !== 'too-big' || error.mtu === 0) return;
    const at = error.protocol === Protocol.Ah ? error.at + 4 : error.at;
    if (error.end - at < 4) return;
    const chain = this.outboundSas.get(error.view.getUint32(at));
    if (chain?.some((sa) => sa.protocol === error.protocol && sa.destination.equals(error.destination)) === true) {
      this.ip.learnMtu(error.destination, error.inIndex, error.mtu);
    }
  }

  /** An SA has reached a hard bound. For the stages. */
  ended(sa: Sa): void {
    if (sa.dead) return;
    // Not from within the stage that is at work on it: its packets there still go.
    this.ctx.wheel.arm(sa.timer, this.ctx.now);
    sa.ending = true;
  }

  moved(sa: Sa, packet: Packet): void {
    if (sa.remotePort !== 0) this.onMoved?.(sa, packet);
  }

  /** Lifetimes in seconds, and hard bounds met in a stage. For the timer wheel by way of the SA. */
  expire(timer: Timer): void {
    const sa = timer.owner as Sa;
    const now = this.ctx.hyper.bootTime();
    if (sa.ending || sa.over(now)) {
      const { events } = sa;
      this.removeSa(sa);
      events?.expired(sa);
      return;
    }
    if (now >= sa.deadline()) sa.tell();
    this.armLifetime(sa);
  }

  /** Boot time runs ahead of the wheel's while the machine sleeps; a deadline is looked at again when the wheel gets there, an hour at most. */
  private armLifetime(sa: Sa): void {
    const deadline = sa.deadline();
    if (deadline === NEVER) return;
    const left = deadline - this.ctx.hyper.bootTime();
    this.ctx.wheel.arm(sa.timer, this.ctx.now + Math.max(0, Math.min(left, LIFETIME_CHECK)));
  }

  private hook(): void {
    const { hooks } = this.ip;
    const active = this.spd.size > 0 || this.sad.size > 0 || this.outboundSas.size > 0;
    hooks.protect = active ? this.protect : null;
    hooks.verify = active ? this.verify : null;
    hooks.room = active ? this.room : null;
  }

  /** Ends all: keys are zeroed. */
  close(): void {
    this.driver?.close();
    this.inbound.purge();
    this.outbound.purge();
    for (const sa of this.sas()) this.removeSa(sa);
  }
}

const LIFETIME_CHECK = seconds(60);

const DHCP_PORTS: ReadonlySet<number> = new Set([67, 68, 546, 547]);

/** What we ourselves need before there is anybody to protect traffic with: an address (DHCP) and groups (IGMP, MLD). A policy may say otherwise. */
function keepsLink(packet: Packet, { protocol, localPort, remotePort }: FlowKey): boolean {
  if (packet.flags & PacketFlag.Forwarded) return false;
  if (protocol === Protocol.Udp) return DHCP_PORTS.has(localPort) && DHCP_PORTS.has(remotePort);
  return protocol === Protocol.Igmp || (protocol === Protocol.Icmpv6 && ((localPort >= 130 << 8 && localPort < 133 << 8) || localPort >> 8 === 143));
}

/** Types 133 to 137: whom to send a key exchange to is found out in clear (RFC 4301 leaves it to the policy, and every policy would say so). */
const isNeighborDiscovery = (key: FlowKey): boolean => key.protocol === Protocol.Icmpv6 && key.localPort >= 133 << 8 && key.localPort < 138 << 8;

/** Why the options do not fit together, or null. */
export function unfit(options: SaOptions): string | null {
  const { suite, protocol, mode, keys, source, destination } = options;
  if (!Number.isInteger(options.spi) || options.spi < SPI_MIN || options.spi > 0xffffffff) return `SPI ${options.spi} is not in [256, 4294967295]`;
  if (keys.length !== keyMaterial(suite)) return `${suite.name} takes ${keyMaterial(suite)} octets of keys, not ${keys.length}`;
  if (source.isV4 !== destination.isV4) return 'the outer addresses are of two families';
  if (protocol === 'ah' && suite.cipher !== null) return 'AH takes an integrity algorithm alone';
  if (protocol !== 'ah' && suite.cipher === null) return "ESP takes a cipher; 'null' is one";
  if (protocol === 'ah' && options.encapsulation) return 'AH does not pass a NAT';
  if (mode === 'beet' && options.inner === undefined) return 'BEET mode needs the inner addresses';
  const window = options.replayWindow ?? 64;
  if (window !== 0 && (window < 32 || window > REPLAY_WINDOW_MAX)) return `a replay window of ${window} is not 0 or in [32, ${REPLAY_WINDOW_MAX}]`;
  // RFC 4303 §3.3.3: without a window there is nothing to guess the high half from.
  if (options.esn === true && window === 0) return 'extended sequence numbers need a replay window';
  return null;
}

/** 0x0000abcd. */
export const formatSpi = (spi: number): string => `0x${(spi >>> 0).toString(16).padStart(8, '0')}`;
