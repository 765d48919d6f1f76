import { Address, formatAddress, parseAddress, samePrefix } from '../../base/address.js';
import { halfSipHash } from '../../base/siphash.js';
import { type Micros, seconds } from '../../base/time.js';
import type { Stack } from '../../net/stack.js';
import type { Reservation } from './reservations.js';

/** Leases of one server. At the bound a new client hears that there are none. */
const LEASES_MAX = 4_096;
/** Addresses tried for one client: the pool is as good as full then. */
const PROBES_MAX = 256;
/** How long an offer is kept for the one it was made to. */
const OFFER_HOLD = seconds(30);
/** The store takes 64 KB; leases beyond are forgotten at a restart, and their clients ask anew. */
const STORED_MAX = 60_000;

/** A range of equal leases: `count` of them from `first` on. */
export interface PoolSpec {
  readonly delegation: boolean;
  readonly first: Address;
  readonly length: number;
  readonly count: number;
}

/** One lease. `until` by the wall clock: leases outlive a restart. */
export interface Binding {
  readonly client: string;
  readonly iaid: number;
  readonly delegation: boolean;
  readonly address: Address;
  readonly length: number;
  until: Micros;
  /** Offered only. */
  tentative: boolean;
  /** Where a delegated prefix leads. */
  via: Address | null;
}

/** No secret: a client gets the same lease from the next server of this host. */
const HASH_KEY: Int32Array = Int32Array.of(0x6c656173, 0x6573);

/** The client of an address that nobody may have for now. */
const DECLINED = '-';

/** The leases of one server, in memory and in the host's store. */
export class Leases {
  private readonly core: Stack;
  private readonly key: string;
  private readonly pools: readonly PoolSpec[];
  private readonly reservations: readonly Reservation[];
  private readonly byAddress = new Map<string, Binding>();
  private readonly byClient = new Map<string, Binding>();

  constructor(core: Stack, key: string, pools: readonly PoolSpec[], reservations: readonly Reservation[] = []) {
    this.core = core;
    this.key = key;
    this.pools = pools;
    this.reservations = reservations;
    this.load();
  }

  /** Committed ones. */
  *[Symbol.iterator](): Generator<Binding> {
    for (const binding of this.byAddress.values()) if (!binding.tentative && binding.client !== DECLINED) yield binding;
  }

  find(client: string, { iaid, delegation }: { readonly iaid: number; readonly delegation: boolean }): Binding | null {
    return this.byClient.get(clientKey(client, iaid, delegation)) ?? null;
  }

  /** Is an address one that this server gives? */
  holds(address: Address): boolean {
    return (
      this.pools.some((p) => !p.delegation && indexOf(p, address) !== null) ||
      this.reservations.some((r) => !r.delegation && r.address.equals(address))
    );
  }

  /** What is kept for the client, until one of its associations has it. */
  private reserved(client: string, delegation: boolean): Reservation | null {
    return this.reservations.find((r) => r.client === client && r.delegation === delegation && !this.byAddress.has(formatAddress(r.address))) ?? null;
  }

  /** Is it, or a part of it, kept for somebody else? */
  private isReserved(address: Address, length: number, client: string): boolean {
    return this.reservations.some((r) => r.client !== client && samePrefix(r.address, address, Math.min(r.length, length)));
  }

  /** A free lease: the one reserved, the one wished for, else one chosen by the client's name, so that it gets the same again. Null when there is none. */
  offer(client: string, ia: { readonly iaid: number; readonly delegation: boolean }, wish: Address | null, commit: boolean): Binding | null {
    const reserved = this.reserved(client, ia.delegation);
    if (reserved !== null) return this.make(client, ia.iaid, reserved, commit);
    const pool = this.pools.find((p) => p.delegation === ia.delegation);
    if (pool === undefined || this.byAddress.size >= LEASES_MAX) return null;
    const wished = wish === null ? null : indexOf(pool, wish);
    const start = wished ?? halfSipHash(HASH_KEY, wordsOf(client, ia.iaid), 16) >>> 0;
    for (let i = 0; i < Math.min(pool.count, PROBES_MAX); i++) {
      const address = nth(pool, (start + i) % pool.count);
      if (this.byAddress.has(formatAddress(address)) || this.isOurs(address) || this.isReserved(address, pool.length, client)) continue;
      return this.make(client, ia.iaid, { delegation: ia.delegation, address, length: pool.length }, commit);
    }
    return null;
  }

  private make(client: string, iaid: number, { delegation, address, length }: Omit<Reservation, 'client'>, commit: boolean): Binding {
    const until = this.core.hyper.wallClock() + OFFER_HOLD;
    const binding: Binding = { client, iaid, delegation, address, length, until, tentative: !commit, via: null };
    this.add(binding);
    return binding;
  }

  private isOurs(address: Address): boolean {
    return this.core.ip.locals.find(address, 0, 0) !== null;
  }

