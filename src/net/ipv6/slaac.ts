import { Address, samePrefix } from '../../base/address.js';
import { type Micros, millis, NEVER, seconds } from '../../base/time.js';
import { Timer } from '../../base/timer-wheel.js';
import type { Context } from '../context.js';
import type { Interface, InterfaceAddress } from '../interface.js';
import type { Addresses } from '../ip/addresses.js';
import { TimerKind } from '../timer-kind.js';
import { eui64, type InterfaceId, randomId, StableIds, withPrefix } from './interface-id.js';

/** RFC 4862 §5.5.3 e: an advertisement alone cannot end an address sooner. */
const TWO_HOURS = seconds(7_200);
/** Bits of prefix and of interface identifier on Ethernet (RFC 2464 §4). */
const PREFIX_BITS = 64;
/** Routers remembered as advertisers of one prefix: RFC 6724 §5 rule 5.5. */
const ADVERTISERS_MAX = 4;
/** RFC 8981 §3.8: a temporary address is renewed this long before it is deprecated, and its preferred life is cut by up to 0.4 of it. */
const REGEN_ADVANCE_BASE = seconds(2);
const DESYNC_FACTOR = 0.4;

const LINK_LOCAL = new Address(0xfe800000, 0, 0, 0);

/** addr_gen_mode. */
const Mode = { Eui64: 0, None: 1 } as const;

/** A prefix that addresses are made of. */
class AutoPrefix {
  readonly iface: Interface;
  readonly prefix: Address;
  stable: InterfaceAddress | null = null;
  /** Newest last. */
  readonly temporary: { address: InterfaceAddress; made: Micros; desync: Micros }[] = [];
  /** Duplicates met so far: RFC 7217 §6, RFC 8981 §3.4. */
  dadCounter = 0;
  temporaryTries = 0;
  validUntil: Micros = 0;
  preferredUntil: Micros = 0;
  advertisers: Address[] = [];
  readonly timer: Timer;

  constructor(iface: Interface, prefix: Address, owner: Slaac) {
    this.iface = iface;
    this.prefix = prefix;
    this.timer = new Timer(TimerKind.Address6, { expire: () => owner.review(this) });
  }
}

/** Stateless address autoconfiguration: RFC 4862, with stable (RFC 7217) or EUI-64 identifiers and temporary addresses (RFC 8981). */
export class Slaac {
  private readonly ctx: Context;
  private readonly addresses: Addresses;
  private readonly ids: StableIds;
  private readonly prefixes: AutoPrefix[] = [];
  /** Duplicates of the link-local address so far. */
  private readonly linkLocalTries = new Map<Interface, number>();

  constructor(ctx: Context, addresses: Addresses) {
    this.ctx = ctx;
    this.addresses = addresses;
    this.ids = new StableIds(ctx.hyper);
  }

  /** RFC 4862 §5.3: every interface has a link-local address, unless somebody gave it one or wants none. */
  linkUp(iface: Interface): void {
    if (iface.conf6.addr_gen_mode === Mode.None || iface.addresses.some((a) => !a.address.isV4 && a.address.isLinkLocal)) return;
    const id = this.identifier(iface, LINK_LOCAL, this.linkLocalTries.get(iface) ?? 0);
    this.addresses.add(iface, { address: withPrefix(LINK_LOCAL, id), length: PREFIX_BITS }, 'link-local', iface.conf6.dad_transmits > 0);
  }

  private identifier(iface: Interface, prefix: Address, tries: number): InterfaceId {
    const eui = iface.conf6.addr_gen_mode === Mode.Eui64 && iface.medium === 'ethernet';
    return eui ? eui64(iface) : this.ids.of(iface, prefix, tries);
  }

