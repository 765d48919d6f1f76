import { type Seq, seqGt, seqGte, seqLt, seqLte, seqMax, seqMin } from '../../base/sequence.js';

/**
 * Disjoint ranges of sequence space in ascending order, [starts[i], ends[i]): what has arrived beyond RCV.NXT. Bounded:
 * a sender of every second octet costs at most `max` entries, and the ranges past that are not taken.
 */
export class Ranges {
  readonly max: number;
  readonly starts: Seq[] = [];
  readonly ends: Seq[] = [];
  /** Starts of the ranges that grew last, the latest first: the order of SACK blocks (RFC 2018 §4). May name ranges merged since. */
  private readonly recent: Seq[] = [];

  constructor(max: number) {
    this.max = max;
  }

  get count(): number {
    return this.starts.length;
  }

  /** Adds [start, end), merging with what it touches or overlaps. False when it would be one range too many. */
  add(start: Seq, end: Seq): boolean {
    const { starts, ends } = this;
    let first = starts.length;
    while (first > 0 && seqGte(ends[first - 1] as Seq, start)) first--;
    let past = first;
    while (past < starts.length && seqLte(starts[past] as Seq, end)) past++;
    if (past === first) {
      if (starts.length >= this.max) return false;
      starts.splice(first, 0, start);
      ends.splice(first, 0, end);
    } else {
      starts[first] = seqMin(starts[first] as Seq, start);
      ends[first] = seqMax(ends[past - 1] as Seq, end);
      if (past - first > 1) {
        starts.splice(first + 1, past - first - 1);
        ends.splice(first + 1, past - first - 1);
      }
    }
    this.note(starts[first] as Seq);
    return true;
  }

  /** Takes away what `nxt` has reached; returns the new end of the octets without a gap: `nxt` or the end of a range it touched. */
  absorb(nxt: Seq): Seq {
    const { starts, ends } = this;
    let taken = 0;
    while (taken < starts.length && seqLte(starts[taken] as Seq, nxt)) {
      nxt = seqMax(nxt, ends[taken] as Seq);
      taken++;
    }
    if (taken > 0) {
      starts.splice(0, taken);
      ends.splice(0, taken);
    }
    return nxt;
  }

  /** Index of the range that holds all of [start, end), or −1. */
  holding(start: Seq, end: Seq): number {
    for (let i = 0; i < this.starts.length; i++) {
      if (seqGt(this.starts[i] as Seq, start)) return -1;
      if (seqGte(this.ends[i] as Seq, end)) return i;
    }
    return -1;
  }

  /** Index of the first range with an octet of [start, end), or −1. */
  firstIn(start: Seq, end: Seq): number {
    for (let i = 0; i < this.starts.length; i++) {
      if (seqGte(this.starts[i] as Seq, end)) return -1;
      if (seqLt(start, this.ends[i] as Seq)) return i;
    }
    return -1;
  }

  /** The range at `i` was reported on again: it comes first among the blocks. */
  refresh(i: number): void {
    this.note(this.starts[i] as Seq);
  }

  /** True when an octet of [start, end) is there. */
  meets(start: Seq, end: Seq): boolean {
    return this.firstIn(start, end) >= 0;
  }

  /** Octets in all ranges. */
  get octets(): number {
    let n = 0;
    for (let i = 0; i < this.starts.length; i++) n += ((this.ends[i] as Seq) - (this.starts[i] as Seq)) | 0;
    return n;
  }

  /** Writes up to `max` blocks (left, right) into `into` from pair `at` on, the one that grew last first. Returns the pairs' count. */
  blocks(into: Int32Array, at: number, max: number): number {
    let n = at;
    for (let r = 0; r < this.recent.length && n < max; r++) {
      const i = this.indexOf(this.recent[r] as Seq);
      if (i < 0 || written(into, at, n, this.starts[i] as Seq)) continue;
      into[2 * n] = this.starts[i] as Seq;
      into[2 * n + 1] = this.ends[i] as Seq;
      n++;
    }
    return n;
  }

  private note(start: Seq): void {
    const { recent } = this;
    const before = recent.indexOf(start);
    if (before >= 0) recent.splice(before, 1);
    else if (recent.length === RECENT) recent.pop();
    recent.unshift(start);
  }

  /** Index of the range that `s` lies in. */
  private indexOf(s: Seq): number {
    for (let i = 0; i < this.starts.length; i++) {
      if (seqLte(this.starts[i] as Seq, s) && seqLt(s, this.ends[i] as Seq)) return i;
    }
    return -1;
  }
}

/** A SACK option holds four blocks; a few more, since ranges merge. */
const RECENT = 6;

function written(into: Int32Array, from: number, to: number, start: Seq): boolean {
  for (let i = from; i < to; i++) if (into[2 * i] === start) return true;
  return false;
}
