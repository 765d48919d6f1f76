// hot: bench/packet
import { assert } from '../../base/assert.js';
import { type Seq, seqGt, seqLt } from '../../base/sequence.js';
import type { Micros } from '../../base/time.js';
import type { Congestion } from './congestion/controller.js';
import { CaState } from './info.js';

/** Bits of Sent.flags. */
export const SentFlag = {
  /** The peer has reported it in a SACK. */
  Sacked: 1,
  /** Concluded lost, and not sent again since. */
  Lost: 2,
  /** Sent again and not yet acknowledged. */
  Retransmitted: 4,
  /** Was ever sent again: its round trip says nothing (Karn). */
  EverRetransmitted: 8,
  /** Its last octet was the last one written then: PSH goes with it. */
  Pushed: 16,
} as const;

/** What is true of a stretch whatever becomes of it. */
const KEPT = SentFlag.EverRetransmitted | SentFlag.Pushed;

/** A stretch of sequence space sent at one time: one segment as handed to IP, up to 64 KB; SACKs may split it. Pooled. */
export class Sent {
  seq: Seq = 0;
  /** Behind its last octet; a FIN counts. */
  end: Seq = 0;
  flags = 0;
  /** When it was sent last, int32 µs. */
  time = 0;
  /** Neighbours by sequence number. */
  next: Sent | null = null;
  previous: Sent | null = null;
  /** Neighbours by time of sending: only of what is in flight (not sacked, not lost). */
  later: Sent | null = null;
  earlier: Sent | null = null;
  timed = false;
  /** Snapshot for rate samples (BBR): octets delivered when it was sent, when that was, and when that window began (int32 µs). */
  delivered = 0;
  deliveredAt = 0;
  firstSentAt = 0;
  appLimited = false;
  /** Octets concluded lost until then, and octets in flight with it. */
  priorLost = 0;
  inFlight = 0;

  get octets(): number {
    return (this.end - this.seq) | 0;
  }
}

/** Free Sent records of one stack. */
export class SentPool {
  private free: Sent | null = null;
  /** Records in use. A test ends with 0. */
  used = 0;

  take(seq: Seq, end: Seq, time: number): Sent {
    const sent = this.free ?? new Sent();
    this.free = sent.next;
    sent.next = null;
    sent.seq = seq;
    sent.end = end;
    sent.flags = 0;
    sent.time = time;
    this.used++;
    return sent;
  }

  give(sent: Sent): void {
    sent.previous = null;
    sent.next = this.free;
    this.free = sent;
    this.used--;
  }
}

/**
 * What a connection has in flight, and the state of loss detection and recovery over it. The scoreboard of RFC 6675 as
 * records in two orders: by sequence number for ACKs, by time of sending for RACK (RFC 8985 §5.3).
 */
export class Flight {
  readonly pool: SentPool;
  congestion: Congestion;
  head: Sent | null = null;
  tail: Sent | null = null;
  oldest: Sent | null = null;
  newest: Sent | null = null;

  /** Octets reported by SACK, octets concluded lost and not sent again, octets sent again and unacknowledged. */
  sacked = 0;
  lost = 0;
  retransmitted = 0;

  /** CaState. */
  state: number = CaState.Open;
  /** SND.NXT when recovery began: it ends when that is acknowledged (RecoveryPoint of RFC 6675). */
  high: Seq = 0;
  /** Duplicate ACKs in a row, for peers without SACK, and the octets that must have left the network for them. */
  duplicates = 0;
  duplicated = 0;

  // RACK (RFC 8985 §5.2)
  /** RACK.segment: time and end of what was sent last among what has been delivered, and its round trip. */
  rackTime = 0;
  rackEnd: Seq = 0;
  rackRtt = 0;
  rackValid = false;
  /** RACK.fack: highest octet delivered. */
  fack: Seq = 0;
  /** ACKs that showed reordering. */
  reorderings = 0;
  /** RACK.reo_wnd_mult and how many recoveries it still holds. */
  reorderWindowMultiple = 1;
  reorderWindowPersist = 16;
  dsackRound: Seq = 0;
  dsackRoundSet = false;
  /** Reordering degree in segments: DupThresh. */
  reordering = 3;

