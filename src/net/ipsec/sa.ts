import { Address } from '../../base/address.js';
import { assert } from '../../base/assert.js';
import type { Micros } from '../../base/time.js';
import { NEVER } from '../../base/time.js';
import { Timer } from '../../base/timer-wheel.js';
import type { Transform } from '../../hyper/crypto.js';
import { Protocol } from '../../wire/protocol.js';
import type { Interface } from '../interface.js';
import type { Path } from '../ip/path.js';
import { TimerKind } from '../timer-kind.js';
import { icvLength, type Suite } from './algorithms.js';
import { Replay } from './replay.js';
import type { Selector } from './selector.js';

/** RFC 4301 §4.1; BEET carries a fixed pair of inner addresses in no header (draft-nikander-esp-beet-mode). */
export type Mode = 'tunnel' | 'transport' | 'beet';

/** Bounds of an SA's life. At a soft one its owner is told, at a hard one it dies. RFC 4301 §4.4.2.1. */
export interface Lifetime {
  readonly softOctets?: number;
  readonly hardOctets?: number;
  readonly softPackets?: number;
  readonly hardPackets?: number;
  /** Seconds of boot time, which goes on while the machine sleeps. */
  readonly softSeconds?: number;
  readonly hardSeconds?: number;
}

/** One direction of a protected association. RFC 4301 §4.4.2. */
export interface SaOptions {
  /** Of a manual one. */
  readonly name?: string;
  readonly direction: 'in' | 'out';
  /** In [1, 2^32); 1 to 255 are reserved by IANA (RFC 4303 §2.1) and refused. */
  readonly spi: number;
  readonly protocol?: 'esp' | 'ah';
  readonly mode: Mode;
  /** Outer addresses. */
  readonly source: Address;
  readonly destination: Address;
  readonly suite: Suite;
  /** As keyMaterial says: cipher key, salt, integrity key. Copied. */
  readonly keys: Uint8Array;
  /** Extended sequence numbers. Default false, as manual SAs have it; IKE agrees on them. */
  readonly esn?: boolean;
  /** Numbers in the inbound anti-replay window. Default 64; 0 turns it off (never with ESN). */
  readonly replayWindow?: number;
  /** Inner traffic it may carry; null: any. */
  readonly selectors?: readonly Selector[] | null;
  readonly lifetime?: Lifetime;
  /** ESP in UDP (RFC 3948): our port and the peer's. */
  readonly encapsulation?: { readonly localPort: number; readonly remotePort: number } | null;
  /** Of an outer IPv4 header: copy the inner DF, set, or clear it (RFC 4301 §8.1). Default copy. */
  readonly df?: 'copy' | 'set' | 'clear';
  /** Copy the inner DSCP out. Default true; an observer may be told less with false (RFC 4301 §5.1.2). */
  readonly copyDscp?: boolean;
  /** Inner packets are padded to this many octets in tunnel mode (RFC 4303 §2.7). Default 0: no more than needed. */
  readonly tfc?: number;
  /** The pair of inner addresses in BEET mode: what the far end's stack sees. */
  readonly inner?: { readonly source: Address; readonly destination: Address };
  readonly vrf?: number;
  /** The interface it belongs to, when it is route-based: its packets come in there. */
  readonly iface?: Interface | null;
}

/** What happens to an SA: IKE's side of it. */
export interface SaEvents {
  /** A soft lifetime has ended, or sequence numbers run short: rekey. Once. */
  rekey(sa: Sa): void;
  /** It is dead: a hard lifetime or its last sequence number. */
  expired(sa: Sa): void;
}

/** RFC 4303 §3.3.3: 2^32 − 1 numbers without ESN. Of the 64 bits with, 53 are used: see Replay. */
const SEQUENCE_MAX = 2 ** 32 - 1;
const SEQUENCE_MAX_ESN = Number.MAX_SAFE_INTEGER;
/** Sequence numbers left when rekeying begins: a quarter of a second at 4 M packets/s. */
const SEQUENCE_RESERVE = 2 ** 20;

