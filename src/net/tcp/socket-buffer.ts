import type { Tcb } from './tcb.js';
import type { Tcp } from './tcp.js';

/**
 * What the size of a socket buffer means. Linux counts payload and what it costs to keep it: half of a receive buffer is window, and
 * setsockopt doubles. BSD counts payload alone, and makes it whole segments once the peer's MSS is known.
 */

/** The window a receive buffer of `octets` allows. */
export const windowOf = (tcp: Tcp, octets: number): number => (tcp.plainBuffers ? octets : octets >> 1);

/** The receive buffer behind a window of `space` octets. */
export const bufferOf = (tcp: Tcp, space: number): number => (tcp.plainBuffers ? space : 2 * space);

/** What SO_RCVBUF or SO_SNDBUF makes of the size asked for, bounded silently as both systems do. */
export function bufferAsked(tcp: Tcp, octets: number, most: number, least: number): number {
  const size = Math.min(octets, most);
  return tcp.plainBuffers ? Math.max(1, size) : Math.max(least, 2 * size);
}

/** The peer's MSS is known: the receive space in whole segments, where that is the habit. */
export function wholeSegments(tcb: Tcb): void {
  const { rcv, snd, tcp, agreed } = tcb;
  const mss = snd.mss + (agreed.timestamps ? 12 : 0);
  if (!tcp.plainBuffers || rcv.space <= mss) return;
  rcv.space = Math.ceil(rcv.space / mss) * mss;
  // What is let in is the space, also where the field could not say it.
  rcv.edge = (rcv.nxt + rcv.space) | 0;
}
