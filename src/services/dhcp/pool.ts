import { type Micros, seconds } from '../../base/time.js';
import type { Store } from '../../hyper/hypercalls.js';

/** Addresses of one pool at most: a /16. */
export const POOL_MAX = 65_536;
/** Leases written as one value of the store, each of at most 700 octets of text. */
const BLOCK = 64;
/** A name a client gives itself. RFC 1035 §2.3.4. */
const HOSTNAME_MAX = 63;
/** An offered address is kept so long for who was offered it. */
const OFFER_HOLD = seconds(60);
/** A declined one is nobody's so long. */
const DECLINE_HOLD = seconds(600);

/** One address, and whose it is or was last. */
export interface ServerLease {
  /** IPv4 word. */
  readonly address: number;
  /** The client: its identifier in hexadecimal, or 'mac' and its station address. '' when it was declined. */
  readonly client: string;
  readonly mac: string;
  readonly hostname: string;
  /** 'offered' ones are not in the store. */
  readonly state: 'offered' | 'bound' | 'declined';
  /** By the clock that runs through suspend; infinity for one without an end. */
  readonly until: Micros;
}

/** An address that only one client gets. */
export interface Reservation {
  readonly address: number;
  /** As in ServerLease.client. */
  readonly client: string;
}

/** The two clocks: leases run by the first, the store keeps the second. */
export interface Clocks {
  bootTime(): Micros;
  wallClock(): Micros;
}

/** The addresses of one pool, and their leases, in the store by blocks of 64. */
export class Pool {
  readonly from: number;
  readonly size: number;
  private readonly reservations: readonly Reservation[];
  private readonly clocks: Clocks;
  private readonly store: Store;
  private readonly key: string;
  private readonly byAddress = new Map<number, ServerLease>();
  private readonly byClient = new Map<string, ServerLease>();

  /** `key` names the pool in the store. */
  constructor(from: number, to: number, reservations: readonly Reservation[], clocks: Clocks, store: Store, key: string) {
    this.from = from;
    this.size = to - from + 1;
    this.reservations = reservations;
    this.clocks = clocks;
    this.store = store;
    this.key = key;
    this.load();
  }

  /** The lease of a client, also one that is over; null when it never had one, or another has the address now. */
  of(client: string): ServerLease | null {
    return this.byClient.get(client) ?? null;
  }

  /** Those that are neither over nor declined. */
  list(): ServerLease[] {
    return [...this.byAddress.values()].filter((lease) => lease.state === 'bound' && !this.over(lease));
  }

  /** Addresses that nobody has. */
  get free(): number {
    let taken = 0;
    for (const lease of this.byAddress.values()) if (!this.over(lease) && this.holds(lease.address)) taken++;
    return this.size - taken;
  }

  /**
   * The address a client would get: its reservation, the one it has or had, the one it wishes for, else one that was never
   * given, else the one free for longest. RFC 2131 §4.3.1. Null: none is free.
   */
  choose(client: string, wish: number): number | null {
    const reserved = this.reservations.find((r) => r.client === client);
    if (reserved !== undefined && this.isFree(reserved.address, client)) return reserved.address;
    const had = this.byClient.get(client);
    if (had !== undefined && this.isFree(had.address, client)) return had.address;
    if (this.holds(wish) && this.isFree(wish, client)) return wish;
    let oldest: ServerLease | null = null;
    for (let i = 0; i < this.size; i++) {
      const address = this.from + i;
      const lease = this.byAddress.get(address);
      if (!this.isFree(address, client)) continue;
      if (lease === undefined) return address;
      if (oldest === null || lease.until < oldest.until) oldest = lease;
    }
    return oldest?.address ?? null;
  }

  /** May this client have the address: within the pool or reserved for it, and nobody else's? */
  allows(client: string, address: number): boolean {
    const reserved = this.reservations.find((r) => r.client === client);
    return (this.holds(address) || reserved?.address === address) && this.isFree(address, client);
  }

