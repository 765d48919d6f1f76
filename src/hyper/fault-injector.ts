/**
 * A device whose link is bad: a wrapper that loses, delays, reorders, duplicates and corrupts what passes, per direction
 * and from a seed. It works on plain frames, as a wire does: big ones are split first. One seed gives the same faults
 * for the same frames at the same times.
 */
import { assert } from '../base/assert.js';
import { ConfigError } from '../base/errors.js';
import { type Packet, PacketPool } from '../base/packet.js';
import { Prng } from '../base/prng.js';
import type { Slot } from '../base/slab.js';
import { type Micros, millis } from '../base/time.js';
import { AlarmQueue } from './alarm-queue.js';
import { type Device, type DeviceEvents, Offload } from './hypercalls.js';
import { type PlainFrame, PlainFrames } from './plain-frames.js';
import type { Alarm, Timing } from './timing.js';

/** What happens to frames of one direction. Probabilities are per plain frame, in [0, 1]; all default to a perfect link. */
export interface Faults {
  /** Lost independently of each other. */
  loss?: number;
  /** Gilbert-Elliott: probabilities to enter and to leave the bad state, and of loss in it (default 1). */
  burst?: { readonly enter: number; readonly leave: number; readonly loss?: number } | null;
  /** One-way delay, µs. */
  delay?: Micros;
  /** Uniform addition of [0, jitter) µs. Order is kept: what comes later leaves later. */
  jitter?: Micros;
  /** Held back by `reorderBy` µs, so that later frames overtake. */
  reorder?: number;
  /** Default 3 ms. */
  reorderBy?: Micros;
  duplicate?: number;
  /** One bit flipped, anywhere in the frame. */
  corrupt?: number;
  /** Longer IP packets vanish without a word: a path MTU black hole. 0 for none. */
  mtu?: number;
  /** Bit/s; 0 for no limit. Frames wait in a queue of `queueFrames` and are lost at its end. */
  rate?: number;
  /** Frames waiting for the rate limit. Default 1,000. */
  queueFrames?: number;
  /** Nothing passes. */
  partitioned?: boolean;
}

export interface FaultOptions {
  /** Default 1. */
  readonly seed?: number;
  /** From the stack to the wire. */
  readonly tx?: Faults;
  /** From the wire to the stack. */
  readonly rx?: Faults;
}

/** Frames under way in one direction, those that only wait for their delay included. */
const HELD_MAX = 16_384;
const LINK_OVERHEAD = { ethernet: 14, ip: 0 } as const;

/** The wrapper. Its statistics count per direction: lost, duplicated and so on. */
export class FaultInjector implements Device {
  readonly kind: string;
  readonly medium: 'ethernet' | 'ip';
  readonly mac: Uint8Array;
  readonly offloads = Offload.TxChecksum | Offload.Tso4 | Offload.Tso6 | Offload.Uso;
  private readonly inner: Device;
  private readonly tx: Lane;
  private readonly rx: Lane;
  /** Descriptors of what passes through here, towards the inner device and out of it. */
  private readonly pool = new PacketPool(HELD_MAX + 1_024);
  private readonly into: Packet[] = [];
  /** Frames the inner device has not taken yet. */
  private readonly sending: Packet[] = [];
  /** Frames the stack has not taken yet: [taken, length). */
  private ready: PlainFrame[] = [];
  private taken = 0;
  private pulling = false;
  private more = false;
  private events: DeviceEvents | null = null;

  constructor(inner: Device, timing: Timing, options: FaultOptions = {}) {
    this.inner = inner;
    this.kind = inner.kind;
    this.medium = inner.medium;
    this.mac = inner.mac;
    const seed = options.seed ?? 1;
    this.tx = new Lane(
      inner.medium,
      timing,
      seed,
      options.tx ?? {},
      (frame) => this.send(frame),
      () => this.flush(),
    );
    this.rx = new Lane(
      inner.medium,
      timing,
      ~seed,
      options.rx ?? {},
      (frame) => void this.ready.push(frame),
      () => this.announce(),
    );
  }

  get mtu(): number {
    return this.inner.mtu;
  }

  get carrier(): boolean {
    return this.inner.carrier;
  }

  /** Changes faults while running; what is not named stays. */
  set(direction: 'tx' | 'rx' | 'both', changes: Faults): void {
    if (direction !== 'rx') this.tx.set(changes);
    if (direction !== 'tx') this.rx.set(changes);
  }

