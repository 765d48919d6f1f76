import type { Micros } from '../../base/time.js';
import { sendLimit } from './autotune.js';
import type { Flight } from './flight.js';
import { countsOf, type Tcb } from './tcb.js';

/** What a connection that has something to send waits for. */
const Wait = { Nothing: 0, Network: 1, Window: 2, Buffer: 3 } as const;

/** How long a connection had something to send, and how much of that the peer's window or our own buffer held it up. µs. */
export class BusyTime {
  private wait: number = Wait.Nothing;
  private since: Micros = 0;
  private network: Micros = 0;
  private window: Micros = 0;
  private buffer: Micros = 0;

  /** From `now` on it waits for this. */
  enter(wait: number, now: Micros): void {
    if (wait === this.wait) return;
    const span = now - this.since;
    if (this.wait === Wait.Network) this.network += span;
    else if (this.wait === Wait.Window) this.window += span;
    else if (this.wait === Wait.Buffer) this.buffer += span;
    this.wait = wait;
    this.since = now;
  }

  /** tcpi_busy_time, tcpi_rwnd_limited and tcpi_sndbuf_limited, what runs included. */
  read(now: Micros): { busy: Micros; window: Micros; buffer: Micros } {
    const { wait } = this;
    this.enter(Wait.Nothing, now);
    this.enter(wait, now);
    const { network, window, buffer } = this;
    return { busy: network + window + buffer, window, buffer };
  }
}

/** Data has been sent as far as it may go, `waiting` octets are left: what are they waiting for, or what is in flight? */
export function noteBusy(tcb: Tcb, flight: Flight, waiting: number, mss: number): void {
  const { snd, sendBuffer, tcp } = tcb;
  const outstanding = (snd.nxt - snd.una) | 0;
  const counts = countsOf(tcb);
  let wait: number = waiting > 0 || outstanding > 0 ? Wait.Network : Wait.Nothing;
  // Where the path is the limit, nothing else is.
  if (snd.cwnd - flight.pipe(outstanding) >= mss) {
    if (waiting > 0) wait = snd.wnd - outstanding < Math.min(mss, waiting) ? Wait.Window : wait;
    else if (sendBuffer !== null && sendBuffer.octets >= sendLimit(tcb)) wait = Wait.Buffer;
  }
  counts.busy.enter(wait, tcp.ctx.now);
}
