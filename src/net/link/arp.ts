import { v4 } from '../../base/address.js';
import { Drop } from '../../base/drops.js';
import type { Packet } from '../../base/packet.js';
import { seconds } from '../../base/time.js';
import { Timer } from '../../base/timer-wheel.js';
import * as arp from '../../wire/arp.js';
import { formatMac } from '../../wire/ethernet.js';
import type { Context } from '../context.js';
import { Counter } from '../counters.js';
import type { Interface, InterfaceAddress } from '../interface.js';
import { TimerKind } from '../timer-kind.js';
import type { Ethernet } from './link.js';
import { type Neighbor, NeighborState, type Solicitor } from './neighbor.js';

/** RFC 5227 §1.1: probes and announcements, in their numbers and spans. */
const PROBE_WAIT = seconds(1);
const PROBE_NUM = 3;
const PROBE_MIN = seconds(1);
const PROBE_MAX = seconds(2);
const ANNOUNCE_WAIT = seconds(2);
const ANNOUNCE_INTERVAL = seconds(2);
const DEFEND_INTERVAL = seconds(10);

/** The probing and announcing of one address of ours. */
class Claim {
  readonly address: InterfaceAddress;
  readonly timer: Timer;
  probes = 0;
  announcements = 0;
  defendedAt = Number.NEGATIVE_INFINITY;

  constructor(address: InterfaceAddress) {
    this.address = address;
    this.timer = new Timer(TimerKind.AddressProbe, this);
  }
}

/** What ARP tells the stack. */
export interface ArpEvents {
  /** Probing found nobody: the address may be used. */
  claimed(address: InterfaceAddress): void;
  /** Another station uses our address. */
  conflict(address: InterfaceAddress, mac: string): void;
  /** Packets whose next hop does not answer: host unreachable to their senders. Owns the packet. */
  unreachable(iface: Interface, packet: Packet): void;
}

/** ARP (RFC 826) with address conflict detection (RFC 5227). */
export class Arp implements Solicitor {
  private readonly ctx: Context;
  private readonly ethernet: Ethernet;
  private readonly events: ArpEvents;
  private readonly claims = new Map<InterfaceAddress, Claim>();
  private readonly wanted = v4(0);

  constructor(ctx: Context, ethernet: Ethernet, events: ArpEvents) {
    this.ctx = ctx;
    this.ethernet = ethernet;
    this.events = events;
  }

  /** RFC 826 "Packet Reception", with RFC 5227 §2.4's look for conflicts first. */
  input(iface: Interface, packet: Packet): void {
    const { view, head } = packet;
    const reason = arp.check(view, head, packet.tail);
    if (reason !== 0) {
      this.ctx.drop(packet, reason);
      return;
    }
    const sender = arp.sender(view, head);
    const high = arp.senderMacHigh(view, head);
    const low = arp.senderMacLow(view, head);
    if ((high === iface.macHigh && low === iface.macLow) || iface.stations.some((s) => s.low === low && s.high === high)) {
      this.ctx.drop(packet, Drop.ArpBadSender); // our own frame came back
      return;
    }
    const op = arp.op(view, head);
    const targetWord = arp.target(view, head);
    if (this.conflicts(iface, sender, targetWord, op, high, low)) {
      this.ctx.drop(packet, Drop.AddressDuplicate);
      return;
    }
    const ours = findV4(iface, targetWord);
    const wanted = (op === arp.Op.Request && ours !== null) || (sender === targetWord && iface.conf4.arp_accept !== 0);
    if (sender !== 0 && sender !== -1) this.learn(iface, sender, high, low, op, ours !== null, wanted);
    const known = iface.conf4.arp_ignore < 2 || (ours !== null && (sender === 0 || sameSubnet(ours, sender)));
    if (op === arp.Op.Request && ours !== null && known && ours.state !== 'tentative' && ours.state !== 'duplicate') {
      this.ctx.counters.count(Counter.ArpInRequests);
      this.reply(iface, packet, high, low, sender, ours);
      return;
    }
    packet.release();
  }

  /** An existing entry is updated; a new one is made only where it is wanted: for who asks for us (RFC 826), so that chatter fills no table. */
  private learn(iface: Interface, sender: number, high: number, low: number, op: number, forUs: boolean, wanted: boolean): void {
    const table = iface.neighbors;
    if (table === null || !onLink(iface, sender)) return;
    this.wanted.setV4(sender);
    const n = wanted ? table.obtain(this.wanted) : table.find(this.wanted);
    if (n === null) return;
    const solicited =
      op === arp.Op.Reply && forUs && (n.state === NeighborState.Incomplete || n.state === NeighborState.Probe || n.state === NeighborState.Delay);
    table.learn(n, high, low, solicited, true);
  }

  private reply(iface: Interface, packet: Packet, high: number, low: number, sender: number, { address, station }: InterfaceAddress): void {
    this.ctx.counters.count(Counter.ArpOutReplies);
    packet.tail = packet.head + arp.PACKET_LEN;
    const [ownHigh, ownLow] = station === null ? [iface.macHigh, iface.macLow] : [station.high, station.low];
    arp.put(packet.view, packet.head, arp.Op.Reply, ownHigh, ownLow, address.w3, high, low, sender);
    this.ethernet.arpFrame(iface, packet, high, low);
  }

