import { assert } from './assert.js';
import { type Micros, NEVER } from './time.js';

/** Width of a tick: 1,024 µs, so that a deadline becomes a tick by one division. Deadlines themselves stay exact. */
const TICK = 1_024;
const LEVELS = 5;
const SLOTS = 64;
const DETACHED = LEVELS * SLOTS;
const UNARMED = -1;

/** A timer is data: what kind of deadline, of whom. Embedded in its owner; the wheel links it while armed. */
export class Timer {
  /** One of TimerKind: what `expire` switches on. */
  readonly kind: number;
  readonly owner: unknown;
  /** Deadline, exact. Meaningful while armed. */
  at: Micros = NEVER;
  bucket = UNARMED;
  next: Timer | null = null;
  previous: Timer | null = null;

  constructor(kind: number, owner: unknown) {
    this.kind = kind;
    this.owner = owner;
  }

  get armed(): boolean {
    return this.bucket !== UNARMED;
  }
}

/**
 * A hierarchical timing wheel (Varghese, Lauck): arm and cancel in constant time, 5 levels of 64 slots of 1,024 µs,
 * 12.7 days; longer deadlines wait in the last level and are placed again. A timer never fires early, and fires
 * in the `advance` whose time reaches it. Ticks are doubles and do not wrap, so that a jump of months is one advance like others;
 * slots are bits of the low 32.
 */
export class TimerWheel {
  private tick: number;
  /** Tick the running advance ends at: what is armed for the past meanwhile goes there, not into a slot already left. */
  private target: number;
  private readonly heads: (Timer | null)[] = new Array<Timer | null>(LEVELS * SLOTS + 1).fill(null);
  /** Per level two words: which slots are not empty. */
  private readonly used = new Int32Array(LEVELS * 2);
  /** Per slot a lower bound of its deadlines: exact unless the earliest was cancelled. */
  private readonly earliest = new Float64Array(LEVELS * SLOTS);
  /** Timers armed now. */
  armed = 0;

  constructor(now: Micros) {
    this.tick = this.target = tickOf(now);
  }

  /** Arms `timer` for `at`, moving it when it is armed already. A deadline in the past fires in the next advance. */
  arm(timer: Timer, at: Micros): void {
    if (timer.bucket !== UNARMED) {
      if (timer.at === at) return;
      this.unlink(timer);
    } else {
      this.armed++;
    }
    timer.at = at;
    this.place(timer);
  }

  cancel(timer: Timer): void {
    if (timer.bucket === UNARMED) return;
    this.unlink(timer);
    timer.bucket = UNARMED;
    timer.at = NEVER;
    this.armed--;
  }

  /** Fires all timers due at `now`. One that is armed again and again for a time already past fires at most twice, then in the next advance. */
  advance(now: Micros, sink: { expire(timer: Timer): void }): void {
    const target = tickOf(now);
    this.target = target;
    if (this.armed === 0) {
      this.tick = target;
      return;
    }
    for (;;) {
      this.fire(this.tick & 63, now, sink);
      if (target <= this.tick) return;
      this.tick = this.nextTick(target);
      this.cascade();
    }
  }

  /** The earliest deadline, or NEVER. After a cancel it may be early: an advance then fires nothing and corrects it. */
  next(): Micros {
    if (this.armed === 0) return NEVER;
    let least = NEVER;
    for (let level = 0; level < LEVELS - 1; level++) {
      // The current slot of a level above the first was emptied when its turn began: what it holds is a whole turn away.
      const distance = level === 0 ? this.distance(0) : this.distanceAfter(level);
      if (distance < 0) continue;
      const slot = ((this.tick >> (6 * level)) + distance) & 63;
      const at = this.earliest[level * SLOTS + slot] as number;
      if (at < least) least = at;
    }
    return this.earliestFar(least);
  }

  /** The last level also holds what is farther than it reaches, so its nearest slot need not be its earliest. */
  private earliestFar(least: Micros): Micros {
    for (let half = 0; half < 2; half++) {
      for (let bits = this.used[2 * (LEVELS - 1) + half] as number; bits !== 0; bits &= bits - 1) {
        const at = this.earliest[(LEVELS - 1) * SLOTS + 32 * half + 31 - Math.clz32(bits & -bits)] as number;
        if (at < least) least = at;
      }
    }
    return least;
  }

