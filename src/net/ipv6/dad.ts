import { Address } from '../../base/address.js';
import { millis, seconds } from '../../base/time.js';
import { Timer } from '../../base/timer-wheel.js';
import * as options from '../../wire/nd-options.js';
import type { Context } from '../context.js';
import type { Interface, InterfaceAddress } from '../interface.js';
import type { Claims } from '../ip/addresses.js';
import type { Multicast } from '../ip/multicast.js';
import { TimerKind } from '../timer-kind.js';
import type { NdSender } from './nd-sender.js';
import { solicitedNode } from './scope.js';

/** RFC 4861 §10 MAX_RTR_SOLICITATION_DELAY: the longest random wait before an interface's first message. */
const FIRST_DELAY = seconds(1);
/** Probes repeated after one came back to us: RFC 7527 §4.2. */
const LOOPED_PROBES = 3;

/** What duplicate detection finds out. */
export interface DadEvents {
  /** Nobody answered: the address is ours. Comes at once, with `probed` false, for addresses that are used without asking. */
  claimed(address: InterfaceAddress, probed: boolean): void;
  /** Another station (its link address as text, '' unknown) has the address; its state is 'duplicate' now. */
  duplicate(address: InterfaceAddress, mac: string): void;
}

/** The probing of one address of ours. */
class Claim {
  readonly address: InterfaceAddress;
  readonly timer: Timer;
  readonly nonce = new Int32Array(2);
  /** Solicitations to be sent, and sent. */
  wanted: number;
  sent = 0;

  constructor(address: InterfaceAddress, wanted: number, owner: Dad) {
    this.address = address;
    this.wanted = wanted;
    this.timer = new Timer(TimerKind.Dad, { expire: () => owner.expire(this) });
  }
}

/** Duplicate address detection: RFC 4862 §5.4, with nonces (RFC 7527) and, where asked for, optimistic use (RFC 4429). */
export class Dad implements Claims {
  private readonly ctx: Context;
  private readonly sender: NdSender;
  private readonly multicast: Multicast;
  private readonly events: DadEvents;
  private readonly claims = new Map<InterfaceAddress, Claim>();
  private readonly group = new Address();

  constructor(ctx: Context, sender: NdSender, multicast: Multicast, events: DadEvents) {
    this.ctx = ctx;
    this.sender = sender;
    this.multicast = multicast;
    this.events = events;
  }

  /** An address was added: its solicited-node group is joined (RFC 4861 §7.2.1), and it is probed for unless it may be used at once. */
  claim(address: InterfaceAddress): void {
    const { iface } = address;
    this.multicast.join(address, iface, solicitedNode(address.address, this.group));
    if (address.state !== 'tentative') {
      this.events.claimed(address, false);
      return;
    }
    if (iface.conf6.optimistic_dad !== 0 && address.origin === 'ra') address.state = 'optimistic';
    this.begin(address);
  }

  abandon(address: InterfaceAddress): void {
    this.multicast.leave(address, address.iface, solicitedNode(address.address, this.group));
    this.end(address);
  }

  /** The link is up, perhaps another one: all addresses are probed for (again), those in use without interruption. */
  linkUp(iface: Interface): void {
    for (const a of iface.addresses) if (!a.address.isV4 && a.state !== 'duplicate' && iface.conf6.dad_transmits > 0) this.begin(a);
  }

  private begin(address: InterfaceAddress): void {
    this.end(address);
    const claim = new Claim(address, address.iface.conf6.dad_transmits, this);
    this.claims.set(address, claim);
    // RFC 4862 §5.4.2: at random, for what many stations begin at one time: links that come up, advertised prefixes.
    const alone = address.origin === 'static' && address.iface.addresses.some((a) => a !== address && !a.address.isV4 && a.state === 'preferred');
    this.ctx.wheel.arm(claim.timer, this.ctx.now + (alone ? 0 : this.ctx.prng.float() * FIRST_DELAY));
  }

  private end(address: InterfaceAddress): void {
    const claim = this.claims.get(address);
    if (claim === undefined) return;
    this.ctx.wheel.cancel(claim.timer);
    this.claims.delete(address);
  }

  /** For Claim's timer. */
  expire(claim: Claim): void {
    const { address } = claim;
    const { iface } = address;
    if (!iface.running) return; // linkUp begins anew
    if (claim.sent >= claim.wanted) {
      this.claims.delete(address);
      if (address.state === 'tentative' || address.state === 'optimistic')
        address.state = address.preferredUntil > this.ctx.now ? 'preferred' : 'deprecated';
      this.events.claimed(address, true);
      return;
    }
    claim.sent++;
    const nonce = iface.conf6.enhanced_dad === 0 ? null : claim.nonce;
    if (nonce !== null) {
      nonce[0] = this.ctx.prng.uint32() & 0xffff;
      nonce[1] = this.ctx.prng.uint32();
    }
    this.sender.solicitation(iface, address.address, null, null, nonce);
    const wait = millis(iface.neighbors?.retransMs6 || iface.neigh6.retrans_time_ms);
    this.ctx.wheel.arm(claim.timer, this.ctx.now + wait);
  }

  /** Is the address being probed for? */
  probing(address: InterfaceAddress): boolean {
    return this.claims.has(address);
  }

  /**
   * A solicitation from nobody for an address we probe for: RFC 4862 §5.4.3. `nonce` is its nonce option's place in `view`, −1 without.
   * True when it was our own.
   */
  solicited(address: InterfaceAddress, view: DataView, nonce: number, mac: string): boolean {
    const claim = this.claims.get(address);
    if (claim !== undefined && nonce >= 0 && claim.sent > 0) {
      const at = options.nonce(nonce);
      if (options.length(view, nonce) === options.NONCE_LEN && view.getUint16(at) === claim.nonce[0] && view.getInt32(at + 2) === claim.nonce[1]) {
        claim.wanted = Math.min(claim.sent + LOOPED_PROBES, address.iface.conf6.dad_transmits + LOOPED_PROBES);
        return true;
      }
    }
    this.duplicate(address, mac);
    return false;
  }

  /** Somebody else advertises an address we probe for, or has begun to probe for it too. */
  duplicate(address: InterfaceAddress, mac: string): void {
    this.end(address);
    address.state = 'duplicate';
    this.events.duplicate(address, mac);
  }
}
