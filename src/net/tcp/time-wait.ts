import type { Seq } from '../../base/sequence.js';
import type { Micros } from '../../base/time.js';
import { Flowing } from './demux.js';
import type { Tcb } from './tcb.js';

/** What is left of a connection in TIME-WAIT (RFC 9293 §3.4.2): what is needed to answer, and no more. */
export class TimeWait extends Flowing {
  readonly sndNxt: Seq;
  readonly rcvNxt: Seq;
  readonly wnd: number;
  readonly timestamps: boolean;
  readonly tsRecent: number;
  readonly tsOffset: number;
  /** When TS.Recent was set, in seconds: for its age only. */
  readonly tsRecentAt: number;
  /** When 2 MSL are over. */
  until: Micros = 0;
  /** Last ACK sent, int32 ms: they are limited. */
  answeredAt = 0;
  answered = false;
  next: TimeWait | null = null;
  previous: TimeWait | null = null;

  constructor(tcb: Tcb) {
    super(tcb.local.clone(), tcb.remote.clone());
    this.localPort = tcb.localPort;
    this.remotePort = tcb.remotePort;
    this.vrf = tcb.vrf;
    this.zone = tcb.zone;
    this.sndNxt = tcb.snd.nxt;
    this.rcvNxt = tcb.rcv.nxt;
    this.wnd = Math.min(65_535, Math.floor(Math.max(0, (tcb.rcv.edge - tcb.rcv.nxt) | 0) / 2 ** tcb.rcv.wscale));
    this.timestamps = tcb.agreed.timestamps;
    this.tsRecent = tcb.tsRecent;
    this.tsOffset = tcb.tsOffset;
    this.tsRecentAt = Math.floor(tcb.tsRecentAt / 1e6);
  }
}

/** All in TIME-WAIT, the first to end in front: all wait equally long, so one timer serves them. */
export class TimeWaitQueue {
  first: TimeWait | null = null;
  private last: TimeWait | null = null;
  count = 0;

  /** Appends `entry`, which ends at `until`, not before the last one. */
  push(entry: TimeWait, until: Micros): void {
    entry.until = this.last !== null && this.last.until > until ? this.last.until : until;
    entry.previous = this.last;
    entry.next = null;
    if (this.last === null) this.first = entry;
    else this.last.next = entry;
    this.last = entry;
    this.count++;
  }

  remove(entry: TimeWait): void {
    if (entry.previous === null) this.first = entry.next;
    else entry.previous.next = entry.next;
    if (entry.next === null) this.last = entry.previous;
    else entry.next.previous = entry.previous;
    entry.next = entry.previous = null;
    this.count--;
  }
}
