import type { FarEnd } from '#src/hyper/hypercalls.js';

/** A host's interface that remembers what it was told, and answers each call with `error`. */
export class Far implements FarEnd {
  readonly index = 77;
  readonly addresses = new Set<string>();
  readonly state: Record<string, unknown> = {};
  error = 0;

  set(change: Parameters<FarEnd['set']>[0]): number {
    Object.assign(this.state, change);
    return this.error;
  }

  addAddress(address: { toString(): string }, length: number): number {
    this.addresses.add(`${address}/${length}`);
    return this.error;
  }

  removeAddress(address: { toString(): string }, length: number): number {
    this.addresses.delete(`${address}/${length}`);
    return this.error;
  }
}