/** A Security Association. */
export class Sa {
  readonly name: string;
  readonly inbound: boolean;
  readonly spi: number;
  /** IP protocol: ESP or AH. */
  readonly protocol: number;
  readonly mode: Mode;
  /** Outer addresses; MOBIKE and a NAT's new mapping change them. */
  readonly source: Address;
  readonly destination: Address;
  readonly suite: Suite;
  readonly transform: Transform;
  /** Salt of the nonce, in the octets the suite says. */
  readonly salt: Uint8Array;
  readonly icvLength: number;
  readonly esn: boolean;
  readonly replay: Replay;
  readonly selectors: readonly Selector[] | null;
  /** 0 without ESP in UDP. */
  localPort: number;
  remotePort: number;
  readonly df: 'copy' | 'set' | 'clear';
  readonly copyDscp: boolean;
  readonly tfc: number;
  readonly innerSource: Address;
  readonly innerDestination: Address;
  readonly vrf: number;
  readonly iface: Interface | null;
  /** Dead ones are in no table any more; packets of theirs still in a stage are dropped. */
  dead = false;
  /** A hard bound is reached: it dies as soon as no stage is at work. */
  ending = false;
  /** Last sequence number sent. */
  sequence = 0;
  packets = 0;
  octets = 0;
  badIcv = 0;
  replayed = 0;
  /** Boot time of the last packet that was let through (inbound) or sent. */
  usedAt: Micros = Number.NEGATIVE_INFINITY;
  readonly createdAt: Micros;
  events: SaEvents | null = null;
  /** The other direction: set by who makes both. */
  pair: Sa | null = null;
  /** Where its packets go. */
  path: Path | null = null;
  readonly timer = new Timer(TimerKind.SaLifetime, this);
  /** Told of the timer: the component. */
  owner: { expire(timer: Timer): void } | null = null;
  private told = false;
  private readonly lifetime: Lifetime;
  private readonly sequenceMax: number;

  /** `transform` becomes the SA's. */
  constructor(options: SaOptions, transform: Transform, now: Micros) {
    const { suite } = options;
    this.name = options.name ?? '';
    this.inbound = options.direction === 'in';
    this.spi = options.spi;
    this.protocol = options.protocol === 'ah' ? Protocol.Ah : Protocol.Esp;
    this.mode = options.mode;
    this.source = options.source.clone();
    this.destination = options.destination.clone();
    this.suite = suite;
    this.transform = transform;
    const keyLength = suite.cipher?.keyLength ?? 0;
    this.salt = options.keys.slice(keyLength, keyLength + (suite.cipher?.saltLength ?? 0));
    this.icvLength = icvLength(suite);
    this.esn = options.esn ?? false;
    this.replay = new Replay(this.inbound ? (options.replayWindow ?? 64) : 0);
    this.selectors = options.selectors ?? null;
    this.localPort = options.encapsulation?.localPort ?? 0;
    this.remotePort = options.encapsulation?.remotePort ?? 0;
    this.df = options.df ?? 'copy';
    this.copyDscp = options.copyDscp ?? true;
    this.tfc = options.tfc ?? 0;
    this.innerSource = options.inner?.source.clone() ?? new Address();
    this.innerDestination = options.inner?.destination.clone() ?? new Address();
    this.vrf = options.vrf ?? 0;
    this.iface = options.iface ?? null;
    this.lifetime = options.lifetime ?? {};
    this.sequenceMax = this.esn ? SEQUENCE_MAX_ESN : SEQUENCE_MAX;
    this.createdAt = now;
  }

  expire(timer: Timer): void {
    this.owner?.expire(timer);
  }

  /** No sequence number is left. Never does one come twice under the same key (RFC 4303 §3.3.3). */
  get exhausted(): boolean {
    return this.sequence >= this.sequenceMax;
  }

  /** The next sequence number; there is one. */
  next(): number {
    assert(this.sequence < this.sequenceMax, 'a sequence number, and with it an IV, is used once');
    return ++this.sequence;
  }

  /** Counts a packet. False when that ends the SA: the packet still goes. */
  count(octets: number, now: Micros): boolean {
    this.packets++;
    this.octets += octets;
    this.usedAt = now;
    const { softOctets = NEVER, hardOctets = NEVER, softPackets = NEVER, hardPackets = NEVER } = this.lifetime;
    if (this.octets >= hardOctets || this.packets >= hardPackets) return false;
    if (this.octets >= softOctets || this.packets >= softPackets || this.sequence >= this.sequenceMax - SEQUENCE_RESERVE) this.tell();
    return true;
  }

  /** Boot time at which the next of its time bounds is reached; NEVER without. */
  deadline(): Micros {
    const { softSeconds, hardSeconds } = this.lifetime;
    const hard = this.createdAt + (hardSeconds ?? NEVER) * 1e6;
    return this.told || softSeconds === undefined ? hard : Math.min(hard, this.createdAt + softSeconds * 1e6);
  }

  /** Its hard lifetime in seconds has ended at boot time `now`. */
  over(now: Micros): boolean {
    return now >= this.createdAt + (this.lifetime.hardSeconds ?? NEVER) * 1e6;
  }

  /** Tells the owner to rekey; once. */
  tell(): void {
    if (this.told) return;
    this.told = true;
    this.events?.rekey(this);
  }

  /** Zeroes what holds keys. */
  close(): void {
    this.transform.close();
    this.salt.fill(0);
  }
}