  /** Holds an address for a client that was offered it. */
  offer(client: string, mac: string, address: number): void {
    const bound = this.byClient.get(client);
    if (bound?.address === address && bound.state === 'bound' && !this.over(bound)) return;
    this.put({ address, client, mac, hostname: '', state: 'offered', until: this.clocks.bootTime() + OFFER_HOLD });
  }

  bind(client: string, mac: string, hostname: string, address: number, span: Micros): void {
    this.put({ address, client, mac, hostname: hostname.slice(0, HOSTNAME_MAX), state: 'bound', until: this.clocks.bootTime() + span });
    this.save(address);
  }

  /** The client gives it back; it stays its own as long as nobody else needs it. */
  release(client: string, address: number): void {
    const lease = this.byClient.get(client);
    if (lease?.address !== address || this.over(lease)) return;
    this.put({ ...lease, until: this.clocks.bootTime() });
    this.save(address);
  }

  /** Somebody uses the address without a lease. */
  decline(address: number): void {
    this.put({ address, client: '', mac: '', hostname: '', state: 'declined', until: this.clocks.bootTime() + DECLINE_HOLD });
  }

  holds(address: number): boolean {
    return address >= this.from && address < this.from + this.size;
  }

  private isFree(address: number, client: string): boolean {
    const lease = this.byAddress.get(address);
    if (this.reservations.some((r) => r.address === address && r.client !== client)) return false;
    return lease === undefined || this.over(lease) || (lease.client === client && lease.state !== 'declined');
  }

  private over(lease: ServerLease): boolean {
    return lease.until <= this.clocks.bootTime();
  }

  private put(lease: ServerLease): void {
    const before = this.byClient.get(lease.client);
    if (before !== undefined && before.address !== lease.address) this.byAddress.delete(before.address);
    const other = this.byAddress.get(lease.address);
    if (other !== undefined) this.byClient.delete(other.client);
    this.byAddress.set(lease.address, lease);
    if (lease.client !== '') this.byClient.set(lease.client, lease);
  }

  private block(address: number): number {
    return Math.floor((address >>> 0) / BLOCK);
  }

  private save(address: number): void {
    const block = this.block(address);
    const shift = this.clocks.wallClock() - this.clocks.bootTime();
    const leases: object[] = [];
    for (const lease of this.byAddress.values()) {
      if (lease.state !== 'bound' || this.block(lease.address) !== block) continue;
      leases.push({ ...lease, until: lease.until === Number.POSITIVE_INFINITY ? null : lease.until + shift });
    }
    this.store.set(`${this.key}-${block.toString(16)}`, new TextEncoder().encode(JSON.stringify(leases)));
  }

  private load(): void {
    const shift = this.clocks.wallClock() - this.clocks.bootTime();
    const places = [this.from, this.from + this.size - 1, ...this.reservations.map((r) => r.address)].map((address) => this.block(address));
    const [first = 0, last = 0] = places;
    const blocks = new Set([...Array.from({ length: last - first + 1 }, (_, i) => first + i), ...places]);
    for (const block of blocks) {
      for (const kept of readLeases(this.store.get(`${this.key}-${block.toString(16)}`))) {
        const ours = this.holds(kept.address) || this.reservations.some((r) => r.address === kept.address);
        if (ours) this.put({ ...kept, until: kept.until - shift });
      }
    }
  }
}

/** What `save` wrote; what is not of that shape counts for nothing. */
function readLeases(octets: Uint8Array | null): ServerLease[] {
  if (octets === null) return [];
  try {
    const read = JSON.parse(new TextDecoder().decode(octets)) as unknown;
    if (!Array.isArray(read)) return [];
    return read.flatMap((given: Partial<Record<keyof ServerLease, unknown>> | null) => {
      const { address, client, mac, hostname, until } = given ?? {};
      if (typeof address !== 'number' || typeof client !== 'string' || typeof mac !== 'string' || typeof hostname !== 'string') return [];
      return [{ address, client, mac, hostname, state: 'bound' as const, until: typeof until === 'number' ? until : Number.POSITIVE_INFINITY }];
    });
  } catch {
    return [];
  }
}
