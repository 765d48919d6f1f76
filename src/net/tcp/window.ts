// hot: bench/packet
import { type Seq, seqGt } from '../../base/sequence.js';
import { AckDue, type Tcb } from './tcb.js';

/** RCV.WND: what the peer may still send, as far as we have told it. */
export const offered = (tcb: Tcb): number => Math.max(0, (tcb.rcv.edge - tcb.rcv.nxt) | 0);

/**
 * The window to put into a segment sent now, in octets; moves RCV's right edge. It never moves back (RFC 9293 SHLD-14), and
 * forward only by a worthwhile step (§3.8.6.2.2, SWS avoidance by the receiver); BSD takes that care only when it decides whether to send.
 */
export function advertise(tcb: Tcb): number {
  const { rcv } = tcb;
  const edge = bestEdge(tcb);
  const step = (edge - rcv.edge) | 0;
  if (step >= Math.min(rcv.space >> 1, rcv.mss) || (step > 0 && tcb.tcp.plainBuffers)) rcv.edge = edge;
  return offered(tcb);
}

/** The field for a window of `octets`: scaled, rounded up so that rounding never moves the edge back. The edge follows. */
export function windowField(tcb: Tcb, octets: number): number {
  const { rcv } = tcb;
  // By shifts: a power costs 20 ns, twice a segment. Windows stay below 2^30 (RFC 7323 §2.3).
  const field = Math.min(65_535, (octets + (1 << rcv.wscale) - 1) >> rcv.wscale);
  const edge = (rcv.nxt + (field << rcv.wscale)) | 0;
  if (seqGt(edge, rcv.edge)) rcv.edge = edge;
  return field;
}

/** The application has read: tells the peer when that opens the window far enough to matter. */
export function windowOpened(tcb: Tcb): void {
  const { rcv } = tcb;
  const step = (bestEdge(tcb) - rcv.edge) | 0;
  // Linux: when the window at least doubles, BSD: by a quarter of the buffer. A peer that waits for us must hear of it.
  if (step < Math.min(rcv.space >> 1, 2 * rcv.mss) || step < (tcb.tcp.plainBuffers ? rcv.space >> 2 : offered(tcb))) return;
  if (rcv.ended) return;
  rcv.due = AckDue.Now;
  tcb.tcp.touch(tcb);
}

/** Where the window would end now: the space less what waits to be read, and less when the stack's memory runs out. */
function bestEdge(tcb: Tcb): Seq {
  const { rcv, receiveBuffer } = tcb;
  let space = rcv.space;
  const { chunks } = tcb.tcp.ctx;
  const free = chunks.available * chunks.slotSize;
  if (free < MEMORY_LOW) space = Math.min(space, free >> 4);
  return ((receiveBuffer === null ? rcv.nxt : receiveBuffer.head) + space) | 0;
}

/** Below this much memory for all sockets windows close: what is promised must be kept. */
const MEMORY_LOW = 1_048_576;
