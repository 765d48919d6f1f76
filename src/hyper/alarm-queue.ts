/** Alarms in the order of their time, and of asking where times are equal: a binary heap that knows each alarm's place. */
import { type Micros, NEVER } from '../base/time.js';
import type { Alarm } from './timing.js';

const UNSET = -1;

/** What a clock is built on. `changed` is told when the earliest time may have come nearer. */
export class AlarmQueue {
  private readonly heap: QueuedAlarm[] = [];
  private readonly changed: () => void;
  private orders = 0;

  constructor(changed: () => void = () => {}) {
    this.changed = changed;
  }

  /** A new alarm, not set. */
  alarm(fire: () => void): QueuedAlarm {
    return new QueuedAlarm(this, fire);
  }

  /** Alarms set. */
  get size(): number {
    return this.heap.length;
  }

  /** Time of the earliest, or NEVER. */
  next(): Micros {
    return this.heap.length === 0 ? NEVER : (this.heap[0] as QueuedAlarm).time;
  }

  /** Takes the earliest out, unset, for the caller to fire; undefined when there is none. */
  take(): QueuedAlarm | undefined {
    const alarm = this.heap[0];
    if (alarm !== undefined) this.remove(alarm);
    return alarm;
  }

  /** Only for QueuedAlarm: enters it, or moves it. */
  place(alarm: QueuedAlarm, time: Micros): void {
    if (alarm.position === UNSET) {
      alarm.position = this.heap.length;
      this.heap.push(alarm);
    }
    alarm.time = time;
    alarm.order = this.orders++;
    this.sift(alarm);
    if (alarm.position === 0) this.changed();
  }

  /** Only for QueuedAlarm. */
  remove(alarm: QueuedAlarm): void {
    const last = this.heap.pop() as QueuedAlarm;
    if (last !== alarm) {
      last.position = alarm.position;
      this.heap[last.position] = last;
      this.sift(last);
    }
    alarm.position = UNSET;
  }

  private sift(alarm: QueuedAlarm): void {
    const { heap } = this;
    let at = alarm.position;
    while (at > 0) {
      const parent = heap[(at - 1) >> 1] as QueuedAlarm;
      if (!alarm.before(parent)) break;
      heap[at] = parent;
      parent.position = at;
      at = (at - 1) >> 1;
    }
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && (heap[child + 1] as QueuedAlarm).before(heap[child] as QueuedAlarm)) child++;
      const least = heap[child] as QueuedAlarm;
      if (!least.before(alarm)) break;
      heap[at] = least;
      least.position = at;
      at = child;
    }
    heap[at] = alarm;
    alarm.position = at;
  }
}

/** An alarm of an AlarmQueue. */
export class QueuedAlarm implements Alarm {
  readonly fire: () => void;
  time: Micros = NEVER;
  /** Breaks ties: the one asked for first fires first. */
  order = 0;
  /** Index in the heap, −1 while not set. */
  position = UNSET;
  private readonly queue: AlarmQueue;

  constructor(queue: AlarmQueue, fire: () => void) {
    this.queue = queue;
    this.fire = fire;
  }

  get pending(): boolean {
    return this.position !== UNSET;
  }

  set(at: Micros): void {
    if (at === NEVER) this.cancel();
    else this.queue.place(this, at);
  }

  cancel(): void {
    if (this.position !== UNSET) this.queue.remove(this);
  }

  before(other: QueuedAlarm): boolean {
    return this.time < other.time || (this.time === other.time && this.order < other.order);
  }
}
