import type { Flight } from './flight.js';
import type { Tcb } from './tcb.js';

/** Proportional Rate Reduction (RFC 9937 §6): sends at a steady pace during recovery and ends it at ssthresh. */
export function prrBegin(tcb: Tcb, flight: Flight, acked: number, newlySacked: number): void {
  const { snd } = tcb;
  flight.prrDelivered = 0;
  flight.prrOut = 0;
  flight.recoverFs = Math.max(snd.mss, ((snd.nxt - snd.una) | 0) - (flight.sacked - newlySacked) + acked);
}

/** On each ACK of a recovery: `delivered` octets by it, `safe` when SND.UNA advanced and nothing more is lost. Sets cwnd. */
export function prrAck(tcb: Tcb, flight: Flight, delivered: number, safe: boolean): void {
  if (delivered <= 0) return;
  const { snd } = tcb;
  const pipe = flight.pipe((snd.nxt - snd.una) | 0);
  flight.prrDelivered += delivered;
  let out: number;
  if (pipe > snd.ssthresh) {
    out = Math.ceil((flight.prrDelivered * snd.ssthresh) / flight.recoverFs) - flight.prrOut;
  } else {
    out = Math.max(flight.prrDelivered - flight.prrOut, delivered);
    if (safe) out += snd.mss;
    out = Math.min(out, snd.ssthresh - pipe);
  }
  // The fast retransmission itself goes out on entering, whatever the arithmetic says.
  if (flight.prrOut === 0 && out < snd.mss) out = snd.mss;
  snd.cwnd = pipe + Math.max(0, out);
}
