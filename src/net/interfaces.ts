import type { Interface } from './interface.js';

/** The interfaces of one stack by index and name. Indices start at 1 and are never used again. */
export class Interfaces {
  private readonly byIndex: (Interface | null)[] = [null];
  /** All there are now, in order of index. Replaced on change: a loop over it sees those that were there when it began. */
  all: readonly Interface[] = [];
  private readonly byName = new Map<string, Interface>();

  /** The index the next interface will have. */
  get nextIndex(): number {
    return this.byIndex.length;
  }

  add(iface: Interface): void {
    this.byIndex[iface.index] = iface;
    this.byName.set(iface.name, iface);
    this.all = [...this.all, iface];
  }

  remove(iface: Interface): void {
    this.byIndex[iface.index] = null;
    this.byName.delete(iface.name);
    this.all = this.all.filter((other) => other !== iface);
  }

  /** The interface, or null when there is none of that index any more. */
  at(index: number): Interface | null {
    return this.byIndex[index] ?? null;
  }

  named(name: string): Interface | null {
    return this.byName.get(name) ?? null;
  }

  /** For Routes. */
  running(index: number): boolean {
    return this.byIndex[index]?.running ?? false;
  }

  [Symbol.iterator](): Iterator<Interface> {
    return this.all[Symbol.iterator]();
  }
}