  /** A prefix with the A flag from `router`; lifetimes in µs, NEVER among them. RFC 4862 §5.5.3. */
  prefix(iface: Interface, prefix: Address, length: number, valid: Micros, preferred: Micros, router: Address): void {
    if (iface.conf6.autoconf === 0 || preferred > valid || length !== PREFIX_BITS) return; // c, and d: the identifier has 64 bits
    let auto = this.find(iface, prefix);
    if (auto === null) {
      if (valid === 0 || this.count(iface) >= iface.conf6.max_addresses) return;
      auto = new AutoPrefix(iface, new Address(prefix.w0, prefix.w1, 0, 0), this);
      this.prefixes.push(auto);
      auto.validUntil = this.ctx.now + valid;
    } else auto.validUntil = this.extend(auto, valid);
    auto.preferredUntil = Math.min(this.ctx.now + preferred, auto.validUntil);
    this.advertised(auto, router);
    this.review(auto);
  }

  /** RFC 4862 §5.5.3 e: lifetimes grow at once, and shrink to two hours at least, so that one forged packet ends no address. */
  private extend(auto: AutoPrefix, valid: Micros): Micros {
    const { now } = this.ctx;
    const remaining = auto.validUntil - now;
    if (valid > TWO_HOURS || valid > remaining) return now + valid;
    return remaining <= TWO_HOURS ? auto.validUntil : now + TWO_HOURS;
  }

  private advertised(auto: AutoPrefix, router: Address): void {
    auto.advertisers = auto.advertisers.filter((a) => !a.equals(router));
    auto.advertisers.push(router.clone());
    if (auto.advertisers.length > ADVERTISERS_MAX) auto.advertisers.shift();
  }

  private find(iface: Interface, prefix: Address): AutoPrefix | null {
    return this.prefixes.find((p) => p.iface === iface && samePrefix(p.prefix, prefix, PREFIX_BITS)) ?? null;
  }

  private count(iface: Interface): number {
    return iface.addresses.reduce((n, a) => n + (a.origin === 'ra' ? 1 : 0), 0);
  }

  /** Brings the addresses of a prefix up to its lifetimes and the hour: makes, deprecates, removes and renews them. For the timer too. */
  review(auto: AutoPrefix): void {
    const { now, wheel } = this.ctx;
    if (auto.validUntil <= now) {
      this.drop(auto);
      return;
    }
    if (auto.stable === null) auto.stable = this.make(auto, this.identifier(auto.iface, auto.prefix, auto.dadCounter), false);
    if (auto.stable !== null) this.age(auto.stable, auto.preferredUntil, auto.validUntil);
    let next = this.reviewTemporary(auto);
    next = Math.min(next, auto.validUntil, auto.preferredUntil > now ? auto.preferredUntil : NEVER);
    if (next === NEVER) wheel.cancel(auto.timer);
    else wheel.arm(auto.timer, next);
  }

  private make(auto: AutoPrefix, id: InterfaceId, temporary: boolean): InterfaceAddress | null {
    const address = withPrefix(auto.prefix, id);
    if (auto.iface.addresses.some((a) => a.address.equals(address))) return null; // given by hand: that one stands
    return this.addresses.add(auto.iface, { address, length: PREFIX_BITS }, 'ra', auto.iface.conf6.dad_transmits > 0, { onLink: false, temporary });
  }

  private age(address: InterfaceAddress, preferredUntil: Micros, validUntil: Micros): void {
    address.preferredUntil = preferredUntil;
    address.validUntil = validUntil;
    if (address.state !== 'preferred' && address.state !== 'deprecated') return;
    const state = preferredUntil > this.ctx.now ? 'preferred' : 'deprecated';
    if (state === address.state) return;
    address.state = state;
    this.addresses.changed(); // sources are to be chosen anew
  }

