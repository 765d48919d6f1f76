import { type Address, formatAddress } from '../../base/address.js';
import { type Micros, NEVER } from '../../base/time.js';
import { Timer } from '../../base/timer-wheel.js';
import type { Context } from '../context.js';
import type { Interface } from '../interface.js';
import { TimerKind } from '../timer-kind.js';

/** What routers told of names: resolvers and search domains (RFC 8106), and prefixes of NAT64 (RFC 8781). */
export interface Learned<T> {
  readonly iface: Interface;
  readonly value: T;
  until: Micros;
}

/** A NAT64 prefix. Length in bits: 32, 40, 48, 56, 64 or 96. */
export interface Nat64 {
  readonly prefix: Address;
  readonly length: number;
}

/** Lists of what advertisements tell, bounded per interface, each entry with an end. */
export class NameService {
  private readonly ctx: Context;
  private readonly resolverList: Learned<Address>[] = [];
  private readonly domainList: Learned<string>[] = [];
  private readonly nat64List: Learned<Nat64>[] = [];
  private readonly timer: Timer;
  /** Told after a change; for DNS. */
  onChange: (() => void) | null = null;

  constructor(ctx: Context) {
    this.ctx = ctx;
    this.timer = new Timer(TimerKind.Learned, { expire: () => this.expire() });
  }

  /** In the order of learning. Link-local ones are reached through their interface. */
  get resolvers(): readonly Learned<Address>[] {
    return this.resolverList;
  }

  /** Search domains, in lower case without a final dot. */
  get domains(): readonly Learned<string>[] {
    return this.domainList;
  }

  get nat64(): readonly Learned<Nat64>[] {
    return this.nat64List;
  }

  resolver(iface: Interface, address: Address, lifetime: Micros): void {
    this.update(this.resolverList, iface, address, lifetime, formatAddress);
  }

  domain(iface: Interface, name: string, lifetime: Micros): void {
    this.update(this.domainList, iface, name, lifetime, (n) => n);
  }

  nat64Prefix(iface: Interface, prefix: Address, length: number, lifetime: Micros): void {
    this.update(this.nat64List, iface, { prefix, length }, lifetime, (n) => `${formatAddress(n.prefix)}/${n.length}`);
  }

  /** Adds, renews or (lifetime 0) removes; at the bound the entry that ends first goes (RFC 8106 §5.3.1). */
  private update<T>(list: Learned<T>[], iface: Interface, value: T, lifetime: Micros, key: (value: T) => string): void {
    const until = lifetime === NEVER ? NEVER : this.ctx.now + lifetime;
    const at = list.findIndex((e) => e.iface === iface && key(e.value) === key(value));
    if (at >= 0 && lifetime > 0) (list[at] as Learned<T>).until = until;
    else if (at >= 0) list.splice(at, 1);
    else if (lifetime > 0) {
      const own = list.filter((e) => e.iface === iface);
      if (own.length >= this.ctx.sysctl.v['anystack.ra_resolvers_max'])
        list.splice(list.indexOf(own.reduce((a, b) => (b.until < a.until ? b : a))), 1);
      list.push({ iface, value, until });
    } else return;
    this.prune((e) => e.until > this.ctx.now);
    if (at < 0 || lifetime === 0) this.onChange?.();
  }

  /** Keeps the entries that pass; true when others went. The timer then stands at the next end. */
  private prune(stays: (entry: Learned<unknown>) => boolean): boolean {
    let next = NEVER;
    let gone = false;
    for (const list of [this.resolverList, this.domainList, this.nat64List] as Learned<unknown>[][]) {
      for (let i = list.length - 1; i >= 0; i--) {
        const entry = list[i] as Learned<unknown>;
        if (stays(entry)) next = Math.min(next, entry.until);
        else {
          list.splice(i, 1);
          gone = true;
        }
      }
    }
    if (next === NEVER) this.ctx.wheel.cancel(this.timer);
    else this.ctx.wheel.arm(this.timer, next);
    return gone;
  }

  private expire(): void {
    if (this.prune((e) => e.until > this.ctx.now)) this.onChange?.();
  }

  forget(iface: Interface): void {
    if (this.prune((e) => e.iface !== iface)) this.onChange?.();
  }
}
