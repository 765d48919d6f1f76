// hot: bench/micro/ipsec
import type { Sa } from './sa.js';

/** Inbound SAs of one stack; past it none is made (ENOBUFS). */
export const SAS_MAX = 65_536;

/**
 * Inbound SAs by SPI: open addressing over integers, half empty. We choose SPIs at random, so the hash needs no secret,
 * and they are unique over ESP and AH (RFC 4301 §4.1 allows the SPI alone to name a unicast SA).
 */
export class Sad {
  private keys = new Int32Array(16);
  private slots: (Sa | null)[] = new Array<Sa | null>(16).fill(null);
  size = 0;

  /** `spi` as int32 or uint32. */
  find(spi: number): Sa | null {
    const key = spi | 0;
    const { keys } = this;
    const mask = keys.length - 1;
    for (let i = (Math.imul(key, 0x9e3779b1) >>> 8) & mask; ; i = (i + 1) & mask) {
      if (keys[i] === key) return this.slots[i] as Sa | null;
      if (keys[i] === 0) return null;
    }
  }

  /** False when the SPI is taken, or the table is full. SPI 0 is nobody's. */
  add(sa: Sa): boolean {
    if (this.size >= SAS_MAX || sa.spi === 0 || this.find(sa.spi) !== null) return false;
    if (2 * (this.size + 1) > this.keys.length) this.rebuild(this.keys.length * 2);
    this.put(sa);
    this.size++;
    return true;
  }

  remove(sa: Sa): boolean {
    if (this.find(sa.spi) !== sa) return false;
    const mask = this.keys.length - 1;
    let hole = (Math.imul(sa.spi | 0, 0x9e3779b1) >>> 8) & mask;
    while (this.keys[hole] !== (sa.spi | 0)) hole = (hole + 1) & mask;
    // What stands behind the hole moves up when its search would come by: no tombstones.
    for (let i = (hole + 1) & mask; this.keys[i] !== 0; i = (i + 1) & mask) {
      const home = (Math.imul(this.keys[i] as number, 0x9e3779b1) >>> 8) & mask;
      if (((i - home) & mask) < ((i - hole) & mask)) continue;
      this.keys[hole] = this.keys[i] as number;
      this.slots[hole] = this.slots[i] as Sa | null;
      hole = i;
    }
    this.keys[hole] = 0;
    this.slots[hole] = null;
    this.size--;
    return true;
  }

  list(): Sa[] {
    return this.slots.filter((sa) => sa !== null);
  }

  private put(sa: Sa): void {
    const mask = this.keys.length - 1;
    let i = (Math.imul(sa.spi | 0, 0x9e3779b1) >>> 8) & mask;
    while (this.keys[i] !== 0) i = (i + 1) & mask;
    this.keys[i] = sa.spi | 0;
    this.slots[i] = sa;
  }

  private rebuild(rows: number): void {
    const all = this.list();
    this.keys = new Int32Array(rows);
    this.slots = new Array<Sa | null>(rows).fill(null);
    for (const sa of all) this.put(sa);
  }
}