  solicit(iface: Interface, target: Neighbor, unicast: boolean, pending: Packet | null): void {
    const source = this.sourceFor(iface, target.address.w3, pending);
    if (source === 0) return;
    if (unicast) this.send(iface, source, target.address.w3, target.macHigh, target.macLow);
    else this.send(iface, source, target.address.w3, 0xffff, -1);
  }

  unreachable(iface: Interface, _target: Neighbor, pending: Packet): void {
    this.events.unreachable(iface, pending);
  }

  /** The pending packet's source if it is an address of this interface and arp_announce lets it, else one of the target's subnet. */
  private sourceFor(iface: Interface, target: number, pending: Packet | null): number {
    let first = 0;
    for (const a of iface.addresses) {
      if (!a.address.isV4 || a.state === 'tentative' || a.state === 'duplicate') continue;
      const fits = iface.conf4.arp_announce === 0 || (iface.conf4.arp_announce === 1 && sameSubnet(a, target));
      if (fits && pending !== null && pending.family === 4 && a.address.w3 === pending.source.w3) return a.address.w3;
      if (first === 0 || sameSubnet(a, target)) first = a.address.w3;
    }
    return first;
  }

  private send(iface: Interface, source: number, target: number, high: number, low: number): void {
    const packet = this.ctx.packet();
    if (packet === null) {
      this.ctx.countDrop(Drop.NoBuffer);
      return;
    }
    const station = findV4(iface, source)?.station ?? null;
    const [ownHigh, ownLow] = station === null ? [iface.macHigh, iface.macLow] : [station.high, station.low];
    packet.tail = arp.put(packet.view, packet.head, arp.Op.Request, ownHigh, ownLow, source, 0, 0, target);
    this.ethernet.arpFrame(iface, packet, high, low);
  }

  /** Begins to claim an address: probes first when asked to, then announces. */
  claim(address: InterfaceAddress): void {
    const claim = new Claim(address);
    this.claims.set(address, claim);
    if (address.state === 'tentative') this.ctx.wheel.arm(claim.timer, this.ctx.now + this.ctx.prng.float() * PROBE_WAIT);
    else this.announce(claim);
  }

  /** The address is no longer ours. */
  abandon(address: InterfaceAddress): void {
    const claim = this.claims.get(address);
    if (claim === undefined) return;
    this.ctx.wheel.cancel(claim.timer);
    this.claims.delete(address);
  }

  expire(timer: Timer): void {
    const claim = timer.owner as Claim;
    if (claim.address.state === 'tentative') this.probe(claim);
    else this.announce(claim);
  }

  private probe(claim: Claim): void {
    const { address } = claim;
    if (claim.probes === PROBE_NUM) {
      address.state = 'preferred';
      this.events.claimed(address);
      this.announce(claim);
      return;
    }
    claim.probes++;
    this.send(address.iface, 0, address.address.w3, 0xffff, -1);
    const wait = claim.probes === PROBE_NUM ? ANNOUNCE_WAIT : PROBE_MIN + this.ctx.prng.float() * (PROBE_MAX - PROBE_MIN);
    this.ctx.wheel.arm(claim.timer, this.ctx.now + wait);
  }

  private announce(claim: Claim): void {
    if (claim.announcements >= claim.address.iface.conf4.arp_announce_count) return;
    claim.announcements++;
    const word = claim.address.address.w3;
    if (claim.address.iface.running) this.send(claim.address.iface, word, word, 0xffff, -1);
    this.ctx.wheel.arm(claim.timer, this.ctx.now + ANNOUNCE_INTERVAL);
  }

  /** RFC 5227 §2.1.1 while probing, §2.4 (b) afterwards: defend once in ten seconds, keep the address, tell. */
  private conflicts(iface: Interface, sender: number, target: number, op: number, high: number, low: number): boolean {
    const claimed = findV4(iface, sender === 0 ? target : sender);
    if (claimed === null) return false;
    const tentative = claimed.state === 'tentative';
    if (sender === 0 && !(tentative && op === arp.Op.Request)) return false; // somebody else's probe: answered as any request
    const claim = this.claims.get(claimed);
    const mac = formatMac(high, low);
    if (tentative) {
      claimed.state = 'duplicate';
      if (claim !== undefined) this.ctx.wheel.cancel(claim.timer);
      this.events.conflict(claimed, mac);
      return true;
    }
    if (claim !== undefined && this.ctx.now - claim.defendedAt >= DEFEND_INTERVAL) {
      claim.defendedAt = this.ctx.now;
      this.send(iface, claimed.address.w3, claimed.address.w3, 0xffff, -1);
      this.events.conflict(claimed, mac);
    }
    return true;
  }
}

function findV4(iface: Interface, word: number): InterfaceAddress | null {
  for (const a of iface.addresses) if (a.address.w3 === word && a.address.isV4) return a;
  return null;
}

const sameSubnet = (a: InterfaceAddress, word: number): boolean => a.length === 0 || (a.address.w3 ^ word) >>> (32 - a.length) === 0;

function onLink(iface: Interface, word: number): boolean {
  for (const a of iface.addresses) if (a.address.isV4 && sameSubnet(a, word)) return true;
  return false;
}
