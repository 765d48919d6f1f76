import type { Observer } from '../net/observer.js';

/** What one who looks wants to see; the slots of Observer it needs. */
export type Watcher = Partial<{ -readonly [K in keyof Observer]: NonNullable<Observer[K]> }>;

type Slot = keyof Observer;
const slots: readonly Slot[] = ['rx', 'tx', 'drop', 'verdict', 'state'];

/**
 * Lets several look through the slots of one stack, which hold a function each. With one watcher the slot is its own
 * function, with none it is null: who does not look pays a branch.
 */
export class Observers {
  private readonly observer: Observer;
  private watchers: readonly Watcher[] = [];
  private traced = 0;

  constructor(observer: Observer) {
    this.observer = observer;
  }

  /** Begins to look, until the function returned is called. May be called from within an observation. */
  watch(watcher: Watcher): () => void {
    this.set([...this.watchers, watcher]);
    return () => this.set(this.watchers.filter((w) => w !== watcher));
  }

  /** A number for Packet.trace, the same for all who follow that packet. Never 0. */
  number(): number {
    return ++this.traced;
  }

  /** How many look. */
  get size(): number {
    return this.watchers.length;
  }

  private set(watchers: readonly Watcher[]): void {
    this.watchers = watchers;
    for (const slot of slots) this.assign(slot, watchers);
  }

  private assign<K extends Slot>(slot: K, watchers: readonly Watcher[]): void {
    const wanted = watchers.filter((w) => w[slot] !== undefined);
    const all = wanted.map((w) => (w[slot] as (...args: unknown[]) => void).bind(w));
    const one = all[0] ?? null;
    this.observer[slot] = (all.length <= 1 ? one : (...args: unknown[]) => all.forEach((see) => see(...args))) as Observer[K];
  }
}
