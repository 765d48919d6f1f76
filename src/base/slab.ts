import { assert } from './assert.js';
import { Page } from './page.js';

/** A fixed range of a page that packets and socket buffers share by reference count. */
export class Slot {
  readonly slab: Slab;
  readonly page: Page;
  /** First octet of the slot in its page. */
  readonly start: number;
  /** Holders; 0 while the slot lies in the slab. */
  refs = 0;

  constructor(slab: Slab, page: Page, start: number) {
    this.slab = slab;
    this.page = page;
    this.start = start;
  }

  get end(): number {
    return this.start + this.slab.slotSize;
  }

  hold(): void {
    assert(this.refs > 0, 'a slot in its slab has no holder to copy');
    this.refs++;
  }

  release(): void {
    assert(this.refs > 0, 'a slot is released once by each holder');
    if (--this.refs === 0) this.slab.give(this);
  }
}

/**
 * A pool of equal slots, grown a page at a time as they are asked for and never past `slotsMax`. Pages stay with the
 * slab: hosts keep their addresses.
 */
export class Slab {
  readonly slotSize: number;
  readonly slotsPerPage: number;
  readonly slotsMax: number;
  /** Slots made so far, free or not. */
  slots = 0;
  private readonly free: Slot[] = [];

  constructor(slotSize: number, slotsPerPage: number, slotsMax: number) {
    this.slotSize = slotSize;
    this.slotsPerPage = Math.min(slotsPerPage, slotsMax);
    this.slotsMax = slotsMax;
  }

  /** A slot with one holder, or null when all are held. Its octets are whatever they were. */
  take(): Slot | null {
    if (this.free.length === 0 && !this.grow()) return null;
    const slot = this.free.pop() as Slot;
    slot.refs = 1;
    return slot;
  }

  /** Only for Slot.release. */
  give(slot: Slot): void {
    this.free.push(slot);
  }

  /** Slots held by somebody. A test ends with 0. */
  get held(): number {
    return this.slots - this.free.length;
  }

  /** Slots that `take` would still give. */
  get available(): number {
    return this.slotsMax - this.held;
  }

  private grow(): boolean {
    const count = Math.min(this.slotsPerPage, this.slotsMax - this.slots);
    if (count <= 0) return false;
    const page = new Page(new Uint8Array(count * this.slotSize));
    for (let i = count - 1; i >= 0; i--) this.free.push(new Slot(this, page, i * this.slotSize));
    this.slots += count;
    return true;
  }
}