  private place(timer: Timer): void {
    let ticks = tickOf(timer.at) - this.tick;
    if (ticks <= 0) ticks = Math.max(0, this.target - this.tick);
    // Farther than the wheel reaches (NEVER too): half a turn of the last level ahead, from where it is placed again.
    if (ticks >= 1 << 29) ticks = (1 << 29) - 1;
    let level = 0;
    while (level < LEVELS - 1 && ticks >= 1 << (6 * (level + 1))) level++;
    const slot = ((this.tick + ticks) >> (6 * level)) & 63;
    this.link(timer, level * SLOTS + slot);
  }

  private link(timer: Timer, bucket: number): void {
    const head = this.heads[bucket] as Timer | null;
    timer.bucket = bucket;
    timer.previous = null;
    timer.next = head;
    if (head !== null) head.previous = timer;
    this.heads[bucket] = timer;
    if (bucket === DETACHED) return;
    if (head === null || timer.at < (this.earliest[bucket] as number)) this.earliest[bucket] = timer.at;
    this.used[bucket >> 5] = (this.used[bucket >> 5] as number) | (1 << (bucket & 31));
  }

  private unlink(timer: Timer): void {
    const { bucket, next, previous } = timer;
    if (next !== null) next.previous = previous;
    if (previous !== null) previous.next = next;
    else {
      this.heads[bucket] = next;
      if (next === null && bucket !== DETACHED) this.used[bucket >> 5] = (this.used[bucket >> 5] as number) & ~(1 << (bucket & 31));
    }
    timer.next = timer.previous = null;
  }

  /** Takes all timers of a bucket into the detached list, which cancel can still reach. */
  private detach(bucket: number): void {
    assert(this.heads[DETACHED] === null, 'one bucket is worked on at a time');
    this.heads[DETACHED] = this.heads[bucket] as Timer | null;
    this.heads[bucket] = null;
    this.used[bucket >> 5] = (this.used[bucket >> 5] as number) & ~(1 << (bucket & 31));
    for (let t = this.heads[DETACHED]; t !== null; t = t.next) t.bucket = DETACHED;
  }

  private fire(bucket: number, now: Micros, sink: { expire(timer: Timer): void }): void {
    if (this.heads[bucket] === null || (this.earliest[bucket] as number) > now) return;
    this.detach(bucket);
    for (let t = this.heads[DETACHED] as Timer | null; t !== null; t = this.heads[DETACHED] as Timer | null) {
      this.unlink(t);
      if (t.at > now) {
        this.place(t);
        continue;
      }
      t.bucket = UNARMED;
      this.armed--;
      sink.expire(t);
    }
  }

  private cascade(): void {
    for (let level = 1; level < LEVELS; level++) {
      if ((this.tick & ((1 << (6 * level)) - 1)) !== 0) return;
      const bucket = level * SLOTS + ((this.tick >> (6 * level)) & 63);
      if (this.heads[bucket] === null) continue;
      this.detach(bucket);
      for (let t = this.heads[DETACHED] as Timer | null; t !== null; t = this.heads[DETACHED] as Timer | null) {
        this.unlink(t);
        this.place(t);
      }
    }
  }

  /** The next tick at which a slot has to be fired or cascaded, at most `target`. */
  private nextTick(target: number): number {
    let least = target - this.tick;
    for (let level = 0; level < LEVELS; level++) {
      const shift = 6 * level;
      const distance = this.distanceAfter(level);
      if (distance < 0) continue;
      const ticks = ((((this.tick >> shift) + distance) << shift) - this.tick) | 0;
      if (ticks > 0 && ticks < least) least = ticks;
    }
    return this.tick + least;
  }

  /** Slots from the current one of `level` to the first that is not empty, [0, 63]; −1 when all are. */
  private distance(level: number): number {
    return firstFrom(this.used[2 * level] as number, this.used[2 * level + 1] as number, (this.tick >> (6 * level)) & 63);
  }

  /** The same, but from the slot after the current one: [1, 64]. */
  private distanceAfter(level: number): number {
    const d = firstFrom(this.used[2 * level] as number, this.used[2 * level + 1] as number, ((this.tick >> (6 * level)) + 1) & 63);
    return d < 0 ? -1 : d + 1;
  }
}

const tickOf = (at: Micros): number => Math.floor(at / TICK);

/** Distance from bit `from` to the first set bit of the 64 in (low, high), going round. */
function firstFrom(low: number, high: number, from: number): number {
  if ((low | high) === 0) return -1;
  for (let i = 0; i < 3; i++) {
    const position = i === 0 ? from : ((from & 32) + 32 * i) & 63;
    const word = position & 32 ? high : low;
    const rest = i === 0 ? word & (-1 << (from & 31)) : word;
    if (rest !== 0) {
      const bit = (position & 32) + 31 - Math.clz32(rest & -rest);
      return (bit - from) & 63;
    }
  }
  return -1;
}