  private add(binding: Binding): void {
    this.byAddress.set(formatAddress(binding.address), binding);
    this.byClient.set(clientKey(binding.client, binding.iaid, binding.delegation), binding);
  }

  commit(binding: Binding, until: Micros): void {
    binding.tentative = false;
    binding.until = until;
    this.save();
  }

  remove(binding: Binding): void {
    this.byAddress.delete(formatAddress(binding.address));
    this.byClient.delete(clientKey(binding.client, binding.iaid, binding.delegation));
    this.save();
  }

  /** Nobody is given the address until then. */
  decline(binding: Binding, until: Micros): void {
    this.remove(binding);
    this.byAddress.set(formatAddress(binding.address), { ...binding, client: DECLINED, until, tentative: true });
  }

  /** Forgets those whose time is over, and answers them. */
  expire(now: Micros): Binding[] {
    const gone = [...this.byAddress.values()].filter((b) => b.until <= now);
    for (const binding of gone) this.remove(binding);
    return gone;
  }

  nextEnd(): Micros {
    let next = Number.POSITIVE_INFINITY;
    for (const { until } of this.byAddress.values()) next = Math.min(next, until);
    return next;
  }

  private save(): void {
    let text = '';
    for (const { client, iaid, delegation, address, length, until, via } of this) {
      const line = `${JSON.stringify([client, iaid, delegation, formatAddress(address), length, until, via === null ? null : formatAddress(via)])}\n`;
      if (text.length + line.length > STORED_MAX) break;
      text += line;
    }
    this.core.hyper.store.set(this.key, new TextEncoder().encode(text));
  }

  /** What does not read as a lease of these pools is left out. */
  private load(): void {
    const stored = this.core.hyper.store.get(this.key);
    if (stored === null) return;
    for (const line of new TextDecoder().decode(stored).split('\n')) {
      const binding = bindingOf(line);
      if (binding !== null && this.byAddress.size < LEASES_MAX && this.stands(binding)) this.add(binding);
    }
  }

  /** May a lease of before go on: what is reserved now is its client's, and that client has no other. */
  private stands({ client, delegation, address, length }: Binding): boolean {
    const same = (r: PoolSpec | Reservation): boolean => r.delegation === delegation && r.length === length;
    const reserved = this.reservations.filter((r) => r.client === client && r.delegation === delegation);
    if (reserved.length > 0) return reserved.some((r) => same(r) && r.address.equals(address));
    return !this.isReserved(address, length, client) && this.pools.some((p) => same(p) && indexOf(p, address) !== null);
  }
}

function bindingOf(line: string): Binding | null {
  let row: unknown;
  try {
    row = JSON.parse(line);
  } catch {
    return null;
  }
  if (!Array.isArray(row)) return null;
  const [client, iaid, delegation, text, length, until, via] = row as unknown[];
  const address = typeof text === 'string' ? parseAddress(text) : null;
  if (typeof client !== 'string' || typeof iaid !== 'number' || typeof delegation !== 'boolean' || address === null) return null;
  if (typeof length !== 'number' || typeof until !== 'number') return null;
  return { client, iaid, delegation, address, length, until, tentative: false, via: typeof via === 'string' ? parseAddress(via) : null };
}

const clientKey = (client: string, iaid: number, delegation: boolean): string => `${client} ${iaid} ${delegation ? 'pd' : 'na'}`;

/** The lease at an index of a pool. Indices are below 2^32; the pool's step is its lease's size. */
function nth({ first, length, delegation }: PoolSpec, index: number): Address {
  if (!delegation) return new Address(first.w0, first.w1, first.w2, first.w3 + index);
  const step = BigInt(index) << BigInt(64 - length);
  const high = ((BigInt(first.w0 >>> 0) << 32n) | BigInt(first.w1 >>> 0)) + step;
  return new Address(Number(high >> 32n), Number(high & 0xffff_ffffn), 0, 0);
}

/** The index of an address in a pool, or null. */
function indexOf(pool: PoolSpec, address: Address): number | null {
  const { first, length, delegation, count } = pool;
  if (!delegation) {
    if (address.w0 !== first.w0 || address.w1 !== first.w1 || address.w2 !== first.w2) return null;
    const index = (address.w3 >>> 0) - (first.w3 >>> 0);
    return index >= 0 && index < count ? index : null;
  }
  const high = (a: Address): bigint => (BigInt(a.w0 >>> 0) << 32n) | BigInt(a.w1 >>> 0);
  const offset = high(address) - high(first);
  const index = Number(offset >> BigInt(64 - length));
  return offset >= 0n && index < count && nth(pool, index).equals(address) ? index : null;
}

/** A client's name as 16 words, folded. */
function wordsOf(client: string, iaid: number): Int32Array {
  const words = new Int32Array(16);
  words[0] = iaid;
  for (let i = 0; i < client.length; i++) words[1 + (i % 15)] = Math.imul((words[1 + (i % 15)] as number) ^ client.charCodeAt(i), 0x01000193);
  return words;
}
