// hot: bench/packet
import { seqGte } from '../../base/sequence.js';
import type { AckSample } from './delivery.js';
import { sentAfter } from './delivery.js';
import type { Flight } from './flight.js';
import { CaState } from './info.js';
import type { Tcb } from './tcb.js';

/** RACK.reo_wnd_persist: recoveries a widened reordering window lasts. RFC 8985 §6.2 step 4. */
const REO_WND_PERSIST = 16;

/**
 * RFC 8985 §6.2 step 5: what was sent so long before something already delivered that reordering does not explain it is
 * lost. Returns µs until the next segment would be, 0 when none waits. `sample` learns of the octets.
 */
export function detectLoss(tcb: Tcb, flight: Flight, sample: AckSample, now32: number): number {
  if (!flight.rackValid) return 0;
  const window = flight.rackRtt + reorderWindow(tcb, flight);
  let timeout = 0;
  for (let sent = flight.oldest; sent !== null; ) {
    if (!sentAfter(flight.rackTime, flight.rackEnd, sent.time, sent.end)) break;
    const { later } = sent;
    const remaining = window - ((now32 - sent.time) | 0);
    if (remaining <= 0) {
      sample.lost += sent.octets;
      flight.markLost(sent);
    } else if (remaining > timeout) timeout = remaining;
    sent = later;
  }
  return timeout;
}

/** RFC 8985 §6.2 step 4: how much later than its neighbours a segment may come. */
function reorderWindow(tcb: Tcb, flight: Flight): number {
  if (flight.reorderings === 0) {
    if (flight.state >= CaState.Recovery) return 0;
    if (flight.sacked >= flight.reordering * tcb.snd.mss && (tcb.tcp.ctx.sysctl.v['net.ipv4.tcp_recovery'] & 4) === 0) return 0;
  }
  return Math.min((flight.reorderWindowMultiple * tcb.rtt.min) / 4, tcb.rtt.srtt);
}

/** The window's adaptation: a D-SACK widens it, 16 recoveries without one reset it. RFC 8985 §6.2 step 4. */
export function adaptReorderWindow(tcb: Tcb, flight: Flight, duplicate: boolean): void {
  if (tcb.tcp.ctx.sysctl.v['net.ipv4.tcp_recovery'] & 2) return;
  if (flight.dsackRoundSet && seqGte(tcb.snd.una, flight.dsackRound)) flight.dsackRoundSet = false;
  if (!duplicate || flight.dsackRoundSet) return;
  flight.dsackRound = tcb.snd.nxt;
  flight.dsackRoundSet = true;
  flight.reorderWindowMultiple = Math.min(255, flight.reorderWindowMultiple + 1);
  flight.reorderWindowPersist = REO_WND_PERSIST;
}

/** A recovery has ended. */
export function recoveryEnded(flight: Flight): void {
  if (--flight.reorderWindowPersist <= 0) {
    flight.reorderWindowMultiple = 1;
    flight.reorderWindowPersist = REO_WND_PERSIST;
  }
}