  start(events: DeviceEvents): void {
    this.events = events;
    this.inner.start({
      readable: () => this.pull(),
      writable: () => this.flush(),
      carrier: (up) => events.carrier(up),
      mtu: (octets) => events.mtu(octets),
      failed: (error) => events.failed(error),
    });
  }

  transmit(packets: Packet[], count: number): number {
    for (let i = 0; i < count; i++) {
      const packet = packets[i] as Packet;
      this.tx.enter(packet);
      packet.release();
    }
    this.flush();
    return count;
  }

  receive(pool: PacketPool, into: Packet[], max: number): number {
    let n = 0;
    while (n < max && this.taken < this.ready.length) {
      const frame = this.ready[this.taken] as PlainFrame;
      const packet = wrap(pool, frame);
      if (packet === null) break;
      this.taken++;
      into[n++] = packet;
    }
    if (this.taken === this.ready.length) {
      this.ready = [];
      this.taken = 0;
    } else if (n === max) {
      this.announce();
    }
    return n;
  }

  /** The lanes' counts, tx and rx before their names, and the inner device's own. */
  statistics(): Record<string, number> {
    const counts: Record<string, number> = { ...this.inner.statistics?.() };
    for (const [name, lane] of [
      ['tx', this.tx],
      ['rx', this.rx],
    ] as const) {
      for (const [key, value] of Object.entries(lane.counts)) counts[name + (key[0] as string).toUpperCase() + key.slice(1)] = value;
    }
    return counts;
  }

  close(): void {
    this.events = null;
    this.tx.close();
    this.rx.close();
    for (const packet of this.sending.splice(0)) packet.release();
    for (; this.taken < this.ready.length; this.taken++) (this.ready[this.taken] as PlainFrame).slot.release();
    this.inner.close();
  }

  private pull(): void {
    this.more = true;
    // A receive that leaves frames behind announces them from inside: the loop below goes on then, this call does not.
    if (this.pulling) return;
    this.pulling = true;
    const { into } = this;
    while (this.more) {
      this.more = false;
      const n = this.inner.receive(this.pool, into, 64);
      for (let i = 0; i < n; i++) {
        const packet = into[i] as Packet;
        this.rx.enter(packet);
        packet.release();
      }
    }
    this.pulling = false;
    this.announce();
  }

  private announce(): void {
    if (this.taken < this.ready.length) this.events?.readable();
  }

  private send(frame: PlainFrame): void {
    const packet = wrap(this.pool, frame);
    assert(packet !== null, 'the pool has a descriptor for every frame held');
    this.sending.push(packet);
  }

  private flush(): void {
    if (this.sending.length === 0) return;
    const taken = this.inner.transmit(this.sending, this.sending.length);
    this.sending.splice(0, taken);
  }
}

/** Takes the frame's slot over; null leaves it. */
function wrap(pool: PacketPool, frame: PlainFrame): Packet | null {
  const packet = pool.take(frame.slot);
  if (packet === null) return null;
  packet.head = frame.start;
  packet.tail = frame.start + frame.length;
  return packet;
}

/** One direction. */
class Lane {
  readonly counts = { passed: 0, lost: 0, duplicated: 0, corrupted: 0, reordered: 0, oversize: 0, queueFull: 0 };
  private readonly medium: 'ethernet' | 'ip';
  private readonly timing: Timing;
  private readonly prng: Prng;
  private readonly frames: PlainFrames;
  private readonly deliver: (frame: PlainFrame) => void;
  private readonly delivered: () => void;
  private readonly alarm: Alarm;
  private readonly waiting = new AlarmQueue();
  private faults: Faults = {};
  /** Gilbert-Elliott's state. */
  private bad = false;
  /** When the rate limiter is done with what it has. */
  private busyUntil: Micros = 0;
  /** When each frame of its queue, and the one being sent, will be done with: [left, length). */
  private departures: Micros[] = [];
  private left = 0;
  private lastDue: Micros = 0;
  private closed = false;