  // TLP (RFC 8985 §7)
  probeEnd: Seq = 0;
  probing = false;
  probeRetransmits = false;

  // PRR (RFC 9937)
  prrDelivered = 0;
  prrOut = 0;
  recoverFs = 0;

  // Undoing what was no loss (RFC 5682, 4015, 3708)
  undoMark: Seq = 0;
  undoArmed = false;
  /** Octets sent again since undoMark and not yet reported as duplicates; −1 while none has been sent again. */
  undoOctets = -1;
  priorCwnd = 0;
  priorSsthresh = 0;
  /** TSval of the first retransmission of the recovery. */
  retransmitStamp = 0;
  /** F-RTO: 0 off, 1 the window after the timeout is being tried. */
  frto = 0;
  frtoHigh: Seq = 0;

  /** Has the congestion window been the limit in this window? If not, how much was outstanding at most, and when the window ends: only what is used grows. */
  cwndLimited = false;
  outstandingMax = 0;
  usageEnd: Seq = 0;

  // Rate samples
  /** Octets delivered so far, and when the last were (int32 µs). */
  delivered = 0;
  deliveredAt = 0;
  firstSentAt = 0;
  /** Octets ever concluded lost. */
  lostEver = 0;
  /** While `delivered` is below this the application was the limit; 0 when the path is. */
  appLimitedUntil = 0;
  /** Octets per second of the last sample. */
  rate = 0;
  /** Octets per second to send at; 0: not paced. */
  pacingRate = 0;
  /** Not before this: the last burst is paid for. */
  nextSendAt: Micros = 0;
  /** Pacing was what held data back last. */
  held = false;

  constructor(pool: SentPool, congestion: Congestion, una: Seq) {
    this.pool = pool;
    this.congestion = congestion;
    this.fack = una;
  }

  /**
   * Octets believed to be in the network: RFC 6675's pipe. `outstanding` is SND.NXT − SND.UNA. What is lost and sent again
   * counts once, as its retransmission.
   */
  pipe(outstanding: number): number {
    return Math.max(0, outstanding - this.sacked - this.lost - this.duplicated);
  }

  /** Notes [seq, end), sent now for the first time. */
  append(seq: Seq, end: Seq, time: number): Sent {
    const sent = this.pool.take(seq, end, time);
    sent.previous = this.tail;
    if (this.tail === null) this.head = sent;
    else this.tail.next = sent;
    this.tail = sent;
    this.pushTimed(sent);
    return sent;
  }

  /** Cuts `sent` at `at`, strictly inside it; returns the second half. Both keep flags and time. */
  split(sent: Sent, at: Seq): Sent {
    assert(seqGt(at, sent.seq) && seqLt(at, sent.end), 'a record is cut inside');
    const rest = this.pool.take(at, sent.end, sent.time);
    rest.flags = sent.flags;
    rest.delivered = sent.delivered;
    rest.deliveredAt = sent.deliveredAt;
    rest.firstSentAt = sent.firstSentAt;
    rest.appLimited = sent.appLimited;
    rest.priorLost = sent.priorLost;
    rest.inFlight = sent.inFlight;
    sent.flags &= ~SentFlag.Pushed;
    sent.end = at;
    rest.previous = sent;
    rest.next = sent.next;
    if (sent.next === null) this.tail = rest;
    else sent.next.previous = rest;
    sent.next = rest;
    if (sent.timed) {
      rest.timed = true;
      rest.earlier = sent;
      rest.later = sent.later;
      if (sent.later === null) this.newest = rest;
      else sent.later.earlier = rest;
      sent.later = rest;
    }
    return rest;
  }

