import type { Seq } from '../../base/sequence.js';
import type { Micros } from '../../base/time.js';
import { Timer } from '../../base/timer-wheel.js';
import type { Context } from '../context.js';
import { Counter } from '../counters.js';
import { TimerKind } from '../timer-kind.js';
import { type Demux, Flowing } from './demux.js';
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
export class TimeWaits {
  count = 0;
  private readonly ctx: Context;
  private readonly flows: Demux;
  private readonly timer: Timer;
  private first: TimeWait | null = null;
  private last: TimeWait | null = null;

  constructor(ctx: Context, flows: Demux) {
    this.ctx = ctx;
    this.flows = flows;
    this.timer = new Timer(TimerKind.TcpTimeWait, this);
  }

  /** An entry takes the place of `tcb` among the flows. Bounded by tcp_max_tw_buckets: the oldest goes. */
  enter(tcb: Tcb): void {
    const { ctx } = this;
    const entry = new TimeWait(tcb);
    this.flows.replace(tcb, entry);
    ctx.counters.count(Counter.TcpExtTW);
    this.push(entry);
    while (this.count > ctx.sysctl.v['net.ipv4.tcp_max_tw_buckets'] && this.first !== null) this.end(this.first);
    this.arm();
  }

  /** 2 MSL begin anew: a FIN came again. */
  renew(entry: TimeWait): void {
    this.unlink(entry);
    this.push(entry);
    this.arm();
  }

  end(entry: TimeWait): void {
    this.unlink(entry);
    this.flows.remove(entry);
    this.arm();
  }

  /** The timer: those whose time is over go. */
  expire(): void {
    while (this.first !== null && this.first.until <= this.ctx.now) {
      const entry = this.first;
      this.unlink(entry);
      this.flows.remove(entry);
    }
    this.arm();
  }

  private arm(): void {
    const { wheel } = this.ctx;
    if (this.first === null) wheel.cancel(this.timer);
    else if (!this.timer.armed) wheel.arm(this.timer, this.first.until);
  }

  private push(entry: TimeWait): void {
    const { ctx, last } = this;
    const until = ctx.now + ctx.sysctl.v['anystack.tcp_time_wait'] * 1_000_000;
    // Not before the last one, should the time have been shortened meanwhile: the order is what one timer lives on.
    entry.until = last === null ? until : Math.max(until, last.until);
    entry.previous = last;
    entry.next = null;
    if (last === null) this.first = entry;
    else last.next = entry;
    this.last = entry;
    this.count++;
  }

  private unlink(entry: TimeWait): void {
    if (entry.previous === null) this.first = entry.next;
    else entry.previous.next = entry.next;
    if (entry.next === null) this.last = entry.previous;
    else entry.next.previous = entry.previous;
    entry.next = entry.previous = null;
    this.count--;
  }
}