  /** RFC 8981 §3.4, §3.5: at most one that is not yet due for renewal. Answers when to look again. */
  private reviewTemporary(auto: AutoPrefix): Micros {
    const { now } = this.ctx;
    const { conf6 } = auto.iface;
    const advance = this.regenAdvance(auto.iface);
    const valid = seconds(conf6.temp_valid_lft);
    const preferred = seconds(conf6.temp_prefered_lft);
    let next = NEVER;
    for (const t of [...auto.temporary]) {
      const validUntil = Math.min(auto.validUntil, t.made + valid);
      if (validUntil <= now) {
        this.addresses.remove(auto.iface, t.address.address);
        auto.temporary.splice(auto.temporary.indexOf(t), 1);
        continue;
      }
      this.age(t.address, Math.min(auto.preferredUntil, t.made + preferred - t.desync), validUntil);
      next = Math.min(next, validUntil, t.address.preferredUntil > now ? t.address.preferredUntil : NEVER);
    }
    if (conf6.use_tempaddr === 0 || auto.stable === null) return next;
    const newest = auto.temporary[auto.temporary.length - 1];
    const due = newest === undefined ? now : newest.address.preferredUntil - advance;
    const lives = auto.preferredUntil - now > advance && preferred > advance;
    if (due > now || !lives) return due > now ? Math.min(next, due) : next;
    if (auto.temporaryTries > conf6.regen_max_retry || this.count(auto.iface) >= conf6.max_addresses) return next;
    const address = this.make(auto, randomId(this.ctx.hyper), true);
    if (address === null) return next;
    const desync = this.ctx.prng.float() * DESYNC_FACTOR * preferred;
    auto.temporary.push({ address, made: now, desync });
    this.age(address, Math.min(auto.preferredUntil, now + preferred - desync), Math.min(auto.validUntil, now + valid));
    return Math.min(next, address.preferredUntil - advance);
  }

  /** RFC 8981 §3.8 REGEN_ADVANCE. */
  private regenAdvance({ conf6, neigh6 }: Interface): Micros {
    return REGEN_ADVANCE_BASE + conf6.regen_max_retry * conf6.dad_transmits * millis(neigh6.retrans_time_ms);
  }

  /** An address of ours is another station's: another identifier is tried, a few times (RFC 7217 §6, RFC 8981 §3.4 5). */
  duplicate(address: InterfaceAddress): void {
    const { iface } = address;
    const retries = iface.conf6.regen_max_retry;
    const eui = iface.conf6.addr_gen_mode === Mode.Eui64;
    if (address.origin === 'link-local') {
      const tries = (this.linkLocalTries.get(iface) ?? 0) + 1;
      if (eui && iface.conf6.accept_dad === 2) this.ctx.sysctl.set(`net.ipv6.conf.${iface.name}.disable_ipv6`, 1); // RFC 4862 §5.4.5
      if (eui || tries > retries) return; // without a link-local address nothing begins on the interface
      this.linkLocalTries.set(iface, tries);
      this.addresses.remove(iface, address.address);
      this.linkUp(iface);
      return;
    }
    const auto = this.prefixes.find((p) => p.stable === address || p.temporary.some((t) => t.address === address));
    if (auto === undefined) return;
    if (auto.stable === address) {
      if (eui || ++auto.dadCounter > retries) return;
      auto.stable = null;
    } else {
      auto.temporaryTries++;
      auto.temporary.splice(
        auto.temporary.findIndex((t) => t.address === address),
        1,
      );
    }
    this.addresses.remove(iface, address.address);
    this.review(auto);
  }

  /** Probing found nobody: later duplicates are counted anew. */
  claimed(address: InterfaceAddress): void {
    for (const p of this.prefixes) if (p.temporary.some((t) => t.address === address)) p.temporaryTries = 0;
  }

  /** Is the address of a prefix that `router` advertises? RFC 6724 §5 rule 5.5. */
  isFrom(address: InterfaceAddress, router: Address): boolean {
    return this.find(address.iface, address.address)?.advertisers.some((a) => a.equals(router)) ?? false;
  }

  private drop(auto: AutoPrefix): void {
    this.ctx.wheel.cancel(auto.timer);
    this.prefixes.splice(this.prefixes.indexOf(auto), 1);
    for (const t of auto.temporary) this.addresses.remove(auto.iface, t.address.address);
    if (auto.stable !== null) this.addresses.remove(auto.iface, auto.stable.address);
  }

  /** Forgets all prefixes of an interface with their addresses: it goes, or we are a router now. */
  forget(iface: Interface): void {
    for (const p of [...this.prefixes]) if (p.iface === iface) this.drop(p);
    this.linkLocalTries.delete(iface);
  }
}