  /** The first record is acknowledged up to `to`, inside it. */
  trim(to: Seq): void {
    const sent = this.head as Sent;
    const octets = (to - sent.seq) | 0;
    if (sent.flags & SentFlag.Sacked) this.sacked -= octets;
    if (sent.flags & SentFlag.Lost) this.lost -= octets;
    if (sent.flags & SentFlag.Retransmitted) this.retransmitted -= octets;
    sent.seq = to;
  }

  /** Takes the first record out: it is acknowledged. Counters are corrected. */
  shift(): void {
    const sent = this.head as Sent;
    this.uncount(sent);
    this.unlinkTimed(sent);
    this.head = sent.next;
    if (this.head === null) this.tail = null;
    else this.head.previous = null;
    this.pool.give(sent);
  }

  /** The peer has `sent`. Sacked neighbours become one record, since nobody needs them apart: returns the one that now holds it. */
  markSacked(sent: Sent): Sent {
    this.uncount(sent);
    this.unlinkTimed(sent);
    sent.flags = (sent.flags & KEPT) | SentFlag.Sacked;
    this.sacked += sent.octets;
    if (sent.next !== null && sent.next.flags & SentFlag.Sacked) this.join(sent, sent.next);
    const { previous } = sent;
    if (previous === null || (previous.flags & SentFlag.Sacked) === 0) return sent;
    this.join(previous, sent);
    return previous;
  }

  private join(sent: Sent, next: Sent): void {
    sent.end = next.end;
    sent.flags |= next.flags;
    sent.next = next.next;
    if (next.next === null) this.tail = sent;
    else next.next.previous = sent;
    this.pool.give(next);
  }

  /** Concludes that `sent` is lost, a retransmission of it too. It leaves the order of time until it is sent again. */
  markLost(sent: Sent): void {
    if (sent.flags & (SentFlag.Sacked | SentFlag.Lost)) return;
    this.uncount(sent);
    this.unlinkTimed(sent);
    sent.flags = (sent.flags & ~SentFlag.Retransmitted) | SentFlag.Lost;
    this.lost += sent.octets;
    this.lostEver += sent.octets;
  }

  /** The SACK was taken back (RFC 2018 §8), or the conclusion of loss: the record is in flight again. */
  unmark(sent: Sent): void {
    this.uncount(sent);
    sent.flags &= KEPT;
    if (!sent.timed) this.pushTimedInOrder(sent);
  }

  markRetransmitted(sent: Sent, time: number): void {
    this.uncount(sent);
    this.unlinkTimed(sent);
    sent.flags = (sent.flags & KEPT) | SentFlag.Retransmitted | SentFlag.EverRetransmitted;
    this.retransmitted += sent.octets;
    sent.time = time;
    this.pushTimed(sent);
  }

  /** Gives all records up. */
  clear(): void {
    while (this.head !== null) this.shift();
  }

  private uncount(sent: Sent): void {
    if (sent.flags & SentFlag.Sacked) this.sacked -= sent.octets;
    if (sent.flags & SentFlag.Lost) this.lost -= sent.octets;
    if (sent.flags & SentFlag.Retransmitted) this.retransmitted -= sent.octets;
  }

  private pushTimed(sent: Sent): void {
    sent.timed = true;
    sent.later = null;
    sent.earlier = this.newest;
    if (this.newest === null) this.oldest = sent;
    else this.newest.later = sent;
    this.newest = sent;
  }

  private pushTimedInOrder(sent: Sent): void {
    let before = this.newest;
    while (before !== null && ((before.time - sent.time) | 0) > 0) before = before.earlier;
    sent.timed = true;
    sent.earlier = before;
    sent.later = before === null ? this.oldest : before.later;
    if (sent.later === null) this.newest = sent;
    else sent.later.earlier = sent;
    if (before === null) this.oldest = sent;
    else before.later = sent;
  }

  private unlinkTimed(sent: Sent): void {
    if (!sent.timed) return;
    if (sent.earlier === null) this.oldest = sent.later;
    else sent.earlier.later = sent.later;
    if (sent.later === null) this.newest = sent.earlier;
    else sent.later.earlier = sent.earlier;
    sent.earlier = sent.later = null;
    sent.timed = false;
  }
}