  /** `deliver` takes the frame; `delivered` comes after those that were due together. */
  constructor(medium: 'ethernet' | 'ip', timing: Timing, seed: number, faults: Faults, deliver: (frame: PlainFrame) => void, delivered: () => void) {
    this.medium = medium;
    this.timing = timing;
    this.prng = new Prng(seed);
    this.frames = new PlainFrames(medium, HELD_MAX);
    this.deliver = deliver;
    this.delivered = delivered;
    this.alarm = timing.alarm(() => this.onAlarm());
    this.set(faults);
  }

  set(changes: Faults): void {
    for (const key of ['loss', 'reorder', 'duplicate', 'corrupt'] as const) {
      const p = changes[key] ?? 0;
      if (!(p >= 0 && p <= 1)) throw new ConfigError(`${key} is a probability in [0, 1], not ${p}`);
    }
    this.faults = { ...this.faults, ...changes };
  }

  /** Copies what survives; the packet stays its holder's. */
  enter(packet: Packet): void {
    const count = this.frames.count(packet);
    if (count === 0) this.counts.lost++;
    for (let i = 0; i < count; i++) {
      if (this.loses()) {
        this.counts.lost++;
        continue;
      }
      this.admit(packet, i);
      if (this.chance(this.faults.duplicate)) {
        this.counts.duplicated++;
        this.admit(packet, i);
      }
    }
    this.arm();
  }

  close(): void {
    this.closed = true;
    this.alarm.cancel();
    // Each entry gives its frame back instead of delivering it.
    for (let entry = this.waiting.take(); entry !== undefined; entry = this.waiting.take()) entry.fire();
  }

  private chance(p: number | undefined): boolean {
    return p !== undefined && p > 0 && this.prng.float() < p;
  }

  private loses(): boolean {
    const { faults } = this;
    if (faults.partitioned === true) return true;
    const { burst } = faults;
    if (burst) {
      this.bad = this.bad ? !this.chance(burst.leave) : this.chance(burst.enter);
      if (this.bad && this.chance(burst.loss ?? 1)) return true;
    }
    return this.chance(faults.loss);
  }

  private admit(packet: Packet, index: number): void {
    const { faults, counts } = this;
    const now = this.timing.monotonic();
    const frame = this.frames.copy(packet, index);
    if (frame === null) {
      counts.queueFull++;
      return;
    }
    if (faults.mtu && frame.length - LINK_OVERHEAD[this.medium] > faults.mtu) {
      counts.oversize++;
      frame.slot.release();
      return;
    }
    let due = now;
    if (faults.rate) {
      if (this.queued(now) > (faults.queueFrames ?? 1_000)) {
        counts.queueFull++;
        frame.slot.release();
        return;
      }
      due = this.busyUntil = Math.max(now, this.busyUntil) + (frame.length * 8e6) / faults.rate;
      this.departures.push(due);
    }
    due += faults.delay ?? 0;
    if (faults.jitter) due += this.prng.float() * faults.jitter;
    if (this.chance(faults.corrupt)) this.corrupt(frame);
    if (this.chance(faults.reorder)) {
      counts.reordered++;
      due += faults.reorderBy ?? millis(3);
    } else {
      due = this.lastDue = Math.max(due, this.lastDue);
    }
    counts.passed++;
    if (due <= now && this.waiting.size === 0) this.deliver(frame);
    else this.waiting.alarm(() => this.end(frame)).set(due);
  }

  /** Frames in the rate limiter, the one being sent included. */
  private queued(now: Micros): number {
    const { departures } = this;
    while (this.left < departures.length && (departures[this.left] as Micros) <= now) this.left++;
    if (2 * this.left > departures.length) {
      departures.splice(0, this.left);
      this.left = 0;
    }
    return departures.length - this.left;
  }

  private corrupt(frame: PlainFrame): void {
    const bit = this.prng.below(frame.length * 8);
    const { bytes } = (frame.slot as Slot).page;
    const at = frame.start + (bit >> 3);
    bytes[at] = (bytes[at] as number) ^ (1 << (bit & 7));
    this.counts.corrupted++;
  }

  private end(frame: PlainFrame): void {
    if (this.closed) frame.slot.release();
    else this.deliver(frame);
  }

  private arm(): void {
    this.alarm.set(this.waiting.next());
  }

  private onAlarm(): void {
    const now = this.timing.monotonic();
    while (this.waiting.size > 0 && this.waiting.next() <= now) this.waiting.take()?.fire();
    this.delivered();
    this.arm();
  }
}
